//! What is supported and what is not (RFC 5196 §4.1).

use super::NAMESPACE;
use super::values::Capability;
use crate::rpid::push_if_room;
use crate::xml::{Element, push_end_tag, push_start_tag};

/// The lists `<supported>` and `<notsupported>` of one capability. Nothing is known of what is in neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support<C> {
    pub supported: Vec<C>,
    pub not_supported: Vec<C>,
}

impl<C> Default for Support<C> {
    fn default() -> Self {
        Self { supported: Vec::new(), not_supported: Vec::new() }
    }
}

impl<C: Capability> Support<C> {
    pub fn is_empty(&self) -> bool {
        self.supported.is_empty() && self.not_supported.is_empty()
    }

    /// Adds what the element of the capability says.
    pub(super) fn read(&mut self, element: Element<'_>) {
        for child in element.children().filter(|child| child.namespace() == NAMESPACE) {
            let list = match child.name() {
                "supported" => &mut self.supported,
                "notsupported" => &mut self.not_supported,
                _ => continue,
            };
            for capability in child.children().filter_map(C::read) {
                push_if_room(list, capability);
            }
        }
    }

    /// Appends the element; nothing where nothing is said.
    pub(super) fn write(&self, name: &str, out: &mut String) {
        if self.is_empty() {
            return;
        }
        push_start_tag(out, name);
        for (name, list) in [("caps:supported", &self.supported), ("caps:notsupported", &self.not_supported)] {
            if !list.is_empty() {
                push_start_tag(out, name);
                list.iter().for_each(|capability| capability.write(out));
                push_end_tag(out, name);
            }
        }
        push_end_tag(out, name);
    }
}
