//! Max-Breadth: how many branches a request may still be forked into at one time (RFC 5393 §5.3.3).

use super::shapes::number_header;

number_header! {
    /// Shared out among the branches; 440 where there is none left.
    MaxBreadth(u32)
}
