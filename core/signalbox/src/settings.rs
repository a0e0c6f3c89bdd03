//! The settings file, as several subcommands name it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use signalbox::module::Loader;
use signalbox::script::settings;
use signalbox::settings::Settings;

/// Where the settings are when nobody says so.
pub(crate) const DEFAULT: &str = "etc/signalbox.lua";

/// The settings file as an argument or an option.
#[derive(Args, Default)]
pub(crate) struct SettingsFile {
    /// The settings file [default: etc/signalbox.lua]
    #[arg(value_name = "SETTINGS")]
    file: Option<PathBuf>,
    /// The same as an option
    #[arg(short, long, visible_alias = "settings", value_name = "SETTINGS", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl SettingsFile {
    pub(crate) fn path(&self) -> &Path {
        self.file.as_deref().or(self.config.as_deref()).unwrap_or_else(|| Path::new(DEFAULT))
    }
}

/// Runs a settings file and loads the modules that it names. The error has all mistakes, each with file and line.
pub(crate) fn read(path: &Path) -> Result<Settings> {
    Ok(settings::read(path, Loader::new())?)
}
