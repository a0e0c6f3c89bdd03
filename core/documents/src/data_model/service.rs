//! A service: one way to reach the presentity, which is a `<tuple>` (RFC 4479 §3.3, §5).

use super::{DECLARATION, NAMESPACE};
use crate::caps::{self, ServiceCapabilities};
use crate::cipid::Cipid;
use crate::pidf::{self, Basic, Contact, Note, Timestamp, Tuple};
use crate::rpid::Rpid;
use crate::xml::{Document, Element, Fragment, Limits, XmlError, push_text_element};

/// What a tuple says about its service. Several with the same contact are several occurrences of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    pub id: String,
    pub basic: Option<Basic>,
    pub contact: Option<Contact>,
    /// The devices that it runs on: URNs.
    pub device_ids: Vec<String>,
    pub rpid: Rpid,
    pub cipid: Cipid,
    pub capabilities: Option<ServiceCapabilities>,
    /// Elements of the status that are none of these.
    pub status_extensions: Vec<Fragment>,
    /// Elements of the tuple that are none of these.
    pub extensions: Vec<Fragment>,
    pub notes: Vec<Note>,
    pub timestamp: Option<Timestamp>,
}

impl Service {
    /// What the tuple says. An attribute counts as well where it stands in the status, as older ones do (§5).
    pub fn of(tuple: &Tuple) -> Self {
        let mut service = Self {
            id: tuple.id.clone(),
            basic: tuple.basic,
            contact: tuple.contact.clone(),
            notes: tuple.notes.clone(),
            timestamp: tuple.timestamp.clone(),
            ..Self::default()
        };
        let kept = |service: &mut Self, extension: &&Fragment| {
            let document = Document::parse(extension.as_str().as_bytes(), &Limits::default());
            !document.is_ok_and(|document| service.take(document.root()))
        };
        service.extensions = tuple.extensions.iter().filter(|one| kept(&mut service, one)).cloned().collect();
        service.status_extensions =
            tuple.status_extensions.iter().filter(|one| kept(&mut service, one)).cloned().collect();
        service
    }

    fn take(&mut self, element: Element<'_>) -> bool {
        match (element.namespace(), element.name()) {
            (NAMESPACE, "deviceID") if self.device_ids.len() < pidf::MAX_EXTENSIONS => {
                self.device_ids.push(element.text().to_owned());
                true
            }
            (caps::NAMESPACE, "servcaps") if self.capabilities.is_none() => {
                self.capabilities = ServiceCapabilities::read(element);
                true
            }
            _ => self.rpid.take(element) || self.cipid.take(element),
        }
    }

    /// The tuple with this content. Fails if it is larger than a document may be.
    pub fn to_tuple(&self) -> Result<Tuple, XmlError> {
        let mut text = "<service".to_owned();
        if !self.device_ids.is_empty() {
            text.push_str(DECLARATION);
        }
        self.rpid.declare(&mut text);
        self.cipid.declare(&mut text);
        if self.capabilities.is_some() {
            text.push_str(caps::DECLARATION);
        }
        text.push('>');
        self.device_ids.iter().for_each(|device_id| push_text_element(&mut text, "dm:deviceID", device_id));
        self.rpid.write(&mut text);
        self.cipid.write(&mut text);
        self.capabilities.iter().for_each(|capabilities| capabilities.write(&mut text));
        text.push_str("</service>");
        // The few namespaces that are declared here are short.
        let limits = Limits { repetition: usize::MAX, ..Limits::default() };
        let document = Document::of_text(&text, &limits)?;
        let known = document.root().children().map(Element::to_fragment);
        Ok(Tuple {
            id: self.id.clone(),
            basic: self.basic,
            status_extensions: self.status_extensions.clone(),
            extensions: known.chain(self.extensions.iter().cloned().map(Ok)).collect::<Result<_, _>>()?,
            contact: self.contact.clone(),
            notes: self.notes.clone(),
            timestamp: self.timestamp.clone(),
        })
    }
}
