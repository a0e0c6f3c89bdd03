//! Which request the running code belongs to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::doorbell::Doorbell;
use crate::context::Context;
use crate::module::Routes;

/// How long an instruction may take on average, in time that this thread runs. Most take 10 ns.
const INSTRUCTION: Duration = Duration::from_nanos(25);

/// The request of the code that is running now in one Lua state, and what it may still use.
#[derive(Default)]
pub(super) struct Current {
    context: RefCell<Option<(Context, Routes)>>,
    /// Instructions that the running request has left.
    budget: Cell<u64>,
    /// How long this thread had run at the last check of the running request, and the budget left then.
    looked: Cell<Option<(Duration, u64)>>,
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
    looked_before: Option<(Duration, u64)>,
}

impl Current {
    /// Makes `context` the current request until the guard is dropped.
    pub(super) fn enter(self: &Rc<Self>, context: Context, routes: Routes, budget: u64) -> Entered {
        let before = self.context.replace(Some((context, routes)));
        let budget_before = self.budget.replace(budget);
        Entered { current: self.clone(), before, budget_before, looked_before: self.looked.take() }
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

    /// Subtracts the time since the last check that exceeds [`INSTRUCTION`] per spent instruction from the budget. The
    /// first check of a request only notes the time, because most requests end before a second one. `false` if the
    /// budget is used up.
    pub(super) fn is_in_time(&self) -> bool {
        // The CPU time of this thread, not a clock: while another process has the processor, this request holds up
        // nothing.
        let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return self.spend(0) };
        let run = (usage.user_time() + usage.system_time()).num_microseconds();
        let run = Duration::from_micros(u64::try_from(run).unwrap_or_default());
        let budget = self.budget.get();
        let late = self.looked.get().map_or(0, |(then, budget_then)| {
            let worth = run.saturating_sub(then).as_nanos() / INSTRUCTION.as_nanos();
            u64::try_from(worth).unwrap_or(u64::MAX).saturating_sub(budget_then.saturating_sub(budget))
        });
        let left = self.spend(late);
        self.looked.set(Some((run, self.budget.get())));
        left
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
        self.current.looked.set(self.looked_before);
    }
}
