//! The messages that wait to be written to one connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

use super::MAX_BACKLOG;
use crate::transport::Waiter;
use crate::transport::packet::Octets;

/// Most pieces that one system call writes.
const MAX_AT_ONCE: usize = 16;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Piece>,
    /// Octets in all pieces.
    octets: usize,
    /// Octets that the peer has taken since the connection began.
    taken: u64,
    /// The end of each message that is not completely written, counted in the same way, and the transaction that waits
    /// for it.
    messages: VecDeque<(u64, Option<Waiter>)>,
    /// The beginning of the first of these messages.
    first: u64,
}

/// Octets in one piece of memory.
#[derive(Debug)]
enum Piece {
    /// Octets of one or several messages.
    Own(Vec<u8>),
    /// The shared body of a message.
    Shared(Bytes),
}

impl Piece {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Own(octets) => octets,
            Self::Shared(octets) => octets,
        }
    }

    /// Removes octets from the front.
    fn take(&mut self, count: usize) {
        match self {
            Self::Own(octets) => drop(octets.drain(..count)),
            Self::Shared(octets) => octets.advance(count),
        }
    }

    fn truncate(&mut self, length: usize) {
        match self {
            Self::Own(octets) => octets.truncate(length),
            Self::Shared(octets) => octets.truncate(length),
        }
    }
}

/// Messages that were given up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GivenUp {
    pub(super) waiters: Vec<Waiter>,
    /// The number of those that no transaction waits for.
    pub(super) lost: u64,
}

impl Backlog {
    /// Appends a message. False if there is no room; then nothing has changed.
    pub(super) fn push(&mut self, message: Octets<'_>, waiter: Option<Waiter>) -> bool {
        if self.octets + message.len() > MAX_BACKLOG {
            return false;
        }
        match self.pieces.back_mut() {
            Some(Piece::Own(octets)) => octets.extend_from_slice(message.head),
            _ => self.pieces.push_back(Piece::Own(message.head.to_vec())),
        }
        if let Some(body) = message.body {
            self.pieces.push_back(Piece::Shared(body.clone()));
        }
        self.octets += message.len();
        self.messages.push_back((self.taken + self.octets as u64, waiter));
        true
    }

    /// The number of waiting octets.
    pub(super) fn len(&self) -> usize {
        self.octets
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// Writes as much as the stream accepts at once and returns the number of octets. The caller then
    /// [removes](Backlog::take) them.
    pub(super) fn write(&self, stream: &TcpStream) -> io::Result<usize> {
        let slices: Vec<_> = self.pieces.iter().take(MAX_AT_ONCE).map(|piece| IoSlice::new(piece.octets())).collect();
        stream.try_write_vectored(&slices)
    }

    /// Removes this many octets, which the stream has accepted.
    pub(super) fn take(&mut self, count: usize) {
        self.taken += count as u64;
        self.octets = self.octets.saturating_sub(count);
        let mut rest = count;
        while let Some(piece) = self.pieces.front_mut().filter(|_| rest > 0 || self.octets == 0) {
            let length = piece.octets().len();
            if rest < length {
                piece.take(rest);
                break;
            }
            rest -= length;
            self.pieces.pop_front();
        }
        while let Some((end, _)) = self.messages.front().filter(|(end, _)| *end <= self.taken) {
            self.first = *end;
            self.messages.pop_front();
        }
    }

    /// Whether a part of the first message is written. The stream must then go on with the rest of it.
    pub(super) fn has_begun(&self) -> bool {
        self.first < self.taken
    }

    /// Gives up the messages of which nothing is written.
    pub(super) fn give_up_unbegun(&mut self) -> GivenUp {
        let begun = usize::from(self.has_begun());
        let rest = self.messages.front().filter(|_| begun > 0).map_or(0, |(end, _)| end - self.taken);
        // Invariant: the rest of a message is no longer than the waiting octets.
        self.truncate(rest as usize);
        GivenUp::of(self.messages.drain(begun..))
    }

    /// Gives up all messages, because the connection has ended.
    pub(super) fn give_up(&mut self) -> GivenUp {
        self.truncate(0);
        GivenUp::of(self.messages.drain(..))
    }

    fn truncate(&mut self, length: usize) {
        let mut left = length;
        self.pieces.retain_mut(|piece| {
            piece.truncate(left);
            left -= piece.octets().len();
            !piece.octets().is_empty()
        });
        self.octets = length;
    }
}

impl GivenUp {
    fn of(messages: impl Iterator<Item = (u64, Option<Waiter>)>) -> Self {
        let mut given_up = Self::default();
        for (_, waiter) in messages {
            match waiter {
                Some(waiter) => given_up.waiters.push(waiter),
                None => given_up.lost += 1,
            }
        }
        given_up
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty() && self.lost == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::ClientId;

    fn waiter(slot: u32) -> Option<Waiter> {
        Some((0, ClientId { slot, token: 0 }))
    }

    fn push(backlog: &mut Backlog, message: &[u8], waiter: Option<Waiter>) -> bool {
        backlog.push(message.into(), waiter)
    }

    /// The octets that would be written.
    fn written(backlog: &Backlog) -> Vec<u8> {
        backlog.pieces.iter().flat_map(|piece| piece.octets()).copied().collect()
    }

    #[test]
    fn a_message_without_room_changes_nothing() {
        let mut backlog = Backlog::default();
        assert!(push(&mut backlog, &vec![b'x'; MAX_BACKLOG - 1], None));
        assert!(!push(&mut backlog, b"yz", waiter(1)));
        assert!(push(&mut backlog, b"z", None));
        assert_eq!(backlog.len(), MAX_BACKLOG);
        assert!(!push(&mut Backlog::default(), &vec![b'x'; MAX_BACKLOG + 1], None), "larger than all that may wait");
    }

    #[test]
    fn only_messages_of_which_nothing_is_written_are_given_up() {
        let mut backlog = Backlog::default();
        for (message, slot) in [("one", 1), ("two", 2), ("three", 3)] {
            assert!(push(&mut backlog, message.as_bytes(), waiter(slot)));
        }
        assert!(push(&mut backlog, b"a response", None));
        backlog.take(4);
        assert!(backlog.has_begun());
        let given_up = backlog.give_up_unbegun();
        assert_eq!(given_up, GivenUp { waiters: vec![waiter(3).unwrap()], lost: 1 });
        assert_eq!(written(&backlog), b"wo");
        assert!(backlog.give_up_unbegun().is_empty());
        backlog.take(2);
        assert!(backlog.is_empty() && !backlog.has_begun());
    }

    #[test]
    fn between_two_messages_none_has_begun() {
        let mut backlog = Backlog::default();
        assert!(push(&mut backlog, b"one", waiter(1)) && push(&mut backlog, b"two", waiter(2)));
        assert!(!backlog.has_begun());
        backlog.take(3);
        assert!(!backlog.has_begun());
        assert_eq!(backlog.give_up_unbegun().waiters, [waiter(2).unwrap()]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn at_the_end_of_a_connection_what_has_begun_is_lost_too() {
        let mut backlog = Backlog::default();
        assert!(push(&mut backlog, b"one", waiter(1)));
        backlog.take(1);
        assert_eq!(backlog.give_up().waiters, [waiter(1).unwrap()]);
    }

    #[test]
    fn a_shared_body_is_written_where_it_belongs_and_is_let_go() {
        let body = Bytes::from(vec![b'b'; 8]);
        let message = |head: &'static [u8]| Octets { head, body: Some(&body) };
        let mut backlog = Backlog::default();
        assert!(push(&mut backlog, b"one", None) && backlog.push(message(b"two"), waiter(2)));
        assert!(backlog.push(message(b"three"), waiter(3)) && push(&mut backlog, b"four", waiter(4)));
        assert_eq!(written(&backlog), b"onetwobbbbbbbbthreebbbbbbbbfour");
        for count in 1..=written(&backlog).len() {
            let mut backlog = Backlog::default();
            assert!(backlog.push(message(b"two"), waiter(2)) && backlog.push(message(b"three"), waiter(3)));
            let all = written(&backlog);
            backlog.take(count.min(all.len()));
            assert_eq!(written(&backlog), &all[count.min(all.len())..]);
            assert_eq!(backlog.len(), all.len().saturating_sub(count));
            let rest = if (1..11).contains(&count) {
                11 - count
            } else if (12..24).contains(&count) {
                24 - count
            } else {
                0
            };
            backlog.give_up_unbegun();
            assert_eq!(backlog.len(), rest, "{count}");
        }
        backlog.take(13);
        assert_eq!(written(&backlog), b"bthreebbbbbbbbfour");
        assert_eq!(backlog.give_up_unbegun().waiters, [waiter(3).unwrap(), waiter(4).unwrap()]);
        assert_eq!(written(&backlog), b"b");
        backlog.take(1);
        assert!(backlog.is_empty() && backlog.pieces.is_empty());
        drop(backlog);
        assert!(body.is_unique(), "nobody else holds it any more");
    }
}
