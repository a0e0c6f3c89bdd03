//! Time as an argument: everything that needs to know the time is given a [`Clock`] or an instant read from one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Where "now" comes from: the machine, or a test that moves time by hand. Clones share one time.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    started_unix: SystemTime,
    moved: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The machine's clocks. The wall clock is read once and carried on by the monotonic one, so that a correction
    /// of the machine's date in mid-run neither expires nor revives anything.
    pub fn real() -> Self {
        Self { started: Instant::now(), started_unix: SystemTime::now(), moved: None }
    }

    /// A clock that stands still at `unix` until [`Clock::advance`] moves it.
    pub fn manual(unix: SystemTime) -> Self {
        Self { started: Instant::now(), started_unix: unix, moved: Some(Arc::default()) }
    }

    pub fn now(&self) -> Instant {
        match &self.moved {
            None => Instant::now(),
            Some(moved) => self.started + Duration::from_nanos(moved.load(Ordering::Relaxed)),
        }
    }

    /// The wall-clock time of an instant, for what outlives the process (expiry times in a database).
    pub fn unix(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.started) {
            Some(since) => self.started_unix + since,
            None => self.started_unix - self.started.duration_since(instant),
        }
    }

    /// The instant of a wall-clock time, for what was read back from a database. Times too long ago for the
    /// machine's monotonic clock become the earliest instant that this clock knows.
    pub fn instant(&self, unix: SystemTime) -> Instant {
        match unix.duration_since(self.started_unix) {
            Ok(after) => self.started + after,
            Err(before) => self.started.checked_sub(before.duration()).unwrap_or(self.started),
        }
    }

    /// Moves a manual clock forward; the machine's clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Some(moved) = &self.moved {
            moved.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_time_moves_only_when_told_and_wall_clock_follows() {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let clock = Clock::manual(epoch);
        let shared = clock.clone();
        let before = clock.now();
        shared.advance(Duration::from_millis(1500));
        assert_eq!(clock.now() - before, Duration::from_millis(1500));
        assert_eq!(clock.unix(clock.now()), epoch + Duration::from_millis(1500));
        assert_eq!(clock.instant(epoch + Duration::from_millis(1500)), clock.now());
    }
}
