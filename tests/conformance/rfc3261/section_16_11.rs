//! §16.11: a proxy without transactions, over the wire.

use std::time::Duration;

use signalbox_sip::header::HeaderName;

use crate::wire::{FORWARD, Proxy, only, request};

const BOB: &str = "sip:bob@192.0.2.11";

/// "they do, however, forward all retransmissions they receive", and "the component of the branch parameter that makes it
/// unique MUST be the same each time a retransmitted request is forwarded".
#[test]
fn a_repetition_is_forwarded_as_the_request_was() {
    for via in ["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 192.0.2.1"] {
        let mut proxy = Proxy::new(FORWARD);
        let message = request("INVITE", BOB, &[via]);
        let (first, second) = (only(proxy.send(&message)), only(proxy.send(&message)));
        assert_eq!(first.text(), second.text());
    }
}

/// "The stateless proxy MAY use any technique it likes to guarantee uniqueness of its branch IDs across transactions."
#[test]
fn another_request_has_another_branch() {
    let branch = |lines: &[&str]| only(Proxy::new(FORWARD).send(&request("MESSAGE", BOB, lines))).branch();
    let first = branch(&[]);
    assert_eq!(branch(&[]), first);
    assert_ne!(branch(&["Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother"]), first);
    assert_ne!(branch(&["Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKalice"]), first);
    let old = |lines: &[&str]| branch(&[&["Via: SIP/2.0/UDP 192.0.2.1"], lines].concat());
    let first = old(&[]);
    for other in
        ["CSeq: 2 MESSAGE", "Call-ID: other", "From: <sip:alice@example.com>;tag=b", "To: <sip:bob@example.com>;tag=b"]
    {
        // Of an INVITE the To tag is left out, which its ACK has and it has not.
        if !other.starts_with("To") {
            assert_ne!(old(&[other]), first, "{other}");
        }
    }
}

/// "CANCEL and non-Routed ACK requests MUST generate the same choice as their associated INVITE", and get its branch, by
/// which the next hop finds it.
#[test]
fn cancel_and_ack_follow_their_invite() {
    for via in ["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "Via: SIP/2.0/UDP 192.0.2.1"] {
        let mut proxy = Proxy::new(FORWARD);
        let invite = only(proxy.send(&request("INVITE", BOB, &[via])));
        let cancel = only(proxy.send(&request("CANCEL", BOB, &[via])));
        let ack = only(proxy.send(&request("ACK", BOB, &[via, "To: <sip:bob@example.com>;tag=b"])));
        assert_eq!((cancel.summary(), ack.summary()), ("CANCEL 192.0.2.11:5060".into(), "ACK 192.0.2.11:5060".into()));
        assert_eq!((cancel.branch(), ack.branch()), (invite.branch(), invite.branch()));
    }
}

/// "an element MUST NOT generate its own 100 (Trying) or any other provisional response", nor repeat anything.
#[test]
fn it_sends_nothing_by_itself() {
    let mut proxy = Proxy::new(FORWARD);
    only(proxy.send(&request("INVITE", BOB, &[])));
    assert!(proxy.pass(Duration::from_secs(200)).is_empty());
}

/// "A stateless proxy MUST choose one and only one target from the target set."
#[test]
fn one_target_is_chosen() {
    let mut proxy = Proxy::new("append_branch('sip:bob@192.0.2.11') append_branch('sip:bob@192.0.2.12') forward()");
    assert_eq!(only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[]))).summary(), "MESSAGE 192.0.2.11:5060");
}

/// "If that address matches the proxy, […] the proxy MUST remove that header field value from the response and forward the
/// result to the location indicated in the next Via header field value", each time it comes.
#[test]
fn responses_go_where_the_next_via_says() {
    let mut proxy = Proxy::new(FORWARD);
    let via = "Via: SIP/2.0/UDP pc.test;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.44:5099;branch=z9hG4bK2";
    let invite = only(proxy.send(&request("INVITE", BOB, &[via])));
    for status in [100, 180, 200, 200] {
        let response = only(proxy.answer(&invite, status, &["X-Any: thing"]));
        assert_eq!(response.summary(), format!("{status} 192.0.2.1:5060"), "received counts more than the name");
        assert_eq!(response.items(HeaderName::Via).len(), 2);
        assert_eq!(response.message.value_of("X-Any"), Some("thing"));
    }
}

/// Whoever could make up a response could have it sent anywhere, over new connections, too.
#[test]
fn only_a_response_to_what_was_forwarded_is_passed_on() {
    for workers in [1, 3] {
        let mut proxy = Proxy::with_workers(FORWARD, workers, 1);
        let forwarded = only(proxy.send(&request("MESSAGE", BOB, &[])));
        let own = forwarded.items(HeaderName::Via)[0].to_owned();
        let answer = |own: &str, next: &str, call: &str| {
            format!(
                "SIP/2.0 200 OK\r\nVia: {own}\r\nVia: {next}\r\nFrom: <sip:alice@example.com>;tag=a\r\n\
                 To: <sip:bob@example.com>;tag=b\r\nCall-ID: {call}\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let made_up = "SIP/2.0/UDP 192.0.2.100:5060;branch=z9hG4bK.0..1.2.3";
        for (own, next, call) in [
            (made_up, "SIP/2.0/TCP 203.0.113.7:22;branch=z9hG4bKx", "call"),
            (made_up, "SIP/2.0/UDP 203.0.113.7;received=203.0.113.8;rport=9;branch=z9hG4bKx", "call"),
            (&*own, "SIP/2.0/UDP 203.0.113.7;branch=z9hG4bKalice", "call"),
            (&*own, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother", "call"),
            (&*own, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKalice", "other"),
        ] {
            let sent =
                proxy.send_from("192.0.2.66:5060", signalbox::transport::Protocol::Udp, &answer(own, next, call));
            assert!(sent.is_empty(), "{own} {next} {call}");
        }
        assert_eq!(only(proxy.answer(&forwarded, 200, &[])).summary(), "200 192.0.2.1:5060");
    }
}
