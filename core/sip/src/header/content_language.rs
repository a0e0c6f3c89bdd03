//! Content-Language: a language of the body, one of a list (RFC 3261 §20.13).

use super::shapes::token_header;

token_header! {
    /// A language tag such as `en-GB`.
    ContentLanguage
}
