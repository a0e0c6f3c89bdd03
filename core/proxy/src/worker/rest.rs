//! Rest between wake-ups.
//!
//! To fall asleep and be woken for each message costs more than the message: the core's caches have gone cold, and whoever
//! sends pays for the wake-up. So a worker that is woken time and again for a little work sleeps for a fixed, short while before
//! it waits again, and finds several messages afterwards. Network interfaces moderate their interrupts in the same way.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use super::handover;

/// A worker that waited no longer than this is woken often.
const OFTEN: Duration = Duration::from_micros(400);
/// Work that is worth a wake-up.
const ENOUGH: Duration = Duration::from_micros(200);

thread_local! {
    static RHYTHM: Cell<Rhythm> = const { Cell::new(Rhythm { asleep: None, woken: None }) };
}

/// When a worker fell asleep and was woken last.
#[derive(Clone, Copy)]
struct Rhythm {
    asleep: Option<Instant>,
    woken: Option<Instant>,
}

impl Rhythm {
    /// Whether it has waited shortly and worked little.
    fn is_restless(self, now: Instant) -> bool {
        let (Some(asleep), Some(woken)) = (self.asleep, self.woken) else { return false };
        woken.saturating_duration_since(asleep) < OFTEN && now.saturating_duration_since(woken) < ENOUGH
    }
}

/// The worker of this thread has nothing more to do: it rests for `length` if it has been woken soon and for a little.
pub(super) fn before_waiting(length: Duration) {
    handover::falls_asleep();
    let (rhythm, now) = (RHYTHM.get(), Instant::now());
    let asleep = if rhythm.is_restless(now) {
        thread::sleep(length);
        Instant::now()
    } else {
        now
    };
    RHYTHM.set(Rhythm { asleep: Some(asleep), woken: None });
}

/// The worker of this thread was woken.
pub(super) fn after_waiting() {
    handover::wakes_up();
    RHYTHM.set(Rhythm { woken: Some(Instant::now()), ..RHYTHM.get() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_restless(waited: u64, worked: u64) -> bool {
        let asleep = Instant::now();
        let woken = asleep + Duration::from_micros(waited);
        let rhythm = Rhythm { asleep: Some(asleep), woken: Some(woken) };
        rhythm.is_restless(woken + Duration::from_micros(worked))
    }

    #[test]
    fn only_who_is_woken_soon_and_for_little_work_rests() {
        assert!(is_restless(50, 20));
        assert!(!is_restless(500, 20), "messages come seldom, and each is served at once");
        assert!(!is_restless(50, 500), "there is enough to do for each wake-up");
        let begun = Rhythm { asleep: None, woken: None };
        assert!(!begun.is_restless(Instant::now()));
    }
}
