//! Why a request is refused, and the response that says so.

use std::borrow::Cow;
use std::time::Duration;

use signalbox_documents::dialog_info::DialogInfoError;
use signalbox_documents::pidf::PidfError;
use signalbox_sip::header::HeaderName;

/// How long a client should wait when the database can't commit or there is no room (Retry-After of a 503).
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A request that isn't accepted. [`Self::status`] and [`Self::header`] are the whole mapping to SIP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the request cannot be read: {0}")]
    Malformed(Cow<'static, str>),
    #[error("the request does not say which event package it is about")]
    MissingEvent,
    #[error("the event package is not supported")]
    BadEvent { allowed: String },
    #[error("nothing that is accepted can be made")]
    NotAcceptable,
    #[error("the type of the body is not supported")]
    UnsupportedMediaType { accepted: String },
    #[error("the body is encoded")]
    UnsupportedEncoding,
    #[error("{0}")]
    BadDocument(PidfError),
    #[error("{0}")]
    BadDialogInfo(DialogInfoError),
    #[error("there is neither an entity tag nor a body")]
    NothingPublished,
    #[error("no publication has this entity tag")]
    UnknownEntityTag,
    #[error("the interval is too brief")]
    TooBrief { minimum: Duration },
    #[error("there is no such subscription")]
    NoSubscription,
    #[error("the dialog has a subscription to something else")]
    DialogSharing,
    #[error("the dialog belongs to another watcher or presentity")]
    ForeignDialog,
    #[error("CSeq is not higher than the last one")]
    CSeq,
    #[error("the body is too large")]
    TooLarge,
    #[error("what is published for the presentity is too large together")]
    TooLargeTogether,
    #[error("the presentity has too many {0}")]
    TooMany(&'static str),
    #[error("the {0} has too many subscriptions already")]
    TooManyOf(&'static str),
    #[error("{name} is longer than {limit} octets")]
    TooLong { name: &'static str, limit: usize },
    #[error("the watcher may not subscribe")]
    Forbidden,
    #[error("the sender may not publish for this user")]
    NotPublisher,
    #[error("an extension is required that is not supported")]
    BadExtension { unsupported: String },
    #[error("there are more subscriptions and presentities than are taken")]
    Full,
    #[error("the database cannot commit now")]
    Storage,
}

impl Rejection {
    /// Status code and reason phrase.
    pub fn status(&self) -> (u16, Cow<'static, str>) {
        let (status, reason) = match self {
            Self::Malformed(what) => (400, what.clone()),
            // RFC 6665 §4.2.3 has 489 here, as a SHOULD that is about PINT; 400 tells a client which of the two is wrong.
            Self::MissingEvent => (400, "Missing Event".into()),
            Self::BadEvent { .. } => (489, "Bad Event".into()),
            Self::NotAcceptable => (406, "Not Acceptable".into()),
            Self::UnsupportedMediaType { .. } => (415, "Unsupported Media Type".into()),
            Self::UnsupportedEncoding => (415, "Unsupported Media Type".into()),
            Self::BadDocument(PidfError::Xml(error)) | Self::BadDialogInfo(DialogInfoError::Xml(error))
                if error.is_of_size() =>
            {
                (413, format!("Request Entity Too Large: {error}").into())
            }
            Self::BadDocument(error) => (400, format!("Bad Document: {error}").into()),
            Self::BadDialogInfo(error) => (400, format!("Bad Document: {error}").into()),
            Self::NothingPublished => (400, "No Entity Tag And No Body".into()),
            Self::UnknownEntityTag => (412, "Conditional Request Failed".into()),
            Self::TooBrief { .. } => (423, "Interval Too Brief".into()),
            Self::NoSubscription => (481, "Subscription Does Not Exist".into()),
            Self::DialogSharing => (403, "Dialog Sharing Not Supported".into()), // RFC 6665 §4.5.2
            Self::ForeignDialog => (403, "Not Your Subscription".into()),
            Self::CSeq => (500, "CSeq Out Of Order".into()), // RFC 3261 §12.2.2
            Self::TooLarge => (413, "Request Entity Too Large".into()),
            // As the registrar has it.
            Self::TooLong { name, .. } => (413, format!("{name} Too Long").into()),
            Self::TooLargeTogether => (413, "Request Entity Too Large: Together With Other Publications".into()),
            Self::TooMany(_) | Self::TooManyOf(_) => (403, "Limit Reached".into()),
            Self::Forbidden => (403, "Forbidden".into()),
            Self::NotPublisher => (403, "This Is Not Your Address".into()),
            Self::BadExtension { .. } => (420, "Bad Extension".into()),
            Self::Full | Self::Storage => (503, "Service Unavailable".into()),
        };
        (status, reason)
    }

    /// Whether a limit on kept state was exceeded. Such rejections are counted and logged.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::TooMany(_) | Self::TooManyOf(_) | Self::Full) || self.status().0 == 413
    }

    /// The header that the response must carry beside the usual ones.
    pub fn header(&self) -> Option<(HeaderName, String)> {
        match self {
            Self::BadEvent { allowed } => Some((HeaderName::AllowEvents, allowed.clone())),
            Self::UnsupportedMediaType { accepted } => Some((HeaderName::Accept, accepted.clone())),
            Self::UnsupportedEncoding => Some((HeaderName::AcceptEncoding, "identity".to_owned())),
            Self::TooBrief { minimum } => Some((HeaderName::MinExpires, minimum.as_secs().to_string())),
            Self::BadExtension { unsupported } => Some((HeaderName::Unsupported, unsupported.clone())),
            Self::Full | Self::Storage => Some((HeaderName::RetryAfter, RETRY_AFTER.as_secs().to_string())),
            _ => None,
        }
    }
}
