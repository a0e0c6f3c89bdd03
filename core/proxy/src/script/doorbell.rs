//! A waker that is there before the task that it wakes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// What a [`Run`](super::Run) is polled with. A run that waits gets its task only then; that task need not poll it again for its waker
/// to be known, which would resume the coroutine once for nothing.
#[derive(Debug, Default)]
pub(super) struct Doorbell(Mutex<Bell>);

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    /// Who waits for the next ring.
    task: Option<Waker>,
}

impl Doorbell {
    /// Whether it was rung since it was asked last.
    pub(super) fn take_ring(&self) -> bool {
        std::mem::take(&mut self.lock().rung)
    }

    /// The next ring wakes `task`, as does one that nobody has asked for yet.
    pub(super) fn wakes(&self, task: &Waker) {
        let mut bell = self.lock();
        if bell.rung {
            task.wake_by_ref();
        } else {
            bell.task = Some(task.clone());
        }
    }

    /// Whether nobody else can ring it, which makes it as new.
    pub(super) fn is_free(self: &mut Arc<Self>) -> bool {
        Arc::get_mut(self).map(|bell| *bell = Self::default()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Bell> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = {
            let mut bell = self.lock();
            bell.rung = true;
            bell.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_ring_is_remembered_until_somebody_asks_and_wakes_who_waits_once() {
        let (mut bell, count) = (Arc::new(Doorbell::default()), Arc::new(Count::default()));
        let (waker, task) = (Waker::from(bell.clone()), Waker::from(count.clone()));
        assert!(!bell.take_ring());
        waker.wake_by_ref();
        bell.wakes(&task);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "rung before there was a task");
        assert!(bell.take_ring() && !bell.take_ring());
        bell.wakes(&task);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert!(!bell.is_free());
        drop(waker);
        assert!(bell.is_free() && !bell.take_ring());
    }
}
