//! Priority: how urgent the sender finds it (RFC 3261 §20.26).

use super::shapes::token_header;

token_header! {
    /// `emergency`, `urgent`, `normal`, `non-urgent` or another token.
    Priority
}
