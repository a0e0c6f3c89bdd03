//! What of the settings a worker needs.

use std::time::Duration;

use signalbox_sip::transaction::Timers;

use crate::route_token::RouteKeys;
use crate::transport::Listener;
use crate::transport::tcp::TcpLimits;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads.
    pub workers: u16,
    /// Addresses to listen on, the preferred first.
    pub listeners: Vec<Listener>,
    /// Domains and hosts that the server is responsible for, as `host` or `host:port`.
    pub aliases: Vec<String>,
    /// The key that signs the Record-Route of dialogs, and the keys whose signatures are accepted.
    pub route_keys: RouteKeys,
    /// T1, T2, T4 and timer C.
    pub timers: Timers,
    pub tcp: TcpLimits,
    /// What the Server header of responses made here says; empty for none.
    pub server_header: String,
    /// How long a stop waits for transactions under way.
    pub drain_timeout: Duration,
    /// How long new requests may have waited for their turn before they are refused with 503.
    pub overload_delay: Duration,
    /// How often a worker is woken in a second at the most when there is little to do each time.
    pub wakeups: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            listeners: Vec::new(),
            aliases: Vec::new(),
            route_keys: RouteKeys::default(),
            timers: Timers::default(),
            tcp: TcpLimits::default(),
            server_header: String::new(),
            drain_timeout: Duration::from_secs(5),
            overload_delay: Duration::from_millis(50),
            wakeups: 2000,
        }
    }
}
