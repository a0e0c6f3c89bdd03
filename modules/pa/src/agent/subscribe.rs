//! SUBSCRIBE, and what comes of the NOTIFYs that follow.
//!
//! What a 2xx promises is done in two steps around the commit: [`Agent::subscribe`] and [`Agent::resubscribe`] check and prepare; when
//! the record is committed and the request answered, [`Agent::confirm_subscribe`] follows, and [`Agent::withdraw_subscribe`] when
//! it could not be committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_sip::dialog::Sequence;
use signalbox_sip::dialog::subscription::{MAX_WAIT, Reason, State};

use super::effects::{Effects, Record};
use super::quota::Charge;
use super::shards::{Agent, SHARDS};
use super::target::Target;
use crate::packages::Decision;
use crate::rejection::Rejection;
use crate::subscription::{Accepted, Answer, CSEQ_BLOCK, Start, Subscribe, Subscription, Watcher, Wishes};
use crate::token::Token;

/// Subscriptions to one presentity at a time.
pub const MAX_WATCHERS: usize = 100_000;

impl<W: Watcher> Agent<W> {
    /// A SUBSCRIBE outside of any dialog: makes a subscription, or with Expires 0 fetches the state once.
    pub fn subscribe(
        &self,
        target: &Target<'_>,
        request: &Subscribe<'_>,
        way: impl FnOnce(Token) -> Arc<W>,
        now: Instant,
    ) -> Result<Accepted, Rejection> {
        let expires = self.settings.subscription.choose(request.expires)?;
        let sequence = if self.settings.durable { Sequence::stored(0) } else { Sequence::volatile(0) };
        let charge = self.quotas.charge(request.payer, request.watcher, target.uid)?;
        self.admit(target, request, (expires, sequence, Some(charge)), way, now)
    }

    /// A subscription of another module: it lasts until [`Agent::leave`], and is in no database.
    pub fn join(
        &self,
        target: &Target<'_>,
        request: &Subscribe<'_>,
        way: impl FnOnce(Token) -> Arc<W>,
        now: Instant,
    ) -> Result<Accepted, Rejection> {
        self.admit(target, request, (MAX_WAIT, Sequence::volatile(0), None), way, now)
    }

    /// Ends what [`Agent::join`] began. Nothing is told to that watcher any more.
    pub fn leave(&self, id: Token, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock_of(id);
        if let Some(subscription) = shard.subscription(id) {
            subscription.end_silently();
            shard.advance(id, &self.rules, now, effects);
        }
    }

    fn admit(
        &self,
        target: &Target<'_>,
        request: &Subscribe<'_>,
        (expires, mut sequence, charge): (Duration, Sequence, Option<Arc<Charge>>),
        way: impl FnOnce(Token) -> Arc<W>,
        now: Instant,
    ) -> Result<Accepted, Rejection> {
        let authorization = self.packages().package(target.package).terms().authorization;
        let Decision::Accept(status) = authorization.decide(request.watcher, target.aor) else {
            return Err(Rejection::Forbidden);
        };
        let shard_number = self.shard_of(target.uid);
        let mut shard = self.lock(shard_number);
        if shard.is_full() {
            return Err(Rejection::Full);
        }
        let presentity = self.find_or_add(&mut shard, target, now);
        if shard.presentity(presentity).is_some_and(|presentity| presentity.watchers.len() >= MAX_WATCHERS) {
            return Err(Rejection::TooMany("watchers"));
        }
        let id = Token(self.tokens.token().0 & !(SHARDS as u64 - 1) | shard_number as u64);
        sequence.reserve(CSEQ_BLOCK);
        let wishes = self.granted(&request.wishes, expires);
        let start = Start {
            id,
            presentity,
            wishes: wishes.clone(),
            way: way(id),
            since: now,
            fingerprint: self.fingerprint(&request.identity),
            charge,
            remote_cseq: request.cseq,
            status,
            expires,
        };
        let mark = sequence.mark();
        shard.add_subscription(Subscription::new(start, sequence, now));
        Ok(Accepted {
            id,
            expires,
            status,
            since: now,
            wishes,
            cseq: request.cseq,
            mark,
            is_new: true,
            is_quiet: false,
        })
    }

    /// A SUBSCRIBE within a dialog, with the To tag as `id`: refreshes a subscription, or with Expires 0 ends it.
    pub fn resubscribe(&self, id: Token, request: &Subscribe<'_>) -> Result<Accepted, Rejection> {
        let fingerprint = self.fingerprint(&request.identity);
        let mut shard = self.lock_of(id);
        let known = shard.subscription_at(id).map(|subscription| subscription.fingerprint);
        match known {
            Some(known) if known == fingerprint => {}
            // RFC 6665 §4.5.2: "it may choose to fail the SUBSCRIBE request with a 403".
            Some(known) if known.dialog == fingerprint.dialog => return Err(Rejection::DialogSharing),
            _ => return Err(Rejection::NoSubscription),
        }
        // RFC 3261 §12.2.1.1: the URIs of a dialog stay the same. Another user, even an authenticated one, must not
        // change the subscription.
        let is_theirs = |subscription: &Subscription<W>| subscription.way.is_dialog_of(request.watcher, request.to);
        if !shard.subscription_at(id).is_some_and(is_theirs) {
            return Err(Rejection::ForeignDialog);
        }
        let is_quiet = shard.knows_the_state(id, &request.wishes, &self.rules);
        let subscription = shard.subscription(id).filter(|subscription| !subscription.state().is_terminated());
        let subscription = subscription.ok_or(Rejection::NoSubscription)?;
        // RFC 3261 §12.2.2: out of order "and MUST be rejected with a 500".
        if request.cseq < subscription.remote_cseq {
            return Err(Rejection::CSeq);
        }
        let expires = self.settings.subscription.choose(request.expires)?;
        subscription.remote_cseq = request.cseq;
        subscription.is_being_refreshed = !expires.is_zero();
        Ok(Accepted {
            id,
            expires,
            status: subscription.status(),
            since: subscription.since,
            wishes: self.granted(&request.wishes, expires),
            cseq: request.cseq,
            mark: subscription.next_mark(),
            is_new: false,
            is_quiet,
        })
    }

    fn granted(&self, wishes: &Wishes, expires: Duration) -> Wishes {
        let rates = wishes.rates.granted(expires, self.rules.policy.min_interval);
        Wishes { rates, ..wishes.clone() }
    }

    /// The record is committed and the 2xx is out: the NOTIFY that every SUBSCRIBE is owed may go (RFC 6665 §4.2.1.2). `way` is the new
    /// way to the watcher, where a refresh brought one.
    pub fn confirm_subscribe(&self, accepted: &Accepted, way: Option<W>, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock_of(accepted.id);
        let Some(subscription) = shard.subscription(accepted.id) else {
            return;
        };
        subscription.is_being_refreshed = false;
        subscription.is_untold &= !accepted.is_quiet;
        // Somebody decided while the record was on its way.
        if subscription.status() != accepted.status && !accepted.expires.is_zero() {
            effects.records.push(Record::Decided(accepted.id));
        }
        if accepted.is_new {
            subscription.answered();
        } else if subscription.refresh(accepted, now)
            && let Some(way) = way
        {
            subscription.way = Arc::new(way);
        }
        shard.advance(accepted.id, &self.rules, now, effects);
        if !accepted.is_new {
            shard.show_refresh(accepted.id, &self.rules, now, effects);
        }
    }

    /// The record could not be committed.
    pub fn withdraw_subscribe(&self, accepted: &Accepted) {
        let mut shard = self.lock_of(accepted.id);
        if accepted.is_new {
            shard.remove_subscription(accepted.id);
        } else if let Some(subscription) = shard.subscription(accepted.id) {
            subscription.is_being_refreshed = false;
        }
    }

    /// A NOTIFY was answered, or (`None`) by nobody.
    pub fn notified(&self, id: Token, answer: Option<Answer>, now: Instant, effects: &mut Effects<W>) {
        let mut shard = self.lock_of(id);
        let Some(subscription) = shard.subscription(id) else {
            return;
        };
        let was_over =
            !matches!(subscription.state(), State::Active | State::Pending | State::Terminated(Reason::Timeout));
        let arrived = answer.as_ref().is_some_and(|answer| (200..300).contains(&answer.status));
        let _ = subscription.notified(answer, &self.rules.policy, now);
        // A refresh that is being committed was written without the proof. After a restart the address must answer once
        // more.
        if subscription.take_proof(now) && !subscription.is_being_refreshed {
            effects.records.push(Record::Proved(id));
        }
        if subscription.is_over() && !was_over {
            effects.records.push(Record::SubscriptionGone(id));
        }
        if arrived {
            shard.watchers_told(id, effects);
        }
        shard.advance(id, &self.rules, now, effects);
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
        shard.advance(id, &self.rules, now, effects);
    }
}
