//! One watcher, and its way through the state machine of RFC 3857 §4.7.1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_documents::watcherinfo::{Event, Status, Watcher};
use signalbox_sip::dialog::subscription::State;

use crate::agent::quota::Charge;
use crate::packages::observer::{Cause, Change, Remembered};
use crate::subscription;
use crate::token::Token;

/// Octets of an element `watcher` without its texts.
const FRAME: usize = 200;

/// One watcher.
#[derive(Debug, Clone)]
pub struct Row {
    /// Names the subscription in the documents.
    pub id: Token,
    pub uri: Box<str>,
    pub display_name: Box<str>,
    pub status: Status,
    pub event: Event,
    pub since: Instant,
    /// When the subscription ends. None where there is none any more.
    pub expires: Option<Instant>,
    /// It was remembered in the database, and is to be forgotten there once somebody has been told.
    pub remembered: Option<Token>,
    /// The charge of its subscription.
    pub charge: Option<Arc<Charge>>,
    /// When it is given up or forgotten.
    pub deadline: Option<Instant>,
}

impl Row {
    /// The watcher after a change. None where it should not be told of: it may not subscribe, or it came and went at once
    /// (§4.7.2: no "transient states").
    pub fn of(change: &Change<'_>, now: Instant) -> Option<Self> {
        let undecided = change.status == subscription::Status::Pending;
        let (status, event) = match (change.state, change.cause) {
            (State::Active, cause) => (Status::Active, event_of(cause)),
            (State::Pending, cause) => (Status::Pending, event_of(cause)),
            (State::Terminated(_), Cause::Timeout) if undecided => (Status::Waiting, Event::Timeout),
            (State::Terminated(_), cause) => (Status::Terminated, event_of(cause)),
        };
        let is_over = matches!(status, Status::Waiting | Status::Terminated);
        if !is_over && change.expires <= now {
            return None;
        }
        Some(Self {
            id: change.id,
            uri: change.watcher.into(),
            display_name: change.display_name.as_ref().into(),
            status,
            event,
            since: change.since,
            expires: (!is_over).then_some(change.expires),
            remembered: None,
            charge: change.charge.clone(),
            deadline: None,
        })
    }

    /// A watcher that the database remembers: its subscription is over, and nobody has decided.
    pub fn remembered(watcher: &Remembered) -> Self {
        Self {
            id: watcher.id,
            uri: watcher.uri.clone(),
            display_name: watcher.display_name.clone(),
            status: Status::Waiting,
            event: Event::Subscribe,
            since: watcher.since,
            expires: None,
            remembered: Some(watcher.id),
            charge: None,
            deadline: None,
        }
    }

    /// Most octets that its texts take in a document; each escaped character counts as the longest reference.
    pub fn shown_octets(&self) -> usize {
        let escaped = |text: &str| text.len() + text.bytes().filter(|byte| !byte.is_ascii_alphanumeric()).count() * 5;
        escaped(&self.uri) + escaped(&self.display_name) + FRAME
    }

    /// As it stands in a document.
    pub fn told(&self, now: Instant) -> Watcher {
        Watcher {
            uri: self.uri.to_string(),
            id: self.id.spell().as_str().to_owned(),
            status: self.status,
            event: self.event,
            display_name: Some(&*self.display_name).filter(|name| !name.is_empty()).map(str::to_owned),
            lang: None,
            expiration: self.expires.map(|expires| rounded(expires.saturating_duration_since(now))),
            duration_subscribed: Some(rounded(now.saturating_duration_since(self.since))),
        }
    }
}

fn rounded(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs_f64().round() as u64)
}

pub(super) fn event_of(cause: Cause) -> Event {
    match cause {
        Cause::Subscribe | Cause::Refresh => Event::Subscribe,
        Cause::Approved => Event::Approved,
        Cause::Deactivated => Event::Deactivated,
        Cause::Probation => Event::Probation,
        Cause::Rejected => Event::Rejected,
        Cause::Timeout => Event::Timeout,
        Cause::GiveUp => Event::GiveUp,
        Cause::NoResource => Event::NoResource,
    }
}
