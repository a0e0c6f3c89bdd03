//! The connections of all workers of a server, and the octets held for them.
//!
//! By RFC 3261 §18 a message uses any open connection to its address, port and transport, whether this side made it or
//! accepted it. A worker looks here if it has no such connection itself, before it makes one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::limits::{TcpLimits, peer};
use crate::transport::ConnectionId;

/// See the [module](self). Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct SharedConnections(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The connections with one address and port, the newest last.
    by_remote: HashMap<SocketAddr, SmallVec<[ConnectionId; 1]>>,
    /// Octets held for each peer; peers without any have no entry.
    octets: HashMap<IpAddr, usize>,
    total: usize,
}

impl SharedConnections {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer has made a connection.
    pub(super) fn add(&self, remote: SocketAddr, id: ConnectionId) {
        self.state().by_remote.entry(remote).or_default().push(id);
    }

    /// Registers a connection that a worker is going to make, or returns an existing one. So if two workers want to
    /// reach one peer at once, only one connects.
    pub(super) fn claim(&self, remote: SocketAddr, id: ConnectionId) -> Result<(), ConnectionId> {
        let mut state = self.state();
        let known = state.by_remote.entry(remote).or_default();
        match known.last() {
            Some(other) => Err(*other),
            None => {
                known.push(id);
                Ok(())
            }
        }
    }

    /// The newest connection with `remote`, whichever worker holds it.
    pub(super) fn find(&self, remote: SocketAddr) -> Option<ConnectionId> {
        self.state().by_remote.get(&remote)?.last().copied()
    }

    /// Removes a connection that has ended. Returns another one that the same worker has with `remote`.
    pub(super) fn remove(&self, remote: SocketAddr, id: ConnectionId) -> Option<ConnectionId> {
        let mut state = self.state();
        let known = state.by_remote.get_mut(&remote)?;
        known.retain(|other| *other != id);
        let other = known.iter().rfind(|other| other.worker == id.worker).copied();
        if known.is_empty() {
            state.by_remote.remove(&remote);
        }
        other
    }

    /// Changes the octets held for a connection with `remote` from `old` to `new`. False if that exceeds a limit; then
    /// `old` still counts.
    pub(super) fn hold(&self, remote: SocketAddr, (old, new): (usize, usize), limits: &TcpLimits) -> bool {
        let mut state = self.state();
        let peer = peer(remote.ip());
        let of_peer = state.octets.get(&peer).copied().unwrap_or(0).saturating_sub(old) + new;
        let total = state.total.saturating_sub(old) + new;
        if new > old && (of_peer > limits.max_octets_per_peer || total > limits.max_octets) {
            return false;
        }
        state.total = total;
        if of_peer == 0 {
            state.octets.remove(&peer);
        } else {
            state.octets.insert(peer, of_peer);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(worker: u16, serial: u32) -> ConnectionId {
        ConnectionId { worker, serial }
    }

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_connection_is_found_by_whichever_worker_until_it_ends() {
        let shared = SharedConnections::default();
        assert_eq!(shared.find(remote(1)), None);
        shared.add(remote(1), id(0, 1));
        shared.add(remote(1), id(1, 1));
        assert_eq!((shared.find(remote(1)), shared.find(remote(2))), (Some(id(1, 1)), None));
        assert_eq!(shared.remove(remote(1), id(1, 1)), None);
        assert_eq!(shared.find(remote(1)), Some(id(0, 1)));
        shared.add(remote(1), id(0, 2));
        assert_eq!(shared.remove(remote(1), id(0, 2)), Some(id(0, 1)), "the older one takes its place");
        assert_eq!(shared.remove(remote(1), id(0, 1)), None);
        assert!(shared.state().by_remote.is_empty());
    }

    #[test]
    fn of_two_workers_that_want_to_connect_to_one_peer_one_does() {
        let shared = SharedConnections::default();
        assert_eq!(shared.claim(remote(1), id(0, 1)), Ok(()));
        assert_eq!(shared.claim(remote(1), id(1, 1)), Err(id(0, 1)));
        shared.remove(remote(1), id(0, 1));
        assert_eq!(shared.claim(remote(1), id(1, 2)), Ok(()));
    }

    #[test]
    fn octets_are_limited_for_a_peer_and_for_all_peers() {
        let shared = SharedConnections::default();
        let limits = TcpLimits { max_octets_per_peer: 100, max_octets: 150, ..TcpLimits::default() };
        assert!(shared.hold(remote(1), (0, 60), &limits));
        assert!(!shared.hold(remote(2), (0, 60), &limits), "of the same peer");
        let v6 = |host: &str| SocketAddr::new(host.parse().unwrap(), 5060);
        assert!(shared.hold(v6("2001:db8::1"), (0, 60), &limits));
        assert!(!shared.hold(v6("2001:db8::2"), (0, 60), &limits), "a /64 is one peer");
        assert!(!shared.hold(v6("2001:db8:1::1"), (0, 60), &limits), "all peers together");
        assert!(shared.hold(remote(1), (60, 0), &limits));
        assert!(shared.hold(v6("2001:db8:1::1"), (0, 60), &limits));
        assert!(shared.hold(v6("2001:db8::1"), (60, 0), &limits) && shared.hold(v6("2001:db8:1::1"), (60, 0), &limits));
        assert!(shared.state().octets.is_empty() && shared.state().total == 0, "peers without octets cost no memory");
    }
}
