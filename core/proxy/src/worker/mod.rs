//! Workers: one thread per core, each with its own sockets, transactions, timers and Lua state.
//!
//! | file | what |
//! |---|---|
//! | [`options`] | what of the settings a worker needs |
//! | [`state`] | the worker itself: a handle to all that lives on its thread |
//! | [`receive`] | messages in: parsing, to the right transaction or the script |
//! | [`transmit`] | requests out: Via, flows, looking up hosts |
//! | [`respond`] | responses out: where each goes |
//! | [`route`] | running the script |
//! | `directory` | which worker has which transaction |
//! | `merging` | copies of one request that come by several paths |
//! | [`handover`] | new requests for workers that have less to do |
//! | [`mailbox`] | what reaches a worker from other threads |
//! | [`here`] | the worker whose thread this is |
//! | [`run`], [`inbox`] | the event loop, and taking datagrams into it |
//! | [`waiting`], [`admission`] | who waits there for how long |
//! | [`refusal`] | the 503 for those who cannot wait |
//! | [`rest`] | how often a worker is woken when there is little to do |
//! | [`server`] | all workers of a server: start, reload, drain, stop |

mod admission;
pub mod counters;
mod directory;
pub(crate) mod handover;
mod here;
mod inbox;
pub mod mailbox;
mod merging;
pub mod options;
pub mod receive;
pub mod refusal;
pub(crate) mod respond;
mod rest;
pub mod route;
pub mod run;
pub mod server;
pub mod state;
pub mod transmit;
mod waiting;

pub use counters::Counters;
pub use mailbox::Workers;
pub use options::Options;
pub use route::Route;
pub use server::Server;
pub use state::{WeakWorker, Worker};
