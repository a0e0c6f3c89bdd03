//! What a watcher asks for beside the state itself.

use signalbox_sip::dialog::rate::Rates;

use super::condition::Condition;
use crate::documents::Form;

/// How a watcher wants to be told, by its last SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    pub form: Form,
    pub condition: Option<Condition>,
    /// As asked for, or in [`Accepted`](super::Accepted) as granted (RFC 6446).
    pub rates: Rates,
}

impl Wishes {
    /// Nothing but a form.
    pub fn of(form: Form) -> Self {
        Self { form, condition: None, rates: Rates::default() }
    }
}
