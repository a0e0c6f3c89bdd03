//! The server, the phones of its users, and strangers.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use signalbox::module::{Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox::transport::network::Sent;
use signalbox::transport::{Flow, Protocol};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use tempfile::TempDir;

use super::oracle::{Oracle, Victim};
use super::story::Story;
use super::words;
use crate::scenario::credentials;
use crate::site::{Setup, Site, configured, flow_from, server_address};

/// Acts of one story.
const ACTS: usize = 60;
/// After this time no transaction is left.
const QUIET: Duration = Duration::from_secs(300);
/// Most items of each kind that strangers remember.
const REMEMBERED: usize = 8;

const USERS: [(&str, &str, &str, Protocol); 3] = [
    ("alice", "192.0.2.1:5060", "sip:alice@192.0.2.1", Protocol::Udp),
    // Its Contact is its own end of a connection that it made.
    ("bob", "192.0.2.2:40001", "sip:bob@192.0.2.2:40001;transport=tcp", Protocol::Tcp),
    // Behind a NAT.
    ("carol", "192.0.2.3:6000", "sip:carol@10.0.0.3:5060", Protocol::Udp),
];

const STRANGERS: [(&str, Protocol); 3] =
    [("192.0.2.9:5060", Protocol::Udp), ("192.0.2.9:41000", Protocol::Tcp), ("192.0.2.10:5070", Protocol::Udp)];

/// The result of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    pub octets_in: usize,
    pub responses: usize,
    /// Requests that reached a user.
    pub reached: usize,
}

/// Plays the story that these octets encode. `live` returns the octets of memory in use, or always 0 if they are not
/// counted.
///
/// # Panics
///
/// If a rule of the oracle is broken, with the messages that led there.
pub fn play(octets: &[u8], live: &dyn Fn() -> usize) -> Played {
    let mut stage = Stage::new();
    let before = live();
    let mut story = Story::new(octets);
    for act in 0..ACTS {
        if story.is_over() {
            break;
        }
        stage.act(&mut story, act);
    }
    let kept = live().saturating_sub(before);
    stage.end(kept)
}

struct Stage {
    site: Site,
    oracle: Oracle,
    /// Requests that the phones have not answered.
    open: Vec<Sent>,
    /// Requests of the server that strangers have not answered.
    notified: Vec<Sent>,
    routes: Vec<String>,
    tags: Vec<String>,
    last: Vec<u8>,
    played: Played,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = folder.path().join("signalbox.db");
        for entry in std::fs::read_dir(ACCOUNTS.path()).expect("the folder of the accounts") {
            let entry = entry.expect("a file of the accounts");
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("the accounts can be copied");
        }
        let mut oracle = Oracle::default();
        for (address, names) in
            [("203.0.113.7", vec!["203.0.113.7", "victim.example"]), ("203.0.113.8", vec!["203.0.113.8"])]
        {
            oracle.victims.insert(address.parse().expect("an address"), Victim::named(names));
        }
        oracle.phones = USERS.iter().map(|user| address(user.1)).collect();
        let site = server(&database);
        site.add_host("victim.example", address("203.0.113.7:0").ip());
        site.add_host("ours.example", address("192.0.2.100:0").ip());
        let played = Played { octets_in: 0, responses: 0, reached: 0 };
        let mut stage = Self {
            site,
            oracle,
            open: Vec::new(),
            notified: Vec::new(),
            routes: Vec::new(),
            tags: Vec::new(),
            last: Vec::new(),
            played,
            _folder: folder,
        };
        for user in USERS {
            stage.register(user);
        }
        stage
    }

    fn register(&mut self, (user, source, contact, protocol): (&str, &str, &str, Protocol)) {
        let flow = flow_from(address(source), protocol);
        let protocol = protocol.as_str();
        // The address that the phone believes to have.
        let own = contact.split_once('@').map_or(contact, |(_, rest)| rest.split(';').next().unwrap_or(rest));
        let text = |branch: u32| {
            format!(
                "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/{protocol} {own};branch=z9hG4bK{user}{branch};rport\r\n\
                 From: <sip:{user}@example.com>;tag={user}\r\nTo: <sip:{user}@example.com>\r\nCall-ID: {user}\r\n\
                 CSeq: {branch} REGISTER\r\nContact: <{contact}>;expires=7200\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let challenged = self.site.deliver(text(1).as_bytes(), flow);
        let challenge = Message::parse(&challenged[0].1).expect("a challenge");
        let mut request = Message::parse(text(2).as_bytes()).expect("a request");
        let aor = format!("sip:{user}@example.com");
        credentials::add(&mut request, &challenge, &aor, "secret").expect("the challenge can be answered");
        let answered = self.site.deliver(&request.to_bytes(), flow);
        let answer = Message::parse(&answered[0].1).expect("a response");
        assert_eq!(answer.status(), 200, "{user} registers");
    }

    fn act(&mut self, story: &mut Story<'_>, act: usize) {
        match story.below(17) {
            16 => self.network_reports(story),
            0..=8 => {
                let stranger = story.choose(&STRANGERS.each_ref());
                let message = self.compose(story, act, stranger.0);
                self.stranger_sends(stranger, message);
            }
            9 | 10 => self.phone_answers(story),
            11 | 12 => self.stranger_answers(story),
            13 => {
                let (stranger, last) = (story.choose(&STRANGERS.each_ref()), self.last.clone());
                self.stranger_sends(stranger, last);
            }
            _ => {
                let time = [0, 100, 600, 2000, 8000, 40_000][story.below(6)];
                let sent = self.site.pass_until(self.site.now() + Duration::from_millis(time));
                self.see(sent);
            }
        }
    }

    fn stranger_sends(&mut self, &(source, protocol): &(&str, Protocol), message: Vec<u8>) {
        self.oracle.comes_in(address(source), &message);
        let sent = self.site.deliver(&message, flow_from(address(source), protocol));
        self.last = message;
        self.see(sent);
    }

    fn see(&mut self, sent: Vec<Sent>) {
        let mut sent = VecDeque::from(sent);
        while let Some((flow, octets)) = sent.pop_front() {
            self.oracle.goes_out(&flow, &octets);
            if flow.remote == server_address() {
                // Messages that the server sends to itself come in again.
                let local = Flow { remote: flow.local, connection: None, ..flow };
                sent.extend(self.site.deliver(&octets, local));
                continue;
            }
            let Ok(message) = Message::parse(&octets) else { continue };
            if self.oracle.phones.contains(&flow.remote) {
                if message.is_request() && !matches!(message.method().as_str(), "ACK") {
                    self.played.reached += 1;
                    remember(&mut self.open, (flow, octets));
                }
            } else if message.is_request() {
                remember(&mut self.notified, (flow, octets));
            } else {
                self.played.responses += 1;
                let routes: Vec<&str> = message.items(HeaderName::RecordRoute).collect();
                if !routes.is_empty() {
                    remember(&mut self.routes, routes.into_iter().rev().collect::<Vec<_>>().join(", "));
                }
                if let Some(tag) = message.to_tag() {
                    remember(&mut self.tags, tag.to_owned());
                }
            }
        }
    }

    fn compose(&self, story: &mut Story<'_>, act: usize, source: &str) -> Vec<u8> {
        let method = story.choose(&words::METHODS);
        let uri = if story.one_in(3) { words::any_uri(story) } else { words::uri_of_ours(story) };
        let (from, to) = (words::sender(story), if story.one_in(4) { words::any_uri(story) } else { uri.clone() });
        let tag = match story.below(3) {
            0 => String::new(),
            1 => ";tag=1".to_owned(),
            _ => self.tags.get(story.below(REMEMBERED)).map_or_else(String::new, |tag| format!(";tag={tag}")),
        };
        let call = if story.one_in(3) { act } else { story.below(3) };
        let sent_by =
            story.choose(&[source, source, source, "203.0.113.7", "192.0.2.100", "192.0.2.9;maddr=203.0.113.7"]);
        let branch = if story.one_in(5) { 0 } else { act };
        let (kind, body) = words::body(story, method);
        let mut message = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK{branch};rport\r\nFrom: <{from}>;tag=m\r\n\
             To: <{to}>{tag}\r\nCall-ID: call{call}\r\nCSeq: {} {method}\r\nMax-Forwards: {}\r\n{}{}Content-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            act + 1,
            story.choose(&["70", "70", "70", "0", "255"]),
            words::routes(story, &self.routes),
            words::further_lines(story, method, source),
            body.len(),
        )
        .into_bytes();
        message.extend_from_slice(&body);
        if story.one_in(10) {
            let at = message.len() * story.below(256) / 256;
            let wound = story.raw(4).to_vec();
            let end = (at + wound.len()).min(message.len());
            message.splice(at..end, wound);
        }
        // The most octets of a datagram.
        message.truncate(65_507);
        message
    }

    fn phone_answers(&mut self, story: &mut Story<'_>) {
        if self.open.is_empty() {
            return;
        }
        let (flow, octets) = self.open.remove(story.below(self.open.len()));
        let contact = USERS.iter().find(|user| address(user.1) == flow.remote).map_or("sip:x@192.0.2.1", |user| user.2);
        let Some(response) = answer(story, &octets, contact) else { return };
        self.oracle.comes_in(flow.remote, &response);
        let sent = self.site.deliver(&response, flow);
        self.see(sent);
    }

    fn stranger_answers(&mut self, story: &mut Story<'_>) {
        if self.notified.is_empty() {
            return;
        }
        let (flow, octets) = self.notified.remove(story.below(self.notified.len()));
        // Victims never send anything.
        if !self.oracle.strangers.contains(&flow.remote) {
            return;
        }
        let Some(response) = answer(story, &octets, "sip:mallory@192.0.2.9") else { return };
        self.oracle.comes_in(flow.remote, &response);
        let sent = self.site.deliver(&response, Flow { connection: None, ..flow });
        self.see(sent);
    }

    /// A report, real or forged, that a request did not arrive.
    fn network_reports(&mut self, story: &mut Story<'_>) {
        let requests: Vec<_> = self.open.iter().chain(&self.notified).collect();
        if requests.is_empty() {
            return;
        }
        let (flow, octets) = requests[story.below(requests.len())];
        let quoted = octets.len() * story.below(256) / 255;
        let remote = if story.one_in(3) { address("203.0.113.7:5060") } else { flow.remote };
        let kind = story.choose(&[&ErrorKind::ConnectionRefused, &ErrorKind::HostUnreachable]);
        let (quoted, remote, kind) = (octets[..quoted].to_vec(), remote, *kind);
        let sent = self.site.undelivered(&quoted, remote, kind);
        self.see(sent);
    }

    fn end(mut self, kept: usize) -> Played {
        let sent = self.site.pass_until(self.site.now() + QUIET);
        self.see(sent);
        self.oracle.is_over(kept);
        if self.site.transactions() != (0, 0) {
            self.oracle.found("transactions are left over");
        }
        for name in ["panics", "script_errors"] {
            if self.site.host().counter(name).value() != 0 {
                self.oracle.found(name);
            }
        }
        Played { octets_in: self.oracle.octets_in, ..self.played }
    }
}

fn answer(story: &mut Story<'_>, octets: &[u8], contact: &str) -> Option<Vec<u8>> {
    let request = Message::parse(octets).ok().filter(Message::is_request)?;
    let status = [200, 180, 302, 404, 481, 486, 503, 603][story.below(8)];
    let mut response = request.reply(status, "Answered");
    if request.to_tag().is_none() {
        response.set_to_tag("answered");
    }
    for value in request.values(HeaderName::RecordRoute) {
        response.push(HeaderName::RecordRoute, value);
    }
    response.push(HeaderName::Contact, &format!("<{contact}>"));
    Some(response.to_bytes())
}

fn remember<T>(all: &mut Vec<T>, one: T) {
    if all.len() == REMEMBERED {
        all.remove(0);
    }
    all.push(one);
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The shipped script with all modules, as in `etc/signalbox.lua`, but without a database on disk.
fn server(database: &Path) -> Site {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/presence.lua");
    let mut setup = Setup::new(&script, "example.com");
    setup.workers = 3;
    let database = Value::String(format!("sqlite:{}", database.display()));
    let module = |entry, parameters: &[(&str, Value)]| configured(entry, parameters).expect("the parameters are known");
    setup.modules = vec![
        module(export::entry::<signalbox_registrar::Registrar>(), &[("use_db", 0.into())]),
        module(export::entry::<signalbox_auth::Auth>(), &[("db_url", database)]),
        module(export::entry::<signalbox_pa::PresenceAgent>(), &[("use_db", 0.into()), ("auth", "none".into())]),
        module(export::entry::<signalbox_im_auth::ImAuth>(), &[]),
    ];
    Site::start(setup).expect("the server starts")
}

/// A database with the accounts of all users. It is made once, because hashing passwords takes time.
static ACCOUNTS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("signalbox.db").display());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let storage = signalbox::storage::Storage::new(runtime.handle().clone());
        let database = storage.open(&url).await.expect("a database");
        let store = AccountStore::open(database, CacheLimits::default()).await.expect("tables");
        for (user, ..) in USERS {
            store.add(user, "example.com", "secret", false).await.expect("an account");
        }
        storage.close().await;
    });
    folder
});
