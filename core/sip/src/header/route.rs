//! Route: a hop that the request is still to visit, one of a list (RFC 3261 §20.34).

use super::shapes::name_addr_header;

name_addr_header! {
    /// A proxy's URI, with `lr` where that is a loose router.
    Route
}
