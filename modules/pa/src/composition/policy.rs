//! Whose word counts when several say something about one presentity (`composition`; RFC 4479 §3 leaves that to the server).

use super::part::Part;
use crate::presentity::Presentity;

/// How what is published and registered becomes one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Composition {
    /// All of it stands side by side.
    #[default]
    Union,
    /// The newest publication alone; registrations where nobody publishes.
    Newest,
    /// The publication alone, or the registrations together, that have the open contact with the highest priority; the newest
    /// publication of several with the same.
    Priority,
}

impl Composition {
    /// The names of the parameter.
    pub const NAMES: &[&str] = &["union", "newest", "priority"];

    pub fn parse(name: &str) -> Option<Self> {
        let position = Self::NAMES.iter().position(|known| *known == name)?;
        [Self::Union, Self::Newest, Self::Priority].get(position).copied()
    }

    /// What the presence document of a presentity is made of.
    pub fn choose(self, presentity: &Presentity) -> Vec<&Part> {
        let publications = &presentity.publications;
        let chosen = match self {
            Self::Union => return presentity.parts().collect(),
            Self::Newest => publications.newest(),
            Self::Priority => {
                let ranked = publications.iter().max_by_key(|one| (one.content.part.rank(), one.modified));
                let registered = presentity.contact_parts().map(Part::rank).max();
                ranked.filter(|one| registered.is_none_or(|registered| one.content.part.rank() >= registered))
            }
        };
        match chosen {
            Some(publication) => vec![&publication.content.part],
            None => presentity.contact_parts().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use signalbox_documents::pidf::Pidf;
    use signalbox_documents::xml::Limits;

    use super::super::part::merged;
    use super::*;
    use crate::packages::PRESENCE;
    use crate::presentity::{Domain, Key};
    use crate::publication::{Content, Publication};
    use crate::token::Token;

    /// A presentity with a contact of q 0.5 and these publications, a second apart: basic and priority.
    fn presentity(publications: &[(&str, &str)]) -> Presentity {
        let key = Key { package: PRESENCE, domain: Domain::Registrar, uid: "alice".into() };
        let mut presentity = Presentity::new(key, "sip:alice@example.com");
        presentity.contact_open("sip:registered@there", 500);
        let now = Instant::now();
        for (i, (basic, priority)) in (0u64..).zip(publications) {
            let text = format!(
                "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'><tuple id='t'><status><basic>{basic}</basic></status>\
                 <contact priority='{priority}'>sip:{i}@there</contact></tuple></presence>"
            );
            let part = Part::of_publication(&Pidf::parse(text.as_bytes(), &Limits::default()).unwrap(), i);
            let publication = Publication {
                id: i,
                entity_tag: Token(i),
                expires_at: now + Duration::from_secs(100),
                modified: now + Duration::from_secs(i),
                content: Content {
                    content_type: "application/pidf+xml".into(),
                    body: "".into(),
                    part,
                    dialogs: Box::default(),
                    room: None,
                }
                .into(),
            };
            presentity.publications.restore(publication, usize::MAX).unwrap();
        }
        presentity
    }

    fn contacts(composition: &str, publications: &[(&str, &str)]) -> Vec<String> {
        let presentity = presentity(publications);
        let pidf = merged("pres:a@b", &Composition::parse(composition).unwrap().choose(&presentity));
        pidf.tuples.into_iter().map(|tuple| tuple.contact.unwrap().uri).collect()
    }

    #[test]
    fn the_union_has_all_that_is_said() {
        let all = contacts("union", &[("open", "0.1"), ("closed", "0.9")]);
        assert_eq!(all, ["sip:registered@there", "sip:0@there", "sip:1@there"]);
    }

    #[test]
    fn of_the_newest_nothing_else_is_told() {
        assert_eq!(contacts("newest", &[("open", "0.9"), ("closed", "0.1")]), ["sip:1@there"]);
        assert_eq!(contacts("newest", &[]), ["sip:registered@there"]);
    }

    #[test]
    fn by_priority_the_best_open_contact_wins() {
        assert_eq!(contacts("priority", &[("open", "0.9"), ("open", "0.6"), ("closed", "1")]), ["sip:0@there"]);
        assert_eq!(contacts("priority", &[("open", "0.6"), ("open", "0.6")]), ["sip:1@there"]);
        assert_eq!(contacts("priority", &[("open", "0.4")]), ["sip:registered@there"]);
        assert_eq!(contacts("priority", &[]), ["sip:registered@there"]);
    }

    #[test]
    fn the_names_are_those_of_the_parameter() {
        assert_eq!(Composition::parse("union"), Some(Composition::Union));
        assert_eq!(Composition::parse("priority"), Some(Composition::Priority));
        assert_eq!(Composition::parse("oldest"), None);
    }
}
