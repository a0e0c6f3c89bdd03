//! Looking at the state.

use super::shard::KeyRef;
use super::shards::{Agent, SHARDS};
use super::target::Target;
use crate::presentity::Presentity;
use crate::subscription::{Subscription, Watcher};
use crate::token::Token;

impl<W: Watcher> Agent<W> {
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
}
