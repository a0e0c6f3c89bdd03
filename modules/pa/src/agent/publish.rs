//! PUBLISH, in two steps around the commit as SUBSCRIBE.

use std::time::Instant;

use super::effects::Effects;
use super::shards::Agent;
use super::target::Target;
use crate::publication::{Content, Publish, Published};
use crate::rejection::Rejection;
use crate::subscription::Watcher;

/// An accepted PUBLISH, to be committed, answered and then confirmed.
#[derive(Debug)]
pub struct AcceptedPublish {
    pub published: Published,
    shard: usize,
    presentity: u32,
}

impl<W: Watcher> Agent<W> {
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
        // What is there already can be refreshed and removed all the same.
        if shard.is_full() && request.if_match.is_none() {
            return Err(Rejection::Full);
        }
        let at = self.find_or_add(&mut shard, target, now);
        let Some(presentity) = shard.presentity(at) else {
            return Err(Rejection::UnknownEntityTag);
        };
        let interval = &self.settings.publication;
        let published = presentity.publications.publish(request, interval, now, &self.tokens, read);
        if published.as_ref().is_ok_and(|published| published.changed) {
            presentity.changed();
        }
        presentity.uncommitted += u32::from(published.is_ok());
        let published = published.inspect_err(|_| shard.remove_if_idle(at))?;
        Ok(AcceptedPublish { published, shard: shard_number, presentity: at })
    }

    /// The record is committed and the 2xx is out: watchers may know.
    pub fn confirm_publish(&self, accepted: &AcceptedPublish, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock(accepted.shard);
        if let Some(presentity) = shard.presentity(accepted.presentity) {
            presentity.uncommitted = presentity.uncommitted.saturating_sub(1);
        }
        if accepted.published.changed {
            shard.tell_watchers(accepted.presentity, &self.rules, now, effects);
        }
        shard.schedule_presentity(accepted.presentity, now);
        shard.remove_if_idle(accepted.presentity);
    }

    /// The record could not be committed: everything is as before, also for who was told meanwhile.
    pub fn withdraw_publish(&self, accepted: AcceptedPublish, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock(accepted.shard);
        if let Some(presentity) = shard.presentity(accepted.presentity) {
            presentity.uncommitted = presentity.uncommitted.saturating_sub(1);
            presentity.publications.undo(accepted.published);
            presentity.changed();
        }
        shard.tell_watchers(accepted.presentity, &self.rules, now, effects);
        shard.schedule_presentity(accepted.presentity, now);
        shard.remove_if_idle(accepted.presentity);
    }
}
