//! The subscriber's side of a subscription (RFC 6665 §4.1): what NOTIFYs and responses to SUBSCRIBE make of it,
//! when to refresh it, when to give it up.
//!
//! Each dialog that one SUBSCRIBE leads to has a machine of its own (§4.1.2: "Each of these new subscriptions
//! exists in its own independent state machine"): copy the one that waits for its first NOTIFY.

use std::time::{Duration, Instant};

use super::subscription::{Reason, Resubscribe, ends_subscription, later};

/// One subscription, at its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    state: SubscriberState,
    /// Told by the newest 2xx or NOTIFY.
    expires: Option<Instant>,
    refresh: Option<Instant>,
    /// Timer N: a SUBSCRIBE was sent and no NOTIFY came yet.
    timer_n: Option<Instant>,
    leaving: bool,
}

/// The states of the figure in §4.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriberState {
    NotifyWait,
    Pending,
    Active,
    Terminated,
}

/// What a NOTIFY said about the subscription, from its Subscription-State.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    Pending {
        expires: Option<Duration>,
    },
    /// `active`, or a state that is not known.
    Active {
        expires: Option<Duration>,
    },
    Terminated {
        reason: Option<Reason>,
        retry_after: Option<Duration>,
    },
}

/// What the subscriber has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Send a SUBSCRIBE within the dialog, then call [`Subscriber::on_sent`].
    Refresh,
    /// The subscription is terminated; this is what to do about a new one.
    Ended(Resubscribe),
}

/// Refresh this much before the end, or when half of the time is over, whichever is later.
const REFRESH_MARGIN: Duration = Duration::from_secs(32);

impl Subscriber {
    /// The first SUBSCRIBE is being sent. `lifetime` is timer N: 64·T1.
    pub fn new(lifetime: Duration, now: Instant) -> Self {
        Self {
            state: SubscriberState::NotifyWait,
            expires: None,
            refresh: None,
            timer_n: Some(later(now, lifetime)),
            leaving: false,
        }
    }

    pub fn state(&self) -> SubscriberState {
        self.state
    }

    /// When it ends, as far as is known.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// A SUBSCRIBE that refreshes is being sent (§4.1.2.2); with `leaving` it is one that unsubscribes (§4.1.2.3).
    pub fn on_sent(&mut self, leaving: bool, lifetime: Duration, now: Instant) {
        if self.state != SubscriberState::Terminated {
            self.refresh = None;
            self.timer_n = Some(later(now, lifetime));
            self.leaving |= leaving;
        }
    }

    /// The final response to a SUBSCRIBE came, with its Expires. A time-out is a 408.
    pub fn on_response(&mut self, status: u16, expires: Option<Duration>, now: Instant) -> Option<Step> {
        if self.state == SubscriberState::Terminated {
            return None;
        }
        match status {
            200..300 => {
                if status == 204 {
                    // RFC 5839: no NOTIFY will come.
                    self.timer_n = None;
                }
                // §4.4.1: after unsubscribing it isn't over before the last NOTIFY (or timer N).
                if let Some(expires) = expires.filter(|_| !self.leaving) {
                    self.set_expires(expires, now);
                }
                None
            }
            _ if self.state == SubscriberState::NotifyWait || self.leaving || ends_subscription(status) => {
                Some(self.end(Resubscribe::AnyTime))
            }
            // §4.1.2.2: "the original subscription is still considered valid", so there is time for another try.
            _ => {
                self.timer_n = None;
                self.plan_refresh(now);
                None
            }
        }
    }

    /// A NOTIFY of this subscription came (§4.1.3).
    pub fn on_notify(&mut self, reported: Reported, now: Instant) -> Option<Step> {
        if self.state == SubscriberState::Terminated {
            return None;
        }
        self.timer_n = None;
        let expires = match reported {
            Reported::Terminated { reason, retry_after } => {
                return Some(self.end(Resubscribe::after(reason, retry_after)));
            }
            Reported::Pending { expires } => {
                self.state = SubscriberState::Pending;
                expires
            }
            Reported::Active { expires } => {
                self.state = SubscriberState::Active;
                expires
            }
        };
        if let Some(expires) = expires {
            self.set_expires(expires, now);
        }
        None
    }

    /// To be called when [`Subscriber::deadline`] has passed.
    pub fn poll(&mut self, now: Instant) -> Option<Step> {
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        if self.state == SubscriberState::Terminated {
            None
        } else if passed(self.timer_n) || passed(self.expires) {
            Some(self.end(Resubscribe::AnyTime))
        } else if passed(self.refresh) {
            self.refresh = None;
            Some(Step::Refresh)
        } else {
            None
        }
    }

    /// When [`Subscriber::poll`] has something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        [self.timer_n, self.expires, self.refresh].into_iter().flatten().min()
    }

    fn set_expires(&mut self, expires: Duration, now: Instant) {
        self.expires = Some(later(now, expires));
        self.plan_refresh(now);
    }

    fn plan_refresh(&mut self, now: Instant) {
        let Some(expires) = self.expires.filter(|_| !self.leaving) else {
            self.refresh = None;
            return;
        };
        let remaining = expires.saturating_duration_since(now);
        self.refresh = Some(now + (remaining / 2).max(remaining.saturating_sub(REFRESH_MARGIN)));
    }

    fn end(&mut self, resubscribe: Resubscribe) -> Step {
        self.state = SubscriberState::Terminated;
        (self.expires, self.refresh, self.timer_n) = (None, None, None);
        Step::Ended(if self.leaving { Resubscribe::Never } else { resubscribe })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(32);
    const HOUR: Duration = Duration::from_secs(3600);
    const ACTIVE: Reported = Reported::Active { expires: Some(HOUR) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_a_notify_timer_n_ends_it_even_after_a_200() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        assert_eq!(subscriber.on_response(200, Some(HOUR), now), None);
        assert_eq!(subscriber.poll(now + seconds(31)), None);
        assert_eq!(subscriber.deadline(), Some(now + LIFETIME));
        assert_eq!(subscriber.poll(now + LIFETIME), Some(Step::Ended(Resubscribe::AnyTime)));
        assert_eq!(subscriber.deadline(), None);
    }

    #[test]
    fn a_notify_may_come_before_the_200() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        assert_eq!(subscriber.on_notify(Reported::Pending { expires: Some(seconds(600)) }, now), None);
        assert_eq!(subscriber.state(), SubscriberState::Pending);
        assert_eq!(subscriber.on_response(200, Some(seconds(600)), now), None);
        assert_eq!(subscriber.on_notify(ACTIVE, now), None);
        assert_eq!(subscriber.state(), SubscriberState::Active);
        assert_eq!(subscriber.expires(), Some(now + HOUR));
    }

    #[test]
    fn a_refusal_ends_it() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        assert!(subscriber.on_response(403, None, now).is_some());
        assert_eq!(subscriber.state(), SubscriberState::Terminated);
        assert_eq!(subscriber.on_notify(ACTIVE, now), None);
        assert_eq!(subscriber.state(), SubscriberState::Terminated);
    }

    #[test]
    fn it_is_refreshed_in_time() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        subscriber.on_notify(ACTIVE, now);
        assert_eq!(subscriber.deadline(), Some(now + seconds(3568)));
        assert_eq!(subscriber.poll(now + seconds(3568)), Some(Step::Refresh));
        assert_eq!(subscriber.poll(now + seconds(3568)), None);
        subscriber.on_sent(false, LIFETIME, now + seconds(3568));
        assert_eq!(subscriber.on_response(200, Some(HOUR), now + seconds(3569)), None);
        subscriber.on_notify(ACTIVE, now + seconds(3569));
        assert_eq!(subscriber.expires(), Some(now + seconds(7169)));
    }

    #[test]
    fn short_subscriptions_are_refreshed_at_half_time() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        subscriber.on_notify(Reported::Active { expires: Some(seconds(40)) }, now);
        assert_eq!(subscriber.deadline(), Some(now + seconds(20)));
    }

    #[test]
    fn a_refresh_that_fails_leaves_it_valid_until_its_end() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        subscriber.on_notify(ACTIVE, now);
        subscriber.on_sent(false, LIFETIME, now + seconds(3500));
        assert_eq!(subscriber.on_response(503, None, now + seconds(3500)), None);
        assert_eq!(subscriber.state(), SubscriberState::Active);
        assert_eq!(subscriber.poll(now + seconds(3568)), Some(Step::Refresh));
        assert_eq!(subscriber.poll(now + HOUR), Some(Step::Ended(Resubscribe::AnyTime)));
    }

    #[test]
    fn a_refresh_that_says_the_subscription_is_unknown_ends_it() {
        let now = Instant::now();
        for status in [404, 481, 489, 604] {
            let mut subscriber = Subscriber::new(LIFETIME, now);
            subscriber.on_notify(ACTIVE, now);
            subscriber.on_sent(false, LIFETIME, now);
            assert_eq!(subscriber.on_response(status, None, now), Some(Step::Ended(Resubscribe::AnyTime)));
        }
    }

    #[test]
    fn a_204_cancels_timer_n() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        subscriber.on_notify(ACTIVE, now);
        subscriber.on_sent(false, LIFETIME, now);
        subscriber.on_response(204, Some(HOUR), now);
        assert_eq!(subscriber.poll(now + LIFETIME), None);
        assert_eq!(subscriber.state(), SubscriberState::Active);
    }

    #[test]
    fn unsubscribing_waits_for_the_last_notify_and_does_not_come_back() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        subscriber.on_notify(ACTIVE, now);
        subscriber.on_sent(true, LIFETIME, now);
        assert_eq!(subscriber.on_response(200, Some(Duration::ZERO), now), None);
        assert_eq!(subscriber.poll(now + seconds(31)), None);
        let terminated = Reported::Terminated { reason: Some(Reason::Timeout), retry_after: None };
        assert_eq!(subscriber.on_notify(terminated, now), Some(Step::Ended(Resubscribe::Never)));
    }

    #[test]
    fn the_reason_of_the_end_is_passed_on() {
        let now = Instant::now();
        let mut subscriber = Subscriber::new(LIFETIME, now);
        let terminated = Reported::Terminated { reason: Some(Reason::Deactivated), retry_after: None };
        assert_eq!(subscriber.on_notify(terminated, now), Some(Step::Ended(Resubscribe::Now)));
    }

    proptest! {
        #[test]
        fn it_ends_once_and_on_time_whatever_comes(
            events in prop::collection::vec((0..5_u8, any::<u16>(), prop::option::of(any::<u64>())), 0..40),
        ) {
            let mut now = Instant::now();
            let mut subscriber = Subscriber::new(LIFETIME, now);
            let mut ends = 0;
            for (kind, number, wait) in events {
                let expires = wait.map(Duration::from_secs);
                let step = match kind {
                    0 => subscriber.on_response(number % 700, expires, now),
                    1 => subscriber.on_notify(Reported::Active { expires }, now),
                    2 => {
                        subscriber.on_sent(number % 2 == 0, LIFETIME, now);
                        None
                    }
                    3 => subscriber.on_notify(Reported::Terminated { reason: None, retry_after: expires }, now),
                    _ => {
                        now += seconds(number.into());
                        subscriber.poll(now)
                    }
                };
                ends += u32::from(matches!(step, Some(Step::Ended(_))));
                prop_assert_eq!(ends > 0, subscriber.state() == SubscriberState::Terminated);
            }
            while let Some(deadline) = subscriber.deadline() {
                now = now.max(deadline);
                let step = subscriber.poll(now);
                prop_assert!(step.is_some());
                ends += u32::from(matches!(step, Some(Step::Ended(_))));
            }
            prop_assert!(ends <= 1);
        }
    }
}
