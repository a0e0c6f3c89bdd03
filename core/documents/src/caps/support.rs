//! What is supported and what is not (RFC 5196 §4.1).

use super::values::Capability;
use super::{NAMESPACE, push};
use crate::xml::Element;

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
            child.children().filter_map(C::read).for_each(|capability| push(list, capability));
        }
    }

    /// Appends the element; nothing where nothing is said.
    pub(super) fn write(&self, name: &str, out: &mut String) {
        if self.is_empty() {
            return;
        }
        push_tag(out, "<caps:", name);
        for (name, list) in [("supported", &self.supported), ("notsupported", &self.not_supported)] {
            if !list.is_empty() {
                push_tag(out, "<caps:", name);
                list.iter().for_each(|capability| capability.write(out));
                push_tag(out, "</caps:", name);
            }
        }
        push_tag(out, "</caps:", name);
    }
}

fn push_tag(out: &mut String, open: &str, name: &str) {
    for part in [open, name, ">"] {
        out.push_str(part);
    }
}
