//! Logs: events of `tracing`, for people or as JSON, with a level that can be set per module while the server runs.
//!
//! No place in the code can flood the log ([`flood`]): what strangers send often makes a line.
//!
//! Modules are named as in `loadmodule`; `core`, `sip`, `documents` and `script` are the others.

mod flood;
mod lines;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use self::flood::Flood;
use self::lines::Lines;

/// What has a level beside the modules.
pub const OTHER_TARGETS: [&str; 4] = ["core", "sip", "documents", "script"];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A line to read, coloured on a terminal.
    #[default]
    Human,
    /// A JSON object to a line.
    Json,
}

/// The running log. Clones are one log.
#[derive(Clone)]
pub struct Logging(Arc<Inner>);

struct Inner {
    levels: Mutex<Levels>,
    filter: reload::Handle<Targets, Registry>,
    flood: Flood,
}

#[derive(Debug, Clone, Default)]
struct Levels {
    all: Option<LevelFilter>,
    modules: BTreeMap<String, LevelFilter>,
}

/// Why a level could not be set.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("{0:?} is not a log level; there are off, error, warn, info, debug, trace")]
    NoSuchLevel(String),
    #[error("this process has a log already")]
    AlreadyStarted,
}

impl Logging {
    /// Starts the log of this process, on standard error. `level` is that of everything; see [`Self::set`] for more.
    pub fn start(format: Format, level: &str) -> Result<Self, LoggingError> {
        let levels = Levels { all: Some(parse(level)?), ..Levels::default() };
        let (filter, handle) = reload::Layer::new(levels.targets());
        let flood = Flood::default();
        let lines = tracing_subscriber::fmt::layer().with_writer(Lines::new);
        let lines = match format {
            Format::Human => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        let started = tracing_subscriber::registry().with(lines.with_filter(filter.and(flood.clone()))).try_init();
        started.map_err(|_| LoggingError::AlreadyStarted)?;
        Ok(Self(Arc::new(Inner { levels: Mutex::new(levels), filter: handle, flood })))
    }

    /// Sets the level of one module, or with `None` of everything (levels of single modules are forgotten then).
    pub fn set(&self, module: Option<&str>, level: &str) -> Result<(), LoggingError> {
        let level = parse(level)?;
        let mut levels = self.0.levels.lock().unwrap_or_else(PoisonError::into_inner);
        match module {
            None => *levels = Levels { all: Some(level), ..Levels::default() },
            Some(module) => {
                levels.modules.insert(module.to_owned(), level);
            }
        }
        self.0.filter.reload(levels.targets()).map_err(|_| LoggingError::AlreadyStarted)
    }

    /// Says how many lines were left out because one place in the code wrote too many of them. Call it once in a while.
    pub fn tell_what_was_left_out(&self) {
        for (place, lines) in self.0.flood.take_left_out() {
            let place = format!("{}:{}", place.target(), place.line().unwrap_or_default());
            tracing::warn!(lines, place, "lines like others were left out");
        }
    }

    /// `all` and its level, then each module that has its own.
    pub fn levels(&self) -> Vec<(String, String)> {
        let levels = self.0.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let all = ("all".to_owned(), levels.all.unwrap_or(LevelFilter::INFO).to_string());
        let modules = levels.modules.iter().map(|(module, level)| (module.clone(), level.to_string()));
        std::iter::once(all).chain(modules).collect()
    }
}

impl Levels {
    fn targets(&self) -> Targets {
        let all = self.all.unwrap_or(LevelFilter::INFO);
        // Libraries talk about themselves: warnings are enough, unless everything is asked for.
        let libraries = if all >= LevelFilter::DEBUG { all } else { all.min(LevelFilter::WARN) };
        let own = ["signalbox", "script"].map(|target| (target.to_owned(), all));
        let modules = self.modules.iter().map(|(module, level)| (target(module), *level));
        Targets::new().with_default(libraries).with_targets(own).with_targets(modules)
    }
}

/// The `tracing` target of a module: the name of its crate.
fn target(module: &str) -> String {
    match module {
        // Two colons: the names of all our crates begin with this word.
        "core" => "signalbox::".to_owned(),
        "script" => "script".to_owned(),
        _ => format!("signalbox_{module}"),
    }
}

fn parse(level: &str) -> Result<LevelFilter, LoggingError> {
    level.parse().map_err(|_| LoggingError::NoSuchLevel(level.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_module_keeps_its_own_level_and_the_rest_theirs() {
        let mut levels = Levels { all: Some(LevelFilter::INFO), ..Levels::default() };
        levels.modules.insert("core".to_owned(), LevelFilter::TRACE);
        levels.modules.insert("pa".to_owned(), LevelFilter::ERROR);
        let targets = levels.targets();
        assert!(targets.would_enable("signalbox::worker", &Level::TRACE));
        assert!(!targets.would_enable("signalbox_registrar::save", &Level::DEBUG));
        assert!(targets.would_enable("signalbox_registrar::save", &Level::INFO));
        assert!(!targets.would_enable("signalbox_pa", &Level::WARN));
        assert!(targets.would_enable("script", &Level::INFO));
        assert!(!targets.would_enable("sqlx::query", &Level::INFO));
    }

    #[test]
    fn a_level_that_is_none_is_named_with_those_that_are() {
        let error = parse("verbose").unwrap_err().to_string();
        assert!(error.contains("verbose") && error.contains("debug"), "{error}");
    }
}
