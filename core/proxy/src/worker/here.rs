//! The worker whose thread this is.

use std::cell::OnceCell;

use super::{WeakWorker, Worker};

thread_local! {
    static HERE: OnceCell<WeakWorker> = const { OnceCell::new() };
}

/// This thread is that of `worker` from now on.
pub(super) fn enter(worker: &Worker) {
    HERE.with(|here| {
        // A thread has one worker for its life.
        let _ = here.set(worker.downgrade());
    });
}

/// This thread's worker, if it has one that still runs.
pub(super) fn worker() -> Option<Worker> {
    HERE.with(|here| here.get().and_then(WeakWorker::upgrade))
}
