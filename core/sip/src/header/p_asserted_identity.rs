//! P-Asserted-Identity: who a trusted proxy found the sender to be (RFC 3325 §9.1).

use super::shapes::name_addr_header;

name_addr_header! {
    /// At most one SIP and one tel URI.
    PAssertedIdentity
}
