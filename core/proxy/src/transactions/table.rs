//! The tables of a worker's transactions. A finished transaction that only waits for repetitions keeps little more than
//! its last response.

use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use signalbox_sip::message::Message;
use signalbox_sip::transaction::{
    ClientTransaction, InviteClient, InviteServer, ServerTransaction, Timer, TransactionKey,
};
use slab::Slab;

use super::Allowance;
use super::local::Caller;
use super::proxying::Proxying;
use crate::context::Routing;
use crate::transport::Flow;
use crate::transport::packet::Packet;

/// Transactions of one worker, server and client sides each: some 4 GiB at the most.
pub const MAX_TRANSACTIONS: usize = 4_000_000;

/// A server transaction of this worker. Stale ones name nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId {
    slot: u32,
    serial: u32,
}

/// A client transaction of this worker. Stale ones name nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId {
    pub(crate) slot: u32,
    /// Random: part of the branch, so that responses cannot be forged blindly.
    pub(crate) token: u32,
}

/// What comes due in a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Server(ServerId, Timer),
    Client(ClientId, Timer),
    /// A timer of the CANCEL that was sent for a client transaction.
    Cancel(ClientId, Timer),
}

/// Parts of the index by key. A map that grows moves all its entries at once: many small ones spread that over time,
/// where a large one would stop the worker for tens of milliseconds.
const INDEX_PARTS: usize = 256;

/// See the [module](self).
pub(crate) struct Table {
    by_key: Vec<Index>,
    servers: Slab<Server>,
    clients: Slab<Client>,
    serial: u32,
}

type Index = HashMap<TransactionKey, u32, BuildHasherDefault<KeyHasher>>;

pub(crate) struct Server {
    pub(crate) key: TransactionKey,
    serial: u32,
    pub(crate) machine: ServerMachine,
    pub(crate) reply_to: Flow,
    /// Answers go to where the request came from, whatever its Via says.
    pub(crate) rport_forced: bool,
    /// The newest response, as sent.
    pub(crate) response: Option<Box<[u8]>>,
    /// The request while it has no final response.
    pub(crate) routing: Option<Rc<Routing>>,
    /// The response context, once the request was relayed; of an INVITE until the transaction ends, since more 2xx
    /// may come.
    pub(crate) proxying: Option<Box<Proxying>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerMachine {
    Invite(InviteServer),
    Other(ServerTransaction),
}

pub(crate) struct Client {
    token: u32,
    pub(crate) machine: ClientMachine,
    pub(crate) flow: Flow,
    /// The request as sent, while it may have to be sent again, cancelled or acknowledged.
    pub(crate) request: Option<Packet>,
    pub(crate) owner: Owner,
    /// Sent over TCP for its size only: goes over UDP when no connection can be made (RFC 3261 §18.1.1).
    pub(crate) datagram_fallback: Option<Flow>,
    /// Its address is unproved.
    pub(crate) allowance: Option<Arc<Allowance>>,
    pub(crate) extras: Option<Box<InviteExtras>>,
    /// Its address is unproved: the request is not retransmitted.
    pub(crate) unproved: bool,
}

/// What only an INVITE client transaction needs.
#[derive(Default)]
pub(crate) struct InviteExtras {
    /// The ACK for the failure that came, to be repeated.
    pub(crate) ack: Option<Box<[u8]>>,
    pub(crate) cancel: Option<(ClientTransaction, Box<[u8]>)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientMachine {
    Invite(InviteClient),
    Other(ClientTransaction),
}

/// Who waits for the outcome of a client transaction.
pub(crate) enum Owner {
    /// A branch of a relayed request.
    Branch(ServerId, signalbox_sip::fork::BranchId),
    /// Something in this server.
    Local(Caller),
    /// Nobody any more.
    Nobody,
}

impl Client {
    /// The request as it was sent, while it is kept.
    pub(crate) fn message(&self) -> Option<Message> {
        let request = self.request.as_ref()?;
        match &request.body {
            None => Message::parse(&request.head).ok(),
            Some(body) => {
                Message::parse(&request.as_octets().to_vec()).ok().map(|message| message.with_body(body.clone()))
            }
        }
    }
}

impl Table {
    fn index(&mut self, key: &TransactionKey) -> &mut Index {
        // Invariant: a remainder of the number of parts names one of them. The maps themselves go by the other bits.
        &mut self.by_key[usize::from((key.0 >> 112) as u16) % INDEX_PARTS]
    }

    pub(crate) fn server_by_key(&mut self, key: &TransactionKey) -> Option<ServerId> {
        let slot = *self.index(key).get(key)?;
        let server = self.servers.get(slot as usize)?;
        Some(ServerId { slot, serial: server.serial })
    }

    /// `None` when there are too many, or one of this key already.
    pub(crate) fn add_server(
        &mut self,
        key: TransactionKey,
        machine: ServerMachine,
        reply_to: Flow,
        routing: Option<Rc<Routing>>,
    ) -> Option<ServerId> {
        if self.servers.len() >= MAX_TRANSACTIONS || self.index(&key).contains_key(&key) {
            return None;
        }
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let rport_forced = routing.as_ref().is_some_and(|routing| routing.rport_forced.get());
        let server = Server { key, serial, machine, reply_to, rport_forced, response: None, routing, proxying: None };
        let slot = u32::try_from(self.servers.insert(server)).ok()?;
        self.index(&key).insert(key, slot);
        Some(ServerId { slot, serial })
    }

    pub(crate) fn server(&mut self, id: ServerId) -> Option<&mut Server> {
        self.servers.get_mut(id.slot as usize).filter(|server| server.serial == id.serial)
    }

    pub(crate) fn remove_server(&mut self, id: ServerId) -> Option<Server> {
        self.server(id)?;
        let server = self.servers.remove(id.slot as usize);
        self.index(&server.key).remove(&server.key);
        if self.servers.is_empty() && self.servers.capacity() > 1024 {
            self.servers.shrink_to_fit();
            self.by_key.iter_mut().for_each(Index::shrink_to_fit);
        }
        Some(server)
    }

    /// The identity that the next [`Table::add_client`] will give with this token, so that it can be written into the
    /// request first.
    pub(crate) fn next_client(&self, token: u32) -> Option<ClientId> {
        if self.clients.len() >= MAX_TRANSACTIONS {
            return None;
        }
        Some(ClientId { slot: u32::try_from(self.clients.vacant_key()).ok()?, token })
    }

    pub(crate) fn add_client(&mut self, token: u32, machine: ClientMachine, flow: Flow, owner: Owner) -> ClientId {
        let client = Client {
            token,
            machine,
            flow,
            request: None,
            owner,
            datagram_fallback: None,
            allowance: None,
            extras: None,
            unproved: false,
        };
        let slot = self.clients.insert(client);
        ClientId { slot: u32::try_from(slot).unwrap_or(u32::MAX), token }
    }

    pub(crate) fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(id.slot as usize).filter(|client| client.token == id.token)
    }

    pub(crate) fn remove_client(&mut self, id: ClientId) -> Option<Client> {
        self.client(id)?;
        let client = self.clients.remove(id.slot as usize);
        if self.clients.is_empty() && self.clients.capacity() > 1024 {
            self.clients.shrink_to_fit();
        }
        Some(client)
    }

    /// Server and client transactions that there are.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.servers.len(), self.clients.len())
    }

    /// Removes the callers that wait for the outcome of the server's own requests.
    pub(crate) fn take_callers(&mut self) -> Vec<Caller> {
        let taken = self.clients.iter_mut().map(|(_, client)| match &client.owner {
            Owner::Local(_) => std::mem::replace(&mut client.owner, Owner::Nobody),
            Owner::Branch(..) | Owner::Nobody => Owner::Nobody,
        });
        let callers = taken.filter_map(|owner| if let Owner::Local(caller) = owner { Some(caller) } else { None });
        callers.collect()
    }

    /// Requests that came in and have no final response yet.
    pub(crate) fn pending(&self) -> usize {
        self.servers.iter().filter(|(_, server)| server.routing.is_some()).count()
    }
}

impl Default for Table {
    fn default() -> Self {
        Self {
            by_key: (0..INDEX_PARTS).map(|_| Index::default()).collect(),
            servers: Slab::new(),
            clients: Slab::new(),
            serial: 0,
        }
    }
}

/// The low half of a transaction key serves as its hash, because it is a keyed digest.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    #[allow(clippy::cast_possible_truncation)]
    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }
}
