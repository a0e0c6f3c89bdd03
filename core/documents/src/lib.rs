//! The documents that SIP presence and messaging carry, one format to a file: bytes in, values out, and back.
//! No sockets, no clock, no tasks.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`xml`] | a bounded XML reader with namespaces, and the writing of text | XML 1.0, Namespaces in XML 1.0 |
//! | [`pidf`] | presence information | RFC 3863 |
//! | [`watcherinfo`] | who watches a resource | RFC 3858 |
#![forbid(unsafe_code)]

pub mod pidf;
pub mod watcherinfo;
pub mod xml;
