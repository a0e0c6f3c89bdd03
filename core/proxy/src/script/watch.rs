//! Watches a running script: how many instructions it has used, and how long they took.
//!
//! An instruction can take long. `..`, `==` and `<` read texts of any length, and when memory is short each allocation
//! first collects garbage. So the time counts too. The more memory is in use, the fewer instructions run between two
//! checks. Before the second check only instructions count: with texts that fill the memory this takes half a second.

use std::cell::Cell;
use std::rc::Rc;

use mlua::debug::Debug;
use mlua::{Error, HookTriggers, Lua, Result, VmState};

use super::Limits;
use super::current::Current;
use super::sandbox::stop_message;

/// Instructions between two checks while little memory is in use.
pub(super) const INTERVAL: u32 = 1_000;
/// Up to this much memory counts as little. A text cannot be longer.
const LITTLE: usize = 1 << 20;
/// The least instructions between two checks, however much memory is in use.
const SHORTEST: u32 = 8;

/// See the [module](self).
pub(super) struct Watch {
    current: Rc<Current>,
    limits: Limits,
    /// Instructions until the next check.
    interval: Cell<u32>,
}

impl Watch {
    /// Begins to watch all that runs in `lua`.
    pub(super) fn install(lua: &Lua, current: &Rc<Current>, limits: Limits) -> Result<()> {
        let watch = Rc::new(Self { current: current.clone(), limits, interval: Cell::new(0) });
        watch.look_every(lua, INTERVAL)
    }

    fn look_every(self: &Rc<Self>, lua: &Lua, interval: u32) -> Result<()> {
        if self.interval.replace(interval) == interval {
            return Ok(());
        }
        let watch = self.clone();
        let hook = HookTriggers::new().every_nth_instruction(interval);
        lua.set_global_hook(hook, move |lua, frame| watch.look(lua, frame))
    }

    /// Stops code that has used up its instructions. A route is made to yield, which no `pcall` can catch, and [`Run`](super::Run)
    /// then gives it up. What can't yield, such as the top level of a script, gets an error at each further instruction.
    fn look(self: &Rc<Self>, lua: &Lua, frame: &Debug<'_>) -> Result<VmState> {
        self.current.spend(u64::from(self.interval.get()));
        if self.current.is_in_time() {
            self.adapt(lua)?;
            return Ok(VmState::Continue);
        }
        let file = frame.source().short_src.as_deref().unwrap_or_default().to_owned();
        let place = format!("{file}:{}", frame.current_line().unwrap_or_default());
        let stopped = Error::runtime(format!("{place}: {}", stop_message(self.limits)));
        if self.current.stop(place) {
            return Ok(VmState::Yield);
        }
        let again = stopped.clone();
        let hook = HookTriggers::new().every_nth_instruction(1);
        lua.current_thread().set_hook(hook, move |_, _| Err(again.clone()))?;
        Err(stopped)
    }

    fn adapt(self: &Rc<Self>, lua: &Lua) -> Result<()> {
        // In few steps, so that it rarely changes.
        let times = (lua.used_memory() / LITTLE).next_power_of_two();
        self.look_every(lua, (INTERVAL / u32::try_from(times).unwrap_or(u32::MAX)).max(SHORTEST))
    }
}
