//! Contacts that the registrar tells of.

use std::sync::Arc;
use std::time::Instant;

use signalbox::services::bindings::{BindingChange, BindingEvent, Bindings};

use super::effects::Effects;
use super::shard::KeyRef;
use super::shards::{Agent, SHARDS};
use super::target::Target;
use crate::packages::PRESENCE;
use crate::presentity::{Domain, Presentity};
use crate::subscription::Watcher;

impl<W: Watcher> Agent<W> {
    /// Where presence learns of registrations. To be told before the first request; presentities from the database are given their
    /// contacts.
    pub fn follow(&self, bindings: Arc<dyn Bindings>, now: Instant) {
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            let followed = shard
                .presentities_mut()
                .filter(|presentity| presentity.key.domain == Domain::Registrar && presentity.key.package == PRESENCE);
            followed.for_each(|presentity| add_contacts(presentity, &*bindings, now));
        }
        // Told twice, the first one stays.
        let _ = self.bindings.set(bindings);
    }

    /// A registration changed.
    pub fn binding_changed(&self, event: &BindingEvent<'_>, now: Instant, effects: &mut Effects<W>) {
        let alias = self.aliases.uid_of(event.aor);
        let uid = alias.as_deref().unwrap_or(event.aor);
        let mut shard = self.lock(self.shard_of(uid));
        let Some(at) = shard.find(KeyRef { package: PRESENCE, domain: Domain::Registrar, uid }) else {
            return;
        };
        let Some(presentity) = shard.presentity(at) else {
            return;
        };
        let (contact, grace) = (event.binding.contact, self.settings.closed_grace);
        let changed = match event.change {
            BindingChange::Added | BindingChange::Refreshed => presentity.contact_open(contact, event.binding.q),
            BindingChange::Expired | BindingChange::Removed => presentity.contact_closed(contact, now, grace),
        };
        if changed {
            shard.tell_watchers(at, &self.rules, now, effects);
            shard.schedule_presentity(at, now);
        }
    }

    /// Whether the presentity can be reached: it is registered, or a publication says so.
    pub fn is_online(&self, target: &Target<'_>, now: Instant) -> bool {
        let mut shard = self.lock(self.shard_of(target.uid));
        let key = KeyRef { package: target.package, domain: target.domain, uid: target.uid };
        if let Some(presentity) = shard.find(key).and_then(|at| shard.presentity(at)) {
            return presentity.is_online();
        }
        self.bindings_for(target.package, target.domain).is_some_and(|bindings| bindings.count(target.aor, now) > 0)
    }
}

pub(super) fn add_contacts(presentity: &mut Presentity, bindings: &dyn Bindings, now: Instant) {
    let aor = presentity.aor.clone();
    bindings.visit(&aor, now, &mut |binding| {
        presentity.contact_open(binding.contact, binding.q);
    });
}
