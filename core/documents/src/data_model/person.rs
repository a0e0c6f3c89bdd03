//! `<person>`: the human that a presentity stands for (RFC 4479 §3.2).

use super::{DECLARATION, NAMESPACE};
use crate::cipid::Cipid;
use crate::pidf::{self, Note, Timestamp};
use crate::rpid::Rpid;
use crate::xml::{Document, Element, Fragment, Limits, XmlError, push_attribute};

/// What is said about a person. Several of them in a document are several views of the same one (§3.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// Tells this occurrence from others; empty where the document has none.
    pub id: String,
    pub rpid: Rpid,
    pub cipid: Cipid,
    /// Elements that are neither.
    pub extensions: Vec<Fragment>,
    /// The person's own: without any, those of the document hold (§5).
    pub notes: Vec<Note>,
    pub timestamp: Option<Timestamp>,
}

impl Person {
    /// Reads an extension element of a presence document. None where it is no `<person>`.
    pub fn read(fragment: &Fragment) -> Option<Self> {
        if (fragment.namespace(), fragment.name()) != (NAMESPACE, "person") {
            return None;
        }
        let document = Document::parse(fragment.as_str().as_bytes(), &Limits::default()).ok()?;
        let root = document.root();
        let mut person = Self { id: root.attribute("id").unwrap_or_default().to_owned(), ..Self::default() };
        root.children().for_each(|child| person.take(child));
        Some(person)
    }

    fn take(&mut self, element: Element<'_>) {
        match (element.namespace(), element.name()) {
            (NAMESPACE | pidf::NAMESPACE, "note") if self.notes.len() < pidf::MAX_NOTES => {
                self.notes.push(Note::read(element));
            }
            (NAMESPACE, "timestamp") if self.timestamp.is_none() => self.timestamp = Timestamp::parse(element.text()),
            // One timestamp, and no more notes: as extensions they would stand before those that count.
            (NAMESPACE, "timestamp") | (NAMESPACE | pidf::NAMESPACE, "note") => {}
            _ if self.rpid.take(element) || self.cipid.take(element) => {}
            _ if self.extensions.len() < pidf::MAX_EXTENSIONS => self.extensions.extend(element.to_fragment()),
            _ => {}
        }
    }

    /// Appends the element, with all declarations that it needs.
    pub fn write(&self, out: &mut String) {
        out.push_str("<dm:person");
        out.push_str(DECLARATION);
        self.rpid.declare(out);
        self.cipid.declare(out);
        if !self.id.is_empty() {
            push_attribute(out, "id", &self.id);
        }
        out.push('>');
        self.rpid.write(out);
        self.cipid.write(out);
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        self.notes.iter().for_each(|note| note.write_as("dm:note", out));
        if let Some(timestamp) = &self.timestamp {
            timestamp.write_as("dm:timestamp", out);
        }
        out.push_str("</dm:person>");
    }

    /// The element as it is written among the extensions of a document. Fails if it is larger than a document may be.
    pub fn to_fragment(&self) -> Result<Fragment, XmlError> {
        let mut text = String::with_capacity(512);
        self.write(&mut text);
        Fragment::parse(&text)
    }
}
