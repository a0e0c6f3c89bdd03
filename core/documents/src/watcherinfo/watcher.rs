//! One watcher of a list.

use std::time::Duration;

use super::WatcherInfoError;
use crate::xml::{Element, push_attribute, push_text};

/// A watcher (§3). Spans of time are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watcher {
    /// Who it is: an address of record rather than a device.
    pub uri: String,
    /// Tells this subscription from all others in the documents of one subscriber; a `token` of RFC 3261.
    pub id: String,
    pub status: Status,
    /// What led to the status.
    pub event: Event,
    pub display_name: Option<String>,
    /// The language of the display name.
    pub lang: Option<String>,
    /// How long the subscription still has to live.
    pub expiration: Option<Duration>,
    /// How long ago it was made.
    pub duration_subscribed: Option<Duration>,
}

/// How far a subscription has come (RFC 3857 §4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nobody has decided.
    Pending,
    Active,
    /// It is over, and nobody had decided: the user still may.
    Waiting,
    Terminated,
}

/// What led to a status (RFC 3857 §4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Subscribe,
    Approved,
    Deactivated,
    Probation,
    Rejected,
    Timeout,
    GiveUp,
    NoResource,
}

impl Watcher {
    pub(super) fn read(element: Element<'_>) -> Result<Self, WatcherInfoError> {
        let bad = |attribute| WatcherInfoError::Attribute { element: "watcher", attribute };
        let value = |attribute| element.attribute(attribute).map(str::trim).filter(|value| !value.is_empty());
        // Seconds that mean nothing are as if they weren't there: they only inform.
        let seconds = |attribute| value(attribute).and_then(|value| value.parse().ok()).map(Duration::from_secs);
        Ok(Self {
            uri: element.text().to_owned(),
            id: value("id").ok_or_else(|| bad("id"))?.to_owned(),
            status: value("status").and_then(Status::parse).ok_or_else(|| bad("status"))?,
            event: value("event").and_then(Event::parse).ok_or_else(|| bad("event"))?,
            display_name: value("display-name").map(str::to_owned),
            lang: element.lang().map(str::to_owned),
            expiration: seconds("expiration"),
            duration_subscribed: seconds("duration-subscribed"),
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<watcher");
        push_attribute(out, "status", self.status.as_str());
        push_attribute(out, "id", &self.id);
        push_attribute(out, "event", self.event.as_str());
        if let Some(name) = &self.display_name {
            push_attribute(out, "display-name", name);
        }
        if let Some(lang) = &self.lang {
            push_attribute(out, "xml:lang", lang);
        }
        for (name, span) in [("expiration", self.expiration), ("duration-subscribed", self.duration_subscribed)] {
            if let Some(span) = span {
                push_attribute(out, name, &span.as_secs().to_string());
            }
        }
        out.push('>');
        push_text(out, &self.uri);
        out.push_str("</watcher>");
    }
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Waiting, Self::Terminated];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Terminated => "terminated",
        }
    }
}

impl Event {
    pub const ALL: [Self; 8] = [
        Self::Subscribe,
        Self::Approved,
        Self::Deactivated,
        Self::Probation,
        Self::Rejected,
        Self::Timeout,
        Self::GiveUp,
        Self::NoResource,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Approved => "approved",
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::GiveUp => "giveup",
            Self::NoResource => "noresource",
        }
    }
}
