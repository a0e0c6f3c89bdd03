//! Subscription-State: how the subscription stands for which this is a NOTIFY (RFC 6665 §8.2.3).

use super::shapes::token_with_params_header;
use std::time::Duration;

use super::shapes::seconds;

token_with_params_header! {
    /// The notifier's word on the subscription.
    SubscriptionState,
    /// `active`, `pending`, `terminated` or an extension; see [`SubscriptionState::is_terminated`].
    state
}

impl<'a> SubscriptionState<'a> {
    /// Whether notifications come with the full state.
    pub fn is_active(&self) -> bool {
        self.state.eq_ignore_ascii_case("active")
    }

    /// Whether nobody decided yet on the subscription.
    pub fn is_pending(&self) -> bool {
        self.state.eq_ignore_ascii_case("pending")
    }

    /// Whether this was the last NOTIFY.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }

    /// Why it was terminated: `deactivated`, `probation`, `rejected`, `timeout`, `giveup`, `noresource`, `invariant`.
    pub fn reason(&self) -> Option<&'a str> {
        self.params.value("reason")
    }

    /// How long it still holds.
    pub fn expires(&self) -> Option<Duration> {
        seconds(self.params.value("expires"))
    }

    /// How long to wait before subscribing again.
    pub fn retry_after(&self) -> Option<Duration> {
        seconds(self.params.value("retry-after"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Header;

    #[test]
    fn states_and_times_are_read_in_any_case() {
        let state = SubscriptionState::parse("Terminated ;reason=probation;Retry-After=60").unwrap();
        assert!(state.is_terminated() && !state.is_active() && !state.is_pending());
        assert_eq!((state.reason(), state.retry_after()), (Some("probation"), Some(Duration::from_secs(60))));
        let state = SubscriptionState::parse("active;expires=3600").unwrap();
        assert_eq!((state.is_active(), state.expires()), (true, Some(Duration::from_secs(3600))));
        assert!(SubscriptionState::parse(";expires=1").is_err());
    }
}
