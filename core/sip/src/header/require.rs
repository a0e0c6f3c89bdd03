//! Require: an extension that the recipient must know, one of a list (RFC 3261 §20.32).

use super::shapes::token_header;

token_header! {
    /// An option tag; 420 with Unsupported where it is not known (§8.2.2.3).
    Require
}
