//! NOTIFY requests.
//!
//! | file | what |
//! |---|---|
//! | [`way`] | the way to a watcher: the unchanging headers of a dialog's NOTIFYs, and the flow they take |
//! | `path` | whether NOTIFYs take a flow other than to the Contact, and whether the Contact is proved |
//! | [`destination`] | where they go: over SIP, or to another module |
//! | [`send`] | sending them, and hearing their answers |

pub mod destination;
mod path;
mod send;
pub mod way;

pub use destination::{Destination, Internal};
pub(crate) use send::send;
pub use way::Way;
