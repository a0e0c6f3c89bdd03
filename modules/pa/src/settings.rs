//! What `modparam` sets, in the types that the agent works with.

use std::time::Duration;

use crate::rejection::Rejection;

/// One hour: no minimum may be longer (RFC 6665 §4.2.1.1).
const HOUR: Duration = Duration::from_secs(3600);

/// How long something that a client asks for may live.
#[derive(Debug, Clone)]
pub struct Interval {
    /// For a client that names none.
    pub default: Duration,
    /// Less than this, but not zero, is refused.
    pub minimum: Duration,
    /// More than this is cut down.
    pub maximum: Duration,
}

impl Interval {
    /// The interval for the Expires value of a request.
    pub fn choose(&self, asked: Option<Duration>) -> Result<Duration, Rejection> {
        let asked = asked.unwrap_or(self.default);
        let minimum = self.minimum.min(HOUR).min(self.maximum);
        if asked < minimum && !asked.is_zero() {
            return Err(Rejection::TooBrief { minimum });
        }
        Ok(asked.min(self.maximum))
    }
}

/// Who may see presence (`auth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// Everybody: subscriptions are active.
    None,
    /// Nobody before the presentity has said so: subscriptions are pending.
    Implicit,
}

/// All parameters of the module.
#[derive(Debug, Clone)]
pub struct Settings {
    pub subscription: Interval,
    pub publication: Interval,
    pub authorization: Authorization,
    /// Presence follows registrations.
    pub use_callbacks: bool,
    /// How long a contact that is no longer registered is shown closed.
    pub closed_grace: Duration,
    /// A NOTIFY that isn't answered in time leaves the subscription alone.
    pub ignore_notify_timeout: bool,
    /// Least time between two NOTIFYs to one watcher about changes.
    pub notify_min_interval: Duration,
    /// There is a database that subscriptions and publications are committed to.
    pub durable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let interval = Interval { default: HOUR, minimum: Duration::from_secs(60), maximum: HOUR };
        Self {
            subscription: interval.clone(),
            publication: interval,
            authorization: Authorization::Implicit,
            use_callbacks: true,
            closed_grace: Duration::from_secs(20),
            ignore_notify_timeout: false,
            notify_min_interval: Duration::ZERO,
            durable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_cut_down_refused_or_taken_by_default() {
        let interval = Interval { default: 100 * SECOND, minimum: 10 * SECOND, maximum: 200 * SECOND };
        assert_eq!(interval.choose(None), Ok(100 * SECOND));
        assert_eq!(interval.choose(Some(300 * SECOND)), Ok(200 * SECOND));
        assert_eq!(interval.choose(Some(10 * SECOND)), Ok(10 * SECOND));
        assert_eq!(interval.choose(Some(9 * SECOND)), Err(Rejection::TooBrief { minimum: 10 * SECOND }));
        assert_eq!(interval.choose(Some(Duration::ZERO)), Ok(Duration::ZERO));
    }

    #[test]
    fn a_default_above_the_maximum_and_a_minimum_above_an_hour_do_no_harm() {
        let interval = Interval { default: 9 * HOUR, minimum: 2 * HOUR, maximum: 3 * HOUR };
        assert_eq!(interval.choose(None), Ok(3 * HOUR));
        assert_eq!(interval.choose(Some(HOUR)), Ok(HOUR));
    }

    const SECOND: Duration = Duration::from_secs(1);
}
