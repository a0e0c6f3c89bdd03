//! Unsupported: an extension that was required and is not known, one of a list (RFC 3261 §20.40).

use super::shapes::token_header;

token_header! {
    /// An option tag out of Require or Proxy-Require.
    Unsupported
}
