//! What can be wrong with a script.

use std::path::PathBuf;

use super::lint::UnknownCall;
use crate::settings::nearest::nearest;

/// Why a script was not loaded, or a run of it failed. Runtime errors print with script, line and traceback.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The script does not compile; the text begins with `file:line:`.
    #[error("{0}")]
    Syntax(String),
    /// The script failed while running: message, then traceback.
    #[error("{0}")]
    Runtime(String),
    /// The script lacks a route that is needed.
    #[error("{script}: there is no {kind} \"{name}\"{}", .nearest.as_ref().map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default())]
    NoRoute { script: String, kind: &'static str, name: String, nearest: Option<String> },
    /// The script calls functions that there are not.
    #[error("{}", .calls.iter().map(|call| no_function(script, call)).collect::<Vec<_>>().join("\n"))]
    NoFunction { script: String, calls: Vec<UnknownCall> },
    /// The script defines something under a name that is taken for something else.
    #[error("{script}: {name} must be {expected}")]
    Shape { script: String, name: String, expected: &'static str },
}

fn no_function(script: &str, call: &UnknownCall) -> String {
    let UnknownCall { name, line, nearest } = call;
    match nearest {
        Some(near) => format!("{script}:{line}: there is no function {name}; did you mean {near}?"),
        None => format!("{script}:{line}: there is no function {name}; is the module that exports it loaded?"),
    }
}

impl ScriptError {
    /// Turns an error of the Lua state into one to print; `known` are the names of exported functions, for hints.
    pub(super) fn from_lua<'a>(error: &mlua::Error, known: impl Iterator<Item = &'a str>) -> Self {
        match error {
            // An error that a library function passes on is an error of that function.
            mlua::Error::CallbackError { .. } | mlua::Error::RuntimeError(_) if is_out_of_memory(error) => {
                Self::from_lua(&mlua::Error::MemoryError(String::new()), known)
            }
            mlua::Error::SyntaxError { message, .. } => Self::Syntax(message.clone()),
            mlua::Error::RuntimeError(message) => Self::Runtime(with_hint(message, known)),
            mlua::Error::MemoryError(_) => {
                Self::Runtime("the script used more memory than its limit allows (limits { memory = … })".into())
            }
            mlua::Error::CallbackError { traceback, cause } => {
                let mut cause = cause;
                while let mlua::Error::CallbackError { cause: inner, .. } = &**cause {
                    cause = inner;
                }
                Self::Runtime(at_place(&cause.to_string().replace("runtime error: ", ""), traceback))
            }
            other => Self::Runtime(other.to_string()),
        }
    }
}

/// Recognised by Lua's message.
fn is_out_of_memory(error: &mlua::Error) -> bool {
    error.to_string().contains("not enough memory")
}

/// `attempt to call a nil value (global 'lookpu')` is a typing error or a module that is not loaded: say so.
fn with_hint<'a>(message: &str, known: impl Iterator<Item = &'a str>) -> String {
    let called =
        message.split_once("attempt to call a nil value (global '").and_then(|(_, rest)| rest.split_once('\''));
    let Some((name, _)) = called else { return message.to_owned() };
    let hint = match nearest(name, known) {
        Some(near) => format!("\nhint: there is no function {name}; did you mean {near}?"),
        None => format!("\nhint: there is no function {name}; is the module that exports it loaded?"),
    };
    match message.split_once('\n') {
        Some((first, rest)) => format!("{first}{hint}\n{rest}"),
        None => format!("{message}{hint}"),
    }
}

/// Puts the script line that the traceback names first before the message, as Lua does for its own errors.
fn at_place(message: &str, traceback: &str) -> String {
    let lines = traceback
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with('[') && !line.starts_with("__mlua") && !line.starts_with("signalbox:"));
    let place = lines.filter_map(|line| line.split_once(": in ")).map(|(place, _)| place).next();
    match place {
        Some(place) if !message.starts_with(place) => format!("{place}: {message}\n{traceback}"),
        _ => format!("{message}\n{traceback}"),
    }
}
