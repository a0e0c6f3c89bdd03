//! A part of the agent's state under one lock: presentities, their subscriptions, and when something is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use hashbrown::{Equivalent, HashMap};
use signalbox_sip::dialog::subscription::{Reason, State};
use slab::Slab;

use super::effects::{Effects, Record};
use super::rules::Rules;
use crate::documents::Form;
use crate::packages::PackageId;
use crate::presentity::{Domain, Key, Presentity};
use crate::subscription::{Status, Step, Subscription, Watcher, Wishes};
use crate::token::Token;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Subscription(u32),
    Presentity(u32),
}

#[derive(Debug)]
pub(crate) struct Shard<W> {
    index: HashMap<Key, u32>,
    pub(super) presentities: Slab<Presentity>,
    by_id: HashMap<Token, u32>,
    pub(super) subscriptions: Slab<Subscription<W>>,
    /// One entry for each that has a deadline, at its deadline or before: refreshing moves nothing, an entry that comes too early is
    /// put back.
    deadlines: BinaryHeap<Reverse<(Instant, Due)>>,
}

/// When something overdue is looked at again.
const OVERDUE: Duration = Duration::from_millis(100);

/// A key to look a presentity up by, without an allocation.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct KeyRef<'a> {
    pub(crate) package: PackageId,
    pub(crate) domain: Domain,
    pub(crate) uid: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.package == key.package && self.domain == key.domain && *self.uid == *key.uid
    }
}

impl<W> Default for Shard<W> {
    fn default() -> Self {
        Self {
            index: HashMap::new(),
            presentities: Slab::new(),
            by_id: HashMap::new(),
            subscriptions: Slab::new(),
            deadlines: BinaryHeap::new(),
        }
    }
}

/// Subscriptions, and presentities, in one shard: 16 million in all. Beyond that new ones are refused with 503.
const MAX_IN_SHARD: usize = 1 << 18;

impl<W> Shard<W> {
    /// No more presentities and subscriptions are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.presentities.len() >= MAX_IN_SHARD || self.subscriptions.len() >= MAX_IN_SHARD
    }

    pub(crate) fn find(&self, key: KeyRef<'_>) -> Option<u32> {
        self.index.get(&key).copied()
    }

    pub(crate) fn presentity(&mut self, at: u32) -> Option<&mut Presentity> {
        self.presentities.get_mut(at as usize)
    }

    pub(crate) fn presentity_at(&self, at: u32) -> Option<&Presentity> {
        self.presentities.get(at as usize)
    }

    pub(crate) fn subscription(&mut self, id: Token) -> Option<&mut Subscription<W>> {
        let at = *self.by_id.get(&id)?;
        self.subscriptions.get_mut(at as usize)
    }

    pub(crate) fn place_of(&self, id: Token) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn subscription_at(&self, id: Token) -> Option<&Subscription<W>> {
        self.subscriptions.get(*self.by_id.get(&id)? as usize)
    }

    pub(crate) fn subscriptions_mut(&mut self) -> impl Iterator<Item = &mut Subscription<W>> {
        self.subscriptions.iter_mut().map(|(_, subscription)| subscription)
    }

    pub(crate) fn presentities_mut(&mut self) -> impl Iterator<Item = &mut Presentity> {
        self.presentities.iter_mut().map(|(_, presentity)| presentity)
    }

    pub(crate) fn presentities(&self) -> impl Iterator<Item = &Presentity> {
        self.presentities.iter().map(|(_, presentity)| presentity)
    }

    pub(crate) fn watchers_of(&self, presentity: &Presentity) -> impl Iterator<Item = &Subscription<W>> {
        presentity.watchers.iter().filter_map(|&at| self.subscriptions.get(at as usize))
    }

    /// The presentity of that key, made by `fill` where there is none.
    pub(crate) fn find_or_add(&mut self, key: KeyRef<'_>, make: impl FnOnce(Key) -> Presentity) -> u32 {
        if let Some(at) = self.find(key) {
            return at;
        }
        let owned = Key { package: key.package, domain: key.domain, uid: key.uid.into() };
        let at = self.presentities.insert(make(owned.clone())) as u32;
        self.index.insert(owned, at);
        at
    }

    pub(crate) fn add_subscription(&mut self, subscription: Subscription<W>) {
        let (id, presentity) = (subscription.id, subscription.presentity);
        let at = self.subscriptions.insert(subscription) as u32;
        self.by_id.insert(id, at);
        if let Some(presentity) = self.presentities.get_mut(presentity as usize) {
            if let Some(subscription) = self.subscriptions.get_mut(at as usize) {
                subscription.place = presentity.watchers.len() as u32;
            }
            presentity.watchers.push(at);
        }
    }

    pub(crate) fn remove_subscription(&mut self, id: Token) {
        let Some(at) = self.by_id.remove(&id) else {
            return;
        };
        let subscription = self.subscriptions.remove(at as usize);
        // The last one takes its place: of a hundred thousand that end at once, nobody has to be searched for.
        let place = subscription.place as usize;
        if let Some(presentity) = self.presentities.get_mut(subscription.presentity as usize)
            && presentity.watchers.get(place) == Some(&at)
        {
            presentity.watchers.swap_remove(place);
            let moved = presentity.watchers.get(place).and_then(|&moved| self.subscriptions.get_mut(moved as usize));
            if let Some(moved) = moved {
                moved.place = place as u32;
            }
        }
        self.remove_if_idle(subscription.presentity);
    }

    pub(crate) fn remove_if_idle(&mut self, at: u32) {
        if self.presentity(at).is_some_and(|presentity| presentity.is_idle()) {
            let presentity = self.presentities.remove(at as usize);
            self.index.remove(&presentity.key);
        }
    }

    /// Queues the next deadline of a presentity.
    pub(crate) fn schedule_presentity(&mut self, at: u32, now: Instant) {
        if let Some(presentity) = self.presentities.get_mut(at as usize) {
            schedule(
                &mut self.deadlines,
                presentity.next_deadline(),
                &mut presentity.scheduled,
                Due::Presentity(at),
                now,
            );
        }
    }

    /// The earliest entry of the queue.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }
}

impl<W: Watcher> Shard<W> {
    /// Tells the watchers of a presentity that it changed.
    pub(crate) fn tell_watchers(&mut self, at: u32, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        let Some(presentity) = self.presentities.get_mut(at as usize) else {
            return;
        };
        if presentity.looks_the_same(rules.packages.package(presentity.key.package), now) {
            return;
        }
        let watchers = std::mem::take(&mut presentity.watchers);
        for &watcher in &watchers {
            if let Some(subscription) = self.subscriptions.get_mut(watcher as usize) {
                subscription.presentity_changed();
            }
            self.advance_at(watcher, rules, now, effects);
        }
        if let Some(presentity) = self.presentity(at) {
            presentity.watchers = watchers;
        }
    }

    /// Whether the condition of a SUBSCRIBE within the dialog holds: the watcher knows the state as it is (RFC 5839 §6.3).
    pub(super) fn knows_the_state(&mut self, id: Token, wishes: &Wishes, rules: &Rules) -> bool {
        let (Some(condition), Some(subscription)) = (wishes.condition, self.subscription_at(id)) else {
            return false;
        };
        let visible = subscription.status() == Status::Active;
        let presentity = self.presentities.get_mut(subscription.presentity as usize).filter(|_| visible);
        let body = presentity
            .filter(|presentity| presentity.teller.is_none())
            .and_then(|presentity| presentity.body(rules.packages.package(presentity.key.package), &wishes.form));
        condition.holds(body.as_ref())
    }

    /// Does what is due for a subscription.
    pub(crate) fn advance(&mut self, id: Token, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        if let Some(&at) = self.by_id.get(&id) {
            self.advance_at(at, rules, now, effects);
        }
        if self.subscription(id).is_some_and(|subscription| subscription.is_over()) {
            self.remove_subscription(id);
        }
    }

    fn advance_at(&mut self, at: u32, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        let Some(subscription) = self.subscriptions.get_mut(at as usize) else {
            return;
        };
        let Some(presentity) = self.presentities.get_mut(subscription.presentity as usize) else {
            return;
        };
        loop {
            let body = |form: &Form, version, seen: &mut Option<u64>| {
                if presentity.teller.is_none() {
                    return presentity.body(rules.packages.package(presentity.key.package), form);
                }
                presentity.told(version, seen, now)
            };
            match subscription.step(&rules.policy, now, body) {
                Step::Nothing => break,
                Step::Send(notify) => {
                    // One whose time is over stays in the database until its watcher has heard so: after a crash it is told again.
                    let state = notify.notification.state;
                    if state.is_terminated() && state != State::Terminated(Reason::Timeout) {
                        effects.records.push(Record::SubscriptionGone(subscription.id));
                    }
                    effects.notifies.push(notify);
                }
                Step::Reserve(mark) => effects.records.push(Record::Reserve { id: subscription.id, mark }),
            }
        }
        schedule(&mut self.deadlines, subscription.deadline(), &mut subscription.scheduled, Due::Subscription(at), now);
        self.show_change(at, rules, now, effects);
    }

    /// Does all whose time has come.
    pub(crate) fn tick(&mut self, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        while let Some(Reverse((at, due))) = self.deadlines.peek().copied() {
            if at > now {
                return;
            }
            self.deadlines.pop();
            match due {
                Due::Subscription(at) => {
                    let Some(subscription) = self.subscriptions.get_mut(at as usize) else {
                        continue;
                    };
                    subscription.scheduled = None;
                    let id = subscription.id;
                    self.advance(id, rules, now, effects);
                }
                Due::Presentity(at) => self.expire_presentity(at, rules, now, effects),
            }
        }
    }

    fn expire_presentity(&mut self, at: u32, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        let Some(presentity) = self.presentity(at) else {
            return;
        };
        presentity.scheduled = None;
        let (changed, publications) = presentity.expire(now);
        effects.records.extend(publications.into_iter().map(Record::PublicationGone));
        if changed {
            self.tell_watchers(at, rules, now, effects);
        }
        self.schedule_presentity(at, now);
        self.remove_if_idle(at);
    }
}

fn schedule(
    deadlines: &mut BinaryHeap<Reverse<(Instant, Due)>>,
    deadline: Option<Instant>,
    scheduled: &mut Option<Instant>,
    due: Due,
    now: Instant,
) {
    let Some(deadline) = deadline else {
        return;
    };
    // What is overdue now waits for something else, such as a commit; it must not keep the queue busy meanwhile.
    let deadline = deadline.max(now + OVERDUE);
    if scheduled.is_none_or(|scheduled| deadline < scheduled) {
        *scheduled = Some(deadline);
        deadlines.push(Reverse((deadline, due)));
    }
}
