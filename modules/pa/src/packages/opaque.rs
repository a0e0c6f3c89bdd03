//! Packages without code of their own: one document per publisher, the newest is told, as it was published.

use bytes::Bytes;

use super::authorization::Authorization;
use super::package::{EventPackage, Notified, Published, Terms};
use crate::composition::Part;
use crate::documents::{Body, ContentType, Form};
use crate::presentity::Presentity;
use crate::publication::Content;
use crate::rejection::Rejection;

/// A package that the parameter `events` admits.
#[derive(Debug)]
pub struct Opaque {
    terms: Terms,
}

impl Opaque {
    pub fn new(name: &str, authorization: Authorization) -> Self {
        let (notified, published) = (Notified::AsPublished, Published::AnyType);
        Self { terms: Terms { name: name.into(), notified, published, authorization, observes: None } }
    }
}

impl EventPackage for Opaque {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn read(&self, content_type: &str, body: Bytes, _publisher: u64) -> Result<Content, Rejection> {
        Ok(Content {
            content_type: content_type.into(),
            body,
            part: Part::default(),
            dialogs: Box::default(),
            room: None,
        })
    }

    fn compose(&self, presentity: &Presentity, form: &Form) -> Option<Body> {
        let newest = &presentity.publications.newest()?.content;
        let taken = form.takes(&newest.content_type);
        taken.then(|| Body::new(ContentType::Published(newest.content_type.clone()), newest.body.clone()))
    }
}
