//! A presence document as a whole (RFC 3863 §4.1.1).

use super::error::{push_bounded, push_extension};
use super::{MAX_NOTES, MAX_TUPLES, NAMESPACE, Note, PidfError, Tuple};
use crate::xml::{Document, Fragment, Limits, decode, push_attribute};

/// A presence document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pidf {
    /// The presentity's URI, as it is written in the document.
    pub entity: String,
    pub tuples: Vec<Tuple>,
    pub notes: Vec<Note>,
    pub extensions: Vec<Fragment>,
}

impl Pidf {
    /// Reads and validates a document. Children may stand in any order, as many clients don't keep to the schema's.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, PidfError> {
        Self::of_text(&decode(text, None, limits)?, limits)
    }

    /// As the function above, for a text that is already [decoded](decode).
    pub fn of_text(text: &str, limits: &Limits) -> Result<Self, PidfError> {
        Self::of_namespace(text, limits, NAMESPACE)
    }

    /// The same for a format that differs from PIDF in its namespace only.
    pub(crate) fn of_namespace(text: &str, limits: &Limits, namespace: &str) -> Result<Self, PidfError> {
        let document = Document::of_text(text, limits)?;
        let root = document.root();
        if !root.is(namespace, "presence") {
            return Err(PidfError::Root);
        }
        let entity = root.attribute("entity").map(str::trim).filter(|entity| !entity.is_empty());
        let mut pidf = Self { entity: entity.ok_or(PidfError::Entity)?.to_owned(), ..Self::default() };
        for child in root.children() {
            match (child.namespace() == namespace, child.name()) {
                (true, "tuple") => push_bounded(&mut pidf.tuples, Tuple::read(child, namespace)?, MAX_TUPLES, "tuple")?,
                (true, "note") => push_bounded(&mut pidf.notes, Note::read(child), MAX_NOTES, "note")?,
                (true, _) => {} // §4.2.3: what isn't known is ignored.
                (false, _) => push_extension(&mut pidf.extensions, child)?,
            }
        }
        for (i, tuple) in pidf.tuples.iter().enumerate() {
            if pidf.tuples[..i].iter().any(|other| other.id == tuple.id) {
                return Err(PidfError::SameTupleId);
            }
        }
        Ok(pidf)
    }

    /// Appends the whole document.
    pub fn write(&self, out: &mut String) {
        self.write_in(out, NAMESPACE);
    }

    /// The same for a format that differs from PIDF in its namespace only.
    pub(crate) fn write_in(&self, out: &mut String, namespace: &str) {
        write_head_in(out, &self.entity, namespace);
        self.tuples.iter().for_each(|tuple| tuple.write(out, ""));
        self.notes.iter().for_each(|note| note.write(out));
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        write_tail(out);
    }
}

/// What comes before the tuples. Between this and [`write_tail`] stand tuples, then notes, then extensions.
pub fn write_head(out: &mut String, entity: &str) {
    write_head_in(out, entity, NAMESPACE);
}

/// The same for a format that differs from PIDF in its namespace only.
pub fn write_head_in(out: &mut String, entity: &str, namespace: &str) {
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence");
    push_attribute(out, "xmlns", namespace);
    push_attribute(out, "entity", entity);
    out.push('>');
}

/// What comes behind the last element.
pub fn write_tail(out: &mut String) {
    out.push_str("</presence>\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Basic, Contact, Priority, Timestamp};
    use super::*;
    use crate::xml::XmlError;

    fn parse(text: &str) -> Result<Pidf, PidfError> {
        Pidf::parse(text.as_bytes(), &Limits::default())
    }

    fn printed(pidf: &Pidf) -> String {
        let mut out = String::new();
        pidf.write(&mut out);
        out
    }

    /// RFC 3863 §4.3.1.
    const EXAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
   <presence xmlns="urn:ietf:params:xml:ns:pidf"
        xmlns:im="urn:ietf:params:xml:ns:pidf:im"
        xmlns:myex="http://id.example.com/presence/"
        entity="pres:someone@example.com">
     <tuple id="bs35r9">
       <status>
         <basic>open</basic>
         <im:im>busy</im:im>
         <myex:location>home</myex:location>
       </status>
       <contact priority="0.8">im:someone@mobilecarrier.net</contact>
       <note xml:lang="en">Don't Disturb Please!</note>
       <note xml:lang="fr">Ne derangez pas, s'il vous plait</note>
       <timestamp>2001-10-27T16:49:29Z</timestamp>
     </tuple>
     <tuple id="eg92n8">
       <status>
         <basic>open</basic>
       </status>
       <contact priority="1.0">mailto:someone@example.com</contact>
     </tuple>
     <note>I'll be in Tokyo next week</note>
   </presence>"#;

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let pidf = parse(EXAMPLE).unwrap();
        assert_eq!(pidf.entity, "pres:someone@example.com");
        let tuple = &pidf.tuples[0];
        assert_eq!((tuple.id.as_str(), tuple.basic), ("bs35r9", Some(Basic::Open)));
        let statuses: Vec<_> = tuple.status_extensions.iter().map(|e| (e.namespace(), e.name())).collect();
        assert_eq!(
            statuses,
            [("urn:ietf:params:xml:ns:pidf:im", "im"), ("http://id.example.com/presence/", "location")]
        );
        let contact =
            Contact { uri: "im:someone@mobilecarrier.net".to_owned(), priority: Some(Priority::from_thousandths(800)) };
        assert_eq!(tuple.contact, Some(contact));
        assert_eq!(
            tuple.notes[1],
            Note { lang: Some("fr".to_owned()), text: "Ne derangez pas, s'il vous plait".to_owned() }
        );
        assert_eq!(tuple.timestamp.as_ref().unwrap().at().unix_timestamp(), 1_004_201_369);
        assert_eq!(pidf.tuples[1].contact.as_ref().unwrap().priority, Some(Priority::from_thousandths(1000)));
        assert_eq!(pidf.notes[0].text, "I'll be in Tokyo next week");
    }

    #[test]
    fn a_document_that_was_read_and_written_reads_the_same() {
        let pidf = parse(EXAMPLE).unwrap();
        assert_eq!(parse(&printed(&pidf)).unwrap(), pidf);
    }

    #[test]
    fn prefixed_documents_and_tuple_extensions_are_read() {
        // RFC 3863 §4.3.2.
        let text = r#"<impp:presence xmlns:impp="urn:ietf:params:xml:ns:pidf" xmlns:myex="http://id.example.com/presence/" entity="pres:someone@example.com">
          <impp:tuple id="ck38g9"><impp:status><impp:basic>open</impp:basic></impp:status><myex:mytupletag>Extended value in tuple</myex:mytupletag>
          <impp:contact priority="0.65">
            tel:+09012345678</impp:contact></impp:tuple><myex:mytag>My extended presentity information</myex:mytag></impp:presence>"#;
        let pidf = parse(text).unwrap();
        assert_eq!(pidf.tuples[0].extensions[0].name(), "mytupletag");
        assert_eq!(pidf.tuples[0].contact.as_ref().unwrap().uri, "tel:+09012345678");
        let extension = "<myex:mytag xmlns:myex=\"http://id.example.com/presence/\">My extended presentity information</myex:mytag>";
        assert_eq!(pidf.extensions[0].as_str(), extension);
        assert!(printed(&pidf).ends_with(&format!("{extension}</presence>\n")));
    }

    #[test]
    fn what_is_not_valid_is_refused_with_its_reason() {
        let document = |inside: &str| {
            format!("<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'>{inside}</presence>")
        };
        let tuple = |inside: &str| document(&format!("<tuple id='t'>{inside}</tuple>"));
        let status = "<status><basic>open</basic></status>";
        let cases = [
            ("<presence entity='pres:a@b'/>".to_owned(), PidfError::Root),
            ("<presence xmlns='urn:ietf:params:xml:ns:pidf'/>".to_owned(), PidfError::Entity),
            (document(&format!("<tuple>{status}</tuple>")), PidfError::TupleId),
            (
                document(&format!("<tuple id='t'>{status}</tuple><tuple id='t'>{status}</tuple>")),
                PidfError::SameTupleId,
            ),
            (tuple(""), PidfError::Status),
            (tuple("<status/>"), PidfError::Status),
            (tuple("<status><other/></status>"), PidfError::Status),
            (tuple(&format!("{status}{status}")), PidfError::Twice("status")),
            (tuple(&format!("{status}<contact>a:b</contact><contact>a:c</contact>")), PidfError::Twice("contact")),
            (document(&"<note>x</note>".repeat(MAX_NOTES + 1)), PidfError::TooMany("note")),
        ];
        for (text, error) in cases {
            assert_eq!(parse(&text), Err(error), "{text}");
        }
        assert!(matches!(parse("<presence"), Err(PidfError::Xml(_))));
        assert_eq!(parse(&document("<unknown/>")).unwrap().tuples.len(), 0);
    }

    fn with_tuple(inside: &str) -> String {
        format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'><tuple id='t'>{inside}</tuple></presence>"
        )
    }

    #[test]
    fn a_basic_status_is_open_or_closed_or_the_unknown_of_baresip() {
        let basic = |word: &str| {
            let read = parse(&with_tuple(&format!("<status><basic>{word}</basic></status>")));
            read.map(|pidf| pidf.tuples[0].basic)
        };
        assert_eq!(basic(" open\n"), Ok(Some(Basic::Open)));
        assert_eq!(basic("unknown"), Ok(Some(Basic::Closed)));
        for word in ["OPEN", "Open", "CLOSED", "Unknown", "opened", "open closed", "away", ""] {
            assert_eq!(basic(word), Err(PidfError::Basic), "{word}");
        }
    }

    #[test]
    fn a_bad_timestamp_costs_the_timestamp_and_not_the_document() {
        let status = "<status><basic>open</basic></status>";
        for bad in ["yesterday", "", "2026-13-01T00:00:00Z", "2026-11-30t00:00:00z", "2026-11-30"] {
            let pidf = parse(&with_tuple(&format!("{status}<timestamp>{bad}</timestamp><note>n</note>"))).unwrap();
            assert_eq!((&pidf.tuples[0].timestamp, pidf.tuples[0].notes.len()), (&None, 1), "{bad}");
        }
        let good = "<timestamp>2026-11-30T00:00:00Z</timestamp>";
        let pidf = parse(&with_tuple(&format!("{status}<timestamp>noon</timestamp>{good}"))).unwrap();
        assert_eq!(pidf.tuples[0].timestamp, Timestamp::parse("2026-11-30T00:00:00Z"));
    }

    #[test]
    fn a_document_in_another_encoding_says_the_same() {
        let text = |encoding: &str| {
            let inside = with_tuple("<status><basic>open</basic></status><note>é</note>");
            format!("<?xml version='1.0' encoding='{encoding}'?>{inside}")
        };
        let utf16 = format!("\u{feff}{}", text("UTF-16")).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let latin1 = text("iso-8859-1").chars().map(|c| c as u8).collect::<Vec<_>>();
        for bytes in [utf16, latin1] {
            assert_eq!(Pidf::parse(&bytes, &Limits::default()), parse(&text("UTF-8")));
        }
    }

    #[test]
    fn notes_that_inherit_a_language_do_not_multiply_a_long_one() {
        let lang = "x".repeat(30_000);
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xml:lang='{lang}' entity='pres:a@b'>{}</presence>",
            "<note>n</note>".repeat(MAX_NOTES)
        );
        let pidf = parse(&text).unwrap();
        assert!(pidf.notes.iter().all(|note| note.lang.is_none()));
        assert!(printed(&pidf).len() < text.len());
    }

    #[test]
    fn a_long_namespace_is_not_repeated_without_a_limit() {
        // This datagram would otherwise take 516 MB of memory.
        for (declaration, element) in [("xmlns:n", "<n:b/>"), ("xmlns:n", "<b xmlns='u' n:c=''/>"), ("xmlns", "<b/>")] {
            let tuples = (0..60).map(|i| {
                let inside = element.repeat(60);
                format!("<p:tuple id='{i}'><p:status><p:basic>open</p:basic></p:status>{inside}</p:tuple>")
            });
            let text = format!(
                "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' {declaration}='{}' entity='pres:a@b'>{}</p:presence>",
                "u".repeat(32_000),
                tuples.collect::<String>()
            );
            assert!(matches!(parse(&text), Err(PidfError::Xml(XmlError::Repetition(_)))), "{declaration}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zA-Z<>&\"'éß]([\\PC]{0,10}[a-z<&])?"
    }

    prop_compose! {
        fn tuples()(list in proptest::collection::vec((any::<bool>(), text(), proptest::option::of(0..=1000u16), text()), 0..4)) -> Vec<Tuple> {
            let tuple = |(i, (open, uri, priority, note)): (usize, (bool, String, Option<u16>, String))| Tuple {
                id: format!("{i}{note}"),
                basic: Some(if open { Basic::Open } else { Basic::Closed }),
                contact: Some(Contact { uri, priority: priority.map(Priority::from_thousandths) }),
                notes: vec![Note { lang: None, text: note }],
                timestamp: Timestamp::parse("2026-11-21T01:02:03.5+01:00"),
                ..Tuple::default()
            };
            list.into_iter().enumerate().map(tuple).collect()
        }
    }

    proptest! {
        #[test]
        fn any_document_is_read_as_it_was_written(entity in text(), tuples in tuples(), lang in "[a-z]{2}", note in text()) {
            let notes = vec![Note { lang: Some(lang), text: note }];
            let pidf = Pidf { entity, tuples, notes, extensions: Vec::new() };
            prop_assert_eq!(parse(&printed(&pidf)).unwrap(), pidf);
        }
    }
}
