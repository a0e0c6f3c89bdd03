//! §17.2.3: matching requests to server transactions.

use signalbox_sip::message::Message;
use signalbox_sip::transaction::{TransactionKey, TransactionKeys};

use crate::wire::{Proxy, RELAY, only, request, summaries};

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
    assert!(proxy.pass(std::time::Duration::from_secs(2)).is_empty(), "the ACK ends the repetition of the 487");
}
