//! §18.2.2: sending responses.

use std::time::Duration;

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{FORWARD, Out, Proxy, RELAY, only, request, summaries};

/// The port that Carol connects from is not the one that she listens at.
const CAROL: &str = "192.0.2.4:49152";
const CAROLS_VIA: &str = "Via: SIP/2.0/TCP carol.example.org:5070;branch=z9hG4bKcarol";
const BOB: &str = "sip:bob@192.0.2.9";

fn message() -> String {
    request("MESSAGE", BOB, &[CAROLS_VIA])
}

/// Where the answer to a request with this Via goes; it came from 192.0.2.4:6070 over UDP.
fn answered_at(script: &str, via: &str) -> String {
    let mut proxy = Proxy::new(script);
    let message = request("MESSAGE", BOB, &[&format!("Via: {via};branch=z9hG4bK1")]);
    let relayed = only(proxy.send_from("192.0.2.4:6070", Protocol::Udp, &message));
    only(proxy.answer(&relayed, 200, &[])).remote().to_string()
}

/// "the response MUST be sent using the existing connection to the source of the original request that created the
/// transaction, if that connection is still open".
#[test]
fn a_response_goes_over_the_connection_that_its_request_came_by() {
    let mut proxy = Proxy::new(RELAY);
    let relayed = only(proxy.send_connected(CAROL, &message()));
    let response = only(proxy.answer(&relayed, 200, &[]));
    assert_eq!((response.remote().to_string().as_str(), response.is_connected()), (CAROL, true));
}

/// "If that connection is no longer open, the server SHOULD open a connection to the IP address in the "received" parameter,
/// if present, using the port in the "sent-by" value".
#[test]
fn a_response_whose_connection_is_gone_goes_over_a_new_one_to_where_its_sender_listens() {
    for script in [RELAY, FORWARD] {
        let mut proxy = Proxy::new(script);
        let relayed = only(proxy.send_connected(CAROL, &message()));
        proxy.site().disconnect(CAROL.parse().unwrap());
        let response = only(proxy.answer(&relayed, 200, &[]));
        assert_eq!(response.remote().to_string(), "192.0.2.4:5070", "{script}");
        assert_eq!((response.protocol(), response.is_connected()), (Protocol::Tcp, false), "{script}");
    }
}

/// "or the default port for that transport, if no port is specified".
#[test]
fn without_a_port_the_new_connection_is_made_to_the_default_one() {
    let mut proxy = Proxy::new("sl_send_reply(200)");
    proxy.site().disconnect(CAROL.parse().unwrap());
    let message = request("MESSAGE", BOB, &["Via: SIP/2.0/TCP carol.example.org;rport;branch=z9hG4bKcarol"]);
    assert_eq!(only(proxy.send_connected(CAROL, &message)).remote().to_string(), "192.0.2.4:5060");
}

/// RFC 6026 §8.8: "the server transaction SHOULD inform the TU that a failure has occurred, and MUST remain in the current state".
#[test]
fn a_response_that_cannot_be_sent_at_all_is_reported_and_ends_nothing() {
    let script = "t_newtran() local sent, why = t_reply(486) seen = tostring(sent) .. ' ' .. tostring(why)";
    // One worker, because the scripts of different workers share no variables.
    let script = format!("if msg.method == 'OPTIONS' then return sl_send_reply(200, seen) end {script}");
    let mut proxy = Proxy::with_workers(&script, 1, 1);
    let invite = request("INVITE", BOB, &[CAROLS_VIA]);
    for gone in [CAROL, "192.0.2.4:5070"] {
        proxy.site().disconnect(CAROL.parse().unwrap());
        proxy.site().cut_off(gone.parse().unwrap());
    }
    assert!(proxy.send_connected(CAROL, &invite).is_empty());
    assert_eq!(proxy.site().transactions(), (1, 0));
    let seen = only(proxy.send(&request("OPTIONS", "sip:example.com", &[])));
    assert!(seen.text().starts_with("SIP/2.0 200 false sending to 192.0.2.4:5070 failed"), "{}", seen.text());
    let counters = proxy.site().host().counters();
    assert!(counters.contains(&("messages_lost", 1)), "{counters:?}");
}

/// A stateless proxy finds the connection by the port that it has noted in the Via.
#[test]
fn without_a_transaction_the_connection_is_found_again() {
    let mut proxy = Proxy::new(FORWARD);
    let forwarded = only(proxy.send_connected(CAROL, &message()));
    let noted = "SIP/2.0/TCP carol.example.org:5070;branch=z9hG4bKcarol;received=192.0.2.4;rport=49152";
    assert_eq!(forwarded.items(HeaderName::Via)[1], noted);
    assert_eq!(summaries(&proxy.answer(&forwarded, 200, &[])), [format!("200 {CAROL}")]);
}

/// A deliberate difference: "the response MUST be forwarded to the address listed" in maddr. A stranger could then
/// direct responses to a third party. Multicast, for which maddr is meant, is not received here.
#[test]
fn a_response_goes_to_where_its_request_came_from_whatever_maddr_says() {
    for script in [RELAY, FORWARD] {
        for maddr in
            ["192.0.2.77", "224.0.1.75", "255.255.255.255", "0.0.0.0", "[ff02::1]", "group.example.org", "\"\""]
        {
            let via = format!("SIP/2.0/UDP host.example.org:5070;maddr={maddr}");
            assert_eq!(answered_at(script, &via), "192.0.2.4:5070", "{maddr}");
        }
        assert_eq!(answered_at(script, "SIP/2.0/UDP host.example.org;rport;maddr=192.0.2.77"), "192.0.2.4:6070");
    }
}

/// "if the top Via has a "received" parameter, the response MUST be sent to the address in the "received" parameter, using the
/// port indicated in the "sent-by" value, or using port 5060 if none is specified explicitly"; with rport, to that (RFC 3581 §4).
#[test]
fn over_udp_the_port_of_sent_by_counts_unless_rport_asks_for_another() {
    for script in [RELAY, FORWARD] {
        assert_eq!(answered_at(script, "SIP/2.0/UDP host.example.org:5070"), "192.0.2.4:5070");
        assert_eq!(answered_at(script, "SIP/2.0/UDP host.example.org"), "192.0.2.4:5060");
        assert_eq!(answered_at(script, "SIP/2.0/UDP host.example.org:5070;rport"), "192.0.2.4:6070");
    }
}

/// A final response that is repeated because no ACK came goes the same way as before.
#[test]
fn repeated_responses_find_the_new_connection_too() {
    let mut proxy = Proxy::new("t_newtran() t_reply(486)");
    let busy = proxy.send_connected(CAROL, &request("INVITE", BOB, &[CAROLS_VIA]));
    assert_eq!(summaries(&busy), [format!("486 {CAROL}")]);
    proxy.site().disconnect(CAROL.parse().unwrap());
    let again: Vec<Out> = proxy.send_connected(CAROL, &request("INVITE", BOB, &[CAROLS_VIA]));
    assert_eq!(summaries(&again), ["486 192.0.2.4:5070"]);
    assert!(proxy.pass(Duration::from_secs(5)).is_empty());
}

/// A request for a phone that is reachable only by its connection goes over it, whichever worker has the request and
/// whichever has the connection. So does the answer of a phone.
#[test]
fn a_connection_is_used_by_all_workers() {
    let script = "if msg.method == 'REGISTER' then return save('location') end lookup('location') t_relay()";
    for seed in 1..=10 {
        let mut proxy = Proxy::with_workers(script, 3, seed);
        let contact = format!("Contact: <sip:bob@{CAROL};transport=tcp>");
        let via = format!("Via: SIP/2.0/TCP {CAROL};branch=z9hG4bKr");
        let to = "To: <sip:bob@example.com>";
        let register =
            request("REGISTER", "sip:example.com", &[&via, &contact, to, "From: <sip:bob@example.com>;tag=b"]);
        assert_eq!(summaries(&proxy.send_connected(CAROL, &register)), [format!("200 {CAROL}")]);
        let relayed = only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[])));
        assert_eq!((relayed.remote().to_string().as_str(), relayed.is_connected()), (CAROL, true), "seed {seed}");
        assert_eq!(summaries(&proxy.answer(&relayed, 200, &[])), ["200 192.0.2.1:5060"], "seed {seed}");
    }
}
