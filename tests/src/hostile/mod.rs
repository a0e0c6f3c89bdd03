//! Hostile peers against a whole server with three workers. Any octets encode a story of messages from strangers. The
//! oracle checks what must hold whatever they send.
//!
//! | file | what |
//! |---|---|
//! | [`story`] | octets read as choices |
//! | [`cast`] | the server, its users' phones, and the strangers |
//! | [`words`] | the parts of strangers' requests |
//! | [`oracle`] | the rules that must hold |
//!
//! `tests/conformance/hostile_peers.rs` plays some stories in each test run. The fuzz target `server` of `tests/fuzz`
//! searches for failing ones.

mod cast;
mod oracle;
mod story;
mod words;

pub use cast::{Played, play};
