//! PUBLISH, in two steps around the commit as SUBSCRIBE.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::effects::Effects;
use super::shard::KeyRef;
use super::shards::Agent;
use super::target::Target;
use crate::publication::{Asked, Content, Publications, Publish, Published};
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
    /// A PUBLISH, in the order of RFC 3903 §6. `read` reads its body, if it has one, for the publisher of the given id; nobody else
    /// waits while it does.
    pub fn publish(
        &self,
        target: &Target<'_>,
        request: Publish<'_>,
        now: Instant,
        read: impl FnOnce(u64) -> Result<Option<Content>, Rejection>,
    ) -> Result<AcceptedPublish, Rejection> {
        let matched = request.if_match.map(|tag| self.matched(target, tag)).transpose()?;
        let expires = self.settings.publication.choose(request.expires)?;
        let id = matched.unwrap_or_else(|| self.tokens.token().0);
        let asked = Asked { id, expires, content: self.with_room(read(id)?)? };
        self.take(target, request.if_match, asked, now)
    }

    /// A publication by a sender that uses no entity tags. It has one publication with a fixed id. Without `content`
    /// the publication is removed.
    pub fn publish_as(
        &self,
        target: &Target<'_>,
        id: u64,
        expires: Option<Duration>,
        content: Option<Content>,
        now: Instant,
    ) -> Result<AcceptedPublish, Rejection> {
        let expires = self.settings.publication.choose(expires)?;
        let key = KeyRef { package: target.package, domain: target.domain, uid: target.uid };
        let tag = {
            let shard = self.lock(self.shard_of(target.uid));
            let presentity = shard.find(key).and_then(|at| shard.presentity_at(at));
            let known = presentity.and_then(|known| known.publications.iter().find(|publication| publication.id == id));
            known.map(|publication| publication.entity_tag.to_string())
        };
        let asked = Asked { id, expires, content: self.with_room(content)? };
        // The tag differs only if two of its requests come at once.
        self.take(target, tag.as_deref(), asked, now).map_err(|rejection| match rejection {
            Rejection::UnknownEntityTag => Rejection::CSeq,
            rejection => rejection,
        })
    }

    /// The content is counted in the space of all publications.
    fn with_room(&self, content: Option<Content>) -> Result<Option<Arc<Content>>, Rejection> {
        let Some(mut content) = content else { return Ok(None) };
        content.room = Some(self.space.take(content.octets())?);
        Ok(Some(Arc::new(content)))
    }

    fn take(
        &self,
        target: &Target<'_>,
        if_match: Option<&str>,
        asked: Asked,
        now: Instant,
    ) -> Result<AcceptedPublish, Rejection> {
        let shard_number = self.shard_of(target.uid);
        let mut shard = self.lock(shard_number);
        // What is there already can be refreshed and removed all the same.
        if shard.is_full() && if_match.is_none() {
            return Err(Rejection::Full);
        }
        let at = self.find_or_add(&mut shard, target, now);
        let Some(presentity) = shard.presentity(at) else {
            return Err(Rejection::UnknownEntityTag);
        };
        let limit = self.settings.max_presentity_octets;
        let published = presentity.publications.publish(if_match, asked, limit, now, &self.tokens);
        if published.as_ref().is_ok_and(|published| published.changed) {
            presentity.changed();
        }
        presentity.uncommitted += u32::from(published.is_ok());
        let published = published.inspect_err(|_| shard.remove_if_idle(at))?;
        Ok(AcceptedPublish { published, shard: shard_number, presentity: at })
    }

    /// The id of the publication that has this entity tag.
    fn matched(&self, target: &Target<'_>, if_match: &str) -> Result<u64, Rejection> {
        let mut shard = self.lock(self.shard_of(target.uid));
        let key = KeyRef { package: target.package, domain: target.domain, uid: target.uid };
        let at = shard.find(key);
        match at.and_then(|at| shard.presentity(at)) {
            Some(presentity) => presentity.publications.matched(if_match),
            None => Publications::default().matched(if_match),
        }
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
