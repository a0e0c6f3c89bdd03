//! The settings file: Lua that is run once, at start.
//!
//! It runs to its end even when something in it is wrong, so that all mistakes are told at once, each with its line.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use mlua::{Lua, Result, Table, Variadic};

use super::current::Current;
use super::value::from_lua;
use super::{Limits, ScriptError, ScriptSource, sandbox};
use crate::module::{Loader, Value};
use crate::settings::Settings;
use crate::settings::reading::{FUNCTIONS, Mistake, Reading};

/// Why the settings can't be used: every mistake that was found.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads a settings file and loads the modules that it names.
pub fn read(path: &Path, loader: Loader) -> std::result::Result<Settings, SettingsError> {
    let mut settings = run(&ScriptSource::read(path)?, loader)?;
    path.clone_into(&mut settings.core.file);
    Ok(settings)
}

/// Runs the text of a settings file.
pub fn run(source: &ScriptSource, loader: Loader) -> std::result::Result<Settings, SettingsError> {
    let reading = Rc::new(RefCell::new(Reading::new(loader)));
    let known = || FUNCTIONS.iter().map(|function| function.name);
    execute(source, &reading).map_err(|error| ScriptError::from_lua(&error, known()))?;
    let mut reading = reading.borrow_mut();
    reading.finish(&source.name).map_err(SettingsError::Mistakes)
}

fn execute(source: &ScriptSource, reading: &Rc<RefCell<Reading>>) -> Result<()> {
    let lua = sandbox::state(Limits::default())?;
    let current = Rc::<Current>::default();
    current.set_budget(Limits::default().instructions);
    sandbox::limit_instructions(&lua, &current, Limits::default())?;
    let globals = lua.globals();
    for setting in FUNCTIONS {
        let reading = reading.clone();
        let function = lua.create_function(move |lua, arguments: Variadic<mlua::Value>| {
            let mut reading = reading.borrow_mut();
            let values: Option<Vec<Value>> = arguments.iter().map(from_lua).collect();
            match values {
                Some(values) => reading.apply(setting, place(lua), &values),
                None => {
                    let problem = format!("{} takes only strings, numbers, booleans and tables of these", setting.name);
                    reading.mistake(place(lua), problem);
                }
            }
            Ok(())
        })?;
        globals.set(setting.name, function)?;
    }
    lua.load(&*source.text).set_name(format!("@{}", source.name)).exec()?;
    assignments(&globals, source, &mut reading.borrow_mut())
}

/// `workers = 4` would go unnoticed: settings are called, not assigned.
fn assignments(globals: &Table, source: &ScriptSource, reading: &mut Reading) -> Result<()> {
    for setting in FUNCTIONS {
        if !globals.get::<mlua::Value>(setting.name)?.is_function() {
            let problem =
                format!("{} is assigned to, but a setting is made by calling it: {}", setting.name, setting.usage);
            reading.mistake(source.name.to_string(), problem);
        }
    }
    Ok(())
}

/// The line of the settings file that is running.
fn place(lua: &Lua) -> String {
    let place = lua.inspect_stack(1, |frame| {
        let source = frame.source();
        let file = source.short_src.as_deref().unwrap_or_default().to_owned();
        format!("{file}:{}", frame.current_line().unwrap_or_default())
    });
    place.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{Declaration, Function, Host, Module, ModuleError, Parameter};

    struct Greeter;

    impl Module for Greeter {
        const NAME: &'static str = "greeter";

        fn declaration() -> Declaration<Self> {
            Declaration::new("Greets.")
                .parameter(Parameter::integer("times", 1).range(1..=3))
                .function(Function::new("greet").plain(|_: &Self, _, _| Ok(true.into())))
        }

        fn check(settings: &crate::module::Settings) -> std::result::Result<(), ModuleError> {
            match settings.integer("times") {
                3 => Err(ModuleError::Parameter { parameter: "times", problem: "is odd".into() }),
                _ => Ok(()),
            }
        }

        async fn start(_: &Host, _: &crate::module::Settings) -> std::result::Result<Self, ModuleError> {
            Ok(Self)
        }
    }

    const BASE: &str = "listen { 'udp:0.0.0.0:5060', 'tcp:0.0.0.0:5060' } route_script 'r.lua'\n";

    fn settings(text: &str) -> std::result::Result<Settings, SettingsError> {
        let mut loader = Loader::empty();
        loader.register::<Greeter>();
        run(&ScriptSource::new("s.lua", text), loader)
    }

    fn refused(text: &str) -> String {
        settings(&[BASE, text].concat()).err().unwrap().to_string()
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "alias { 'Example.com' } advertise '203.0.113.5' workers(2) preallocate(64) log { level = 'warn', modules = { greeter = 'debug' } }
            limits { idle_timeout = '5m', instructions = 1000000 }
            loadmodule 'greeter' modparam('greeter', 'times', 2)";
        let settings = settings(&[BASE, text].concat()).unwrap();
        assert_eq!(settings.core.listen[1].sent_by(), "203.0.113.5:5060");
        assert_eq!(settings.core.aliases, ["example.com"]);
        assert_eq!(settings.core.workers, Some(2));
        assert_eq!(settings.core.preallocate, 64 << 20);
        assert_eq!(
            (settings.core.log.level.as_str(), settings.core.log.modules["greeter"].as_str()),
            ("warn", "debug")
        );
        assert_eq!(settings.core.limits.tcp.idle_timeout.as_secs(), 300);
        assert_eq!(settings.core.limits.script.instructions, 1_000_000);
        assert_eq!(settings.modules[0].settings.integer("times"), 2);
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_its_line() {
        let error = refused(
            "loadmodule 'greter'\nmodparam('greter', 'times', 9)\nalias { 'a b' }\nworkers(0)\npreallocate(-1)",
        );
        let lines: Vec<_> = error.lines().collect();
        assert!(lines[0].starts_with("s.lua:2: there is no module \"greter\"; did you mean \"greeter\"?"), "{error}");
        assert!(lines[1].starts_with("s.lua:4: \"a b\" is no host name"), "{error}");
        assert!(lines[2].starts_with("s.lua:5: workers"), "{error}");
        assert!(lines[3].starts_with("s.lua:6: preallocate takes a number of megabytes"), "{error}");
        assert_eq!(lines.len(), 4, "{error}");
    }

    #[test]
    fn module_parameters_are_checked_where_they_stand() {
        let error = refused("loadmodule 'greeter'\nmodparam('greeter', 'times', 9)\nmodparam('greeter', 'tims', 1)");
        assert!(
            error.contains("s.lua:3: module greeter: parameter \"times\" must lie between 1 and 3, not 9"),
            "{error}"
        );
        assert!(
            error.contains("s.lua:4: module greeter: there is no parameter \"tims\"; did you mean \"times\"?"),
            "{error}"
        );
        let error = refused("loadmodule 'greeter'\nmodparam('greeter', 'times', 1)\nmodparam('greeter', 'times', 3)");
        assert_eq!(error, "s.lua:4: module greeter: parameter times: is odd", "what the module itself says");
        let error = refused("loadmodule 'greeter'\nmodparam('greter', 'times', 1)");
        assert!(error.contains("s.lua:3: module \"greter\" is not loaded; did you mean \"greeter\"?"), "{error}");
        let error = refused("modparam('greeter', 'times', 1)");
        assert!(
            error.contains("s.lua:2: module \"greeter\" is not loaded; add before: loadmodule \"greeter\""),
            "{error}"
        );
    }

    #[test]
    fn what_is_missing_or_misspelt_is_said() {
        assert!(settings("").err().unwrap().to_string().contains("nothing to listen on"));
        assert!(refused("lisen {}").contains("did you mean listen?"));
        assert!(refused("workers = 4").contains("workers is assigned to"));
        assert!(refused("limits { idle_timeot = 4 }").contains("did you mean \"idle_timeout\"?"));
        assert!(refused("log { level = 'loud' }").contains("one of off, error, warn, info, debug, trace"));
        assert!(refused("log { modules = { scrip = 'debug' } }").contains("did you mean \"script\"?"));
        assert!(refused("admin_socket ''").contains("s.lua:2: the path is empty"));
        assert!(refused("alias {").starts_with("s.lua:2:"));
        assert!(
            refused("loadmodule 'greeter'\nloadmodule 'greeter'")
                .contains("s.lua:3: module \"greeter\" is loaded already")
        );
    }

    #[test]
    fn an_endless_loop_ends() {
        assert!(refused("while true do pcall(function() while true do end end) end").contains("endless loop"));
    }
}
