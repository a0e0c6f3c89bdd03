//! Watchers that the database remembers (`store_winfo`), given to the package that tells of watchers.

use std::time::Instant;

use super::effects::{Effects, Record};
use super::shard::{KeyRef, Shard};
use super::shards::Agent;
use super::target::Target;
use crate::packages::Remembered;
use crate::presentity::Presentity;
use crate::subscription::{Status, Watcher};
use crate::token::Token;

impl<W: Watcher> Agent<W> {
    /// Whether somebody is told of the subscriptions of the target's package.
    pub fn is_observed(&self, target: &Target<'_>) -> bool {
        let Some(package) = self.packages().observer_of(target.package) else {
            return false;
        };
        let shard = self.lock(self.shard_of(target.uid));
        let key = KeyRef { package, domain: target.domain, uid: target.uid };
        let presentity = shard.find(key).and_then(|at| shard.presentity_at(at));
        presentity.is_some_and(|presentity| {
            shard
                .watchers_of(presentity)
                .any(|watcher| watcher.status() == Status::Active && !watcher.state().is_terminated())
        })
    }

    /// Tells of watchers that the database remembers. What arrives is to be forgotten there: [`Record::WatcherTold`].
    pub fn remember(&self, target: &Target<'_>, watchers: &[Remembered], now: Instant, effects: &mut Effects<W>) {
        let Some(package) = self.packages().observer_of(target.package) else {
            return;
        };
        let mut shard = self.lock(self.shard_of(target.uid));
        let key = KeyRef { package, domain: target.domain, uid: target.uid };
        let Some(at) = shard.find(key) else {
            return;
        };
        let Some(observer) = shard.presentity(at).and_then(Presentity::observer) else {
            return;
        };
        observer.remember(watchers, now);
        shard.tell_watchers(at, &self.rules, now, effects);
        shard.schedule_presentity(at, now);
    }
}

impl<W: Watcher> Shard<W> {
    /// A NOTIFY arrived. If it told of watchers, those need not be remembered any more.
    pub(super) fn watchers_told(&mut self, id: Token, effects: &mut Effects<W>) {
        let watcher = self.subscription_at(id).and_then(|watcher| Some((watcher.presentity, watcher.seen()?)));
        let Some((presentity, seen)) = watcher else {
            return;
        };
        if let Some(observer) = self.presentity(presentity).and_then(Presentity::observer) {
            effects.records.extend(observer.delivered(seen).into_iter().map(Record::WatcherTold));
        }
    }
}
