//! Waking many tasks of one thread with one call.
//!
//! A commit is shared by many writes, whose tasks live on a few worker threads. Waking a task of another thread's runtime costs a system
//! call each time, waking one of the own thread nearly nothing. So each worker runs [`relay_wakes`]: a commit hands it all
//! wakers of its thread at once, and it wakes them there.

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

thread_local! {
    static RELAY: RefCell<Option<Arc<Relay>>> = const { RefCell::new(None) };
}

/// Runs the calling thread's relay for as long as the returned future is polled. A worker spawns it once; without it everything works,
/// only with more system calls.
pub async fn relay_wakes() {
    let installed = Installed::new();
    let relay = installed.0.clone();
    poll_fn(|context| {
        let ready = {
            let mut inner = relay.lock();
            inner.task = Some(context.waker().clone());
            mem::take(&mut inner.ready)
        };
        ready.into_iter().for_each(Waker::wake);
        Poll::<()>::Pending
    })
    .await;
}

/// A task that waits, and how to reach it.
#[derive(Debug)]
pub(super) struct Waiter {
    waker: Waker,
    relay: Option<Arc<Relay>>,
}

impl Waiter {
    pub(super) fn new(waker: &Waker) -> Self {
        Self { waker: waker.clone(), relay: RELAY.with_borrow(Clone::clone) }
    }

    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }
}

/// Wakes all, each thread that has a relay only once.
pub(super) fn wake_all(waiters: impl Iterator<Item = Waiter>) {
    let mut relayed: Vec<(Arc<Relay>, Vec<Waker>)> = Vec::new();
    for Waiter { waker, relay } in waiters {
        let Some(relay) = relay else {
            waker.wake();
            continue;
        };
        match relayed.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &relay)) {
            Some((_, wakers)) => wakers.push(waker),
            None => relayed.push((relay, vec![waker])),
        }
    }
    for (relay, wakers) in relayed {
        relay.deliver(wakers);
    }
}

#[derive(Debug, Default)]
struct Relay(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ready: Vec<Waker>,
    /// The relay's own task; `None` once it has ended.
    task: Option<Waker>,
}

impl Relay {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, wakers: Vec<Waker>) {
        let mut inner = self.lock();
        match inner.task.clone() {
            Some(task) => {
                inner.ready.extend(wakers);
                drop(inner);
                task.wake();
            }
            None => {
                drop(inner);
                wakers.into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// Keeps the relay in its thread's slot.
struct Installed(Arc<Relay>);

impl Installed {
    fn new() -> Self {
        let relay = Arc::new(Relay::default());
        RELAY.set(Some(relay.clone()));
        Self(relay)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // The thread may be ending, its slot gone already.
        let _ = RELAY.try_with(|slot| slot.take());
        let left = {
            let mut inner = self.0.lock();
            inner.task = None;
            mem::take(&mut inner.ready)
        };
        left.into_iter().for_each(Waker::wake);
    }
}
