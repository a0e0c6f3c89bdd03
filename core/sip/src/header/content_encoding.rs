//! Content-Encoding: what was done to the body, one of a list in the order of doing (RFC 3261 §20.12).

use super::shapes::token_header;

token_header! {
    /// A coding such as `gzip`.
    ContentEncoding
}
