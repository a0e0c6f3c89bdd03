//! Loadable modules: what one declares, how it is found, checked, loaded and called.
//!
//! | file | what |
//! |---|---|
//! | [`mod@declaration`] | `Declaration`: the tables of one module |
//! | [`parameter`] | `Parameter` rows and the `Settings` read by `modparam` |
//! | [`function`] | `Function` rows: what a routing script may call, and in which routes |
//! | [`value`] | values that cross between script and module |
//! | [`command`] | `Command` rows: what `signalbox ctl` may ask |
//! | [`event`] | `Event` rows: what the script may hear of |
//! | [`host`] | `Host`: what a module gets from the core |
//! | [`doc`] | tables as text: `signalbox doc`, READMEs |
//! | [`export`] | the erased form of a module, and `export_module!` |
//! | [`stamp`] | which compiler and core a module was built for |
//! | [`loader`] | finding and opening libraries: all `unsafe` of this crate |
//! | [`set`] | the modules of a server: configured, started, stopped |
//!
//! `modules/README.md` shows a whole module in under 60 lines.

use std::sync::Arc;

pub mod command;
pub mod declaration;
pub mod doc;
pub mod event;
pub mod export;
pub mod function;
pub mod host;
#[expect(unsafe_code, reason = "opening a library is; nothing else in this crate is")]
pub mod loader;
pub mod parameter;
pub mod set;
pub mod stamp;
pub mod value;

pub use command::{Command, CommandError};
pub use declaration::Declaration;
pub use event::{Event, EventSource};
pub use export::ModuleEntry;
pub use function::{Argument, Function, Kind, Outcome, Refusal, Routes, Signature};
pub use host::Host;
pub use loader::Loader;
pub use parameter::{Parameter, Settings};
pub use set::{Configured, ModuleSet};
pub use value::{Arguments, Value};

/// A feature that is loaded into the server as a library.
///
/// One value of the implementing type exists per process; functions of all workers share it, so its state lies in sharded or
/// locked maps. Export it with [`export_module!`](crate::export_module).
pub trait Module: Sized + Send + Sync + 'static {
    /// The name in `loadmodule "name"` and `modparam("name", …)`.
    const NAME: &'static str;

    /// What the module offers: parameters, functions, commands, events. Called before [`start`](Self::start), without side effects.
    fn declaration() -> Declaration<Self>;

    /// Looks whether the parameters can work, without opening anything: what can't is told with its line, by `signalbox check` too.
    fn check(_settings: &Settings) -> Result<(), ModuleError> {
        Ok(())
    }

    /// Opens what the module needs and reloads its state. Runs on the background runtime before any worker starts,
    /// in the order of the `loadmodule` lines; the server serves nothing until all have started.
    fn start(host: &Host, settings: &Settings) -> impl Future<Output = Result<Self, ModuleError>> + Send;

    /// Called once all modules have started: the moment to look up services that others provide.
    fn ready(self: &Arc<Self>, _host: &Host) -> Result<(), ModuleError> {
        Ok(())
    }

    /// Called when the server drains, in reverse order of start: the last commit belongs here.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Why a module did not start.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// A parameter whose value can't work.
    #[error("parameter {parameter}: {problem}")]
    Parameter { parameter: &'static str, problem: String },
    /// Another module must be loaded too.
    #[error("needs {service}; add loadmodule \"{module}\"")]
    Missing { service: &'static str, module: &'static str },
    /// What the module depends on failed: a database, a file, a server.
    #[error(transparent)]
    Failed(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// The module's code panicked while starting.
    #[error("panicked while starting: {0}")]
    Panicked(String),
}

impl ModuleError {
    /// Wraps the error of a dependency.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}
