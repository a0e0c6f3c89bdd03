//! Supported: an extension that the sender knows, one of a list (RFC 3261 §20.37).

use super::shapes::token_header;

token_header! {
    /// An option tag such as `path`.
    Supported
}
