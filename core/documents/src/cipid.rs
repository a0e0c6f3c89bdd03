//! CIPID, contact information (RFC 4482): the business card, picture and pages of a person or of whom a tuple reaches.

use crate::pidf::Note;
use crate::xml::{Element, push_text_element};

pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:cipid";

/// The display names that are read; further ones are dropped.
pub const MAX_DISPLAY_NAMES: usize = 64;

/// The CIPID elements inside a `<person>` or `<tuple>`. All but the names are URIs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cipid {
    /// A business card, as vCard or LDIF (§3.1).
    pub card: Option<String>,
    /// What to call it, in several languages (§3.2).
    pub display_names: Vec<Note>,
    pub homepage: Option<String>,
    /// A picture of the person (§3.4).
    pub icon: Option<String>,
    pub map: Option<String>,
    /// What is heard when the person comes, or how its name is spoken (§3.6).
    pub sound: Option<String>,
}

impl Cipid {
    /// Takes an element in, if it is one of CIPID. False where it is not, is empty, or stands there twice: then it is to be kept as it came.
    pub fn take(&mut self, element: Element<'_>) -> bool {
        if element.namespace() != NAMESPACE || element.text().is_empty() {
            return false;
        }
        let slot = match element.name() {
            "card" => &mut self.card,
            "homepage" => &mut self.homepage,
            "icon" => &mut self.icon,
            "map" => &mut self.map,
            "sound" => &mut self.sound,
            "display-name" if self.display_names.len() < MAX_DISPLAY_NAMES => {
                self.display_names.push(Note::read(element));
                return true;
            }
            _ => return false,
        };
        let is_first = slot.is_none();
        if is_first {
            *slot = Some(element.text().to_owned());
        }
        is_first
    }

    /// Appends the declaration of the prefix that [`Self::write`] relies on, as an attribute.
    pub fn declare(&self, out: &mut String) {
        if *self != Self::default() {
            out.push_str(" xmlns:c=\"urn:ietf:params:xml:ns:pidf:cipid\"");
        }
    }

    /// Appends the elements. What stands around them [declares](Self::declare) their prefix.
    pub fn write(&self, out: &mut String) {
        write_uri("c:card", self.card.as_deref(), out);
        self.display_names.iter().for_each(|name| name.write_as("c:display-name", out));
        write_uri("c:homepage", self.homepage.as_deref(), out);
        write_uri("c:icon", self.icon.as_deref(), out);
        write_uri("c:map", self.map.as_deref(), out);
        write_uri("c:sound", self.sound.as_deref(), out);
    }
}

fn write_uri(name: &str, uri: Option<&str>, out: &mut String) {
    if let Some(uri) = uri {
        push_text_element(out, name, uri);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_model::Presence;
    use crate::pidf::Pidf;
    use crate::xml::Limits;

    fn read(inside: &str) -> Presence {
        let text = format!(
            "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
             xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:c=\"{NAMESPACE}\" entity=\"pres:someone@example.com\">{inside}</presence>"
        );
        Presence::of(&Pidf::parse(text.as_bytes(), &Limits::default()).unwrap())
    }

    fn uri(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_first_example_is_read() {
        // RFC 4482 §4, its display name closed by its own tag, and a second one.
        let presence = read(
            r#"<dm:person id="p1">
       <c:card>http://example.com/~alice/card.vcd</c:card>
       <c:display-name>Alice Lewis</c:display-name>
       <c:display-name xml:lang="ko">앨리스</c:display-name>
       <c:homepage>http://example.com/~alice</c:homepage>
       <c:icon>http://example.com/~alice/me.png</c:icon>
       <c:map>http://example.com/~alice/gml-map.xml</c:map>
       <c:sound>http://example.com/~alice/hello.wav</c:sound>
       <dm:timestamp>2005-11-21T09:00:00+05:00</dm:timestamp>
     </dm:person>"#,
        );
        let name = |lang: Option<&str>, text: &str| Note { lang: lang.map(str::to_owned), text: text.to_owned() };
        let expected = Cipid {
            card: uri("http://example.com/~alice/card.vcd"),
            display_names: vec![name(None, "Alice Lewis"), name(Some("ko"), "앨리스")],
            homepage: uri("http://example.com/~alice"),
            icon: uri("http://example.com/~alice/me.png"),
            map: uri("http://example.com/~alice/gml-map.xml"),
            sound: uri("http://example.com/~alice/hello.wav"),
        };
        assert_eq!(presence.persons[0].cipid, expected);
    }

    #[test]
    fn the_assistant_of_the_second_example_is_read() {
        let presence = read(
            r#"<tuple id="bs78">
       <status>
          <basic>closed</basic>
       </status>
       <r:relationship><r:assistant/></r:relationship>
       <c:card>http://example.com/~assistant/card.vcd</c:card>
       <c:homepage>http://example.com/~assistant</c:homepage>
       <contact priority="0.1">im:assistant@example.com</contact>
       <timestamp>2005-05-30T22:00:29Z</timestamp>
     </tuple>"#,
        );
        let expected = Cipid {
            card: uri("http://example.com/~assistant/card.vcd"),
            homepage: uri("http://example.com/~assistant"),
            ..Cipid::default()
        };
        assert_eq!(presence.services[0].cipid, expected);
    }

    #[test]
    fn what_stands_twice_or_is_empty_is_kept_as_it_came() {
        let presence =
            read("<dm:person id='1'><c:icon>a:b</c:icon><c:icon>c:d</c:icon><c:map/><c:new>x</c:new></dm:person>");
        let person = &presence.persons[0];
        assert_eq!(person.cipid, Cipid { icon: uri("a:b"), ..Cipid::default() });
        let kept: Vec<_> = person.extensions.iter().map(|extension| extension.name()).collect();
        assert_eq!(kept, ["icon", "map", "new"]);
    }
}
