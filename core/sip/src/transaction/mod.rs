//! Transactions (RFC 3261 §17 with RFC 6026 and RFC 4320): four state machines that hold no message, read no
//! clock and send nothing. Each event is a method; what is to be done about it comes back as [`Actions`].
//!
//! The owner keeps the bytes (the request of a client, the last response of a server), starts the timers that it
//! is told to start and hands them back when they fire. A timer that fires late, twice or in a state that no
//! longer needs it changes nothing, so timers need not be stopped.
//!
//! | file | machine | figures |
//! |---|---|---|
//! | [`invite_client`] | INVITE, sending side | RFC 6026 figure 5 |
//! | [`client`] | every other request, sending side | RFC 3261 figure 6 |
//! | [`invite_server`] | INVITE, receiving side | RFC 6026 figure 7 |
//! | [`server`] | every other request, receiving side | RFC 3261 figure 8, RFC 4320 |
//! | [`key`] | which transaction a request belongs to | RFC 3261 §17.2.3 |
//! | [`timer`] | the timers A to M and their lengths | RFC 3261 table 4 |
//! | [`actions`] | what a machine asks its owner to do | |
//!
//! Invariant: after `Actions::ended` a machine never again asks for anything.

pub mod actions;
pub mod client;
pub mod invite_client;
pub mod invite_server;
pub mod key;
pub mod server;
pub mod timer;

#[cfg(test)]
mod properties;

pub use actions::{Actions, Ended, Send};
pub use client::ClientTransaction;
pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{TransactionKey, TransactionKeys};
pub use server::ServerTransaction;
pub use timer::{Timer, Timers};
