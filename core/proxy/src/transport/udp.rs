//! Datagram sockets: each worker has its own socket on each listening address, and the kernel deals datagrams out to
//! them by `SO_REUSEPORT`.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use super::{Flow, Protocol, SendError};
use crate::transactions::ClientId;

/// Socket buffer asked of the kernel, in bytes: holds a burst of some thousand messages while a worker is busy.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Octets of buffer that are kept from one batch to the next.
const MAX_KEPT: usize = 1024 * 1024;

/// A bound socket that no runtime knows yet; workers register theirs on their own thread.
pub(crate) fn bind(address: SocketAddr) -> io::Result<StdSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel caps these at net.core.[rw]mem_max; less room is no reason not to start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The UDP sockets of one worker.
///
/// Datagrams are queued and sent together when a batch of events is over: the peers are woken once for many datagrams, and
/// the kernel's code stays in the cache meanwhile.
#[derive(Debug, Default)]
pub struct UdpSockets {
    sockets: Vec<(SocketAddr, Rc<UdpSocket>)>,
    outgoing: RefCell<Outgoing>,
}

/// Datagrams that wait for the end of the batch, all in one buffer.
#[derive(Debug, Default)]
struct Outgoing {
    octets: Vec<u8>,
    datagrams: Vec<Datagram>,
}

#[derive(Debug)]
struct Datagram {
    socket: usize,
    remote: SocketAddr,
    /// Where in the buffer it ends; it begins where the one before ends.
    end: usize,
    /// To be told when it cannot be sent.
    client: Option<ClientId>,
}

impl UdpSockets {
    /// Registers bound sockets with the runtime of the calling thread.
    pub(crate) fn register(sockets: Vec<StdSocket>) -> io::Result<Self> {
        let register = |socket: StdSocket| Ok((socket.local_addr()?, Rc::new(UdpSocket::from_std(socket)?)));
        let sockets = sockets.into_iter().map(register).collect::<io::Result<_>>()?;
        Ok(Self { sockets, outgoing: RefCell::default() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(SocketAddr, Rc<UdpSocket>)> {
        self.sockets.iter()
    }

    /// Queues a datagram; [`UdpSockets::flush`] sends it.
    pub(crate) fn send(&self, flow: &Flow, octets: &[u8], client: Option<ClientId>) -> Result<(), SendError> {
        let Some(socket) = self.sockets.iter().position(|(local, _)| *local == flow.local) else {
            return Err(SendError::NoListener { protocol: Protocol::Udp, remote: flow.remote });
        };
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.octets.extend_from_slice(octets);
        let end = outgoing.octets.len();
        outgoing.datagrams.push(Datagram { socket, remote: flow.remote, end, client });
        Ok(())
    }

    /// Sends what was queued. Client transactions whose request could not be sent are added to `failed`.
    pub(crate) fn flush(&self, failed: &mut Vec<ClientId>) {
        let mut outgoing = self.outgoing.borrow_mut();
        let Outgoing { octets, datagrams } = &mut *outgoing;
        let mut start = 0;
        for datagram in datagrams.drain(..) {
            let octets = octets.get(start..datagram.end).unwrap_or_default();
            start = datagram.end;
            let Some((_, socket)) = self.sockets.get(datagram.socket) else { continue };
            match socket.try_send_to(octets, datagram.remote) {
                Ok(_) => {}
                // A full send buffer is a loss on the way like any other: the transaction retransmits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::info!(remote = %datagram.remote, %error, "a datagram could not be sent");
                    failed.extend(datagram.client);
                }
            }
        }
        octets.clear();
        octets.shrink_to(MAX_KEPT);
    }
}
