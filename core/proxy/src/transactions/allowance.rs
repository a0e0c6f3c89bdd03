//! How much may be sent to an unproved address.
//!
//! The Contact of a SUBSCRIBE or REGISTER names an address to which further requests are sent. If the server trusted
//! it, a stranger could make the server send many octets to a third party for a few. So an address has to be proved
//! first: it is the source of the request, it answers, or it accepts a connection. Until then an [`Allowance`] limits
//! the octets sent there in datagrams, retransmissions included.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most addresses that one allowance remembers as proved. A host can have several addresses, and names are resolved
/// each time.
const MAX_PROVED: usize = 4;

/// The octets that a request brought and how many are left. All messages sent because of the request share it, in all
/// workers.
#[derive(Debug)]
pub struct Allowance {
    /// The address that the request came from. It is proved.
    source: IpAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Octets that may still be sent in datagrams.
    left: usize,
    proved: Vec<IpAddr>,
}

/// How a message may be sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// In a datagram.
    Datagram,
    /// Over a connection only: the handshake shows that the peer accepts it.
    Connection,
    /// Not at all: the connection has been tried before.
    Nothing,
}

impl Allowance {
    /// The allowance of a request of `octets` octets from `source`.
    pub fn new(source: IpAddr, octets: usize) -> Self {
        Self { source, state: Mutex::new(State { left: octets, proved: Vec::new() }) }
    }

    /// Adds the octets of another request with the same purpose.
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

    /// Whether this address is proved.
    pub fn is_proved(&self, remote: IpAddr) -> bool {
        remote == self.source || self.state().proved.contains(&remote)
    }

    /// The address has answered a request with 2xx. Beyond `MAX_PROVED` the oldest proof is forgotten.
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

    /// Takes `octets` for one datagram. If they exceed the rest, the rest is spent on one attempt to connect.
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

    /// For a message too large for a datagram: spends the rest on one attempt to connect.
    pub(crate) fn refuse(&self) -> Permission {
        self.state().refuse()
    }

    /// Takes `octets` for the retransmission of a datagram. False if they exceed the rest.
    pub(crate) fn take_again(&self, octets: usize) -> bool {
        let mut state = self.state();
        let left = state.left.checked_sub(octets);
        state.left = left.unwrap_or(state.left);
        left.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic leaves no change incomplete.
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
