//! The documents that SIP presence and messaging carry, one format to a file: bytes in, values out, and back.
//! No sockets, no clock, no tasks.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`xml`] | a bounded XML reader with namespaces, and the writing of text | XML 1.0, Namespaces in XML 1.0 |
//! | [`pidf`] | presence information | RFC 3863 |
//! | [`cpim_pidf`] | presence information, as it was before the RFC | draft-ietf-impp-cpim-pidf-08 |
//! | [`xpidf`] | presence information for Windows Messenger | draft-rosenberg-impp-pidf-00 |
//! | [`lpidf`] | presence information in lines | SIP Express Router |
//! | [`data_model`] | persons, services and devices | RFC 4479 |
//! | [`rpid`] | what a person is doing, how it is and where | RFC 4480 |
//! | [`cipid`] | business cards, pictures and pages | RFC 4482 |
//! | [`caps`] | what services and devices can do | RFC 5196 |
//! | [`dialog_info`] | the calls of a user | RFC 4235 |
//! | [`watcherinfo`] | who watches a resource | RFC 3858 |
#![forbid(unsafe_code)]

pub mod caps;
pub mod cipid;
pub mod cpim_pidf;
pub mod data_model;
pub mod dialog_info;
pub mod lpidf;
pub mod pidf;
pub mod rpid;
pub mod watcherinfo;
pub mod xml;
pub mod xpidf;
