//! SIP without input or output: no sockets, no clock, no tasks. Bytes, instants and random numbers come in as
//! arguments; messages, deadlines and decisions go out.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`lex`] | tokens, quoted strings, parameters, comma-separated lists | RFC 3261 §25.1 |
//! | [`uri`] | `sip:`, `sips:`, `tel:`, `pres:`, `im:` URIs, their comparison, addresses of record | RFC 3261 §19.1, RFC 3966, RFC 3859, RFC 3860 |
//! | [`method`], [`status`] | request methods, response codes and their default reasons | RFC 3261 §21 |
//! | [`message`] | a message as one text and a table of header lines, edited in place, printed once | RFC 3261 §7 |
//! | [`header`] | typed headers, one file each | RFC 3261 §20 and others |
//! | [`framing`] | messages out of a byte stream | RFC 3261 §18.3, RFC 5626 §4.4.1 |
//! | [`digest`] | challenges, credentials, nonces | RFC 7616, RFC 8760 |
//! | [`transaction`] | the four transaction state machines | RFC 3261 §17, RFC 4320, RFC 6026 |
//! | [`fork`] | the response context of a forking proxy | RFC 3261 §16.7 |
//! | [`dialog`] | dialogs, route sets, subscriptions | RFC 3261 §12, RFC 6665 |
#![forbid(unsafe_code)]

pub mod dialog;
pub mod digest;
pub mod fork;
pub mod framing;
pub mod header;
pub mod lex;
pub mod message;
pub mod method;
pub mod status;
pub mod transaction;
pub mod uri;
