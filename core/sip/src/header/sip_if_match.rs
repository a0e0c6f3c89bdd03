//! SIP-If-Match: the entity tag of the publication to refresh, change or remove (RFC 3903 §11.3.2).

use super::shapes::token_header;

token_header! {
    /// A tag that came as SIP-ETag; 412 where no publication has it.
    SipIfMatch
}
