//! TCP: listeners and connections. A connection belongs to the worker that accepted or made it; messages between the
//! same two addresses share it, in both directions (RFC 3261 §18, RFC 5923 without the alias negotiation).

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use signalbox_sip::framing::{Frame, Framer};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{ConnectionId, Flow, Protocol, SendError};
use crate::transactions::ClientId;
use crate::worker::{WeakWorker, Worker};

/// Bytes that may wait for one slow peer before more are refused.
pub const MAX_BACKLOG: usize = 1024 * 1024;
/// Connections that the kernel may hold for us before they are accepted.
const ACCEPT_BACKLOG: i32 = 1024;
/// What one read takes from a connection at the most.
const READ_SIZE: usize = 64 * 1024;

/// Limits and time-outs of connections, from the settings.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections of one worker.
    pub max_connections: usize,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long a connection without any traffic is kept.
    pub idle_timeout: Duration,
    /// How long a new connection may take until its first complete message.
    pub first_message_timeout: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(3600),
            first_message_timeout: Duration::from_secs(32),
        }
    }
}

/// A listening socket that no runtime knows yet.
pub(crate) fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket.into())
}

/// The connections of one worker.
#[derive(Clone, Debug)]
pub struct Connections(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    worker_index: u16,
    worker: OnceCell<WeakWorker>,
    limits: TcpLimits,
    serial: Cell<u32>,
    by_serial: RefCell<HashMap<u32, Rc<Connection>>>,
    by_remote: RefCell<HashMap<SocketAddr, u32>>,
    unflushed: RefCell<Vec<Rc<Connection>>>,
    /// What is read lies here until it is cut into messages. One for all: most connections are silent most of the time.
    buffer: RefCell<Vec<u8>>,
}

#[derive(Debug)]
struct Connection {
    serial: u32,
    remote: SocketAddr,
    /// Empty while the connection is being made.
    stream: OnceCell<TcpStream>,
    outgoing: RefCell<Vec<u8>>,
    /// Client transactions to tell when the connection cannot be made.
    waiting: RefCell<Vec<ClientId>>,
    /// Messages that wait for that, too, and that nobody sends again.
    unclaimed: Cell<u64>,
    unflushed: Cell<bool>,
    writable: Notify,
    closed: Notify,
    last_used: Cell<Instant>,
    /// By when the first whole message must be in, on a connection that somebody made to us and that has sent none yet.
    first_message_by: Cell<Option<Instant>>,
}

impl Connections {
    pub(crate) fn new(worker_index: u16, limits: TcpLimits) -> Self {
        Self(Rc::new(Inner {
            worker_index,
            worker: OnceCell::new(),
            limits,
            serial: Cell::new(0),
            by_serial: RefCell::default(),
            by_remote: RefCell::default(),
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

    /// Queues `bytes` for the connection of `flow`, making one where `flow` names none and none is there.
    pub(crate) fn send(&self, flow: &Flow, bytes: &[u8], client: Option<ClientId>) -> Result<(), SendError> {
        let connection = match flow.connection {
            Some(id) => self.0.by_serial.borrow().get(&id.serial).cloned(),
            None => {
                let serial = self.0.by_remote.borrow().get(&flow.remote).copied();
                serial.and_then(|serial| self.0.by_serial.borrow().get(&serial).cloned())
            }
        };
        let connection = match (connection, flow.connection) {
            (Some(connection), _) => connection,
            (None, Some(_)) => return Err(SendError::ConnectionGone { remote: flow.remote }),
            (None, None) => self.connect(flow.remote)?,
        };
        if connection.outgoing.borrow().len() + bytes.len() > MAX_BACKLOG {
            return Err(SendError::Backlog { remote: flow.remote, limit: MAX_BACKLOG });
        }
        connection.outgoing.borrow_mut().extend_from_slice(bytes);
        if connection.stream.get().is_none() {
            match client {
                Some(client) => connection.waiting.borrow_mut().push(client),
                None => connection.unclaimed.set(connection.unclaimed.get() + 1),
            }
        } else if !connection.unflushed.replace(true) {
            self.0.unflushed.borrow_mut().push(connection);
        }
        Ok(())
    }

    /// Writes what was queued since the last call.
    pub(crate) fn flush(&self) {
        loop {
            let Some(connection) = self.0.unflushed.borrow_mut().pop() else { return };
            connection.unflushed.set(false);
            connection.write();
        }
    }

    pub(crate) fn is_connected(&self, remote: SocketAddr) -> bool {
        self.0.by_remote.borrow().contains_key(&remote)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.by_serial.borrow().len()
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => match self.add(remote) {
                    Ok(connection) => {
                        let end = Instant::now() + self.0.limits.first_message_timeout;
                        connection.first_message_by.set(Some(end));
                        tokio::task::spawn_local(self.clone().serve(connection, stream));
                    }
                    Err(error) => tracing::warn!(%remote, %error, "connection refused"),
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
        let limit = self.0.limits.max_connections;
        if self.len() >= limit {
            return Err(SendError::TooManyConnections { limit });
        }
        let serial = self.0.serial.get().wrapping_add(1);
        self.0.serial.set(serial);
        let connection = Rc::new(Connection {
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
        });
        self.0.by_serial.borrow_mut().insert(serial, connection.clone());
        self.0.by_remote.borrow_mut().insert(remote, serial);
        Ok(connection)
    }

    fn connect(&self, remote: SocketAddr) -> Result<Rc<Connection>, SendError> {
        let connection = self.add(remote)?;
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
                    this.remove(&pending);
                    let waiting = pending.waiting.take();
                    if let Some(worker) = this.0.worker.get().and_then(WeakWorker::upgrade) {
                        worker.counters().messages_lost.add(pending.unclaimed.get());
                        worker.sending_failed(&waiting);
                    }
                }
            }
        });
        Ok(connection)
    }

    fn remove(&self, connection: &Connection) {
        self.0.by_serial.borrow_mut().remove(&connection.serial);
        let mut by_remote = self.0.by_remote.borrow_mut();
        if by_remote.get(&connection.remote) == Some(&connection.serial) {
            by_remote.remove(&connection.remote);
        }
    }

    /// Reads, writes and times out one connection until it ends.
    async fn serve(self, connection: Rc<Connection>, stream: TcpStream) {
        let local = stream.local_addr();
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(120)));
        let (Ok(local), Ok(())) = (local, connection.stream.set(stream)) else {
            return self.remove(&connection);
        };
        connection.waiting.borrow_mut().clear();
        let id = ConnectionId { worker: self.0.worker_index, serial: connection.serial };
        let flow = Flow { protocol: Protocol::Tcp, local, remote: connection.remote, connection: Some(id) };
        connection.write();
        tokio::select! {
            end = self.read(&connection, flow) => tracing::debug!(%flow, ?end, "connection ended"),
            () = connection.keep_writing() => tracing::debug!(%flow, "connection broke while writing"),
            () = connection.closed.notified() => tracing::debug!(%flow, "connection closed"),
            () = self.time_out(&connection) => tracing::debug!(%flow, "connection silent for too long"),
        }
        self.remove(&connection);
    }

    async fn read(&self, connection: &Rc<Connection>, flow: Flow) -> io::Result<()> {
        let Some(stream) = connection.stream.get() else { return Ok(()) };
        let mut framer = Framer::new();
        loop {
            stream.readable().await?;
            let mut buffer = self.0.buffer.borrow_mut();
            let read = match stream.try_read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            connection.last_used.set(Instant::now());
            framer.push(&buffer[..read]);
            drop(buffer);
            let Some(worker) = self.0.worker.get().and_then(WeakWorker::upgrade) else { return Ok(()) };
            let mut broken = false;
            while let Some(frame) = framer.next() {
                match frame {
                    Ok(Frame::Message(message)) => {
                        connection.first_message_by.set(None);
                        worker.receive_message(message, flow);
                    }
                    // RFC 5626 §4.4.1: a double CRLF is a ping and a single one its answer.
                    Ok(Frame::Ping) => broken |= !connection.answer_ping(),
                    Ok(Frame::Pong) => {}
                    Err(error) => {
                        // Where the next message begins is not known any more.
                        worker.receive_broken(&error, flow);
                        broken = true;
                        break;
                    }
                }
            }
            worker.end_of_batch();
            connection.write();
            if broken {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    async fn time_out(&self, connection: &Connection) {
        loop {
            let end = connection.end(self.0.limits.idle_timeout);
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

impl Connection {
    /// False for a peer that pings on and doesn't take the answers.
    fn answer_ping(&self) -> bool {
        let mut outgoing = self.outgoing.borrow_mut();
        let has_room = outgoing.len() < MAX_BACKLOG;
        if has_room {
            outgoing.extend_from_slice(b"\r\n");
        }
        has_room
    }

    /// When it is to be closed if nothing more happens. Octets that make no message, keep-alives among them, do not put
    /// off the end of one that has sent no message yet.
    fn end(&self, idle_timeout: Duration) -> Instant {
        let idle = self.last_used.get() + idle_timeout;
        self.first_message_by.get().map_or(idle, |first| first.min(idle))
    }

    fn write(&self) {
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
    async fn keep_writing(&self) {
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

    fn connection(limits: TcpLimits) -> (Connections, Rc<Connection>) {
        let connections = Connections::new(0, limits);
        let connection = connections.add(SocketAddr::from(([192, 0, 2, 1], 5060))).unwrap();
        (connections, connection)
    }

    #[test]
    fn octets_that_make_no_message_do_not_put_off_the_first_message() {
        let (_connections, connection) = connection(TcpLimits::default());
        let start = connection.last_used.get();
        let first = start + Duration::from_secs(32);
        connection.first_message_by.set(Some(first));
        connection.last_used.set(start + Duration::from_secs(31));
        assert_eq!(connection.end(IDLE), first);
    }

    #[test]
    fn after_the_first_message_only_silence_ends_a_connection() {
        let (_connections, connection) = connection(TcpLimits::default());
        assert_eq!(connection.end(IDLE), connection.last_used.get() + IDLE);
    }

    #[test]
    fn pings_of_a_peer_that_takes_no_answers_are_not_answered_for_ever() {
        let (_connections, connection) = connection(TcpLimits::default());
        let answered = (0..2 * MAX_BACKLOG).take_while(|_| connection.answer_ping()).count();
        assert_eq!(answered, MAX_BACKLOG / 2);
    }

    #[test]
    fn connections_over_the_limit_are_refused() {
        let (connections, _connection) = connection(TcpLimits { max_connections: 1, ..TcpLimits::default() });
        let second = connections.add(SocketAddr::from(([192, 0, 2, 2], 5060)));
        assert!(matches!(second, Err(SendError::TooManyConnections { limit: 1 })));
    }
}
