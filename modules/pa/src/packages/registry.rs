//! Event packages: what can be subscribed to and published, and by which documents.

use signalbox_sip::header::Accept;

use crate::documents::{self, DocumentType};
use crate::rejection::Rejection;

/// Which package, by its place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub u8);

/// The package `presence` (RFC 3856).
pub const PRESENCE: PackageId = PackageId(0);

/// One event package: a row of the registry.
#[derive(Debug, Clone)]
pub struct EventPackage {
    /// The value of Event.
    pub name: &'static str,
    /// Where the state comes from and how the parts of several publishers become one document.
    pub state: StateSource,
    /// What NOTIFY may carry, best first. The first is the default for watchers without Accept.
    pub notified: &'static [DocumentType],
    /// What PUBLISH may carry; empty when nobody may publish.
    pub published: &'static [DocumentType],
}

/// How a package comes by its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateSource {
    /// Registrations and publications, joined to one presence document.
    Presence,
}

/// The packages that this agent serves.
#[derive(Debug, Clone)]
pub struct Packages(Vec<EventPackage>);

impl Default for Packages {
    fn default() -> Self {
        Self(vec![EventPackage {
            name: "presence",
            state: StateSource::Presence,
            notified: &[DocumentType::Pidf],
            published: &[DocumentType::Pidf],
        }])
    }
}

impl Packages {
    /// The package of an Event value (without parameters). Names are case-sensitive (RFC 6665 §8.4).
    pub fn find(&self, name: &str) -> Result<PackageId, Rejection> {
        let position = self.0.iter().position(|package| package.name == name);
        position.map(|at| PackageId(at as u8)).ok_or_else(|| Rejection::BadEvent { allowed: self.allow_events() })
    }

    pub fn package(&self, id: PackageId) -> &EventPackage {
        // Invariant: ids come from `find` only, and the registry does not change after the start.
        &self.0[usize::from(id.0)]
    }

    /// The value of Allow-Events.
    pub fn allow_events(&self) -> String {
        self.0.iter().map(|package| package.name).collect::<Vec<_>>().join(", ")
    }
}

impl EventPackage {
    /// The document for a watcher with these Accept ranges; without Accept the package's default.
    pub fn choose_document(&self, accept: Option<&[Accept<'_>]>) -> Result<DocumentType, Rejection> {
        let chosen = match accept {
            None => self.notified.first().copied(),
            Some(ranges) => documents::negotiate(self.notified, ranges),
        };
        chosen.ok_or(Rejection::NotAcceptable)
    }

    /// The type of a published body, or 415 with the types that are read.
    pub fn published_type(&self, content_type: &str) -> Result<DocumentType, Rejection> {
        let document = DocumentType::parse(content_type).filter(|document| self.published.contains(document));
        document.ok_or_else(|| Rejection::UnsupportedMediaType { accepted: self.accept() })
    }

    /// The value of Accept that says what PUBLISH may carry.
    pub fn accept(&self) -> String {
        self.published.iter().map(|document| document.content_type()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use signalbox_sip::header::Header;

    use super::*;

    #[test]
    fn an_unknown_package_is_told_what_there_is() {
        let packages = Packages::default();
        assert_eq!(packages.find("presence"), Ok(PRESENCE));
        for name in ["Presence", "dialog", ""] {
            assert_eq!(packages.find(name), Err(Rejection::BadEvent { allowed: "presence".to_owned() }));
        }
    }

    #[test]
    fn documents_are_chosen_by_accept_and_the_default_without() {
        let packages = Packages::default();
        let presence = packages.package(PRESENCE);
        let accepting = |range| presence.choose_document(Some(&[Accept::parse(range).unwrap()]));
        assert_eq!(presence.choose_document(None), Ok(DocumentType::Pidf));
        assert_eq!(accepting("application/*"), Ok(DocumentType::Pidf));
        assert_eq!(accepting("text/plain"), Err(Rejection::NotAcceptable));
        assert_eq!(accepting("application/pidf+xml;q=0"), Err(Rejection::NotAcceptable));
        assert_eq!(presence.choose_document(Some(&[])), Err(Rejection::NotAcceptable));
    }

    #[test]
    fn a_body_of_another_type_is_told_which_are_read() {
        let presence = &Packages::default().0[0];
        assert_eq!(presence.published_type("application/pidf+xml;charset=UTF-8"), Ok(DocumentType::Pidf));
        let accepted = "application/pidf+xml".to_owned();
        assert_eq!(presence.published_type("text/plain"), Err(Rejection::UnsupportedMediaType { accepted }));
    }
}
