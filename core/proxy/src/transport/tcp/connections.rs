//! All connections of a worker: accepting and making them, reading, ending.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use signalbox_sip::framing::{Frame, Framer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::backlog::GivenUp;
use super::connection::Connection;
use super::limits::{Peers, UNCOUNTED};
use super::{SharedConnections, TcpLimits};
use crate::transactions::ClientId;
use crate::transport::packet::Octets;
use crate::transport::{ConnectionId, Failure, Flow, Protocol, SendError, Waiter};
use crate::worker::mailbox::Mail;
use crate::worker::{WeakWorker, Worker};

/// What one read takes from a connection at the most.
const READ_SIZE: usize = 64 * 1024;
/// Octets that the kernel may hold for a slow peer (it doubles this for its own needs). A connection is writable again
/// when a third of that is free, so `write_timeout` is the time in which the peer must read a third.
const SEND_BUFFER: usize = 256 * 1024;

/// The connections of one worker.
#[derive(Clone, Debug)]
pub struct Connections(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    worker_index: u16,
    worker: OnceCell<WeakWorker>,
    limits: TcpLimits,
    shared: SharedConnections,
    serial: Cell<u32>,
    by_serial: RefCell<HashMap<u32, Rc<Connection>>>,
    by_remote: RefCell<HashMap<SocketAddr, u32>>,
    peers: RefCell<Peers>,
    unflushed: RefCell<Vec<Rc<Connection>>>,
    /// What is read lies here until it is cut into messages. One for all: most connections are silent most of the time.
    buffer: RefCell<Vec<u8>>,
}

impl Connections {
    pub(crate) fn new(worker_index: u16, limits: TcpLimits, shared: SharedConnections) -> Self {
        Self(Rc::new(Inner {
            worker_index,
            worker: OnceCell::new(),
            limits,
            shared,
            serial: Cell::new(0),
            by_serial: RefCell::default(),
            by_remote: RefCell::default(),
            peers: RefCell::default(),
            unflushed: RefCell::default(),
            buffer: RefCell::new(vec![0; READ_SIZE]),
        }))
    }

    /// Names the worker that messages are given to and takes in connections of `listeners` from now on.
    pub(crate) fn start(&self, worker: &Worker, listeners: Vec<StdListener>) -> io::Result<()> {
        // A second start would be a second worker: the first stays.
        let _ = self.0.worker.set(worker.downgrade());
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            tokio::task::spawn_local(self.clone().accept(listener));
        }
        Ok(())
    }

    /// Queues a message for the connection of `flow`. If `flow` names none, any connection to its remote address will do: one of this worker, one of another
    /// worker, or a new one (RFC 3261 §18).
    pub(crate) fn send(&self, flow: &Flow, message: Octets<'_>, client: Option<ClientId>) -> Result<(), SendError> {
        self.send_for(flow, message, client.map(|client| (self.0.worker_index, client)))
    }

    /// As above, for a client transaction of any worker.
    pub(crate) fn send_for(&self, flow: &Flow, message: Octets<'_>, waiter: Option<Waiter>) -> Result<(), SendError> {
        let known = match flow.connection {
            Some(id) => Some(self.of_serial(id.serial).ok_or(SendError::ConnectionGone { remote: flow.remote })?),
            None => self.0.by_remote.borrow().get(&flow.remote).and_then(|serial| self.of_serial(*serial)),
        };
        let connection = match known {
            Some(connection) => connection,
            None => match self.connect(flow.remote)? {
                Ok(connection) => connection,
                Err(other) => return self.pass_on(other, flow, message, waiter),
            },
        };
        connection.queue(message, waiter)?;
        if connection.stream.get().is_some() && !connection.unflushed.replace(true) {
            self.0.unflushed.borrow_mut().push(connection);
        }
        Ok(())
    }

    fn of_serial(&self, serial: u32) -> Option<Rc<Connection>> {
        self.0.by_serial.borrow().get(&serial).cloned()
    }

    /// Passes a message to the worker that holds a connection to its remote address. If that connection ends meanwhile,
    /// that worker makes a new one.
    fn pass_on(
        &self,
        holder: ConnectionId,
        flow: &Flow,
        message: Octets<'_>,
        waiter: Option<Waiter>,
    ) -> Result<(), SendError> {
        let Some(worker) = self.worker() else { return Err(SendError::ConnectionGone { remote: flow.remote }) };
        worker.workers().pass_on(holder.worker, flow, message, waiter)
    }

    /// Writes what was queued since the last call.
    pub(crate) fn flush(&self) {
        loop {
            let Some(connection) = self.0.unflushed.borrow_mut().pop() else { return };
            connection.unflushed.set(false);
            connection.write();
            if !self.count_octets(&connection) {
                self.given_up(&connection.no_room(), connection.give_up_unbegun());
                self.count_octets(&connection);
            }
        }
    }

    /// Whether any worker has a connection with `remote`.
    pub(crate) fn is_connected(&self, remote: SocketAddr) -> bool {
        self.0.by_remote.borrow().contains_key(&remote) || self.0.shared.find(remote).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.by_serial.borrow().len()
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => match self.add(remote) {
                    Ok(connection) => {
                        self.0.shared.add(remote, self.id(&connection));
                        let end = Instant::now() + self.0.limits.first_message_timeout;
                        connection.first_message_by.set(Some(end));
                        tokio::task::spawn_local(self.clone().serve(connection, stream));
                    }
                    Err(error) => {
                        if let Some(worker) = self.worker() {
                            worker.counters().connections_refused.increment();
                        }
                        tracing::info!(%remote, %error, "connection refused");
                    }
                },
                Err(error) => {
                    // Out of file descriptors, most often: waiting lets connections end.
                    tracing::warn!(%error, "accepting a connection failed");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn add(&self, remote: SocketAddr) -> Result<Rc<Connection>, SendError> {
        let TcpLimits { max_connections, max_per_peer, .. } = self.0.limits;
        if self.len() >= max_connections {
            return Err(SendError::TooManyConnections { limit: max_connections });
        }
        if !self.0.peers.borrow_mut().add(remote.ip(), max_per_peer) {
            return Err(SendError::TooManyOfPeer { remote, limit: max_per_peer });
        }
        let serial = self.0.serial.get().wrapping_add(1);
        self.0.serial.set(serial);
        let connection = Rc::new(Connection::new(serial, remote));
        self.0.by_serial.borrow_mut().insert(serial, connection.clone());
        self.0.by_remote.borrow_mut().insert(remote, serial);
        Ok(connection)
    }

    /// Makes a connection, or returns the one that another worker has or is making.
    fn connect(&self, remote: SocketAddr) -> Result<Result<Rc<Connection>, ConnectionId>, SendError> {
        if let Some(other) = self.0.shared.find(remote) {
            return Ok(Err(other));
        }
        let connection = self.add(remote)?;
        if let Err(other) = self.0.shared.claim(remote, self.id(&connection)) {
            self.remove(&connection);
            return Ok(Err(other));
        }
        let (this, pending) = (self.clone(), connection.clone());
        tokio::task::spawn_local(async move {
            match timeout(this.0.limits.connect_timeout, TcpStream::connect(remote)).await {
                Ok(Ok(stream)) => this.serve(pending, stream).await,
                result => {
                    let problem = result.map_or_else(
                        |_| io::ErrorKind::TimedOut,
                        |result| result.map_or_else(|e| e.kind(), |_| io::ErrorKind::Other),
                    );
                    tracing::info!(%remote, %problem, "cannot connect");
                    this.end(&pending, &SendError::Io { remote, kind: problem });
                }
            }
        });
        Ok(Ok(connection))
    }

    fn id(&self, connection: &Connection) -> ConnectionId {
        ConnectionId { worker: self.0.worker_index, serial: connection.serial }
    }

    /// A connection has ended or could not be made.
    fn end(&self, connection: &Connection, why: &SendError) {
        self.remove(connection);
        self.given_up(why, connection.give_up());
    }

    /// Tells the transactions that their messages will not be written.
    fn given_up(&self, why: &SendError, given_up: GivenUp) {
        let Some(worker) = self.worker().filter(|_| !given_up.is_empty()) else { return };
        let GivenUp { waiters, lost } = given_up;
        if lost > 0 {
            tracing::info!(%why, lost, "messages were not written to a connection");
            worker.counters().messages_lost.add(lost);
        }
        let (own, others): (Vec<Waiter>, Vec<Waiter>) =
            waiters.into_iter().partition(|(index, _)| *index == self.0.worker_index);
        let failure = |client| Failure { client, error: why.clone() };
        for (index, client) in others {
            worker.workers().post(index, Mail::SendingFailed(failure(client)));
        }
        if !own.is_empty() {
            worker.sending_failed(own.into_iter().map(|(_, client)| failure(client)));
        }
    }

    fn remove(&self, connection: &Connection) {
        if self.0.by_serial.borrow_mut().remove(&connection.serial).is_none() {
            return;
        }
        self.0.peers.borrow_mut().remove(connection.remote.ip());
        let counted = connection.counted.take();
        if counted > 0 {
            self.0.shared.hold(connection.remote, (counted, 0), &self.0.limits);
        }
        let other = self.0.shared.remove(connection.remote, self.id(connection));
        let mut by_remote = self.0.by_remote.borrow_mut();
        if by_remote.get(&connection.remote) == Some(&connection.serial) {
            match other {
                Some(other) => by_remote.insert(connection.remote, other.serial),
                None => by_remote.remove(&connection.remote),
            };
        }
    }

    /// Counts the octets held for a connection, if they are many. False if they exceed the limit of its peer or of all
    /// peers together.
    fn count_octets(&self, connection: &Connection) -> bool {
        let held = connection.held();
        let (old, new) = (connection.counted.get(), if held > UNCOUNTED { held } else { 0 });
        if old == new || !self.0.by_serial.borrow().contains_key(&connection.serial) {
            return true;
        }
        let fits = self.0.shared.hold(connection.remote, (old, new), &self.0.limits);
        if fits {
            connection.counted.set(new);
        } else {
            tracing::info!(remote = %connection.remote, octets = held, "too many octets are held for a peer");
        }
        fits
    }

    fn worker(&self) -> Option<Worker> {
        self.0.worker.get().and_then(WeakWorker::upgrade)
    }

    /// Reads, writes and times out one connection until it ends.
    async fn serve(self, connection: Rc<Connection>, stream: TcpStream) {
        let local = stream.local_addr();
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(120)));
        let (Ok(local), Ok(())) = (local, connection.stream.set(stream)) else {
            return self.end(&connection, &SendError::ConnectionGone { remote: connection.remote });
        };
        let id = self.id(&connection);
        let flow = Flow { protocol: Protocol::Tcp, local, remote: connection.remote, connection: Some(id) };
        connection.write();
        let give_up = |given_up| self.given_up(&connection.no_room(), given_up);
        let progress = || {
            self.count_octets(&connection);
        };
        let is_given_up = tokio::select! {
            end = self.read(&connection, flow) => {
                tracing::debug!(%flow, ?end, "connection ended");
                false
            }
            () = connection.keep_writing(&self.0.limits, give_up, progress) => {
                tracing::info!(%flow, "connection broke while writing, or its peer does not read");
                true
            }
            () = connection.closed.notified() => {
                tracing::debug!(%flow, "connection closed");
                false
            }
            is_late = self.time_out(&connection) => {
                tracing::debug!(%flow, "connection silent or too slow for too long");
                is_late
            }
        };
        if let Some(worker) = self.worker().filter(|_| is_given_up) {
            worker.counters().connections_given_up.increment();
        }
        self.end(&connection, &SendError::ConnectionGone { remote: connection.remote });
    }

    async fn read(&self, connection: &Rc<Connection>, flow: Flow) -> io::Result<()> {
        let Some(stream) = connection.stream.get() else { return Ok(()) };
        let mut framer = Framer::new();
        loop {
            stream.readable().await?;
            {
                let mut buffer = self.0.buffer.borrow_mut();
                match stream.try_read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(read) => framer.push(buffer.get(..read).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error),
                }
            }
            connection.last_used.set(Instant::now());
            let Some(worker) = self.worker() else { return Ok(()) };
            let mut broken = false;
            while let Some(frame) = framer.next() {
                connection.message_since.set(None);
                match frame {
                    Ok(Frame::Message(message)) => {
                        connection.first_message_by.set(None);
                        worker.receive_message(message, flow);
                    }
                    // The sender gets an answer and reading goes on, because others share the connection.
                    Ok(Frame::Bad(error)) => worker.receive_bad(&error, flow),
                    // RFC 5626 §4.4.1: a double CRLF is a ping and a single one its answer.
                    Ok(Frame::Ping) => connection.answer_ping(),
                    Ok(Frame::Pong) => {}
                    Err(error) => {
                        // Where the next message begins is not known any more.
                        worker.receive_broken(&error, flow);
                        broken = true;
                        break;
                    }
                }
            }
            connection.unfinished.set(framer.held());
            if framer.is_within_message() && connection.message_since.get().is_none() {
                connection.message_since.set(Some(connection.last_used.get()));
                connection.message_begins.notify_one();
            }
            worker.end_of_batch();
            connection.write();
            let fits = self.count_octets(connection);
            if !fits {
                worker.counters().connections_given_up.increment();
            }
            if broken || !fits {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// Ends when the connection has to be closed. The result says whether its peer sent a message too slowly.
    async fn time_out(&self, connection: &Connection) -> bool {
        loop {
            let end = connection.end(&self.0.limits);
            if Instant::now() >= end {
                return connection.message_since.get().is_some();
            }
            tokio::select! {
                () = sleep_until(end) => {}
                () = connection.message_begins.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tcp::MAX_BACKLOG;

    fn add(connections: &Connections, host: u8, port: u16) -> Result<Rc<Connection>, SendError> {
        connections.add(SocketAddr::from(([192, 0, 2, host], port)))
    }

    #[test]
    fn connections_over_the_limit_are_refused() {
        let connections =
            Connections::new(0, TcpLimits { max_connections: 1, ..TcpLimits::default() }, SharedConnections::default());
        add(&connections, 1, 5060).unwrap();
        assert_eq!(add(&connections, 2, 5060).unwrap_err(), SendError::TooManyConnections { limit: 1 });
    }

    #[test]
    fn connections_of_one_peer_over_its_limit_are_refused_until_one_ends() {
        let connections =
            Connections::new(0, TcpLimits { max_per_peer: 1, ..TcpLimits::default() }, SharedConnections::default());
        let first = add(&connections, 1, 5060).unwrap();
        assert!(matches!(add(&connections, 1, 5061), Err(SendError::TooManyOfPeer { limit: 1, .. })));
        add(&connections, 2, 5060).unwrap();
        connections.remove(&first);
        // What is over ends once, however many notice it.
        connections.remove(&first);
        add(&connections, 1, 5061).unwrap();
    }

    #[test]
    fn a_message_without_room_fails_by_itself_and_the_connection_stays() {
        let connections = Connections::new(3, TcpLimits::default(), SharedConnections::default());
        let connection = add(&connections, 1, 5060).unwrap();
        let id = ConnectionId { worker: 3, serial: connection.serial };
        let (local, remote) = (SocketAddr::from(([192, 0, 2, 9], 5060)), connection.remote);
        let flow = Flow { protocol: Protocol::Tcp, local, remote, connection: Some(id) };
        let half = vec![b'x'; MAX_BACKLOG / 2 + 1];
        connections.send(&flow, half.as_slice().into(), None).unwrap();
        assert!(matches!(connections.send(&flow, half.as_slice().into(), None), Err(SendError::Backlog { .. })));
        assert_eq!(connections.send(&flow, b"x".as_slice().into(), None), Ok(()));
        connections.remove(&connection);
        assert_eq!(connections.send(&flow, b"x".as_slice().into(), None), Err(SendError::ConnectionGone { remote }));
    }
}
