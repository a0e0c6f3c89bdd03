//! Expires: how long a registration, subscription, publication or message is to hold (RFC 3261 §20.19).

use super::shapes::seconds_header;

seconds_header! {
    /// Zero ends it.
    Expires
}
