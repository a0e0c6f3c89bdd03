//! The erased form of a module: what the host keeps and what a library exports.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use serde_json::Value as Json;

use super::command::{CommandBody, CommandFuture, Usage};
use super::event::{Event, EventName};
use super::function::Body;
use super::{
    Arguments, CommandError, Declaration, Function, Host, Module, ModuleError, Outcome, Parameter, Refusal, Settings,
    Signature,
};
use crate::context::Context;
use crate::functions;

/// A module that is loaded but not started: the erased form of a [`Module`] type.
pub trait ModuleEntry: Send + Sync {
    /// The name by which `loadmodule` knows it.
    fn name(&self) -> &'static str;
    /// Its tables.
    fn tables(&self) -> Tables;
    /// Looks whether the parameters can work.
    fn check(&self, settings: &Settings) -> Result<(), ModuleError>;
    /// Starts it. The future runs on the background runtime.
    fn start<'a>(&'a self, host: &'a Host, settings: &'a Settings) -> BoxFuture<'a, Result<Running, ModuleError>>;
}

/// The tables of a module, without its functions' bodies.
#[derive(Debug, Clone)]
pub struct Tables {
    pub name: &'static str,
    pub summary: &'static str,
    pub parameters: Vec<Parameter>,
    pub functions: Vec<Signature>,
    pub commands: Vec<Usage>,
    pub events: Vec<Event>,
}

/// What a script is loaded with: the functions that it may call, the events that it may have routes for.
#[derive(Clone, Default)]
pub struct Exports {
    pub functions: Vec<Export>,
    pub events: Vec<EventName>,
}

/// A module that has started.
pub struct Running {
    pub name: &'static str,
    pub exports: Vec<Export>,
    pub commands: Vec<CommandExport>,
    pub events: Vec<EventName>,
    life: Box<dyn Life>,
}

/// A function as the script engine calls it.
#[derive(Clone)]
pub struct Export {
    pub signature: Arc<Signature>,
    pub call: Call,
}

/// The body of an exported function.
#[derive(Clone)]
pub enum Call {
    Plain(PlainCall),
    Waiting(WaitingCall),
}

/// A function that answers at once.
pub type PlainCall = Arc<dyn Fn(&Context, &Arguments) -> Outcome + Send + Sync>;
/// A function that may wait.
pub type WaitingCall = Arc<dyn Fn(Context, Arguments) -> LocalBoxFuture<'static, Outcome> + Send + Sync>;

/// A command as the admin socket runs it.
#[derive(Clone)]
pub struct CommandExport {
    /// `module.name`.
    pub method: String,
    pub usage: Usage,
    run: CommandCall,
}

type CommandCall = Arc<dyn Fn(Json) -> CommandFuture + Send + Sync>;

/// The part of a module's life after its start.
trait Life: Send + Sync {
    fn ready(&self, host: &Host) -> Result<(), ModuleError>;
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// Makes a [`ModuleEntry`] of a module type.
pub fn entry<M: Module>() -> Box<dyn ModuleEntry> {
    Box::new(Typed::<M>(PhantomData))
}

/// Binds rows to the module they belong to. The core's own functions come this way too.
pub fn bind_functions<M: Send + Sync + 'static>(module: &Arc<M>, functions: Vec<Function<M>>) -> Vec<Export> {
    functions.into_iter().map(|function| bind(module.clone(), function)).collect()
}

/// Exports a module from its library: `signalbox::export_module!(Registrar);`, once, in `lib.rs`.
#[macro_export]
macro_rules! export_module {
    ($module:ty) => {
        /// Which core this library was built for; read from the file before it is opened.
        #[used]
        static SIGNALBOX_STAMP: $crate::module::stamp::StampBytes = $crate::module::stamp::BYTES;

        /// What the loader calls.
        #[unsafe(export_name = concat!("signalbox_module_", env!("CARGO_CRATE_NAME")))]
        pub fn signalbox_module() -> ::std::boxed::Box<dyn $crate::module::ModuleEntry> {
            $crate::module::export::entry::<$module>()
        }
    };
}

impl Exports {
    /// Those of the core and of these modules, before any of them has started: functions that have their names and check their arguments,
    /// and do nothing.
    pub fn inert<'a>(modules: impl IntoIterator<Item = &'a Tables>) -> Self {
        let mut exports = Self { functions: functions::exports(), events: Vec::new() };
        for module in modules {
            let signatures = module.functions.iter().cloned().map(Arc::new);
            let call = Call::Plain(Arc::new(|_, _| Err(Refusal::no("the module has not started"))));
            exports.functions.extend(signatures.map(|signature| Export { signature, call: call.clone() }));
            exports.events.extend(event_names(module.name, &module.events));
        }
        exports
    }
}

fn event_names(module: &'static str, events: &[Event]) -> impl Iterator<Item = EventName> {
    events.iter().map(move |event| EventName { module, event: event.name })
}

impl Running {
    /// Tells the module that all have started.
    pub fn ready(&self, host: &Host) -> Result<(), ModuleError> {
        catch_unwind(AssertUnwindSafe(|| self.life.ready(host)))
            .unwrap_or_else(|panic| Err(ModuleError::Panicked(panic_text(&*panic))))
    }

    /// Lets the module write what it still holds.
    pub async fn stop(&self) {
        if let Err(panic) = CatchPanic(self.life.stop()).await {
            tracing::error!(module = self.name, panic, "module panicked while stopping");
        }
    }
}

impl CommandExport {
    /// Runs the command with a JSON object of parameters.
    pub async fn run(&self, parameters: Json) -> Result<Json, CommandError> {
        match CatchPanic((self.run)(parameters)).await {
            Ok(result) => result,
            Err(panic) => Err(CommandError::Panicked(panic)),
        }
    }
}

/// A future that answers a panic of the inner one as an error: the text of the panic.
pub struct CatchPanic<F>(pub F);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
        }
    }
}

/// The message that a panic carries.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

struct Typed<M>(PhantomData<fn() -> M>);

impl<M: Module> ModuleEntry for Typed<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn tables(&self) -> Tables {
        let Declaration { summary, parameters, functions, commands, events } = M::declaration();
        Tables {
            name: M::NAME,
            summary,
            parameters,
            functions: functions.into_iter().map(|function| function.signature).collect(),
            commands: commands.into_iter().map(|command| command.usage).collect(),
            events,
        }
    }

    fn check(&self, settings: &Settings) -> Result<(), ModuleError> {
        catch_unwind(|| M::check(settings)).unwrap_or_else(|panic| Err(ModuleError::Panicked(panic_text(&*panic))))
    }

    fn start<'a>(&'a self, host: &'a Host, settings: &'a Settings) -> BoxFuture<'a, Result<Running, ModuleError>> {
        Box::pin(async move {
            let started = CatchPanic(Box::pin(M::start(host, settings))).await;
            let module = Arc::new(started.map_err(ModuleError::Panicked)??);
            let declaration = M::declaration();
            let commands = declaration.commands.into_iter().map(|command| {
                let method = format!("{}.{}", M::NAME, command.usage.name);
                CommandExport { method, usage: command.usage, run: bind_command(module.clone(), command.body) }
            });
            Ok(Running {
                name: M::NAME,
                commands: commands.collect(),
                exports: bind_functions(&module, declaration.functions),
                events: event_names(M::NAME, &declaration.events).collect(),
                life: Box::new(Started(module)),
            })
        })
    }
}

struct Started<M>(Arc<M>);

impl<M: Module> Life for Started<M> {
    fn ready(&self, host: &Host) -> Result<(), ModuleError> {
        self.0.ready(host)
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.stop())
    }
}

fn bind<M: Send + Sync + 'static>(module: Arc<M>, function: Function<M>) -> Export {
    let call = match function.body {
        Body::Plain(body) => Call::Plain(Arc::new(move |context, arguments| body(&module, context, arguments))),
        Body::Waiting(body) => {
            Call::Waiting(Arc::new(move |context, arguments| body(module.clone(), context, arguments)))
        }
    };
    Export { signature: Arc::new(function.signature), call }
}

fn bind_command<M: Send + Sync + 'static>(module: Arc<M>, body: CommandBody<M>) -> CommandCall {
    Arc::new(move |parameters| body(module.clone(), parameters))
}
