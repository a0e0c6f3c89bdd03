//! Datagram sockets: each worker has its own socket on each listening address, and the kernel deals datagrams out to
//! them by `SO_REUSEPORT`.
//!
//! | file | what |
//! |---|---|
//! | [`incoming`] | taking what has come out of a socket, many datagrams with one system call |
//! | [`outgoing`] | datagrams that wait for the end of a batch, and sending them together |
//! | [`undelivered`] | reports of the network about datagrams that did not arrive |

pub(crate) mod incoming;
mod outgoing;
pub(crate) mod undelivered;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;

use socket2::{Domain, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use self::outgoing::Outgoing;
use super::packet::Octets;
use super::{Failure, Flow, Protocol, SendError};
use crate::transactions::ClientId;

/// Socket buffer asked of the kernel, in bytes: holds a burst of some thousand messages while a worker is busy.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// A socket whose worker is woken when it is readable or has a report from the network. Not when it can be written: the
/// kernel says that after each datagram that has left, and nobody waits for it.
pub(crate) type UdpSocket = AsyncFd<StdSocket>;

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
    undelivered::ask_for(&socket, address)?;
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

impl UdpSockets {
    /// Registers bound sockets with the runtime of the calling thread.
    pub(crate) fn register(sockets: Vec<StdSocket>) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "the successor is unsafe; what it asks for is kept: this socket holds its descriptor"
        )]
        let register = |socket: StdSocket| {
            let local = socket.local_addr()?;
            Ok((local, Rc::new(AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR)?)))
        };
        let sockets = sockets.into_iter().map(register).collect::<io::Result<_>>()?;
        Ok(Self { sockets, outgoing: RefCell::default() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(SocketAddr, Rc<UdpSocket>)> {
        self.sockets.iter()
    }

    /// Queues a datagram; [`UdpSockets::flush`] sends it.
    pub(crate) fn send(&self, flow: &Flow, octets: Octets<'_>, client: Option<ClientId>) -> Result<(), SendError> {
        let Some(socket) = self.sockets.iter().position(|(local, _)| *local == flow.local) else {
            return Err(SendError::NoListener { protocol: Protocol::Udp, remote: flow.remote });
        };
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.is_full(octets.len()) {
            outgoing.send(&self.sockets);
        }
        outgoing.push(socket, flow.remote, octets, client);
        Ok(())
    }

    /// Sends what was queued.
    pub(crate) fn flush(&self) {
        self.outgoing.borrow_mut().send(&self.sockets);
    }

    /// The requests that could not be sent since the last call.
    pub(crate) fn take_failed(&self) -> Vec<Failure> {
        self.outgoing.borrow_mut().take_failed()
    }
}
