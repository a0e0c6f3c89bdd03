//! What outlives the process.
//!
//! | file | what |
//! |---|---|
//! | [`tables`] | the tables and their migrations |
//! | [`write`] | writing subscriptions, CSeq marks and publications |
//! | [`offline`] | watchers that are remembered for a user who was not there |
//! | [`reload`] | reading them back at the start |

mod offline;
mod reload;
mod tables;
pub mod write;

pub use offline::{OfflineWatchers, Visitor, Watched};
pub use write::Store;
