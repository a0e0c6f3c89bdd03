//! Datagram sockets: each worker has its own socket on each listening address, and the kernel deals datagrams out to
//! them by `SO_REUSEPORT`.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

use super::{Flow, Protocol, SendError};

/// Socket buffer asked of the kernel, in bytes: holds a burst of some thousand messages while a worker is busy.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

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
#[derive(Debug, Default)]
pub struct UdpSockets {
    sockets: Vec<(SocketAddr, Rc<UdpSocket>)>,
}

impl UdpSockets {
    /// Registers bound sockets with the runtime of the calling thread.
    pub(crate) fn register(sockets: Vec<StdSocket>) -> io::Result<Self> {
        let register = |socket: StdSocket| Ok((socket.local_addr()?, Rc::new(UdpSocket::from_std(socket)?)));
        Ok(Self { sockets: sockets.into_iter().map(register).collect::<io::Result<_>>()? })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(SocketAddr, Rc<UdpSocket>)> {
        self.sockets.iter()
    }

    pub(crate) fn send(&self, flow: &Flow, bytes: &[u8]) -> Result<(), SendError> {
        let Some((_, socket)) = self.sockets.iter().find(|(local, _)| *local == flow.local) else {
            return Err(SendError::NoListener { protocol: Protocol::Udp, remote: flow.remote });
        };
        match socket.try_send_to(bytes, flow.remote) {
            Ok(_) => Ok(()),
            // A full send buffer is a loss on the way like any other: the transaction retransmits.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(SendError::Io { remote: flow.remote, kind: error.kind() }),
        }
    }
}
