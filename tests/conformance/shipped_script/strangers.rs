//! The property that the shipped script keeps for every request of a stranger: it is sent only to hosts that our users
//! have registered, and never with an address of ours in From.

use std::cell::RefCell;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use signalbox_sip::header::HeaderName;
use signalbox_sip::uri::{Host, NameAddr};

use super::{ALICE, BOB, DAN, STRANGER, Server};
use crate::wire::{Out, request};

/// How many requests are tried.
const CASES: u32 = 2500;

const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "MESSAGE",
    "OPTIONS",
    "SUBSCRIBE",
    "PUBLISH",
    "REGISTER",
    "REFER",
    "NOTIFY",
    "INFO",
    "UPDATE",
    "FOO",
];

const URIS: [&str; 24] = [
    "sip:dan@example.com",
    "sip:dan@EXAMPLE.com.",
    "sip:dan@example.com:5060;transport=tcp",
    "sip:dan@192.0.2.100",
    "sip:bob@example.com;maddr=198.51.100.9",
    "sip:alice@example.com;maddr=192.0.2.100",
    "sips:alice@example.com",
    "sip:d%61n@example.com",
    "sip:dan;x=1@example.com",
    "sip:dan?x@example.com",
    "sip:dan:secret@example.com",
    "sip:+15551234;npdi=yes@example.com",
    "tel:+15551234",
    "im:dan@example.com",
    "urn:service:sos",
    "sip:dan@192.0.2.4",
    "sip:victim@198.51.100.9",
    "sip:victim@198.51.100.9;maddr=192.0.2.100",
    "sip:victim@198.51.100.9;lr",
    "sip:192.0.2.100;lr",
    "sip:example.com;lr;maddr=198.51.100.9",
    "sip:192.0.2.100:5060;lr;transport=tcp",
    "sip:[2001:db8::9]:5060",
    "OWN",
];

const ROUTES: [&str; 24] = [
    "<sip:192.0.2.100;lr>",
    "<sip:192.0.2.100:5060;lr>",
    "<sip:192.0.2.100>",
    "<sip:192.0.2.100:5070;lr>",
    "<sip:example.com;lr>",
    "<sip:Example.COM.;lr>",
    "<sip:x@example.com;lr;transport=tcp>",
    "<sips:example.com;lr>",
    "<sip:198.51.100.9;lr>",
    "<sip:198.51.100.66:5066;lr>",
    "<sip:198.51.100.9>",
    "<sip:example.com;maddr=198.51.100.9;lr>",
    "<sip:198.51.100.9;maddr=192.0.2.100;lr>",
    "\"x, y\" <sip:192.0.2.100;lr>;p=1",
    "<sip:192.0.2.100;lr;dialog=00>",
    "<tel:+15551234>",
    "<sip:broken",
    "<OWN>",
    "<OWN>",
    "<OWN>",
    "<OWN>",
    "<OWN>",
    "<OWN>",
    "<OWN;maddr=198.51.100.9>",
];

const FROMS: [&str; 9] = [
    "<sip:mallory@elsewhere.example>",
    "<sip:mallory@elsewhere.example>",
    "<sip:alice@example.com>",
    "\"A\" <sip:alice@EXAMPLE.com.>",
    "sip:alice@example.com",
    "<sips:alice@example.com:5061>",
    "<sip:al%69ce@192.0.2.100>",
    "<sip:+1;x=2@example.com>",
    "<tel:+15551234>",
];

/// A request of a stranger's.
#[derive(Debug, Clone)]
struct Attempt {
    method: &'static str,
    uri: &'static str,
    from: (&'static str, &'static str),
    to: &'static str,
    call: &'static str,
    routes: Vec<(&'static str, bool)>,
    record_route: Option<&'static str>,
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let from = (select(&FROMS[..]), select(&["m", "m", "x"][..]));
    let to = select(
        &[
            "<sip:dan@example.com>",
            "<sip:dan@example.com>;tag=1",
            "<sip:dan@example.com>;tag=phone",
            "<sip:x@y>;tag=m",
            "<sip:x@y>;tag=m",
        ][..],
    );
    let routes = proptest::collection::vec((select(&ROUTES[..]), any::<bool>()), 0..5);
    let record_route = proptest::option::of(select(&ROUTES[..]));
    let call = select(&["m", "m", "other"][..]);
    (select(&METHODS[..]), select(&URIS[..]), from, to, call, routes, record_route).prop_map(
        |(method, uri, from, to, call, routes, record_route)| Attempt {
            method,
            uri,
            from,
            to,
            call,
            routes,
            record_route,
        },
    )
}

impl Attempt {
    /// The text of the request. OWN is the Record-Route URI from the stranger's own dialog with Dan.
    fn text(&self, number: u32, own: &str) -> String {
        let mut lines = vec![
            format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bKtry{number}"),
            format!("From: {};tag={}", self.from.0, self.from.1),
            format!("To: {}", self.to),
            format!("Call-ID: {}", self.call),
            format!("CSeq: {number} {}", self.method),
            "Contact: <sip:mallory@198.51.100.66>".to_owned(),
            "Event: presence".to_owned(),
            "Expires: 600".to_owned(),
        ];
        lines.extend(self.record_route.map(|value| format!("Record-Route: {value}")));
        for (index, (route, joined)) in self.routes.iter().enumerate() {
            match lines.last_mut().filter(|_| *joined && index > 0) {
                Some(line) => line.push_str(&format!(", {route}")),
                None => lines.push(format!("Route: {route}")),
            }
        }
        let lines: Vec<String> = lines.iter().map(|line| line.replace("OWN", own)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        request(self.method, &self.uri.replace("OWN", own), &lines)
    }
}

/// The reason why this message must not be sent because of a stranger's request, if there is one.
fn fault(out: &Out) -> Option<String> {
    // Requests of the server's own, such as NOTIFY, have one Via.
    if !out.message.is_request() || out.items(HeaderName::Via).len() < 2 {
        return None;
    }
    if ![ALICE, BOB, DAN].contains(&&*out.remote().to_string()) {
        return Some(format!("{} left for a host that is not ours", out.summary()));
    }
    let uri = NameAddr::parse(out.items(HeaderName::From)[0]).unwrap().uri;
    let host = signalbox_sip::uri::Uri::parse(uri).ok().and_then(|uri| uri.host).map(|host| host.host);
    let ours = ["example.com", "192.0.2.100"].map(|own| Host::parse(own).unwrap());
    host.filter(|host| ours.contains(host)).map(|_| format!("{} came with {uri} in From", out.summary()))
}

/// The first request that breaks the property with this script, and how many requests were relayed until then.
fn attack(script: &Path) -> (Result<(), String>, usize) {
    let mut server = Server::with_script(script);
    let lines = [
        &*format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bKfirst"),
        "From: <sip:mallory@elsewhere.example>;tag=m",
        "To: <sip:dan@example.com>",
        "Call-ID: m",
    ];
    let sent = server.send(STRANGER, &request("INVITE", "sip:dan@example.com", &lines));
    let invite = sent.into_iter().find(|out| out.message.is_request()).unwrap();
    let own =
        invite.items(HeaderName::RecordRoute).first().map_or("sip:192.0.2.100;lr", |own| own.trim_matches(['<', '>']));
    let state = RefCell::new((server, 100, 0));
    let mut runner = TestRunner::new_with_rng(
        Config { cases: CASES, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let result = runner.run(&attempts(), |attempt| {
        let (server, number, relayed) = &mut *state.borrow_mut();
        *number += 1;
        let sent = server.send(STRANGER, &attempt.text(*number, own));
        *relayed += sent.iter().filter(|out| out.message.is_request()).count();
        match sent.iter().find_map(fault) {
            Some(fault) => Err(TestCaseError::fail(fault)),
            None => Ok(()),
        }
    });
    let relayed = state.borrow().2;
    match result {
        Ok(()) => (Ok(()), relayed),
        Err(TestError::Fail(reason, attempt)) => (Err(format!("{reason}: {}", attempt.text(0, own))), relayed),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn no_request_of_a_stranger_leaves_for_others_or_comes_in_the_name_of_a_user_of_ours() {
    let (result, relayed) = attack(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/presence.lua"));
    result.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(relayed > 20, "only {relayed} requests were relayed: they don't reach what is to be tried");
}

/// Shows that the requests above catch careless scripts: one that trusts a To tag, one that follows Routes of
/// strangers, and one that does not challenge its own users within dialogs.
#[test]
fn careless_scripts_are_caught() {
    let shipped =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/presence.lua")).unwrap();
    for (what, with) in [
        ("  local routed, why = loose_route(ours)\n", "  local routed, why = loose_route(ours) or msg.to_tag ~= nil\n"),
        ("  local routed, why = loose_route(ours)\n", "  local routed, why = loose_route(true)\n"),
        (
            "  if ours and not authenticate(msg) then return end\n",
            "  if ours and not msg.to_tag and not authenticate(msg) then return end\n",
        ),
        ("  local routed, why = loose_route(ours)\n", "  local routed, why = false, nil\n"),
    ] {
        assert!(shipped.contains(what), "{what}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("careless.lua");
        std::fs::write(&file, shipped.replace(what, with)).unwrap();
        let fault = attack(&file).0.expect_err(with);
        assert!(fault.contains("left for a host that is not ours") || fault.contains("in From"), "{fault}");
    }
}
