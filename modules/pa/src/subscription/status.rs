//! What the presentity's user has decided about a watcher.

use signalbox_sip::dialog::subscription::State;

/// What the presentity's user has decided about a watcher, before anything ends (RFC 6665 §4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Pending,
}

impl Status {
    pub fn state(self) -> State {
        match self {
            Self::Active => State::Active,
            Self::Pending => State::Pending,
        }
    }

    /// As in Subscription-State and `avp.subscription_status`.
    pub fn as_str(self) -> &'static str {
        self.state().as_str()
    }

    /// Reads what [`Self::as_str`] gave.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Pending].into_iter().find(|status| status.as_str() == name)
    }
}
