//! RFC 5393: what keeps forking proxies from amplifying. Its loop detection (§4.2) is with RFC 3261 §16.3.

use signalbox_sip::header::HeaderName;

use crate::wire::{FORWARD, Out, Proxy, RELAY, only, request};

const BOB: &str = "sip:bob@192.0.2.11";

/// A proxy that sends to this many places at once.
fn forking(places: u8) -> Proxy {
    Proxy::new(&format!(
        "for host = 1, {places} do append_branch('sip:bob@192.0.2.' .. host) end
         if not t_relay() then sl_reply_error() end"
    ))
}

fn breadths(sent: &[Out]) -> Vec<&str> {
    sent.iter().flat_map(|out| out.items(HeaderName::MaxBreadth)).collect()
}

/// §5.3.3: "If a SIP proxy receives a request with no Max-Breadth header field value, it MUST add one, with a value that is
/// RECOMMENDED to be 60." "If this maximum is exceeded in a received request, the proxy MUST overwrite it".
#[test]
fn every_request_that_is_forwarded_has_a_max_breadth_of_60_at_most() {
    for route in [RELAY, FORWARD] {
        for (line, expected) in [
            (None, "60"),
            (Some("Max-Breadth: 60"), "60"),
            (Some("Max-Breadth: 1"), "1"),
            (Some("Max-Breadth: 61"), "60"),
            (Some("Max-Breadth: 99999999999"), "60"),
            (Some("Max-Breadth: wide"), "60"),
        ] {
            let forwarded = only(Proxy::new(route).send(&request("MESSAGE", BOB, line.as_slice())));
            assert_eq!(forwarded.items(HeaderName::MaxBreadth), [expected], "{line:?}");
        }
    }
}

/// §5.2: parallel branches share the value.
#[test]
fn parallel_branches_share_the_breadth() {
    assert_eq!(breadths(&forking(2).send(&request("INVITE", "sip:bob@example.com", &[]))), ["30"; 2]);
    let sent = forking(3).send(&request("INVITE", "sip:bob@example.com", &["Max-Breadth: 7"]));
    assert_eq!(breadths(&sent), ["2"; 3]);
}

/// §5.2: sequential branches get all of it, each in its turn.
#[test]
fn sequential_branches_have_the_whole_breadth() {
    let route = "append_branch('sip:bob@192.0.2.11', 900) append_branch('sip:bob@192.0.2.12', 500) t_relay()";
    let mut proxy = Proxy::new(route);
    let first = only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &["Max-Breadth: 9"])));
    let second = only(proxy.answer(&first, 480, &[]));
    assert_eq!(breadths(&[first, second]), ["9"; 2]);
}

/// §5.5: "that proxy may parallel fork to 4 of these targets initially […]. If one of these transactions completes with a
/// failure response, […] allowing the proxy to forward to one of the 4 remaining targets".
#[test]
fn what_is_too_broad_is_tried_as_others_end() {
    let mut proxy = forking(8);
    let sent = proxy.send(&request("MESSAGE", "sip:bob@example.com", &["Max-Breadth: 4"]));
    assert_eq!(breadths(&sent), ["1"; 4]);
    let next = only(proxy.answer(&sent[2], 480, &[]));
    assert_eq!((next.summary(), breadths(&[next])), ("MESSAGE 192.0.2.5:5060".to_owned(), vec!["1"]));
}

/// §5.3.1: the value is positive, so nothing may be forwarded with 0: 440.
#[test]
fn a_breadth_of_nothing_is_refused() {
    for route in [RELAY, FORWARD] {
        let answer = only(Proxy::new(route).send(&request("MESSAGE", BOB, &["Max-Breadth: 0"])));
        assert_eq!(answer.message.status(), 440);
    }
}

/// §5.4.1: "a Max-Breadth header field value is meaningless in a CANCEL request".
#[test]
fn a_cancel_has_none() {
    let cancel = only(Proxy::new(FORWARD).send(&request("CANCEL", BOB, &[])));
    assert!(cancel.items(HeaderName::MaxBreadth).is_empty());
}
