//! `signalbox check`: settings and routing script, validated without starting anything.

use anyhow::Result;
use clap::Args;
use signalbox::module::export::Exports;
use signalbox::module::host::Counter;
use signalbox::script::{ScriptEngine, ScriptSource};
use signalbox::settings::Settings;

use crate::output::say;
use crate::settings::{self, SettingsFile};

/// Validates settings and routing script without starting
#[derive(Args)]
#[command(after_help = "\
Every mistake is printed with file and line. Nothing is opened: no port, no database.

Examples:
  signalbox check
  signalbox check /etc/signalbox/signalbox.lua")]
pub(crate) struct Check {
    #[command(flatten)]
    settings: SettingsFile,
}

impl Check {
    pub(crate) fn execute(self) -> Result<()> {
        let path = self.settings.path();
        let settings = settings::read(path)?;
        let script = script(&settings)?;
        let names: Vec<&str> = settings.modules.iter().map(|module| module.tables.name).collect();
        let modules = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Ok(say(&format!("{}: good; modules: {modules}\n{}: good\n", path.display(), script.name))?)
    }
}

/// Reads and compiles the routing script against the functions and events that the settings make available.
fn script(settings: &Settings) -> Result<ScriptSource> {
    let core = &settings.core;
    let source = ScriptSource::read(&core.route_script)?;
    let exports = Exports::inert(settings.modules.iter().map(|module| &module.tables));
    ScriptEngine::new(&source, &exports, core.limits.script, &Counter::default())?;
    Ok(source)
}
