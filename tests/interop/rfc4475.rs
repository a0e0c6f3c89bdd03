//! RFC 4475 over the wire: all 49 torture messages against the real server, over UDP and over TCP, with each shipped
//! script: `scripts/presence.lua`, and `scripts/proxy.lua`, with which everybody may register. `conformance/rfc4475.rs`
//! tests a proxy that relays everything.
//!
//! Each message over UDP comes from its own address, so that a retransmitted answer is not taken for the answer to
//! another message. Over TCP a good OPTIONS follows on the same connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use signalbox_sip::message::Message;
use signalbox_tests::torture::{After, DOMAINS, OUTCOMES, Outcome};

use crate::support::place::Place;
use crate::support::server::{self, Server, repository};

/// How long an answer may take. The test waits this long for each message that gets no answer.
const ANSWER_TIME: Duration = Duration::from_millis(1000);
/// The Call-ID of the good OPTIONS.
const PROBE: &str = "probe-of-the-connection";

/// The result of a message: the final status, or 0 without one, and over TCP the state of the connection.
type Observed = (u16, After);

fn start<'a>(place: &'a Place, script: &str) -> Server<'a> {
    let (address, scripts) = (place.server(), repository().join("scripts"));
    let aliases = format!("alias {{ {} }}", DOMAINS.map(|domain| format!("\"{domain}\"")).join(", "));
    let modules = match script {
        "presence.lua" => {
            "loadmodule \"registrar\"\nloadmodule \"auth\"\nloadmodule \"pa\"\nloadmodule \"im_auth\"\n\
             modparam(\"auth\", \"db_url\", \"sqlite:accounts.db\")\nmodparam(\"pa\", \"use_db\", 0)\nmodparam(\"pa\", \"auth\", \"none\")\n"
        }
        _ => "loadmodule \"registrar\"\n",
    };
    let settings = format!(
        "listen {{ \"udp:{address}\", \"tcp:{address}\" }}\n{aliases}\nworkers(1)\n{modules}modparam(\"registrar\", \"use_db\", 0)\n\
         route_script \"{}/{script}\"\n",
        scripts.display()
    );
    server::write_settings(place, &settings);
    Server::start_again(place)
}

fn bytes(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/torture/rfc4475");
    std::fs::read(folder.join(file).with_extension("dat")).expect("the message can be read")
}

/// Sends a datagram from the port in its Via, on an address that no other message uses.
fn over_udp(place: &Place, number: usize, message: &[u8]) -> Observed {
    let parsed = Message::parse(message).or_else(|error| error.reply().ok_or(error)).ok();
    let port = parsed.as_ref().and_then(|message| message.top_via().ok()?.sent_by.port).unwrap_or(5060);
    let [_, b, c, _] = place.address.octets();
    // Other tests run meanwhile, and may have taken one.
    let addresses = (0..16).map(|n| Ipv4Addr::new(127, 128 | b, c.wrapping_add(n), number as u8 + 1));
    let socket = addresses.filter_map(|own| UdpSocket::bind((own, port)).ok()).next().expect("an address of its own");
    socket.send_to(message, place.server()).expect("it is sent");
    let deadline = Instant::now() + ANSWER_TIME;
    let mut buffer = vec![0; 65_536];
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left)).expect("a time-out");
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        match status_of(&buffer[..length]) {
            Some(status) if status >= 200 => return (status, After::Alive),
            _ => {}
        }
    }
    (0, After::Alive)
}

/// Sends the message and then a good OPTIONS over a new connection. Returns the first final answer that is not to the
/// OPTIONS.
fn over_tcp(place: &Place, message: &[u8]) -> Observed {
    let mut stream = TcpStream::connect(place.server()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    let probe = format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKprobe\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@elsewhere.example>;tag=p\r\nTo: <sip:example.com>\r\nCall-ID: {PROBE}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(message).and_then(|()| stream.write_all(probe.as_bytes())).expect("it is sent");
    let (mut received, mut outcome) = (Vec::new(), (0, After::Waiting));
    let deadline = Instant::now() + ANSWER_TIME;
    let mut buffer = vec![0; 65_536];
    while Instant::now() < deadline && (outcome.0 == 0 || outcome.1 == After::Waiting) {
        match stream.read(&mut buffer) {
            Ok(0) => return (outcome.0, After::Closed),
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return (outcome.0, After::Closed),
        }
        outcome = seen(&received);
    }
    outcome
}

/// The status of an answer. Its other lines are not parsed, because they copy the faults of the request.
fn status_of(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The first final answer that is not to the OPTIONS, and whether there is one to the OPTIONS. No answer here has a body.
fn seen(received: &[u8]) -> Observed {
    let mut outcome = (0, After::Waiting);
    for answer in
        String::from_utf8_lossy(received).split_inclusive("\r\n\r\n").filter(|answer| answer.ends_with("\r\n\r\n"))
    {
        match status_of(answer.trim_start().as_bytes()) {
            Some(_) if answer.contains(PROBE) => outcome.1 = After::Alive,
            Some(status) if status >= 200 && outcome.0 == 0 => outcome.0 = status,
            _ => {}
        }
    }
    outcome
}

fn check(script: &str, expected: impl Fn(&Outcome) -> [Observed; 2]) {
    if server::subject() != server::Subject::Signalbox {
        return;
    }
    let place = Place::on_loopback();
    let server = start(&place, script);
    let mut differing = Vec::new();
    let mut messages: Vec<_> = OUTCOMES.iter().map(|outcome| (outcome, bytes(outcome.file))).collect();
    // Messages that make bindings come last: some lead to hosts that would be looked up in the DNS.
    messages.sort_by_key(|(_, message)| message.starts_with(b"REGISTER "));
    for (number, (outcome, message)) in messages.into_iter().enumerate() {
        let observed = [over_udp(&place, number, &message), over_tcp(&place, &message)];
        if observed != expected(outcome) {
            differing.push(format!("{}: {observed:?}", outcome.file));
        }
    }
    assert!(server.reason_of_options().is_some(), "the server is alive");
    assert!(differing.is_empty(), "with {script}, over UDP and TCP:\n{}", differing.join("\n"));
}

#[test]
fn with_the_shipped_script() {
    check("presence.lua", |outcome| [(outcome.presence.0, After::Alive), (outcome.presence.1, outcome.after)]);
}

#[test]
fn with_registration_open() {
    check("proxy.lua", |outcome| [(outcome.proxy.0, After::Alive), (outcome.proxy.1, outcome.after)]);
}

#[test]
fn all_49_messages_of_the_rfc_are_sent() {
    let files: std::collections::BTreeSet<_> = OUTCOMES.iter().map(|outcome| outcome.file).collect();
    assert_eq!((OUTCOMES.len(), files.len()), (49, 49));
}
