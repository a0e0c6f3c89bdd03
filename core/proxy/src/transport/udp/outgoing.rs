//! Datagrams that wait for the end of a batch.
//!
//! Those to one peer leave in the order in which they were queued, except that final responses which follow one another are put in
//! order of length: each ends a transaction of its own. Neighbours of one length to one peer, such as those responses, or
//! NOTIFYs through an edge proxy, leave as one large packet that the kernel cuts up (UDP_SEGMENT), at a quarter of the cost.

use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg};

use super::UdpSocket;
use crate::transactions::ClientId;
use crate::transport::packet::Octets;
use crate::transport::{Failure, SendError};

/// Datagrams that wait before they are sent without waiting for the end of the batch.
const MAX_WAITING: usize = 256;
/// Octets that wait.
const MAX_OCTETS: usize = 256 * 1024;
/// Datagrams that the kernel cuts out of one packet at the most (UDP_MAX_SEGMENTS of all kernels that can do it).
const MAX_SEGMENTS: usize = 64;
/// Octets of such a packet: what UDP's length field can say, less headers.
const MAX_PACKET: usize = 65_000;
/// Longer datagrams go by themselves: the kernel doesn't cut where it would have to fragment too.
const MAX_SEGMENT: usize = 1400;

/// Datagrams sent with one system call at the most.
const MAX_AT_ONCE: usize = 64;
/// How often a datagram is retried after the system call fails.
const MAX_TRIES: usize = 3;

/// See the [module](self).
pub(super) struct Outgoing {
    octets: Vec<u8>,
    datagrams: Vec<Datagram>,
    headers: MultiHeaders<SockaddrStorage>,
    failed: Vec<Failure>,
}

#[derive(Clone, Copy, Debug)]
struct Datagram {
    socket: usize,
    remote: SocketAddr,
    /// Where it is in the buffer.
    range: (usize, usize),
    /// To be told when it cannot be sent.
    client: Option<ClientId>,
    is_final_response: bool,
}

impl Datagram {
    fn len(&self) -> usize {
        self.range.1 - self.range.0
    }

    fn octets<'a>(&self, buffer: &'a [u8]) -> IoSlice<'a> {
        IoSlice::new(buffer.get(self.range.0..self.range.1).unwrap_or_default())
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        let headers = MultiHeaders::preallocate(MAX_AT_ONCE, None);
        Self { octets: Vec::new(), datagrams: Vec::new(), headers, failed: Vec::new() }
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.datagrams).finish()
    }
}

impl Outgoing {
    /// Whether there is no room for a datagram of `length` octets besides what waits.
    pub(super) fn is_full(&self, length: usize) -> bool {
        self.datagrams.len() >= MAX_WAITING || (self.octets.len() + length > MAX_OCTETS && !self.datagrams.is_empty())
    }

    pub(super) fn push(&mut self, socket: usize, remote: SocketAddr, octets: Octets<'_>, client: Option<ClientId>) {
        let start = self.octets.len();
        self.octets.extend_from_slice(octets.head);
        octets.body.inspect(|body| self.octets.extend_from_slice(body));
        let range = (start, self.octets.len());
        self.datagrams.push(Datagram {
            socket,
            remote,
            range,
            client,
            is_final_response: is_final_response(octets.head),
        });
    }

    pub(super) fn take_failed(&mut self) -> Vec<Failure> {
        mem::take(&mut self.failed)
    }

    /// Sends everything.
    pub(super) fn send(&mut self, sockets: &[(SocketAddr, Rc<UdpSocket>)]) {
        let mut datagrams = mem::take(&mut self.datagrams);
        // The sort is stable: what goes to one peer keeps its order.
        datagrams.sort_by_key(|datagram| (datagram.socket, datagram.remote));
        sort_final_responses(&mut datagrams);
        for of_socket in datagrams.chunk_by(|a, b| a.socket == b.socket) {
            let socket = of_socket.first().and_then(|datagram| sockets.get(datagram.socket));
            if let Some((_, socket)) = socket {
                self.send_from(socket, of_socket);
            }
        }
        datagrams.clear();
        self.datagrams = datagrams;
        self.octets.clear();
    }

    /// Sends datagrams that leave from one socket, in order.
    fn send_from(&mut self, socket: &UdpSocket, mut rest: &[Datagram]) {
        let mut single = 0;
        while let Some(next) = rest.get(single..).filter(|next| !next.is_empty()) {
            let segments = segments(next);
            if segments < 2 {
                single += 1;
                continue;
            }
            let (before, packet) = rest.split_at(single);
            let (packet, after) = packet.split_at(segments);
            self.send_each(socket, before);
            self.send_as_one(socket, packet);
            (rest, single) = (after, 0);
        }
        self.send_each(socket, rest);
    }

    /// Sends datagrams of one length to one peer, of which the last may be shorter, as one packet.
    fn send_as_one(&mut self, socket: &UdpSocket, packet: &[Datagram]) {
        let Some(first) = packet.first() else { return };
        let segment = u16::try_from(first.len()).unwrap_or(u16::MAX);
        let slices: Vec<_> = packet.iter().map(|datagram| datagram.octets(&self.octets)).collect();
        let (cut, remote) = ([ControlMessage::UdpGsoSegments(&segment)], SockaddrStorage::from(first.remote));
        match sendmsg(socket.get_ref().as_raw_fd(), &slices, &cut, MsgFlags::MSG_DONTWAIT, Some(&remote)) {
            Ok(_) | Err(nix::Error::EAGAIN) => {}
            // The path has a smaller MTU, or the device can't: they go one by one.
            Err(_) => self.send_each(socket, packet),
        }
    }

    /// Sends datagrams one after another. One that cannot be sent doesn't hold up the others.
    fn send_each(&mut self, socket: &UdpSocket, mut datagrams: &[Datagram]) {
        let mut tries = 0;
        while let Some(first) = datagrams.first() {
            let sent = if datagrams.len() == 1 {
                socket.get_ref().send_to(&first.octets(&self.octets), first.remote).map(|_| 1)
            } else {
                let slices: Vec<_> = datagrams.iter().map(|datagram| [datagram.octets(&self.octets)]).collect();
                let remotes: Vec<_> = datagrams.iter().map(|datagram| Some(datagram.remote.into())).collect();
                let flags = MsgFlags::MSG_DONTWAIT;
                let sent = sendmmsg(socket.get_ref().as_raw_fd(), &mut self.headers, &slices, &remotes, [], flags);
                sent.map(Iterator::count).map_err(io::Error::from)
            };
            let done = match sent {
                Ok(sent) => sent,
                // A full send buffer is a loss on the way like any other: the transactions retransmit.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                // The kernel reports the failure of an earlier datagram in this way too, once per datagram.
                Err(_) if tries < MAX_TRIES => {
                    tries += 1;
                    continue;
                }
                Err(error) => {
                    let Datagram { remote, client, .. } = *first;
                    tracing::info!(%remote, %error, "a datagram could not be sent");
                    let error = SendError::Io { remote, kind: error.kind() };
                    self.failed.extend(client.map(|client| Failure { client, error }));
                    1
                }
            };
            tries = 0;
            datagrams = datagrams.get(done..).unwrap_or_default();
        }
    }
}

fn is_final_response(octets: &[u8]) -> bool {
    octets.strip_prefix(b"SIP/2.0 ").and_then(<[u8]>::first).is_some_and(|class| matches!(class, b'2'..=b'6'))
}

/// Puts final responses to one peer that follow one another in order of length.
fn sort_final_responses(datagrams: &mut [Datagram]) {
    let may_swap = |a: &Datagram, b: &Datagram| {
        (a.socket, a.remote) == (b.socket, b.remote) && a.is_final_response && b.is_final_response
    };
    for responses in datagrams.chunk_by_mut(may_swap).filter(|responses| responses.len() > 2) {
        responses.sort_by_key(Datagram::len);
    }
}

/// How many of `datagrams`, from the first on, can leave as one packet.
fn segments(datagrams: &[Datagram]) -> usize {
    let Some(first) = datagrams.first().filter(|first| (1..=MAX_SEGMENT).contains(&first.len())) else { return 0 };
    let most = MAX_SEGMENTS.min(MAX_PACKET / first.len());
    let same = |datagram: &&Datagram| datagram.remote == first.remote && datagram.len() == first.len();
    let equal = datagrams.iter().take(most).take_while(same).count();
    let shorter = datagrams.get(equal).filter(|_| equal < most);
    let shorter = shorter.is_some_and(|last| last.remote == first.remote && (1..first.len()).contains(&last.len()));
    equal + usize::from(shorter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Datagrams of these lengths to the peers of these ports.
    fn queued(datagrams: &[(u16, usize)]) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for (port, length) in datagrams {
            outgoing.push(0, SocketAddr::from(([127, 0, 0, 1], *port)), vec![b'x'; *length].as_slice().into(), None);
        }
        outgoing
    }

    fn first_packet(datagrams: &[(u16, usize)]) -> usize {
        segments(&queued(datagrams).datagrams)
    }

    #[test]
    fn neighbours_of_one_length_to_one_peer_leave_together_and_the_last_may_be_shorter() {
        assert_eq!(first_packet(&[(1, 500), (1, 500), (1, 300), (1, 300)]), 3);
        assert_eq!(first_packet(&[(1, 500), (1, 600), (1, 500)]), 1);
        assert_eq!(first_packet(&[(1, 500), (2, 500)]), 1);
        assert_eq!(first_packet(&[(1, 500), (1, 0)]), 1, "an empty datagram is no segment");
        assert_eq!(first_packet(&[(1, 1401), (1, 1401)]), 0, "too long to be cut out of a packet");
        assert_eq!(first_packet(&[(1, 1000); 200]), 64);
        assert_eq!(first_packet(&[(1, 1300); 200]), 50, "a packet is no longer than UDP can tell");
    }

    #[test]
    fn only_final_responses_change_places_and_only_with_each_other() {
        let mut outgoing = Outgoing::default();
        let texts = [
            "SIP/2.0 200 longest",
            "SIP/2.0 503 long",
            "SIP/2.0 404 x",
            "NOTIFY",
            "SIP/2.0 486 long",
            "SIP/2.0 180 x",
            "SIP/2.0 200 x",
        ];
        for text in texts {
            outgoing.push(0, SocketAddr::from(([127, 0, 0, 1], 1)), text.as_bytes().into(), None);
        }
        sort_final_responses(&mut outgoing.datagrams);
        let order: Vec<_> =
            outgoing.datagrams.iter().map(|datagram| &outgoing.octets[datagram.range.0..datagram.range.1]).collect();
        let expected = [2, 1, 0, 3, 4, 5, 6].map(|index: usize| texts[index].as_bytes());
        assert_eq!(order, expected);
    }

    #[test]
    fn there_is_a_limit_to_what_waits() {
        assert!(!queued(&[(1, 100); MAX_WAITING - 1]).is_full(100));
        assert!(queued(&[(1, 100); MAX_WAITING]).is_full(100));
        assert!(queued(&[(1, 65_000); 4]).is_full(65_000));
        assert!(!queued(&[]).is_full(usize::MAX / 2), "one datagram always has room");
    }
}
