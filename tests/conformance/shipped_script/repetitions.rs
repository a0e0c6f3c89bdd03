//! RFC 3261 §17.2.2, §17.2.3: requests with credentials that are retransmitted from other ports, and so to other
//! workers, and are sometimes lost. Each is carried out once, and gets the answer to what was done, not another
//! challenge.

use std::time::Duration;

use signalbox_sip::header::HeaderName;

use super::{BOB, DAN, Server};
use crate::wire::{Out, only, read, summaries};

const WORKERS: [u16; 2] = [1, 3];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// Dan's first port, and those that a NAT gives him afterwards.
const PORTS: std::ops::RangeInclusive<u16> = 5060..=5064;

const STATE: &str = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:dan@example.com\"><tuple id=\"t\"><status>\
                     <basic>open</basic></status></tuple></presence>";

/// The kinds of requests that Dan sends.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Subscribe,
    Publish,
    Message,
    Options,
    Invite,
}

/// The result of one delivery: the final responses to Dan, and the requests that go elsewhere.
#[derive(Default)]
struct Outcome {
    responses: Vec<Out>,
    requests: Vec<Out>,
}

/// The next request of this kind with Dan's password.
fn proved(server: &mut Server, kind: Kind, call: usize) -> String {
    let (method, uri) = match kind {
        Kind::Subscribe => ("SUBSCRIBE", "sip:dan@example.com"),
        Kind::Publish => ("PUBLISH", "sip:dan@example.com"),
        Kind::Message => ("MESSAGE", "sip:bob@example.com"),
        Kind::Options => ("OPTIONS", "sip:bob@example.com"),
        Kind::Invite => ("INVITE", "sip:bob@example.com"),
    };
    let call = format!("Call-ID: {method}{call}");
    let mut lines = vec!["Via: SIP/2.0/UDP 192.0.2.4:5060;rport;branch=z9hG4bKdan", &call, "Event: presence"];
    lines.extend(["To: <sip:dan@example.com>", "Contact: <sip:dan@192.0.2.4>"]);
    match kind {
        Kind::Subscribe => lines.push("Expires: 600"),
        Kind::Publish => lines.push("Content-Type: application/pidf+xml"),
        Kind::Message | Kind::Options | Kind::Invite => {}
    }
    let Ok(head) = server.ask_as("dan", DAN, (method, uri), &lines) else { panic!("{method} is let through unasked") };
    match kind {
        Kind::Publish => {
            head.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{STATE}", STATE.len()))
        }
        _ => head,
    }
}

/// Delivers Dan's request from this port. Each receiver of a request caused by it answers.
fn deliver(server: &mut Server, port: u16, message: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut waiting = server.send(&format!("192.0.2.4:{port}"), message);
    while let Some(out) = waiting.pop() {
        if out.message.is_request() {
            if out.message.method().as_str() != "ACK" {
                waiting.extend(server.answer(&out, 200, "<sip:bob@10.0.0.2>"));
            }
            outcome.requests.push(out);
        } else if out.message.status() >= 200 {
            outcome.responses.push(out);
        }
    }
    outcome
}

/// How many NOTIFYs leave in the next seconds. Each is answered.
fn notifies_later(server: &mut Server) -> usize {
    let mut notifies = 0;
    let end = server.site.now() + Duration::from_secs(10);
    while server.site.now() < end {
        let next = server.site.next_timeout().min(end);
        for out in read(server.site.wake_at(next)) {
            assert_eq!(out.message.method().as_str(), "NOTIFY");
            notifies += 1;
            assert!(server.answer(&out, 200, "<sip:dan@192.0.2.4>").is_empty());
        }
    }
    notifies
}

#[test]
fn a_request_with_credentials_is_carried_out_once_wherever_it_comes_from_again() {
    for (workers, seed) in WORKERS.into_iter().flat_map(|workers| SEEDS.map(move |seed| (workers, seed))) {
        let mut server = Server::with_workers(workers, seed);
        for kind in [Kind::Subscribe, Kind::Publish, Kind::Message, Kind::Options] {
            let message = proved(&mut server, kind, 1);
            let (mut tags, mut requests) = (Vec::new(), 0);
            for port in PORTS {
                let outcome = deliver(&mut server, port, &message);
                let expected = [format!("200 192.0.2.4:{port}")];
                assert_eq!(summaries(&outcome.responses), expected, "{kind:?}, {workers} workers, seed {seed}");
                tags.push(only(outcome.responses).message.value(HeaderName::SipEtag).map(str::to_owned));
                requests += outcome.requests.len();
            }
            tags.dedup();
            assert_eq!(tags.len(), 1, "one publication: {tags:?}");
            assert_eq!(matches!(kind, Kind::Publish), tags[0].is_some());
            // One NOTIFY for the subscription, one for the publication, and one message to Bob.
            requests += notifies_later(&mut server);
            assert_eq!(requests, 1, "{kind:?}, {workers} workers, seed {seed}");
        }
    }
}

/// Before there is an answer, a retransmission causes no message. An INVITE gets the last provisional response again.
#[test]
fn a_repetition_before_the_answer_is_absorbed() {
    for (workers, seed) in WORKERS.into_iter().flat_map(|workers| SEEDS.map(move |seed| (workers, seed))) {
        for (kind, again) in [(Kind::Message, None), (Kind::Options, None), (Kind::Invite, Some("180"))] {
            let mut server = Server::with_workers(workers, seed);
            let message = proved(&mut server, kind, 1);
            let mut sent = server.send(DAN, &message);
            sent.retain(|out| out.message.is_request());
            let relayed = only(sent);
            assert_eq!(relayed.remote().to_string(), BOB);
            if again.is_some() {
                assert_eq!(summaries(&server.answer(&relayed, 180, "<sip:bob@10.0.0.2>")), ["180 192.0.2.4:5060"]);
            }
            for port in PORTS {
                let expected: Vec<_> = again.iter().map(|status| format!("{status} 192.0.2.4:{port}")).collect();
                let sent = server.send(&format!("192.0.2.4:{port}"), &message);
                assert_eq!(summaries(&sent), expected, "{kind:?}, {workers} workers, seed {seed}");
            }
            let answer = server.answer(&relayed, 200, "<sip:bob@10.0.0.2>");
            assert_eq!(summaries(&answer), ["200 192.0.2.4:5064"], "{kind:?}, {workers} workers, seed {seed}");
        }
    }
}

/// Every fifth packet from and to Dan is lost, and each retransmission comes from another port. The first response that
/// reaches him is the answer.
#[test]
fn with_losses_each_request_with_credentials_ends_with_its_answer() {
    for workers in WORKERS {
        let mut server = Server::with_workers(workers, 1);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut is_lost = move || {
            // xorshift64: any sequence that repeats will do.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 32).is_multiple_of(5)
        };
        for kind in [Kind::Subscribe, Kind::Publish, Kind::Message] {
            for call in 0..30 {
                let message = proved(&mut server, kind, call);
                // §17.1.2.2: eleven times in 64·T1.
                let heard = (0..11).find_map(|count| {
                    let outcome = (!is_lost()).then(|| deliver(&mut server, 5060 + count % 4, &message))?;
                    let response = outcome.responses.into_iter().next()?;
                    (!is_lost()).then(|| response.message.status())
                });
                assert_eq!(heard, Some(200), "{kind:?} {call}, {workers} workers");
            }
        }
    }
}

/// A sender that has seen Dan's credentials cannot use them for another request, from any address.
#[test]
fn credentials_of_a_request_are_not_taken_for_another_one_at_any_worker() {
    for workers in WORKERS {
        let mut server = Server::with_workers(workers, 1);
        for kind in [Kind::Subscribe, Kind::Publish, Kind::Message] {
            let message = proved(&mut server, kind, 1);
            assert_eq!(only(deliver(&mut server, 5060, &message).responses).message.status(), 200);
            for (from, to) in [("branch=z9hG4bK", "branch=z9hG4bKx"), ("Call-ID: ", "Call-ID: x")] {
                // With a branch of its own: otherwise it would be a repetition (§17.2.3).
                let other = message.replace("z9hG4bK", "z9hG4bKother").replace(from, to);
                for port in PORTS {
                    let outcome = deliver(&mut server, port, &other);
                    assert_eq!(only(outcome.responses).message.status(), 407, "{kind:?} {to}, {workers} workers");
                    assert!(outcome.requests.is_empty());
                }
            }
        }
    }
}
