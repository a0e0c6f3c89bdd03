//! Taking datagrams out of a socket.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// Datagrams taken with one system call at the most.
const MAX_AT_ONCE: usize = 32;
/// The largest UDP datagram there is.
const DATAGRAM: usize = 65_536;

/// Room for datagrams that are being taken out.
pub(crate) struct Incoming {
    headers: MultiHeaders<SockaddrStorage>,
    /// Memory is only used up to the largest datagram that each has ever held.
    buffers: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Self { headers: MultiHeaders::preallocate(MAX_AT_ONCE, None), buffers: vec![0; MAX_AT_ONCE * DATAGRAM] }
    }

    /// Takes up to 32 datagrams and gives each to `take`. True when nothing is left in the socket.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, mut take: impl FnMut(&[u8], SocketAddr)) -> io::Result<bool> {
        let mut slices: Vec<_> =
            self.buffers.chunks_exact_mut(DATAGRAM).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let received = match recvmmsg(socket.as_raw_fd(), &mut self.headers, &mut slices, MsgFlags::MSG_DONTWAIT, None)
        {
            Ok(received) => received,
            Err(nix::Error::EAGAIN) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let mut count = 0;
        for datagram in received {
            count += 1;
            if let Some(remote) = datagram.address.as_ref().and_then(address) {
                datagram.iovs().next().inspect(|octets| take(octets, remote));
            }
        }
        Ok(count < MAX_AT_ONCE)
    }
}

pub(super) fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
