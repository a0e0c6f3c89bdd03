//! P-Preferred-Identity: as whom the sender would like to be asserted (RFC 3325 §9.2).

use super::shapes::name_addr_header;

name_addr_header! {
    /// At most one SIP and one tel URI.
    PPreferredIdentity
}
