//! What notifiers and subscribers have in common (RFC 6665): the states of a subscription, the reasons for its end
//! and the responses that end it.

use std::fmt;
use std::time::{Duration, Instant};

/// How a subscription stands, as Subscription-State tells it (§4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Accepted, but nobody has decided yet what the subscriber may see.
    Pending,
    Active,
    Terminated(Reason),
}

/// Why a subscription was terminated (§4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Subscribe again at once, elsewhere: the notifier moves (§4.4.2).
    Deactivated,
    /// Subscribe again later.
    Probation,
    /// The policy changed; don't subscribe again.
    Rejected,
    /// Not refreshed in time, or a fetch (§4.4.3).
    Timeout,
    /// Nobody decided in time.
    GiveUp,
    /// The resource is gone; don't subscribe again.
    NoResource,
    /// The state will never change; don't subscribe again.
    Invariant,
}

/// What the end of a subscription means for a new one (§4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resubscribe {
    Now,
    /// Not before this time is over.
    After(Duration),
    /// At any time, as the subscriber sees fit.
    AnyTime,
    Never,
}

/// Longest wait that is taken from a message, whatever it says.
pub const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

impl State {
    pub fn is_terminated(self) -> bool {
        matches!(self, Self::Terminated(_))
    }

    /// The value of `substate-value` (§8.4).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Terminated(_) => "terminated",
        }
    }
}

impl Reason {
    pub const ALL: [Self; 7] = [
        Self::Deactivated,
        Self::Probation,
        Self::Rejected,
        Self::Timeout,
        Self::GiveUp,
        Self::NoResource,
        Self::Invariant,
    ];

    /// The value of the `reason` parameter (§8.4).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::GiveUp => "giveup",
            Self::NoResource => "noresource",
            Self::Invariant => "invariant",
        }
    }

    /// None for a reason that RFC 6665 doesn't define.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether a `retry-after` parameter says anything beside this reason (§4.1.3).
    pub fn has_retry_after(self) -> bool {
        matches!(self, Self::Probation | Self::GiveUp | Self::Invariant)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Resubscribe {
    /// After a NOTIFY with `terminated`, by its `reason` (None: missing or unknown) and `retry-after`.
    pub fn after(reason: Option<Reason>, retry_after: Option<Duration>) -> Self {
        let wait = retry_after.map_or(Self::AnyTime, |wait| Self::After(wait.min(MAX_WAIT)));
        match reason {
            Some(Reason::Deactivated) => Self::Now,
            Some(Reason::Timeout) => Self::AnyTime,
            Some(Reason::Rejected | Reason::NoResource | Reason::Invariant) => Self::Never,
            Some(Reason::Probation | Reason::GiveUp) | None => wait,
        }
    }
}

/// Whether this response to a NOTIFY, or to a SUBSCRIBE that refreshes, ends the subscription (§4.2.2, §4.1.2.2).
pub fn ends_subscription(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

/// `now` and a wait that may come from the network.
pub(super) fn later(now: Instant, wait: Duration) -> Instant {
    // Invariant: clocks are never within a year of their end, so the sum exists.
    now + wait.min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_is_written() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(&reason.as_str().to_uppercase()), Some(reason));
        }
        assert_eq!(Reason::parse("expired"), None);
    }

    #[test]
    fn the_reason_says_when_to_subscribe_again() {
        let minute = Some(Duration::from_secs(60));
        for (reason, retry_after, expected) in [
            (Some(Reason::Deactivated), minute, Resubscribe::Now),
            (Some(Reason::Probation), minute, Resubscribe::After(Duration::from_secs(60))),
            (Some(Reason::Probation), None, Resubscribe::AnyTime),
            (Some(Reason::Rejected), None, Resubscribe::Never),
            (Some(Reason::Timeout), minute, Resubscribe::AnyTime),
            (Some(Reason::GiveUp), minute, Resubscribe::After(Duration::from_secs(60))),
            (Some(Reason::NoResource), None, Resubscribe::Never),
            (Some(Reason::Invariant), minute, Resubscribe::Never),
            (None, None, Resubscribe::AnyTime),
            (None, minute, Resubscribe::After(Duration::from_secs(60))),
        ] {
            assert_eq!(Resubscribe::after(reason, retry_after), expected, "{reason:?}");
        }
    }

    #[test]
    fn only_the_listed_responses_end_a_subscription() {
        let ending: Vec<u16> = (100..700).filter(|&status| ends_subscription(status)).collect();
        assert_eq!(ending, [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604]);
    }
}
