//! RSeq: the number of a reliable provisional response (RFC 3262 §7.1).

use super::shapes::number_header;

number_header! {
    /// Counted up by one for each of a transaction.
    RSeq(u32)
}
