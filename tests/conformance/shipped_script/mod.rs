//! The shipped script `scripts/presence.lua` with all its modules, as phones and strangers see it.

mod answers;
mod dialogs;
mod repetitions;
mod strangers;
mod torture;

use std::path::{Path, PathBuf};

use signalbox::module::{Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox::storage::Storage;
use signalbox::transport::{ConnectionId, Flow, Protocol};
use signalbox_auth::Auth;
use signalbox_im_auth::ImAuth;
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::digest::{Answer, Challenge, Ha1};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use tempfile::TempDir;

use crate::wire::{Out, only, read, request};

/// Alice has a connection and Bob is behind a NAT, both with private addresses. Dan has a public address.
pub(crate) const ALICE: &str = "203.0.113.1:4711";
pub(crate) const BOB: &str = "203.0.113.2:4712";
pub(crate) const DAN: &str = "192.0.2.4:5060";
pub(crate) const STRANGER: &str = "198.51.100.66:5060";

const PASSWORD: &str = "wonderland";

pub(crate) struct Server {
    site: Site,
    requests: u32,
    _database: TempDir,
}

impl Server {
    /// The shipped server for example.com, with Alice, Bob and Dan registered.
    pub(crate) fn new() -> Self {
        Self::with_script(&shipped())
    }

    /// The same with `workers` workers, and everybody may see presence. The seed assigns source addresses to workers.
    pub(crate) fn with_workers(workers: u16, seed: u64) -> Self {
        Self::start(&shipped(), "none", |setup| (setup.workers, setup.seed) = (workers, seed))
    }

    pub(crate) fn with_script(script: &Path) -> Self {
        Self::start(script, "implicit", |_| {})
    }

    fn start(script: &Path, presence: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let database = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", database.path().join("accounts.db").display());
        add_accounts(&url);
        let block = Value::List(vec![Value::String("sip:mallory@elsewhere.example".to_owned())]);
        let presence = ("auth", Value::String(presence.to_owned()));
        let mut setup = Setup::new(script, "example.com");
        setup.modules = vec![
            configured(export::entry::<Registrar>(), &[("use_db", Value::Boolean(false))]).unwrap(),
            configured(export::entry::<Auth>(), &[("db_url", Value::String(url))]).unwrap(),
            configured(export::entry::<PresenceAgent>(), &[("use_db", Value::Boolean(false)), presence]).unwrap(),
            configured(export::entry::<ImAuth>(), &[("block", block)]).unwrap(),
        ];
        change(&mut setup);
        let mut server = Self { site: Site::start(setup).unwrap(), requests: 0, _database: database };
        for (user, from, host) in [("alice", ALICE, "10.0.0.1"), ("bob", BOB, "10.0.0.2"), ("dan", DAN, "192.0.2.4")] {
            let to = format!("To: <sip:{user}@example.com>");
            let contact = format!("Contact: <sip:{user}@{host}>");
            let via = format!("Via: SIP/2.0/UDP {host};branch=z9hG4bKr");
            let call = format!("Call-ID: register-{user}");
            let answer =
                only(server.send_as(user, from, ("REGISTER", "sip:example.com"), &[&to, &contact, &via, &call]));
            assert_eq!(answer.message.status(), 200, "{user}");
        }
        server
    }

    /// Sends this from an address.
    pub(crate) fn send(&mut self, from: &str, message: &str) -> Vec<Out> {
        read(self.site.deliver(message.as_bytes(), flow(from)))
    }

    /// A request of this user, with the password if the server asks.
    pub(crate) fn send_as(&mut self, user: &str, from: &str, (method, uri): (&str, &str), lines: &[&str]) -> Vec<Out> {
        match self.ask_as(user, from, (method, uri), lines) {
            Ok(proved) => self.send(from, &proved),
            Err(sent) => sent,
        }
    }

    /// A request of this user with the password that the server has asked for, not sent yet. If the server has not
    /// asked, the messages that it sent.
    pub(crate) fn ask_as(
        &mut self,
        user: &str,
        from: &str,
        (method, uri): (&str, &str),
        lines: &[&str],
    ) -> Result<String, Vec<Out>> {
        let sender = format!("From: <sip:{user}@example.com>;tag={user}");
        let mut all: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        if !lines.iter().any(|line| line.starts_with("From:")) {
            all.push(sender);
        }
        let first = self.next(from, (method, uri), &all);
        let first = self.send(from, &first);
        let Some(answer) = first.first().filter(|out| matches!(out.message.status(), 401 | 407)) else {
            return Err(first);
        };
        let (asks, tells) = match answer.message.status() {
            401 => (HeaderName::WwwAuthenticate, "Authorization"),
            _ => (HeaderName::ProxyAuthenticate, "Proxy-Authorization"),
        };
        all.push(format!("{tells}: {}", credentials(&answer.message, asks, (user, method, uri))));
        Ok(self.next(from, (method, uri), &all))
    }

    /// Makes the next request with these lines.
    fn next(&mut self, from: &str, (method, uri): (&str, &str), lines: &[String]) -> String {
        self.requests += 1;
        let mut all: Vec<String> = lines.to_vec();
        if !all.iter().any(|line| line.starts_with("Via:")) {
            all.push(format!("Via: SIP/2.0/UDP {from};branch=z9hG4bK"));
        }
        for line in &mut all {
            if line.starts_with("Via:") {
                line.push_str(&self.requests.to_string());
            }
        }
        all.push(format!("CSeq: {} {method}", self.requests));
        let lines: Vec<&str> = all.iter().map(String::as_str).collect();
        request(method, uri, &lines)
    }

    /// The phone that got the request answers it with this Contact.
    pub(crate) fn answer(&mut self, request: &Out, status: u16, contact: &str) -> Vec<Out> {
        let mut response = request.message.reply(status, "");
        response.set_to_tag("phone");
        response.push(HeaderName::Contact, contact);
        read(self.site.deliver(&response.to_bytes(), request.flow()))
    }
}

fn shipped() -> PathBuf {
    script("presence.lua")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

/// Alice's connection, or a datagram.
pub(crate) fn flow(from: &str) -> Flow {
    let protocol = if from == ALICE { Protocol::Tcp } else { Protocol::Udp };
    let connection = (from == ALICE).then_some(ConnectionId { worker: 0, serial: 1 });
    Flow { connection, ..flow_from(from.parse().unwrap(), protocol) }
}

fn add_accounts(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Storage::new(runtime.handle().clone());
        let store = AccountStore::open(storage.open(url).await.unwrap(), CacheLimits::default()).await.unwrap();
        for user in ["alice", "bob", "dan"] {
            store.add(user, "example.com", PASSWORD, false).await.unwrap();
        }
        storage.close().await;
    });
}

fn credentials(challenge: &Message, header: HeaderName, (user, method, uri): (&str, &str, &str)) -> String {
    let chosen = Challenge::choose(challenge.values(header), None).unwrap();
    let ha1 = Ha1::of(chosen.algorithm.unwrap().base(), user, &chosen.realm, PASSWORD);
    Answer { username: user, method, uri, cnonce: "c", count: 1 }.to(&chosen, &ha1).unwrap()
}
