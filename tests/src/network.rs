//! What scenarios are played over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use signalbox::transport::network::Sent;
use signalbox::transport::{Flow, Protocol};

use crate::site::{Site, flow_from, server_address};

/// How long a packet of the virtual network is on its way.
const LATENCY: Duration = Duration::from_millis(1);
/// How long a real server may take for an answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Carries messages between the parties of a scenario and the server, and lets time pass.
pub trait Network {
    /// Where the server is, as parties address it.
    fn server(&self) -> SocketAddr;
    /// Makes a party known; the address it really has.
    fn join(&mut self, address: SocketAddr, protocol: Protocol) -> Result<SocketAddr>;
    fn send(&mut self, from: SocketAddr, protocol: Protocol, message: Vec<u8>) -> Result<()>;
    /// The next message for a party, waiting as long as an answer may reasonably take.
    fn receive(&mut self, at: SocketAddr) -> Result<Option<Vec<u8>>>;
    fn pass(&mut self, time: Duration) -> Result<()>;
}

/// A virtual network with one server on it. Packets take [`LATENCY`], arrive in order, and are lost on request.
pub struct Virtual {
    site: Option<Site>,
    on_the_wire: VecDeque<(Instant, Packet)>,
    arrived: BTreeMap<SocketAddr, VecDeque<Vec<u8>>>,
    streams: BTreeSet<SocketAddr>,
    /// Packets to lose: those to this party, or from it.
    losses: Vec<Loss>,
    random: Option<(u64, u32)>,
}

/// Which packets the virtual network loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub party: SocketAddr,
    pub towards_party: bool,
    pub count: u32,
}

enum Packet {
    ToServer(Flow, Vec<u8>),
    ToParty(SocketAddr, Vec<u8>),
}

impl Virtual {
    pub fn new(site: Site) -> Self {
        Self {
            site: Some(site),
            on_the_wire: VecDeque::new(),
            arrived: BTreeMap::new(),
            streams: BTreeSet::new(),
            losses: Vec::new(),
            random: None,
        }
    }

    pub fn lose(&mut self, loss: Loss) {
        self.losses.push(loss);
    }

    /// Loses this many of a hundred datagrams, chosen by the seed.
    pub fn lose_at_random(&mut self, percent: u32, seed: u64) {
        self.random = Some((seed | 1, percent));
    }

    /// Runs a command of the server's, as `signalbox ctl` does, and all that follows from it at this instant.
    pub fn command(&mut self, name: &str, parameters: serde_json::Value) -> Result<serde_json::Value> {
        let site = self.site.as_mut().context("the server is down")?;
        let (answer, sent) = site.command(name, parameters);
        let now = site.now();
        self.spread(now, sent);
        answer
    }

    pub fn site(&self) -> Result<&Site> {
        self.site.as_ref().context("the server is down")
    }

    /// Takes the server off the network; what is on its way to it is lost.
    pub fn unplug(&mut self) -> Option<Site> {
        self.on_the_wire.retain(|(_, packet)| matches!(packet, Packet::ToParty(..)));
        self.site.take()
    }

    pub fn plug(&mut self, site: Site) {
        self.site = Some(site);
    }

    fn is_lost(&mut self, party: SocketAddr, towards_party: bool) -> bool {
        if self.streams.contains(&party) {
            return false;
        }
        let wanted = |loss: &&mut Loss| loss.party == party && loss.towards_party == towards_party && loss.count > 0;
        if let Some(loss) = self.losses.iter_mut().find(wanted) {
            loss.count -= 1;
            return true;
        }
        match &mut self.random {
            Some((state, percent)) => {
                // xorshift64: any sequence that repeats will do.
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                (*state >> 32) % 100 < u64::from(*percent)
            }
            None => false,
        }
    }

    fn spread(&mut self, now: Instant, sent: Vec<Sent>) {
        for (flow, message) in sent {
            if !self.is_lost(flow.remote, true) {
                self.on_the_wire.push_back((now + LATENCY, Packet::ToParty(flow.remote, message)));
            }
        }
    }

    /// Lets time pass until `end`, or until something has arrived for `party`.
    fn run_until(&mut self, end: Instant, party: Option<SocketAddr>) -> Result<()> {
        loop {
            if party.is_some_and(|party| self.arrived.get(&party).is_some_and(|queue| !queue.is_empty())) {
                return Ok(());
            }
            let site = self.site.as_mut().context("the server is down: nothing can happen")?;
            let arrival = self.on_the_wire.front().map(|(at, _)| *at);
            let next = arrival.into_iter().chain([site.next_timeout(), end]).min().unwrap_or(end);
            let sent = site.wake_at(next);
            self.spread(next, sent);
            while self.on_the_wire.front().is_some_and(|(at, _)| *at <= next) {
                let Some((_, packet)) = self.on_the_wire.pop_front() else { break };
                match packet {
                    Packet::ToParty(party, message) => self.arrived.entry(party).or_default().push_back(message),
                    Packet::ToServer(flow, message) => {
                        let site = self.site.as_mut().context("the server is down")?;
                        let sent = site.deliver(&message, flow);
                        self.spread(next, sent);
                    }
                }
            }
            if next >= end {
                return Ok(());
            }
        }
    }
}

impl Network for Virtual {
    fn server(&self) -> SocketAddr {
        server_address()
    }

    fn join(&mut self, address: SocketAddr, protocol: Protocol) -> Result<SocketAddr> {
        if protocol.is_reliable() {
            self.streams.insert(address);
        }
        Ok(address)
    }

    fn send(&mut self, from: SocketAddr, protocol: Protocol, message: Vec<u8>) -> Result<()> {
        let now = self.site()?.now();
        let flow = flow_from(from, protocol);
        if !self.is_lost(from, false) {
            self.on_the_wire.push_back((now + LATENCY, Packet::ToServer(flow, message)));
        }
        Ok(())
    }

    /// Waits as long as the server may by its own timers without having something to wait for: half a second, one T1.
    fn receive(&mut self, at: SocketAddr) -> Result<Option<Vec<u8>>> {
        let end = self.site()?.now() + Duration::from_millis(400);
        self.run_until(end, Some(at))?;
        Ok(self.arrived.get_mut(&at).and_then(VecDeque::pop_front))
    }

    fn pass(&mut self, time: Duration) -> Result<()> {
        let end = self.site()?.now() + time;
        self.run_until(end, None)
    }
}

/// Real sockets on the loopback interface, and a server that somebody else has started: any server.
pub struct Real {
    server: SocketAddr,
    sockets: BTreeMap<SocketAddr, UdpSocket>,
}

impl Real {
    pub fn new(server: SocketAddr) -> Result<Self> {
        ensure!(server.ip().is_loopback(), "{server} is not on this machine: scenarios are played on loopback only");
        Ok(Self { server, sockets: BTreeMap::new() })
    }
}

impl Network for Real {
    fn server(&self) -> SocketAddr {
        self.server
    }

    fn join(&mut self, _: SocketAddr, protocol: Protocol) -> Result<SocketAddr> {
        if protocol != Protocol::Udp {
            bail!("scenarios over TCP are played on the virtual network only");
        }
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let address = socket.local_addr()?;
        self.sockets.insert(address, socket);
        Ok(address)
    }

    fn send(&mut self, from: SocketAddr, _: Protocol, message: Vec<u8>) -> Result<()> {
        let socket = self.sockets.get(&from).context("an unknown party")?;
        socket.send_to(&message, self.server)?;
        Ok(())
    }

    fn receive(&mut self, at: SocketAddr) -> Result<Option<Vec<u8>>> {
        let socket = self.sockets.get(&at).context("an unknown party")?;
        let mut buffer = vec![0; 65_536];
        match socket.recv(&mut buffer) {
            Ok(length) => Ok(Some(buffer[..length].to_vec())),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn pass(&mut self, _: Duration) -> Result<()> {
        bail!("time cannot be moved for a real server")
    }
}
