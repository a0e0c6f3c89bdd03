//! The Query Status API: the state of a presentity, and its changes, for other modules without SIP. A resource-list server or a
//! gateway subscribes here as a phone would by SUBSCRIBE.
//!
//! The `pa` module provides it where its parameter `accept_internal_subscriptions` is set. Subscriptions last until they are dropped, do not
//! outlive the process, and go by the same authorization as those of phones.

use bytes::Bytes;
use signalbox_documents::data_model;
use signalbox_documents::pidf::{self, Pidf};
use signalbox_documents::xml::Limits;
use signalbox_documents::{cpim_pidf, rpid};
use tokio::sync::watch;

/// Where states are asked for. Calls are short and never wait: they may be made from any thread.
pub trait Presence: Send + Sync {
    /// Subscribes until the result is dropped. The first status is there at once.
    fn subscribe(&self, query: &Query<'_>) -> Result<StatusStream, QueryError>;
}

/// Whose state is wanted by whom.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The event package, such as `presence`.
    pub package: &'a str,
    /// The presentity's address of record: `sip:alice@example.com`.
    pub presentity: &'a str,
    /// The presentity's unique id where scripts set `avp.uid`; else its address of record.
    pub uid: Option<&'a str>,
    /// Who wants to know: a URI.
    pub watcher: &'a str,
    /// The media ranges that are taken, as in Accept; None for the package's default.
    pub accept: Option<&'a str>,
}

/// Why a subscription is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the presentity has no address of record")]
    Presentity,
    #[error("the event package {package:?} is not served")]
    Package { package: String },
    #[error("nothing that is accepted can be made")]
    NotAcceptable,
    #[error("the watcher may not subscribe")]
    Forbidden,
    #[error("there are too many subscriptions to this presentity")]
    TooMany,
}

/// How a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: SubscriptionState,
    /// The composed state; None where the watcher may not see it, or nothing is known that it takes.
    pub document: Option<Document>,
}

/// The state of a subscription (RFC 6665 §4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    Active,
    /// Nobody has decided yet whether the watcher may see the state.
    Pending,
    /// Nothing more comes.
    Terminated,
}

/// A composed state. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub content_type: String,
    pub body: Bytes,
}

impl Document {
    /// What it says of persons (what they do, how they feel, their notes and contact cards), services and devices. None where it is no
    /// presence document, or one with more elements than may be read.
    pub fn presence(&self) -> Option<data_model::Presence> {
        let limits = Limits::default();
        let essence = self.content_type.split(';').next().unwrap_or_default().trim();
        let pidf = match essence {
            pidf::CONTENT_TYPE | rpid::CONTENT_TYPE => Pidf::parse(&self.body, &limits),
            cpim_pidf::CONTENT_TYPE => cpim_pidf::parse(&self.body, &limits),
            _ => return None,
        };
        Some(data_model::Presence::of(&pidf.ok()?))
    }
}

/// A subscription: the newest status, and each change. Statuses that nobody has looked at are replaced by newer ones.
pub struct StatusStream {
    statuses: watch::Receiver<Status>,
    // Ends the subscription when it is dropped.
    _subscription: Box<dyn Send + Sync>,
}

impl StatusStream {
    /// For who provides the service: `subscription` is dropped with the stream.
    pub fn new(statuses: watch::Receiver<Status>, subscription: Box<dyn Send + Sync>) -> Self {
        Self { statuses, _subscription: subscription }
    }

    /// The status now. It then counts as looked at.
    pub fn status(&mut self) -> Status {
        self.statuses.borrow_and_update().clone()
    }

    /// Waits for a status that was not looked at yet. None when nothing more comes.
    pub async fn next(&mut self) -> Option<Status> {
        self.statuses.changed().await.ok()?;
        Some(self.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_document_is_read_whatever_its_type() {
        let read = |content_type: &str, namespace: &str| {
            let body = format!("<presence xmlns='{namespace}' entity='pres:a@b'><note>hi</note></presence>");
            let document = Document { content_type: content_type.to_owned(), body: body.into() };
            document.presence().map(|presence| presence.notes[0].text.clone())
        };
        for content_type in ["application/pidf+xml", "application/pidf+xml; charset=utf-8", "application/rpid+xml"] {
            assert_eq!(read(content_type, pidf::NAMESPACE).as_deref(), Some("hi"), "{content_type}");
        }
        assert_eq!(read(cpim_pidf::CONTENT_TYPE, cpim_pidf::NAMESPACE).as_deref(), Some("hi"));
        assert_eq!(read("text/plain", pidf::NAMESPACE), None);
        assert_eq!(read("application/pidf+xml", "urn:x"), None);
    }
}
