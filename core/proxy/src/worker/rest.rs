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
/// How often in a row it must have been woken like that: between two bursts of work a worker does not rest.
const PATIENCE: u8 = 8;

thread_local! {
    static RHYTHM: Cell<Rhythm> = const { Cell::new(Rhythm { asleep: None, woken: None, restless: 0 }) };
}

/// When a worker fell asleep and was woken last.
#[derive(Clone, Copy)]
struct Rhythm {
    asleep: Option<Instant>,
    woken: Option<Instant>,
    /// How often in a row it has waited shortly and worked little.
    restless: u8,
}

impl Rhythm {
    /// Its work is done. Says whether it is to rest.
    fn done(&mut self, now: Instant) -> bool {
        let is_restless = self.asleep.zip(self.woken).is_some_and(|(asleep, woken)| {
            woken.saturating_duration_since(asleep) < OFTEN && now.saturating_duration_since(woken) < ENOUGH
        });
        self.restless = if is_restless { self.restless.saturating_add(1) } else { 0 };
        self.restless > PATIENCE
    }
}

/// The worker of this thread has nothing more to do: it rests for `length` if it is woken often and for a little.
pub(super) fn before_waiting(length: Duration) {
    handover::falls_asleep();
    let (mut rhythm, mut now) = (RHYTHM.get(), Instant::now());
    if rhythm.done(now) {
        thread::sleep(length);
        now = Instant::now();
    }
    RHYTHM.set(Rhythm { asleep: Some(now), woken: None, ..rhythm });
}

/// The worker of this thread was woken.
pub(super) fn after_waiting() {
    let now = Instant::now();
    handover::wakes_up(now);
    RHYTHM.set(Rhythm { woken: Some(now), ..RHYTHM.get() });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a worker rests at last that is woken again and again after waiting and then works, for so many microseconds each.
    fn rests(rounds: &[(u64, u64)]) -> bool {
        let mut now = Instant::now();
        let mut rhythm = Rhythm { asleep: None, woken: None, restless: 0 };
        let mut rests = rhythm.done(now);
        for (waited, worked) in rounds {
            rhythm.asleep = Some(now);
            rhythm.woken = Some(now + Duration::from_micros(*waited));
            now += Duration::from_micros(waited + worked);
            rests = rhythm.done(now);
        }
        rests
    }

    #[test]
    fn who_is_woken_soon_and_for_little_work_again_and_again_rests() {
        assert!(rests(&[(50, 20); 9]));
        assert!(!rests(&[(50, 20); 8]), "it may be the end of a burst");
        assert!(!rests(&[(500, 20); 20]), "messages come seldom, and each is served at once");
        assert!(!rests(&[(50, 500); 20]), "there is enough to do for each wake-up");
        let bursts = [(50, 500), (50, 20), (50, 20)];
        assert!(!rests(&bursts.repeat(10)));
    }
}
