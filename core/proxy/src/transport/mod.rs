//! Flows: how bytes come in and go out.
//!
//! | module | what |
//! |---|---|
//! | [`flow`] | where a message came from and where one goes |
//! | [`udp`] | datagram sockets, one a worker and listening address |
//! | [`tcp`] | listeners and connections: reuse, limits, time-outs |
//! | [`interfaces`] | the addresses that `0.0.0.0` and `[::]` stand for |
//! | [`resolve`] | from the host of a URI to addresses |
//! | [`packet`] | a message as it goes out
//! | [`network`] | what a worker sends through: real sockets or a test's virtual network |

pub mod flow;
pub mod interfaces;
pub mod network;
pub(crate) mod packet;
pub mod resolve;
pub mod tcp;
pub mod udp;

pub use flow::{ConnectionId, Flow, Listener, Protocol};
pub(crate) use network::{Failure, Waiter};
pub use network::{Network, SendError};
