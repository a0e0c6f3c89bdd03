//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::engine::Plan;

/// A SIP load generator for any server on IPv4 UDP or TCP: one thread, every answer verified,
/// one JSON line for each measured phase.
#[derive(Parser)]
#[command(name = "loadgen")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Subcommand)]
pub(crate) enum Mode {
    /// REGISTER of every user in turn
    Register {
        #[command(flatten)]
        common: Common,
        /// Unmeasured rounds over all users first
        #[arg(long, default_value_t = 0)]
        prime: u64,
    },
    /// MESSAGE from user to user; this process is both ends
    Message {
        #[command(flatten)]
        common: Common,
        /// Body size in bytes
        #[arg(long, default_value_t = 200)]
        body: usize,
        /// Count a 503 as refused instead of failed
        #[arg(long)]
        refusals: bool,
    },
    /// SUBSCRIBE dialogs, held, refreshed and ended
    Subscribe {
        #[command(flatten)]
        common: Common,
        #[arg(long, default_value_t = 1000)]
        watchers: u32,
        /// As many as watchers unless given
        #[arg(long)]
        presentities: Option<u32>,
        /// Refresh all of them in a second measured phase
        #[arg(long)]
        refresh: bool,
        /// End all of them in a last measured phase
        #[arg(long)]
        unsubscribe: bool,
        /// Seconds to hold them before reading the server's memory
        #[arg(long, default_value_t = 0.0)]
        hold: f64,
    },
    /// PUBLISH with all the NOTIFYs that follow
    Fanout {
        #[command(flatten)]
        common: Common,
        /// Watchers of each presentity
        #[arg(long, default_value_t = 10)]
        watchers: u32,
        #[arg(long, default_value_t = 1)]
        presentities: u32,
        /// Bytes to add to each document
        #[arg(long, default_value_t = 0)]
        pad: usize,
    },
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum AuthMode {
    None,
    /// Answer every challenge, remember nothing: each operation costs two round trips
    Challenge,
    /// Keep the nonce and send credentials at once, with a rising nonce count
    Reuse,
}

#[derive(Args)]
pub(crate) struct Common {
    #[arg(long, default_value = "127.0.0.1:5060")]
    pub(crate) server: SocketAddrV4,
    /// Domain of the users' addresses; the server's address unless given
    #[arg(long)]
    domain: Option<String>,
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
    pub(crate) bind: Ipv4Addr,
    #[arg(long)]
    pub(crate) tcp: bool,
    /// Sockets (connections over TCP) at each end; several times the server's workers
    #[arg(long, default_value_t = 8)]
    pub(crate) sockets: usize,
    /// Operations; one round over the users unless given
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// Operations a second, open loop; 0 is as fast as the window allows
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Operations in flight at most
    #[arg(long, default_value_t = 64)]
    pub(crate) window: u64,
    /// Seconds after which to give up
    #[arg(long, default_value_t = 120.0)]
    max_time: f64,
    /// Seconds after which an operation has failed
    #[arg(long, default_value_t = 16.0)]
    pub(crate) timeout: f64,
    /// Process trees of the server, for CPU time and memory
    #[arg(long, value_delimiter = ',')]
    pub(crate) server_pid: Vec<u32>,
    /// Text that is copied to the output
    #[arg(long, default_value = "")]
    pub(crate) label: String,
    #[arg(long, default_value_t = 1000)]
    pub(crate) users: u32,
    #[arg(long, default_value = "u")]
    pub(crate) user_prefix: String,
    #[arg(long, default_value = "p")]
    pub(crate) password_prefix: String,
    /// Lines of user[:password] in place of generated names
    #[arg(long)]
    pub(crate) users_file: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) auth: AuthMode,
    /// Expires of registrations, subscriptions and publications, in seconds
    #[arg(long, default_value_t = 3600)]
    pub(crate) expires: u32,
    /// Seconds to wait between set-up and measurement
    #[arg(long, default_value_t = 0.5)]
    pub(crate) settle: f64,
    /// Operations a second while setting up
    #[arg(long, default_value_t = 0.0)]
    pub(crate) setup_rate: f64,
}

impl Common {
    pub(crate) fn domain(&self) -> String {
        self.domain.clone().unwrap_or_else(|| IpAddr::from(*self.server.ip()).to_string())
    }

    pub(crate) fn plan(&self, default_count: u64) -> Plan {
        Plan {
            count: self.count.unwrap_or(default_count),
            rate: self.rate,
            window: self.window,
            max_secs: self.max_time,
        }
    }

    pub(crate) fn setup_plan(&self, count: u64) -> Plan {
        Plan { count, rate: self.setup_rate, window: 64, max_secs: 60.0 }
    }
}
