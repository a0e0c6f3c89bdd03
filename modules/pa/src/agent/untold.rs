//! After a crash nobody knows which watchers had been told of the last changes: everybody is told the state as it is, a few at a time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::effects::Effects;
use super::shards::{Agent, SHARDS};
use crate::subscription::Watcher;
use crate::token::Token;

/// Watchers told at a time, and the pause after them: a server that starts with a hundred thousand of them has other things to do as well.
const AT_A_TIME: usize = 500;
const PAUSE: Duration = Duration::from_millis(150);

/// Who may not know the state yet.
#[derive(Debug, Default)]
pub(super) struct Untold(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Token>,
    /// When the next may be told; nothing for at once.
    next: Option<Instant>,
}

impl Untold {
    /// When there is somebody to tell.
    pub(super) fn next(&self) -> Option<Instant> {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.next.filter(|_| !queue.waiting.is_empty())
    }

    fn take(&self, now: Instant) -> Vec<Token> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.next.is_some_and(|next| next > now) {
            return Vec::new();
        }
        queue.next = Some(now + PAUSE);
        let left = queue.waiting.len().saturating_sub(AT_A_TIME);
        queue.waiting.split_off(left)
    }
}

impl<W: Watcher> Agent<W> {
    /// Has every watcher that may see a state told it as it is, unless it is told before for another reason. To be called when all
    /// subscriptions are restored.
    pub fn tell_everybody_again(&self, now: Instant) {
        let mut waiting = Vec::new();
        for number in 0..SHARDS {
            waiting.extend(self.lock(number).subscriptions_mut().map(|subscription| {
                subscription.is_untold = true;
                subscription.id
            }));
        }
        *self.untold.0.lock().unwrap_or_else(PoisonError::into_inner) = Queue { waiting, next: Some(now) };
    }

    /// Whether no watcher has anything to be told, or is just being told it.
    pub fn has_told_everybody(&self) -> bool {
        self.untold.next().is_none()
            && (0..SHARDS).all(|number| self.lock(number).subscriptions_mut().all(|one| one.is_told()))
    }

    pub(super) fn tell_again(&self, now: Instant, effects: &mut Effects<W>) {
        for id in self.untold.take(now) {
            let mut shard = self.lock_of(id);
            let Some(subscription) = shard.subscription(id).filter(|subscription| subscription.is_untold) else {
                continue;
            };
            subscription.is_untold = false;
            subscription.presentity_changed();
            shard.advance(id, &self.rules, now, effects);
        }
    }
}
