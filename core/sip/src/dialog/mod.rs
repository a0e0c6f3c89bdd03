//! Dialogs (RFC 3261 §12) and subscriptions (RFC 6665), from both ends.
//!
//! | file | what |
//! |---|---|
//! | [`state`] | the state of a dialog, requests within it |
//! | [`id`] | what tells dialogs apart |
//! | [`route_set`] | the proxies that requests pass, and how that addresses them |
//! | [`subscription`] | states, reasons and responses that both sides of a subscription know |
//! | [`notifier`] | when NOTIFYs go out and what ends a subscription, at the notifier |
//! | [`subscriber`] | when to refresh and what ends a subscription, at the subscriber |
//! | [`rate`] | how often a subscriber wants to be notified |
//! | [`sequence`] | CSeq numbers, reserved in blocks so that they survive a restart |

pub mod id;
pub mod notifier;
pub mod rate;
pub mod route_set;
pub mod sequence;
pub mod state;
pub mod subscriber;
pub mod subscription;

pub use id::DialogId;
pub use notifier::Notifier;
pub use route_set::RouteSet;
pub use sequence::Sequence;
pub use state::{Dialog, DialogError, Phase};
pub use subscriber::Subscriber;
