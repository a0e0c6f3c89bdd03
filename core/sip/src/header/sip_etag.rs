//! SIP-ETag: the entity tag of a publication (RFC 3903 §11.3.1).

use super::shapes::token_header;

token_header! {
    /// The tag that the publisher names next time in SIP-If-Match.
    SipEtag
}
