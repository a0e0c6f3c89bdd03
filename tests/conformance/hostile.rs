//! Hostile input against the whole server: torture messages and ordinary ones, damaged by a seeded random hand, reach every
//! module and every part of a script. Nothing panics, no script fails, every request that leaves can be read, and
//! nothing is left over when all timers have run.
//!
//! `HOSTILE_MESSAGES=1000000 HOSTILE_SEED=7` sends more, and others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use signalbox::module::{Value, export};
use signalbox::transport::Protocol;
use signalbox::transport::network::Sent;
use signalbox_auth::Auth;
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};

/// Messages that get somewhere, so that what is damaged in them gets there too.
const ORDINARY: [&str; 8] = [
    "REGISTER sip:example.com SIP/2.0|Contact: <sip:bob@192.0.2.11>;q=0.7;expires=600, <sip:b@192.0.2.12;transport=tcp>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"|Path: <sip:192.0.2.9;lr>|Supported: path, outbound|",
    "SUBSCRIBE sip:bob@example.com SIP/2.0|Event: presence;id=7|Contact: <sip:alice@192.0.2.1>|Expires: 600|Accept: application/pidf+xml;q=0.5, */*|Record-Route: <sip:192.0.2.9;lr>|Suppress-If-Match: x|",
    "PUBLISH sip:bob@example.com SIP/2.0|Event: presence|SIP-If-Match: abc|Expires: 600|Content-Type: application/pidf+xml||<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:bob@example.com\"><tuple id=\"t\"><status><basic>open</basic></status><contact priority=\"0.8\">sip:bob@192.0.2.2</contact><timestamp>2026-01-01T00:00:00Z</timestamp></tuple></presence>",
    "MESSAGE sip:bob@example.com SIP/2.0|Route: <sip:192.0.2.100;lr>, <sip:192.0.2.9>|Proxy-Require: none|Max-Breadth: 3|Content-Type: text/plain||Hello",
    "INVITE sip:bob@192.0.2.11;maddr=192.0.2.12;transport=udp SIP/2.0|Contact: <sip:alice@192.0.2.1>|Timestamp: 54|",
    "ACK sip:bob@192.0.2.11 SIP/2.0|",
    "CANCEL sip:bob@192.0.2.11;maddr=192.0.2.12;transport=udp SIP/2.0|",
    "REGISTER sip:example.com SIP/2.0|Authorization: Digest username=\"bob\", realm=\"example.com\", nonce=\"n\", uri=\"sip:example.com\", response=\"00000000000000000000000000000000\", algorithm=SHA-256, cnonce=\"c\", qop=auth, nc=00000001, userhash=true|Contact: *|Expires: 0|",
];

/// What numbers and delimiters turn into.
const SPLINTERS: [&str; 24] = [
    "0",
    "-1",
    "4294967296",
    "99999999999999999999",
    "256",
    "65536",
    "\"",
    "\\",
    "<",
    ">",
    ";",
    ",",
    "@",
    ":",
    "[::1]",
    "%00",
    "%",
    "\r\n",
    "\r\n ",
    "\u{20ac}",
    "\0",
    "sip:",
    "*",
    "=",
];

/// As much state as one run may have in the end: bindings and publications, no transactions.
const QUIET: Duration = Duration::from_secs(300);

/// xorshift64: any sequence that repeats will do.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % end.max(1) as u64).unwrap()
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len());
        &from[at]
    }

    /// Up to four wounds.
    fn damage(&mut self, message: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..self.below(5) {
            let (at, length) = (self.below(bytes.len()), self.below(12));
            let end = (at + length).min(bytes.len());
            match self.below(6) {
                0 => drop(bytes.splice(at..at, self.choose(&SPLINTERS).bytes())),
                1 => drop(bytes.splice(at..end, self.choose(&SPLINTERS).bytes())),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let copy = bytes[at..end].repeat(1 + self.below(40));
                    drop(bytes.splice(at..at, copy));
                }
                4 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (self.0 % 8)),
                _ => {
                    let other = self.choose(others);
                    let from = self.below(other.len());
                    let to = (from + self.below(80)).min(other.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
            }
            if bytes.is_empty() {
                bytes.push(b'\n');
            }
        }
        bytes
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/torture");
    let files = ["rfc4475", "rfc5118"].into_iter().flat_map(|rfc| std::fs::read_dir(root.join(rfc)).unwrap());
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let torture = files.iter().map(|file| std::fs::read(file).unwrap());
    torture.chain(ORDINARY.iter().map(|text| ordinary(text).into_bytes())).collect()
}

fn ordinary(text: &str) -> String {
    let (head, body) = text.split_once("||").unwrap_or_else(|| (text.trim_end_matches('|'), ""));
    let method = head.split(' ').next().unwrap();
    let length = body.len();
    format!(
        "{}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKseed;rport\r\nMax-Forwards: 70\r\nFrom: \"A\" <sip:alice@example.com>;tag=a\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: seed@192.0.2.1\r\nCSeq: 7 {method}\r\nContent-Length: {length}\r\n\r\n{body}",
        head.replace('|', "\r\n")
    )
}

fn server(folder: &Path) -> Site {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/hostile.lua");
    let mut setup = Setup::new(&script, "example.com");
    let database = Value::String(format!("sqlite:{}", folder.join("hostile.db").display()));
    setup.modules = vec![
        configured(export::entry::<Registrar>(), &[("use_db", 0.into())]).unwrap(),
        configured(export::entry::<PresenceAgent>(), &[("use_db", 0.into()), ("auth", "none".into())]).unwrap(),
        configured(export::entry::<Auth>(), &[("db_url", database)]).unwrap(),
    ];
    Site::start(setup).unwrap()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn damaged_messages_harm_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = server(folder.path());
    let seeds = seeds();
    let mut random = Random(number("HOSTILE_SEED", 1) | 1);
    let mut open: Vec<Sent> = Vec::new();
    for count in 0..number("HOSTILE_MESSAGES", 3000) {
        // Every other message answers something that the server has sent, or says something again.
        let reply = (random.below(2) == 0).then(|| answer(&mut random, &open)).flatten();
        let seed = reply.unwrap_or_else(|| fresh(random.choose::<Vec<u8>>(&seeds), count));
        let damaged = random.damage(&seed, &seeds);
        let protocol = *random.choose(&[Protocol::Udp, Protocol::Tcp]);
        let remote = *random.choose(&["192.0.2.1:5060", "192.0.2.11:5060", "192.0.2.12:40000"]);
        let mut sent = site.deliver(&damaged, flow_from(remote.parse().unwrap(), protocol));
        let pause = Duration::from_millis(random.below(400) as u64);
        let next = site.next_timeout().min(site.now() + pause);
        sent.extend(site.wake_at(next));
        check(&sent, &damaged);
        open.extend(sent);
        let surplus = open.len().saturating_sub(50);
        open.drain(..surplus);
    }
    check(&site.pass_until(site.now() + QUIET), b"");
    assert_eq!(site.transactions(), (0, 0), "transactions are left over");
    for name in ["panics", "script_errors"] {
        assert_eq!(site.host().counter(name).value(), 0, "{name}");
    }
}

/// Another transaction each time, for what keeps its Via.
fn fresh(seed: &[u8], count: u64) -> Vec<u8> {
    match str::from_utf8(seed) {
        Ok(text) => text.replace("z9hG4bK", &format!("z9hG4bK{}", count % 500)).into_bytes(),
        Err(_) => seed.to_vec(),
    }
}

/// A response to something that the server has sent.
fn answer(random: &mut Random, open: &[Sent]) -> Option<Vec<u8>> {
    let (_, bytes) = open.get(random.below(open.len()))?;
    let request = Message::parse(bytes).ok().filter(Message::is_request)?;
    let status = *random.choose(&[100, 180, 200, 200, 302, 401, 404, 481, 486, 487, 500, 503, 603]);
    let mut response = request.reply(status, "Damaged");
    response.set_to_tag("damaged");
    Some(response.to_bytes())
}

/// Requests that leave can be read. Responses may carry on what others have damaged in them.
fn check(sent: &[Sent], cause: &[u8]) {
    for (_, bytes) in sent.iter().filter(|(_, bytes)| !bytes.starts_with(b"SIP/2.0 ")) {
        if let Err(error) = Message::parse(bytes) {
            panic!("{error}\n{}\nbecause of\n{}", bytes.escape_ascii(), cause.escape_ascii());
        }
    }
}
