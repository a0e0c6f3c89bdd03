//! NOTIFY requests.
//!
//! | file | what |
//! |---|---|
//! | [`way`] | the way to a watcher: the unchanging headers of a dialog's NOTIFYs, and the flow they take |
//! | [`send`] | sending them, and hearing their answers |

mod send;
pub mod way;

pub(crate) use send::send;
pub use way::Way;
