//! The notifier's side of a subscription (RFC 6665 §4.2): when a NOTIFY goes out and what it says about the
//! subscription. What it says about the resource is the event package's.
//!
//! After each event, and when [`Notifier::deadline`] has passed, the owner calls [`Notifier::poll`]; what that
//! returns is sent, and its final response (or the lack of one) reported back. There is never more than one NOTIFY
//! in flight, so they can't overtake each other; what changes meanwhile makes one further NOTIFY.

use std::fmt;
use std::time::{Duration, Instant};

use super::subscription::{Reason, State, ends_subscription, later};

/// The least time before the next NOTIFY after a response with Retry-After. With Retry-After 0, NOTIFYs would follow
/// without end.
const MIN_RETRY: Duration = Duration::from_secs(1);

/// One subscription, at its notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notifier {
    state: State,
    /// For the last NOTIFY.
    retry_after: Option<Duration>,
    expires: Instant,
    /// Changes wait until then: the rate limit, or what a 5xx asked for.
    earliest: Option<Instant>,
    due: Due,
    in_flight: bool,
    over: bool,
}

/// What a NOTIFY is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Nothing,
    /// The resource changed; may be put off.
    Change,
    /// A SUBSCRIBE came or the subscription itself changed: at once (§4.2.1.2).
    Subscription,
}

/// How NOTIFYs are sent; the same for many subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Least time between two NOTIFYs about changes of the resource. SUBSCRIBEs and changes of the subscription's
    /// own state are answered at once all the same.
    pub min_interval: Duration,
    /// Keep the subscription when nobody answers a NOTIFY. §4.2.2: "the notifier SHOULD remove the subscription".
    pub keep_on_timeout: bool,
    /// End the subscription when the subscriber wants credentials for the NOTIFY (401, 407), which a notifier has none of. RFC 6665
    /// counts neither among the responses that end one.
    pub end_on_challenge: bool,
}

/// A NOTIFY to send now. Prints as the value of Subscription-State (§8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    pub state: State,
    /// Time left of the subscription; zero when it is terminated.
    pub remaining: Duration,
    /// Only when it is terminated.
    pub retry_after: Option<Duration>,
}

/// What became of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The subscriber has it.
    Delivered,
    /// The subscriber doesn't have it, the subscription stays.
    Failed,
    /// The subscriber doesn't have it, and the subscription is over by that.
    Removed,
}

impl Notifier {
    /// A SUBSCRIBE was accepted. Its first NOTIFY is due. With `expires` zero this is a fetch (§4.4.3): the one
    /// NOTIFY says that the subscription is terminated.
    pub fn new(state: State, expires: Duration, now: Instant) -> Self {
        let state = if expires.is_zero() { State::Terminated(Reason::Timeout) } else { state };
        Self { due: Due::Subscription, ..Self::restored(state, later(now, expires)) }
    }

    /// A subscription from storage. No NOTIFY is due.
    pub fn restored(state: State, expires: Instant) -> Self {
        Self { state, retry_after: None, expires, earliest: None, due: Due::Nothing, in_flight: false, over: false }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// When it ends unless it is refreshed.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// A NOTIFY is on its way.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// Nothing more will be sent: the last NOTIFY is answered, or the subscriber is gone.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// A SUBSCRIBE within the dialog was accepted (§4.2.1.4), zero to unsubscribe. False when the subscription is
    /// terminated already: answer 481.
    #[must_use]
    pub fn on_subscribe(&mut self, expires: Duration, now: Instant) -> bool {
        if self.over || self.state.is_terminated() {
            return false;
        }
        self.expires = later(now, expires);
        if expires.is_zero() {
            self.state = State::Terminated(Reason::Timeout);
        }
        self.due = Due::Subscription;
        true
    }

    /// A SUBSCRIBE within the dialog was accepted whose condition holds (RFC 5839 §6.3): no NOTIFY is due for it, and with zero
    /// the subscription ends without one. False as in [`Notifier::on_subscribe`].
    #[must_use]
    pub fn on_quiet_subscribe(&mut self, expires: Duration, now: Instant) -> bool {
        if self.over || self.state.is_terminated() {
            return false;
        }
        self.expires = later(now, expires);
        if expires.is_zero() {
            self.state = State::Terminated(Reason::Timeout);
            self.remove();
        }
        true
    }

    /// Whether a NOTIFY is due for nothing but a change of the resource.
    pub fn is_change_due(&self) -> bool {
        self.due == Due::Change
    }

    /// The change needs no NOTIFY (RFC 5839 §6.3).
    pub fn forget_change(&mut self) {
        if self.due == Due::Change {
            self.due = Due::Nothing;
        }
    }

    /// The resource's state changed.
    pub fn on_change(&mut self) {
        self.due = self.due.max(Due::Change);
    }

    /// The policy granted the permission, or took it back for the time being.
    pub fn set_state(&mut self, state: State) {
        if !self.state.is_terminated() && self.state != state {
            self.state = state;
            self.due = Due::Subscription;
        }
    }

    /// The notifier ends the subscription; `retry_after` is for the reasons for which it
    /// [means something](Reason::has_retry_after).
    pub fn terminate(&mut self, reason: Reason, retry_after: Option<Duration>) {
        if !self.state.is_terminated() {
            self.retry_after = retry_after.filter(|_| reason.has_retry_after());
            self.set_state(State::Terminated(reason));
        }
    }

    /// Ends the subscription without a word: its dialog is gone.
    pub fn remove(&mut self) {
        self.over = true;
        self.in_flight = false;
        self.due = Due::Nothing;
    }

    /// The NOTIFY to send now, if any. It counts as in flight until [`Notifier::on_response`] or
    /// [`Notifier::on_timeout`].
    pub fn poll(&mut self, policy: &Policy, now: Instant) -> Option<Notification> {
        if self.over {
            return None;
        }
        if now >= self.expires {
            // §4.2.1.4: "the notifier SHOULD send a NOTIFY request with […] terminated […] reason=timeout".
            self.set_state(State::Terminated(Reason::Timeout));
        }
        let ready = match self.due {
            Due::Nothing => false,
            Due::Change => self.earliest.is_none_or(|earliest| now >= earliest),
            Due::Subscription => true,
        };
        if self.in_flight || !ready {
            return None;
        }
        self.in_flight = true;
        self.due = Due::Nothing;
        self.earliest = (!policy.min_interval.is_zero()).then(|| later(now, policy.min_interval));
        Some(self.notification(now))
    }

    /// When [`Notifier::poll`] has something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let expires = (!self.state.is_terminated()).then_some(self.expires);
        let change = self.earliest.filter(|_| self.due == Due::Change && !self.in_flight);
        match (expires, change) {
            (Some(expires), Some(change)) => Some(expires.min(change)),
            (one, other) => one.or(other),
        }
    }

    /// The final response to the NOTIFY in flight came, with its Retry-After.
    pub fn on_response(
        &mut self,
        status: u16,
        retry_after: Option<Duration>,
        policy: &Policy,
        now: Instant,
    ) -> Delivery {
        match status {
            200..300 => self.on_delivered(),
            408 => self.on_timeout(policy),
            401 | 407 if policy.end_on_challenge => self.on_failure(true),
            _ if ends_subscription(status) => self.on_failure(true),
            _ => {
                let delivery = self.on_failure(false);
                if let Some(wait) = retry_after
                    && delivery == Delivery::Failed
                    && status >= 500
                {
                    self.due = self.due.max(Due::Change);
                    self.earliest = self.earliest.max(Some(later(now, wait.max(MIN_RETRY))));
                }
                delivery
            }
        }
    }

    /// No final response to the NOTIFY in flight came (timer F), or it could not be sent.
    pub fn on_timeout(&mut self, policy: &Policy) -> Delivery {
        self.on_failure(!policy.keep_on_timeout)
    }

    fn on_delivered(&mut self) -> Delivery {
        if !std::mem::take(&mut self.in_flight) {
            return Delivery::Failed;
        }
        self.end_if_said();
        Delivery::Delivered
    }

    fn on_failure(&mut self, remove: bool) -> Delivery {
        if !std::mem::take(&mut self.in_flight) {
            return Delivery::Failed;
        }
        if remove {
            self.remove();
        } else {
            self.end_if_said();
        }
        if self.over { Delivery::Removed } else { Delivery::Failed }
    }

    /// §4.4.1: the subscription is over when the transaction of the NOTIFY with "terminated" is. If "terminated" is
    /// still to be said, a NOTIFY is due.
    fn end_if_said(&mut self) {
        if self.state.is_terminated() && self.due != Due::Subscription {
            self.remove();
        }
    }

    fn notification(&self, now: Instant) -> Notification {
        let terminated = self.state.is_terminated();
        let remaining = if terminated { Duration::ZERO } else { self.expires.saturating_duration_since(now) };
        Notification { state: self.state, remaining, retry_after: self.retry_after.filter(|_| terminated) }
    }
}

impl Notification {
    /// The remaining time as the subscriber is told it: whole seconds, a started one counts.
    pub fn remaining_seconds(&self) -> u64 {
        self.remaining.as_secs() + u64::from(self.remaining.subsec_nanos() > 0)
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.as_str())?;
        match self.state {
            State::Terminated(reason) => write!(f, ";reason={reason}")?,
            State::Pending | State::Active => write!(f, ";expires={}", self.remaining_seconds())?,
        }
        match self.retry_after {
            Some(wait) => write!(f, ";retry-after={}", wait.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const POLICY: Policy = Policy { min_interval: Duration::ZERO, keep_on_timeout: false, end_on_challenge: false };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn text(notification: Option<Notification>) -> String {
        notification.map_or_else(String::new, |notification| notification.to_string())
    }

    /// A subscription whose first NOTIFY is delivered.
    fn active(now: Instant) -> Notifier {
        let mut notifier = Notifier::new(State::Active, HOUR, now);
        assert!(notifier.poll(&POLICY, now).is_some());
        assert_eq!(notifier.on_response(200, None, &POLICY, now), Delivery::Delivered);
        notifier
    }

    #[test]
    fn the_first_notify_goes_out_at_once_whatever_the_state() {
        let now = Instant::now();
        for (state, expected) in [(State::Active, "active;expires=3600"), (State::Pending, "pending;expires=3600")] {
            let mut notifier = Notifier::new(state, HOUR, now);
            assert_eq!(text(notifier.poll(&POLICY, now)), expected);
            assert_eq!(notifier.poll(&POLICY, now), None);
        }
    }

    #[test]
    fn a_fetch_gets_one_notify_that_says_terminated() {
        let now = Instant::now();
        let mut notifier = Notifier::new(State::Active, Duration::ZERO, now);
        assert_eq!(text(notifier.poll(&POLICY, now)), "terminated;reason=timeout");
        assert!(!notifier.is_over());
        assert_eq!(notifier.on_response(200, None, &POLICY, now), Delivery::Delivered);
        assert!(notifier.is_over());
        assert_eq!(notifier.deadline(), None);
    }

    #[test]
    fn changes_while_a_notify_is_in_flight_make_one_more() {
        let now = Instant::now();
        let mut notifier = active(now);
        notifier.on_change();
        assert!(notifier.poll(&POLICY, now).is_some());
        notifier.on_change();
        notifier.on_change();
        assert_eq!(notifier.poll(&POLICY, now), None);
        let _ = notifier.on_response(200, None, &POLICY, now);
        assert!(notifier.poll(&POLICY, now).is_some());
        let _ = notifier.on_response(200, None, &POLICY, now);
        assert_eq!(notifier.poll(&POLICY, now), None);
    }

    #[test]
    fn the_remaining_time_counts_down_and_the_end_is_told() {
        let now = Instant::now();
        let mut notifier = active(now);
        notifier.on_change();
        assert_eq!(text(notifier.poll(&POLICY, now + seconds(600))), "active;expires=3000");
        let _ = notifier.on_response(200, None, &POLICY, now);
        assert_eq!(notifier.deadline(), Some(now + HOUR));
        assert_eq!(text(notifier.poll(&POLICY, now + HOUR)), "terminated;reason=timeout");
        assert!(!notifier.on_subscribe(HOUR, now + HOUR));
    }

    #[test]
    fn a_refresh_moves_the_end_and_is_answered_at_once() {
        let now = Instant::now();
        let mut notifier = active(now);
        assert!(notifier.on_subscribe(HOUR, now + seconds(60)));
        assert_eq!(notifier.expires(), now + seconds(3660));
        assert_eq!(text(notifier.poll(&POLICY, now + seconds(60))), "active;expires=3600");
    }

    #[test]
    fn unsubscribing_is_answered_with_terminated() {
        let now = Instant::now();
        let mut notifier = active(now);
        assert!(notifier.on_subscribe(Duration::ZERO, now));
        assert_eq!(text(notifier.poll(&POLICY, now)), "terminated;reason=timeout");
    }

    #[test]
    fn a_pending_subscription_that_is_granted_or_rejected_tells_so() {
        let now = Instant::now();
        let mut notifier = Notifier::new(State::Pending, HOUR, now);
        let _ = notifier.poll(&POLICY, now);
        notifier.set_state(State::Active);
        let _ = notifier.on_response(200, None, &POLICY, now);
        assert_eq!(text(notifier.poll(&POLICY, now)), "active;expires=3600");
        notifier.terminate(Reason::Rejected, Some(HOUR));
        let _ = notifier.on_response(200, None, &POLICY, now);
        assert!(!notifier.is_over());
        assert_eq!(text(notifier.poll(&POLICY, now)), "terminated;reason=rejected");
    }

    #[test]
    fn retry_after_goes_with_the_reasons_that_know_it() {
        let now = Instant::now();
        let mut notifier = active(now);
        notifier.terminate(Reason::Probation, Some(seconds(30)));
        assert_eq!(text(notifier.poll(&POLICY, now)), "terminated;reason=probation;retry-after=30");
    }

    #[test]
    fn responses_to_notify_keep_or_end_the_subscription() {
        let now = Instant::now();
        for (status, expected) in [
            (200, Delivery::Delivered),
            (202, Delivery::Delivered),
            (302, Delivery::Failed),
            (400, Delivery::Failed),
            (401, Delivery::Failed),
            (403, Delivery::Failed),
            (404, Delivery::Removed),
            (408, Delivery::Removed),
            (481, Delivery::Removed),
            (489, Delivery::Removed),
            (500, Delivery::Failed),
            (501, Delivery::Removed),
            (503, Delivery::Failed),
            (604, Delivery::Removed),
        ] {
            let mut notifier = active(now);
            notifier.on_change();
            let _ = notifier.poll(&POLICY, now);
            assert_eq!(notifier.on_response(status, None, &POLICY, now), expected, "{status}");
            assert_eq!(notifier.is_over(), expected == Delivery::Removed, "{status}");
            assert_eq!(notifier.poll(&POLICY, now), None, "{status}");
        }
    }

    #[test]
    fn silence_ends_the_subscription_unless_the_policy_keeps_it() {
        let now = Instant::now();
        let keep = Policy { keep_on_timeout: true, ..POLICY };
        for (policy, expected) in [(POLICY, Delivery::Removed), (keep, Delivery::Failed)] {
            let mut notifier = active(now);
            notifier.on_change();
            let _ = notifier.poll(&policy, now);
            assert_eq!(notifier.on_timeout(&policy), expected);
        }
    }

    #[test]
    fn a_5xx_with_retry_after_is_tried_again_then() {
        let now = Instant::now();
        let mut notifier = active(now);
        notifier.on_change();
        let _ = notifier.poll(&POLICY, now);
        assert_eq!(notifier.on_response(503, Some(seconds(20)), &POLICY, now), Delivery::Failed);
        assert_eq!(notifier.poll(&POLICY, now + seconds(19)), None);
        assert_eq!(notifier.deadline(), Some(now + seconds(20)));
        assert!(notifier.poll(&POLICY, now + seconds(20)).is_some());
    }

    #[test]
    fn retry_after_zero_waits_for_the_least_interval() {
        let now = Instant::now();
        for (interval, expected) in [(0, MIN_RETRY), (5, seconds(5))] {
            let policy = Policy { min_interval: seconds(interval), ..POLICY };
            let mut notifier = active(now);
            notifier.on_change();
            let _ = notifier.poll(&policy, now);
            let _ = notifier.on_response(503, Some(Duration::ZERO), &policy, now);
            assert_eq!(notifier.deadline(), Some(now + expected), "{interval}");
        }
    }

    #[test]
    fn the_rate_limit_puts_off_changes_but_not_answers() {
        let now = Instant::now();
        let policy = Policy { min_interval: seconds(5), ..POLICY };
        let mut notifier = Notifier::new(State::Active, HOUR, now);
        let _ = notifier.poll(&policy, now);
        let _ = notifier.on_response(200, None, &policy, now);
        notifier.on_change();
        assert_eq!(notifier.poll(&policy, now + seconds(4)), None);
        assert_eq!(notifier.deadline(), Some(now + seconds(5)));
        assert!(notifier.on_subscribe(HOUR, now + seconds(4)));
        assert!(notifier.poll(&policy, now + seconds(4)).is_some());
        let _ = notifier.on_response(200, None, &policy, now + seconds(4));
        notifier.on_change();
        assert_eq!(notifier.poll(&policy, now + seconds(8)), None);
        assert!(notifier.poll(&policy, now + seconds(9)).is_some());
    }

    #[test]
    fn a_restored_subscription_says_nothing_until_something_changes() {
        let now = Instant::now();
        let mut notifier = Notifier::restored(State::Active, now + HOUR);
        assert_eq!(notifier.poll(&POLICY, now), None);
        notifier.on_change();
        assert!(notifier.poll(&POLICY, now).is_some());
        let mut expired = Notifier::restored(State::Active, now);
        assert_eq!(text(expired.poll(&POLICY, now)), "terminated;reason=timeout");
    }

    #[test]
    fn a_started_second_counts_as_remaining() {
        let notification =
            Notification { state: State::Active, remaining: Duration::from_millis(1), retry_after: None };
        assert_eq!(notification.to_string(), "active;expires=1");
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Subscribe(u64),
        Change,
        SetState(State),
        Terminate(Reason),
        Response(u16, Option<u64>),
        Timeout,
        Wait(u64),
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            prop_oneof![Just(0), 1..10_000_u64, Just(u64::MAX)].prop_map(Event::Subscribe),
            Just(Event::Change),
            prop::sample::select(vec![State::Active, State::Pending]).prop_map(Event::SetState),
            prop::sample::select(Reason::ALL.to_vec()).prop_map(Event::Terminate),
            (prop::sample::select(vec![200, 401, 408, 481, 500, 503]), prop::option::of(any::<u64>()))
                .prop_map(|(status, retry_after)| Event::Response(status, retry_after)),
            Just(Event::Timeout),
            (0..5000_u64).prop_map(Event::Wait),
        ]
    }

    proptest! {
        #[test]
        fn notifies_never_overlap_and_none_follows_the_last(
            events in prop::collection::vec(events(), 0..60),
            interval in 0..60_u64,
        ) {
            let policy = Policy { min_interval: seconds(interval), keep_on_timeout: true, end_on_challenge: false };
            let mut now = Instant::now();
            let mut notifier = Notifier::new(State::Pending, HOUR, now);
            let mut in_flight = false;
            let mut said_terminated = false;
            for event in events {
                match event {
                    Event::Subscribe(expires) => {
                        let accepted = notifier.on_subscribe(seconds(expires), now);
                        prop_assert!(!accepted || !said_terminated);
                    }
                    Event::Change => notifier.on_change(),
                    Event::SetState(state) => notifier.set_state(state),
                    Event::Terminate(reason) => notifier.terminate(reason, Some(Duration::MAX)),
                    Event::Response(status, retry_after) => {
                        let _ = notifier.on_response(status, retry_after.map(seconds), &policy, now);
                        in_flight = false;
                    }
                    Event::Timeout => {
                        let _ = notifier.on_timeout(&policy);
                        in_flight = false;
                    }
                    Event::Wait(wait) => now += seconds(wait),
                }
                if let Some(notification) = notifier.poll(&policy, now) {
                    prop_assert!(!in_flight && !said_terminated);
                    in_flight = true;
                    said_terminated = notification.state.is_terminated();
                    prop_assert!(said_terminated || !notification.remaining.is_zero());
                }
                prop_assert_eq!(notifier.is_in_flight(), in_flight && !notifier.is_over());
            }
            // Left alone with a subscriber that answers, it ends on time.
            for _ in 0..10 {
                let _ = notifier.on_response(200, None, &policy, now);
                now = notifier.deadline().unwrap_or(now).max(now);
                let _ = notifier.poll(&policy, now);
            }
            prop_assert!(notifier.is_over());
        }
    }
}
