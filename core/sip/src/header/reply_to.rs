//! Reply-To: where to call back (RFC 3261 §20.31).

use super::shapes::name_addr_header;

name_addr_header! {
    /// Perhaps another than From.
    ReplyTo
}
