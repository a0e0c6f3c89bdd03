//! `<devcaps>` (RFC 5196 §3.3).

use super::words::Mobility;
use super::{NAMESPACE, Support};
use crate::pidf::Note;
use crate::rpid::{MAX_VALUES, Value, push_if_room};
use crate::xml::{Element, Fragment};

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceCapabilities {
    /// In several languages.
    pub descriptions: Vec<Note>,
    pub mobility: Support<Value<Mobility>>,
    pub extensions: Vec<Fragment>,
}

impl DeviceCapabilities {
    /// None where the element is another one.
    pub fn read(element: Element<'_>) -> Option<Self> {
        if !element.is(NAMESPACE, "devcaps") {
            return None;
        }
        let mut capabilities = Self::default();
        for child in element.children().take(MAX_VALUES) {
            match (child.namespace(), child.name()) {
                (NAMESPACE, "description") => _ = push_if_room(&mut capabilities.descriptions, Note::read(child)),
                (NAMESPACE, "mobility") => capabilities.mobility.read(child),
                _ => capabilities.extensions.extend(child.to_fragment()),
            }
        }
        Some(capabilities)
    }

    /// Appends the element. Around it the prefix `caps` stands for the namespace.
    pub fn write(&self, out: &mut String) {
        out.push_str("<caps:devcaps>");
        self.descriptions.iter().for_each(|description| description.write_as("caps:description", out));
        self.mobility.write("caps:mobility", out);
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        out.push_str("</caps:devcaps>");
    }
}
