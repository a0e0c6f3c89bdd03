//! What a worker sends through: real sockets, or the virtual network of a test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use socket2::{Domain, Socket, Type};

use super::packet::Octets;
use super::resolve::{self, Addresses, ResolveError};
use super::tcp::Connections;
use super::udp::UdpSockets;
use super::{ConnectionId, Flow, Listener, Protocol};
use crate::transactions::ClientId;

/// The largest datagram that is sent for a request; larger requests go over TCP (RFC 3261 §18.1.1: 1300 bytes where
/// the path MTU is unknown).
pub const MAX_UDP_REQUEST: usize = 1300;

/// Why bytes could not be handed to the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("nothing listens on {protocol} for addresses like {remote}")]
    NoListener { protocol: Protocol, remote: SocketAddr },
    #[error("the connection to {remote} is gone")]
    ConnectionGone { remote: SocketAddr },
    #[error("{remote} does not take its messages fast enough: {limit} bytes are waiting for it")]
    Backlog { remote: SocketAddr, limit: usize },
    #[error("there are {limit} connections already")]
    TooManyConnections { limit: usize },
    #[error("there are {limit} connections with the peer of {remote} already")]
    TooManyOfPeer { remote: SocketAddr, limit: usize },
    #[error("its Via names no address that it could be sent to")]
    NoWay,
    #[error("sending to {remote} failed: {kind}")]
    Io { remote: SocketAddr, kind: ErrorKind },
    #[error("the network reports that {remote} cannot be reached: {kind}")]
    Undeliverable { remote: SocketAddr, kind: ErrorKind },
}

/// The client transaction to tell if its request cannot be sent, and the worker that has it.
pub(crate) type Waiter = (u16, ClientId);

/// The request of a client transaction could not be sent; this became known after it was handed to the network.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) client: ClientId,
    pub(crate) error: SendError,
}

/// The sockets of one worker, or what stands for them in a test.
#[derive(Debug)]
pub enum Network {
    Sockets(Sockets),
    Virtual(Outbox),
}

/// Real sockets.
#[derive(Debug)]
pub struct Sockets {
    pub(crate) udp: UdpSockets,
    pub(crate) tcp: Connections,
}

/// The network of a worker in a test: what was sent, in order, until the test takes it away; and what the test has said
/// about names, addresses and connections. The workers of one server share it.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    outside: Rc<RefCell<Outside>>,
}

#[derive(Debug, Default)]
struct Outside {
    sent: Vec<Sent>,
    hosts: BTreeMap<String, Addresses>,
    unreachable: BTreeSet<SocketAddr>,
    disconnected: BTreeSet<SocketAddr>,
    /// The connections that peers have made, by the address at their end.
    connections: BTreeMap<SocketAddr, ConnectionId>,
}

/// Octets, and the flow that they were sent on.
pub type Sent = (Flow, Vec<u8>);

impl Outbox {
    /// Removes and returns all messages that the workers have sent since the last call.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.outside.borrow_mut().sent)
    }

    /// The connection made by `remote`: the existing one, else `new`. Nothing can be sent over it after
    /// [`Outbox::disconnect`].
    pub fn accept(&self, remote: SocketAddr, new: ConnectionId) -> ConnectionId {
        let mut outside = self.outside.borrow_mut();
        if outside.disconnected.contains(&remote) {
            return new;
        }
        *outside.connections.entry(remote).or_insert(new)
    }

    /// Gives the host of this name, in lower case, one more address. Names that were given none do not exist.
    pub fn add_host(&self, name: &str, address: IpAddr) {
        self.outside.borrow_mut().hosts.entry(name.to_owned()).or_default().push(address);
    }

    /// From now on sending to `remote` fails.
    pub fn cut_off(&self, remote: SocketAddr) {
        self.outside.borrow_mut().unreachable.insert(remote);
    }

    /// The connections with `remote` are gone. New ones can be made.
    pub fn disconnect(&self, remote: SocketAddr) {
        let mut outside = self.outside.borrow_mut();
        outside.connections.remove(&remote);
        outside.disconnected.insert(remote);
    }

    fn send(&self, flow: &Flow, octets: Octets<'_>) -> Result<(), SendError> {
        let mut outside = self.outside.borrow_mut();
        let mut flow = *flow;
        if flow.protocol.is_reliable() && flow.connection.is_none() {
            // Any worker may hold it; on the real network `SharedConnections` finds it.
            flow.connection = outside.connections.get(&flow.remote).copied();
        }
        if flow.connection.is_some() && outside.disconnected.contains(&flow.remote) {
            return Err(SendError::ConnectionGone { remote: flow.remote });
        }
        if outside.unreachable.contains(&flow.remote) {
            return Err(SendError::Io { remote: flow.remote, kind: ErrorKind::ConnectionRefused });
        }
        outside.sent.push((flow, octets.to_vec()));
        Ok(())
    }

    fn is_connected(&self, remote: SocketAddr) -> bool {
        self.outside.borrow().connections.contains_key(&remote)
    }

    fn resolve(&self, name: &str) -> Option<Addresses> {
        self.outside.borrow().hosts.get(&name.to_ascii_lowercase()).cloned()
    }
}

impl Network {
    /// Queues a message for the network: it goes out when the batch of events that is being handled ends. A failure that
    /// shows later, such as a connection that cannot be made, is told to the client transaction `client`.
    pub(crate) fn send(&self, flow: &Flow, octets: Octets<'_>, client: Option<ClientId>) -> Result<(), SendError> {
        match self {
            Self::Sockets(sockets) => match flow.protocol {
                Protocol::Udp => sockets.udp.send(flow, octets, client),
                Protocol::Tcp => sockets.tcp.send(flow, octets, client),
            },
            Self::Virtual(outbox) => outbox.send(flow, octets),
        }
    }

    /// As above, for a message from another worker, whose client transaction is told if it fails.
    pub(crate) fn send_for(&self, flow: &Flow, octets: Octets<'_>, waiter: Option<Waiter>) -> Result<(), SendError> {
        match self {
            Self::Sockets(sockets) if flow.protocol == Protocol::Tcp => sockets.tcp.send_for(flow, octets, waiter),
            _ => self.send(flow, octets, None),
        }
    }

    /// Whether there is a connection with `remote`.
    pub(crate) fn is_connected(&self, remote: SocketAddr) -> bool {
        match self {
            Self::Sockets(sockets) => sockets.tcp.is_connected(remote),
            Self::Virtual(outbox) => outbox.is_connected(remote),
        }
    }

    /// The addresses of a host, in the order to try them.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Addresses, ResolveError> {
        match self {
            Self::Sockets(_) => resolve::resolve(name).await,
            Self::Virtual(outbox) => outbox.resolve(name).ok_or(ResolveError::NoAddress),
        }
    }

    /// Sends what [`Network::send`] queued.
    pub(crate) fn flush(&self) {
        if let Self::Sockets(sockets) = self {
            sockets.udp.flush();
            sockets.tcp.flush();
        }
    }

    /// Sends the datagrams that [`Network::send`] queued.
    pub(crate) fn flush_datagrams(&self) {
        if let Self::Sockets(sockets) = self {
            sockets.udp.flush();
        }
    }

    /// The requests that could not be sent since the last call.
    pub(crate) fn take_failed(&self) -> Vec<Failure> {
        match self {
            Self::Sockets(sockets) => sockets.udp.take_failed(),
            Self::Virtual(_) => Vec::new(),
        }
    }
}

/// Fails where another process has a socket at this address, be it one that would share it.
pub(crate) fn claim(protocol: Protocol, address: SocketAddr) -> io::Result<()> {
    let kind = if protocol.is_reliable() { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if protocol.is_reliable() {
        // Connections of an earlier server that have not quite ended are in nobody's way.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())
}

/// The listener that a message to `remote` leaves from: of those that reach it, `preferred`, else one in its network,
/// else the first.
pub fn listener_for(
    listeners: &[Listener],
    protocol: Protocol,
    remote: SocketAddr,
    preferred: Option<SocketAddr>,
) -> Result<&Listener, SendError> {
    let fits = |listener: &&Listener| listener.protocol == protocol && listener.reaches(remote);
    listeners
        .iter()
        .filter(fits)
        .find(|listener| Some(listener.address) == preferred)
        .or_else(|| listeners.iter().filter(fits).find(|listener| listener.is_near(remote)))
        .or_else(|| listeners.iter().find(fits))
        .ok_or(SendError::NoListener { protocol, remote })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leaves_from_where_it_can_come_from() {
        let listener = |address: &str, prefix| Listener {
            protocol: Protocol::Udp,
            address: address.parse().unwrap(),
            advertise: None,
            prefix: Some(prefix),
        };
        let listeners = [
            listener("203.0.113.5:5060", 24),
            listener("10.0.0.2:5060", 8),
            listener("127.0.0.1:5060", 8),
            listener("[2001:db8::1]:5060", 64),
        ];
        let chosen = |remote: &str, preferred: Option<&str>| {
            let preferred = preferred.map(|address| address.parse().unwrap());
            let listener = listener_for(&listeners, Protocol::Udp, remote.parse().unwrap(), preferred);
            listener.map(|listener| listener.address.ip().to_string()).unwrap_or_default()
        };
        assert_eq!(chosen("198.51.100.1:5060", None), "203.0.113.5", "the first");
        assert_eq!(chosen("10.9.9.9:5060", None), "10.0.0.2", "a neighbour's");
        assert_eq!(chosen("127.0.0.1:5070", None), "127.0.0.1", "a neighbour's");
        assert_eq!(chosen("10.9.9.9:5060", Some("203.0.113.5:5060")), "203.0.113.5", "the preferred");
        assert_eq!(chosen("10.9.9.9:5060", Some("127.0.0.1:5060")), "10.0.0.2", "the preferred does not reach it");
        assert_eq!(chosen("[2001:db8:1::2]:5060", None), "2001:db8::1", "of the same family");
    }
}
