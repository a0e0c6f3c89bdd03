//! What outlives the process.
//!
//! | file | what |
//! |---|---|
//! | [`tables`] | the tables and their migrations |
//! | [`write`] | writing subscriptions, CSeq marks and publications |
//! | [`reload`] | reading them back at the start |

mod reload;
mod tables;
pub mod write;

pub use write::Store;
