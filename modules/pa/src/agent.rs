//! The presence agent without input or output: requests and events go in with the time, and out come answers,
//! notifications and records for the database.
//!
//! What a 2xx promises is done in two steps around the commit: [`Agent::subscribe`], [`Agent::resubscribe`] and [`Agent::publish`] check and
//! prepare; when the record is committed and the request answered, `confirm_…` follows, and `withdraw_…` when it could not be committed.
//!
//! Invariant: all state of one presentity and its subscriptions is in one shard, which the low bits of a subscription's id name.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use signalbox::services::bindings::{BindingChange, BindingEvent, Bindings};
use signalbox_sip::dialog::Sequence;
use signalbox_sip::dialog::notifier::Policy;
use siphasher::sip::SipHasher13;

use crate::aliases::Aliases;
use crate::document::DocumentType;
use crate::package::{PRESENCE, PackageId, Packages};
use crate::presentity::{Domain, Presentity};
use crate::publication::{Content, Publication, Publish, Published};
use crate::rejection::Rejection;
use crate::settings::{Authorization, Settings};
use crate::shard::{Effects, KeyRef, Shard};
use crate::token::{Token, Tokens};
use crate::watcher::{CSEQ_BLOCK, Start, Status, Subscription};

/// Shards: enough that workers rarely meet at one.
const SHARDS: usize = 64;
/// Subscriptions to one presentity at a time.
pub const MAX_WATCHERS: usize = 100_000;

/// The agent. `W` is how to get to a watcher, which the logic doesn't look into.
pub struct Agent<W> {
    pub settings: Settings,
    pub packages: Packages,
    policy: Policy,
    tokens: Tokens,
    key: [u8; 16],
    shards: Box<[Mutex<Shard<W>>]>,
    bindings: OnceLock<Arc<dyn Bindings>>,
    aliases: Aliases,
}

/// Whom a request is about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub package: PackageId,
    pub domain: Domain,
    pub uid: &'a str,
    /// The address of record, for registrations and for the documents' `entity`.
    pub aor: &'a str,
}

/// What tells a subscription from others: its dialog and its event (RFC 6665 §4.4.1, §8.2.1).
#[derive(Debug, Clone, Copy, Hash)]
pub struct Identity<'a> {
    pub call_id: &'a str,
    pub remote_tag: &'a str,
    pub event: &'a str,
    /// The `id` parameter of Event; empty without.
    pub event_id: &'a str,
}

/// What a SUBSCRIBE asks for.
#[derive(Debug, Clone, Copy)]
pub struct Subscribe<'a> {
    pub identity: Identity<'a>,
    pub cseq: u32,
    pub expires: Option<Duration>,
    pub document: DocumentType,
}

/// An accepted SUBSCRIBE, to be committed, answered and then confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    pub id: Token,
    pub expires: Duration,
    pub status: Status,
    pub document: DocumentType,
    pub cseq: u32,
    /// The CSeq mark to be committed with it.
    pub mark: u32,
    /// It makes a subscription; else it refreshes or ends one.
    pub is_new: bool,
}

/// An accepted PUBLISH, to be committed, answered and then confirmed.
#[derive(Debug)]
pub struct AcceptedPublish {
    pub published: Published,
    shard: usize,
    presentity: u32,
}

/// A subscription read from the database.
#[derive(Debug)]
pub struct RestoredSubscription<'a, W> {
    pub id: Token,
    pub target: Target<'a>,
    pub remote_cseq: u32,
    pub mark: u32,
    pub document: DocumentType,
    pub status: Status,
    /// What is left of it.
    pub expires: Duration,
    pub way: W,
}

impl<W> Agent<W> {
    /// `key` comes from the operating system's random source, anew at every start.
    pub fn new(settings: Settings, packages: Packages, key: [u8; 16]) -> Self {
        let policy =
            Policy { min_interval: settings.notify_min_interval, keep_on_timeout: settings.ignore_notify_timeout };
        Self {
            policy,
            settings,
            packages,
            tokens: Tokens::new(key),
            key,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bindings: OnceLock::new(),
            aliases: Aliases::default(),
        }
    }

    /// Where presence learns of registrations. To be told before the first request; presentities from the database are given their
    /// contacts.
    pub fn follow(&self, bindings: Arc<dyn Bindings>, now: Instant) {
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            let followed = shard.presentities_mut().filter(|presentity| presentity.key.domain == Domain::Registrar);
            followed.for_each(|presentity| add_contacts(presentity, &*bindings, now));
        }
        // Told twice, the first one stays.
        let _ = self.bindings.set(bindings);
    }

    /// A SUBSCRIBE outside of any dialog: makes a subscription, or with Expires 0 fetches the state once.
    pub fn subscribe(
        &self,
        target: &Target<'_>,
        request: &Subscribe<'_>,
        way: impl FnOnce(Token) -> W,
        now: Instant,
    ) -> Result<Accepted, Rejection> {
        let expires = self.settings.subscription.choose(request.expires)?;
        let shard_number = self.shard_of(target.uid);
        let mut shard = self.lock(shard_number);
        let presentity = self.find_or_add(&mut shard, target, now);
        if shard.presentity(presentity).is_some_and(|presentity| presentity.watchers.len() >= MAX_WATCHERS) {
            return Err(Rejection::TooMany("watchers"));
        }
        let id = Token(self.tokens.token().0 & !(SHARDS as u64 - 1) | shard_number as u64);
        let mut sequence = if self.settings.durable { Sequence::stored(0) } else { Sequence::volatile(0) };
        sequence.reserve(CSEQ_BLOCK);
        let status = match self.settings.authorization {
            Authorization::None => Status::Active,
            Authorization::Implicit => Status::Pending,
        };
        let start = Start {
            id,
            presentity,
            document: request.document,
            way: Arc::new(way(id)),
            fingerprint: self.fingerprint(&request.identity),
            remote_cseq: request.cseq,
            status,
            expires,
        };
        let mark = sequence.mark();
        shard.add_subscription(Subscription::new(start, sequence, now));
        Ok(Accepted { id, expires, status, document: request.document, cseq: request.cseq, mark, is_new: true })
    }

    /// A SUBSCRIBE within a dialog, with the To tag as `id`: refreshes a subscription, or with Expires 0 ends it.
    pub fn resubscribe(&self, id: Token, request: &Subscribe<'_>) -> Result<Accepted, Rejection> {
        let fingerprint = self.fingerprint(&request.identity);
        let mut shard = self.lock_of(id);
        let subscription = shard.subscription(id).ok_or(Rejection::NoSubscription)?;
        if subscription.fingerprint != fingerprint || subscription.state().is_terminated() {
            return Err(Rejection::NoSubscription);
        }
        // RFC 3261 §12.2.2: out of order "and MUST be rejected with a 500".
        if request.cseq < subscription.remote_cseq {
            return Err(Rejection::CSeq);
        }
        let expires = self.settings.subscription.choose(request.expires)?;
        subscription.remote_cseq = request.cseq;
        let (status, mark) = (subscription.status(), subscription.next_mark());
        Ok(Accepted { id, expires, status, document: request.document, cseq: request.cseq, mark, is_new: false })
    }

    /// The record is committed and the 2xx is out: the NOTIFY that every SUBSCRIBE is owed may go (RFC 6665 §4.2.1.2). `way` is the new
    /// way to the watcher, where a refresh brought one.
    pub fn confirm_subscribe(&self, accepted: &Accepted, way: Option<W>, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock_of(accepted.id);
        let Some(subscription) = shard.subscription(accepted.id) else {
            return;
        };
        if accepted.is_new {
            subscription.answered();
        } else if subscription.refresh(accepted.expires, now) {
            subscription.document = accepted.document;
            subscription.reserve(accepted.mark);
            if let Some(way) = way {
                subscription.way = Arc::new(way);
            }
        }
        shard.advance(accepted.id, &self.policy, now, effects);
    }

    /// The record could not be committed.
    pub fn withdraw_subscribe(&self, accepted: &Accepted) {
        if accepted.is_new {
            self.lock_of(accepted.id).remove_subscription(accepted.id);
        }
    }

    /// A NOTIFY was answered with this status and Retry-After, or by nobody.
    pub fn notified(&self, id: Token, answer: Option<(u16, Option<Duration>)>, now: Instant, effects: &mut Effects<W>) {
        use crate::shard::Record;
        let mut shard = self.lock_of(id);
        let Some(subscription) = shard.subscription(id) else {
            return;
        };
        let was_over = subscription.state().is_terminated();
        let _ = subscription.notified(answer, &self.policy, now);
        if subscription.is_over() && !was_over {
            effects.records.push(Record::SubscriptionGone(id));
        }
        shard.advance(id, &self.policy, now, effects);
    }

    /// CSeq numbers up to `mark` are committed, or (`None`) could not be.
    pub fn reserved(&self, id: Token, mark: Option<u32>, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock_of(id);
        let Some(subscription) = shard.subscription(id) else {
            return;
        };
        match mark {
            Some(mark) => subscription.reserve(mark),
            None => return subscription.not_reserved(),
        }
        shard.advance(id, &self.policy, now, effects);
    }

    /// A PUBLISH. `read` reads its body, if it has one, for the publisher of the given id.
    pub fn publish(
        &self,
        target: &Target<'_>,
        request: Publish<'_>,
        now: Instant,
        read: impl FnOnce(u64) -> Result<Option<Content>, Rejection>,
    ) -> Result<AcceptedPublish, Rejection> {
        let shard_number = self.shard_of(target.uid);
        let mut shard = self.lock(shard_number);
        let at = self.find_or_add(&mut shard, target, now);
        let Some(presentity) = shard.presentity(at) else {
            return Err(Rejection::UnknownEntityTag);
        };
        let interval = &self.settings.publication;
        let published = presentity.publications.publish(request, interval, now, &self.tokens, read);
        if published.as_ref().is_ok_and(|published| published.changed) {
            presentity.changed();
        }
        let published = published.inspect_err(|_| shard.remove_if_idle(at))?;
        Ok(AcceptedPublish { published, shard: shard_number, presentity: at })
    }

    /// The record is committed and the 2xx is out: watchers may know.
    pub fn confirm_publish(&self, accepted: &AcceptedPublish, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock(accepted.shard);
        if accepted.published.changed {
            shard.tell_watchers(accepted.presentity, &self.policy, now, effects);
        }
        shard.schedule_presentity(accepted.presentity);
        shard.remove_if_idle(accepted.presentity);
    }

    /// The record could not be committed: everything is as before.
    pub fn withdraw_publish(&self, accepted: AcceptedPublish) {
        let mut shard = self.lock(accepted.shard);
        if let Some(presentity) = shard.presentity(accepted.presentity) {
            presentity.publications.undo(accepted.published);
            presentity.changed();
        }
        shard.schedule_presentity(accepted.presentity);
        shard.remove_if_idle(accepted.presentity);
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
            shard.tell_watchers(at, &self.policy, now, effects);
            shard.schedule_presentity(at);
        }
    }

    /// Whether the presentity can be reached: it is registered, or a publication says so.
    pub fn is_online(&self, target: &Target<'_>, now: Instant) -> bool {
        let mut shard = self.lock(self.shard_of(target.uid));
        let key = KeyRef { package: target.package, domain: target.domain, uid: target.uid };
        if let Some(presentity) = shard.find(key).and_then(|at| shard.presentity(at)) {
            return presentity.is_online();
        }
        self.bindings_for(target.domain).is_some_and(|bindings| bindings.count(target.aor, now) > 0)
    }

    /// Does all whose time has come.
    pub fn tick(&self, now: Instant, effects: &mut Effects<W>) {
        for number in 0..SHARDS {
            self.lock(number).tick(&self.policy, now, effects);
        }
    }

    /// When [`Self::tick`] has something to do, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        (0..SHARDS).filter_map(|number| self.lock(number).next_deadline()).min()
    }

    /// Puts back a subscription from the database. One whose time is over is ended by the next [`Self::tick`].
    /// False when its way doesn't tell what it is.
    pub fn restore_subscription(
        &self,
        restored: RestoredSubscription<'_, W>,
        identity: impl FnOnce(&W) -> Option<Identity<'_>>,
        now: Instant,
        effects: &mut Effects<W>,
    ) -> bool {
        let Some(fingerprint) = identity(&restored.way).map(|identity| self.fingerprint(&identity)) else {
            return false;
        };
        let mut shard = self.lock_of(restored.id);
        let presentity = self.find_or_add(&mut shard, &restored.target, now);
        let sequence = Sequence::stored(restored.mark);
        let start = Start {
            id: restored.id,
            presentity,
            document: restored.document,
            way: Arc::new(restored.way),
            fingerprint,
            remote_cseq: restored.remote_cseq,
            status: restored.status,
            expires: restored.expires,
        };
        shard.add_subscription(Subscription::restored(start, sequence, now));
        shard.advance(restored.id, &self.policy, now, effects);
        true
    }

    /// Puts back a publication from the database.
    pub fn restore_publication(&self, target: &Target<'_>, publication: Publication, now: Instant) {
        let mut shard = self.lock(self.shard_of(target.uid));
        let at = self.find_or_add(&mut shard, target, now);
        if let Some(presentity) = shard.presentity(at) {
            presentity.publications.restore(publication);
            presentity.changed();
        }
        shard.schedule_presentity(at);
    }

    /// The presentity of this target, if there is one, with its subscriptions.
    pub fn look<T>(
        &self,
        target: &Target<'_>,
        look: impl FnOnce(&Presentity, &mut dyn Iterator<Item = &Subscription<W>>) -> T,
    ) -> Option<T> {
        let shard = self.lock(self.shard_of(target.uid));
        let at = shard.find(KeyRef { package: target.package, domain: target.domain, uid: target.uid })?;
        let presentity = shard.presentity_at(at)?;
        Some(look(presentity, &mut shard.watchers_of(presentity)))
    }

    /// The subscription of this id, if there is one, with its presentity.
    pub fn look_at<T>(&self, id: Token, look: impl FnOnce(&Subscription<W>, &Presentity) -> T) -> Option<T> {
        let shard = self.lock_of(id);
        let subscription = shard.subscription_at(id)?;
        Some(look(subscription, shard.presentity_at(subscription.presentity)?))
    }

    /// Shows every presentity, shard by shard.
    pub fn for_each_presentity(&self, mut each: impl FnMut(&Presentity)) {
        for number in 0..SHARDS {
            self.lock(number).presentities().for_each(&mut each);
        }
    }

    fn find_or_add(&self, shard: &mut Shard<W>, target: &Target<'_>, now: Instant) -> u32 {
        let key = KeyRef { package: target.package, domain: target.domain, uid: target.uid };
        shard.find_or_add(key, |key| {
            if target.uid != target.aor {
                self.aliases.add(target.aor, target.uid);
            }
            let mut presentity = Presentity::new(key, target.aor);
            if let Some(bindings) = self.bindings_for(target.domain) {
                add_contacts(&mut presentity, &**bindings, now);
            }
            presentity
        })
    }

    fn bindings_for(&self, domain: Domain) -> Option<&Arc<dyn Bindings>> {
        self.bindings.get().filter(|_| self.settings.use_callbacks && domain == Domain::Registrar)
    }

    fn fingerprint(&self, identity: &Identity<'_>) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        identity.hash(&mut hasher);
        hasher.finish()
    }

    fn shard_of(&self, uid: &str) -> usize {
        // Not keyed: subscriptions name their shard in ids that outlive the process.
        crate::composition::fingerprint(uid) as usize % SHARDS
    }

    fn lock_of(&self, id: Token) -> MutexGuard<'_, Shard<W>> {
        self.lock(id.0 as usize % SHARDS)
    }

    fn lock(&self, number: usize) -> MutexGuard<'_, Shard<W>> {
        // A panic under the lock leaves a shard that is still in order: what it lost is one event.
        self.shards[number % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_contacts(presentity: &mut Presentity, bindings: &dyn Bindings, now: Instant) {
    let aor = presentity.aor.clone();
    bindings.visit(&aor, now, &mut |binding| {
        presentity.contact_open(binding.contact, binding.q);
    });
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
