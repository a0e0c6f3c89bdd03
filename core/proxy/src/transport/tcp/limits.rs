//! How many connections there may be, and for how long.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Limits and time-outs of connections, from the settings.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections of one worker.
    pub max_connections: usize,
    /// Of these, connections with one peer: an IPv4 address, or the /64 that an IPv6 address is in.
    pub max_per_peer: usize,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long a connection without any traffic is kept.
    pub idle_timeout: Duration,
    /// How long a new connection may take until its first complete message.
    pub first_message_timeout: Duration,
    /// How long a message may take from its first octet to its last, plus one second per [`MIN_RATE`] octets.
    pub message_timeout: Duration,
    /// How long a peer may read nothing while octets wait to be written to it.
    pub write_timeout: Duration,
    /// Octets of unfinished messages, in both directions, that are held for one peer by all workers together.
    pub max_octets_per_peer: usize,
    /// The same for all peers.
    pub max_octets: usize,
}

/// The least octets per second that a peer must send of a long message.
pub(super) const MIN_RATE: u32 = 4_000;
/// Octets of a connection that are not counted: an incomplete message is mostly shorter.
pub(super) const UNCOUNTED: usize = 4 * 1024;

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_per_peer: 4_096,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(3600),
            first_message_timeout: Duration::from_secs(32),
            message_timeout: Duration::from_secs(32),
            write_timeout: Duration::from_secs(120),
            max_octets_per_peer: 32 * 1024 * 1024,
            max_octets: 256 * 1024 * 1024,
        }
    }
}

/// How many connections there are with each peer.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<IpAddr, usize>);

impl Peers {
    /// Counts a connection with `address`; false where there are `limit` already.
    pub(super) fn add(&mut self, address: IpAddr, limit: usize) -> bool {
        let count = self.0.entry(peer(address)).or_insert(0);
        let fits = *count < limit;
        *count += usize::from(fits);
        fits
    }

    /// A connection that [`Peers::add`] has counted is over.
    pub(super) fn remove(&mut self, address: IpAddr) {
        let peer = peer(address);
        if let Some(count) = self.0.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&peer);
            }
        }
    }
}

/// Whom an address belongs to: a whole /64 of IPv6 is one host's to choose from.
pub(super) fn peer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_has_no_more_connections_than_its_limit_until_one_ends() {
        let (mut peers, one, other) = (Peers::default(), IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert!(peers.add(one, 2) && peers.add(one, 2));
        assert!(!peers.add(one, 2));
        assert!(peers.add(other, 2));
        peers.remove(one);
        assert!(peers.add(one, 2));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let mut peers = Peers::default();
        assert!(peers.add("2001:db8::1".parse().unwrap(), 1));
        assert!(!peers.add("2001:db8::2:3:4".parse().unwrap(), 1));
        assert!(peers.add("2001:db8:0:1::1".parse().unwrap(), 1));
    }

    #[test]
    fn peers_without_connections_cost_no_memory() {
        let mut peers = Peers::default();
        let one = IpAddr::from([192, 0, 2, 1]);
        peers.add(one, 2);
        peers.remove(one);
        assert!(peers.0.is_empty());
    }
}
