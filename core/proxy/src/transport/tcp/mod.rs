//! TCP: listeners and connections. A connection belongs to the worker that accepted or made it; messages between the
//! same two addresses share it, in both directions (RFC 3261 §18, RFC 5923 without the alias negotiation).
//!
//! | file | what |
//! |---|---|
//! | [`listen`] | listening sockets |
//! | [`connections`] | all connections of a worker: accepting and making them, reading, ending |
//! | [`connection`] | one of them: what waits to be written, and when it is to end |
//! | [`limits`] | how many there may be, and for how long |

mod connection;
mod connections;
mod limits;
mod listen;

pub use connections::Connections;
pub use limits::TcpLimits;
pub(crate) use listen::bind;

/// Bytes that may wait for one slow peer; one that more are for is given up.
pub const MAX_BACKLOG: usize = 1024 * 1024;
