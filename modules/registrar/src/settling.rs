//! What waits for its commit.

use std::sync::Arc;

use signalbox::storage::Write;

use crate::registrar::State;
use crate::rejection::Rejection;
use crate::shard::Changes;
use crate::tables::Table;

/// Changed bindings that are being stored. When the request that waits for it is given up meanwhile, as when a script never resumes
/// the coroutine that asked, the commit is waited for all the same: watchers hear of whatever is in force, and what is not stored is not.
pub(crate) struct Settling<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) table: &'a Arc<Table>,
    pub(crate) aor: &'a str,
    pub(crate) changes: &'a Changes,
    /// Nothing where nothing has to be stored, and once it is.
    pub(crate) write: Option<Write>,
}

impl Settling<'_> {
    pub(crate) async fn settle(mut self) -> Result<(), Rejection> {
        let result = match &mut self.write {
            Some(write) => write.await,
            None => Ok(()),
        };
        self.write = None;
        self.state.settled(self.table, self.aor, self.changes, result)
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let Some(write) = self.write.take() else { return };
        let (state, table) = (self.state.clone(), self.table.clone());
        let (aor, changes) = (self.aor.to_owned(), self.changes.clone());
        self.state.runtime.spawn(async move {
            // Nobody is there to be told.
            let _ = state.settled(&table, &aor, &changes, write.await);
        });
    }
}
