//! Content-Disposition: what the body is for (RFC 3261 §20.11).

use super::shapes::token_with_params_header;

token_with_params_header! {
    /// What to do with a body, and whether that is a must.
    ContentDisposition,
    /// Such as `session`, `render`, `icon` or `alert`.
    kind
}
