//! Hostile peers against a whole server with three workers: any octets tell a story of what strangers send, and what must
//! hold whatever they send is checked.
//!
//! | file | what |
//! |---|---|
//! | [`story`] | octets read as choices |
//! | [`cast`] | the server, its users' phones, and the strangers |
//! | [`words`] | what strangers put into their requests |
//! | [`oracle`] | what must hold |
//!
//! `tests/conformance/hostile_peers.rs` plays some stories in each test run; the fuzz target `server` of `tests/fuzz`
//! looks for others.

mod cast;
mod oracle;
mod story;
mod words;

pub use cast::{Played, play};
