//! §8.2.2.2: merged requests. "If the From tag, Call-ID, and CSeq exactly match those associated with an ongoing transaction, but the
//! request does not match that transaction […], the UAS core SHOULD generate a 482 (Loop Detected) response".

use std::path::Path;
use std::time::Duration;

use signalbox::module::export;
use signalbox::transport::Protocol;
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};

use crate::wire::{Proxy, RELAY, only, request, summaries};

const WORKERS: [u16; 2] = [1, 3];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// A server with a registrar and a presence agent.
fn site(workers: u16, seed: u64) -> Site {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/presence.lua");
    let mut setup = Setup::new(&script, "example.com");
    (setup.workers, setup.seed) = (workers, seed);
    setup.modules = vec![
        configured(export::entry::<Registrar>(), &[("use_db", 0.into())]).unwrap(),
        configured(export::entry::<PresenceAgent>(), &[("use_db", 0.into()), ("auth", "none".into())]).unwrap(),
    ];
    Site::start(setup).unwrap()
}

/// The copy of the request by path `way`: from its own proxy, with its own branch.
fn by_way(way: u16, method: &str, lines: &[&str]) -> String {
    let via = format!("Via: SIP/2.0/UDP 192.0.2.1:{};branch=z9hG4bK{way}", 5060 + way);
    let lines = [&[via.as_str(), "Contact: <sip:bob@192.0.2.2>", "From: <sip:bob@example.com>;tag=b"], lines].concat();
    request(method, "sip:bob@example.com", &lines)
}

/// The statuses of the answers to the requests, each from its own port, and the number of NOTIFYs that they cause.
fn play(site: &mut Site, requests: &[(u16, String)]) -> (Vec<u16>, usize) {
    let (mut statuses, mut notifies) = (Vec::new(), 0);
    for (way, request) in requests {
        let flow = flow_from(([192, 0, 2, 1], 5060 + way).into(), Protocol::Udp);
        for (_, sent) in site.deliver(request.as_bytes(), flow) {
            let message = Message::parse(&sent).unwrap();
            if message.is_request() {
                notifies += 1;
            } else {
                statuses.push(message.status());
            }
        }
    }
    (statuses, notifies)
}

#[test]
fn a_subscribe_that_comes_by_two_ways_makes_one_dialog() {
    for (workers, seed) in WORKERS.into_iter().flat_map(|workers| SEEDS.map(move |seed| (workers, seed))) {
        let lines = ["Event: presence", "Expires: 600"];
        let requests: Vec<_> = (1..=4).map(|way| (way, by_way(way, "SUBSCRIBE", &lines))).collect();
        let played = play(&mut site(workers, seed), &requests);
        assert_eq!(played, (vec![200, 482, 482, 482], 1), "{workers} workers, seed {seed}");
    }
}

#[test]
fn a_publish_that_comes_by_two_ways_is_taken_once() {
    for (workers, seed) in WORKERS.into_iter().flat_map(|workers| SEEDS.map(move |seed| (workers, seed))) {
        let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:bob@example.com\"><tuple id=\"t\"><status>\
                    <basic>open</basic></status></tuple></presence>";
        let lines = ["Event: presence", "Content-Type: application/pidf+xml"];
        let publish = |way| {
            let head = by_way(way, "PUBLISH", &lines);
            head.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()))
        };
        let mut site = site(workers, seed);
        assert_eq!(play(&mut site, &[(1, publish(1)), (2, publish(2)), (1, publish(1))]).0, [200, 482, 200]);
    }
}

/// §10.3: "A registrar handles requests according to Section 8.2". It leaves no transaction behind: what comes again by the first way gets
/// the bindings again, for a REGISTER of the same CSeq changes nothing.
#[test]
fn a_register_that_comes_by_two_ways_is_carried_out_once() {
    for (workers, seed) in WORKERS.into_iter().flat_map(|workers| SEEDS.map(move |seed| (workers, seed))) {
        let register = |way| (way, by_way(way, "REGISTER", &[]).replacen("sip:bob@example.com", "sip:example.com", 1));
        let mut site = site(workers, seed);
        let statuses = play(&mut site, &[1, 2, 1, 3, 1].map(register)).0;
        assert_eq!(statuses, [200, 482, 200, 482, 200], "{workers} workers, seed {seed}");
        let (_, next) = register(2);
        let next = (2, next.replace("CSeq: 1 ", "CSeq: 2 ").replace("z9hG4bK2", "z9hG4bKnext"));
        assert_eq!(play(&mut site, &[next]).0, [200], "the next by any way, {workers} workers, seed {seed}");
    }
}

/// The same for a request that the script accepts itself.
#[test]
fn a_message_that_comes_by_two_ways_is_taken_once() {
    for (workers, seed) in WORKERS.into_iter().flat_map(|workers| SEEDS.map(move |seed| (workers, seed))) {
        let mut proxy = Proxy::with_workers("t_reply(200)", workers, seed);
        let mut status = |way| {
            let from = format!("192.0.2.1:{}", 5060 + way);
            only(proxy.send_from(&from, Protocol::Udp, &by_way(way, "MESSAGE", &[]))).message.status()
        };
        assert_eq!(
            [status(1), status(2), status(1), status(3)],
            [200, 482, 200, 482],
            "{workers} workers, seed {seed}"
        );
    }
}

/// "The request has no tag in the To header field": within a dialog requests are not merged. Another CSeq, tag or
/// Call-ID makes another request. So does the same request after the transaction has ended.
#[test]
fn other_requests_are_not_taken_for_merged_ones() {
    let mut site = site(3, 1);
    let lines = ["Event: presence", "Expires: 600"];
    let status = |site: &mut Site, way, lines: &[&str]| play(site, &[(way, by_way(way, "SUBSCRIBE", lines))]).0;
    assert_eq!(status(&mut site, 1, &lines), [200]);
    for other in ["CSeq: 2 SUBSCRIBE", "Call-ID: other"] {
        assert_eq!(status(&mut site, 2, &[&lines[..], &[other]].concat()), [200], "{other}");
    }
    // With another branch, because the transaction of the first has not ended.
    let in_dialog = [&lines[..], &["To: <sip:bob@example.com>;tag=none"]].concat();
    assert_eq!(status(&mut site, 5, &in_dialog), [481]);
    assert_eq!(status(&mut site, 3, &lines), [482]);
    site.pass_until(site.now() + Duration::from_secs(33));
    assert_eq!(status(&mut site, 4, &lines), [200]);
}

/// Forks that meet again at a proxy are not merged requests: it relays each (§16.3 step 4).
#[test]
fn what_is_relayed_may_come_by_several_ways() {
    for workers in WORKERS {
        let mut proxy = Proxy::with_workers(RELAY, workers, 1);
        for way in 1..=3 {
            let uri = "sip:bob@192.0.2.11";
            let message = by_way(way, "MESSAGE", &[]).replacen("sip:bob@example.com", uri, 1);
            let relayed = only(proxy.send_from(&format!("192.0.2.1:{}", 5060 + way), Protocol::Udp, &message));
            let answer = proxy.answer(&relayed, 200, &[]);
            assert_eq!(summaries(&answer), [format!("200 192.0.2.1:{}", 5060 + way)]);
        }
    }
}
