//! Path: a proxy between a registrar and a phone, one of a list (RFC 3327 §4).

use super::shapes::name_addr_header;

name_addr_header! {
    /// A hop that requests to this contact must visit, in the order of Route.
    Path
}
