//! Subscriptions, as their notifier keeps them (RFC 6665 §4.2).
//!
//! | file | what |
//! |---|---|
//! | [`state`] | one subscription: when a NOTIFY is due, under which CSeq |
//! | [`status`] | what the presentity's user has decided about the watcher |
//! | [`request`] | what a SUBSCRIBE asks for, and an accepted one |
//! | [`wishes`], [`condition`] | in which form, how often, and what need not be told |
//! | [`answer`] | what a watcher answers to a NOTIFY |
//! | [`notify`] | a NOTIFY to be sent, and whom to |

pub mod answer;
pub mod condition;
pub mod notify;
pub mod request;
pub mod state;
pub mod status;
pub mod wishes;

pub use answer::Answer;
pub use condition::Condition;
pub use notify::{Notify, Watcher};
pub use request::{Accepted, Fingerprint, Identity, Subscribe};
pub use state::{CSEQ_BLOCK, Start, Step, Subscription};
pub use status::Status;
pub use wishes::Wishes;
