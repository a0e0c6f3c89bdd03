//! What the agent must know of an event package (RFC 6665 §5).

use bytes::Bytes;
use signalbox_sip::header::Accept;
use signalbox_sip::message::readable;

use super::authorization::Authorization;
use super::teller::Teller;
use crate::documents::{self, Body, DocumentType, Form};
use crate::presentity::Presentity;
use crate::publication::Content;
use crate::rejection::Rejection;

/// An event package.
pub trait EventPackage: Send + Sync {
    fn terms(&self) -> &Terms;

    /// Reads what somebody publishes, once, into the form that composing needs. `publisher` sets its ids apart from those of others.
    /// Called only with a type that the terms allow.
    fn read(&self, content_type: &str, body: Bytes, publisher: u64) -> Result<Content, Rejection>;

    /// Makes the document of all that is known of a presentity. It is made once for each form and change, and shared by all who may see
    /// the same. None where there is nothing to say.
    fn compose(&self, presentity: &Presentity, form: &Form) -> Option<Body>;

    /// The teller that makes the documents of one presentity, in place of [`Self::compose`], for a package that tells
    /// each watcher what has changed.
    fn teller(&self) -> Option<Box<dyn Teller>> {
        None
    }
}

/// Bytes of an Accept that is kept with a subscription to an opaque package; a longer one is not acceptable.
const MAX_ACCEPT: usize = 1024;

/// What can be read of a package without running it.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The value of Event.
    pub name: Box<str>,
    /// What NOTIFY may carry.
    pub notified: Notified,
    /// What PUBLISH may carry.
    pub published: Published,
    /// Who may subscribe unless something else is known.
    pub authorization: Authorization,
    /// The package whose subscriptions this one tells of: `presence` for `presence.winfo`.
    pub observes: Option<Box<str>>,
}

/// What NOTIFY may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notified {
    /// One of these, best first. The first is the default for watchers without Accept.
    Types(&'static [DocumentType]),
    AsPublished,
}

/// What PUBLISH may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    Types(&'static [DocumentType]),
    AnyType,
    /// The state comes from elsewhere; PUBLISH is answered 489.
    Nothing,
}

impl Terms {
    /// The form for a watcher with this Accept; without Accept the package's default.
    pub fn choose_form(&self, accept: Option<&[Accept<'_>]>) -> Result<Form, Rejection> {
        let chosen = match (self.notified, accept) {
            (Notified::Types(types), None) => types.first().copied().map(Form::Made),
            (Notified::Types(types), Some(ranges)) => documents::negotiate(types, ranges).map(Form::Made),
            (Notified::AsPublished, None) => Some(Form::AsPublished(None)),
            (Notified::AsPublished, Some(ranges)) => {
                let list = ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let list = readable(&list);
                let keeps = list.len() <= MAX_ACCEPT && ranges.iter().any(|range| range.q() > 0);
                keeps.then(|| Form::AsPublished(Some((*list).into())))
            }
        };
        chosen.ok_or(Rejection::NotAcceptable)
    }

    /// Whether a body of this type may be published; 415 with the types that are read, where not.
    pub fn check_published(&self, content_type: &str) -> Result<(), Rejection> {
        let taken = match self.published {
            Published::Types(types) => {
                DocumentType::parse(content_type).is_some_and(|document| types.contains(&document))
            }
            Published::AnyType => documents::essence(content_type).contains('/'),
            Published::Nothing => false,
        };
        if taken { Ok(()) } else { Err(Rejection::UnsupportedMediaType { accepted: self.accept() }) }
    }

    /// The value of Accept that says what PUBLISH may carry.
    pub fn accept(&self) -> String {
        match self.published {
            Published::Types(types) => {
                types.iter().map(|document| document.content_type()).collect::<Vec<_>>().join(", ")
            }
            Published::AnyType => "*/*".to_owned(),
            Published::Nothing => String::new(),
        }
    }
}
