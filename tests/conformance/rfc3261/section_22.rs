//! §22: authentication, and what becomes of it while the accounts cannot be read.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use signalbox::module::{Configured, Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox::storage::{Fault, Storage};
use signalbox::transport::Protocol;
use signalbox_auth::Auth;
use signalbox_registrar::Registrar;
use signalbox_sip::digest::{Algorithm, Answer, Challenge, Ha1};
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
        Self::with_workers(1, 1)
    }

    fn with_workers(workers: u16, seed: u64) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/digest.lua");
        Self::with(&script, &[], (workers, seed))
    }

    /// Takes the realm from each request, and also accepts MESSAGEs.
    fn of_all_realms(parameters: &[(&str, Value)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("route.lua");
        std::fs::write(&script, ALL_REALMS).unwrap();
        Self::with(&script, parameters, (1, 1))
    }

    fn with(script: &Path, parameters: &[(&str, Value)], (workers, seed): (u16, u64)) -> Self {
        let database = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", database.path().join("accounts.db").display());
        add_account(&url);
        let fault = Arc::new(Fault::none());
        let mut setup = Setup::new(script, "example.com");
        let parameters = [&[("db_url", Value::String(url))], parameters].concat();
        let auth = configured(export::entry::<Auth>(), &parameters).unwrap();
        setup.modules = vec![Configured::new(export::entry::<Registrar>()), auth];
        setup.fault = Some(fault.clone());
        (setup.workers, setup.seed) = (workers, seed);
        Self { site: Site::start(setup).unwrap(), fault, _database: database, requests: 0 }
    }

    /// Registers alice with these credentials, and returns the answer.
    fn register(&mut self, credentials: Option<&str>) -> Message {
        self.register_from(ALICE, credentials)
    }

    fn register_from(&mut self, source: &str, credentials: Option<&str>) -> Message {
        let message = self.registering_from(source, credentials);
        self.deliver(&message, source.parse().unwrap())
    }

    /// The next REGISTER of alice, with these credentials.
    fn registering(&mut self, credentials: &str) -> String {
        self.registering_from(ALICE, Some(credentials))
    }

    fn registering_from(&mut self, source: &str, credentials: Option<&str>) -> String {
        let credentials: Vec<_> =
            credentials.iter().map(|credentials| format!("Authorization: {credentials}")).collect();
        let mut lines = vec!["To: <sip:alice@example.com>", "Contact: <sip:alice@192.0.2.1>"];
        lines.extend(credentials.iter().map(String::as_str));
        self.message(("REGISTER", URI), source, &lines)
    }

    fn send(&mut self, source: &str, (method, uri): (&str, &str), lines: &[&str]) -> Message {
        let (message, source) = (self.message((method, uri), source, lines), source.parse().unwrap());
        self.deliver(&message, source)
    }

    /// The next request from this source.
    fn message(&mut self, (method, uri): (&str, &str), source: &str, lines: &[&str]) -> String {
        self.requests += 1;
        let via = format!("Via: SIP/2.0/UDP {source};branch=z9hG4bK{}", self.requests);
        let cseq = format!("CSeq: {} {method}", self.requests);
        request(method, uri, &[&[via.as_str(), &cseq], lines].concat())
    }

    /// The answer to a request from this source.
    fn deliver(&mut self, message: &str, source: SocketAddr) -> Message {
        let sent = self.site.deliver(message.as_bytes(), flow_from(source, Protocol::Udp));
        assert_eq!(sent.len(), 1, "one answer");
        Message::parse(&sent[0].1).unwrap()
    }

    /// Registers alice from `source` with a fresh nonce and this password.
    fn try_password(&mut self, source: &str, user: &str, password: &str) -> Message {
        let challenge = self.register_from(source, None);
        self.register_from(source, Some(&credentials_of(user, &challenge, password)))
    }
}

const ALL_REALMS: &str = r#"
function route(msg)
  if msg.method == "REGISTER" then
    if not www_authorize("") then return www_challenge("") end
    return save("location")
  end
  if not proxy_authorize(msg.from.host) then return proxy_challenge(msg.from.host) end
  sl_send_reply(200, avp.auth_user .. " in " .. avp.auth_realm)
end
"#;

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

/// Credentials of this user for a fresh challenge.
fn credentials_of(user: &str, challenge: &Message, password: &str) -> String {
    let chosen = Challenge::choose(challenge.values(HeaderName::WwwAuthenticate), None).unwrap();
    let ha1 = Ha1::of(chosen.algorithm.unwrap().base(), user, &chosen.realm, password);
    let answer = Answer { username: user, method: "REGISTER", uri: URI, cnonce: "c", count: 1 };
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

/// The parts of an answer that a client can compare, without those that differ each time.
fn shape(answer: &Message) -> (u16, Vec<String>, Option<String>) {
    let challenges = answer.values(HeaderName::WwwAuthenticate).map(|value| {
        let challenge = Challenge::parse(value).unwrap();
        format!("{} {:?} {} {:?}", challenge.realm, challenge.algorithm, challenge.stale, challenge.qop)
    });
    (answer.status(), challenges.collect(), answer.value(HeaderName::RetryAfter).map(str::to_owned))
}

/// RFC 7616 §5.8 and §5.13: guessing is slowed down, but the user whose password is guessed is not.
#[test]
fn a_sender_that_guesses_has_to_wait_and_the_user_gets_in_from_elsewhere() {
    let mut desk = Desk::new();
    let attacker = "203.0.113.66:5060";
    let answers: Vec<_> = (0..50).map(|_| desk.try_password(attacker, "alice", "guess").status()).collect();
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 5, "{answers:?}");
    let refused = desk.try_password(attacker, "alice", "wonderland");
    assert_eq!((refused.status(), refused.value(HeaderName::RetryAfter)), (403, Some("1")), "even if it is right");
    assert!(!refused.has(HeaderName::WwwAuthenticate));
    assert_eq!(
        desk.try_password("203.0.113.66:6000", "alice", "guess").status(),
        403,
        "another port is the same source"
    );
    assert_eq!(desk.try_password(ALICE, "alice", "wonderland").status(), 200, "alice is elsewhere");
    // The wait ends, and one more wrong password makes the next one longer.
    desk.site.pass_until(desk.site.now() + Duration::from_secs(1));
    assert_eq!(desk.try_password(attacker, "alice", "guess").status(), 401);
    assert_eq!(desk.try_password(attacker, "alice", "guess").value(HeaderName::RetryAfter), Some("2"));
    assert_eq!(desk.try_password(ALICE, "alice", "wonderland").status(), 200);
}

/// The source of a wrong password is the address that its nonce was sent to, so a forged source address locks nobody
/// out.
#[test]
fn a_forged_source_address_counts_against_nobody_else() {
    let mut desk = Desk::new();
    for _ in 0..50 {
        let challenge = desk.register_from("203.0.113.66:5060", None);
        desk.register_from(ALICE, Some(&credentials_of("alice", &challenge, "guess")));
    }
    assert_eq!(desk.try_password(ALICE, "alice", "wonderland").status(), 200);
    assert_eq!(desk.try_password("203.0.113.66:5060", "alice", "guess").status(), 403);
}

/// A user who has proved the password is let in from an address where another one guesses.
#[test]
fn neighbours_behind_one_address_are_not_locked_out() {
    let mut desk = Desk::new();
    assert_eq!(desk.try_password("203.0.113.1:4000", "alice", "wonderland").status(), 200);
    for user in 0..40 {
        desk.try_password("203.0.113.1:6666", &format!("user{user}"), "guess");
    }
    assert_eq!(desk.try_password("203.0.113.1:6666", "another", "guess").status(), 403);
    assert_eq!(desk.try_password("203.0.113.1:4000", "alice", "wonderland").status(), 200);
    assert_eq!(desk.try_password("203.0.113.1:4001", "alice", "wonderland").status(), 200, "after its NAT forgot it");
}

/// RFC 7616 §5: neither an answer nor the number of wrong passwords shows which users exist.
#[test]
fn an_unknown_user_is_answered_like_a_known_one() {
    let mut desk = Desk::new();
    desk.try_password(ALICE, "alice", "wonderland");
    let mut answers = |source: &str, user: &str| -> Vec<_> {
        (0..8).map(|_| shape(&desk.try_password(source, user, "guess"))).collect()
    };
    assert_eq!(answers("203.0.113.1:5060", "alice"), answers("203.0.113.2:5060", "nobody"));
    // While the database is away too, answers do not show which users are in the cache.
    desk.fault.set_outage(true);
    let known = shape(&desk.try_password("203.0.113.3:5060", "alice", "guess"));
    let unknown = shape(&desk.try_password("203.0.113.4:5060", "nobody", "guess"));
    assert_eq!(known, unknown);
    assert_eq!(known.0, 503);
}

/// RFC 7616 §3.4.6, RFC 8760 §2.6 item 6: credentials must name the resource of the request.
#[test]
fn credentials_for_another_resource_are_a_bad_request() {
    let mut desk = Desk::new();
    for (uri, status) in [
        ("sip:other.example", 400),
        ("sip:example.com.evil.example", 400),
        ("/index.html", 400),
        ("sip:EXAMPLE.com.:5060;transport=udp", 200),
        ("sips:example.com", 200),
        ("sip:192.0.2.100", 200),
    ] {
        let challenge = desk.register(None);
        let chosen = Challenge::choose(challenge.values(HeaderName::WwwAuthenticate), None).unwrap();
        let ha1 = Ha1::of(chosen.algorithm.unwrap(), "alice", &chosen.realm, "wonderland");
        let answer = Answer { username: "alice", method: "REGISTER", uri, cnonce: "c", count: 1 };
        let credentials = answer.to(&chosen, &ha1).unwrap();
        assert_eq!(desk.register(Some(&credentials)).status(), status, "{uri}");
    }
}

/// RFC 8760 §2.6: an algorithm that was not offered is not accepted.
#[test]
fn session_algorithms_are_not_accepted_unoffered() {
    let mut desk = Desk::new();
    for algorithm in [Algorithm::Md5Session, Algorithm::Sha256Session, Algorithm::Sha512_256] {
        let challenge = desk.register(None);
        let offered = Challenge::choose(challenge.values(HeaderName::WwwAuthenticate), None).unwrap();
        let altered = Challenge { algorithm: Some(algorithm), ..offered };
        let ha1 = Ha1::of(algorithm, "alice", "example.com", "wonderland");
        let answer = Answer { username: "alice", method: "REGISTER", uri: URI, cnonce: "c", count: 1 };
        assert_eq!(desk.register(Some(&answer.to(&altered, &ha1).unwrap())).status(), 401, "{algorithm}");
    }
}

/// Some phones name the user with the domain, and hash the name so.
#[test]
fn a_phone_may_name_its_user_with_the_domain() {
    let mut desk = Desk::new();
    assert_eq!(desk.try_password(ALICE, "alice@example.com", "wonderland").status(), 200);
    assert_eq!(desk.try_password(ALICE, "alice@example.com", "guess").status(), 401);
    assert_eq!(desk.try_password(ALICE, "alice@example.org", "wonderland").status(), 401);
}

/// §22.3: a request may carry several credentials. All for our realm are tried, up to a limit.
#[test]
fn of_several_credentials_the_right_ones_count() {
    for (wrong, status) in [(1, 200), (3, 200), (4, 401)] {
        let mut desk = Desk::new();
        let challenge = desk.register(None);
        let line = |password| format!("Authorization: {}", credentials_of("alice", &challenge, password));
        let mut lines = vec!["To: <sip:alice@example.com>".to_owned()];
        lines.push(
            "Authorization: Digest username=\"a\", realm=\"other\", nonce=\"n\", uri=\"x\", response=\"0\"".to_owned(),
        );
        lines.extend((0..wrong).map(|_| line("old")));
        lines.push(line("wonderland"));
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(desk.send(ALICE, ("REGISTER", URI), &lines).status(), status, "after {wrong} wrong ones");
    }
}

/// §22.3 for proxies: the same holds for Proxy-Authorization, and for every method.
#[test]
fn a_message_is_let_through_by_the_second_credentials() {
    let mut desk = Desk::of_all_realms(&[]);
    let (target, from) = (("MESSAGE", "sip:bob@example.com"), "From: <sip:alice@EXAMPLE.com.>;tag=1");
    let challenge = desk.send(ALICE, target, &[from]);
    let chosen = Challenge::choose(challenge.values(HeaderName::ProxyAuthenticate), None).unwrap();
    assert_eq!((challenge.status(), &*chosen.realm), (407, "example.com"));
    let line = |password, uri| {
        let ha1 = Ha1::of(chosen.algorithm.unwrap(), "alice", &chosen.realm, password);
        let answer = Answer { username: "alice", method: "MESSAGE", uri, cnonce: "c", count: 1 };
        format!("Proxy-Authorization: {}", answer.to(&chosen, &ha1).unwrap())
    };
    let (wrong, right) = (line("guess", "sip:bob@example.com"), line("wonderland", "sip:bob@example.com"));
    let answer = desk.send(ALICE, target, &[from, &wrong, &right]);
    assert_eq!((answer.status(), answer.reason()), (200, "alice in example.com"));
    let other = line("wonderland", "sip:carol@example.com");
    assert_eq!(desk.send(ALICE, target, &[from, &other]).status(), 400, "for another user");
}

/// §7.3.1, RFC 4343: a domain is the same whatever its case and final dot.
#[test]
fn a_domain_has_one_realm_however_a_client_writes_it() {
    let mut desk = Desk::of_all_realms(&[]);
    for domain in ["example.com", "EXAMPLE.COM", "Example.com."] {
        let to = format!("To: <sip:alice@{domain}>");
        let challenge = desk.send(ALICE, ("REGISTER", URI), &[&to]);
        let chosen = Challenge::choose(challenge.values(HeaderName::WwwAuthenticate), None).unwrap();
        assert_eq!(&*chosen.realm, "example.com", "{domain}");
        let line = format!("Authorization: {}", credentials_of("alice", &challenge, "wonderland"));
        assert_eq!(desk.send(ALICE, ("REGISTER", URI), &[&to, &line]).status(), 200, "{domain}");
    }
}

/// §17.2.2: the final response is repeated although no transaction is kept for a REGISTER. Every fifth packet is lost,
/// and retransmissions come from other ports and so to other workers. Each REGISTER still gets the answer to what was
/// done.
#[test]
fn a_register_with_credentials_gets_its_200_however_often_it_must_be_repeated() {
    for workers in [1, 3] {
        let mut desk = Desk::with_workers(workers, 1);
        let mut random = 7_u64;
        let mut is_lost = || {
            // xorshift64: any sequence that repeats will do.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 32).is_multiple_of(5)
        };
        for _ in 0..200 {
            let challenge = desk.register(None);
            let message = desk.registering(&credentials(&challenge, "wonderland", 1));
            // §17.1.2.2: eleven times in 64·T1.
            let answers = (0..11).filter_map(|count| {
                let answer = (!is_lost()).then(|| desk.deliver(&message, ([192, 0, 2, 1], 5060 + count % 4).into()))?;
                (!is_lost()).then_some(answer)
            });
            assert_eq!(answers.map(|answer| answer.status()).next(), Some(200), "{workers} workers");
        }
    }
}

/// The same credentials are refused in another request, and in the same request after it can no longer be a
/// retransmission.
#[test]
fn credentials_are_not_taken_for_another_request_or_after_the_transaction() {
    let mut desk = Desk::with_workers(3, 1);
    let challenge = desk.register(None);
    let message = desk.registering(&credentials(&challenge, "wonderland", 1));
    assert_eq!(desk.deliver(&message, ([192, 0, 2, 1], 5060).into()).status(), 200);
    for (from, to) in [
        ("alice@192.0.2.1>", "mallory@192.0.2.66>"),
        ("branch=z9hG4bK", "branch=z9hG4bKx"),
        ("Call-ID: ", "Call-ID: x"),
    ] {
        let other = message.replace(from, to);
        assert_ne!(other, message);
        assert_eq!(desk.deliver(&other, ([192, 0, 2, 1], 5061).into()).status(), 401, "{to}");
    }
    assert_eq!(desk.deliver(&message, ([192, 0, 2, 1], 5062).into()).status(), 200);
    desk.site.pass_until(desk.site.now() + Duration::from_secs(33));
    assert_eq!(desk.deliver(&message, ([192, 0, 2, 1], 5060).into()).status(), 401);
}
