//! Allow-Events: an event package that is known, one of a list (RFC 6665 §8.2.2).

use super::shapes::token_header;

token_header! {
    /// An event package or template-package, such as `presence` or `presence.winfo`.
    AllowEvents
}
