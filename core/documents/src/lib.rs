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
//! | [`rpid`] | what a person is doing | RFC 4479, RFC 4480 |
//! | [`watcherinfo`] | who watches a resource | RFC 3858 |
#![forbid(unsafe_code)]

pub mod cpim_pidf;
pub mod lpidf;
pub mod pidf;
pub mod rpid;
pub mod watcherinfo;
pub mod xml;
pub mod xpidf;
