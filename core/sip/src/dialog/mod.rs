//! Dialogs (RFC 3261 §12) and subscriptions (RFC 6665), from both ends.
//!
//! | file | what |
//! |---|---|
//! | [`subscription`] | states, reasons and responses that both sides of a subscription know |
//! | [`notifier`] | when NOTIFYs go out and what ends a subscription, at the notifier |
//! | [`subscriber`] | when to refresh and what ends a subscription, at the subscriber |
//! | [`sequence`] | CSeq numbers, reserved in blocks so that they survive a restart |

pub mod notifier;
pub mod sequence;
pub mod subscriber;
pub mod subscription;

pub use notifier::Notifier;
pub use sequence::Sequence;
pub use subscriber::Subscriber;
