//! The Unix socket that commands come in by. Only its owner may connect: whoever can, controls the server.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, RwLock};
use tokio::time::Instant;

use super::registry::Registry;
use super::rpc;

/// Bytes of one request line. A longer one is answered with an error and the connection closed.
pub const MAX_LINE: usize = 1 << 20;
/// Connections served at a time. A further connection closes the one that has been idle longest, so that an operator
/// can always connect.
pub const MAX_CONNECTIONS: usize = 32;
/// How long the client may take to read an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a command for this long is closed.
pub const IDLE: Duration = Duration::from_secs(600);

const BACKLOG: i32 = 128;

/// A bound socket. Dropping it removes its file.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    under_way: UnderWay,
}

/// The commands that are carried out and not answered yet, also those of connections that outlive their socket.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<RwLock<()>>);

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{path}: another server answers there; stop it, or choose another path")]
    InUse { path: PathBuf },
    #[error("{path}: exists and is not a socket; remove it, or choose another path")]
    NotASocket { path: PathBuf },
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

impl AdminSocket {
    /// Binds the socket at `path`, replacing the file of a server that was killed. Needs a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        clear_stale(path)?;
        let listener = listen(path).map_err(|error| SocketError::Io { path: path.to_owned(), error })?;
        Ok(Self { listener, path: path.to_owned(), under_way: UnderWay::default() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn under_way(&self) -> UnderWay {
        self.under_way.clone()
    }

    /// Serves until dropped.
    pub async fn serve(self, registry: Arc<Registry>) {
        let seats = Seats::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (registry, under_way) = (registry.clone(), self.under_way());
                    let taken = seats.take().await;
                    tokio::spawn(async move {
                        tokio::select! {
                            result = converse(stream, &registry, &under_way, &taken.seat) => {
                                if let Err(error) = result {
                                    tracing::debug!(%error, "admin connection failed");
                                }
                            }
                            () = taken.seat.leave.notified() => {
                                tracing::info!("an idle admin connection is closed to serve another one");
                            }
                        }
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: others must be closed first.
                    tracing::warn!(%error, "admin socket does not accept");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// The connections that are served.
#[derive(Clone, Default)]
struct Seats(Arc<SeatsInner>);

#[derive(Default)]
struct SeatsInner {
    taken: Mutex<Vec<Arc<Seat>>>,
    freed: Notify,
}

/// One connection.
struct Seat {
    state: Mutex<SeatState>,
    leave: Notify,
}

#[derive(Clone, Copy)]
enum SeatState {
    /// No command has come since this time.
    Idle(Instant),
    /// A command is running.
    Busy,
    /// The connection has been told to close.
    Leaving,
}

/// Frees the seat when it is dropped.
struct Taken {
    seat: Arc<Seat>,
    seats: Seats,
}

impl Seats {
    /// Waits only while every connection runs a command.
    async fn take(&self) -> Taken {
        loop {
            let seat = Arc::new(Seat { state: Mutex::new(SeatState::Idle(Instant::now())), leave: Notify::new() });
            if self.seat(&seat) {
                return Taken { seat, seats: self.clone() };
            }
            self.0.freed.notified().await;
        }
    }

    fn seat(&self, seat: &Arc<Seat>) -> bool {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= MAX_CONNECTIONS {
            let mut idle: Vec<_> = taken.iter().filter_map(|seat| Some((seat.idle_since()?, seat.clone()))).collect();
            idle.sort_by_key(|(since, _)| *since);
            let Some((_, left)) = idle.into_iter().find(|(_, seat)| seat.leave()) else { return false };
            taken.retain(|seat| !Arc::ptr_eq(seat, &left));
        }
        taken.push(seat.clone());
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.seats.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        self.seats.0.freed.notify_one();
    }
}

impl Seat {
    fn state(&self) -> MutexGuard<'_, SeatState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_since(&self) -> Option<Instant> {
        match *self.state() {
            SeatState::Idle(since) => Some(since),
            SeatState::Busy | SeatState::Leaving => None,
        }
    }

    /// Closes the connection, unless a command has just begun.
    fn leave(&self) -> bool {
        let mut state = self.state();
        if matches!(*state, SeatState::Busy) {
            return false;
        }
        *state = SeatState::Leaving;
        self.leave.notify_one();
        true
    }

    /// Marks the connection as busy before a command runs. False if the connection has to close instead.
    fn begin(&self) -> bool {
        let mut state = self.state();
        if matches!(*state, SeatState::Leaving) {
            return false;
        }
        *state = SeatState::Busy;
        true
    }

    fn rest(&self) {
        *self.state() = SeatState::Idle(Instant::now());
    }
}

impl UnderWay {
    /// Waits until each command that has begun is answered.
    pub async fn answered(&self) {
        drop(self.0.write().await);
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn clear_stale(path: &Path) -> Result<(), SocketError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    if StdStream::connect(path).is_ok() {
        return Err(SocketError::InUse { path: path.to_owned() });
    }
    std::fs::remove_file(path).map_err(|error| SocketError::Io { path: path.to_owned(), error })
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before listening, so that nobody else can have connected.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

async fn converse(stream: UnixStream, registry: &Registry, under_way: &UnderWay, seat: &Seat) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut input).take(MAX_LINE as u64 + 1);
        let Ok(read) = tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await else { return Ok(()) };
        if read? == 0 {
            return Ok(());
        }
        if line.len() > MAX_LINE {
            output.write_all(rpc::too_long(MAX_LINE).as_bytes()).await?;
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if !seat.begin() {
            return Ok(());
        }
        let _under_way = under_way.0.read().await;
        let answer = rpc::answer(registry, &line).await;
        if let Some(mut answer) = answer {
            answer.push('\n');
            let written = tokio::time::timeout(ANSWER_TIMEOUT, output.write_all(answer.as_bytes())).await;
            written.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        seat.rest();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::admin::client::{Client, ClientError};
    use crate::admin::registry::Entry;
    use crate::module::command::{CommandParameter, Usage};
    use serde_json::json;

    fn echo() -> Arc<Registry> {
        let mut registry = Registry::new();
        let text = CommandParameter { name: "text", doc: "anything", required: true };
        let usage = Usage { name: "echo", doc: "Answers what was said.", parameters: vec![text] };
        registry.add("core", Entry::new(usage, |parameters| async move { Ok(parameters) }));
        Arc::new(registry)
    }

    #[tokio::test]
    async fn a_command_goes_there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/admin.sock");
        let socket = AdminSocket::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let server = tokio::spawn(socket.serve(echo()));
        let mut client = Client::connect(&path).await.unwrap();
        assert_eq!(client.call("core.echo", json!(["hi"])).await.unwrap(), json!({ "text": "hi" }));
        let error = client.call("core.ehco", json!({})).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { code: -32601, .. }), "{error}");
        server.abort();
        assert!(server.await.is_err());
        assert!(!path.exists(), "the file goes with the server");
    }

    #[tokio::test]
    async fn idle_connections_do_not_keep_an_operator_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let server = tokio::spawn(AdminSocket::bind(&path).unwrap().serve(echo()));
        let mut idle = Vec::new();
        for number in 0..60 {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"half a command").await.unwrap();
            }
            idle.push(stream);
        }
        let mut client = Client::connect(&path).await.unwrap();
        assert_eq!(client.call("core.echo", json!(["hi"])).await.unwrap(), json!({ "text": "hi" }));
        // The connections told first have closed; the others may stay.
        let mut end = [0; 1];
        assert!(matches!(idle[0].read(&mut end).await, Ok(0) | Err(_)));
        drop(idle);
        assert_eq!(client.call("core.echo", json!(["on"])).await.unwrap(), json!({ "text": "on" }));
        server.abort();
    }

    #[tokio::test]
    async fn what_has_begun_is_waited_for_also_when_the_socket_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (begun, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let mut registry = Registry::new();
        let usage = Usage { name: "stop", doc: "Stops.", parameters: Vec::new() };
        let shared = (begun.clone(), done.clone());
        let stop = move |_| {
            let (begun, done) = shared.clone();
            async move {
                begun.notify_one();
                tokio::task::yield_now().await;
                done.store(true, Ordering::Relaxed);
                Ok(json!("stopping"))
            }
        };
        registry.add("core", Entry::new(usage, stop));
        let socket = AdminSocket::bind(&path).unwrap();
        let under_way = socket.under_way();
        let server = tokio::spawn(socket.serve(Arc::new(registry)));
        let mut client = Client::connect(&path).await.unwrap();
        let asked = tokio::spawn(async move { client.call("core.stop", json!({})).await });
        begun.notified().await;
        server.abort();
        under_way.answered().await;
        assert!(done.load(Ordering::Relaxed));
        assert_eq!(asked.await.unwrap().unwrap(), json!("stopping"));
    }

    #[tokio::test]
    async fn a_stale_file_is_replaced_but_never_a_live_server_or_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = AdminSocket::bind(&path).unwrap();
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InUse { .. })));
        drop(socket);
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let server = tokio::spawn(AdminSocket::bind(&path).unwrap().serve(echo()));
        let (mut input, mut output) = UnixStream::connect(&path).await.unwrap().into_split();
        let writer = tokio::spawn(async move {
            let _ = output.write_all(&vec![b' '; MAX_LINE + 2]).await;
            output
        });
        let mut answer = String::new();
        let _ = input.read_to_string(&mut answer).await;
        assert!(answer.contains("-32600"), "{answer}");
        drop(writer.await);
        server.abort();
    }
}
