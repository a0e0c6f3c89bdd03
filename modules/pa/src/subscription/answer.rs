//! What a watcher answers to a NOTIFY.

use std::time::Duration;

use signalbox_sip::dialog::rate::Rates;

/// The final response to a NOTIFY, as far as the agent needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// What Event in a 2xx asks for from now on (RFC 6446 §4.1). None without Event.
    pub rates: Option<Rates>,
}

impl Answer {
    /// Nothing but a status.
    pub fn of(status: u16) -> Self {
        Self { status, retry_after: None, rates: None }
    }
}
