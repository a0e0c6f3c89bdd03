//! The event loop of a worker: a few tasks on one thread, each of which waits for one kind of event.

use std::net::SocketAddr;
use std::net::{TcpListener as StdListener, UdpSocket as StdUdp};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::inbox::Inbox;
use super::mailbox::Mail;
use super::waiting::Surplus;
use super::{Worker, here};
use crate::transport::udp::{UdpSocket, undelivered};
use crate::transport::{Flow, Protocol};

/// Messages or timers that are handled before other tasks get their turn.
const BATCH: usize = 32;
/// How often timers are looked at, at the most: there are several for each message, and each waking costs more than one of them.
const TICK: Duration = Duration::from_millis(10);
/// How long the timer task sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);
/// How often a draining worker looks whether it is done.
const DRAIN_CHECK: Duration = Duration::from_millis(20);

/// The listening sockets of one worker, bound but unknown to any runtime.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) udp: Vec<StdUdp>,
    pub(crate) tcp: Vec<StdListener>,
}

impl Worker {
    /// Serves until `stop` is set, then until nothing is under way or the drain time is over.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let crate::transport::Network::Sockets(sockets) = self.network() else { return };
        here::enter(self);
        for (local, socket) in sockets.udp.iter() {
            spawn_local(self.clone().read_datagrams(socket.clone(), *local));
        }
        spawn_local(self.clone().keep_time());
        spawn_local(self.clone().read_mail());
        spawn_local(crate::storage::relay_wakes());
        // An error means that the server is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
        self.draining().set(true);
        let deadline = Instant::now() + self.options().drain_timeout;
        while self.pending() > 0 && timeout_at(deadline, tokio::time::sleep(DRAIN_CHECK)).await.is_ok() {}
        self.end_of_batch();
        yield_now().await;
        self.abandon_own_requests();
    }

    async fn read_datagrams(self, socket: Rc<UdpSocket>, local: SocketAddr) {
        let mut inbox = Inbox::new(self.options().overload_delay);
        loop {
            let mut ready = match socket.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%local, %error, "the socket cannot be read any more");
                    return;
                }
            };
            if ready.ready().is_error() {
                self.begin_batch();
                undelivered::take(socket.get_ref(), |quoted, remote, kind| {
                    self.guarded(|worker| worker.receive_undelivered(quoted, remote, kind));
                });
                self.end_of_batch();
            }
            let drained = self.receive_batch(&mut inbox, socket.get_ref(), local);
            if drained {
                ready.clear_ready();
            }
            while !inbox.is_empty() {
                yield_now().await;
                // What has come meanwhile waits here, not in the kernel, which wouldn't say for how long.
                self.receive_batch(&mut inbox, socket.get_ref(), local);
            }
            if !drained {
                yield_now().await;
            }
        }
    }

    /// Takes what there is out of the socket, and handles some of what waits. True when nothing is left in the socket.
    fn receive_batch(&self, inbox: &mut Inbox, socket: &StdUdp, local: SocketAddr) -> bool {
        let flow = |remote| Flow { protocol: Protocol::Udp, local, remote, connection: None };
        self.begin_batch();
        let drained = inbox.fill(socket, self.now(), |datagram, remote, surplus| {
            let mut is_gone = surplus == Surplus::Dropped;
            match surplus {
                Surplus::Refused => self.guarded(|worker| is_gone = worker.refuse_at_a_glance(datagram, &flow(remote))),
                Surplus::Dropped => self.counters().overload_dropped.increment(),
            }
            is_gone
        });
        for _ in 0..BATCH {
            let Some(datagram) = inbox.next(self.now()) else { break };
            self.set_waited_since(Some(datagram.since));
            self.guarded(|worker| worker.receive_datagram(&datagram.octets, flow(datagram.remote)));
            inbox.recycle(datagram);
        }
        self.set_waited_since(None);
        self.end_of_batch();
        drained
    }

    async fn keep_time(self) {
        loop {
            let now = Instant::now();
            let next = self.next_timeout().map_or_else(|| now + IDLE, |at| Instant::from_std(at).max(now + TICK));
            self.arm(Some(next.into_std()));
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.earlier_deadline() => continue,
            }
            self.arm(None);
            let mut done = false;
            while !done {
                self.begin_batch();
                self.guarded(|worker| done = worker.fire_timers(BATCH));
                self.end_of_batch();
                yield_now().await;
            }
        }
    }

    async fn read_mail(self) {
        loop {
            self.workers().wait(self.index()).await;
            for mail in self.workers().take(self.index()) {
                let is_batch = matches!(mail, Mail::Requests(_));
                self.guarded(|worker| worker.receive_mail(mail));
                if is_batch {
                    // What comes in at this worker's own sockets has its turn, too.
                    self.end_of_batch();
                    yield_now().await;
                }
            }
            self.end_of_batch();
            yield_now().await;
        }
    }
}
