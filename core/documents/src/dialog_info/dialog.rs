//! One dialog of a document.

use std::time::Duration;

use super::participant::{NameAddr, Participant};
use super::{DialogInfoError, MAX_PARTS, NAMESPACE};
use crate::xml::{
    Element, Fragment, XmlError, push_attribute, push_end_tag, push_start_tag, push_text, push_text_element,
};

/// A dialog, or the half of one that an INVITE without an answer makes (§4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialog {
    /// Identifies this dialog among those of its user agent.
    pub id: String,
    pub call_id: Option<String>,
    pub local_tag: Option<String>,
    pub remote_tag: Option<String>,
    /// Which side began the dialog, from the observed user's point of view.
    pub direction: Option<Direction>,
    pub state: DialogState,
    /// What ended it.
    pub event: Option<Event>,
    /// The status that ended it: 100 to 699.
    pub code: Option<u16>,
    /// How long ago it was made, in whole seconds.
    pub duration: Option<Duration>,
    /// The dialog that this one replaced.
    pub replaces: Option<Replaces>,
    pub referred_by: Option<NameAddr>,
    pub route_set: Vec<String>,
    pub local: Option<Participant>,
    pub remote: Option<Participant>,
    /// Elements of other namespaces.
    pub extensions: Vec<Fragment>,
}

/// How far a dialog has come (§3.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DialogState {
    #[default]
    Trying,
    Proceeding,
    Early,
    Confirmed,
    Terminated,
}

/// What ended a dialog (§3.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Cancelled,
    Rejected,
    Replaced,
    LocalBye,
    RemoteBye,
    Error,
    Timeout,
}

/// Who began a dialog, as the observed user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The observed user.
    Initiator,
    Recipient,
}

/// A dialog that was replaced by another one (§4.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: String,
    pub local_tag: String,
    pub remote_tag: String,
}

impl Dialog {
    pub(super) fn read(element: Element<'_>) -> Result<Self, DialogInfoError> {
        let missing = |part| DialogInfoError::Missing { element: "dialog", part };
        let value = |name| element.attribute(name).filter(|value| !value.trim().is_empty());
        let child = |name| element.child(NAMESPACE, name);
        let state = child("state").ok_or_else(|| missing("state"))?;
        let mut route_set = Vec::new();
        for hop in child("route-set").into_iter().flat_map(Element::children).filter(|hop| hop.is(NAMESPACE, "hop")) {
            if route_set.len() == MAX_PARTS {
                return Err(DialogInfoError::TooMany("hop"));
            }
            route_set.push(hop.text().to_owned());
        }
        // Invalid details are ignored, because they are informational only.
        Ok(Self {
            id: value("id").ok_or_else(|| missing("id"))?.to_owned(),
            call_id: value("call-id").map(str::to_owned),
            local_tag: value("local-tag").map(str::to_owned),
            remote_tag: value("remote-tag").map(str::to_owned),
            direction: value("direction").and_then(|direction| Direction::parse(direction.trim())),
            state: DialogState::parse(state.text()).ok_or_else(|| missing("state"))?,
            event: state.attribute("event").and_then(|event| Event::parse(event.trim())),
            code: state
                .attribute("code")
                .and_then(|code| code.trim().parse().ok())
                .filter(|code| (100..700).contains(code)),
            duration: child("duration").and_then(|span| span.text().parse().ok()).map(Duration::from_secs),
            replaces: child("replaces").and_then(Replaces::read),
            referred_by: child("referred-by").map(NameAddr::read),
            route_set,
            local: child("local").map(Participant::read).transpose()?,
            remote: child("remote").map(Participant::read).transpose()?,
            extensions: extensions(element)?,
        })
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        self.write_as(out, &self.id, self.duration);
    }

    /// A copy with another id and the same age.
    pub fn write_as(&self, out: &mut String, id: &str, duration: Option<Duration>) {
        out.push_str("<dialog");
        push_attribute(out, "id", id);
        let direction = self.direction.map(Direction::as_str);
        for (name, value) in [
            ("call-id", self.call_id.as_deref()),
            ("local-tag", self.local_tag.as_deref()),
            ("remote-tag", self.remote_tag.as_deref()),
            ("direction", direction),
        ] {
            if let Some(value) = value {
                push_attribute(out, name, value);
            }
        }
        out.push('>');
        self.write_state(out);
        if let Some(duration) = duration {
            push_text_element(out, "duration", &duration.as_secs().to_string());
        }
        if let Some(replaces) = &self.replaces {
            replaces.write(out);
        }
        if let Some(referred_by) = &self.referred_by {
            referred_by.write(out, "referred-by");
        }
        if !self.route_set.is_empty() {
            push_start_tag(out, "route-set");
            self.route_set.iter().for_each(|hop| push_text_element(out, "hop", hop));
            push_end_tag(out, "route-set");
        }
        for (name, participant) in [("local", &self.local), ("remote", &self.remote)] {
            if let Some(participant) = participant {
                participant.write(out, name);
            }
        }
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        push_end_tag(out, "dialog");
    }

    fn write_state(&self, out: &mut String) {
        out.push_str("<state");
        if let Some(event) = self.event {
            push_attribute(out, "event", event.as_str());
        }
        if let Some(code) = self.code {
            push_attribute(out, "code", &code.to_string());
        }
        out.push('>');
        push_text(out, self.state.as_str());
        push_end_tag(out, "state");
    }

    /// The identifiers, which are all that is told of a dialog that is over.
    pub fn ended(&self) -> Self {
        Self {
            id: self.id.clone(),
            call_id: self.call_id.clone(),
            local_tag: self.local_tag.clone(),
            remote_tag: self.remote_tag.clone(),
            direction: self.direction,
            state: DialogState::Terminated,
            ..Self::default()
        }
    }
}

/// The children of other namespaces.
pub(super) fn extensions(element: Element<'_>) -> Result<Vec<Fragment>, XmlError> {
    let others = element.children().filter(|child| child.namespace() != NAMESPACE);
    others.map(Element::to_fragment).collect()
}

impl Replaces {
    fn read(element: Element<'_>) -> Option<Self> {
        let value = |name| element.attribute(name).map(str::to_owned);
        Some(Self { call_id: value("call-id")?, local_tag: value("local-tag")?, remote_tag: value("remote-tag")? })
    }

    fn write(&self, out: &mut String) {
        out.push_str("<replaces");
        push_attribute(out, "call-id", &self.call_id);
        push_attribute(out, "local-tag", &self.local_tag);
        push_attribute(out, "remote-tag", &self.remote_tag);
        out.push_str("/>");
    }
}

impl DialogState {
    pub const ALL: [Self; 5] = [Self::Trying, Self::Proceeding, Self::Early, Self::Confirmed, Self::Terminated];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Proceeding => "proceeding",
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminated => "terminated",
        }
    }
}

impl Event {
    pub const ALL: [Self; 7] =
        [Self::Cancelled, Self::Rejected, Self::Replaced, Self::LocalBye, Self::RemoteBye, Self::Error, Self::Timeout];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::LocalBye => "local-bye",
            Self::RemoteBye => "remote-bye",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

impl Direction {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Initiator, Self::Recipient].into_iter().find(|direction| direction.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Recipient => "recipient",
        }
    }
}
