//! What reaches a worker from other threads. Mail is taken out in batches; a worker that is busy finds all of it at once.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use signalbox_sip::message::Message;
use siphasher::sip::SipHasher13;
use tokio::sync::Notify;

use super::directory::Directory;
use super::handover::{Handed, Load};
use super::merging::Served;
use super::{Worker, here};
use crate::module::Host;
use crate::transactions::OutgoingRequest;
use crate::transactions::local::Outgoing;
use crate::transport::packet::{Octets, Packet};
use crate::transport::{Failure, Flow, SendError, Waiter};

/// Pieces of mail that may wait for one worker before messages from the network that are not for its own sockets are dropped.
const MAX_WAITING: usize = 16_384;
/// Octets of messages that may wait likewise, those that it is to send over its connections among them.
const MAX_OCTETS: usize = 16 * 1024 * 1024;

/// One piece of mail.
pub(crate) enum Mail {
    /// A message that came in at another worker's socket.
    Message(Message, Flow),
    /// Requests received by another worker that is too busy, or that does not have their transaction.
    Requests(Vec<Handed>),
    /// Octets for a connection that this worker holds, and the client transaction of another worker to tell when they
    /// cannot be sent.
    Send(Flow, Packet, Option<Waiter>),
    /// A request of this worker could not be sent; another worker found out.
    SendingFailed(Failure),
    /// A request of the server's own.
    Request(Outgoing),
    /// Anything else that must run on the worker's thread.
    Task(Box<dyn FnOnce(&Worker) + Send>),
}

impl Mail {
    /// Octets of the message in it, if their number has no other limit.
    fn octets(&self) -> usize {
        match self {
            Self::Message(message, _) => message.octets(),
            Self::Send(_, message, _) => message.as_octets().len(),
            Self::Requests(_) | Self::SendingFailed(_) | Self::Request(_) | Self::Task(_) => 0,
        }
    }
}

/// The mailboxes of all workers: how other threads reach them.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    mailboxes: Box<[Mailbox]>,
    directory: Directory,
    served: Served,
    /// The secret key of the hash that distributes work, so that no peer can direct all work to one worker.
    key: (u64, u64),
    /// What times of [`Load`]s are counted from.
    began: Instant,
}

#[derive(Default)]
struct Mailbox {
    queue: Mutex<Queue>,
    bell: Notify,
    load: Load,
}

#[derive(Default)]
struct Queue {
    mail: Vec<Mail>,
    /// Octets of the messages in it.
    octets: usize,
    /// The worker has ended and does not read this any more.
    closed: bool,
}

/// What this thread's worker has queued goes out before another worker hears of what made it do so: a NOTIFY that leaves
/// there must not overtake the response that promised it.
fn send_waiting_first(receiver: u16) {
    if let Some(here) = here::worker().filter(|here| here.index() != receiver) {
        here.network().flush_datagrams();
    }
}

impl Workers {
    pub(crate) fn new(count: u16) -> Self {
        let random = RandomState::new();
        Self::with_key(count, (random.hash_one(0), random.hash_one(1)))
    }

    fn with_key(count: u16, key: (u64, u64)) -> Self {
        let mailboxes = (0..count.max(1)).map(|_| Mailbox::default()).collect();
        let directory = Directory::new(count);
        Self(Arc::new(Inner { mailboxes, directory, served: Served::new(), key, began: Instant::now() }))
    }

    /// The mailbox of a worker that is alone and runs on the caller's thread, as in a test; `host` sends its requests there.
    pub fn alone(host: &Host) -> Self {
        Self::seeded(1, 0, host)
    }

    /// The mailboxes of workers that run on the caller's thread, as in a test. The seed decides how they share the
    /// work.
    pub fn seeded(count: u16, seed: u64, host: &Host) -> Self {
        let workers = Self::with_key(count, (seed, seed.rotate_left(32)));
        host.set_workers(workers.clone());
        workers
    }

    /// How many workers there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.0.mailboxes.len()).unwrap_or(u16::MAX)
    }

    /// Sends a request of the server's own. All requests of one dialog leave from one worker, in the order of these calls.
    pub fn request(&self, request: OutgoingRequest) {
        self.send_own(request.into());
    }

    pub(crate) fn send_own(&self, request: Outgoing) {
        let held_by = request.flow.and_then(|flow| flow.connection).map(|connection| connection.worker);
        let worker = held_by.unwrap_or_else(|| self.by_call_id(request.message.call_id()));
        self.post(worker, Mail::Request(request));
    }

    /// The worker that has all requests of one Call-ID, where it may be any.
    pub(crate) fn by_call_id(&self, call_id: &str) -> u16 {
        self.by_subject(call_id)
    }

    /// The worker that handles everything about one subject.
    pub(crate) fn by_subject(&self, subject: &str) -> u16 {
        let mut hasher = SipHasher13::new_with_keys(self.0.key.0, self.0.key.1);
        subject.hash(&mut hasher);
        u16::try_from(hasher.finish() % u64::from(self.count())).unwrap_or_default()
    }

    /// Which worker has which transaction.
    pub(super) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The requests that have been served lately.
    pub(super) fn served(&self) -> &Served {
        &self.0.served
    }

    pub(super) fn load(&self, worker: u16) -> Option<&Load> {
        self.0.mailboxes.get(usize::from(worker)).map(|mailbox| &mailbox.load)
    }

    /// Sets since when a worker has been busy; `None` while it rests. Workers set it themselves, except in tests.
    pub fn set_awake_since(&self, worker: u16, since: Option<Instant>) {
        if let Some(load) = self.load(worker) {
            load.set_awake_since(since.map(|since| since.saturating_duration_since(self.0.began)));
        }
    }

    /// Whether `worker` has more to do than it can, and any other has not.
    pub(super) fn should_hand_over(&self, worker: u16, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.0.began);
        let is_saturated = |mailbox: &Mailbox| mailbox.load.is_saturated(now);
        self.0.mailboxes.get(usize::from(worker)).is_some_and(is_saturated)
            && !self.0.mailboxes.iter().all(is_saturated)
    }

    /// Runs `task` on a worker's thread.
    pub fn run(&self, worker: u16, task: impl FnOnce(&Worker) + Send + 'static) {
        self.post(worker, Mail::Task(Box::new(task)));
    }

    pub(crate) fn post(&self, worker: u16, mail: Mail) {
        send_waiting_first(worker);
        self.post_to(worker, mail);
    }

    /// As [`Workers::post`], for mail that nothing here has led to.
    pub(super) fn post_to(&self, worker: u16, mail: Mail) {
        self.push(worker, mail, (usize::MAX, usize::MAX));
    }

    /// As [`Workers::post_to`], for what strangers can send without end: false where so much is waiting already that it is dropped.
    pub(crate) fn post_if_room(&self, worker: u16, mail: Mail) -> bool {
        self.push(worker, mail, (MAX_WAITING, MAX_OCTETS))
    }

    /// The limits are for pieces and for octets.
    fn push(&self, worker: u16, mail: Mail, (pieces, octets): (usize, usize)) -> bool {
        // Mail for a worker that does not exist can only come from a forged branch: it is nobody's.
        let Some(mailbox) = self.0.mailboxes.get(usize::from(worker)) else { return true };
        let mut queue = mailbox.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            // Dropping the mail tells the callers that wait for its outcome, and they may post again.
            drop(queue);
            return true;
        }
        let size = mail.octets();
        if queue.mail.len() >= pieces || queue.octets.saturating_add(size) > octets {
            return false;
        }
        queue.octets += size;
        queue.mail.push(mail);
        let first = queue.mail.len() == 1;
        drop(queue);
        if first {
            mailbox.bell.notify_one();
        }
        true
    }

    /// Passes a message to `worker`, which holds the connection, to be sent.
    ///
    /// # Errors
    /// [`SendError::Backlog`] if too much waits for that worker already.
    pub(crate) fn pass_on(
        &self,
        worker: u16,
        flow: &Flow,
        octets: Octets<'_>,
        waiter: Option<Waiter>,
    ) -> Result<(), SendError> {
        send_waiting_first(worker);
        match self.post_if_room(worker, Mail::Send(*flow, octets.to_packet(), waiter)) {
            true => Ok(()),
            false => Err(SendError::Backlog { remote: flow.remote, limit: MAX_OCTETS }),
        }
    }

    /// Waits until there is mail.
    pub(crate) async fn wait(&self, worker: u16) {
        match self.0.mailboxes.get(usize::from(worker)) {
            Some(mailbox) => mailbox.bell.notified().await,
            None => std::future::pending().await,
        }
    }

    /// The worker has ended: drops its mail, now and later.
    pub(crate) fn close(&self, worker: u16) {
        let Some(mailbox) = self.0.mailboxes.get(usize::from(worker)) else { return };
        let mut queue = mailbox.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        let left = std::mem::take(&mut queue.mail);
        drop(queue);
        drop(left);
    }

    pub(crate) fn take(&self, worker: u16) -> Vec<Mail> {
        match self.0.mailboxes.get(usize::from(worker)) {
            Some(mailbox) => {
                let mut queue = mailbox.queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.octets = 0;
                std::mem::take(&mut queue.mail)
            }
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::ClientId;
    use crate::transport::Protocol;

    #[test]
    fn strangers_cannot_fill_a_mailbox_without_end_and_workers_are_always_heard() {
        let workers = Workers::new(2);
        let mail = || Mail::Task(Box::new(|_| ()));
        assert!((0..MAX_WAITING).all(|_| workers.post_if_room(1, mail())));
        assert!(!workers.post_if_room(1, mail()));
        assert!(workers.post_if_room(0, mail()));
        workers.post(1, mail());
        assert_eq!(workers.take(1).len(), MAX_WAITING + 1);
        assert!(workers.post_if_room(1, mail()));
    }

    #[test]
    fn octets_for_another_worker_have_a_limit_until_that_takes_them() {
        let workers = Workers::new(2);
        let address = ([192, 0, 2, 1], 5060).into();
        let flow = Flow { protocol: Protocol::Tcp, local: address, remote: address, connection: None };
        let (octets, waiter) = (vec![b'x'; MAX_OCTETS / 2], Some((0, ClientId { slot: 1, token: 1 })));
        let pass_on = |octets: &[u8]| workers.pass_on(1, &flow, octets.into(), waiter);
        assert_eq!((pass_on(&octets), pass_on(&octets)), (Ok(()), Ok(())));
        assert_eq!(pass_on(b"x"), Err(SendError::Backlog { remote: address, limit: MAX_OCTETS }));
        let response = || {
            Message::parse(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>;tag=t\r\nCall-ID: i\r\nCSeq: 7 INVITE\r\n\r\n")
        };
        let hand_over = || workers.post_if_room(1, Mail::Message(response().unwrap(), flow));
        assert!(!hand_over(), "a response that came in elsewhere");
        assert_eq!(workers.take(1).len(), 2);
        assert!(hand_over());
        assert_eq!(pass_on(b"x"), Ok(()));
    }
}
