//! Refer-To: what a REFER's recipient is to contact (RFC 3515 §2.1).

use super::shapes::name_addr_header;

name_addr_header! {
    /// A URI, often with a `method` parameter or headers inside.
    ReferTo
}
