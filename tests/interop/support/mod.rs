//! What every interop test stands on: a private address and folder, real programs as child processes, the server.

pub(crate) mod baresip;
pub(crate) mod database;
pub(crate) mod holder;
pub(crate) mod party;
pub(crate) mod peers;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod sipp;
pub(crate) mod wait;
