//! Waiting for something that a real program does: until it is so or the time is up, never for a fixed time.

use std::thread;
use std::time::{Duration, Instant};

/// How long a real program may take for anything on this machine, however busy it is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// Asks until there is an answer; panics with `what` when there is none in time.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    wait_up_to(PATIENCE, &mut ask).unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
}

pub(crate) fn wait_up_to<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(STEP);
    }
}
