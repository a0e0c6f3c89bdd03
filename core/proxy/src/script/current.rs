//! Which request the running code belongs to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::doorbell::Doorbell;
use crate::context::Context;
use crate::module::Routes;

/// The request of the code that is running now in one Lua state, and what it may still use.
#[derive(Default)]
pub(super) struct Current {
    context: RefCell<Option<(Context, Routes)>>,
    /// Instructions that the running request has left.
    budget: Cell<u64>,
    /// Where the running request was when its budget was used up.
    stopped: RefCell<Option<String>>,
    /// Of a run that did not wait: for the next one.
    doorbell: Cell<Option<Arc<Doorbell>>>,
}

/// Sets the current request for one poll, and puts back what was there when dropped: a function may itself run a route.
pub(super) struct Entered {
    current: Rc<Current>,
    before: Option<(Context, Routes)>,
    budget_before: u64,
}

impl Current {
    /// Makes `context` the current request until the guard is dropped.
    pub(super) fn enter(self: &Rc<Self>, context: Context, routes: Routes, budget: u64) -> Entered {
        let before = self.context.replace(Some((context, routes)));
        Entered { current: self.clone(), before, budget_before: self.budget.replace(budget) }
    }

    /// The request that is running; `None` while the script is being loaded.
    pub(super) fn with<T>(&self, use_it: impl FnOnce(&Context, Routes) -> T) -> Option<T> {
        // The borrow ends before the use: a function may poll another run and so enter again.
        let context = self.context.borrow().clone();
        context.map(|(context, routes)| use_it(&context, routes))
    }

    /// Takes instructions off the budget; `false` once it is used up.
    pub(super) fn spend(&self, instructions: u64) -> bool {
        let left = self.budget.get().saturating_sub(instructions);
        self.budget.set(left);
        left > 0
    }

    /// Notes that the running request is to end, and where it was. `false` if that was noted before.
    pub(super) fn stop(&self, place: String) -> bool {
        let mut stopped = self.stopped.borrow_mut();
        let first = stopped.is_none();
        stopped.get_or_insert(place);
        first
    }

    /// Where the running request was when its budget was used up; once.
    pub(super) fn stopped(&self) -> Option<String> {
        self.stopped.take()
    }

    /// What is left of the budget.
    pub(super) fn budget(&self) -> u64 {
        self.budget.get()
    }

    /// One that nobody has rung.
    pub(super) fn doorbell(&self) -> Arc<Doorbell> {
        self.doorbell.take().unwrap_or_default()
    }

    /// Takes back what a run no longer needs.
    pub(super) fn keep_doorbell(&self, mut doorbell: Arc<Doorbell>) {
        if doorbell.is_free() {
            self.doorbell.set(Some(doorbell));
        }
    }

    /// Sets the budget of code that runs without a request: the script's top level.
    pub(super) fn set_budget(&self, instructions: u64) {
        self.budget.set(instructions);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.current.context.replace(self.before.take());
        self.current.budget.set(self.budget_before);
    }
}
