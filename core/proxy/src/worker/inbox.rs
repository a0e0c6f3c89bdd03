//! Datagrams that were taken out of the kernel and wait for their turn.
//!
//! The kernel's buffer holds a few thousand datagrams and does not say how long they have been there. So a worker takes
//! out what there is between two small batches of work: then it knows how long each has waited, can refuse
//! what has no chance to be served in time, and loses nothing while it is busy.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::waiting::{Datagram, Surplus, Waiting};
use crate::transport::udp::incoming::Incoming;

/// System calls to take out datagrams before those that wait have their turn: what comes
/// faster than it can be taken out stays in the kernel.
const MAX_CALLS: usize = 256;
/// The datagrams of one socket.
pub(super) struct Inbox {
    incoming: Incoming,
    waiting: Waiting,
}

impl Inbox {
    /// For requests that may wait for so long.
    pub(super) fn new(limit: Duration) -> Self {
        Self { incoming: Incoming::new(), waiting: Waiting::new(limit) }
    }

    /// Takes out of the socket what is there, as far as there is room. True when nothing is left in the socket. Requests that would wait
    /// for too long are given to `turn_away`, which says whether it has done so.
    pub(super) fn fill(
        &mut self,
        socket: &UdpSocket,
        now: Instant,
        turn_away: impl Fn(&[u8], SocketAddr, Surplus) -> bool,
    ) -> bool {
        let Self { incoming, waiting } = self;
        waiting.begin_round(now);
        for _ in 0..MAX_CALLS {
            if waiting.is_full() {
                break;
            }
            let received = incoming.receive(socket, |datagram, remote| {
                waiting.put(datagram, remote, now, |surplus| turn_away(datagram, remote, surplus));
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

    pub(super) fn next(&mut self, now: Instant) -> Option<Datagram> {
        self.waiting.next(now)
    }

    /// Takes the buffer of a datagram back.
    pub(super) fn recycle(&mut self, datagram: Datagram) {
        self.waiting.recycle(datagram);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
