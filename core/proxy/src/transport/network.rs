//! What a worker sends through: real sockets, or the virtual network of a test.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::tcp::Connections;
use super::udp::UdpSockets;
use super::{Flow, Listener, Protocol};
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
    #[error("sending to {remote} failed: {kind}")]
    Io { remote: SocketAddr, kind: std::io::ErrorKind },
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

/// What a worker on a virtual network has sent, in order, until the test takes it away.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Rc<RefCell<Vec<Sent>>>);

/// Octets, and the flow that they were sent on.
pub type Sent = (Flow, Vec<u8>);

impl Outbox {
    /// Takes all that was sent since the last call.
    pub fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

impl Network {
    /// Queues `bytes` for the network: they go out when the batch of events that is being handled ends. A failure that
    /// shows later, such as a connection that cannot be made, is told to the client transaction `client`.
    pub(crate) fn send(&self, flow: &Flow, bytes: &[u8], client: Option<ClientId>) -> Result<(), SendError> {
        match self {
            Self::Sockets(sockets) => match flow.protocol {
                Protocol::Udp => sockets.udp.send(flow, bytes, client),
                Protocol::Tcp => sockets.tcp.send(flow, bytes, client),
            },
            Self::Virtual(outbox) => {
                outbox.0.borrow_mut().push((*flow, bytes.to_vec()));
                Ok(())
            }
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

    /// The client transactions whose request could not be sent since the last call.
    pub(crate) fn take_failed(&self) -> Vec<ClientId> {
        match self {
            Self::Sockets(sockets) => sockets.udp.take_failed(),
            Self::Virtual(_) => Vec::new(),
        }
    }
}

/// The listener that a message to `remote` leaves from: `preferred` if it fits, else the first of the right protocol
/// and address family.
pub fn listener_for(
    listeners: &[Listener],
    protocol: Protocol,
    remote: SocketAddr,
    preferred: Option<SocketAddr>,
) -> Result<&Listener, SendError> {
    let fits = |listener: &&Listener| listener.protocol == protocol && listener.address.is_ipv4() == remote.is_ipv4();
    listeners
        .iter()
        .filter(fits)
        .find(|listener| Some(listener.address) == preferred)
        .or_else(|| listeners.iter().find(fits))
        .ok_or(SendError::NoListener { protocol, remote })
}
