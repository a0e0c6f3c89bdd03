//! A routing script, loaded into one worker's Lua state.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use mlua::{Error, Function, Lua, Table};

use super::call::Binder;
use super::current::Current;
use super::doorbell::Doorbell;
use super::event::EventRoutes;
use super::headers::Avp;
use super::message::{Msg, Which};
use super::value::into_lua;
use super::{Limits, ScriptError, ScriptSource, UnknownCall, lint, sandbox};
use crate::context::Context;
use crate::module::export::Exports;
use crate::module::host::Counter;
use crate::module::parameter::parse_duration;
use crate::module::{Routes, Value};
use crate::settings::nearest::nearest;

/// The tables in which a script defines its named routes: `function failure_route.voicemail(msg) … end`.
const NAMED: [(Routes, &str); 3] =
    [(Routes::FAILURE, "failure_route"), (Routes::REPLY, "reply_route"), (Routes::BRANCH, "branch_route")];

/// A routing script that has been compiled and whose top level has run.
pub struct ScriptEngine {
    lua: Lua,
    current: Rc<Current>,
    names: Rc<RefCell<RouteNames>>,
    routes: RouteFunctions,
    /// The argument of request, failure, reply and branch routes: a view of the current message.
    msg: mlua::Value,
    limits: Limits,
    source: ScriptSource,
    exported: Rc<[&'static str]>,
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub enum Route<'a> {
    /// `route(msg)`.
    Request,
    /// `failure_route.name(msg)`.
    Failure(&'a str),
    /// `reply_route.name(msg)`, or for the empty name `reply_route(msg)`… of no transaction.
    Reply(&'a str),
    /// `branch_route.name(msg)`.
    Branch(&'a str),
    /// `event_route.module.event(event)` of an event by its full name; `event` has these fields and its name.
    Event(&'a str, &'a [(String, Value)]),
    /// The function of a timer, by its place in [`ScriptEngine::timers`].
    Timer(usize),
    /// `on_start()`.
    Start,
}

/// A route under way: a future that ends when the route does. Not dropped before its end unless the request is given up.
pub struct Run {
    context: Context,
    routes: Routes,
    budget: u64,
    limits: Limits,
    current: Rc<Current>,
    exported: Rc<[&'static str]>,
    bell: Arc<Doorbell>,
    begun: bool,
    state: State,
}

/// How far a run came at first.
pub enum Begun {
    /// The route is over.
    Ended(Result<(), ScriptError>),
    /// It waits for something: await the run.
    Waits(Run),
}

enum State {
    Running(mlua::function::AsyncCallFuture<()>),
    Refused(Option<ScriptError>),
}

/// The names of the named routes of each kind, to check `t_on_failure("name")` when it is called.
#[derive(Default)]
pub(super) struct RouteNames(Vec<(Routes, String)>);

#[derive(Default)]
struct RouteFunctions {
    request: Option<Function>,
    named: Vec<(Routes, BTreeMap<String, Function>)>,
    events: BTreeMap<String, Function>,
    start: Option<Function>,
    timers: Vec<(Duration, Function)>,
}

impl ScriptEngine {
    /// Compiles a script and runs its top level. Exported functions become global ones; `panics` counts those that panic.
    pub fn new(
        source: &ScriptSource,
        exports: &Exports,
        limits: Limits,
        panics: &Counter,
    ) -> Result<Self, ScriptError> {
        let exported: Rc<[&'static str]> = exports.functions.iter().map(|export| export.signature.name).collect();
        let known = exported.clone();
        Self::load(source, exports, limits, panics, exported).map_err(|error| match error {
            Load::Script(error) => error,
            Load::Lua(error) => ScriptError::from_lua(&error, known.iter().copied()),
        })
    }

    fn load(
        source: &ScriptSource,
        exports: &Exports,
        limits: Limits,
        panics: &Counter,
        exported: Rc<[&'static str]>,
    ) -> Result<Self, Load> {
        let lua = sandbox::state(limits)?;
        let current = Rc::<Current>::default();
        let names = Rc::<RefCell<RouteNames>>::default();
        let binder = Binder { lua: &lua, current: &current, names: &names, panics };
        let globals = lua.globals();
        for export in &exports.functions {
            globals.set(export.signature.name, binder.bind(export)?)?;
        }
        for (_, table) in NAMED {
            globals.set(table, lua.create_table()?)?;
        }
        let events = EventRoutes::new(&lua, &exports.events)?;
        globals.set("event_route", events.table())?;
        let timers = lua.create_table()?;
        globals.set("every", every(&lua, timers.clone())?)?;
        globals.set("avp", Avp(current.clone()))?;
        let msg = Msg { current: current.clone(), which: Which::Routed, methods: Rc::default() };
        let msg = mlua::Value::UserData(lua.create_userdata(msg)?);

        sandbox::limit_instructions(&lua, &current, limits)?;
        current.set_budget(limits.instructions);
        lua.load(&*source.text).set_name(format!("@{}", source.name)).exec()?;
        if let Some(place) = current.stopped() {
            // The script has caught the error that should have stopped it.
            return Err(Error::runtime(format!("{place}: {}", sandbox::stop_message(limits))).into());
        }

        let known: Vec<&str> = exported.iter().copied().chain(["every"]).collect();
        let calls = lint::unknown_calls(&source.text, |name| globals.contains_key(name).unwrap_or(true));
        if !calls.is_empty() {
            let calls = calls.into_iter().map(|(name, line)| UnknownCall {
                name: name.to_owned(),
                line,
                nearest: nearest(name, known.iter().copied()).map(str::to_owned),
            });
            let (script, calls) = (source.name.to_string(), calls.collect());
            return Err(Load::Script(ScriptError::NoFunction { script, calls }));
        }
        let routes = RouteFunctions::collect(&globals, (&timers, &events), source)?;
        *names.borrow_mut() = routes.names();
        Ok(Self { lua, current, names, routes, msg, limits, source: source.clone(), exported })
    }

    /// Prepares a run of a route. A route that the script doesn't define fails, except that a missing event route or
    /// `on_start` does nothing.
    pub fn call(&self, route: Route<'_>, context: Context) -> Run {
        let state = match self.begin_call(route) {
            Ok(Some(call)) => State::Running(call),
            Ok(None) => State::Refused(None),
            Err(error) => State::Refused(Some(error)),
        };
        Run {
            context,
            routes: route.kind(),
            budget: self.limits.instructions,
            limits: self.limits,
            current: self.current.clone(),
            exported: self.exported.clone(),
            bell: self.current.doorbell(),
            begun: false,
            state,
        }
    }

    fn begin_call(&self, route: Route<'_>) -> Result<Option<mlua::function::AsyncCallFuture<()>>, ScriptError> {
        let with_msg = |function: &Function| function.call_async(&self.msg);
        Ok(match route {
            Route::Request => self.routes.request.as_ref().map(with_msg),
            Route::Failure(name) | Route::Reply(name) | Route::Branch(name) => {
                let function =
                    self.routes.named(route.kind(), name).ok_or_else(|| self.no_route(route.kind(), name))?;
                Some(with_msg(function))
            }
            Route::Event(name, fields) => match self.routes.events.get(name) {
                Some(function) => Some(function.call_async(self.event(name, fields).map_err(|e| self.error(&e))?)),
                None => None,
            },
            Route::Timer(index) => self.routes.timers.get(index).map(|(_, function)| function.call_async(())),
            Route::Start => self.routes.start.as_ref().map(|function| function.call_async(())),
        })
    }

    /// The intervals of the script's timers. One worker runs them for all.
    pub fn timers(&self) -> impl Iterator<Item = Duration> {
        self.routes.timers.iter().map(|(interval, _)| *interval)
    }

    /// The full names of the events that the script has routes for.
    pub fn events(&self) -> impl Iterator<Item = &str> + Clone {
        self.routes.events.keys().map(String::as_str)
    }

    /// Memory of the Lua state, in bytes.
    pub fn memory(&self) -> usize {
        self.lua.used_memory()
    }

    /// Whether the script defines this route.
    pub fn has(&self, route: Route<'_>) -> bool {
        match route {
            Route::Request => self.routes.request.is_some(),
            Route::Failure(name) | Route::Reply(name) | Route::Branch(name) => {
                self.names.borrow().contains(route.kind(), name)
            }
            Route::Event(name, _) => self.routes.events.contains_key(name),
            Route::Timer(index) => index < self.routes.timers.len(),
            Route::Start => self.routes.start.is_some(),
        }
    }

    fn event(&self, name: &str, fields: &[(String, Value)]) -> mlua::Result<Table> {
        let event = self.lua.create_table()?;
        for (field, value) in fields {
            event.set(field.as_str(), into_lua(&self.lua, value)?)?;
        }
        event.set("name", name)?;
        Ok(event)
    }

    fn error(&self, error: &Error) -> ScriptError {
        ScriptError::from_lua(error, self.exported.iter().copied())
    }

    fn no_route(&self, kind: Routes, name: &str) -> ScriptError {
        let table = NAMED.iter().find(|(routes, _)| *routes == kind).map_or("route", |(_, table)| *table);
        let nearest = nearest(name, self.names.borrow().of(kind)).map(str::to_owned);
        ScriptError::NoRoute { script: self.source.name.to_string(), kind: table, name: name.to_owned(), nearest }
    }
}

impl Run {
    /// Runs until the route ends or first waits.
    pub fn begin(mut self) -> Begun {
        self.begun = true;
        match self.advance() {
            Poll::Ready(result) => {
                self.current.keep_doorbell(self.bell);
                Begun::Ended(result)
            }
            Poll::Pending => Begun::Waits(self),
        }
    }

    /// Runs until the route ends or waits. What it waits for then rings the bell.
    fn advance(&mut self) -> Poll<Result<(), ScriptError>> {
        let entered = self.current.enter(self.context.clone(), self.routes, self.budget);
        let polled = match &mut self.state {
            State::Running(call) => {
                let waker = Waker::from(self.bell.clone());
                Pin::new(call).poll(&mut TaskContext::from_waker(&waker))
            }
            State::Refused(error) => return Poll::Ready(error.take().map_or(Ok(()), Err)),
        };
        self.budget = self.current.budget();
        let stopped = self.current.stopped();
        drop(entered);
        // The script may have ended by itself: a coroutine was stopped, or the error was caught.
        if let Some(place) = stopped {
            self.state = State::Refused(None);
            let message = sandbox::stop_message(self.limits);
            return Poll::Ready(Err(ScriptError::Runtime(format!("{place}: {message}"))));
        }
        polled.map_err(|error| ScriptError::from_lua(&error, self.exported.iter().copied()))
    }
}

impl Future for Run {
    type Output = Result<(), ScriptError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let begins = !std::mem::replace(&mut self.begun, true);
        if (begins || self.bell.take_ring())
            && let Poll::Ready(result) = self.advance()
        {
            return Poll::Ready(result);
        }
        self.bell.wakes(task.waker());
        Poll::Pending
    }
}

impl Route<'_> {
    /// The kind, for checks of what may be called.
    pub fn kind(self) -> Routes {
        match self {
            Self::Request => Routes::REQUEST,
            Self::Failure(_) => Routes::FAILURE,
            Self::Reply(_) => Routes::REPLY,
            Self::Branch(_) => Routes::BRANCH,
            Self::Event(..) => Routes::EVENT,
            Self::Timer(_) => Routes::TIMER,
            Self::Start => Routes::START,
        }
    }
}

impl RouteNames {
    pub(super) fn contains(&self, kind: Routes, name: &str) -> bool {
        self.of(kind).any(|known| known == name)
    }

    pub(super) fn of(&self, kind: Routes) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| *known == kind).map(|(_, name)| name.as_str())
    }
}

impl RouteFunctions {
    /// Finds what the script has defined.
    fn collect(globals: &Table, (timers, events): (&Table, &EventRoutes), source: &ScriptSource) -> Result<Self, Load> {
        let function = |name: &str| match globals.get(name) {
            Ok(mlua::Value::Nil) => Ok(None),
            Ok(mlua::Value::Function(function)) => Ok(Some(function)),
            _ => Err(Load::shape(source, name, "a function")),
        };
        let mut named = Vec::new();
        for (kind, table) in NAMED {
            let mlua::Value::Table(routes) = globals.get(table)? else {
                return Err(Load::shape(source, table, "a table of functions: function failure_route.name(msg) … end"));
            };
            let mut functions = BTreeMap::new();
            for pair in routes.pairs::<String, mlua::Value>() {
                let (name, value) = pair?;
                let mlua::Value::Function(function) = value else {
                    return Err(Load::shape(source, &format!("{table}.{name}"), "a function"));
                };
                functions.insert(name, function);
            }
            named.push((kind, functions));
        }
        let mut schedule = Vec::new();
        for entry in timers.sequence_values::<Table>() {
            let entry = entry?;
            schedule.push((Duration::from_millis(entry.get(1)?), entry.get(2)?));
        }
        let request = function("route")?;
        if request.is_none() {
            return Err(Load::Script(ScriptError::NoRoute {
                script: source.name.to_string(),
                kind: "function",
                name: "route".into(),
                nearest: None,
            }));
        }
        let events = match globals.get("event_route")? {
            mlua::Value::Table(table) if table == *events.table() => events.collect()?,
            _ => {
                let expected = "filled, not replaced: function event_route.registrar.expired(event) … end";
                return Err(Load::shape(source, "event_route", expected));
            }
        };
        Ok(Self { request, named, events, start: function("on_start")?, timers: schedule })
    }

    fn named(&self, kind: Routes, name: &str) -> Option<&Function> {
        let (_, functions) = self.named.iter().find(|(known, _)| *known == kind)?;
        functions.get(name)
    }

    fn names(&self) -> RouteNames {
        let names = self.named.iter().flat_map(|(kind, functions)| functions.keys().map(|name| (*kind, name.clone())));
        RouteNames(names.collect())
    }
}

/// `every("30s", fn)`: remembers a timer while the script is being loaded.
fn every(lua: &Lua, timers: Table) -> mlua::Result<Function> {
    lua.create_function(move |lua, (interval, function): (mlua::Value, mlua::Value)| {
        let span = match &interval {
            mlua::Value::String(text) => parse_duration(&text.to_string_lossy()),
            mlua::Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            _ => None,
        };
        let (Some(span), true) = (span.filter(|span| !span.is_zero()), function.is_function()) else {
            return Err(Error::runtime("every takes seconds or text such as \"30s\", \"5m\", \"1h\", and a function"));
        };
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        timers.raw_push(lua.create_sequence_from([mlua::Value::Integer(millis as i64), function])?)
    })
}

/// What can go wrong while loading, before it is put into words.
enum Load {
    Lua(Error),
    Script(ScriptError),
}

impl Load {
    fn shape(source: &ScriptSource, name: &str, expected: &'static str) -> Self {
        Self::Script(ScriptError::Shape { script: source.name.to_string(), name: name.to_owned(), expected })
    }
}

impl From<Error> for Load {
    fn from(error: Error) -> Self {
        Self::Lua(error)
    }
}
