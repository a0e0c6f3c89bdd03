//! Exported functions as Lua functions: checks of routes and arguments, panics caught, waiting without blocking.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use futures_util::future::LocalBoxFuture;
use mlua::{Error, Lua, MultiValue, Result};

use super::current::Current;
use super::engine::RouteNames;
use super::value::{self, from_lua, into_lua};
use crate::module::export::{Call, CatchPanic, Export, panic_text};
use crate::module::host::Counter;
use crate::module::{Argument, Arguments, Kind, Outcome, Refusal, Routes, Signature, Value};
use crate::settings::nearest::nearest;

/// A waiting function is tried once before its request is suspended: most find their answer at once, in a cache or a table.
/// `try` then answers its results; else it answers the mark, and `wait` goes on with what `try` left behind.
const WAITING: &str = "local try, wait, mark = ...
return function(...)
  local result, reason = try(...)
  if result == mark then return wait() end
  return result, reason
end";

/// Turns exports into functions of one Lua state.
pub(super) struct Binder<'a> {
    pub(super) lua: &'a Lua,
    pub(super) current: &'a Rc<Current>,
    pub(super) names: &'a Rc<RefCell<RouteNames>>,
    pub(super) panics: &'a Counter,
}

/// What all calls of one function share.
struct Callee {
    current: Rc<Current>,
    signature: Arc<Signature>,
    names: Rc<RefCell<RouteNames>>,
    panics: Counter,
}

type Started = Rc<RefCell<Option<CatchPanic<LocalBoxFuture<'static, Outcome>>>>>;

impl Binder<'_> {
    /// The Lua function of an export.
    pub(super) fn bind(&self, export: &Export) -> Result<mlua::Function> {
        let callee = Callee {
            current: self.current.clone(),
            signature: export.signature.clone(),
            names: self.names.clone(),
            panics: self.panics.clone(),
        };
        match &export.call {
            Call::Plain(body) => {
                let body = body.clone();
                self.lua.create_function(move |lua, arguments: MultiValue| {
                    let arguments = callee.check(lua, &arguments)?;
                    let outcome = callee.current.with(|context, routes| {
                        callee.allow(routes)?;
                        Ok(catch_unwind(AssertUnwindSafe(|| body(context, &arguments))))
                    });
                    let outcome = outcome.unwrap_or_else(|| Err(callee.outside()))?;
                    callee.results(lua, outcome.map_err(|panic| panic_text(&*panic)))
                })
            }
            Call::Waiting(body) => {
                let body = body.clone();
                let started = Started::default();
                let left = started.clone();
                let callee = Rc::new(callee);
                let waiting = callee.clone();
                let mark =
                    mlua::Value::LightUserData(mlua::LightUserData(std::ptr::from_ref(WAITING).cast_mut().cast()));
                let answer = mark.clone();
                let attempt = self.lua.create_function(move |lua, arguments: MultiValue| {
                    let arguments = callee.check(lua, &arguments)?;
                    let future = callee.current.with(|context, routes| {
                        callee.allow(routes)?;
                        Ok(catch_unwind(AssertUnwindSafe(|| body(context.clone(), arguments))))
                    });
                    let future = match future.unwrap_or_else(|| Err(callee.outside()))? {
                        Ok(future) => future,
                        Err(panic) => return callee.results(lua, Err(panic_text(&*panic))),
                    };
                    let mut future = CatchPanic(future);
                    // What registers this waker is polled again with the real one by `wait`, before anything can wake it unseen.
                    match std::pin::Pin::new(&mut future).poll(&mut TaskContext::from_waker(Waker::noop())) {
                        Poll::Ready(outcome) => callee.results(lua, outcome),
                        Poll::Pending => {
                            left.replace(Some(future));
                            Ok((answer.clone(), None))
                        }
                    }
                })?;
                let wait = self.lua.create_async_function(move |lua, ()| {
                    let future = started.take();
                    let waiting = waiting.clone();
                    async move {
                        match future {
                            Some(future) => waiting.results(&lua, future.await),
                            None => Err(Error::runtime("nothing to wait for")),
                        }
                    }
                })?;
                self.lua.load(WAITING).set_name("=signalbox").call((attempt, wait, mark))
            }
        }
    }
}

impl Callee {
    fn outside(&self) -> Error {
        Error::runtime(format!("{} may not be called while the script is being loaded", self.signature.name))
    }

    fn allow(&self, route: Routes) -> Result<()> {
        if self.signature.routes.contains(route) {
            return Ok(());
        }
        let Signature { name, routes, .. } = &*self.signature;
        Err(Error::runtime(format!("{name} may not be called in a {route} route, only in: {routes}")))
    }

    /// Checks what the script passed against the row.
    fn check(&self, lua: &Lua, given: &MultiValue) -> Result<Arguments> {
        let rows = &self.signature.arguments;
        // The last argument may be a call, which also passes its reason: `nil` if it has not failed.
        if given.len() > rows.len() && given.iter().skip(rows.len()).any(|value| !value.is_nil()) {
            let (name, most) = (self.signature.name, rows.len());
            return Err(Error::runtime(format!("{name} takes at most {most} argument(s), {} were given", given.len())));
        }
        let mut checked = Arguments::default();
        for (index, row) in rows.iter().enumerate() {
            let value = self.check_one(lua, (index, row), given.get(index))?;
            // What the script did not pass has no place.
            if index < given.len() {
                checked.push(value);
            }
        }
        Ok(checked)
    }

    fn check_one(&self, lua: &Lua, (index, row): (usize, &Argument), given: Option<&mlua::Value>) -> Result<Value> {
        let nil = mlua::Value::Nil;
        let given = given.unwrap_or(&nil);
        if given.is_nil() {
            if row.required {
                return Err(self.wrong(index, row, &format!("{} is missing", row.kind.name())));
            }
            return Ok(Value::Nil);
        }
        let value = convert(lua, row.kind, given)
            .ok_or_else(|| self.wrong(index, row, &format!("{} expected, got {}", row.kind.name(), show(given))))?;
        if let (Value::Integer(number), Some(range)) = (&value, &row.range)
            && !range.contains(number)
        {
            let bounds = format!("must lie between {} and {}, not {number}", range.start(), range.end());
            return Err(self.wrong(index, row, &bounds));
        }
        if let (Kind::Route(kind), Value::String(name)) = (row.kind, &value) {
            self.check_route(index, row, kind, name)?;
        }
        Ok(value)
    }

    fn check_route(&self, index: usize, row: &Argument, kind: Routes, name: &str) -> Result<()> {
        let names = self.names.borrow();
        if names.contains(kind, name) {
            return Ok(());
        }
        let hint = nearest(name, names.of(kind)).map(|near| format!("; did you mean \"{near}\"?"));
        let problem = format!("there is no function {kind}_route.{name}{}", hint.unwrap_or_default());
        Err(self.wrong(index, row, &problem))
    }

    fn wrong(&self, index: usize, row: &Argument, problem: &str) -> Error {
        Error::runtime(format!("bad argument {} to {} ({}): {problem}", index + 1, self.signature.name, row.name))
    }

    /// One or two results: the value, and for a refusal its reason.
    fn results(
        &self,
        lua: &Lua,
        outcome: std::result::Result<Outcome, String>,
    ) -> Result<(mlua::Value, Option<mlua::Value>)> {
        match outcome {
            Ok(Ok(value)) => Ok((into_lua(lua, &value)?, None)),
            Ok(Err(Refusal::No(reason))) => {
                Ok((mlua::Value::Boolean(false), Some(mlua::Value::String(value::string(lua, &reason)?))))
            }
            Ok(Err(Refusal::Misuse(problem))) => Err(Error::runtime(format!("{}: {problem}", self.signature.name))),
            Err(panic) => {
                self.panics.increment();
                Err(Error::runtime(format!("{} panicked: {panic}", self.signature.name)))
            }
        }
    }
}

fn convert(lua: &Lua, kind: Kind, given: &mlua::Value) -> Option<Value> {
    match (kind, given) {
        (Kind::String | Kind::Route(_), mlua::Value::String(text)) => Some(Value::String(value::text(text))),
        (Kind::String, mlua::Value::Integer(number)) => Some(Value::String(number.to_string())),
        (Kind::String, mlua::Value::Table(_)) => Some(Value::String(value::shown(lua, given).ok()?)),
        (Kind::Integer, mlua::Value::Integer(number)) => Some(Value::Integer(*number)),
        (Kind::Integer, mlua::Value::Number(_)) => given.as_integer().map(Value::Integer),
        (Kind::Integer, mlua::Value::String(text)) => text.to_str().ok()?.parse().ok().map(Value::Integer),
        (Kind::Number, mlua::Value::Integer(_) | mlua::Value::Number(_)) => from_lua(given),
        (Kind::Boolean, mlua::Value::Boolean(value)) => Some(Value::Boolean(*value)),
        (Kind::Table, mlua::Value::Table(_)) | (Kind::Any, _) => from_lua(given),
        _ => None,
    }
}

fn show(value: &mlua::Value) -> String {
    match value {
        mlua::Value::String(text) => format!("\"{}\"", text.to_string_lossy()),
        mlua::Value::Integer(number) => number.to_string(),
        other => format!("a {}", other.type_name()),
    }
}
