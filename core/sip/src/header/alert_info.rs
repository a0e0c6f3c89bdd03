//! Alert-Info: another ring tone, one of a list (RFC 3261 §20.4).

use super::shapes::name_addr_header;

name_addr_header! {
    /// Any URI in angle brackets, with parameters.
    AlertInfo
}
