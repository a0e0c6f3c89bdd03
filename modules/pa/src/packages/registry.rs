//! The packages of this agent.

use super::dialog::{self, DialogPackage};
use super::opaque::Opaque;
use super::package::{EventPackage, Published};
use super::presence::Presence;
use super::winfo::Winfo;
use crate::publication::Space;
use crate::rejection::Rejection;
use crate::settings::Settings;

/// Which package, by its place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub u8);

/// The package `presence` (RFC 3856).
pub const PRESENCE: PackageId = PackageId(0);

/// The packages that this agent serves. The registry does not change after the start.
pub struct Packages {
    packages: Vec<Box<dyn EventPackage>>,
    /// For each package the one that tells of its subscriptions.
    observers: Vec<Option<PackageId>>,
}

impl Packages {
    /// `presence`, its watcher information where that is wanted, and the packages that the settings admit.
    pub fn of(settings: &Settings) -> Self {
        let mut packages: Vec<Box<dyn EventPackage>> =
            vec![Box::new(Presence::new(settings.authorization, settings.composition))];
        if settings.watcherinfo_notify {
            let (authorization, giveup) = (settings.winfo_authorization, settings.winfo_waiting);
            packages.push(Box::new(Winfo::new("presence", authorization, giveup)));
        }
        for name in &settings.events {
            let known = packages.iter().any(|package| *package.terms().name == **name);
            if !known {
                let authorization = settings.opaque_authorization();
                packages.push(match &**name {
                    dialog::NAME => {
                        // Ended dialogs may take as much as all publications.
                        let of_all = Space::new(settings.max_published_octets);
                        let limits = dialog::EndedLimits { of_user: settings.max_presentity_octets, of_all };
                        Box::new(DialogPackage::new(authorization, limits))
                    }
                    name => Box::new(Opaque::new(name, authorization)),
                });
            }
        }
        Self::new(packages)
    }

    /// The first one is `presence`.
    pub fn new(packages: Vec<Box<dyn EventPackage>>) -> Self {
        let observed_by = |name: &str| {
            let mut observers = packages.iter().map(|package| package.terms().observes.as_deref());
            observers.position(|observed| observed == Some(name)).map(|at| PackageId(at as u8))
        };
        Self { observers: packages.iter().map(|package| observed_by(&package.terms().name)).collect(), packages }
    }

    /// The package of an Event value (without parameters). Names are case-sensitive (RFC 6665 §8.2.1).
    pub fn find(&self, name: &str) -> Result<PackageId, Rejection> {
        let position = self.packages.iter().position(|package| *package.terms().name == *name);
        position.map(|at| PackageId(at as u8)).ok_or_else(|| Rejection::BadEvent { allowed: self.allow_events() })
    }

    /// The package of the Event value of a PUBLISH: 489 also for those that nobody can publish (RFC 3903 §6 step 2).
    pub fn find_published(&self, name: &str) -> Result<PackageId, Rejection> {
        let id = self.find(name)?;
        match self.package(id).terms().published {
            Published::Nothing => Err(Rejection::BadEvent { allowed: self.allow_events() }),
            _ => Ok(id),
        }
    }

    pub fn package(&self, id: PackageId) -> &dyn EventPackage {
        // Invariant: ids come from this registry, and it does not change after the start.
        &*self.packages[usize::from(id.0)]
    }

    pub fn name(&self, id: PackageId) -> &str {
        &self.package(id).terms().name
    }

    /// The package that tells of the subscriptions of this one.
    pub fn observer_of(&self, id: PackageId) -> Option<PackageId> {
        self.observers.get(usize::from(id.0)).copied().flatten()
    }

    /// The package whose subscriptions this package reports.
    pub fn observed_by(&self, id: PackageId) -> Option<PackageId> {
        self.find(self.package(id).terms().observes.as_ref()?).ok()
    }

    /// The value of Allow-Events.
    pub fn allow_events(&self) -> String {
        self.packages.iter().map(|package| &*package.terms().name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use signalbox_sip::header::{Accept, Header};

    use super::*;
    use crate::documents::{DocumentType, Form};

    fn packages(events: &[&str]) -> Packages {
        let events = events.iter().map(|name| (*name).into()).collect();
        Packages::of(&Settings { events, ..Settings::default() })
    }

    #[test]
    fn an_unknown_package_is_told_what_there_is() {
        let packages = packages(&["dialog", "presence", "dialog"]);
        assert_eq!(packages.find("presence"), Ok(PRESENCE));
        assert_eq!(packages.find("dialog"), Ok(PackageId(2)));
        for name in ["Presence", "message-summary", ""] {
            assert_eq!(
                packages.find(name),
                Err(Rejection::BadEvent { allowed: "presence, presence.winfo, dialog".to_owned() })
            );
        }
    }

    #[test]
    fn documents_are_chosen_by_accept_and_the_default_without() {
        let packages = packages(&["ua-profile"]);
        let choose = |id, ranges: Option<&[&str]>| {
            let ranges: Option<Vec<_>> = ranges.map(|list| list.iter().map(|r| Accept::parse(r).unwrap()).collect());
            packages.package(id).terms().choose_form(ranges.as_deref())
        };
        let pidf = Ok(Form::Made(DocumentType::Pidf));
        assert_eq!(choose(PRESENCE, None), pidf);
        assert_eq!(choose(PRESENCE, Some(&["application/*"])), pidf);
        for refused in [&["text/html"][..], &["application/pidf+xml;q=0"], &[]] {
            assert_eq!(choose(PRESENCE, Some(refused)), Err(Rejection::NotAcceptable), "{refused:?}");
        }
        let opaque = PackageId(2);
        assert_eq!(choose(opaque, None), Ok(Form::AsPublished(None)));
        let chosen = choose(opaque, Some(&["a/b;q=0", "text/*;q=0.5", "c/d"]));
        assert_eq!(chosen, Ok(Form::AsPublished(Some("a/b;q=0, text/*;q=0.5, c/d".into()))));
        assert_eq!(choose(opaque, Some(&["a/b;q=0"])), Err(Rejection::NotAcceptable));
    }

    #[test]
    fn a_body_of_another_type_is_told_which_are_read() {
        let packages = packages(&["ua-profile"]);
        let check = |id, content_type| packages.package(id).terms().check_published(content_type);
        assert_eq!(check(PRESENCE, "application/pidf+xml;charset=UTF-8"), Ok(()));
        let accepted = "application/pidf+xml, application/cpim-pidf+xml, application/rpid+xml".to_owned();
        assert_eq!(check(PRESENCE, "text/plain"), Err(Rejection::UnsupportedMediaType { accepted }));
        assert_eq!(check(PackageId(2), "text/plain"), Ok(()));
        assert_eq!(check(PackageId(2), ""), Err(Rejection::UnsupportedMediaType { accepted: "*/*".to_owned() }));
    }
}
