//! The data model of presence (RFC 4479): persons, the services that reach them, the devices that run these.
//!
//! | file | what |
//! |---|---|
//! | [`presence`] | a document as persons, services and devices |
//! | [`person`] | `<person>` |
//! | [`service`] | `<tuple>`, as the model sees it |
//! | [`device`] | `<device>` |
//!
//! A [`Pidf`](crate::pidf::Pidf) passes all of this through as it came. What is here reads what it says: values that aren't valid are kept as
//! extensions and are no error (§5: "extract whatever information from them that they can parse").

#[cfg(test)]
mod arbitrary;
pub mod device;
pub mod person;
pub mod presence;
pub mod service;

pub use device::Device;
pub use person::Person;
pub use presence::Presence;
pub use service::Service;

pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:data-model";
/// The prefix that the writers rely on, as an attribute.
const DECLARATION: &str = " xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"";
