//! The text of a script, and the limits it runs under.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ScriptError;

/// A script as read from its file: all workers compile the same text.
#[derive(Debug, Clone)]
pub struct ScriptSource {
    /// The path as messages and tracebacks print it.
    pub name: Arc<str>,
    pub text: Arc<str>,
}

/// What one script may use before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lua instructions per request, across all its waits. Instructions that take longer than 25 ns each count as more.
    pub instructions: u64,
    /// Bytes of one worker's Lua state.
    pub memory: usize,
}

/// A request that runs this many instructions is in a loop: a long script takes a few hundred.
pub const DEFAULT_INSTRUCTIONS: u64 = 10_000_000;

/// Room for a worker's script and its tables; a routing script needs well under one MiB.
pub const DEFAULT_MEMORY: usize = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self { instructions: DEFAULT_INSTRUCTIONS, memory: DEFAULT_MEMORY }
    }
}

impl ScriptSource {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ScriptError::Read { path: PathBuf::from(path), source })?;
        Ok(Self::new(&path.display().to_string(), &text))
    }

    /// A script that comes from somewhere else: a test, a generator.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}
