//! §18.4, error handling: reports of the network about a datagram, and their effect on its transaction (§16.9).

use std::io::ErrorKind;

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{Out, Proxy, RELAY, only, request, summaries};

const BOB: &str = "sip:bob@192.0.2.11";

/// Proxies with one worker and with three. With three, the report arrives at another worker than the one that sent the
/// request.
fn proxies(route: &str) -> impl Iterator<Item = Proxy> {
    [(1, 1), (3, 1), (3, 2), (3, 3)].into_iter().map(move |(workers, seed)| Proxy::with_workers(route, workers, seed))
}

fn refused(proxy: &mut Proxy, out: &Out) -> Vec<Out> {
    proxy.undelivered(out, usize::MAX, ErrorKind::ConnectionRefused)
}

/// "Host, network, port or protocol unreachable errors, or parameter problem errors SHOULD cause the transport layer to inform the transport
/// user of a failure in sending." §16.9: "the proxy MUST behave as if the forwarded request received a 503".
#[test]
fn a_request_to_a_closed_port_fails_at_once() {
    for method in ["MESSAGE", "INVITE", "OPTIONS"] {
        for mut proxy in proxies(RELAY) {
            let sent = proxy.send(&request(method, BOB, &[]));
            let out = sent.iter().find(|out| out.message.is_request()).unwrap();
            let answer = only(refused(&mut proxy, out));
            assert_eq!(answer.summary(), "500 192.0.2.1:5060", "{method}");
            assert_eq!(answer.items(HeaderName::Warning), ["399 signalbox \"The next hop cannot be reached\""]);
            assert!(refused(&mut proxy, out).is_empty(), "it is heard once");
        }
    }
}

#[test]
fn the_next_target_is_tried_at_once() {
    for kind in [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable] {
        for mut proxy in
            proxies("append_branch('sip:bob@192.0.2.11', 900) append_branch('sip:bob@192.0.2.12', 500) t_relay()")
        {
            let first = only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[])));
            let next = only(proxy.undelivered(&first, usize::MAX, kind));
            assert_eq!(next.summary(), "MESSAGE 192.0.2.12:5060");
            assert_eq!(summaries(&proxy.answer(&next, 200, &[])), ["200 192.0.2.1:5060"]);
        }
    }
}

/// A failure route sees 503, as from the next hop.
#[test]
fn a_failure_route_takes_over_at_once() {
    let script = "function route(msg) t_on_failure('next') t_relay() end
      failure_route.next = function(msg)
        if msg.response.status == 503 then append_branch('sip:gateway@192.0.2.13') t_relay() end
      end";
    let mut proxy = Proxy::with_script(script);
    let sent = proxy.send(&request("INVITE", BOB, &[]));
    let next = only(refused(&mut proxy, &sent[0]));
    assert_eq!(next.summary(), "INVITE 192.0.2.13:5060");
}

/// Routers return no more than the beginning of a datagram, RFC 792 has only 8 octets after its UDP header.
#[test]
fn the_beginning_of_the_datagram_is_enough_if_our_via_is_in_it() {
    for mut proxy in proxies(RELAY) {
        let out = only(proxy.send(&request("MESSAGE", BOB, &[])));
        let via = out.text().find(&out.branch()).unwrap() + out.branch().len();
        for quoted in [0, 8, via] {
            assert!(proxy.undelivered(&out, quoted, ErrorKind::ConnectionRefused).is_empty(), "{quoted}");
        }
        assert_eq!(only(proxy.undelivered(&out, via + 1, ErrorKind::ConnectionRefused)).message.status(), 500);
    }
}

/// Reports can be forged like any datagram.
#[test]
fn a_report_of_what_was_not_sent_there_changes_nothing() {
    for mut proxy in proxies(RELAY) {
        let out = only(proxy.send(&request("MESSAGE", BOB, &[])));
        let text = out.text();
        let (worker, slot) = {
            let branch = out.branch();
            let mut parts = branch.split('.').skip(1).map(str::to_owned);
            (parts.next().unwrap(), parts.next().unwrap())
        };
        let guessed = text.replace(&out.branch(), &format!("z9hG4bK.{worker}.{slot}.12345.1.1"));
        for (quoted, remote) in
            [(&*guessed, "192.0.2.11:5060"), (&*text, "192.0.2.12:5060"), (&*text, "192.0.2.11:5061")]
        {
            assert!(proxy.undelivered_to(remote, quoted, ErrorKind::ConnectionRefused).is_empty(), "{remote}");
        }
        let mut answer = proxy.answer(&out, 200, &[]);
        assert_eq!(only(std::mem::take(&mut answer)).message.status(), 200);
        assert!(refused(&mut proxy, &out).is_empty(), "too late");
    }
}

/// §18.1.1: a request goes over TCP only because of its size. While TCP is tried, reports about datagrams are ignored.
#[test]
fn a_request_that_goes_over_a_connection_is_not_ended_by_reports_of_datagrams() {
    let mut proxy = Proxy::new(RELAY);
    let subject = format!("Subject: {}", "x".repeat(1300));
    let out = only(proxy.send(&request("MESSAGE", BOB, &[&subject])));
    assert_eq!(out.protocol(), Protocol::Tcp);
    assert!(refused(&mut proxy, &out).is_empty());
}

/// §17.1.1.2: a call that rings has reached the callee. A report about its CANCEL, which has the same Via, does not end
/// it.
#[test]
fn a_call_that_rings_goes_on() {
    let mut proxy = Proxy::new(RELAY);
    let sent = proxy.send(&request("INVITE", BOB, &[]));
    let invite = sent.into_iter().find(|out| out.message.is_request()).unwrap();
    assert_eq!(only(proxy.answer(&invite, 180, &[])).message.status(), 180);
    assert!(refused(&mut proxy, &invite).is_empty());
    assert_eq!(only(proxy.answer(&invite, 200, &[])).message.status(), 200);
}
