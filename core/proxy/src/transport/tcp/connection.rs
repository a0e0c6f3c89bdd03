//! One connection: what waits to be written, and when it is to end.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::MAX_BACKLOG;
use crate::transactions::ClientId;
use crate::transport::SendError;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) serial: u32,
    pub(super) remote: SocketAddr,
    /// Empty while the connection is being made.
    pub(super) stream: OnceCell<TcpStream>,
    outgoing: RefCell<Vec<u8>>,
    /// Client transactions to tell when the connection cannot be made.
    pub(super) waiting: RefCell<Vec<ClientId>>,
    /// Messages that wait for that, too, and that nobody sends again.
    pub(super) unclaimed: Cell<u64>,
    /// Is among those to be flushed.
    pub(super) unflushed: Cell<bool>,
    writable: Notify,
    pub(super) closed: Notify,
    pub(super) last_used: Cell<Instant>,
    /// By when the first whole message must be in, on a connection that somebody made to us and that has sent none yet.
    pub(super) first_message_by: Cell<Option<Instant>>,
}

impl Connection {
    pub(super) fn new(serial: u32, remote: SocketAddr) -> Self {
        Self {
            serial,
            remote,
            stream: OnceCell::new(),
            outgoing: RefCell::default(),
            waiting: RefCell::default(),
            unclaimed: Cell::new(0),
            unflushed: Cell::new(false),
            writable: Notify::new(),
            closed: Notify::new(),
            last_used: Cell::new(Instant::now()),
            first_message_by: Cell::new(None),
        }
    }

    /// When it is to be closed if nothing more happens. Octets that make no message, keep-alives among them, do not put
    /// off the end of one that has sent no message yet.
    pub(super) fn end(&self, idle_timeout: Duration) -> Instant {
        let idle = self.last_used.get() + idle_timeout;
        self.first_message_by.get().map_or(idle, |first| first.min(idle))
    }

    /// Has `bytes` written later; the client transaction is told if the connection cannot be made.
    pub(super) fn queue(&self, bytes: &[u8], client: Option<ClientId>) -> Result<(), SendError> {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.len() + bytes.len() > MAX_BACKLOG {
            return Err(SendError::Backlog { remote: self.remote, limit: MAX_BACKLOG });
        }
        outgoing.extend_from_slice(bytes);
        match client {
            _ if self.stream.get().is_some() => {}
            Some(client) => self.waiting.borrow_mut().push(client),
            None => self.unclaimed.set(self.unclaimed.get() + 1),
        }
        Ok(())
    }

    /// False for a peer that pings on and doesn't take the answers.
    pub(super) fn answer_ping(&self) -> bool {
        self.queue(b"\r\n", None).is_ok()
    }

    pub(super) fn write(&self) {
        let Some(stream) = self.stream.get() else { return };
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.is_empty() {
            return;
        }
        self.last_used.set(Instant::now());
        match stream.try_write(&outgoing) {
            Ok(written) if written == outgoing.len() => outgoing.clear(),
            Ok(written) => {
                outgoing.drain(..written);
                self.writable.notify_one();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable.notify_one(),
            Err(_) => self.closed.notify_one(),
        }
    }

    /// Ends when the connection is broken.
    pub(super) async fn keep_writing(&self) {
        let Some(stream) = self.stream.get() else { return };
        loop {
            self.writable.notified().await;
            while !self.outgoing.borrow().is_empty() {
                if stream.writable().await.is_err() {
                    return;
                }
                let mut outgoing = self.outgoing.borrow_mut();
                match stream.try_write(&outgoing) {
                    Ok(written) => drop(outgoing.drain(..written)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(3600);

    fn connection() -> Connection {
        Connection::new(1, SocketAddr::from(([192, 0, 2, 1], 5060)))
    }

    #[test]
    fn octets_that_make_no_message_do_not_put_off_the_first_message() {
        let connection = connection();
        let start = connection.last_used.get();
        let first = start + Duration::from_secs(32);
        connection.first_message_by.set(Some(first));
        connection.last_used.set(start + Duration::from_secs(31));
        assert_eq!(connection.end(IDLE), first);
    }

    #[test]
    fn after_the_first_message_only_silence_ends_a_connection() {
        let connection = connection();
        assert_eq!(connection.end(IDLE), connection.last_used.get() + IDLE);
    }

    #[test]
    fn no_more_than_the_limit_waits_for_one_peer() {
        let connection = connection();
        connection.queue(&vec![b'x'; MAX_BACKLOG], None).unwrap();
        let error = connection.queue(b"x", None).unwrap_err();
        assert_eq!(error, SendError::Backlog { remote: connection.remote, limit: MAX_BACKLOG });
        assert!(!connection.answer_ping());
        assert_eq!(connection.outgoing.borrow().len(), MAX_BACKLOG);
    }

    #[test]
    fn who_waits_for_a_connection_that_is_being_made_is_remembered() {
        let (connection, client) = (connection(), ClientId { slot: 1, token: 2 });
        connection.queue(b"a request", Some(client)).unwrap();
        connection.queue(b"a response", None).unwrap();
        assert_eq!((connection.waiting.take(), connection.unclaimed.get()), (vec![client], 1));
    }
}
