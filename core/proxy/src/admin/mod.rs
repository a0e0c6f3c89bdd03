//! Commands for whoever runs the server, over a Unix socket: JSON-RPC 2.0, one message to a line.
//!
//! | file | what |
//! |---|---|
//! | [`registry`] | the commands there are: the core's and those of the loaded modules |
//! | [`rpc`] | JSON-RPC 2.0: from one line to the line that answers it |
//! | [`socket`] | the Unix socket: who may connect, limits, stale files |
//! | [`commands`] | the core's own commands |
//! | [`client`] | the other end, as `signalbox ctl` uses it |

pub mod client;
pub mod commands;
pub mod registry;
pub mod rpc;
pub mod socket;

pub use client::{Client, ClientError};
pub use commands::Operations;
pub use registry::{Entry, Registry};
pub use socket::{AdminSocket, SocketError};
