//! What waits for its commit, and what follows from that.

use std::sync::Arc;

use signalbox::storage::{StorageError, Write};

use crate::state::State;

/// Something that the agent has accepted and that is being committed. When the request that waits for it is given up meanwhile,
/// as when a script never resumes the coroutine that asked, the commit is waited for all the same: or else the agent would hold for
/// ever what it keeps back until then.
pub(crate) struct Settling<T: Send + 'static> {
    state: Arc<State>,
    /// Nothing once it is settled.
    pending: Option<(T, Option<Write>)>,
    settle: Settle<T>,
}

/// What follows, given whether it is committed.
pub(crate) type Settle<T> = fn(&Arc<State>, T, bool);

impl<T: Send + 'static> Settling<T> {
    /// `write` is nothing where nothing has to be stored.
    pub(crate) fn new(state: &Arc<State>, what: T, write: Option<Write>, settle: Settle<T>) -> Self {
        Self { state: state.clone(), pending: Some((what, write)), settle }
    }

    /// Waits for the commit.
    pub(crate) async fn committed(&mut self) -> Result<(), StorageError> {
        let Some((_, write)) = &mut self.pending else { return Ok(()) };
        let Some(waiting) = write else { return Ok(()) };
        let result = waiting.await;
        *write = None;
        result
    }

    /// What is being committed, until that is settled.
    pub(crate) fn what(&self) -> Option<&T> {
        self.pending.as_ref().map(|(what, _)| what)
    }

    /// Does what follows.
    pub(crate) fn settle(mut self, committed: bool) {
        if let Some((what, _)) = self.pending.take() {
            (self.settle)(&self.state, what, committed);
        }
    }
}

impl<T: Send + 'static> Drop for Settling<T> {
    fn drop(&mut self) {
        let Some((what, write)) = self.pending.take() else { return };
        let (state, settle) = (self.state.clone(), self.settle);
        self.state.host.runtime().spawn(async move {
            let committed = match write {
                Some(write) => write.await.is_ok(),
                None => true,
            };
            settle(&state, what, committed);
        });
    }
}
