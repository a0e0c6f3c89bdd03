//! Proxy-Require: an extension that each proxy must know, one of a list (RFC 3261 §20.29).

use super::shapes::token_header;

token_header! {
    /// An option tag; 420 with Unsupported where it is not known (§16.3 item 5).
    ProxyRequire
}
