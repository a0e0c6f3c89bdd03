//! A presentity: who publishes about it, where it is registered, who watches it, and the documents made of that.

use std::time::{Duration, Instant};

use super::key::Key;
use crate::agent::Target;
use crate::composition::Part;
use crate::documents::{Body, Form};
use crate::packages::{EventPackage, Observer, Teller, Told};
use crate::publication::Publications;
use crate::token::Token;

/// Forms of the composed document that are kept; further ones are made for each watcher.
const MAX_FORMS: usize = 8;
/// Contacts of one presentity that are shown; the registrar's own limit is lower.
const MAX_CONTACTS: usize = 64;

/// One presentity under one package.
#[derive(Debug)]
pub struct Presentity {
    pub key: Key,
    /// The address of record: `sip:alice@example.com`.
    pub aor: Box<str>,
    pub publications: Publications,
    /// Requests that change these and wait for their commit: until then they may have to be taken back.
    pub uncommitted: u32,
    /// Places of its subscriptions in the shard.
    pub watchers: Vec<u32>,
    /// The earliest deadline that the shard has queued for it.
    pub scheduled: Option<Instant>,
    contacts: Vec<ContactState>,
    /// The teller, for a package that tells each watcher what has changed.
    pub teller: Option<Box<dyn Teller>>,
    /// The publications have changed since the teller last read them.
    is_teller_behind: bool,
    /// The composed document in each form that was asked for since the last change.
    bodies: Vec<(Form, Option<Body>)>,
    /// The entity tags of those that were made before the last change.
    told: Vec<(Form, Option<Token>)>,
}

/// A registered contact, or one that was until a moment ago.
#[derive(Debug)]
struct ContactState {
    uri: Box<str>,
    q: u16,
    /// When a contact that is gone vanishes from the document.
    closed_until: Option<Instant>,
    part: Part,
}

impl Presentity {
    pub fn new(key: Key, aor: &str) -> Self {
        Self {
            key,
            aor: aor.into(),
            publications: Publications::default(),
            uncommitted: 0,
            watchers: Vec::new(),
            scheduled: None,
            contacts: Vec::new(),
            teller: None,
            is_teller_behind: true,
            bodies: Vec::new(),
            told: Vec::new(),
        }
    }

    /// A contact is registered. True when that changes the document.
    pub fn contact_open(&mut self, uri: &str, q: u16) -> bool {
        let known = self.contacts.iter().position(|contact| *contact.uri == *uri);
        match known.map(|at| &self.contacts[at]) {
            Some(contact) if contact.closed_until.is_none() && contact.q == q => return false,
            None if self.contacts.len() >= MAX_CONTACTS => return false,
            _ => {}
        }
        let open = ContactState { uri: uri.into(), q, closed_until: None, part: Part::of_contact(uri, q, true) };
        match known {
            Some(at) => self.contacts[at] = open,
            None => self.contacts.push(open),
        }
        self.changed();
        true
    }

    /// A contact is no longer registered: it is shown closed for a while, so that watchers see it go. True when that
    /// changes the document.
    pub fn contact_closed(&mut self, uri: &str, now: Instant, grace: Duration) -> bool {
        let open = |contact: &ContactState| *contact.uri == *uri && contact.closed_until.is_none();
        let Some(at) = self.contacts.iter().position(open) else {
            return false;
        };
        if grace.is_zero() {
            self.contacts.remove(at);
        } else {
            let contact = &mut self.contacts[at];
            contact.closed_until = Some(now + grace);
            contact.part = Part::of_contact(uri, contact.q, false);
        }
        self.changed();
        true
    }

    /// Drops publications and closed contacts whose time is over. Gives whether the document changed, and the ids of the
    /// publications.
    pub fn expire(&mut self, now: Instant) -> (bool, Vec<u64>) {
        let publications = self.publications.expire(now);
        let before = self.contacts.len();
        self.contacts.retain(|contact| contact.closed_until.is_none_or(|until| until > now));
        let mut changed = !publications.is_empty() || self.contacts.len() != before;
        changed |= self.teller.as_mut().is_some_and(|teller| teller.tick(now));
        if changed {
            self.changed();
        }
        (changed, publications)
    }

    /// When [`Self::expire`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let contacts = self.contacts.iter().filter_map(|contact| contact.closed_until);
        let teller = self.teller.as_ref().and_then(|teller| teller.next_deadline());
        contacts.chain(self.publications.next_deadline()).chain(teller).min()
    }

    /// The composed documents are no longer right.
    pub fn changed(&mut self) {
        self.is_teller_behind = true;
        for (form, body) in self.bodies.drain(..) {
            let tag = body.and_then(|body| body.tag);
            match self.told.iter_mut().find(|(told, _)| *told == form) {
                Some((_, told)) => *told = tag,
                None => self.told.push((form, tag)),
            }
        }
    }

    /// Whether watchers would see no difference to what they have been told: a publication that does not count under the composition
    /// policy changed, or a change was taken back. False where that cannot be known.
    pub fn looks_the_same(&mut self, package: &dyn EventPackage, now: Instant) -> bool {
        if self.teller.is_some() {
            return self.is_teller_behind && !self.update_teller(now);
        }
        let told = std::mem::take(&mut self.told);
        let comparable = !told.is_empty() && told.len() < MAX_FORMS;
        let same =
            comparable && told.iter().all(|(form, tag)| self.body(package, form).and_then(|body| body.tag) == *tag);
        if same {
            self.told = told;
        }
        same
    }

    /// Makes the teller read the publications if they may have changed. True if watchers must be told.
    pub fn update_teller(&mut self, now: Instant) -> bool {
        let Some(teller) = self.teller.as_mut().filter(|_| self.is_teller_behind) else {
            return false;
        };
        self.is_teller_behind = false;
        teller.published(&self.publications, now)
    }

    /// The document for one watcher, if each watcher is told its own changes: see [`Told`].
    pub fn told(&mut self, version: u32, seen: &mut Option<u64>, now: Instant) -> Option<Body> {
        self.update_teller(now);
        Some(self.teller.as_ref()?.body(Told { aor: &self.aor, version, seen }, now))
    }

    /// The observer of another package's subscriptions.
    pub fn observer(&mut self) -> Option<&mut dyn Observer> {
        self.teller.as_mut()?.observer()
    }

    /// The composed document. It is made once and shared by all who may see the same.
    pub fn body(&mut self, package: &dyn EventPackage, form: &Form) -> Option<Body> {
        if let Some((_, body)) = self.bodies.iter().find(|(made, _)| made == form) {
            return body.clone();
        }
        let body = package.compose(self, form);
        if self.bodies.len() < MAX_FORMS {
            self.bodies.push((form.clone(), body.clone()));
        }
        body
    }

    /// What the registrar says.
    pub fn contact_parts(&self) -> impl Iterator<Item = &Part> + Clone {
        self.contacts.iter().map(|contact| &contact.part)
    }

    /// By what it is found.
    pub fn target(&self) -> Target<'_> {
        Target { package: self.key.package, domain: self.key.domain, uid: &self.key.uid, aor: &self.aor }
    }

    /// What its document is made of: contacts, then publications, oldest first.
    pub fn parts(&self) -> impl Iterator<Item = &Part> + Clone {
        let publications = self.publications.iter().map(|publication| &publication.content.part);
        self.contact_parts().chain(publications)
    }

    /// The presentity's `pres:` URI, where it has one (RFC 3856 §5, RFC 3863 §4.1.1).
    pub fn entity(&self) -> String {
        entity(&self.aor)
    }

    /// Whether something says that it can be reached.
    pub fn is_online(&self) -> bool {
        self.parts().any(Part::is_open)
    }

    /// Nobody watches it, nobody says anything about it, and nothing has to be remembered.
    pub fn is_idle(&self) -> bool {
        let teller_is_idle = || self.teller.as_ref().is_none_or(|teller| teller.is_idle());
        let is_settled = self.publications.is_empty() && self.uncommitted == 0;
        self.watchers.is_empty() && is_settled && teller_is_idle()
    }

    /// URIs of the contacts, with whether each is registered.
    pub fn contacts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.contacts.iter().map(|contact| (&*contact.uri, contact.closed_until.is_none()))
    }
}

/// The `pres:` URI of an address of record, where it has one.
pub fn entity(aor: &str) -> String {
    match aor.split_once(':') {
        Some(("sip" | "sips", rest)) => format!("pres:{rest}"),
        _ => aor.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::composition::Composition;
    use crate::documents::DocumentType;
    use crate::packages::presence::Presence;
    use crate::packages::{Authorization, PRESENCE};
    use crate::presentity::Domain;

    fn presentity() -> Presentity {
        let key = Key { package: PRESENCE, domain: Domain::Registrar, uid: "alice".into() };
        Presentity::new(key, "sip:alice@example.com")
    }

    fn body(presentity: &mut Presentity) -> Bytes {
        let package = Presence::new(Authorization::Everybody, Composition::Union);
        presentity.body(&package, &Form::Made(DocumentType::Pidf)).unwrap().bytes
    }

    fn text(presentity: &mut Presentity) -> String {
        String::from_utf8(body(presentity).to_vec()).unwrap()
    }

    #[test]
    fn a_contact_that_goes_away_is_closed_for_a_while_and_then_gone() {
        let (mut alice, now, grace) = (presentity(), Instant::now(), Duration::from_secs(20));
        assert!(alice.contact_open("sip:a@1.2.3.4", 500));
        assert!(!alice.contact_open("sip:a@1.2.3.4", 500), "a refresh changes nothing");
        assert!(
            text(&mut alice).contains("<basic>open</basic></status><contact priority=\"0.5\">sip:a@1.2.3.4</contact>")
        );
        assert!(alice.contact_closed("sip:a@1.2.3.4", now, grace));
        assert!(!alice.contact_closed("sip:a@1.2.3.4", now, grace));
        assert!(text(&mut alice).contains("<basic>closed</basic></status><contact priority=\"0.5\">"));
        assert!(!alice.is_online());
        assert_eq!(alice.next_deadline(), Some(now + grace));
        assert_eq!(alice.expire(now + grace), (true, vec![]));
        assert!(text(&mut alice).contains("<tuple id=\"none\">"));
        assert_eq!(alice.next_deadline(), None);
    }

    #[test]
    fn a_contact_that_comes_back_in_time_is_open_again() {
        let (mut alice, now, grace) = (presentity(), Instant::now(), Duration::from_secs(20));
        alice.contact_open("sip:a@1.2.3.4", 500);
        alice.contact_closed("sip:a@1.2.3.4", now, grace);
        assert!(alice.contact_open("sip:a@1.2.3.4", 500));
        assert!(alice.is_online());
        assert_eq!(alice.expire(now + grace), (false, vec![]));
    }

    #[test]
    fn the_composed_document_is_made_once_until_something_changes() {
        let mut alice = presentity();
        let first = body(&mut alice);
        assert_eq!(first.as_ptr(), body(&mut alice).as_ptr());
        alice.contact_open("sip:a@1.2.3.4", 1000);
        assert_ne!(first, body(&mut alice));
    }

    #[test]
    fn the_entity_is_a_pres_uri() {
        assert_eq!(presentity().entity(), "pres:alice@example.com");
        assert_eq!(Presentity::new(presentity().key, "tel:+123").entity(), "tel:+123");
    }
}
