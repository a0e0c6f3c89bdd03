//! Datagrams that were taken out of the kernel and wait for their turn.
//!
//! The kernel's buffer holds a few hundred datagrams and does not say how long they have been there. So a worker takes
//! out all that there is between two small batches of work: then it knows how long each has waited, can refuse
//! what has waited too long, and loses nothing while it is busy.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::UdpSocket;

/// Datagrams that may wait in one worker, a second's worth under overload; what comes on top stays in the kernel.
const MAX_WAITING: usize = 65_536;
/// Octets that may wait.
const MAX_OCTETS: usize = 64 * 1024 * 1024;
/// Datagrams taken out at once.
const MAX_TAKEN: usize = 1024;
/// The largest UDP datagram there is.
const DATAGRAM: usize = 65_536;
/// Buffers kept for the next datagrams.
const MAX_SPARE: usize = 1024;

/// A datagram and when it was taken out of the kernel.
pub(super) struct Datagram {
    pub(super) since: Instant,
    pub(super) remote: SocketAddr,
    pub(super) octets: Vec<u8>,
}

/// The datagrams of one socket.
pub(super) struct Inbox {
    waiting: VecDeque<Datagram>,
    octets: usize,
    spare: Vec<Vec<u8>>,
    scratch: Vec<u8>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), octets: 0, spare: Vec::new(), scratch: vec![0; DATAGRAM] }
    }

    /// Takes out of the socket what is there.
    pub(super) fn fill(&mut self, socket: &UdpSocket, now: Instant) {
        for _ in 0..MAX_TAKEN {
            if self.waiting.len() >= MAX_WAITING || self.octets >= MAX_OCTETS {
                return;
            }
            match socket.try_recv_from(&mut self.scratch) {
                Ok((length, remote)) => {
                    let mut octets = self.spare.pop().unwrap_or_default();
                    octets.clear();
                    octets.extend_from_slice(&self.scratch[..length]);
                    self.octets += length;
                    self.waiting.push_back(Datagram { since: now, remote, octets });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What an earlier datagram met on its way (ICMP): nothing that concerns the next one.
                Err(error) => tracing::debug!(%error, "receiving"),
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Datagram> {
        let datagram = self.waiting.pop_front()?;
        self.octets -= datagram.octets.len();
        Some(datagram)
    }

    /// Takes the buffer of a datagram back.
    pub(super) fn recycle(&mut self, datagram: Datagram) {
        if self.spare.len() < MAX_SPARE && datagram.octets.capacity() <= 4096 {
            self.spare.push(datagram.octets);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
