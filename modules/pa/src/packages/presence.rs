//! `presence` (RFC 3856): registrations and publications, joined to one presence document.

use bytes::Bytes;
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::Limits;

use super::authorization::Authorization;
use super::package::{EventPackage, Notified, Published, Terms};
use crate::composition::{Composition, Part};
use crate::documents::{Body, ContentType, DocumentType, Form};
use crate::presentity::Presentity;
use crate::publication::Content;
use crate::rejection::Rejection;

/// The package `presence`.
#[derive(Debug)]
pub struct Presence {
    terms: Terms,
    composition: Composition,
}

impl Presence {
    pub fn new(authorization: Authorization, composition: Composition) -> Self {
        let terms = Terms {
            name: "presence".into(),
            notified: Notified::Types(&[DocumentType::Pidf]),
            published: Published::Types(&[DocumentType::Pidf]),
            authorization,
            observes: None,
        };
        Self { terms, composition }
    }
}

impl EventPackage for Presence {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn read(&self, content_type: &str, body: Bytes, publisher: u64) -> Result<Content, Rejection> {
        let pidf = Pidf::parse(&body, &Limits::default()).map_err(Rejection::BadDocument)?;
        Ok(Content { content_type: content_type.into(), body, part: Part::of_publication(&pidf, publisher) })
    }

    fn compose(&self, presentity: &Presentity, form: &Form) -> Option<Body> {
        let Form::Made(document) = form else {
            return None;
        };
        let text = match document {
            DocumentType::Pidf => self.composition.compose(presentity),
        };
        Some(Body::new(ContentType::Known(document.content_type()), text.into()))
    }
}
