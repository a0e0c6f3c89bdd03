//! A NOTIFY as the agent wants it sent.

use std::borrow::Cow;
use std::sync::Arc;

use signalbox_sip::dialog::notifier::Notification;
use signalbox_sip::dialog::rate::Rates;

use crate::documents::Body;
use crate::token::Token;

/// How to get to a watcher, which the agent doesn't look into but for who that is.
pub trait Watcher {
    /// The watcher's URI.
    fn uri(&self) -> &str;

    /// The display name beside it; empty without.
    fn display_name(&self) -> Cow<'_, str>;

    /// Whether the address of its NOTIFYs is proved. An unproved address gets only NOTIFYs without a body.
    fn is_proved(&self) -> bool {
        true
    }

    /// Whether the dialog is between a watcher and a presentity with these URIs.
    fn is_dialog_of(&self, from: &str, to: &str) -> bool;
}

/// A NOTIFY to be sent now.
#[derive(Debug, Clone)]
pub struct Notify<W> {
    /// The subscription, to report the answer with.
    pub id: Token,
    pub cseq: u32,
    pub notification: Notification,
    /// Nothing for watchers who may not see anything yet.
    pub body: Option<Body>,
    /// The entity tag of the state (RFC 5839), also where the watcher knows that state and so gets no body.
    pub tag: Option<Token>,
    /// How often the watcher is told (RFC 6446), where it has asked for that.
    pub rates: Rates,
    /// How to get to the watcher.
    pub way: Arc<W>,
}
