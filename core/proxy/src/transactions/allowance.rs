//! How much may go to an address that has not said that it wants it.
//!
//! A request names the address that others are sent to: the Contact of a SUBSCRIBE, the Contact of a REGISTER. If the server believed that,
//! a few octets from a stranger would make it send many to a third party. So an address has to prove itself first: it is the source of
//! the request, or it answers, or it takes a connection. Until then an [`Allowance`] holds what may go there in datagrams, repetitions
//! included.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Addresses that one allowance remembers as proved: a host can have several, and names are looked up each time.
const MAX_PROVED: usize = 4;

/// What a request brought, and what has become of it. Shared by all that is sent because of that request, in all workers.
#[derive(Debug)]
pub struct Allowance {
    /// The address that the request came from. It has asked for what it gets.
    source: IpAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Octets that may still be sent in datagrams.
    left: usize,
    proved: Vec<IpAddr>,
}

/// How something may go to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// In a datagram.
    Datagram,
    /// Over a connection only: the handshake shows that somebody is there and takes it.
    Connection,
    /// Not at all: the connection has been tried before.
    Nothing,
}

impl Allowance {
    /// For what is sent because of a request of so many octets that came from `source`.
    pub fn new(source: IpAddr, octets: usize) -> Self {
        Self { source, state: Mutex::new(State { left: octets, proved: Vec::new() }) }
    }

    /// Another request that wants the same brought so many octets more.
    pub fn add(&self, octets: usize) {
        let mut state = self.state();
        state.left = state.left.saturating_add(octets);
    }

    /// The address that the request came from.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Octets that may still be sent in datagrams to addresses that have not proved themselves.
    pub fn left(&self) -> usize {
        self.state().left
    }

    /// Whether any address but the source has proved itself.
    pub fn has_proof(&self) -> bool {
        !self.state().proved.is_empty()
    }

    /// Whether this address wants what it is sent.
    pub fn is_proved(&self, remote: IpAddr) -> bool {
        remote == self.source || self.state().proved.contains(&remote)
    }

    /// The address has taken a request with 2xx. Of too many the first is forgotten.
    pub fn prove(&self, remote: IpAddr) {
        let mut state = self.state();
        if state.proved.contains(&remote) {
            return;
        }
        if state.proved.len() == MAX_PROVED {
            state.proved.remove(0);
        }
        state.proved.push(remote);
    }

    /// Takes so many octets for one datagram. If they are too many, what is left is spent on trying to connect once.
    pub(crate) fn take(&self, octets: usize) -> Permission {
        let mut state = self.state();
        match state.left.checked_sub(octets) {
            Some(left) => {
                state.left = left;
                Permission::Datagram
            }
            None => state.refuse(),
        }
    }

    /// For what is too large for a datagram: spends what is left on trying to connect once.
    pub(crate) fn refuse(&self) -> Permission {
        self.state().refuse()
    }

    /// Takes so many octets for repeating a datagram. False if that would be too much.
    pub(crate) fn take_again(&self, octets: usize) -> bool {
        let mut state = self.state();
        let left = state.left.checked_sub(octets);
        state.left = left.unwrap_or(state.left);
        left.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment: a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&mut self) -> Permission {
        if std::mem::take(&mut self.left) > 0 { Permission::Connection } else { Permission::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn no_more_octets_go_out_than_came_in() {
        let allowance = Allowance::new(address(1), 100);
        assert_eq!(allowance.take(60), Permission::Datagram);
        assert!(!allowance.take_again(60));
        assert!(allowance.take_again(40));
        assert_eq!(allowance.take(1), Permission::Nothing);
        allowance.add(50);
        assert_eq!((allowance.take(51), allowance.take(1)), (Permission::Connection, Permission::Nothing));
    }

    #[test]
    fn the_source_is_proved_and_others_are_once_they_answer() {
        let allowance = Allowance::new(address(1), 100);
        assert!(allowance.is_proved(address(1)) && !allowance.is_proved(address(2)) && !allowance.has_proof());
        for last in 2..=6 {
            allowance.prove(address(last));
            assert!(allowance.is_proved(address(last)) && allowance.has_proof());
        }
        assert!(!allowance.is_proved(address(2)), "no more than {MAX_PROVED} are remembered");
    }
}
