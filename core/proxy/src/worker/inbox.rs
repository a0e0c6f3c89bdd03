//! Datagrams that were taken out of the kernel and wait for their turn.
//!
//! The kernel's buffer holds a few hundred datagrams and does not say how long they have been there. So a worker takes
//! out all that there is between two small batches of work: then it knows how long each has waited, can refuse
//! what has waited too long, and loses nothing while it is busy.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use crate::transport::udp::incoming::Incoming;

/// Datagrams that may wait in one worker, a second's worth under overload; what comes on top stays in the kernel.
const MAX_WAITING: usize = 65_536;
/// Octets that may wait.
const MAX_OCTETS: usize = 64 * 1024 * 1024;
/// Datagrams taken out at once.
const MAX_TAKEN: usize = 1024;
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
    incoming: Incoming,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), octets: 0, spare: Vec::new(), incoming: Incoming::new() }
    }

    /// Takes out of the socket what is there, as far as there is room. True when nothing is left in the socket.
    pub(super) fn fill(&mut self, socket: &UdpSocket, now: Instant) -> bool {
        let Self { waiting, octets: total, spare, incoming } = self;
        let most = waiting.len() + MAX_TAKEN;
        while waiting.len() < most.min(MAX_WAITING) && *total < MAX_OCTETS {
            let received = incoming.receive(socket, |datagram, remote| {
                let mut octets = spare.pop().unwrap_or_default();
                octets.clear();
                octets.extend_from_slice(datagram);
                *total += datagram.len();
                waiting.push_back(Datagram { since: now, remote, octets });
            });
            match received {
                Ok(true) => return true,
                Ok(false) => {}
                // What an earlier datagram met on its way (ICMP): nothing that concerns the next one.
                Err(error) => tracing::debug!(%error, "receiving"),
            }
        }
        false
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
