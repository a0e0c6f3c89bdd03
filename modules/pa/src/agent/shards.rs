//! The agent: its shards, and which of them is whose.
//!
//! Invariant: all state of one presentity and its subscriptions is in one shard, which the low bits of a subscription's id name.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use signalbox::services::bindings::Bindings;
use signalbox_sip::dialog::notifier::Policy;
use siphasher::sip::SipHasher13;

use super::aliases::Aliases;
use super::effects::Effects;
use super::quota::Quotas;
use super::registrations::add_contacts;
use super::rules::Rules;
use super::shard::{KeyRef, Shard};
use super::target::Target;
use super::untold::Untold;
use crate::packages::{PRESENCE, PackageId, Packages};
use crate::presentity::{Domain, Presentity};
use crate::publication::Space;
use crate::settings::Settings;
use crate::subscription::{Fingerprint, Identity, Watcher};
use crate::token::{Token, Tokens};

/// Shards: enough that workers rarely meet at one.
pub(super) const SHARDS: usize = 64;

/// The agent. `W` is how to get to a watcher, which the logic doesn't look into.
pub struct Agent<W> {
    pub settings: Settings,
    pub(super) rules: Rules,
    pub(super) tokens: Tokens,
    pub(super) key: [u8; 16],
    pub(super) shards: Box<[Mutex<Shard<W>>]>,
    pub(super) bindings: OnceLock<Arc<dyn Bindings>>,
    pub(super) aliases: Aliases,
    pub(super) untold: Untold,
    pub(super) quotas: Arc<Quotas>,
    /// The space of all publications.
    pub space: Space,
}

impl<W: Watcher> Agent<W> {
    /// `key` comes from the operating system's random source, anew at every start.
    pub fn new(settings: Settings, packages: Packages, key: [u8; 16]) -> Self {
        let policy = Policy {
            min_interval: settings.notify_min_interval,
            keep_on_timeout: settings.ignore_notify_timeout,
            end_on_challenge: !settings.ignore_notify_challenge,
        };
        let quotas = Quotas::new(settings.limits, key);
        Self {
            rules: Rules { policy, packages },
            space: Space::new(settings.max_published_octets),
            settings,
            tokens: Tokens::new(key),
            key,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bindings: OnceLock::new(),
            aliases: Aliases::default(),
            untold: Untold::default(),
            quotas,
        }
    }

    /// Does all whose time has come.
    pub fn tick(&self, now: Instant, effects: &mut Effects<W>) {
        for number in 0..SHARDS {
            self.lock(number).tick(&self.rules, now, effects);
        }
        self.tell_again(now, effects);
    }

    /// When [`Self::tick`] is next due, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.untold.next().into_iter().chain((0..SHARDS).filter_map(|number| self.lock(number).next_deadline())).min()
    }

    pub(super) fn find_or_add(&self, shard: &mut Shard<W>, target: &Target<'_>, now: Instant) -> u32 {
        let key = KeyRef { package: target.package, domain: target.domain, uid: target.uid };
        if let Some(at) = shard.find(key) {
            return at;
        }
        let at = shard.find_or_add(key, |key| {
            if target.uid != target.aor {
                self.aliases.add(target.aor, target.uid);
            }
            let mut presentity = Presentity::new(key, target.aor);
            if let Some(bindings) = self.bindings_for(target.package, target.domain) {
                add_contacts(&mut presentity, &**bindings, now);
            }
            presentity
        });
        shard.add_teller(at, &self.rules, now);
        at
    }

    /// The location service, where contacts count.
    pub(super) fn bindings_for(&self, package: PackageId, domain: Domain) -> Option<&Arc<dyn Bindings>> {
        let counts = self.settings.use_callbacks && package == PRESENCE && domain == Domain::Registrar;
        self.bindings.get().filter(|_| counts)
    }

    pub fn packages(&self) -> &Packages {
        &self.rules.packages
    }

    pub(super) fn fingerprint(&self, identity: &Identity<'_>) -> Fingerprint {
        let hash = |of: (&str, &str)| {
            let mut hasher = SipHasher13::new_with_key(&self.key);
            of.hash(&mut hasher);
            hasher.finish() as u32
        };
        let dialog = hash((identity.call_id, identity.remote_tag));
        Fingerprint { dialog, event: hash((identity.event, identity.event_id)) }
    }

    pub(super) fn shard_of(&self, uid: &str) -> usize {
        // Not keyed: subscriptions name their shard in ids that outlive the process.
        crate::composition::fingerprint(uid) as usize % SHARDS
    }

    pub(super) fn lock_of(&self, id: Token) -> MutexGuard<'_, Shard<W>> {
        self.lock(id.0 as usize % SHARDS)
    }

    pub(super) fn lock(&self, number: usize) -> MutexGuard<'_, Shard<W>> {
        // A panic under the lock leaves a shard that is still in order: what it lost is one event.
        self.shards[number % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
