//! The proxy core: what does input and output, and what modules are linked against.
//!
//! | module | what |
//! |---|---|
//! | [`worker`] | one thread per core: sockets, transactions, script, timers |
//! | [`transport`] | flows over UDP and TCP |
//! | [`transactions`] | the transaction table of a worker: retransmission, matching, forking |
//! | [`forward`] | the proxy of RFC 3261 §16: targets, Via, Record-Route, loose routing |
//! | [`route_token`] | how a request proves that its dialog passes here |
//! | [`context`] | the message being routed, and what may be done with it |
//! | [`functions`] | the core's own script functions |
//! | [`module`] | the `Module` trait, tables of exported functions, the loader |
//! | [`script`] | Lua: settings and routing |
//! | [`services`] | typed registries where modules meet |
//! | [`storage`] | SQL databases: opening, migrating, grouped commits |
//! | [`admin`] | commands over a Unix socket |
//! | [`settings`] | what the settings file says, checked |
//! | [`logging`] | levels, formats, and how many lines strangers may cause |
//! | [`clock`], [`timers`] | time as an argument |

#![deny(unsafe_code)]

pub mod admin;
pub mod clock;
pub mod context;
pub mod error;
pub mod forward;
pub mod functions;
pub mod logging;
pub mod module;
pub mod route_token;
pub mod script;
pub mod services;
pub mod settings;
pub mod storage;
pub mod timers;
pub mod transactions;
pub mod transport;
mod under_way;
pub mod worker;
