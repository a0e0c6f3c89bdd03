//! TCP: listeners and connections. A connection belongs to the worker that accepted or made it; messages of all workers between the
//! same two addresses share it, in both directions (RFC 3261 §18, RFC 5923 without the alias negotiation).
//!
//! | file | what |
//! |---|---|
//! | [`listen`] | listening sockets |
//! | [`connections`] | all connections of a worker: accepting and making them, reading, ending |
//! | [`connection`] | one connection: writing to it, and its timeouts |
//! | [`backlog`] | the messages that wait to be written to a connection |
//! | [`shared`] | the connections of all workers |
//! | [`limits`] | how many there may be, and for how long |

mod backlog;
mod connection;
mod connections;
mod limits;
mod listen;
mod shared;

pub use connections::Connections;
pub use limits::TcpLimits;
pub(crate) use listen::bind;
pub use shared::SharedConnections;

/// Most octets that may wait to be written to one connection. A message without room fails; the connection stays.
pub const MAX_BACKLOG: usize = 1024 * 1024;
