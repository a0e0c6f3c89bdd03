//! Max-Forwards: how many more proxies the request may pass (RFC 3261 §20.22).

use super::shapes::number_header;

number_header! {
    /// 0 to 255; at 0 a proxy answers 483 (§16.3 item 3).
    MaxForwards(u8)
}
