//! A running server as the admin commands see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::{BoxFuture, join_all};
use signalbox::admin::Operations;
use signalbox::admin::commands::{Status, WorkerStatus};
use signalbox::module::CommandError;
use signalbox::module::export::Tables;
use signalbox::script::{ScriptError, ScriptSource};
use signalbox::worker::Workers;
use signalbox::worker::server::{Setup, reload};
use tokio::sync::{Notify, oneshot};

/// What outlives the start: enough to ask the workers, reload and stop.
pub(crate) struct Running {
    pub(crate) workers: Workers,
    pub(crate) setup: Setup,
    pub(crate) script: PathBuf,
    pub(crate) modules: Vec<Tables>,
    pub(crate) started: SystemTime,
    /// Rings when a command asks the server to stop.
    pub(crate) stop: Arc<Notify>,
}

impl Running {
    /// Reads the routing script again and gives it to all workers, or to none.
    pub(crate) fn reload_script(&self) -> impl Future<Output = Result<(), ScriptError>> + Send + use<> {
        let (workers, setup, path) = (self.workers.clone(), self.setup.clone(), self.script.clone());
        async move {
            let script = ScriptSource::read(&path)?;
            reload(&workers, &setup, script).await
        }
    }
}

impl Operations for Running {
    fn status(&self) -> BoxFuture<'static, Status> {
        let listeners = self.setup.options.listeners.iter().map(ToString::to_string).collect();
        let script = self.script.display().to_string();
        let asked = (0..self.workers.count()).map(|index| {
            let (answer, answered) = oneshot::channel();
            self.workers.run(index, move |worker| {
                // Nobody waits any more when the connection was closed meanwhile.
                let _ = answer.send(worker.figures());
            });
            answered
        });
        let asked = join_all(asked.collect::<Vec<_>>());
        Box::pin(async move {
            let workers = asked.await.into_iter().flatten().map(|figures| WorkerStatus {
                transactions: figures.server_transactions + figures.client_transactions,
                connections: figures.connections,
                script_bytes: figures.script_bytes,
            });
            Status { listeners, script, workers: workers.collect() }
        })
    }

    fn started(&self) -> SystemTime {
        self.started
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.setup.host.counters()
    }

    fn modules(&self) -> Vec<Tables> {
        self.modules.clone()
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), CommandError>> {
        let reloading = self.reload_script();
        Box::pin(async move { reloading.await.map_err(|error| CommandError::Failed(error.into())) })
    }

    fn stop(&self) {
        self.stop.notify_one();
    }
}
