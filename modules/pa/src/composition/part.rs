//! From what publishers and the registrar say to one presence document (RFC 4479 §3, RFC 3903 §1).
//!
//! Each publisher's document is rendered once, when it arrives, with ids of its own; composing then only joins texts.

use signalbox_documents::data_model;
use signalbox_documents::pidf::{self, Basic, Contact, Pidf, Priority, Tuple};
use signalbox_documents::xml::{Fragment, Limits};

/// What one publisher adds to the composed document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Tuples, then notes, then extension elements: their order in a document.
    text: Box<str>,
    tuples_end: u32,
    notes_end: u32,
    /// A tuple is open.
    open: bool,
    /// The highest priority of an open tuple's contact, in thousandths.
    priority: u16,
}

impl Part {
    /// Renders a publication. `publisher` sets its ids apart from all others' of the presentity.
    pub fn of_publication(document: &Pidf, publisher: u64) -> Self {
        let prefix = format!("p{publisher:x}-");
        let mut text = String::with_capacity(512);
        document.tuples.iter().for_each(|tuple| tuple.write(&mut text, &prefix));
        let tuples_end = text.len() as u32;
        document.notes.iter().for_each(|note| note.write(&mut text));
        let notes_end = text.len() as u32;
        for (extension, i) in document.extensions.iter().zip(0..) {
            write_extension(extension, i, &prefix, &mut text);
        }
        let open = || document.tuples.iter().filter(|tuple| tuple.basic == Some(Basic::Open));
        let priority = |tuple: &Tuple| tuple.contact.as_ref()?.priority.map(Priority::thousandths);
        let highest = open().filter_map(priority).max().unwrap_or(0);
        Self { text: text.into(), tuples_end, notes_end, open: open().next().is_some(), priority: highest }
    }

    /// Renders a registered contact, open while it is registered.
    pub fn of_contact(uri: &str, q: u16, open: bool) -> Self {
        let tuple = Tuple {
            id: format!("r{:x}", fingerprint(uri)),
            basic: Some(if open { Basic::Open } else { Basic::Closed }),
            contact: Some(Contact { uri: uri.to_owned(), priority: Some(Priority::from_thousandths(q)) }),
            ..Tuple::default()
        };
        let mut text = String::new();
        tuple.write(&mut text, "");
        let end = text.len() as u32;
        Self { text: text.into(), tuples_end: end, notes_end: end, open, priority: if open { q } else { 0 } }
    }

    /// Octets that it adds to a document.
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// How much it counts beside others: open before closed, then by the priority of its contacts (RFC 3863 §4.1.5).
    pub fn rank(&self) -> (bool, u16) {
        (self.open, self.priority)
    }

    fn tuples(&self) -> &str {
        self.text.get(..self.tuples_end as usize).unwrap_or_default()
    }

    fn notes(&self) -> &str {
        self.text.get(self.tuples_end as usize..self.notes_end as usize).unwrap_or_default()
    }

    fn extensions(&self) -> &str {
        self.text.get(self.notes_end as usize..).unwrap_or_default()
    }
}

/// Persons and devices have an id in every document (RFC 4479 §5), also where their publisher gave them none. `i` is the place among the
/// extensions of the publication.
fn write_extension(extension: &Fragment, i: u32, prefix: &str, text: &mut String) {
    let needs_id = extension.namespace() == data_model::NAMESPACE && matches!(extension.name(), "person" | "device");
    if needs_id && extension.id().is_none() {
        extension.clone().with_id(&format!("{i}")).push_with_id_prefix(text, prefix);
    } else {
        extension.push_with_id_prefix(text, prefix);
    }
}

/// Joins all parts (composition `union`). A presentity of which nothing is known has one closed tuple, as some clients
/// take a document without any for a broken one. `namespace` is that of PIDF, or of a format that differs in nothing else.
pub fn union<'p>(namespace: &str, entity: &str, parts: impl Iterator<Item = &'p Part> + Clone) -> String {
    let length: usize = parts.clone().map(|part| part.text.len()).sum();
    let mut out = String::with_capacity(length + entity.len() + 192);
    pidf::write_head_in(&mut out, entity, namespace);
    let before = out.len();
    parts.clone().for_each(|part| out.push_str(part.tuples()));
    if out.len() == before {
        out.push_str("<tuple id=\"");
        out.push_str(NOBODY);
        out.push_str("\"><status><basic>closed</basic></status></tuple>");
    }
    parts.clone().for_each(|part| out.push_str(part.notes()));
    parts.for_each(|part| out.push_str(part.extensions()));
    pidf::write_tail(&mut out);
    out
}

/// The same as values, for formats that are not joined of texts: as many tuples as a document may have.
pub fn merged(entity: &str, parts: &[&Part]) -> Pidf {
    let mut whole = Pidf { entity: entity.to_owned(), ..Pidf::default() };
    for part in parts {
        let text = union(pidf::NAMESPACE, entity, std::iter::once(*part));
        // What a publisher could say at once can be read again.
        if let Ok(one) = Pidf::of_text(&text, &OWN) {
            let tuples = one.tuples.into_iter().filter(|tuple| tuple.id != NOBODY);
            whole.tuples.extend(tuples);
            whole.notes.extend(one.notes);
            whole.extensions.extend(one.extensions);
        }
    }
    whole.tuples.truncate(pidf::MAX_TUPLES);
    whole
}

/// The limit for documents that this agent wrote. Its prefixes and declarations can make them longer than a published
/// one may be.
const OWN: Limits = Limits {
    bytes: usize::MAX,
    depth: usize::MAX,
    elements: usize::MAX,
    attributes: usize::MAX,
    element_attributes: usize::MAX,
    declarations: usize::MAX,
    repetition: 1,
};

/// The id of the tuple of a presentity that says nothing.
const NOBODY: &str = "none";

/// FNV-1a: a hash that is the same after a restart.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(inside: &str) -> Pidf {
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' entity='pres:a@b'>{inside}</presence>"
        );
        Pidf::parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn compose(parts: &[Part]) -> Pidf {
        Pidf::parse(union(pidf::NAMESPACE, "pres:a@b", parts.iter()).as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn all_publishers_are_in_the_union_and_no_ids_collide() {
        let text = "<tuple id='t'><status><basic>open</basic></status></tuple><note>hi</note><dm:person id='p'/>";
        let composed = compose(&[
            Part::of_publication(&published(text), 1),
            Part::of_publication(&published(text), 2),
            Part::of_contact("sip:a@1.2.3.4", 500, true),
        ]);
        let ids: Vec<_> = composed.tuples.iter().map(|tuple| tuple.id.as_str()).collect();
        assert_eq!(ids[..2], ["p1-t", "p2-t"]);
        assert_eq!(composed.tuples[2].contact.as_ref().unwrap().uri, "sip:a@1.2.3.4");
        assert_eq!(composed.notes.len(), 2);
        let persons: Vec<_> = composed.extensions.iter().map(|extension| extension.id().unwrap()).collect();
        assert_eq!(persons, ["p1-p", "p2-p"]);
    }

    #[test]
    fn a_person_that_was_published_without_an_id_gets_one() {
        let persons = "<dm:person/><dm:person id='p'/><dm:device/>";
        let composed =
            compose(&[Part::of_publication(&published(persons), 1), Part::of_publication(&published(persons), 2)]);
        let ids: Vec<_> = composed.extensions.iter().map(|extension| extension.id().unwrap()).collect();
        assert_eq!(ids, ["p1-0", "p1-p", "p1-2", "p2-0", "p2-p", "p2-2"]);
    }

    #[test]
    fn of_nothing_a_valid_document_with_one_closed_tuple_is_made() {
        let composed = compose(&[]);
        assert_eq!(composed.tuples.len(), 1);
        assert_eq!(composed.tuples[0].basic, Some(Basic::Closed));
        assert_eq!(compose(&[Part::of_publication(&published("<note>x</note>"), 1)]).tuples.len(), 1);
    }

    #[test]
    fn a_part_is_open_when_one_of_its_tuples_is() {
        let closed = "<tuple id='a'><status><basic>closed</basic></status></tuple>";
        let open = "<tuple id='b'><status><basic>open</basic></status></tuple>";
        assert!(!Part::of_publication(&published(closed), 1).is_open());
        assert!(Part::of_publication(&published(&format!("{closed}{open}")), 1).is_open());
        assert!(!Part::of_contact("sip:a@b", 0, false).is_open());
    }

    #[test]
    fn an_open_part_ranks_above_a_closed_one_and_then_by_priority() {
        let tuple = |basic, priority| {
            let text = format!(
                "<tuple id='t'><status><basic>{basic}</basic></status><contact priority='{priority}'>sip:a</contact></tuple>"
            );
            Part::of_publication(&published(&text), 1).rank()
        };
        assert!(tuple("open", "0.1") > tuple("closed", "0.9"));
        assert!(tuple("open", "0.5") > tuple("open", "0.1"));
        assert_eq!(Part::of_contact("sip:a@b", 500, true).rank(), tuple("open", "0.5"));
    }
}
