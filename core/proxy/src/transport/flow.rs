//! Where a message came from and where one goes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::interfaces;

/// A transport protocol, by the name it has in a Via header (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    /// Whether messages arrive once and in order: transactions then retransmit nothing (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// As in Via: `UDP`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// As in the `transport` parameter of a URI: `udp`.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// Any case; `None` for a transport that is not spoken here.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(name))
    }

    /// The port that is meant where a URI or Via names none (RFC 3261 §19.1.2).
    pub fn default_port(self) -> u16 {
        5060
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parameter())
    }
}

/// A connection of a worker: which worker holds it, and which of its connections it is. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub worker: u16,
    pub serial: u32,
}

/// The way between a local and a remote address: a pair of addresses over UDP, a connection over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    pub protocol: Protocol,
    /// The address that we listen on (UDP) or that the connection ends at here.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The connection that is meant; `None` over TCP means any connection to `remote`, a new one if there is none.
    pub connection: Option<ConnectionId>,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.remote)
    }
}

/// An address that the server listens on, and the name that it gives itself there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    pub protocol: Protocol,
    pub address: SocketAddr,
    /// What to write into Via, Record-Route and Contact instead of `address`: the public side of a NAT.
    pub advertise: Option<String>,
    /// The length of the prefix that all addresses of its network share, where an interface says so.
    pub prefix: Option<u8>,
}

impl Listener {
    /// `host:port` as others are told it: the advertised name, else the address.
    pub fn sent_by(&self) -> String {
        self.advertise.clone().unwrap_or_else(|| self.address.to_string())
    }

    /// Whether a message sent from this address can reach `remote`. From a loopback address it reaches only the
    /// addresses of this machine.
    pub(crate) fn reaches(&self, remote: SocketAddr) -> bool {
        self.reaches_by(remote, interfaces::is_own_address)
    }

    fn reaches_by(&self, remote: SocketAddr, is_own: impl Fn(IpAddr) -> bool) -> bool {
        self.address.is_ipv4() == remote.is_ipv4()
            && (!self.address.ip().is_loopback() || remote.ip().is_loopback() || is_own(remote.ip()))
    }

    /// Whether `remote` is a neighbour: an address of the same network.
    pub(crate) fn is_near(&self, remote: SocketAddr) -> bool {
        let Some(prefix) = self.prefix.map(u32::from) else { return false };
        let shared = match (self.address.ip(), remote.ip()) {
            (IpAddr::V4(own), IpAddr::V4(remote)) => (own.to_bits() ^ remote.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(remote)) => (own.to_bits() ^ remote.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= prefix
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_listener_reaches_every_address_of_the_machine_and_no_other() {
        let listener = |address: &str| Listener {
            protocol: Protocol::Udp,
            address: address.parse().unwrap(),
            advertise: None,
            prefix: None,
        };
        let own: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let reaches =
            |from: &str, to: &str| listener(from).reaches_by(to.parse().unwrap(), |address| own.contains(&address));
        assert!(reaches("127.0.0.1:5060", "127.0.0.9:5060") && reaches("127.0.0.1:5060", "192.0.2.1:5060"));
        assert!(reaches("[::1]:5060", "[2001:db8::1]:5060"));
        assert!(!reaches("127.0.0.1:5060", "192.0.2.2:5060") && !reaches("[::1]:5060", "[2001:db8::2]:5060"));
        assert!(!reaches("127.0.0.1:5060", "[2001:db8::1]:5060"), "another family");
        assert!(reaches("192.0.2.1:5060", "198.51.100.1:5060"));
    }
}
