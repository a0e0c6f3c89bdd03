//! Running the script.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::context::Context;
use crate::module::event::Occurrence;
use crate::script::{self, Begun, ScriptError};
use crate::transport::Flow;

use super::Worker;

/// A route of the script.
#[derive(Clone, Debug)]
pub enum Route {
    Request,
    Failure(Rc<str>),
    Reply(Rc<str>),
    Branch(Rc<str>),
    Timer(usize),
    Event(Arc<Occurrence>),
    Start,
}

impl Route {
    fn as_script(&self) -> script::Route<'_> {
        match self {
            Self::Request => script::Route::Request,
            Self::Failure(name) => script::Route::Failure(name),
            Self::Reply(name) => script::Route::Reply(name),
            Self::Branch(name) => script::Route::Branch(name),
            Self::Timer(index) => script::Route::Timer(*index),
            Self::Event(event) => script::Route::Event(&event.name, &event.fields),
            Self::Start => script::Route::Start,
        }
    }
}

impl Worker {
    /// Runs a route of the script, then `then`: at once where nothing in it waits, which is the usual case.
    pub(crate) fn run_route(&self, route: Route, context: Context, then: impl FnOnce(&Self, &Context) + 'static) {
        let Some(engine) = self.engine() else {
            tracing::error!("no routing script is loaded");
            return then(self, &context);
        };
        match engine.call(route.as_script(), context.clone()).begin() {
            Begun::Ended(result) => {
                self.script_ended(&context, result);
                then(self, &context);
            }
            Begun::Waits(run) => {
                // Repetitions of the request must not run the script again while this run waits.
                context.absorb_repetitions();
                let worker = self.clone();
                tokio::task::spawn_local(async move {
                    let mut run = std::pin::pin!(run);
                    // What the script sends before it waits again must not wait as well.
                    let polled = poll_fn(|task| {
                        let polled = run.as_mut().poll(task);
                        worker.end_batch_soon();
                        polled
                    });
                    let result = polled.await;
                    worker.script_ended(&context, result);
                    then(&worker, &context);
                    worker.end_batch_soon();
                });
            }
        }
    }

    /// Runs a route that has no request, then `then`.
    pub(crate) fn run_without_request(&self, route: Route, then: impl FnOnce() + 'static) {
        // Invariant: a server without listeners does not start.
        let listener = &self.listeners()[0];
        let local =
            Flow { protocol: listener.protocol, local: listener.address, remote: listener.address, connection: None };
        let context = Context::without_request(self, route.as_script().kind(), local);
        self.run_route(route, context, move |_, _| then());
    }

    fn script_ended(&self, context: &Context, result: Result<(), ScriptError>) {
        if let Err(error) = result {
            self.counters().script_errors.increment();
            tracing::error!(call_id = context.request().call_id(), "{error}");
            context.answer_script_error();
        }
    }

    /// Runs `task` so that a panic in it ends only this.
    pub(crate) fn guarded(&self, task: impl FnOnce(&Self)) {
        if catch_unwind(AssertUnwindSafe(|| task(self))).is_err() {
            self.host().counter("panics").increment();
        }
    }
}
