//! The commands that the admin socket serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use crate::module::command::{CommandError, Usage};
use crate::module::export::CommandExport;

/// The function of a command: parameters as a JSON object, result as any JSON value.
pub type Run = Arc<dyn Fn(Json) -> BoxFuture<'static, Result<Json, CommandError>> + Send + Sync>;

/// One command.
#[derive(Clone)]
pub struct Entry {
    pub usage: Usage,
    pub run: Run,
}

/// Commands by their full name, `registrar.list`.
#[derive(Clone, Default)]
pub struct Registry {
    entries: BTreeMap<String, Entry>,
}

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a command of the core in `group`: `core`, `log`, `module`. A later one of the same name replaces it.
    pub fn add(&mut self, group: &str, entry: Entry) {
        self.entries.insert(format!("{group}.{}", entry.usage.name), entry);
    }

    /// Adds a command of a loaded module.
    pub fn add_export(&mut self, export: CommandExport) {
        let (method, usage) = (export.method.clone(), export.usage.clone());
        let export = Arc::new(export);
        let run = move |parameters| {
            let export = export.clone();
            async move { export.run(parameters).await }
        };
        self.entries.insert(method, Entry::new(usage, run));
    }

    /// The command of this full name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All commands with their full names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }
}

impl Entry {
    /// A command that is an async function of its parameters.
    pub fn new<F>(usage: Usage, run: impl Fn(Json) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Json, CommandError>> + Send + 'static,
    {
        let run = move |parameters| -> BoxFuture<'static, Result<Json, CommandError>> { Box::pin(run(parameters)) };
        Self { usage, run: Arc::new(run) }
    }
}
