//! One subscription as its notifier keeps it: RFC 6665's state machine ([`Notifier`]) with the dialog's CSeq numbers and what the
//! watcher may see.
//!
//! Invariant: of one subscription at most one NOTIFY is on its way. What changes meanwhile is told by the next one, so
//! that notifications never overtake each other.
//!
//! Invariant: no CSeq above the committed mark is used, and after a restart numbering goes on above it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_sip::dialog::notifier::{Delivery, Policy};
use signalbox_sip::dialog::rate::{RateControl, Rates};
use signalbox_sip::dialog::subscription::{Reason, State};
use signalbox_sip::dialog::{Notifier, Sequence};

use super::answer::Answer;
use super::condition::Condition;
use super::notify::{Notify, Watcher};
use super::request::{Accepted, Fingerprint};
use super::status::Status;
use super::wishes::Wishes;
use crate::agent::quota::Charge;
use crate::documents::{Body, Form};
use crate::packages::Cause;
use crate::token::Token;

/// CSeq numbers that are reserved at a time.
pub const CSEQ_BLOCK: u32 = 256;
/// With so many left the next block is asked for at the latest, so that nobody has to wait for it.
const CSEQ_LOW: u32 = 64;
/// How much earlier some ask for theirs: watchers that are told together would else all ask at once, and a whole fan-out
/// wait behind their rows.
const CSEQ_SPREAD: u64 = 64;

/// A subscription. `W` is how to get to its watcher, which the logic doesn't look into.
#[derive(Debug)]
pub struct Subscription<W> {
    /// Also the local tag of its dialog.
    pub id: Token,
    /// The place of its presentity in the shard.
    pub presentity: u32,
    /// Its place among the presentity's watchers.
    pub place: u32,
    pub form: Form,
    pub way: Arc<W>,
    /// When it began.
    pub since: Instant,
    pub fingerprint: Fingerprint,
    /// The charge of the subscription.
    pub charge: Option<Arc<Charge>>,
    /// The CSeq of the last SUBSCRIBE.
    pub remote_cseq: u32,
    /// The earliest deadline that the shard has queued for it.
    pub scheduled: Option<Instant>,
    /// What the watcher need not be told.
    pub condition: Option<Condition>,
    /// A refresh is on its way to the database: it may be about to be promised that this goes on, so that it must not end meanwhile.
    pub is_being_refreshed: bool,
    /// After a crash: the watcher may not know the state.
    pub is_untold: bool,
    notifier: Notifier,
    sequence: Sequence,
    /// For a watcher that has asked for a rate.
    rate: Option<Box<RateControl>>,
    /// The watcher was allowed to see the presentity's state when that was last decided.
    visible: bool,
    /// The 2xx to the SUBSCRIBE is out: NOTIFYs may follow.
    answered: bool,
    reserving: bool,
    /// The state that was last shown to the package which observes this one.
    observed: Option<State>,
    /// Up to where the watcher knows a state that is told in parts.
    seen: Option<u64>,
    /// The number of NOTIFYs without a document since the start of this process.
    without_document: u32,
    /// The last NOTIFY went to an unproved address.
    unproved: bool,
    /// A fetch: the state is wanted once, and the subscription lasts only until it has been sent.
    is_fetch: bool,
}

/// How long a fetch (RFC 6665 §4.4.3) from an unproved address waits for the answer to the NOTIFY that precedes the
/// state: 64·T1, after which a request times out (RFC 3261 §17.1.2.2).
const PROOF_TIME: Duration = Duration::from_secs(32);

/// What a subscription starts with.
#[derive(Debug)]
pub struct Start<W> {
    pub id: Token,
    pub presentity: u32,
    pub wishes: Wishes,
    pub way: Arc<W>,
    pub since: Instant,
    pub fingerprint: Fingerprint,
    /// `None` for a watcher within the process.
    pub charge: Option<Arc<Charge>>,
    pub remote_cseq: u32,
    /// Active or pending.
    pub status: Status,
    pub expires: Duration,
}

/// What to do about a subscription after something happened to it.
#[derive(Debug)]
pub enum Step<W> {
    Nothing,
    Send(Notify<W>),
    /// CSeq numbers up to this one must be committed.
    Reserve(u32),
}

impl<W: Watcher> Subscription<W> {
    /// An accepted one whose SUBSCRIBE isn't answered yet.
    pub fn new(start: Start<W>, sequence: Sequence, now: Instant) -> Self {
        let is_fetch = start.expires.is_zero() && !start.way.is_proved();
        let expires = if is_fetch { PROOF_TIME } else { start.expires };
        let notifier = Notifier::new(start.status.state(), expires, now);
        Self { notifier, answered: false, is_fetch, ..Self::restored(start, sequence, now) }
    }

    /// One from the database, with `expires` as what is left of it. Nothing is to be told.
    pub fn restored(start: Start<W>, sequence: Sequence, now: Instant) -> Self {
        let Start { id, presentity, wishes, way, since, fingerprint, charge, remote_cseq, status, expires } = start;
        Self {
            id,
            presentity,
            place: 0,
            form: wishes.form,
            condition: wishes.condition,
            rate: rate_control(wishes.rates, now),
            way,
            since,
            fingerprint,
            charge,
            remote_cseq,
            scheduled: None,
            is_being_refreshed: false,
            is_untold: false,
            notifier: Notifier::restored(status.state(), now + expires),
            sequence,
            visible: status == Status::Active,
            answered: true,
            reserving: false,
            observed: None,
            seen: None,
            without_document: 0,
            unproved: false,
            is_fetch: false,
        }
    }

    /// The watcher knows all that it may, as far as anybody can tell.
    pub fn is_told(&self) -> bool {
        !self.is_untold && !self.notifier.is_change_due() && !self.notifier.is_in_flight()
    }

    /// The 2xx is out.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    pub fn is_answered(&self) -> bool {
        self.answered
    }

    pub fn state(&self) -> State {
        self.notifier.state()
    }

    pub fn expires_at(&self) -> Instant {
        self.notifier.expires()
    }

    /// Nothing more will be sent.
    pub fn is_over(&self) -> bool {
        self.notifier.is_over()
    }

    /// When [`Self::step`] has something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let kept_up = self.rate.as_ref().and_then(|rate| rate.deadline()).filter(|_| self.may_keep_up());
        self.notifier.deadline().into_iter().chain(kept_up).min().filter(|_| self.answered)
    }

    /// A NOTIFY may be sent although nothing has changed.
    fn may_keep_up(&self) -> bool {
        self.state() == State::Active && !self.notifier.is_in_flight() && !self.is_over()
    }

    pub fn rates(&self) -> Rates {
        self.rate.as_ref().map(|rate| rate.rates()).unwrap_or_default()
    }

    /// In which form, how often, and what need not be told.
    pub fn wishes(&self) -> Wishes {
        Wishes { form: self.form.clone(), condition: self.condition, rates: self.rates() }
    }

    /// A SUBSCRIBE within the dialog was accepted; false when the subscription has ended meanwhile.
    #[must_use]
    pub fn refresh(&mut self, accepted: &Accepted, now: Instant) -> bool {
        let goes_on = if accepted.is_quiet {
            self.notifier.on_quiet_subscribe(accepted.expires, now)
        } else {
            self.seen = None;
            self.notifier.on_subscribe(accepted.expires, now)
        };
        if goes_on {
            self.form = accepted.wishes.form.clone();
            self.condition = accepted.wishes.condition;
            self.set_rates(accepted.wishes.rates, now);
            self.reserve(accepted.mark);
        }
        goes_on
    }

    /// It as it stands, as what is to be written.
    pub fn standing(&self, now: Instant) -> Accepted {
        Accepted {
            id: self.id,
            expires: self.expires_at().saturating_duration_since(now),
            status: self.status(),
            since: self.since,
            wishes: self.wishes(),
            cseq: self.remote_cseq,
            mark: self.sequence.mark(),
            is_new: false,
            is_quiet: false,
        }
    }

    fn set_rates(&mut self, rates: Rates, now: Instant) {
        match &mut self.rate {
            Some(rate) if !rates.is_empty() => rate.set(rates, now),
            rate => *rate = rate_control(rates, now),
        }
    }

    /// The presentity's state changed. Who may see nothing of it isn't told.
    pub fn presentity_changed(&mut self) {
        if self.state() == State::Active {
            self.notifier.on_change();
        }
    }

    /// The presentity's user allowed the watcher, or took that back.
    pub fn set_status(&mut self, status: Status) {
        self.visible = status == Status::Active;
        self.notifier.set_state(status.state());
    }

    /// Up to where the watcher has been told a state that is told in parts.
    pub fn seen(&self) -> Option<u64> {
        self.seen
    }

    pub fn status(&self) -> Status {
        if self.visible { Status::Active } else { Status::Pending }
    }

    /// Ends the subscription with a last NOTIFY. Who is turned away sees nothing more.
    pub fn terminate(&mut self, reason: Reason, retry_after: Option<Duration>) {
        self.visible &= !matches!(reason, Reason::Rejected | Reason::GiveUp);
        self.notifier.terminate(reason, retry_after);
    }

    /// Ends the subscription without a word: nobody is there any more.
    pub fn end_silently(&mut self) {
        self.notifier.remove();
    }

    /// The state is to be told once more, changed or not.
    pub fn tell_again(&mut self) {
        self.condition = self.condition.filter(|condition| *condition == Condition::Any);
        self.seen = None;
        self.presentity_changed();
    }

    /// The NOTIFY on its way was answered, or (`None`) by nobody.
    pub fn notified(&mut self, answer: Option<Answer>, policy: &Policy, now: Instant) -> Delivery {
        let was_in_flight = self.notifier.is_in_flight();
        let delivery = match answer {
            Some(answer) => self.notifier.on_response(answer.status, answer.retry_after, policy, now),
            None => self.notifier.on_timeout(policy),
        };
        // RFC 6446 §4.1: only who has asked for a rate in its SUBSCRIBE may change it here.
        if let Some(rates) = answer.and_then(|answer| answer.rates).filter(|_| self.rate.is_some())
            && delivery == Delivery::Delivered
        {
            let remaining = self.expires_at().saturating_duration_since(now);
            self.set_rates(rates.granted(remaining, policy.min_interval), now);
        }
        if was_in_flight && delivery != Delivery::Delivered {
            self.seen = None;
        }
        delivery
    }

    /// Whether the answer to the last NOTIFY proved the address. Then a NOTIFY with the state is due.
    pub fn take_proof(&mut self, now: Instant) -> bool {
        if !self.unproved || self.is_over() || !self.way.is_proved() {
            return false;
        }
        self.unproved = false;
        if self.visible || self.is_fetch {
            let left = self.expires_at().saturating_duration_since(now);
            // False if the subscription is terminated: the NOTIFY that says so is due anyway.
            let _ = self.notifier.on_subscribe(if self.is_fetch { Duration::ZERO } else { left }, now);
        }
        !self.is_fetch
    }

    /// What happened to it since this was last asked, and its state now.
    pub fn take_change(&mut self) -> Option<(Cause, State)> {
        let silently = self.is_over() && !self.state().is_terminated();
        let state = if silently { State::Terminated(Reason::Timeout) } else { self.state() };
        let old = self.observed.replace(state);
        (old != Some(state)).then(|| (Cause::of(old, state), state))
    }

    /// CSeq numbers up to `mark` are committed.
    pub fn reserve(&mut self, mark: u32) {
        self.sequence.reserve(mark);
        self.reserving = false;
    }

    /// The reservation failed; it is asked for again when it is needed.
    pub fn not_reserved(&mut self) {
        self.reserving = false;
    }

    /// The mark that goes with the next commit of the subscription.
    pub fn next_mark(&self) -> u32 {
        if self.has_numbers() { self.sequence.mark() } else { self.sequence.next_mark(CSEQ_BLOCK) }
    }

    /// What is to be done now. To be called until it says nothing. `body` gives the presentity's document in a form,
    /// for a NOTIFY with the subscription's document of that number, to a watcher that has been told the changes up to
    /// the mark.
    pub fn step(
        &mut self,
        policy: &Policy,
        now: Instant,
        mut body: impl FnMut(&Form, u32, &mut Option<u64>) -> Option<Body>,
    ) -> Step<W> {
        let ends_too_early = self.is_being_refreshed && self.expires_at() <= now;
        if !self.answered || self.is_over() || ends_too_early {
            return Step::Nothing;
        }
        if let Some(rate) = &self.rate {
            if rate.deadline().is_some_and(|deadline| deadline <= now) && self.may_keep_up() {
                self.notifier.on_change();
            }
            let policy = Policy { min_interval: policy.min_interval.max(rate.min_interval()), ..*policy };
            return self.send_if_due(&policy, now, &mut body);
        }
        self.send_if_due(policy, now, &mut body)
    }

    fn send_if_due(
        &mut self,
        policy: &Policy,
        now: Instant,
        body: &mut impl FnMut(&Form, u32, &mut Option<u64>) -> Option<Body>,
    ) -> Step<W> {
        if self.sequence.remaining() == 0 {
            let mut ahead = self.notifier; // A copy: to see whether a NOTIFY is due without taking it.
            return if ahead.poll(policy, now).is_some() { self.reserve_ahead() } else { Step::Nothing };
        }
        // RFC 5839 §6.3: "As long as the condition remains true […] all subsequent NOTIFY requests MUST also be suppressed."
        if let Some(condition) = self.condition
            && self.notifier.is_change_due()
            && condition.holds(body(&self.form, self.sequence.last(), &mut None).as_ref())
        {
            self.notifier.forget_change();
            self.is_untold = false;
            if let Some(rate) = &mut self.rate {
                rate.on_sent(now);
            }
        }
        let Some(notification) = self.notifier.poll(policy, now) else {
            return self.reserve_ahead();
        };
        let Some(cseq) = self.sequence.take() else {
            return Step::Nothing;
        };
        // RFC 6665 §4.2.1.4: the last NOTIFY may carry the state too.
        self.unproved = !self.way.is_proved();
        let shows = self.visible && !self.unproved;
        let mut body = if shows { body(&self.form, self.version(cseq), &mut self.seen) } else { None };
        let tag = body.as_ref().and_then(|body| body.tag);
        self.is_untold = false;
        match self.condition {
            // §6.2: "the notifier MUST suppress the body".
            Some(condition) if condition.holds(body.as_ref()) => body = None,
            // Now the watcher knows another state than the one that it named.
            Some(Condition::Tag(_)) if body.is_some() => self.condition = None,
            _ => {}
        }
        self.without_document += u32::from(body.is_none());
        if let Some(rate) = &mut self.rate {
            rate.on_sent(now);
        }
        let rates = if notification.state.is_terminated() { Rates::default() } else { self.rates() };
        Step::Send(Notify { id: self.id, cseq, notification, body, tag, rates, way: self.way.clone() })
    }

    /// The number of the document with this CSeq. RFC 4235 §4.1, RFC 3858 §3: "Versions start at 0, and increment by
    /// one for each new document sent to a subscriber." After a restart they go on above all that were used.
    fn version(&self, cseq: u32) -> u32 {
        cseq.saturating_sub(1).saturating_sub(self.without_document)
    }

    /// Whether it need not ask for the next block of CSeq numbers yet.
    fn has_numbers(&self) -> bool {
        // The lowest bits of the token say its shard, which watchers of one presentity have in common.
        let earlier = (self.id.0 >> 16) % CSEQ_SPREAD;
        u64::from(self.sequence.remaining()) > u64::from(CSEQ_LOW) + earlier
    }

    fn reserve_ahead(&mut self) -> Step<W> {
        let mark = self.sequence.next_mark(CSEQ_BLOCK);
        if self.reserving || self.has_numbers() || mark == self.sequence.mark() {
            return Step::Nothing;
        }
        self.reserving = true;
        Step::Reserve(mark)
    }
}

fn rate_control(rates: Rates, now: Instant) -> Option<Box<RateControl>> {
    (!rates.is_empty()).then(|| Box::new(RateControl::new(rates, now)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::documents::{ContentType, DocumentType};

    const POLICY: Policy = Policy { min_interval: Duration::ZERO, keep_on_timeout: false, end_on_challenge: false };

    impl Watcher for () {
        fn uri(&self) -> &str {
            ""
        }

        fn display_name(&self) -> std::borrow::Cow<'_, str> {
            "".into()
        }

        fn is_dialog_of(&self, _from: &str, _to: &str) -> bool {
            true
        }
    }

    fn body() -> Body {
        Body::new(ContentType::Known("application/pidf+xml"), Bytes::from_static(b"x"))
    }

    fn start(status: Status) -> Start<()> {
        let expires = Duration::from_secs(100);
        Start {
            id: Token(1),
            presentity: 0,
            wishes: Wishes::of(Form::Made(DocumentType::Pidf)),
            way: Arc::new(()),
            since: Instant::now(),
            fingerprint: Fingerprint { dialog: 0, event: 0 },
            charge: None,
            remote_cseq: 1,
            status,
            expires,
        }
    }

    fn refreshed(seconds: u64) -> Accepted {
        Accepted {
            id: Token(1),
            expires: Duration::from_secs(seconds),
            status: Status::Active,
            since: Instant::now(),
            wishes: Wishes::of(Form::Made(DocumentType::Pidf)),
            cseq: 2,
            mark: 0,
            is_new: false,
            is_quiet: false,
        }
    }

    fn subscription(status: Status, block: u32) -> (Subscription<()>, Instant) {
        let (now, mut sequence) = (Instant::now(), Sequence::stored(0));
        sequence.reserve(block);
        (Subscription::new(start(status), sequence, now), now)
    }

    fn step(subscription: &mut Subscription<()>, now: Instant) -> Step<()> {
        subscription.step(&POLICY, now, |_, _, _| Some(body()))
    }

    fn sent(subscription: &mut Subscription<()>, now: Instant) -> Option<Notify<()>> {
        match step(subscription, now) {
            Step::Send(notify) => Some(notify),
            _ => None,
        }
    }

    #[test]
    fn nothing_is_sent_before_the_subscribe_is_answered() {
        let (mut subscription, now) = subscription(Status::Active, CSEQ_BLOCK);
        assert!(sent(&mut subscription, now).is_none());
        assert_eq!(subscription.deadline(), None);
        subscription.answered();
        let notify = sent(&mut subscription, now).unwrap();
        assert_eq!((notify.cseq, notify.notification.to_string()), (1, "active;expires=100".to_owned()));
        assert_eq!(notify.body, Some(body()));
    }

    #[test]
    fn watchers_that_are_told_together_do_not_all_reserve_together() {
        let low = |id: u64| {
            let start = Start { id: Token(id << 16), ..start(Status::Active) };
            let mut sequence = Sequence::stored(0);
            sequence.reserve(CSEQ_BLOCK);
            let mut subscription = Subscription::new(start, sequence, Instant::now());
            (1..=CSEQ_BLOCK).find(|_| {
                let low = !subscription.has_numbers();
                subscription.sequence.take();
                low
            })
        };
        let moments: std::collections::BTreeSet<_> = (0..CSEQ_SPREAD).map(low).collect();
        assert_eq!(moments.len() as u64, CSEQ_SPREAD);
        assert!(!moments.contains(&None));
    }

    #[test]
    fn numbers_are_reserved_ahead_and_none_is_used_beyond_the_mark() {
        let (mut subscription, now) = subscription(Status::Active, CSEQ_LOW + 1);
        subscription.answered();
        assert_eq!(sent(&mut subscription, now).unwrap().cseq, 1);
        let Step::Reserve(mark) = step(&mut subscription, now) else { panic!("nothing is reserved") };
        assert_eq!(mark, CSEQ_LOW + 1 + CSEQ_BLOCK);
        let change = |subscription: &mut Subscription<()>| {
            let _ = subscription.notified(Some(Answer::of(200)), &POLICY, now);
            subscription.presentity_changed();
            sent(subscription, now).map(|notify| notify.cseq)
        };
        for cseq in 2..=CSEQ_LOW + 1 {
            assert_eq!(change(&mut subscription), Some(cseq));
        }
        assert_eq!(change(&mut subscription), None, "the mark is reached and the reservation under way");
        subscription.reserve(mark);
        assert_eq!(sent(&mut subscription, now).unwrap().cseq, CSEQ_LOW + 2);
    }

    #[test]
    fn who_is_pending_sees_nothing_not_even_at_the_end() {
        let (mut subscription, now) = subscription(Status::Pending, CSEQ_BLOCK);
        subscription.answered();
        assert_eq!(sent(&mut subscription, now).unwrap().body, None);
        let _ = subscription.notified(Some(Answer::of(200)), &POLICY, now);
        subscription.presentity_changed();
        assert!(sent(&mut subscription, now).is_none());
        let last = sent(&mut subscription, now + Duration::from_secs(100)).unwrap();
        assert_eq!((last.body, last.notification.to_string()), (None, "terminated;reason=timeout".to_owned()));
    }

    #[test]
    fn who_is_let_in_is_told_at_once_and_who_is_turned_away_sees_nothing_more() {
        let (mut subscription, now) = subscription(Status::Pending, CSEQ_BLOCK);
        subscription.answered();
        let _ = sent(&mut subscription, now);
        let _ = subscription.notified(Some(Answer::of(200)), &POLICY, now);
        subscription.set_status(Status::Active);
        assert!(sent(&mut subscription, now).unwrap().body.is_some());
        let _ = subscription.notified(Some(Answer::of(200)), &POLICY, now);
        subscription.terminate(Reason::Rejected, None);
        let last = sent(&mut subscription, now).unwrap();
        assert_eq!((last.body, last.notification.to_string()), (None, "terminated;reason=rejected".to_owned()));
    }

    #[test]
    fn a_restored_one_goes_on_above_its_mark_and_says_nothing_by_itself() {
        let now = Instant::now();
        let mut sequence = Sequence::stored(256);
        sequence.reserve(512);
        let mut subscription = Subscription::restored(start(Status::Active), sequence, now);
        assert!(sent(&mut subscription, now).is_none());
        assert!(subscription.refresh(&refreshed(60), now));
        assert_eq!(sent(&mut subscription, now).unwrap().cseq, 257);
    }
}
