//! A server without sockets: its workers, modules and database, and a clock that only the test moves.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use signalbox::clock::Clock;
use signalbox::module::host::TICK;
use signalbox::module::set::{Configured, ModuleSet};
use signalbox::module::{Host, ModuleEntry, Value};
use signalbox::script::{Limits, ScriptEngine, ScriptSource};
use signalbox::storage::{self, Fault, Storage};
use signalbox::transport::network::{Network, Outbox, Sent};
use signalbox::transport::{ConnectionId, Flow, Listener, Protocol};
use signalbox::worker::state::{Parts, Secrets};
use signalbox::worker::{Options, Worker, Workers};
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, yield_now};

/// Rounds without any news after which nothing more is expected to happen at this instant.
const QUIET_ROUNDS: usize = 8;

/// The time at which every site begins: a fixed date, so that runs repeat.
const BEGINNING: Duration = Duration::from_secs(1_800_000_000);

/// What a site is started with.
pub struct Setup {
    pub script: PathBuf,
    pub modules: Vec<Configured>,
    pub domain: String,
    /// Further domains that are ours.
    pub aliases: Vec<String>,
    /// Each of these addresses takes datagrams and connections. The first is where the server is for its parties.
    pub addresses: Vec<SocketAddr>,
    /// The wall clock at the start; later than that of an earlier life of the same database.
    pub unix: SystemTime,
    /// All workers run on the test's thread, one after another.
    pub workers: u16,
    /// Assigns addresses, with their datagrams and connections, to workers; see [`worker_of`].
    pub seed: u64,
    /// Decides whether writes to the database succeed.
    pub fault: Option<Arc<Fault>>,
}

/// A server on the virtual network.
pub struct Site {
    // Dropped first: the workers and their scripts belong to the runtime.
    workers: Vec<Worker>,
    mailboxes: Workers,
    seed: u64,
    /// Connections that have been accepted.
    connections: Cell<u32>,
    script: PathBuf,
    local: LocalSet,
    runtime: Runtime,
    modules: ModuleSet,
    host: Host,
    clock: Clock,
    outbox: Outbox,
    // Dropped last: databases close on it.
    background: Option<Runtime>,
}

impl Setup {
    /// A site for `domain` that routes by `script`, without any module. It has one worker, or as many as `SIGNALBOX_WORKERS` says.
    pub fn new(script: &Path, domain: &str) -> Self {
        Self {
            script: script.to_owned(),
            modules: Vec::new(),
            domain: domain.to_owned(),
            aliases: Vec::new(),
            addresses: vec![server_address()],
            unix: SystemTime::UNIX_EPOCH + BEGINNING,
            workers: from_environment("SIGNALBOX_WORKERS").unwrap_or(1),
            seed: from_environment("SIGNALBOX_SEED").unwrap_or(1),
            fault: None,
        }
    }
}

impl Site {
    pub fn start(setup: Setup) -> Result<Self> {
        let background = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let clock = Clock::manual(setup.unix);
        // Databases live in real time: what they wait for is kept short.
        let (gather, probe) = (Duration::ZERO, Duration::from_millis(1));
        let options = storage::Options { gather, probe, fault: setup.fault, ..storage::Options::default() };
        let storage = Storage::with(background.handle().clone(), options);
        let host = Host::with_storage(background.handle().clone(), storage, clock.clone());
        let modules = background.block_on(ModuleSet::start(&host, &setup.modules))?;
        let outbox = Outbox::default();
        let listeners = setup.addresses.iter().flat_map(|&address| {
            [Protocol::Udp, Protocol::Tcp].map(|protocol| Listener { protocol, address, advertise: None, prefix: None })
        });
        let listeners = listeners.collect();
        let aliases = std::iter::once(setup.domain).chain(setup.aliases).collect();
        let options = Arc::new(Options { listeners, aliases, ..Options::default() });
        let mailboxes = Workers::seeded(setup.workers, setup.seed, &host);
        let worker = |index| {
            Worker::new(Parts {
                index,
                options: options.clone(),
                host: host.clone(),
                clock: clock.clone(),
                workers: mailboxes.clone(),
                network: Network::Virtual(outbox.clone()),
                secrets: Secrets::seeded(1),
            })
        };
        let workers = (0..mailboxes.count()).map(worker).collect();
        let (seed, connections, local) = (setup.seed, Cell::new(0), LocalSet::new());
        let (script, background) = (setup.script, Some(background));
        let site = Self {
            workers,
            mailboxes,
            seed,
            connections,
            script,
            local,
            runtime,
            modules,
            host,
            clock,
            outbox,
            background,
        };
        for worker in &site.workers {
            worker.set_engine(Rc::new(site.engine()?));
        }
        Ok(site)
    }

    /// The script as its file is now.
    fn engine(&self) -> Result<ScriptEngine> {
        let script = ScriptSource::read(&self.script).with_context(|| self.script.display().to_string())?;
        let (exports, panics) = (self.modules.exports(), self.host.counter("panics"));
        Ok(ScriptEngine::new(&script, &exports, Limits::default(), &panics)?)
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Gives a host of the virtual network a name.
    pub fn add_host(&self, name: &str, address: IpAddr) {
        self.outbox.add_host(name, address);
    }

    /// Takes a host off the virtual network: sending to it fails from now on.
    pub fn cut_off(&self, remote: SocketAddr) {
        self.outbox.cut_off(remote);
    }

    /// Ends the connections with a host; new ones can be made.
    pub fn disconnect(&self, remote: SocketAddr) {
        self.outbox.disconnect(remote);
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How many server and client transactions are under way.
    pub fn transactions(&self) -> (usize, usize) {
        let each = self.workers.iter().map(Worker::transactions);
        each.fold((0, 0), |(servers, clients), (server, client)| (servers + server, clients + client))
    }

    /// The wall clock of this site.
    pub fn unix(&self) -> SystemTime {
        self.clock.unix(self.now())
    }

    /// Hands the server a message as it comes over the wire, and returns what it sends because of it.
    pub fn deliver(&mut self, message: &[u8], flow: Flow) -> Vec<Sent> {
        let (worker, flow) = self.arriving(flow);
        self.run(|| worker.receive_datagram(message, flow))
    }

    /// The network tells the server that a datagram to `remote`, which began with `quoted`, did not arrive. Returns the
    /// messages that the server then sends.
    pub fn undelivered(&mut self, quoted: &[u8], remote: SocketAddr, kind: ErrorKind) -> Vec<Sent> {
        let (worker, _) = self.arriving(flow_from(remote, Protocol::Udp));
        self.run(|| worker.receive_undelivered(quoted, remote, kind))
    }

    /// As [`Site::deliver`], but the server is overloaded and refuses all requests that it may refuse.
    pub fn deliver_to_busy(&mut self, message: &[u8], flow: Flow) -> Vec<Sent> {
        let (worker, flow) = self.arriving(flow);
        self.run(|| {
            if !worker.refuse_at_a_glance(message, &flow) {
                worker.receive_datagram(message, flow);
            }
        })
    }

    /// As [`Site::deliver`], for several messages that arrive before any worker reads its mailbox.
    pub fn deliver_at_once(&mut self, messages: &[(&[u8], Flow)]) -> Vec<Sent> {
        let arriving: Vec<_> = messages.iter().map(|(message, flow)| (message, self.arriving(*flow))).collect();
        self.run(|| {
            for (message, (worker, flow)) in arriving {
                worker.receive_datagram(message, flow);
                worker.end_of_batch();
            }
        })
    }

    /// From now on the worker of `remote` counts as busy: after a while it hands new requests over.
    pub fn keep_busy(&self, remote: SocketAddr) {
        let worker = worker_of(server_address(), remote, self.workers.len(), self.seed);
        self.mailboxes.set_awake_since(u16::try_from(worker).expect("there are not so many workers"), Some(self.now()));
    }

    /// The same as [`Site::deliver`], but the script is read and loaded anew once this message has been routed so far that it waits for something,
    /// such as a commit.
    pub fn deliver_and_reload(&mut self, message: &[u8], flow: Flow) -> Result<Vec<Sent>> {
        let (worker, flow) = self.arriving(flow);
        let engines = self.workers.iter().map(|_| self.engine()).collect::<Result<Vec<_>>>()?;
        let workers = self.workers.clone();
        Ok(self.run(|| {
            worker.receive_datagram(message, flow);
            workers.iter().zip(engines).for_each(|(worker, engine)| worker.set_engine(Rc::new(engine)));
        }))
    }

    /// Runs a command such as `pa.show`, and returns its answer and what the server sends because of it.
    pub fn command(&mut self, name: &str, parameters: serde_json::Value) -> (Result<serde_json::Value>, Vec<Sent>) {
        let answer = match (self.modules.commands().find(|command| command.method == name), &self.background) {
            (Some(command), Some(background)) => background.block_on(command.run(parameters)).map_err(Into::into),
            _ => Err(anyhow::anyhow!("there is no command {name}")),
        };
        (answer, self.run(|| {}))
    }

    /// When the server next does something by itself, at the latest.
    pub fn next_timeout(&self) -> Instant {
        let tick = self.now() + TICK;
        self.workers.iter().filter_map(Worker::next_timeout).fold(tick, Instant::min)
    }

    /// Moves time to `instant`, which is not after [`Site::next_timeout`], and returns what the server sends then.
    pub fn wake_at(&mut self, instant: Instant) -> Vec<Sent> {
        self.clock.advance(instant.saturating_duration_since(self.now()));
        let (workers, host) = (self.workers.clone(), self.host.clone());
        self.run(|| {
            for worker in &workers {
                while !worker.fire_timers(1000) {}
            }
            host.tick();
        })
    }

    /// Lets time pass until then, and returns what the server sends meanwhile.
    pub fn pass_until(&mut self, end: Instant) -> Vec<Sent> {
        let mut sent = Vec::new();
        while self.now() < end {
            let next = self.next_timeout().min(end);
            sent.extend(self.wake_at(next));
        }
        sent
    }

    /// Ends as if the power had failed: nothing is flushed, nobody is told.
    pub fn crash(self) {
        drop(self);
    }

    /// Ends in order.
    pub fn stop(self) {
        if let Some(background) = &self.background {
            background.block_on(self.modules.stop());
            background.block_on(self.host.storage().close());
        }
    }

    /// The worker that receives messages on `flow`. Over TCP the sender makes a connection if there is none.
    fn arriving(&self, mut flow: Flow) -> (Worker, Flow) {
        let mut worker = worker_of(flow.local, flow.remote, self.workers.len(), self.seed);
        if flow.protocol.is_reliable() {
            let connection = flow.connection.unwrap_or_else(|| {
                let serial = self.connections.get() + 1;
                self.connections.set(serial);
                let worker = u16::try_from(worker).expect("there are not so many workers");
                self.outbox.accept(flow.remote, ConnectionId { worker, serial })
            });
            flow.connection = Some(connection);
            worker = connection.worker.into();
        }
        (self.workers[worker].clone(), flow)
    }

    /// Runs `event` and all that follows from it at this instant: suspended scripts, commits, mail between threads.
    fn run(&mut self, event: impl FnOnce()) -> Vec<Sent> {
        let (workers, host, outbox) = (self.workers.clone(), self.host.clone(), self.outbox.clone());
        self.local.block_on(&self.runtime, async move {
            event();
            let mut sent = outbox.take();
            let mut quiet = 0;
            while quiet < QUIET_ROUNDS {
                yield_now().await;
                let mut mail = 0;
                for worker in &workers {
                    worker.end_of_batch();
                    mail += worker.take_mail();
                }
                let more = outbox.take();
                let busy = mail > 0 || !more.is_empty() || host.storage().in_flight() > 0;
                if host.storage().in_flight() > 0 {
                    // The commit runs on another thread: real time has to pass for it.
                    std::thread::yield_now();
                }
                quiet = if busy { 0 } else { quiet + 1 };
                sent.extend(more);
            }
            sent
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.workers.clear();
        if let Some(background) = self.background.take() {
            background.shutdown_background();
        }
    }
}

/// A module with these parameters.
pub fn configured(entry: Box<dyn ModuleEntry>, parameters: &[(&str, Value)]) -> Result<Configured> {
    let mut module = Configured::new(entry);
    for (name, value) in parameters {
        module.settings.set(&module.tables.parameters, name, value)?;
    }
    Ok(module)
}

/// The worker to which the kernel gives datagrams from `remote`. A hash chooses, as with `SO_REUSEPORT`, so that one
/// address and port always has the same worker.
pub fn worker_of(local: SocketAddr, remote: SocketAddr, workers: usize, seed: u64) -> usize {
    // `DefaultHasher::new()` has a fixed key: one seed replays a run.
    let mut hasher = DefaultHasher::new();
    (seed, local, remote).hash(&mut hasher);
    usize::try_from(hasher.finish() % workers.max(1) as u64).unwrap_or_default()
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// The flow from this address to the server; over TCP, by its connection, which is made if there is none.
pub fn flow_from(remote: SocketAddr, protocol: Protocol) -> Flow {
    Flow { protocol, local: server_address(), remote, connection: None }
}

/// Where the server listens on the virtual network.
pub fn server_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 100], 5060))
}
