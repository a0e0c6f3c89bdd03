//! RFC 6665: SIP-specific event notification.

mod machine;
mod notifier;
mod subscriptions;
