//! What the database brings back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_sip::dialog::Sequence;

use super::effects::{Effects, Record};
use super::quota::Payer;
use super::shards::Agent;
use super::target::Target;
use crate::publication::Publication;
use crate::rejection::Rejection;
use crate::subscription::{Identity, Start, Status, Subscription, Watcher, Wishes};
use crate::token::Token;

/// A subscription read from the database.
#[derive(Debug)]
pub struct RestoredSubscription<'a, W> {
    pub id: Token,
    pub target: Target<'a>,
    pub remote_cseq: u32,
    pub mark: u32,
    pub wishes: Wishes,
    pub status: Status,
    /// When it began.
    pub since: Instant,
    /// What is left of it.
    pub expires: Duration,
    pub way: W,
    /// Octets of all texts that are kept of it.
    pub octets: u32,
}

impl<W: Watcher> Agent<W> {
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
        // Its source is no longer known.
        let payer = Payer { source: None, octets: restored.octets };
        let charge = match self.quotas.charge(payer, restored.way.uri(), restored.target.uid) {
            Ok(charge) => Some(charge),
            Err(rejection) => {
                tracing::warn!(subscription = %restored.id, %rejection, "a subscription in the database is over today's limits and was removed");
                effects.records.push(Record::SubscriptionGone(restored.id));
                return false;
            }
        };
        let mut shard = self.lock_of(restored.id);
        let presentity = self.find_or_add(&mut shard, &restored.target, now);
        let sequence = Sequence::stored(restored.mark);
        let start = Start {
            id: restored.id,
            presentity,
            wishes: restored.wishes,
            way: Arc::new(restored.way),
            since: restored.since,
            fingerprint,
            charge,
            remote_cseq: restored.remote_cseq,
            status: restored.status,
            expires: restored.expires,
        };
        shard.add_subscription(Subscription::restored(start, sequence, now));
        shard.show_restored(restored.id, &self.rules, now);
        shard.advance(restored.id, &self.rules, now, effects);
        true
    }

    /// Puts back a publication from the database, unless it breaks today's limits.
    pub fn restore_publication(
        &self,
        target: &Target<'_>,
        mut publication: Publication,
        now: Instant,
    ) -> Result<(), Rejection> {
        let octets = publication.content.octets();
        if let Some(content) = Arc::get_mut(&mut publication.content) {
            content.room = Some(self.space.take(octets)?);
        }
        let mut shard = self.lock(self.shard_of(target.uid));
        let at = self.find_or_add(&mut shard, target, now);
        if let Some(presentity) = shard.presentity(at) {
            let restored = presentity.publications.restore(publication, self.settings.max_presentity_octets);
            presentity.changed();
            // A publication that has expired is removed in the usual way.
            presentity.update_teller(now);
            restored.inspect_err(|_| shard.remove_if_idle(at))?;
        }
        shard.schedule_presentity(at, now);
        Ok(())
    }
}
