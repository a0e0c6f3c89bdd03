//! What waits to be written to one connection, message by message.

use std::collections::VecDeque;

use super::MAX_BACKLOG;
use crate::transactions::ClientId;

/// The client transaction that is told if its request cannot be written, and the worker that has it.
pub(crate) type Waiter = (u16, ClientId);

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Backlog {
    octets: Vec<u8>,
    /// Octets that the peer has taken since the connection began.
    taken: u64,
    /// Where each message that is not written whole ends, counted in the same way, and who waits for it.
    messages: VecDeque<(u64, Option<Waiter>)>,
    /// Where the first of these begins.
    first: u64,
}

/// Messages that have been given up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GivenUp {
    pub(super) waiters: Vec<Waiter>,
    /// Messages that no transaction waits for.
    pub(super) lost: u64,
}

impl Backlog {
    /// Puts a message behind all others. False if there is no room for it: then nothing has changed.
    pub(super) fn push(&mut self, message: &[u8], waiter: Option<Waiter>) -> bool {
        if self.octets.len() + message.len() > MAX_BACKLOG {
            return false;
        }
        self.octets.extend_from_slice(message);
        self.messages.push_back((self.taken + self.octets.len() as u64, waiter));
        true
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The peer has taken this many octets.
    pub(super) fn take(&mut self, count: usize) {
        self.taken += count as u64;
        if count == self.octets.len() {
            self.octets.clear();
            self.messages.clear();
            self.first = self.taken;
            return;
        }
        self.octets.drain(..count);
        while let Some((end, _)) = self.messages.front().filter(|(end, _)| *end <= self.taken) {
            self.first = *end;
            self.messages.pop_front();
        }
    }

    /// Whether a part of the first message is written: after that the stream can only go on with the rest of it.
    pub(super) fn has_begun(&self) -> bool {
        self.first < self.taken
    }

    /// Gives up the messages of which nothing is written.
    pub(super) fn give_up_unbegun(&mut self) -> GivenUp {
        let begun = usize::from(self.has_begun());
        let rest = self.messages.front().filter(|_| begun > 0).map_or(0, |(end, _)| end - self.taken);
        // Invariant: what remains of a message is no longer than what waits.
        self.octets.truncate(rest as usize);
        GivenUp::of(self.messages.drain(begun..))
    }

    /// Gives up everything: the connection is over.
    pub(super) fn give_up(&mut self) -> GivenUp {
        self.octets = Vec::new();
        GivenUp::of(self.messages.drain(..))
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

    fn waiter(slot: u32) -> Option<Waiter> {
        Some((0, ClientId { slot, token: 0 }))
    }

    #[test]
    fn a_message_without_room_changes_nothing() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(&vec![b'x'; MAX_BACKLOG - 1], None));
        assert!(!backlog.push(b"yz", waiter(1)));
        assert!(backlog.push(b"z", None));
        assert_eq!(backlog.octets().len(), MAX_BACKLOG);
        assert!(!Backlog::default().push(&vec![b'x'; MAX_BACKLOG + 1], None), "larger than all that may wait");
    }

    #[test]
    fn only_messages_of_which_nothing_is_written_are_given_up() {
        let mut backlog = Backlog::default();
        for (message, slot) in [("one", 1), ("two", 2), ("three", 3)] {
            assert!(backlog.push(message.as_bytes(), waiter(slot)));
        }
        assert!(backlog.push(b"a response", None));
        backlog.take(4);
        assert!(backlog.has_begun());
        let given_up = backlog.give_up_unbegun();
        assert_eq!(given_up, GivenUp { waiters: vec![waiter(3).unwrap()], lost: 1 });
        assert_eq!(backlog.octets(), b"wo");
        assert!(backlog.give_up_unbegun().is_empty());
        backlog.take(2);
        assert!(backlog.is_empty() && !backlog.has_begun());
    }

    #[test]
    fn between_two_messages_none_has_begun() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(b"one", waiter(1)) && backlog.push(b"two", waiter(2)));
        assert!(!backlog.has_begun());
        backlog.take(3);
        assert!(!backlog.has_begun());
        assert_eq!(backlog.give_up_unbegun().waiters, [waiter(2).unwrap()]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn at_the_end_of_a_connection_what_has_begun_is_lost_too() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(b"one", waiter(1)));
        backlog.take(1);
        assert_eq!(backlog.give_up().waiters, [waiter(1).unwrap()]);
    }
}
