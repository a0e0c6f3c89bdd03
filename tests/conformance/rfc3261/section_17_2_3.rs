//! §17.2.3: matching requests to server transactions.

use std::time::Duration;

use signalbox::transport::Protocol;
use signalbox_sip::message::Message;
use signalbox_sip::transaction::{TransactionKey, TransactionKeys};

use crate::wire::{FORWARD, Proxy, RELAY, only, request, summaries};

fn key(method: &str, via: &str) -> TransactionKey {
    let text = format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/UDP first;branch=z9hG4bKfirst\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@first\r\nCSeq: 1 {method}\r\n\r\n"
    );
    TransactionKeys::new((1, 2)).of_request(&Message::parse(text.as_bytes()).unwrap()).unwrap()
}

/// "1. the branch parameter in the request is equal to the one in the top Via header field of the request that created
/// the transaction, and 2. the sent-by value in the top Via of the request is equal […], and 3. the method of the
/// request matches […], except for ACK, where the method of the request that created the transaction is INVITE."
#[test]
fn the_three_rules() {
    let invite = key("INVITE", "SIP/2.0/UDP pc:5060;branch=z9hG4bK1");
    assert_eq!(key("INVITE", "SIP/2.0/UDP pc:5060;branch=z9hG4bK1;received=192.0.2.1"), invite);
    assert_eq!(key("ACK", "SIP/2.0/UDP pc:5060;branch=z9hG4bK1"), invite);
    assert_ne!(key("INVITE", "SIP/2.0/UDP pc:5060;branch=z9hG4bK2"), invite);
    assert_ne!(key("INVITE", "SIP/2.0/UDP laptop:5060;branch=z9hG4bK1"), invite);
    assert_ne!(key("MESSAGE", "SIP/2.0/UDP pc:5060;branch=z9hG4bK1"), invite);
}

/// "The sent-by value is used as part of the matching process because there could be accidental or malicious
/// duplication of branch parameters from different clients." The transport is no part of it.
#[test]
fn the_transport_is_not_compared() {
    let udp = key("OPTIONS", "SIP/2.0/UDP pc;branch=z9hG4bK1");
    assert_eq!(key("OPTIONS", "SIP/2.0/TCP pc;branch=z9hG4bK1"), udp);
}

/// Without the magic cookie: "the Request-URI, To tag, From tag, Call-ID, CSeq, and top Via header field" of the INVITE
/// transaction; an ACK matches by "Request-URI, From tag, Call-ID, CSeq number (not the method), and top Via header field".
#[test]
fn clients_of_rfc_2543_are_matched_by_more_fields() {
    let invite = key("INVITE", "SIP/2.0/UDP pc;branch=1");
    assert_eq!(key("ACK", "SIP/2.0/UDP pc;branch=1"), invite);
    assert_ne!(key("INVITE", "SIP/2.0/UDP pc;branch=2"), invite);
    assert_ne!(key("INVITE", "SIP/2.0/UDP pc"), invite);
}

/// §9.2: the transaction to be cancelled is found by "assuming that the request method is anything but CANCEL or ACK and
/// applying the transaction matching procedures of Section 17.2.3"; the CANCEL has a server transaction of its own.
#[test]
fn a_cancel_is_a_transaction_of_its_own_that_names_another() {
    let via = "SIP/2.0/UDP pc;branch=z9hG4bK1";
    assert_ne!(key("CANCEL", via), key("INVITE", via));
    let text = format!(
        "CANCEL sip:bob@example.com SIP/2.0\r\nVia: {via}\r\nFrom: <sip:alice@example.com>;tag=1\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: 1@first\r\nCSeq: 1 CANCEL\r\n\r\n"
    );
    let cancel = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(TransactionKeys::new((1, 2)).of_cancel(&cancel).unwrap(), key("INVITE", via));
}

/// Their Via is compared as they wrote it, whatever is added to it here: INVITE, its repetition, CANCEL and ACK find each other.
#[test]
fn clients_of_rfc_2543_are_served_over_the_wire() {
    let mut proxy = Proxy::new(RELAY);
    let via = "Via: SIP/2.0/UDP pc.example.org;branch=1";
    let of_alice = |method: &str, cseq: &str| request(method, "sip:bob@192.0.2.11", &[via, &format!("CSeq: {cseq}")]);
    let invite = only(proxy.send(&of_alice("INVITE", "1 INVITE")));
    assert!(proxy.send(&of_alice("INVITE", "1 INVITE")).is_empty());
    proxy.answer(&invite, 180, &[]);
    let sent = proxy.send(&of_alice("CANCEL", "1 CANCEL"));
    assert_eq!(summaries(&sent), ["200 192.0.2.1:5060", "CANCEL 192.0.2.11:5060"]);
    proxy.answer(&sent[1], 200, &[]);
    let sent = proxy.answer(&invite, 487, &[]);
    assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060", "487 192.0.2.1:5060"]);
    assert!(proxy.send(&of_alice("ACK", "1 ACK")).is_empty());
    assert!(proxy.pass(Duration::from_secs(2)).is_empty(), "the ACK ends the repetition of the 487");
}

/// The sources of retransmissions: the first port, and others, as after a NAT has dropped the mapping. With three
/// workers most go to another worker.
const PORTS: std::ops::RangeInclusive<u16> = 5061..=5064;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// Alice sends this from another port of hers.
fn send_from_port(proxy: &mut Proxy, port: u16, message: &str) -> Vec<String> {
    summaries(&proxy.send_from(&format!("192.0.2.1:{port}"), Protocol::Udp, message))
}

/// A request of Alice, who asks for answers at her source port (RFC 3581).
fn symmetric(method: &str, lines: &[&str]) -> String {
    let via = "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKalice";
    request(method, "sip:bob@192.0.2.11", &[&[via], lines].concat())
}

/// The rules do not mention the source: a request that is retransmitted from another port is forwarded once, whichever
/// worker receives it.
#[test]
fn a_repetition_from_another_port_is_not_relayed_again() {
    for (seed, method) in SEEDS.flat_map(|seed| ["INVITE", "MESSAGE", "OPTIONS"].map(|method| (seed, method))) {
        let mut proxy = Proxy::with_workers(RELAY, 3, seed);
        let request = symmetric(method, &[]);
        let relayed = only(proxy.send(&request));
        for port in PORTS {
            assert_eq!(send_from_port(&mut proxy, port, &request), [""; 0], "{method}, seed {seed}");
        }
        let answered = proxy.answer(&relayed, 200, &[]);
        assert_eq!(summaries(&answered), ["200 192.0.2.1:5064"], "to where it came from last: {method}, seed {seed}");
        assert_eq!(proxy.site().transactions().0, 1);
    }
}

/// This holds after the answer too, which is sent again to the source of the retransmission.
#[test]
fn a_repetition_from_another_port_after_the_answer_is_answered_again() {
    for (seed, script) in SEEDS.flat_map(|seed| [RELAY, "t_reply(200)"].map(|script| (seed, script))) {
        let mut proxy = Proxy::with_workers(script, 3, seed);
        let request = symmetric("MESSAGE", &[]);
        let sent = proxy.send(&request);
        if script == RELAY {
            proxy.answer(&only(sent), 200, &[]);
        }
        for port in PORTS {
            let answers = send_from_port(&mut proxy, port, &request);
            assert_eq!(answers, [format!("200 192.0.2.1:{port}")], "{script}, seed {seed}");
        }
        assert_eq!(proxy.site().transactions().0, 1);
    }
}

/// A client that does not ask for answers at its source port gets them at the address in its Via, whatever the source
/// of the retransmission.
#[test]
fn a_repetition_from_another_port_without_rport_is_answered_where_its_via_says() {
    for seed in SEEDS {
        let mut proxy = Proxy::with_workers("t_reply(200)", 3, seed);
        let request = request("MESSAGE", "sip:bob@192.0.2.11", &[]);
        proxy.send(&request);
        for port in PORTS {
            assert_eq!(send_from_port(&mut proxy, port, &request), ["200 192.0.2.1:5060"], "seed {seed}");
        }
    }
}

/// A sender at another host that knows the branch does not get the later answers.
#[test]
fn a_repetition_from_another_host_takes_no_answers_away() {
    for seed in SEEDS {
        let mut proxy = Proxy::with_workers(RELAY, 3, seed);
        let request = symmetric("INVITE", &[]);
        let relayed = only(proxy.send(&request));
        assert!(proxy.send_from("192.0.2.66:5060", Protocol::Udp, &request).is_empty());
        assert_eq!(summaries(&proxy.answer(&relayed, 200, &[])), ["200 192.0.2.1:5060"], "seed {seed}");
    }
}

/// ACK and CANCEL find their INVITE from another port as well.
#[test]
fn ack_and_cancel_from_another_port_reach_their_invite() {
    for (seed, port) in SEEDS.flat_map(|seed| PORTS.map(move |port| (seed, port))) {
        let mut proxy = Proxy::with_workers(RELAY, 3, seed);
        let invite = only(proxy.send(&symmetric("INVITE", &[])));
        proxy.answer(&invite, 180, &[]);
        let sent = proxy.send_from(&format!("192.0.2.1:{port}"), Protocol::Udp, &symmetric("CANCEL", &[]));
        let expected = [format!("200 192.0.2.1:{port}"), "CANCEL 192.0.2.11:5060".to_owned()];
        assert_eq!(summaries(&sent), expected, "seed {seed}");
        proxy.answer(&sent[1], 200, &[]);
        proxy.answer(&invite, 487, &[]);
        assert!(send_from_port(&mut proxy, port, &symmetric("ACK", &[])).is_empty());
        assert!(proxy.pass(Duration::from_secs(3)).is_empty(), "the ACK ends the repetition of the 487, seed {seed}");
    }
}

/// An ended transaction leaves nothing behind: a request with the same branch is a new one.
#[test]
fn after_the_transaction_the_same_branch_is_a_new_request_for_any_worker() {
    for seed in SEEDS {
        let mut proxy = Proxy::with_workers("t_reply(403)", 3, seed);
        let request = symmetric("MESSAGE", &[]);
        proxy.send(&request);
        proxy.pass(Duration::from_secs(33));
        assert_eq!(proxy.site().transactions(), (0, 0));
        for port in PORTS {
            assert_eq!(send_from_port(&mut proxy, port, &request), [format!("403 192.0.2.1:{port}")], "seed {seed}");
        }
        assert_eq!(proxy.site().transactions(), (1, 0));
    }
}

/// §16.11: a stateless proxy's branch "MUST be the same value […] for a retransmission", wherever that comes from.
#[test]
fn without_a_transaction_a_repetition_from_another_port_goes_on_with_the_same_branch() {
    for seed in SEEDS {
        let mut proxy = Proxy::with_workers(FORWARD, 3, seed);
        let request = symmetric("MESSAGE", &[]);
        let first = only(proxy.send(&request)).branch();
        for port in PORTS {
            let again = only(proxy.send_from(&format!("192.0.2.1:{port}"), Protocol::Udp, &request));
            assert_eq!(again.branch(), first, "seed {seed}");
            assert_eq!(summaries(&proxy.answer(&again, 200, &[])), [format!("200 192.0.2.1:{port}")], "seed {seed}");
        }
    }
}

/// A stateless answer leaves no transaction, and is given again.
#[test]
fn a_request_answered_without_a_transaction_is_answered_anew_by_any_worker() {
    for seed in SEEDS {
        let mut proxy = Proxy::with_workers("sl_reply(404)", 3, seed);
        for port in PORTS {
            let answer = send_from_port(&mut proxy, port, &symmetric("MESSAGE", &[]));
            assert_eq!(answer, [format!("404 192.0.2.1:{port}")], "seed {seed}");
        }
        assert_eq!(proxy.site().transactions(), (0, 0));
    }
}
