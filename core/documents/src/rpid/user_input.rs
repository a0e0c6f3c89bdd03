//! `<user-input>`: whether a person, service or device was used of late (RFC 4480 §3.14).

use std::time::Duration;

use crate::pidf::Timestamp;
use crate::xml::{Element, push_attribute};

/// Whether something was used of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInput {
    pub id: Option<String>,
    pub state: UserInputState,
    /// How long nothing must come in before it counts as idle. Whole seconds.
    pub idle_threshold: Option<Duration>,
    /// When something came in last.
    pub last_input: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserInputState {
    Active,
    Idle,
}

impl UserInput {
    /// None where the element says neither. Attributes that can't be read are as if they weren't there.
    pub(super) fn read(element: Element<'_>) -> Option<Self> {
        let attribute = |name| element.attribute(name).map(str::trim).filter(|value| !value.is_empty());
        Some(Self {
            id: attribute("id").map(str::to_owned),
            state: UserInputState::parse(element.text())?,
            idle_threshold: attribute("idle-threshold").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            last_input: attribute("last-input").and_then(Timestamp::parse),
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<rpid:user-input");
        if let Some(id) = &self.id {
            push_attribute(out, "id", id);
        }
        if let Some(threshold) = self.idle_threshold {
            push_attribute(out, "idle-threshold", &threshold.as_secs().to_string());
        }
        if let Some(at) = &self.last_input {
            push_attribute(out, "last-input", at.as_str());
        }
        for part in [">", self.state.as_str(), "</rpid:user-input>"] {
            out.push_str(part);
        }
    }
}

impl UserInputState {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Idle].into_iter().find(|state| state.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
        }
    }
}
