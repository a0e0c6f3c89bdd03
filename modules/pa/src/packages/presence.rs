//! `presence` (RFC 3856): registrations and publications, joined to one presence document.

use bytes::Bytes;
use signalbox_documents::lpidf::Lpidf;
use signalbox_documents::pidf::{self, Pidf};
use signalbox_documents::xml::{self, Limits};
use signalbox_documents::{cpim_pidf, xpidf};

use super::authorization::Authorization;
use super::package::{EventPackage, Notified, Published, Terms};
use crate::composition::{self, Composition, Part};
use crate::documents::{Body, ContentType, DocumentType, Form, charset};
use crate::presentity::Presentity;
use crate::publication::{Content, MAX_BODY};
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
            notified: Notified::Types(&DocumentType::PRESENCE),
            published: Published::Types(&[DocumentType::Pidf, DocumentType::CpimPidf, DocumentType::Rpid]),
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
        let limits = Limits { bytes: MAX_BODY, ..Limits::default() };
        let text =
            xml::decode(&body, charset(content_type), &limits).map_err(|error| Rejection::BadDocument(error.into()))?;
        let pidf = match DocumentType::parse(content_type) {
            Some(DocumentType::CpimPidf) => cpim_pidf::of_text(&text, &limits),
            _ => Pidf::of_text(&text, &limits),
        };
        let part = Part::of_publication(&pidf.map_err(Rejection::BadDocument)?, publisher);
        Ok(Content { content_type: content_type.into(), body, part, dialogs: Box::default(), room: None })
    }

    fn compose(&self, presentity: &Presentity, form: &Form) -> Option<Body> {
        let Form::Made(document) = form else {
            return None;
        };
        let (entity, parts) = (presentity.entity(), self.composition.choose(presentity));
        let mut text = String::new();
        match document {
            DocumentType::Pidf | DocumentType::Rpid => {
                text = composition::union(pidf::NAMESPACE, &entity, parts.iter().copied());
            }
            DocumentType::CpimPidf => {
                text = composition::union(cpim_pidf::NAMESPACE, &entity, parts.iter().copied());
            }
            DocumentType::Xpidf => xpidf::write(&composition::merged(&entity, &parts), &presentity.aor, &mut text),
            DocumentType::WatcherInfo | DocumentType::DialogInfo => return None,
            DocumentType::Lpidf | DocumentType::LpidfXml => {
                Lpidf::of(&composition::merged(&entity, &parts), &presentity.aor).write(&mut text);
            }
        }
        Some(Body::new(ContentType::Known(document.content_type()), text.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::packages::PRESENCE;
    use crate::presentity::{Domain, Key};
    use crate::publication::Publication;
    use crate::token::Token;

    fn presence() -> Presence {
        Presence::new(Authorization::Everybody, Composition::Union)
    }

    fn published(documents: &[(DocumentType, String)]) -> Presentity {
        let key = Key { package: PRESENCE, domain: Domain::Registrar, uid: "alice".into() };
        let mut presentity = Presentity::new(key, "sip:alice@example.com");
        let now = Instant::now();
        for (id, (document, text)) in (0..).zip(documents) {
            let content = presence().read(document.content_type(), text.clone().into(), id).unwrap();
            let publication = Publication {
                id,
                entity_tag: Token(id),
                expires_at: now + Duration::from_secs(100),
                modified: now,
                content: content.into(),
            };
            presentity.publications.restore(publication, usize::MAX).unwrap();
        }
        presentity
    }

    fn document(namespace: &str, contact: &str) -> String {
        format!(
            "<presence xmlns='{namespace}' entity='pres:alice@example.com'><tuple id='t'><status><basic>open</basic></status>\
             <contact priority='0.5'>{contact}</contact></tuple></presence>"
        )
    }

    fn told(presentity: &Presentity, document: DocumentType) -> String {
        let body = presence().compose(presentity, &Form::Made(document)).unwrap();
        assert_eq!(body.content_type.as_str(), document.content_type());
        String::from_utf8(body.bytes.to_vec()).unwrap()
    }

    #[test]
    fn whatever_was_published_is_told_in_every_form() {
        let presentity = published(&[
            (DocumentType::Pidf, document(pidf::NAMESPACE, "sip:a@there")),
            (DocumentType::CpimPidf, document(cpim_pidf::NAMESPACE, "sip:b@there")),
            (DocumentType::Rpid, document(pidf::NAMESPACE, "sip:c@there")),
        ]);
        for form in DocumentType::PRESENCE {
            let text = told(&presentity, form);
            for contact in ["sip:a@there", "sip:b@there", "sip:c@there"] {
                assert!(text.contains(contact), "{form:?}: {text}");
            }
        }
        let cpim = told(&presentity, DocumentType::CpimPidf);
        assert_eq!(cpim_pidf::parse(cpim.as_bytes(), &Limits::default()).unwrap().tuples.len(), 3);
    }

    #[test]
    fn of_nothing_each_form_is_valid_and_closed() {
        let presentity = published(&[]);
        for form in [DocumentType::Pidf, DocumentType::CpimPidf, DocumentType::Rpid, DocumentType::Xpidf] {
            assert!(told(&presentity, form).contains("closed"), "{form:?}");
        }
        assert_eq!(told(&presentity, DocumentType::Lpidf), "To: sip:alice@example.com\r\n");
    }

    #[test]
    fn more_tuples_than_a_document_may_have_are_told_as_far_as_they_go() {
        let further = |n| {
            format!(
                "<tuple id='t{n}'><status><basic>open</basic></status><contact>sip:{n}@there</contact></tuple></presence>"
            )
        };
        let one = document(pidf::NAMESPACE, "sip:a@there");
        let four = (0..3).fold(one, |text, n| text.replace("</presence>", &further(n)));
        let text = told(&published(&vec![(DocumentType::Pidf, four); 50]), DocumentType::Lpidf);
        assert_eq!(text.lines().count(), 1 + pidf::MAX_TUPLES);
    }

    #[test]
    fn a_document_under_another_name_than_its_own_is_refused() {
        let cpim = document(cpim_pidf::NAMESPACE, "sip:a");
        let refused = presence().read("application/pidf+xml", cpim.into(), 1);
        assert!(matches!(refused, Err(Rejection::BadDocument(_))));
    }
}
