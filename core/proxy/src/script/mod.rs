//! Lua: the routing script and the settings file. The only user of mlua.
//!
//! | file | what |
//! |---|---|
//! | [`engine`] | a routing script, loaded: one per worker |
//! | [`source`] | the text of a script, and the limits it runs under |
//! | [`current`] | which request the running code belongs to |
//! | [`doorbell`] | what wakes a route that waits |
//! | [`call`] | exported functions as Lua functions |
//! | `message`, `address`, `headers` | `msg`, its parts, and `avp` |
//! | [`event`] | the table `event_route` |
//! | `library` | functions of Lua's library, whose work is charged to the request |
//! | `pattern` | Lua's patterns with a limit on the work |
//! | [`lint`] | calls of functions that there are not |
//! | `watch` | stops scripts that use too many instructions or too much time |
//! | [`sandbox`] | what of Lua's library a script gets |
//! | [`settings`] | the settings file |
//! | [`stubs`] | what editors are told of all this |
//! | [`value`] | values between Lua and functions |
//! | [`error`] | what can be wrong with a script |
//!
//! # How a worker uses it
//!
//! ```text
//! let engine = ScriptEngine::new(&source, &exports, limits)?;      // at start, and for each reload
//! let run = engine.call(Route::Request, context);                  // nothing has run yet
//! match run.begin() {                                              // up to the end, or the first wait
//!     Begun::Ended(result) => …,                                   // most requests end here
//!     Begun::Waits(run) => spawn_local(async move { let result = run.await; … }),
//! }
//! ```
//!
//! A reload makes a new engine in every worker, and only when all have one does each replace its own; what is
//! suspended in an old engine ends there.
//!
//! Invariant: the running code finds its request in [`current::Current`], which is set around each poll of a [`Run`] and
//! at no other time. So two suspended requests in one Lua state cannot see each other.

mod address;
mod call;
mod current;
mod doorbell;
mod engine;
mod error;
mod event;
mod headers;
mod library;
mod lint;
mod message;
mod pattern;
mod sandbox;
pub mod settings;
mod source;
pub mod stubs;
mod value;
mod watch;

#[cfg(test)]
mod tests;

pub use engine::{Begun, Route, Run, ScriptEngine};
pub use error::ScriptError;
pub use lint::UnknownCall;
pub use source::{DEFAULT_INSTRUCTIONS, DEFAULT_MEMORY, Limits, ScriptSource};
