//! Rows of admin commands: what `signalbox ctl` may ask.

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

/// A command of the admin socket, served as the JSON-RPC method `module.name`.
pub struct Command<M> {
    pub(crate) usage: Usage,
    pub(crate) body: CommandBody<M>,
}

/// What is known of a command without running it.
#[derive(Debug, Clone)]
pub struct Usage {
    pub name: &'static str,
    pub doc: &'static str,
    /// In the order in which the command line takes them.
    pub parameters: Vec<CommandParameter>,
}

/// A named parameter of a command.
#[derive(Debug, Clone, Copy)]
pub struct CommandParameter {
    pub name: &'static str,
    pub doc: &'static str,
    /// Whether the command cannot do without.
    pub required: bool,
}

/// The answer of a command, under way.
pub(crate) type CommandFuture = BoxFuture<'static, Result<Json, CommandError>>;
pub(crate) type CommandBody<M> = Arc<dyn Fn(Arc<M>, Json) -> CommandFuture + Send + Sync>;

/// Why a command failed, in the classes of JSON-RPC 2.0.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A parameter is missing or makes no sense (-32602).
    #[error("{parameter}: {problem}")]
    Parameter { parameter: &'static str, problem: String },
    /// What was named does not exist (-32001).
    #[error("there is no {0}")]
    NotFound(String),
    /// The work itself failed (-32000).
    #[error(transparent)]
    Failed(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// The module's code panicked (-32603).
    #[error("panicked: {0}")]
    Panicked(String),
}

impl CommandError {
    /// The error code of JSON-RPC 2.0.
    pub fn code(&self) -> i32 {
        match self {
            Self::Parameter { .. } => -32602,
            Self::NotFound(_) => -32001,
            Self::Failed(_) => -32000,
            Self::Panicked(_) => -32603,
        }
    }
}

impl Usage {
    /// How the command is typed behind its module: `remove <aor> [contact]`.
    pub fn words(&self) -> String {
        self.parameters.iter().fold(self.name.to_owned(), |text, parameter| match parameter.required {
            true => format!("{text} <{}>", parameter.name),
            false => format!("{text} [{}]", parameter.name),
        })
    }
}

impl<M> Command<M> {
    /// Starts a row: the command `name` of the module.
    #[expect(clippy::new_ret_no_self, reason = "a row becomes a command by its last word: run")]
    pub fn new(name: &'static str, doc: &'static str) -> CommandRow<M> {
        CommandRow(Usage { name, doc, parameters: Vec::new() }, PhantomData)
    }
}

/// A row that still lacks its function.
pub struct CommandRow<M>(Usage, PhantomData<fn(M)>);

impl<M> CommandRow<M> {
    /// Adds a named parameter that the command cannot do without.
    pub fn parameter(mut self, name: &'static str, doc: &'static str) -> Self {
        self.0.parameters.push(CommandParameter { name, doc, required: true });
        self
    }

    /// Adds a named parameter that may be left out.
    pub fn optional(mut self, name: &'static str, doc: &'static str) -> Self {
        self.0.parameters.push(CommandParameter { name, doc, required: false });
        self
    }

    /// The function. It gets the parameters as a JSON object and runs on the background runtime.
    pub fn run<F>(self, body: impl Fn(Arc<M>, Json) -> F + Send + Sync + 'static) -> Command<M>
    where
        F: Future<Output = Result<Json, CommandError>> + Send + 'static,
    {
        let body = move |module: Arc<M>, parameters: Json| -> CommandFuture { Box::pin(body(module, parameters)) };
        Command { usage: self.0, body: Arc::new(body) }
    }
}
