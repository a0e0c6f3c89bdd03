//! PIDF, the Presence Information Data Format (RFC 3863): `application/pidf+xml`.
//!
//! Elements of other namespaces (the data model of RFC 4479, RPID of RFC 4480 and whatever comes) are kept as
//! [`Fragment`]s at the three places where the format allows them: in the document, in a tuple and in a status.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::xml::{Document, Element, Fragment, Limits, XmlError, push_attribute, push_text, push_value};

pub const CONTENT_TYPE: &str = "application/pidf+xml";
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf";

/// The tuples of one document.
pub const MAX_TUPLES: usize = 128;
/// The notes of one document or tuple.
pub const MAX_NOTES: usize = 64;
/// The extension elements of one document, tuple or status.
pub const MAX_EXTENSIONS: usize = 128;

/// A presence document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pidf {
    /// The presentity's URI, as it is written in the document.
    pub entity: String,
    pub tuples: Vec<Tuple>,
    pub notes: Vec<Note>,
    pub extensions: Vec<Fragment>,
}

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub uri: String,
    pub priority: Option<Priority>,
}

/// A priority from 0 to 1, in thousandths (§4.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u16);

/// A text for people, with the language that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note {
    pub lang: Option<String>,
    pub text: String,
}

/// A moment in the notation of RFC 3339, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp(Box<str>);

/// Why a document isn't valid. Texts are short enough for a reason phrase or a Warning header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PidfError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("the root element is not <presence> of {NAMESPACE}")]
    Root,
    #[error("<presence> has no entity")]
    Entity,
    #[error("a tuple has no id")]
    TupleId,
    #[error("two tuples have the same id")]
    SameTupleId,
    #[error("a tuple has no status, or an empty one")]
    Status,
    #[error("<{0}> stands twice")]
    Twice(&'static str),
    #[error("a timestamp is not as RFC 3339 has it")]
    Timestamp,
    #[error("too many elements <{0}>")]
    TooMany(&'static str),
}

impl Pidf {
    /// Reads and validates a document. Children may stand in any order, as many clients don't keep to the schema's.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, PidfError> {
        Self::parse_namespace(text, limits, NAMESPACE)
    }

    /// The same for a format that differs from PIDF in its namespace only.
    pub(crate) fn parse_namespace(text: &[u8], limits: &Limits, namespace: &str) -> Result<Self, PidfError> {
        let document = Document::parse(text, limits)?;
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

impl Tuple {
    fn read(element: Element<'_>, namespace: &str) -> Result<Self, PidfError> {
        let id = element.attribute("id").filter(|id| !id.is_empty()).ok_or(PidfError::TupleId)?;
        let mut tuple = Self { id: id.to_owned(), ..Self::default() };
        let mut status = None;
        for child in element.children() {
            match (child.namespace() == namespace, child.name()) {
                (true, "status") => set_once(&mut status, child, "status")?,
                (true, "contact") => set_once(&mut tuple.contact, Contact::read(child), "contact")?,
                (true, "note") => push_bounded(&mut tuple.notes, Note::read(child), MAX_NOTES, "note")?,
                (true, "timestamp") => {
                    let timestamp = Timestamp::parse(child.text()).ok_or(PidfError::Timestamp)?;
                    set_once(&mut tuple.timestamp, timestamp, "timestamp")?;
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
                    // baresip publishes "unknown" until its user chooses: only "open" says that somebody is there.
                    let basic = Basic::parse(child.text()).unwrap_or(Basic::Closed);
                    set_once(&mut self.basic, basic, "basic")?;
                }
                (true, _) => {}
                (false, _) => push_extension(&mut self.status_extensions, child)?,
            }
        }
        // Elements of PIDF's own namespace that it doesn't define say nothing.
        if self.basic.is_none() && self.status_extensions.is_empty() { Err(PidfError::Status) } else { Ok(()) }
    }

    /// Appends the element. Its id gets the prefix, so that tuples of several publishers can stand in one document.
    pub fn write(&self, out: &mut String, id_prefix: &str) {
        out.push_str("<tuple id=\"");
        out.push_str(id_prefix);
        push_value(out, &self.id);
        out.push_str("\"><status>");
        if let Some(basic) = self.basic {
            out.push_str("<basic>");
            out.push_str(basic.as_str());
            out.push_str("</basic>");
        }
        self.status_extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        out.push_str("</status>");
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        if let Some(contact) = &self.contact {
            contact.write(out);
        }
        self.notes.iter().for_each(|note| note.write(out));
        if let Some(timestamp) = &self.timestamp {
            out.push_str("<timestamp>");
            out.push_str(&timestamp.0);
            out.push_str("</timestamp>");
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

impl Contact {
    fn read(element: Element<'_>) -> Self {
        // §4.1.5: a priority out of range is as if it weren't there.
        let priority = element.attribute("priority").and_then(|text| Priority::parse(text.trim()));
        Self { uri: element.text().to_owned(), priority }
    }

    fn write(&self, out: &mut String) {
        out.push_str("<contact");
        if let Some(priority) = self.priority {
            out.push_str(" priority=\"");
            priority.write(out);
            out.push('"');
        }
        out.push('>');
        push_text(out, &self.uri);
        out.push_str("</contact>");
    }
}

impl Priority {
    /// From thousandths; more than 1000 is 1000.
    pub fn from_thousandths(thousandths: u16) -> Self {
        Self(thousandths.min(1000))
    }

    pub fn thousandths(self) -> u16 {
        self.0
    }

    /// Reads `0`, `0.5`, `1.000` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let thousandths = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + u16::from(b - b'0'));
        match (whole, thousandths) {
            ("0", thousandths) => Some(Self(thousandths)),
            ("1", 0) => Some(Self(1000)),
            _ => None,
        }
    }

    /// Appends the shortest notation: `1`, `0.5`, `0.021`.
    pub fn write(self, out: &mut String) {
        if self.0 == 0 || self.0 >= 1000 {
            return out.push(if self.0 == 0 { '0' } else { '1' });
        }
        out.push_str("0.");
        let (mut rest, mut unit) = (self.0, 100);
        while rest > 0 {
            out.push(char::from(b'0' + (rest / unit % 10) as u8));
            rest %= unit;
            unit /= 10;
        }
    }
}

impl Note {
    fn read(element: Element<'_>) -> Self {
        Self { lang: element.lang().map(str::to_owned), text: element.text().to_owned() }
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        out.push_str("<note");
        if let Some(lang) = &self.lang {
            push_attribute(out, "xml:lang", lang);
        }
        out.push('>');
        push_text(out, &self.text);
        out.push_str("</note>");
    }
}

impl Timestamp {
    /// Reads a date and time with an offset (§4.1.7: with capital `T` and `Z`).
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'T' | b'Z' | b':' | b'-' | b'+' | b'.'));
        (is_plain && OffsetDateTime::parse(text, &Rfc3339).is_ok()).then(|| Self(text.into()))
    }

    /// In UTC with whole seconds.
    pub fn new(at: OffsetDateTime) -> Self {
        let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
        Self(at.format(&Rfc3339).unwrap_or_default().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn at(&self) -> OffsetDateTime {
        OffsetDateTime::parse(&self.0, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), PidfError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(PidfError::Twice(name)),
    }
}

fn push_bounded<T>(list: &mut Vec<T>, value: T, limit: usize, name: &'static str) -> Result<(), PidfError> {
    if list.len() >= limit {
        return Err(PidfError::TooMany(name));
    }
    list.push(value);
    Ok(())
}

fn push_extension(list: &mut Vec<Fragment>, element: Element<'_>) -> Result<(), PidfError> {
    if list.len() >= MAX_EXTENSIONS {
        return Err(PidfError::TooMany("extension"));
    }
    list.push(element.to_fragment());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        let contact = Contact { uri: "im:someone@mobilecarrier.net".to_owned(), priority: Some(Priority(800)) };
        assert_eq!(tuple.contact, Some(contact));
        assert_eq!(
            tuple.notes[1],
            Note { lang: Some("fr".to_owned()), text: "Ne derangez pas, s'il vous plait".to_owned() }
        );
        assert_eq!(tuple.timestamp.as_ref().unwrap().at().unix_timestamp(), 1_004_201_369);
        assert_eq!(pidf.tuples[1].contact.as_ref().unwrap().priority, Some(Priority(1000)));
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
            (tuple(&format!("{status}<timestamp>yesterday</timestamp>")), PidfError::Timestamp),
            (tuple(&format!("{status}<contact>a:b</contact><contact>a:c</contact>")), PidfError::Twice("contact")),
            (document(&"<note>x</note>".repeat(MAX_NOTES + 1)), PidfError::TooMany("note")),
        ];
        for (text, error) in cases {
            assert_eq!(parse(&text), Err(error), "{text}");
        }
        assert!(matches!(parse("<presence"), Err(PidfError::Xml(_))));
        assert_eq!(parse(&document("<unknown/>")).unwrap().tuples.len(), 0);
    }

    #[test]
    fn a_basic_status_that_is_not_open_counts_as_closed() {
        let text = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'><tuple id='t'><status><basic>unknown</basic></status></tuple></presence>";
        assert_eq!(parse(text).unwrap().tuples[0].basic, Some(Basic::Closed));
    }

    #[test]
    fn priorities_out_of_range_count_as_none() {
        let read =
            ["0", "0.", "0.5", "0.021", "1.00", "1"].map(|text| Priority::parse(text).map(Priority::thousandths));
        assert_eq!(read, [Some(0), Some(0), Some(500), Some(21), Some(1000), Some(1000)]);
        assert_eq!(["1.1", "2", "0.1234", "-1", "", "x", ".5", "0.x"].map(Priority::parse), [None; 8]);
    }

    #[test]
    fn tuples_of_two_publishers_get_ids_that_differ() {
        let tuple = Tuple { id: "a\"b".to_owned(), basic: Some(Basic::Closed), ..Tuple::default() };
        let mut out = String::new();
        tuple.write(&mut out, "p1-");
        assert_eq!(out, "<tuple id=\"p1-a&quot;b\"><status><basic>closed</basic></status></tuple>");
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

        #[test]
        fn priorities_are_read_as_they_were_written(thousandths in 0..=1000u16) {
            let mut out = String::new();
            Priority(thousandths).write(&mut out);
            prop_assert_eq!(Priority::parse(&out), Some(Priority(thousandths)));
        }
    }
}
