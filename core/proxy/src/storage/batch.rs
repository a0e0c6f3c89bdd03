//! Writes that share one commit, and the future of each.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::StorageError;
use super::wake::{Waiter, wake_all};

/// The future of a write: ready after COMMIT, or when it is certain that there is none. Dropping it does not undo the write.
#[derive(Debug)]
pub struct Write(State);

#[derive(Debug)]
enum State {
    Settled(Result<(), StorageError>),
    Waiting {
        batch: Arc<Batch>,
        /// Which of the batch's writes this is.
        index: usize,
        /// Where this write's waiter stands in the batch.
        slot: Option<usize>,
    },
    /// After a simulated crash.
    Never,
}

impl Write {
    pub(super) fn settled(result: Result<(), StorageError>) -> Self {
        Self(State::Settled(result))
    }

    pub(super) fn waiting(batch: Arc<Batch>, index: usize) -> Self {
        Self(State::Waiting { batch, index, slot: None })
    }

    pub(super) fn never() -> Self {
        Self(State::Never)
    }
}

impl Future for Write {
    type Output = Result<(), StorageError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Settled(result) => Poll::Ready(result.clone()),
            State::Waiting { batch, index, slot } => batch.poll(*index, slot, context),
            State::Never => Poll::Pending,
        }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    Committed,
    Failed(StorageError),
    /// Committed but for these writes, by index.
    CommittedExcept(HashMap<usize, StorageError>),
}

/// Writes that are committed together.
#[derive(Debug, Default)]
pub(super) struct Batch(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    outcome: Option<Outcome>,
    waiting: Vec<Waiter>,
}

impl Batch {
    /// Tells all writes; later polls find the outcome.
    pub(super) fn complete(&self, outcome: Outcome) {
        let waiting = {
            let mut progress = self.lock();
            progress.outcome = Some(outcome);
            std::mem::take(&mut progress.waiting)
        };
        wake_all(waiting.into_iter());
    }

    fn poll(
        &self,
        index: usize,
        slot: &mut Option<usize>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), StorageError>> {
        let mut progress = self.lock();
        match &progress.outcome {
            Some(Outcome::Committed) => return Poll::Ready(Ok(())),
            Some(Outcome::Failed(error)) => return Poll::Ready(Err(error.clone())),
            Some(Outcome::CommittedExcept(refused)) => {
                return Poll::Ready(refused.get(&index).map_or(Ok(()), |error| Err(error.clone())));
            }
            None => {}
        }
        match slot.and_then(|slot| progress.waiting.get_mut(slot)) {
            Some(waiter) if waiter.will_wake(context.waker()) => {}
            Some(waiter) => *waiter = Waiter::new(context.waker()),
            None => {
                *slot = Some(progress.waiting.len());
                progress.waiting.push(Waiter::new(context.waker()));
            }
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::storage::wake::relay_wakes;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&count.clone().into()))
    }

    #[test]
    fn all_writes_of_a_batch_learn_its_outcome() {
        let batch = Arc::new(Batch::default());
        let (count, error) = (Arc::new(Count::default()), StorageError::Shape { table: "t" });
        let mut writes: Vec<_> = (0..3).map(|index| Box::pin(Write::waiting(batch.clone(), index))).collect();
        for write in &mut writes {
            assert!(poll(write.as_mut(), &count).is_pending());
            assert!(poll(write.as_mut(), &count).is_pending(), "polling again leaves one waiter");
        }
        batch.complete(Outcome::CommittedExcept(HashMap::from([(1, error)])));
        assert_eq!(count.0.load(Ordering::SeqCst), 3);
        let results: Vec<_> = writes.iter_mut().map(|write| poll(write.as_mut(), &count)).collect();
        assert!(matches!(results[..], [Poll::Ready(Ok(())), Poll::Ready(Err(_)), Poll::Ready(Ok(()))]));
    }

    #[test]
    fn a_thread_with_a_relay_is_woken_once_per_batch() {
        let (relay_count, count) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut relay = Box::pin(relay_wakes());
        assert!(poll(relay.as_mut(), &relay_count).is_pending());
        let batch = Arc::new(Batch::default());
        let mut writes: Vec<_> = (0..5).map(|index| Box::pin(Write::waiting(batch.clone(), index))).collect();
        for write in &mut writes {
            assert!(poll(write.as_mut(), &count).is_pending());
        }
        let other = batch.clone();
        std::thread::spawn(move || other.complete(Outcome::Committed)).join().unwrap();
        assert_eq!((relay_count.0.load(Ordering::SeqCst), count.0.load(Ordering::SeqCst)), (1, 0));
        assert!(poll(relay.as_mut(), &relay_count).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 5, "the relay wakes the writes on their own thread");
    }

    #[test]
    fn a_relay_that_ends_leaves_nobody_asleep() {
        let (relay_count, count) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut relay = Box::pin(relay_wakes());
        assert!(poll(relay.as_mut(), &relay_count).is_pending());
        let (first, second) = (Arc::new(Batch::default()), Arc::new(Batch::default()));
        let mut writes = [Box::pin(Write::waiting(first.clone(), 0)), Box::pin(Write::waiting(second.clone(), 0))];
        for write in &mut writes {
            assert!(poll(write.as_mut(), &count).is_pending());
        }
        first.complete(Outcome::Committed);
        drop(relay);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "delivered but not yet relayed");
        second.complete(Outcome::Committed);
        assert_eq!(count.0.load(Ordering::SeqCst), 2, "completed after the relay's end");
    }
}
