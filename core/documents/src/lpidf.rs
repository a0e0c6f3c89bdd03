//! LPIDF: presence information as lines, without XML, as SIP Express Router sends it: whose it is, and where that user can be reached.
//!
//! ```text
//! To: sip:alice@example.com
//! Contact: sip:alice@192.0.2.1;q=0.8
//! ```
//!
//! A line ends with CRLF. There is no line for what is closed, so a user who cannot be reached has none.

use crate::pidf::{Basic, Contact, Pidf, Priority};

pub const CONTENT_TYPE: &str = "text/lpidf";

/// Contacts of one document.
pub const MAX_CONTACTS: usize = crate::pidf::MAX_TUPLES;

/// A presence document in lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lpidf {
    pub to: String,
    pub contacts: Vec<Contact>,
}

impl Lpidf {
    /// What of a PIDF can be said here: the open contacts, under that URI.
    pub fn of(pidf: &Pidf, to: &str) -> Self {
        let open = pidf.tuples.iter().filter(|tuple| tuple.basic == Some(Basic::Open));
        let contacts = open.filter_map(|tuple| tuple.contact.clone()).filter(|contact| is_line(&contact.uri));
        Self { to: to.to_owned(), contacts: contacts.collect() }
    }

    /// Reads a document. None without `To`. Lines of other names say nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut to = None;
        let mut contacts = Vec::new();
        for line in text.lines() {
            match line.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
                Some((name, value)) if name.eq_ignore_ascii_case("To") && to.is_none() => to = Some(value.to_owned()),
                Some((name, value)) if name.eq_ignore_ascii_case("Contact") && contacts.len() < MAX_CONTACTS => {
                    let (uri, q) = value.rsplit_once(";q=").map_or((value, None), |(uri, q)| (uri, Priority::parse(q)));
                    contacts.push(Contact { uri: uri.to_owned(), priority: q });
                }
                _ => {}
            }
        }
        Some(Self { to: to?, contacts })
    }

    /// Appends the whole document.
    pub fn write(&self, out: &mut String) {
        out.push_str("To: ");
        out.push_str(&self.to);
        out.push_str("\r\n");
        for contact in &self.contacts {
            out.push_str("Contact: ");
            out.push_str(&contact.uri);
            if let Some(priority) = contact.priority {
                out.push_str(";q=");
                priority.write(out);
            }
            out.push_str("\r\n");
        }
    }
}

/// A URI with a control character would make lines of its own.
fn is_line(uri: &str) -> bool {
    !uri.is_empty() && !uri.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::Limits;

    #[test]
    fn open_contacts_become_lines_and_closed_ones_do_not() {
        let text = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:alice@example.com'>\
            <tuple id='a'><status><basic>open</basic></status><contact priority='0.8'>sip:alice@192.0.2.1</contact></tuple>\
            <tuple id='b'><status><basic>closed</basic></status><contact>sip:alice@192.0.2.2</contact></tuple>\
            <tuple id='c'><status><basic>open</basic></status></tuple>\
            <tuple id='d'><status><basic>open</basic></status><contact>sip:evil\nTo: sip:bob@example.com</contact></tuple></presence>";
        let pidf = Pidf::parse(text.as_bytes(), &Limits::default()).unwrap();
        let mut out = String::new();
        Lpidf::of(&pidf, "sip:alice@example.com").write(&mut out);
        assert_eq!(out, "To: sip:alice@example.com\r\nContact: sip:alice@192.0.2.1;q=0.8\r\n");
    }

    #[test]
    fn lines_are_read_whatever_stands_between_them() {
        let read = Lpidf::parse("x\r\nto : sip:a@b\r\nContact: sip:c;q=2\r\n\r\nTo: sip:other\r\n").unwrap();
        assert_eq!((read.to.as_str(), read.contacts[0].uri.as_str()), ("sip:a@b", "sip:c"));
        assert_eq!(Lpidf::parse("Contact: sip:a@b"), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            to in "sip:[a-z@.]{1,20}",
            contacts in prop::collection::vec(("sip:[a-z@.;=]{1,20}x", prop::option::of(0..=1000u16)), 0..5),
        ) {
            let contacts = contacts.into_iter().map(|(uri, q)| Contact { uri, priority: q.map(Priority::from_thousandths) });
            let contacts: Vec<_> = contacts.filter(|contact| !contact.uri.contains(";q=")).collect();
            let lpidf = Lpidf { to, contacts };
            let mut out = String::new();
            lpidf.write(&mut out);
            prop_assert_eq!(Lpidf::parse(&out), Some(lpidf));
        }

        #[test]
        fn nothing_panics(text in ".{0,200}") {
            let _ = Lpidf::parse(&text);
        }
    }
}
