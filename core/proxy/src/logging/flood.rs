//! A log that others cannot flood: each place in the code writes so many lines and then only so often. How many were left
//! out is said once in a while.
//!
//! Lines of the script and those of the levels debug and trace are somebody's own wish and are never left out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// Lines that one place may write at once.
const BURST: u32 = 100;
/// When it has, the time to the next line.
const INTERVAL: Duration = Duration::from_millis(200);

/// Decides which lines are written. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Flood(Arc<Mutex<HashMap<Identifier, Place>>>);

/// A place in the code that logs: there are as many as the code has.
struct Place {
    metadata: &'static Metadata<'static>,
    /// When all that it has written would have been written at one line per [`INTERVAL`].
    paid_until: Instant,
    left_out: u64,
}

impl Flood {
    /// Whether a line of this place may be written now.
    fn admit(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Place { metadata, paid_until: now, left_out: 0 };
        let place = places.entry(metadata.callsite()).or_insert(new);
        let paid_until = place.paid_until.max(now);
        if paid_until - now > INTERVAL * BURST {
            place.left_out += 1;
            return false;
        }
        place.paid_until = paid_until + INTERVAL;
        true
    }

    /// What was left out since the last call: where, and how many lines.
    pub(super) fn take_left_out(&self) -> Vec<(&'static Metadata<'static>, u64)> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = places.values_mut().filter(|place| place.left_out > 0);
        left_out.map(|place| (place.metadata, std::mem::take(&mut place.left_out))).collect()
    }
}

impl<S> Filter<S> for Flood {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        *metadata.level() > Level::INFO || metadata.target() == "script" || self.admit(metadata, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, Registry};

    use super::*;

    /// How many of the lines that `write` writes pass, and how many were left out.
    fn passed(write: impl FnOnce()) -> (usize, u64) {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<usize>>);
        impl<S: tracing::Subscriber> Layer<S> for Lines {
            fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let (lines, flood) = (Lines::default(), Flood::default());
        with_default(Registry::default().with(lines.clone().with_filter(flood.clone())), write);
        let count = *lines.0.lock().unwrap();
        (count, flood.take_left_out().iter().map(|(_, count)| count).sum())
    }

    #[test]
    fn one_place_cannot_flood_the_log_and_another_is_still_heard() {
        let (lines, left_out) = passed(|| {
            for number in 0..1000 {
                tracing::info!(number, "refused");
            }
            tracing::error!("the database is gone");
        });
        let burst = BURST as usize;
        assert!((burst + 1..burst + 60).contains(&lines), "{lines}");
        assert_eq!(lines as u64 + left_out, 1001);
    }

    #[test]
    fn what_the_script_says_and_what_was_asked_for_is_never_left_out() {
        let (lines, left_out) = passed(|| {
            for _ in 0..1000 {
                tracing::info!(target: "script", "a message");
                tracing::debug!("a detail");
            }
        });
        assert_eq!((lines, left_out), (2000, 0));
    }

    #[test]
    fn a_place_that_was_quiet_may_write_again() {
        static METADATA: std::sync::OnceLock<&'static Metadata<'static>> = std::sync::OnceLock::new();
        struct Take;
        impl<S: tracing::Subscriber> Layer<S> for Take {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                let _ = METADATA.set(event.metadata());
            }
        }
        with_default(Registry::default().with(Take), || tracing::info!("a line"));
        let (metadata, flood, start) = (METADATA.get().unwrap(), Flood::default(), Instant::now());
        let admitted = |now| (0..1000).filter(|_| flood.admit(metadata, now)).count() as u32;
        assert_eq!(admitted(start), BURST + 1);
        assert_eq!(admitted(start + INTERVAL), 1);
        assert_eq!(admitted(start + INTERVAL * 2 * BURST), BURST + 1);
        assert_eq!(flood.take_left_out().len(), 1);
        assert_eq!(flood.take_left_out().len(), 0, "said once");
    }
}
