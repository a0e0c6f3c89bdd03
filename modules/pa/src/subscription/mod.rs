//! Subscriptions, as their notifier keeps them (RFC 6665 §4.2).
//!
//! | file | what |
//! |---|---|
//! | [`state`] | one subscription: when a NOTIFY is due, under which CSeq |
//! | [`status`] | what the presentity's user has decided about the watcher |
//! | [`request`] | what a SUBSCRIBE asks for, and an accepted one |
//! | [`notify`] | a NOTIFY to be sent, and whom to |

pub mod notify;
pub mod request;
pub mod state;
pub mod status;

pub use notify::{Notify, Watcher};
pub use request::{Accepted, Identity, Subscribe};
pub use state::{CSEQ_BLOCK, Start, Step, Subscription};
pub use status::Status;
