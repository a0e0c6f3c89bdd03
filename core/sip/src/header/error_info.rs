//! Error-Info: where more about the error is found, one of a list (RFC 3261 §20.18).

use super::shapes::name_addr_header;

name_addr_header! {
    /// Any URI in angle brackets, with parameters.
    ErrorInfo
}
