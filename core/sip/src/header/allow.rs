//! Allow: a method that is taken, one of a list (RFC 3261 §20.5).

use super::shapes::token_header;

token_header! {
    /// A method's name, as written; compare with regard to case.
    Allow
}
