//! §22: authentication, and what becomes of it while the accounts cannot be read.

use std::path::Path;
use std::sync::Arc;

use signalbox::module::{Configured, Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox::storage::{Fault, Storage};
use signalbox::transport::Protocol;
use signalbox_auth::Auth;
use signalbox_registrar::Registrar;
use signalbox_sip::digest::{Answer, Challenge, Ha1};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use tempfile::TempDir;

use crate::wire::{ALICE, request};

const URI: &str = "sip:example.com";

/// How often to ask for something that is about to be there.
const TRIES: usize = 100_000;

/// A registrar that asks for the passwords of its database, which can be made unreachable.
struct Desk {
    site: Site,
    fault: Arc<Fault>,
    _database: TempDir,
    requests: u32,
}

impl Desk {
    fn new() -> Self {
        let database = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", database.path().join("accounts.db").display());
        add_account(&url);
        let fault = Arc::new(Fault::none());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/digest.lua");
        let mut setup = Setup::new(&script, "example.com");
        let auth = configured(export::entry::<Auth>(), &[("db_url", Value::String(url))]).unwrap();
        setup.modules = vec![Configured::new(export::entry::<Registrar>()), auth];
        setup.fault = Some(fault.clone());
        Self { site: Site::start(setup).unwrap(), fault, _database: database, requests: 0 }
    }

    /// Registers alice with these credentials, and returns the answer.
    fn register(&mut self, credentials: Option<&str>) -> Message {
        self.requests += 1;
        let via = format!("Via: SIP/2.0/UDP {ALICE};branch=z9hG4bK{}", self.requests);
        let cseq = format!("CSeq: {} REGISTER", self.requests);
        let credentials = credentials.map(|credentials| format!("Authorization: {credentials}"));
        let lines = [via.as_str(), &cseq, "To: <sip:alice@example.com>", "Contact: <sip:alice@192.0.2.1>"];
        let lines = [&lines[..], &credentials.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        let flow = flow_from(ALICE.parse().unwrap(), Protocol::Udp);
        let sent = self.site.deliver(request("REGISTER", URI, &lines).as_bytes(), flow);
        assert_eq!(sent.len(), 1, "one answer");
        Message::parse(&sent[0].1).unwrap()
    }
}

fn add_account(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Storage::new(runtime.handle().clone());
        let store = AccountStore::open(storage.open(url).await.unwrap(), CacheLimits::default()).await.unwrap();
        store.add("alice", "example.com", "wonderland", false).await.unwrap();
        storage.close().await;
    });
}

/// Credentials of alice for the challenge, used for the `count`th time.
fn credentials(challenge: &Message, password: &str, count: u32) -> String {
    let chosen = Challenge::choose(challenge.values(HeaderName::WwwAuthenticate), None).unwrap();
    let ha1 = Ha1::of(chosen.algorithm.unwrap().base(), "alice", &chosen.realm, password);
    let answer = Answer { username: "alice", method: "REGISTER", uri: URI, cnonce: "c", count };
    answer.to(&chosen, &ha1).unwrap()
}

/// §22.2: without credentials 401 with a challenge, with wrong ones again, with right ones through.
#[test]
fn who_registers_is_asked_and_believed() {
    let mut desk = Desk::new();
    let challenge = desk.register(None);
    assert_eq!(challenge.status(), 401);
    assert_eq!(desk.register(Some(&credentials(&challenge, "looking-glass", 1))).status(), 401);
    assert_eq!(desk.register(Some(&credentials(&challenge, "wonderland", 2))).status(), 200);
}

/// §21.5.4: a server that cannot do it for now says so with 503 and when to come again, rather than asking for credentials
/// that it cannot check. When the database is back the same credentials are good.
#[test]
fn while_accounts_cannot_be_read_nobody_is_asked_again() {
    let mut desk = Desk::new();
    let challenge = desk.register(None);
    let credentials = credentials(&challenge, "wonderland", 1);
    desk.fault.set_outage(true);
    let refusal = desk.register(Some(&credentials));
    assert_eq!((refusal.status(), refusal.value(HeaderName::RetryAfter)), (503, Some("5")));
    assert!(!refusal.has(HeaderName::WwwAuthenticate));
    assert_eq!(desk.register(None).status(), 401, "asking needs no database");
    desk.fault.set_outage(false);
    // That the database is back shows when it is looked at next.
    let answer = (0..TRIES).map(|_| desk.register(Some(&credentials)).status()).find(|status| *status != 503);
    assert_eq!(answer, Some(200));
}

/// What was read before is known without the database for a while.
#[test]
fn an_account_that_is_known_needs_no_database() {
    let mut desk = Desk::new();
    let challenge = desk.register(None);
    assert_eq!(desk.register(Some(&credentials(&challenge, "wonderland", 1))).status(), 200);
    desk.fault.set_outage(true);
    assert_eq!(desk.register(Some(&credentials(&challenge, "wonderland", 2))).status(), 200);
}
