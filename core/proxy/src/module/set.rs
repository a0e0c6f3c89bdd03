//! The modules of a server: configured, started, stopped.

use super::export::{CommandExport, Exports, Running, Tables};
use super::{Host, ModuleEntry, ModuleError, Settings};
use crate::functions;

/// A module that `loadmodule` loaded, with the parameters set so far.
pub struct Configured {
    pub entry: Box<dyn ModuleEntry>,
    pub tables: Tables,
    pub settings: Settings,
}

/// The modules of a running server, in the order of their start.
pub struct ModuleSet {
    running: Vec<Running>,
}

/// A module that did not start, and why.
#[derive(Debug, thiserror::Error)]
#[error("module {module}: {source}")]
pub struct StartError {
    pub module: &'static str,
    pub source: ModuleError,
}

impl Configured {
    /// A module with all parameters at their defaults.
    pub fn new(entry: Box<dyn ModuleEntry>) -> Self {
        let tables = entry.tables();
        let settings = Settings::defaults(&tables.parameters);
        Self { entry, tables, settings }
    }
}

impl ModuleSet {
    /// Starts all modules one after the other, then tells each that all have started. Run it on the background runtime. When
    /// one fails, those that had started are stopped again.
    pub async fn start(host: &Host, modules: &[Configured]) -> Result<Self, StartError> {
        let mut set = Self { running: Vec::with_capacity(modules.len()) };
        match set.start_all(host, modules).await {
            Ok(()) => Ok(set),
            Err(error) => {
                set.stop().await;
                Err(error)
            }
        }
    }

    async fn start_all(&mut self, host: &Host, modules: &[Configured]) -> Result<(), StartError> {
        for module in modules {
            let started = module.entry.start(host, &module.settings).await;
            self.running.push(started.map_err(|source| StartError { module: module.entry.name(), source })?);
        }
        for module in &self.running {
            module.ready(host).map_err(|source| StartError { module: module.name, source })?;
        }
        Ok(())
    }

    /// Stops the modules, the last started first.
    pub async fn stop(&self) {
        for module in self.running.iter().rev() {
            module.stop().await;
        }
    }

    /// The names of the modules, in the order of their start.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.running.iter().map(|module| module.name)
    }

    /// What a script gets: the core's functions, and the functions and events of all modules.
    pub fn exports(&self) -> Exports {
        let mut exports = Exports { functions: functions::exports(), events: Vec::new() };
        for module in &self.running {
            exports.functions.extend_from_slice(&module.exports);
            exports.events.extend_from_slice(&module.events);
        }
        exports
    }

    /// The admin commands of all modules.
    pub fn commands(&self) -> impl Iterator<Item = &CommandExport> {
        self.running.iter().flat_map(|module| &module.commands)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::module::export::entry;
    use crate::module::{Command, CommandError, Declaration, Module, Parameter};

    /// Counts the lives of [`First`].
    #[derive(Default)]
    struct Lives(AtomicUsize);

    struct First(Arc<Lives>);

    impl Module for First {
        const NAME: &'static str = "first";

        fn declaration() -> Declaration<Self> {
            Declaration::new("Comes first.")
                .command(Command::new("fail", "Panics.").run(|_: Arc<Self>, _| async { panic!("as asked") }))
        }

        async fn start(host: &Host, _: &Settings) -> Result<Self, ModuleError> {
            let lives = Arc::<Lives>::default();
            lives.0.fetch_add(1, Ordering::Relaxed);
            host.provide::<Lives>(lives.clone());
            Ok(Self(lives))
        }

        async fn stop(&self) {
            self.0.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    struct Second;

    impl Module for Second {
        const NAME: &'static str = "second";

        fn declaration() -> Declaration<Self> {
            Declaration::new("Comes second.").parameter(Parameter::boolean("panic", false))
        }

        async fn start(_: &Host, settings: &Settings) -> Result<Self, ModuleError> {
            assert!(!settings.boolean("panic"), "told to");
            Ok(Self)
        }

        fn ready(self: &Arc<Self>, host: &Host) -> Result<(), ModuleError> {
            let lives = host.service::<Lives>();
            lives.map(|_| ()).ok_or(ModuleError::Missing { service: "lives", module: "first" })
        }
    }

    fn runtime() -> (tokio::runtime::Runtime, Host) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let host = Host::new(runtime.handle().clone());
        (runtime, host)
    }

    #[test]
    fn modules_see_each_other_once_all_have_started_and_stop_with_the_server() {
        let (runtime, host) = runtime();
        let modules = [Configured::new(entry::<Second>()), Configured::new(entry::<First>())];
        let set = runtime.block_on(ModuleSet::start(&host, &modules)).unwrap();
        assert_eq!(set.names().collect::<Vec<_>>(), ["second", "first"]);
        runtime.block_on(set.stop());
        assert_eq!(host.service::<Lives>().unwrap().0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_missing_neighbour_stops_the_start_and_says_what_to_load() {
        let (runtime, host) = runtime();
        let error = runtime.block_on(ModuleSet::start(&host, &[Configured::new(entry::<Second>())])).err().unwrap();
        assert_eq!(error.to_string(), "module second: needs lives; add loadmodule \"first\"");
    }

    #[test]
    fn a_panic_while_starting_is_an_error_and_stops_what_had_started() {
        let (runtime, host) = runtime();
        let mut second = Configured::new(entry::<Second>());
        second.settings.set(&second.tables.parameters, "panic", &true.into()).unwrap();
        let modules = [Configured::new(entry::<First>()), second];
        let error = runtime.block_on(ModuleSet::start(&host, &modules)).err().unwrap();
        assert_eq!(error.to_string(), "module second: panicked while starting: told to");
        assert_eq!(host.service::<Lives>().unwrap().0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_panic_in_a_command_answers_an_error() {
        let (runtime, host) = runtime();
        let set = runtime.block_on(ModuleSet::start(&host, &[Configured::new(entry::<First>())])).unwrap();
        let command = set.commands().next().unwrap();
        assert_eq!(command.method, "first.fail");
        let error = runtime.block_on(command.run(serde_json::json!({}))).unwrap_err();
        assert!(matches!(error, CommandError::Panicked(text) if text == "as asked"));
    }
}
