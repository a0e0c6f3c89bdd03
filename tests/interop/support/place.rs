//! Where a test happens: a folder that goes with it, and addresses that no other test uses at the same time.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

pub(crate) const DOMAIN: &str = "signalbox.test";
/// The server's port at a loopback address. Not 5060: there a server that somebody runs on this machine may listen on all addresses, and
/// answer before the one under test does.
const SERVER_PORT: u16 = 5064;

pub(crate) struct Place {
    /// A loopback address of its own, or the host's where a peer ignores loopback.
    pub(crate) address: Ipv4Addr,
    pub(crate) server_port: u16,
    /// Of the users.
    pub(crate) domain: &'static str,
    /// Where phones send everything to.
    pub(crate) outbound: Ipv4Addr,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn on_loopback() -> Self {
        let [_, high, middle, low] = test_number().to_be_bytes();
        let address = Ipv4Addr::new(127, 64 | (high & 63), middle, low);
        Self::at(address, SERVER_PORT)
    }

    /// At the host's own address, for peers that ignore loopback. Twenty ports from `server_port` on are the test's own.
    pub(crate) fn on_host() -> Option<Self> {
        let table = fs::read_to_string("/proc/net/fib_trie").ok()?;
        let address = local_addresses(&table).into_iter().find(|address| !address.is_loopback())?;
        // Below the ports that the kernel gives out, and apart from those of tests in other processes and threads.
        let server_port = 10_000 + (test_number() % 1000) as u16 * 20;
        Some(Self::at(address, server_port))
    }

    fn at(address: Ipv4Addr, server_port: u16) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        Self { address, server_port, domain: DOMAIN, outbound: address, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write_file(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// `address:port` of the server.
    pub(crate) fn server(&self) -> String {
        format!("{}:{}", self.address, self.server_port)
    }
}

/// Tests run as processes of one run (nextest) or as threads of one process; both get different numbers, of which the last octet is
/// neither 0 nor 255.
fn test_number() -> u32 {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    process::id().wrapping_mul(64).wrapping_add(1 + COUNTER.fetch_add(1, Ordering::Relaxed) % 62)
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The addresses of this host in the kernel's routing table as /proc/net/fib_trie shows it: each stands on a line
/// of its own, followed by one that says `/32 host LOCAL`.
fn local_addresses(table: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.filter(|address| !found.contains(address)));
        }
    }
    found
}

#[test]
fn the_host_addresses_are_found_in_the_routing_table() {
    let table = "Local:\n  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 192.0.2.2\n     /32 host LOCAL\n  |-- 192.0.2.255\n     /32 link BROADCAST\n";
    assert_eq!(local_addresses(table), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 2)]);
}
