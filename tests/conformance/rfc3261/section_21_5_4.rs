//! §21.5.4: 503 for requests that the server has no time for.

use std::time::Duration;

use signalbox::worker::state::MAX_HELD;
use signalbox_sip::header::HeaderName;

use crate::wire::{Proxy, RELAY, only, request, summaries};

const BOB: &str = "sip:bob@192.0.2.11";

/// "The server is temporarily unable to process the request […]. The server MAY indicate when the client should retry the
/// request in a Retry-After header field." §20.33 has its form, §8.2.6.2 says what every response has.
#[test]
fn the_refusal_says_when_to_try_again_and_which_request_it_refuses() {
    let mut proxy = Proxy::new(RELAY);
    let lines =
        ["Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bKalice", "Via: SIP/2.0/TCP pc.example.com;branch=z9hG4bKpc"];
    let refusal = only(proxy.send_to_busy(&request("MESSAGE", BOB, &lines)));
    assert_eq!(refusal.summary(), "503 192.0.2.1:5060");
    let seconds = refusal.message.value(HeaderName::RetryAfter).and_then(|value| value.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0));
    let vias = [
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKalice;received=192.0.2.1;rport=5060",
        "SIP/2.0/TCP pc.example.com;branch=z9hG4bKpc",
    ];
    assert_eq!(refusal.items(HeaderName::Via), vias);
    assert_eq!(refusal.message.value(HeaderName::From), Some("<sip:alice@example.com>;tag=a"));
    assert_eq!((refusal.message.call_id(), refusal.message.value(HeaderName::CSeq)), ("call", Some("1 MESSAGE")));
    assert!(refusal.message.to_tag().is_some_and(|tag| !tag.is_empty()));
    assert_eq!(refusal.message.value(HeaderName::ContentLength), Some("0"));
    assert_eq!(proxy.site().transactions(), (0, 0));
}

/// §8.2.7: a stateless UAS "MUST ignore CANCEL requests" and ACKs, and "To header tags MUST be generated for responses in a
/// stateless manner - in a manner that will generate the same tag for the same request consistently."
#[test]
fn the_same_request_is_refused_with_the_same_tag_and_its_ack_ends_here() {
    let mut proxy = Proxy::new(RELAY);
    let invite = request("INVITE", BOB, &[]);
    let refusals = [(); 2].map(|()| only(proxy.send_to_busy(&invite)).text());
    assert_eq!(refusals[0], refusals[1]);
    let refusal = only(proxy.send_to_busy(&invite));
    let to = format!("To: {}", refusal.message.value(HeaderName::To).unwrap());
    let ack = request("ACK", BOB, &[&to, "CSeq: 1 ACK"]);
    assert!(proxy.send_to_busy(&ack).is_empty());
}

/// §17.2.2: a transaction absorbs what comes again, also when there is no time for new requests.
#[test]
fn a_repetition_of_what_is_under_way_is_not_refused() {
    let mut proxy = Proxy::new(RELAY);
    let message = request("MESSAGE", BOB, &[]);
    let relayed = only(proxy.send(&message));
    assert!(proxy.send_to_busy(&message).is_empty());
    assert_eq!(summaries(&proxy.answer(&relayed, 200, &[])), ["200 192.0.2.1:5060"]);
    assert_eq!(summaries(&proxy.send_to_busy(&message)), ["200 192.0.2.1:5060"]);
}

/// What has been begun is not broken off: requests in dialogs, ACK and CANCEL are served.
#[test]
fn requests_that_belong_to_something_are_not_refused() {
    let mut proxy = Proxy::new(RELAY);
    for method in ["BYE", "ACK", "NOTIFY"] {
        let in_dialog = request(method, BOB, &["To: <sip:bob@example.com>;tag=b", &format!("Call-ID: {method}")]);
        assert_eq!(summaries(&proxy.send_to_busy(&in_dialog)), [format!("{method} 192.0.2.11:5060")]);
    }
    let invite = request("INVITE", BOB, &[]);
    assert_eq!(summaries(&proxy.send(&invite)), ["INVITE 192.0.2.11:5060"]);
    let answers = summaries(&proxy.send_to_busy(&request("CANCEL", BOB, &[])));
    assert_eq!(answers, ["200 192.0.2.1:5060"]);
}

/// A peer that answers nothing makes the server hold each request for 32 seconds.
#[test]
fn requests_that_wait_for_an_answer_hold_so_many_octets_and_no_more() {
    let mut proxy = Proxy::with_workers(RELAY, 1, 1);
    let body = "x".repeat(500_000);
    let send = |proxy: &mut Proxy, number: usize, body: &str| {
        let lines = [format!("Call-ID: {number}"), format!("Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK{number}")];
        let head = request("MESSAGE", &format!("{BOB};transport=tcp"), &[&lines[0], &lines[1]]);
        let message =
            head.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        only(proxy.send_connected("192.0.2.1:40000", &message))
    };
    let most = MAX_HELD / body.len();
    for number in 0..most - 1 {
        assert!(send(&mut proxy, number, &body).message.is_request(), "{number}");
    }
    let refused = [send(&mut proxy, most, &body), send(&mut proxy, most + 1, &body)].into_iter().last().unwrap();
    assert_eq!(refused.message.status(), 503);
    assert!(refused.message.has(HeaderName::RetryAfter));
    assert!(send(&mut proxy, most + 2, "small").message.is_request());
    proxy.pass(Duration::from_secs(40));
    assert!(send(&mut proxy, most + 3, &body).message.is_request(), "they are let go");
}
