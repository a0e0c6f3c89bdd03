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

pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:caps";
/// The prefix that it is written with.
pub const PREFIX: &str = "caps";
/// The prefix that the writers rely on, as an attribute.
pub const DECLARATION: &str = " xmlns:caps=\"urn:ietf:params:xml:ns:pidf:caps\"";
