//! The tables of one module.

use super::{Command, Event, Function, Module, Parameter};

/// What a module offers. Argument checks, editor stubs, `signalbox doc` and the README tables come from these rows.
pub struct Declaration<M> {
    pub(crate) summary: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) functions: Vec<Function<M>>,
    pub(crate) commands: Vec<Command<M>>,
    pub(crate) events: Vec<Event>,
}

impl<M: Module> Declaration<M> {
    /// Starts a declaration; `summary` is one sentence about what the module does.
    pub fn new(summary: &'static str) -> Self {
        Self { summary, parameters: Vec::new(), functions: Vec::new(), commands: Vec::new(), events: Vec::new() }
    }

    /// Adds a parameter that `modparam` may set.
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Adds a function that the routing script may call.
    pub fn function(mut self, function: Function<M>) -> Self {
        self.functions.push(function);
        self
    }

    /// Adds a command of the admin socket.
    pub fn command(mut self, command: Command<M>) -> Self {
        self.commands.push(command);
        self
    }

    /// Adds an event that the module raises, by [`Host::event`](super::Host::event).
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}
