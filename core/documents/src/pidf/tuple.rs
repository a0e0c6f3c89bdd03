//! One way to reach the presentity, and its state (RFC 3863 §4.1.2).

use super::error::{push_bounded, push_extension, set_once};
use super::{Contact, MAX_NOTES, Note, PidfError, Timestamp};
use crate::xml::{Element, Fragment, push_text_element, push_value};

/// One way to reach the presentity, and its state (§4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tuple {
    /// Unique among the tuples of the document.
    pub id: String,
    pub basic: Option<Basic>,
    pub status_extensions: Vec<Fragment>,
    pub extensions: Vec<Fragment>,
    pub contact: Option<Contact>,
    pub notes: Vec<Note>,
    pub timestamp: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basic {
    Open,
    Closed,
}

/// The status that baresip publishes until its user chooses one. It does not say that the user can be reached, so it
/// counts as closed. Other words that §4.1.4 does not define are refused, because `OPEN` would mean the opposite.
const UNKNOWN: &str = "unknown";

impl Tuple {
    pub(super) fn read(element: Element<'_>, namespace: &str) -> Result<Self, PidfError> {
        let id = element.attribute("id").filter(|id| !id.is_empty()).ok_or(PidfError::TupleId)?;
        let mut tuple = Self { id: id.to_owned(), ..Self::default() };
        let mut status = None;
        for child in element.children() {
            match (child.namespace() == namespace, child.name()) {
                (true, "status") => set_once(&mut status, child, "status")?,
                (true, "contact") => set_once(&mut tuple.contact, Contact::read(child), "contact")?,
                (true, "note") => push_bounded(&mut tuple.notes, Note::read(child), MAX_NOTES, "note")?,
                (true, "timestamp") => {
                    // An invalid timestamp is ignored, because the rest of the tuple is more valuable.
                    if let Some(timestamp) = Timestamp::parse(child.text()) {
                        set_once(&mut tuple.timestamp, timestamp, "timestamp")?;
                    }
                }
                (true, _) => {}
                (false, _) => push_extension(&mut tuple.extensions, child)?,
            }
        }
        tuple.read_status(status.ok_or(PidfError::Status)?, namespace)?;
        Ok(tuple)
    }

    fn read_status(&mut self, status: Element<'_>, namespace: &str) -> Result<(), PidfError> {
        for child in status.children() {
            match (child.namespace() == namespace, child.name()) {
                (true, "basic") => {
                    let basic = match child.text() {
                        UNKNOWN => Basic::Closed,
                        text => Basic::parse(text).ok_or(PidfError::Basic)?,
                    };
                    set_once(&mut self.basic, basic, "basic")?;
                }
                (true, _) => {}
                (false, _) => push_extension(&mut self.status_extensions, child)?,
            }
        }
        // Elements of PIDF's own namespace that it doesn't define say nothing.
        if self.basic.is_none() && self.status_extensions.is_empty() { Err(PidfError::Status) } else { Ok(()) }
    }

    /// Appends the element. Its id, and those of its extensions, get the prefix, so that tuples of several publishers can stand in one document.
    pub fn write(&self, out: &mut String, id_prefix: &str) {
        out.push_str("<tuple id=\"");
        out.push_str(id_prefix);
        push_value(out, &self.id);
        out.push_str("\"><status>");
        if let Some(basic) = self.basic {
            push_text_element(out, "basic", basic.as_str());
        }
        self.status_extensions.iter().for_each(|extension| extension.push_with_id_prefix(out, id_prefix));
        out.push_str("</status>");
        self.extensions.iter().for_each(|extension| extension.push_with_id_prefix(out, id_prefix));
        if let Some(contact) = &self.contact {
            contact.write(out);
        }
        self.notes.iter().for_each(|note| note.write(out));
        if let Some(timestamp) = &self.timestamp {
            timestamp.write_as("timestamp", out);
        }
        out.push_str("</tuple>");
    }
}

impl Basic {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_of_two_publishers_get_ids_that_differ() {
        let tuple = Tuple { id: "a\"b".to_owned(), basic: Some(Basic::Closed), ..Tuple::default() };
        let mut out = String::new();
        tuple.write(&mut out, "p1-");
        assert_eq!(out, "<tuple id=\"p1-a&quot;b\"><status><basic>closed</basic></status></tuple>");
    }
}
