//! Why a REGISTER is refused, and the response that says so.

use std::time::Duration;

use signalbox_sip::header::HeaderName;

use crate::tables::MAX_TABLES;

/// When to ask again for what there is no room for now.
const RETRY: Duration = Duration::from_secs(60);

/// A REGISTER that changes nothing. [`Rejection::status`] is the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is malformed")]
    Malformed(&'static str),
    #[error("Contact: * needs Expires: 0 and no other contact")]
    Star,
    #[error("texts of one binding are longer than {} bytes together", crate::binding::MAX_TEXT)]
    TooLong,
    #[error("more than {0} contacts in one request")]
    TooManyInRequest(usize),
    #[error("CSeq {cseq} is not higher than {stored} of the same Call-ID")]
    OutOfOrder { cseq: u32, stored: u32 },
    #[error("an expiry of {requested:?} is less than {minimum:?}")]
    TooBrief { requested: Duration, minimum: Duration },
    #[error("more than {0} contacts for this address of record")]
    TooManyContacts(usize),
    #[error("no room for more than {0} addresses of record")]
    Full(usize),
    #[error("the database did not store it")]
    NotStored { retry_after: Option<Duration> },
    #[error("the address of record is not of the domain in the Request-URI")]
    OtherDomain,
    #[error("extension {0} is not supported")]
    BadExtension(String),
    #[error("more than {MAX_TABLES} location tables")]
    TooManyTables,
}

impl Rejection {
    /// Status code and reason phrase.
    pub(crate) fn status(&self) -> (u16, &'static str) {
        match self {
            // §10.3 step 6 calls it Invalid Request.
            Self::Star => (400, "Invalid Request"),
            Self::Missing(_) | Self::Malformed(_) => (400, "Bad Request"),
            Self::TooLong | Self::TooManyInRequest(_) => (413, "Request Entity Too Large"),
            Self::TooBrief { .. } => (423, "Interval Too Brief"),
            // §10.3 step 7: "the request MUST fail with a 500 (Server Error) response".
            Self::OutOfOrder { .. } => (500, "Out of Order CSeq"),
            // Not in the RFC; SER and its descendants answer so.
            Self::TooManyContacts(_) => (503, "Too Many Registered Contacts"),
            Self::Full(_) | Self::NotStored { retry_after: Some(_) } => (503, "Service Unavailable"),
            Self::NotStored { retry_after: None } | Self::TooManyTables => (500, "Server Internal Error"),
            Self::OtherDomain => (404, "Not Found"),
            Self::BadExtension(_) => (420, "Bad Extension"),
        }
    }

    /// The header that goes with the status.
    pub(crate) fn header(&self) -> Option<(HeaderName, String)> {
        let seconds = |span: Duration| span.as_secs().to_string();
        match self {
            Self::TooBrief { minimum, .. } => Some((HeaderName::MinExpires, seconds(*minimum))),
            Self::BadExtension(tags) => Some((HeaderName::Unsupported, tags.clone())),
            Self::Full(_) => Some((HeaderName::RetryAfter, seconds(RETRY))),
            Self::NotStored { retry_after } => Some((HeaderName::RetryAfter, seconds((*retry_after)?))),
            _ => None,
        }
    }
}
