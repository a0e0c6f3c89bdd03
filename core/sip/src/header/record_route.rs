//! Record-Route: a proxy that wants to see the dialog's later requests, one of a list (RFC 3261 §20.30).

use super::shapes::name_addr_header;

name_addr_header! {
    /// A proxy's URI, with `lr`.
    RecordRoute
}
