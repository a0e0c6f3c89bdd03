//! Capabilities of services and devices (RFC 5196): `<servcaps>` in a tuple, `<devcaps>` in a device.
//!
//! | file | what |
//! |---|---|
//! | [`service`] | `<servcaps>` |
//! | [`device`] | `<devcaps>` |
//! | [`support`] | what is supported and what is not |
//! | [`values`] | words, priorities, schemes and languages, as values of that |
//! | [`words`] | the words: actors, methods, extensions, … |

pub mod device;
pub mod service;
pub mod support;
pub mod values;
pub mod words;

pub use device::DeviceCapabilities;
pub use service::ServiceCapabilities;
pub use support::Support;
pub use values::{Capability, Language, Priority, Scheme};
pub use words::{Actor, Class, Duplex, EventPackage, Extension, Method, Mobility};

use crate::pidf::Note;
use crate::xml::Element;

pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:caps";
/// The prefix that it is written with.
pub const PREFIX: &str = "caps";
/// The prefix that the writers rely on, as an attribute.
pub const DECLARATION: &str = " xmlns:caps=\"urn:ietf:params:xml:ns:pidf:caps\"";

/// Values of one list, descriptions and extensions that are read; further ones are dropped.
pub const MAX_VALUES: usize = 64;

fn push<T>(list: &mut Vec<T>, value: T) {
    if list.len() < MAX_VALUES {
        list.push(value);
    }
}

fn push_description(descriptions: &mut Vec<Note>, element: Element<'_>) {
    push(descriptions, Note::read(element));
}
