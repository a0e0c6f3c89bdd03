//! Service-Route: a hop that requests of a registered phone should visit, one of a list (RFC 3608 §5).

use super::shapes::name_addr_header;

name_addr_header! {
    /// A hop in the order of Route.
    ServiceRoute
}
