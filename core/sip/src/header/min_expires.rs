//! Min-Expires: the shortest that a 423 would accept (RFC 3261 §20.23).

use super::shapes::seconds_header;

seconds_header! {
    /// What the client should ask for next.
    MinExpires
}
