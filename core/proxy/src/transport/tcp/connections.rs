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

use super::TcpLimits;
use super::connection::Connection;
use super::limits::Peers;
use crate::transactions::ClientId;
use crate::transport::{ConnectionId, Flow, Protocol, SendError};
use crate::worker::{WeakWorker, Worker};

/// What one read takes from a connection at the most.
const READ_SIZE: usize = 64 * 1024;

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
    peers: RefCell<Peers>,
    unflushed: RefCell<Vec<Rc<Connection>>>,
    /// What is read lies here until it is cut into messages. One for all: most connections are silent most of the time.
    buffer: RefCell<Vec<u8>>,
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
        if let Err(error) = connection.queue(bytes, client) {
            // A stream that lacks a message is none to go on with: those at its other end repeat nothing.
            connection.closed.notify_one();
            self.remove(&connection);
            return Err(error);
        }
        if connection.stream.get().is_some() && !connection.unflushed.replace(true) {
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
                    this.not_made(&pending);
                }
            }
        });
        Ok(connection)
    }

    /// Tells those who wanted to send something over a connection that cannot be made.
    fn not_made(&self, connection: &Connection) {
        let waiting = connection.waiting.take();
        if let Some(worker) = self.worker() {
            worker.counters().messages_lost.add(connection.unclaimed.get());
            worker.sending_failed(&waiting);
        }
    }

    fn remove(&self, connection: &Connection) {
        if self.0.by_serial.borrow_mut().remove(&connection.serial).is_none() {
            return;
        }
        self.0.peers.borrow_mut().remove(connection.remote.ip());
        let mut by_remote = self.0.by_remote.borrow_mut();
        if by_remote.get(&connection.remote) == Some(&connection.serial) {
            by_remote.remove(&connection.remote);
        }
    }

    fn worker(&self) -> Option<Worker> {
        self.0.worker.get().and_then(WeakWorker::upgrade)
    }

    /// Reads, writes and times out one connection until it ends.
    async fn serve(self, connection: Rc<Connection>, stream: TcpStream) {
        let local = stream.local_addr();
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(120)));
        let (Ok(local), Ok(())) = (local, connection.stream.set(stream)) else {
            self.remove(&connection);
            return self.not_made(&connection);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn add(connections: &Connections, host: u8, port: u16) -> Result<Rc<Connection>, SendError> {
        connections.add(SocketAddr::from(([192, 0, 2, host], port)))
    }

    #[test]
    fn connections_over_the_limit_are_refused() {
        let connections = Connections::new(0, TcpLimits { max_connections: 1, ..TcpLimits::default() });
        add(&connections, 1, 5060).unwrap();
        assert_eq!(add(&connections, 2, 5060).unwrap_err(), SendError::TooManyConnections { limit: 1 });
    }

    #[test]
    fn connections_of_one_peer_over_its_limit_are_refused_until_one_ends() {
        let connections = Connections::new(0, TcpLimits { max_per_peer: 1, ..TcpLimits::default() });
        let first = add(&connections, 1, 5060).unwrap();
        assert!(matches!(add(&connections, 1, 5061), Err(SendError::TooManyOfPeer { limit: 1, .. })));
        add(&connections, 2, 5060).unwrap();
        connections.remove(&first);
        // What is over ends once, however many notice it.
        connections.remove(&first);
        add(&connections, 1, 5061).unwrap();
    }

    #[test]
    fn a_connection_that_takes_nothing_more_is_given_up() {
        let connections = Connections::new(3, TcpLimits::default());
        let connection = add(&connections, 1, 5060).unwrap();
        let id = ConnectionId { worker: 3, serial: connection.serial };
        let (local, remote) = (SocketAddr::from(([192, 0, 2, 9], 5060)), connection.remote);
        let flow = Flow { protocol: Protocol::Tcp, local, remote, connection: Some(id) };
        let half = vec![b'x'; super::super::MAX_BACKLOG / 2 + 1];
        connections.send(&flow, &half, None).unwrap();
        assert!(matches!(connections.send(&flow, &half, None), Err(SendError::Backlog { .. })));
        assert_eq!(connections.send(&flow, b"x", None), Err(SendError::ConnectionGone { remote }));
    }
}
