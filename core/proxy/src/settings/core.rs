//! The settings, their types and defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use signalbox_sip::transaction::Timers;

use super::RouteKeySettings;
use crate::logging::Format;
use crate::module::Configured;
use crate::route_token::RouteKeys;
use crate::script::Limits;
use crate::transport::tcp::TcpLimits;
use crate::transport::{Listener, interfaces};
use crate::worker::Options;

/// All that a settings file says: the core's own settings, and the modules with their parameters.
pub struct Settings {
    pub core: CoreSettings,
    /// In the order of the `loadmodule` lines.
    pub modules: Vec<Configured>,
}

/// What is set for the core itself. Relative paths are relative to the folder that the server runs in.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// Where these settings were read from; empty for those of a test.
    pub file: PathBuf,
    pub listen: Vec<Listener>,
    /// Domains that are ours, in lower case, as `host` or `host:port`; the addresses that we listen on are ours anyway.
    pub aliases: Vec<String>,
    /// Worker threads; `None` for one per processor.
    pub workers: Option<usize>,
    /// Memory, in bytes, that is taken from the system at the start and kept.
    pub preallocate: usize,
    pub log: LogSettings,
    pub admin_socket: PathBuf,
    pub route_script: PathBuf,
    /// The key that signs the Record-Route of dialogs.
    pub route_key: RouteKeySettings,
    pub limits: ServerLimits,
    /// The timers of transactions (RFC 3261 table 4).
    pub timers: Timers,
    /// What the Server header of responses made here says; empty for none.
    pub server_header: String,
}

/// How much is logged, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub level: String,
    pub format: Format,
    /// Levels of single modules; `core` and `script` count as such.
    pub modules: BTreeMap<String, String>,
}

/// Bounds of what peers and scripts can make the server hold, and for how long.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// What a routing script may use.
    pub script: Limits,
    /// Connections: how many, and how long each step may take.
    pub tcp: TcpLimits,
    /// How long a stop waits for transactions under way.
    pub drain_timeout: Duration,
    /// How long new requests may have waited in a worker's sockets before they are refused with 503.
    pub overload_delay: Duration,
    /// How often a worker is woken in a second at the most when there is little to do each time.
    pub wakeups: u32,
}

/// Most megabytes that can be taken from the system at the start.
pub const MAX_PREALLOCATED: usize = 1 << 20;
/// Most worker threads that can be set: the branch that a worker writes has room for this many.
pub const MAX_WORKERS: usize = 256;

impl Default for CoreSettings {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            listen: Vec::new(),
            aliases: Vec::new(),
            workers: None,
            preallocate: 0,
            log: LogSettings::default(),
            admin_socket: "var/signalbox.sock".into(),
            route_script: PathBuf::new(),
            route_key: RouteKeySettings::default(),
            limits: ServerLimits::default(),
            timers: Timers::default(),
            server_header: String::new(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".into(), format: Format::Human, modules: BTreeMap::new() }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        let options = Options::default();
        Self {
            script: Limits::default(),
            tcp: options.tcp,
            drain_timeout: options.drain_timeout,
            overload_delay: options.overload_delay,
            wakeups: options.wakeups,
        }
    }
}

impl CoreSettings {
    /// What the workers need of this. Without a set number there is one worker per processor; who listens on all addresses
    /// listens on those that the machine has now.
    pub fn options(&self) -> Options {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
        Options {
            // Invariant: the number of workers is at most MAX_WORKERS, so nothing is cut off.
            workers: self.workers.unwrap_or_else(processors) as u16,
            listeners: interfaces::expand(&self.listen, &interfaces::interfaces()),
            aliases: self.aliases.clone(),
            // Read only when a server starts: see `RouteKeySettings::load`.
            route_keys: RouteKeys::default(),
            timers: self.timers,
            tcp: self.limits.tcp.clone(),
            server_header: self.server_header.clone(),
            drain_timeout: self.limits.drain_timeout,
            overload_delay: self.limits.overload_delay,
            wakeups: self.limits.wakeups,
        }
    }
}
