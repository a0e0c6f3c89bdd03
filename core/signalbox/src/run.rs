//! `signalbox run`: from the settings to a server that serves, and to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signalbox::admin::{AdminSocket, Operations, Registry, commands};
use signalbox::clock::Clock;
use signalbox::error::explain;
use signalbox::logging::Logging;
use signalbox::module::host::TICK;
use signalbox::module::{Configured, Host, ModuleSet};
use signalbox::script::ScriptSource;
use signalbox::settings::{CoreSettings, LogSettings, Settings};
use signalbox::storage::{self, Storage};
use signalbox::worker::server::Setup;
use signalbox::worker::{Options, Server};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::allocator;
use crate::output;
use crate::running::Running;
use crate::settings::{self, SettingsFile};

/// Starts the server
#[derive(Args, Default)]
#[command(after_help = "\
Ctrl-C (SIGINT) and SIGTERM end it once what is under way has ended; a second one ends it at once.
SIGHUP reloads the routing script: one with an error is refused and the old one stays.

Examples:
  signalbox run
  signalbox run /etc/signalbox/signalbox.lua
  signalbox run --workers 1 --log debug")]
pub(crate) struct Run {
    #[command(flatten)]
    settings: SettingsFile,
    /// Worker threads, whatever the settings say
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// The log level, whatever the settings say: off, error, warn, info, debug or trace
    #[arg(short, long, value_name = "LEVEL")]
    log: Option<String>,
}

/// Threads for HTTP and commands, beside the workers and the one for databases, which has no second one that each of its events would wake as
/// well.
const BACKGROUND_THREADS: usize = 2;

impl Run {
    pub(crate) fn execute(self) -> Result<()> {
        let Settings { mut core, modules } = settings::read(self.settings.path())?;
        if let Some(level) = self.log {
            core.log = LogSettings { level, format: core.log.format, ..LogSettings::default() };
        }
        core.workers = self.workers.map(usize::from).or(core.workers);
        let logging = start_log(&core.log)?;
        take_all_descriptors();
        allocator::preallocate(core.preallocate);
        let background = runtime("background", BACKGROUND_THREADS)?;
        let storage_runtime = runtime("storage", 1)?;
        let options = storage::Options { exclusive: true, ..storage::Options::default() };
        let databases = Storage::with(storage_runtime.handle().clone(), options);
        let host = Host::with_storage(background.handle().clone(), databases, Clock::real());
        let served = serve(&background, &host, (&core, &modules), &logging);
        // What still drains when a second signal has come is not waited for.
        background.shutdown_background();
        storage_runtime.shutdown_background();
        served
    }
}

fn runtime(name: &str, threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()
}

/// Each connection is a file descriptor. Many systems allow a process 1024 unless it asks for more, which it may up to another limit.
fn take_all_descriptors() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of file descriptors cannot be raised");
    }
}

fn start_log(settings: &LogSettings) -> Result<Logging> {
    let logging = Logging::start(settings.format, &settings.level)?;
    for (module, level) in &settings.modules {
        logging.set(Some(module), level)?;
    }
    Ok(logging)
}

fn serve(
    background: &Runtime,
    host: &Host,
    (core, configured): (&CoreSettings, &[Configured]),
    logging: &Logging,
) -> Result<()> {
    let modules = background.block_on(ModuleSet::start(host, configured))?;
    // Before the first answer: whoever has that may send a signal, which must not end the server as it is.
    let started = background
        .block_on(async { Signals::new() })
        .and_then(|signals| Ok((signals, start(core, host, &modules, configured)?)));
    let result = started.and_then(|(signals, (server, running))| {
        attend(background, (server, signals), &Arc::new(running), &modules, (core, logging))
    });
    background.block_on(async {
        modules.stop().await;
        host.storage().close().await;
    });
    result
}

/// Compiles the script, binds the sockets, starts the workers.
fn start(
    core: &CoreSettings,
    host: &Host,
    modules: &ModuleSet,
    configured: &[Configured],
) -> Result<(Server, Running)> {
    let setup = Setup {
        options: Options { route_keys: core.route_key.load()?, ..core.options() },
        host: host.clone(),
        clock: host.clock().clone(),
        exports: Arc::new(modules.exports()),
        script: ScriptSource::read(&core.route_script)?,
        limits: core.limits.script,
    };
    let server = Server::start(setup.clone())?;
    let running = Running {
        workers: server.workers().clone(),
        setup,
        script: core.route_script.clone(),
        modules: configured.iter().map(|module| module.tables.clone()).collect(),
        started: SystemTime::now(),
        stop: Arc::new(Notify::new()),
    };
    Ok((server, running))
}

/// Serves commands and signals until the server is told to stop, and drains it.
fn attend(
    background: &Runtime,
    (server, mut signals): (Server, Signals),
    running: &Arc<Running>,
    modules: &ModuleSet,
    (core, logging): (&CoreSettings, &Logging),
) -> Result<()> {
    let registry = registry(running, modules, logging);
    let attended = background.block_on(async {
        let socket = AdminSocket::bind(&core.admin_socket).context("admin socket")?;
        let under_way = socket.under_way();
        let admin = tokio::spawn(socket.serve(registry));
        let ticks = tokio::spawn(tick(running.setup.host.clone()));
        let left_out = tokio::spawn(tell_what_was_left_out(logging.clone()));
        // A server whose standard output is closed serves all the same.
        let _ = output::say(&banner(running, core));
        signals.attend(running).await;
        ticks.abort();
        left_out.abort();
        admin.abort();
        // Its end removes the socket's file.
        let _ = admin.await;
        // Who asked for the end hears of it.
        let _ = timeout(LAST_ANSWERS, under_way.answered()).await;
        Ok::<_, anyhow::Error>(())
    });
    let draining = background.spawn_blocking(move || server.stop());
    attended?;
    background.block_on(async {
        tokio::select! {
            _ = draining => {
                tracing::info!("stopped");
                Ok(())
            }
            () = signals.terminated() => Err(anyhow::anyhow!("stopped before everything had ended")),
            // A worker that hangs does not even check the clock.
            () = tokio::time::sleep(core.limits.drain_timeout + STUCK) => {
                Err(anyhow::anyhow!("stopped although a worker did not end: it is stuck"))
            }
        }
    })
}

fn registry(running: &Arc<Running>, modules: &ModuleSet, logging: &Logging) -> Arc<Registry> {
    let mut registry = Registry::new();
    modules.commands().for_each(|command| registry.add_export(command.clone()));
    let operations: Arc<dyn Operations> = running.clone();
    commands::add(&mut registry, &operations, logging);
    Arc::new(registry)
}

async fn tick(host: Host) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        host.tick();
    }
}

/// Between two looks at what the log left out.
const LEFT_OUT: Duration = Duration::from_secs(10);

async fn tell_what_was_left_out(logging: Logging) {
    loop {
        tokio::time::sleep(LEFT_OUT).await;
        logging.tell_what_was_left_out();
    }
}

/// How much longer than the drain time a worker may take to end before it counts as hanging.
const STUCK: Duration = Duration::from_secs(1);

/// For so long a stop waits for the answers to commands.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Some send a signal to a process and at once to its group, too, and mean one.
const ECHO: Duration = Duration::from_millis(250);

/// The signals that a server listens to.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads as often as asked; returns when the server is to stop.
    async fn attend(&mut self, running: &Running) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                () = running.stop.notified() => break,
                _ = self.hangup.recv() => match running.reload_script().await {
                    Ok(()) => tracing::info!(script = %running.script.display(), "script reloaded"),
                    Err(error) => tracing::error!("the script is refused and the old one stays: {}", explain(&error)),
                },
            }
        }
        tracing::info!("draining; another signal stops at once");
    }

    /// Waits for a second signal to stop.
    async fn terminated(&mut self) {
        let first = tokio::time::Instant::now();
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            if first.elapsed() >= ECHO {
                return;
            }
        }
    }
}

/// What listens, what is loaded, what to type next.
fn banner(running: &Running, core: &CoreSettings) -> String {
    let listeners: Vec<String> = running.setup.options.listeners.iter().map(ToString::to_string).collect();
    let modules: Vec<&str> = running.modules.iter().map(|module| module.name).collect();
    let modules = if modules.is_empty() { "none".to_owned() } else { modules.join(", ") };
    let domain = core.aliases.iter().find(|alias| *alias != "localhost").map_or("localhost", String::as_str);
    // As it was called: most start it before it is installed.
    let called = std::env::args_os().next().unwrap_or_else(|| "signalbox".into());
    let called = PathBuf::from(called).display().to_string();
    let default_socket = CoreSettings::default().admin_socket;
    let ctl = match core.admin_socket == default_socket {
        true => format!("{called} ctl"),
        false => format!("{called} ctl --socket {}", core.admin_socket.display()),
    };
    let config = match core.file == Path::new(settings::DEFAULT) {
        true => String::new(),
        false => format!(" --config {}", core.file.display()),
    };
    let user = format!("{called} user add alice@{domain}{config}");
    let width = user.len().max(ctl.len());
    let [version, pid] = [env!("CARGO_PKG_VERSION").to_owned(), std::process::id().to_string()];
    let has_accounts = running.modules.iter().any(|module| module.name == "auth");
    let user = if has_accounts { format!("  {user:width$}   make an account\n") } else { String::new() };
    format!(
        "Signalbox {version} is running (process {pid})\n\
         \x20 listens on  {}\n\
         \x20 modules     {modules}\n\
         \x20 script      {}\n\
         \x20 workers     {}\n\
         Next, in another terminal:\n\
         {user}\
         \x20 {ctl:width$}   ask or tell this server something\n\
         Ctrl-C stops it; kill -HUP {pid} reloads the script.\n",
        listeners.join(", "),
        running.script.display(),
        running.workers.count(),
    )
}
