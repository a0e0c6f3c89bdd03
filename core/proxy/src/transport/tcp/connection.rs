//! One connection: writing to it, and when it is to end.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::MAX_BACKLOG;
use super::backlog::{Backlog, GivenUp};
use super::limits::{MIN_RATE, TcpLimits};
use crate::transport::packet::Octets;
use crate::transport::{SendError, Waiter};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) serial: u32,
    pub(super) remote: SocketAddr,
    /// Empty while the connection is being made.
    pub(super) stream: OnceCell<TcpStream>,
    outgoing: RefCell<Backlog>,
    /// Octets held for this connection, as counted for all workers.
    pub(super) counted: Cell<usize>,
    /// Octets received of a message that is incomplete.
    pub(super) unfinished: Cell<usize>,
    /// Is among those to be flushed.
    pub(super) unflushed: Cell<bool>,
    writable: Notify,
    pub(super) closed: Notify,
    /// Notified when a message begins, which has to end in time.
    pub(super) message_begins: Notify,
    pub(super) last_used: Cell<Instant>,
    /// By when the first whole message must be in, on a connection that somebody made to us and that has sent none yet.
    pub(super) first_message_by: Cell<Option<Instant>>,
    /// When the incoming message began.
    pub(super) message_since: Cell<Option<Instant>>,
}

impl Connection {
    pub(super) fn new(serial: u32, remote: SocketAddr) -> Self {
        Self {
            serial,
            remote,
            stream: OnceCell::new(),
            outgoing: RefCell::default(),
            counted: Cell::new(0),
            unfinished: Cell::new(0),
            unflushed: Cell::new(false),
            writable: Notify::new(),
            closed: Notify::new(),
            message_begins: Notify::new(),
            last_used: Cell::new(Instant::now()),
            first_message_by: Cell::new(None),
            message_since: Cell::new(None),
        }
    }

    /// When it is to be closed if nothing more happens. Octets that make no message, keep-alives among them, do not put
    /// off the end of one that has sent no message yet; the octets of a message put off its end as long as they come fast enough.
    pub(super) fn end(&self, limits: &TcpLimits) -> Instant {
        let idle = self.last_used.get() + limits.idle_timeout;
        let first = self.first_message_by.get();
        let came = u32::try_from(self.unfinished.get()).unwrap_or(u32::MAX);
        let more = Duration::from_secs(1) * came / MIN_RATE;
        let message = self.message_since.get().map(|since| since + limits.message_timeout + more);
        first.into_iter().chain(message).fold(idle, Instant::min)
    }

    /// Queues a message to be written; the client transaction is told if that fails. If there is no room, only this
    /// message fails.
    pub(super) fn queue(&self, message: Octets<'_>, waiter: Option<Waiter>) -> Result<(), SendError> {
        match self.outgoing.borrow_mut().push(message, waiter) {
            true => Ok(()),
            false => Err(self.no_room()),
        }
    }

    /// The error of messages to a peer that reads too slowly.
    pub(super) fn no_room(&self) -> SendError {
        SendError::Backlog { remote: self.remote, limit: MAX_BACKLOG }
    }

    /// A peer that does not read its answers gets none.
    pub(super) fn answer_ping(&self) {
        // It fails only after the peer has left a mebibyte unread, which ends the connection.
        let _ = self.queue(b"\r\n".as_slice().into(), None);
    }

    /// Octets that wait to be written, and received octets of an incomplete message.
    pub(super) fn held(&self) -> usize {
        self.outgoing.borrow().len() + self.unfinished.get()
    }

    pub(super) fn write(&self) {
        let Some(stream) = self.stream.get() else { return };
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.is_empty() {
            return;
        }
        self.last_used.set(Instant::now());
        match outgoing.write(stream) {
            Ok(written) => {
                outgoing.take(written);
                if !outgoing.is_empty() {
                    self.writable.notify_one();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable.notify_one(),
            Err(_) => self.closed.notify_one(),
        }
    }

    /// Writes the octets that the peer does not read at once. Ends if the connection breaks, or if the peer reads
    /// nothing for too long in the middle of a message. If it reads nothing between two messages, the waiting messages
    /// go to `give_up` and the connection stays. `progress` is called after each write.
    pub(super) async fn keep_writing(&self, limits: &TcpLimits, give_up: impl Fn(GivenUp), progress: impl Fn()) {
        let Some(stream) = self.stream.get() else { return };
        loop {
            self.writable.notified().await;
            while !self.outgoing.borrow().is_empty() {
                match timeout(limits.write_timeout, stream.writable()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) if self.outgoing.borrow().has_begun() => return,
                    Err(_) => {
                        give_up(self.give_up_unbegun());
                        progress();
                        break;
                    }
                }
                let written = self.outgoing.borrow().write(stream);
                match written {
                    Ok(written) => {
                        self.outgoing.borrow_mut().take(written);
                        self.last_used.set(Instant::now());
                        progress();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        }
    }

    /// Gives up the messages of which nothing is written.
    pub(super) fn give_up_unbegun(&self) -> GivenUp {
        self.outgoing.borrow_mut().give_up_unbegun()
    }

    /// The connection has ended: gives up all messages that are not written.
    pub(super) fn give_up(&self) -> GivenUp {
        self.outgoing.borrow_mut().give_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::ClientId;

    const IDLE: Duration = Duration::from_secs(3600);

    fn limits() -> TcpLimits {
        TcpLimits { idle_timeout: IDLE, ..TcpLimits::default() }
    }

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
        assert_eq!(connection.end(&limits()), first);
    }

    #[test]
    fn after_the_first_message_only_silence_ends_a_connection() {
        let connection = connection();
        assert_eq!(connection.end(&limits()), connection.last_used.get() + IDLE);
    }

    #[test]
    fn a_message_ends_in_time_and_a_long_one_may_take_longer_while_it_goes_on() {
        let connection = connection();
        let start = connection.last_used.get();
        connection.message_since.set(Some(start));
        connection.last_used.set(start + Duration::from_secs(20));
        assert_eq!(connection.end(&limits()), start + limits().message_timeout);
        connection.unfinished.set(10 * MIN_RATE as usize);
        assert_eq!(connection.end(&limits()), start + limits().message_timeout + Duration::from_secs(10));
    }

    #[test]
    fn a_message_that_has_no_room_fails_and_the_others_stay() {
        let (connection, waiter) = (connection(), (3, ClientId { slot: 1, token: 2 }));
        connection.queue(vec![b'x'; MAX_BACKLOG - 3].as_slice().into(), Some(waiter)).unwrap();
        let error = connection.queue(b"more".as_slice().into(), None).unwrap_err();
        assert_eq!(error, SendError::Backlog { remote: connection.remote, limit: MAX_BACKLOG });
        connection.answer_ping();
        assert_eq!(connection.held(), MAX_BACKLOG - 1);
        assert_eq!(connection.give_up(), GivenUp { waiters: vec![waiter], lost: 1 });
    }
}
