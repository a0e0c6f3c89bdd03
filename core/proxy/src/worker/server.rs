//! All workers of a server: start, reload, drain, stop.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use super::run::Bound;
use super::state::{Parts, Secrets};
use super::{Options, Route, Worker, Workers, rest};
use crate::clock::Clock;
use crate::module::Host;
use crate::module::export::Exports;
use crate::script::{Limits, ScriptEngine, ScriptError, ScriptSource};
use crate::transport::network::{self, Sockets};
use crate::transport::tcp::{self, Connections, SharedConnections};
use crate::transport::udp::{self, UdpSockets};
use crate::transport::{Listener, Network, Protocol};

/// Octets of stack for a worker. Lua allows 200 nested calls of functions that are not written in Lua. If these are compiled
/// without optimisation, the default of 2 MiB is too small for them. Memory is used only as deep as a script calls.
const STACK: usize = 16 * 1024 * 1024;

/// What a server is started with.
#[derive(Clone)]
pub struct Setup {
    pub options: Options,
    pub host: Host,
    pub clock: Clock,
    /// The functions that the script can call, and the events that it may have routes for.
    pub exports: Arc<Exports>,
    pub script: ScriptSource,
    pub limits: Limits,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("listen names no address; say for example listen {{ \"udp:0.0.0.0:5060\" }}")]
    NoListener,
    #[error("cannot listen on {protocol}:{address}: {error}{hint}")]
    Bind { protocol: Protocol, address: SocketAddr, error: io::Error, hint: &'static str },
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("a worker thread cannot be started: {0}")]
    Thread(io::Error),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("worker {worker} ended while starting")]
    WorkerDied { worker: u16 },
}

/// A running server.
pub struct Server {
    setup: Setup,
    workers: Workers,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// One worker in a few figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerFigures {
    pub server_transactions: usize,
    pub client_transactions: usize,
    pub connections: usize,
    /// Memory of the Lua state, in bytes.
    pub script_bytes: usize,
}

impl Server {
    /// Binds all sockets and starts the workers; the script's `on_start` runs in the first.
    pub fn start(setup: Setup) -> Result<Self, StartError> {
        if setup.options.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let secrets = Secrets::random().map_err(StartError::Random)?;
        let count = setup.options.workers.max(1);
        let workers = Workers::new(count);
        setup.host.set_workers(workers.clone());
        let (stop, stopped) = watch::channel(false);
        let mut server = Self { setup, workers, stop, threads: Vec::new() };
        server.claim()?;
        let connections = SharedConnections::default();
        let bound = (0..count).map(|_| server.bind()).collect::<Result<Vec<_>, _>>()?;
        let (ready, started) = mpsc::channel();
        for (index, bound) in (0..count).zip(bound) {
            let starting = Starting {
                index,
                setup: server.setup.clone(),
                workers: server.workers.clone(),
                secrets,
                bound,
                connections: connections.clone(),
                stop: stopped.clone(),
                ready: ready.clone(),
            };
            let name = format!("worker-{index}");
            let thread = std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || starting.run());
            server.threads.push(thread.map_err(StartError::Thread)?);
        }
        drop(ready);
        for worker in 0..count {
            let result = started.recv().map_err(|_| StartError::WorkerDied { worker })?;
            if let Err(error) = result {
                server.end();
                return Err(error);
            }
        }
        server.workers.run(0, Worker::begin_script);
        Ok(server)
    }

    /// Makes sure that nobody else listens where this server is going to: its workers share their addresses, and the kernel
    /// would let another server of the same user share them as well, and deal out the messages between the two.
    fn claim(&self) -> Result<(), StartError> {
        for listener in &self.setup.options.listeners {
            network::claim(listener.protocol, listener.address).map_err(|error| cannot_bind(listener, error))?;
        }
        Ok(())
    }

    fn bind(&self) -> Result<Bound, StartError> {
        let mut bound = Bound::default();
        for listener in &self.setup.options.listeners {
            let result = match listener.protocol {
                Protocol::Udp => udp::bind(listener.address).map(|socket| bound.udp.push(socket)),
                Protocol::Tcp => tcp::bind(listener.address).map(|socket| bound.tcp.push(socket)),
            };
            result.map_err(|error| cannot_bind(listener, error))?;
        }
        Ok(bound)
    }

    /// The workers, to be reached from any thread.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Loads another version of the script: in all workers or, where it has an error, in none.
    pub async fn reload(&self, script: ScriptSource) -> Result<(), ScriptError> {
        reload(&self.workers, &self.setup, script).await
    }

    /// Begins to drain: new requests are refused, what is under way may end. Returns at once.
    pub fn begin_stop(&self) {
        // Without a receiver all workers are gone already.
        let _ = self.stop.send(true);
    }

    /// Drains, and waits until all workers have ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.begin_stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

fn cannot_bind(listener: &Listener, error: io::Error) -> StartError {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there: stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has the address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the right to use them",
        _ => "",
    };
    StartError::Bind { protocol: listener.protocol, address: listener.address, error, hint }
}

/// See [`Server::reload`].
pub async fn reload(workers: &Workers, setup: &Setup, script: ScriptSource) -> Result<(), ScriptError> {
    let mut waiting = Vec::new();
    for index in 0..workers.count() {
        let (answer, answered) = oneshot::channel();
        let (setup, script) = (setup.clone(), script.clone());
        workers.run(index, move |worker| {
            let engine = worker.load(&setup, &script);
            // Nobody waits for the answer only when the reload was given up.
            let _ = answer.send(engine.map(|engine| worker.prepare_engine(engine)));
        });
        waiting.push(answered);
    }
    for answered in waiting {
        // A worker that is gone has nothing to reload.
        if let Ok(result) = answered.await {
            result?;
        }
    }
    let switched = (0..workers.count()).map(|index| {
        let (done, switched) = oneshot::channel();
        workers.run(index, |worker| {
            worker.switch_engine();
            if worker.index() == 0 {
                worker.begin_timers();
            }
            // As above.
            let _ = done.send(());
        });
        switched
    });
    // All have been told before the first is waited for. What comes in after the return meets the new script.
    join_all(switched.collect::<Vec<_>>()).await;
    Ok(())
}

/// What the thread of a worker starts with.
struct Starting {
    index: u16,
    setup: Setup,
    workers: Workers,
    secrets: Secrets,
    bound: Bound,
    connections: SharedConnections,
    stop: watch::Receiver<bool>,
    ready: mpsc::Sender<Result<(), StartError>>,
}

impl Starting {
    fn run(self) {
        let length = Duration::from_secs(1) / self.setup.options.wakeups.max(1);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().on_thread_park(move || rest::before_waiting(length)).on_thread_unpark(rest::after_waiting);
        let runtime = match runtime.build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(self.ready.send(Err(StartError::Thread(error)))),
        };
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let (ready, stop) = (self.ready.clone(), self.stop.clone());
            match self.worker() {
                Ok(worker) => {
                    let _ = ready.send(Ok(()));
                    drop(ready);
                    worker.run(stop).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    }

    fn worker(self) -> Result<Worker, StartError> {
        let udp = UdpSockets::register(self.bound.udp).map_err(StartError::Thread)?;
        let connections = Connections::new(self.index, self.setup.options.tcp.clone(), self.connections);
        let network = Network::Sockets(Sockets { udp, tcp: connections.clone() });
        let worker = Worker::new(Parts {
            index: self.index,
            options: Arc::new(self.setup.options.clone()),
            host: self.setup.host.clone(),
            clock: self.setup.clock.clone(),
            workers: self.workers,
            network,
            secrets: self.secrets,
        });
        worker.set_engine(Rc::new(worker.load(&self.setup, &self.setup.script)?));
        connections.start(&worker, self.bound.tcp).map_err(StartError::Thread)?;
        Ok(worker)
    }
}

impl Worker {
    fn load(&self, setup: &Setup, script: &ScriptSource) -> Result<ScriptEngine, ScriptError> {
        ScriptEngine::new(script, &setup.exports, setup.limits, &self.host().counter("panics"))
    }

    /// Runs `on_start` and starts the script's timers.
    fn begin_script(&self) {
        self.run_without_request(Route::Start, || {});
        self.begin_timers();
    }

    /// Starts the timers of the present script; they end with it.
    pub(super) fn begin_timers(&self) {
        let Some(engine) = self.engine() else { return };
        for (index, interval) in engine.timers().enumerate() {
            let (worker, engine) = (self.downgrade(), Rc::downgrade(&engine));
            tokio::task::spawn_local(async move {
                loop {
                    tokio::time::sleep(interval).await;
                    let (Some(worker), Some(engine)) = (worker.upgrade(), engine.upgrade()) else { return };
                    if !worker.engine().is_some_and(|present| Rc::ptr_eq(&present, &engine)) {
                        return;
                    }
                    worker.run_without_request(Route::Timer(index), || {});
                    worker.end_of_batch();
                }
            });
        }
    }

    /// The worker in a few figures.
    pub fn figures(&self) -> WorkerFigures {
        let (server_transactions, client_transactions) = self.transactions();
        let connections = match self.network() {
            Network::Sockets(sockets) => sockets.tcp.len(),
            Network::Virtual(_) => 0,
        };
        let script_bytes = self.engine().map_or(0, |engine| engine.memory());
        WorkerFigures { server_transactions, client_transactions, connections, script_bytes }
    }
}
