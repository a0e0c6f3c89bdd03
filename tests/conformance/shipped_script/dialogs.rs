//! Calls between phones behind NAT, and misuse of dialogs by strangers.

use signalbox_sip::header::HeaderName;

use super::{ALICE, BOB, DAN, STRANGER, Server};
use crate::wire::{Out, only, request, summaries};

/// The Record-Route values of a request as a Route, which its answer has as well.
fn route(invite: &Out) -> String {
    format!("Route: {}", invite.items(HeaderName::RecordRoute).join(", "))
}

/// The same for the other side.
fn route_back(invite: &Out) -> String {
    let mut values = invite.items(HeaderName::RecordRoute);
    values.reverse();
    format!("Route: {}", values.join(", "))
}

/// Alice calls this user. Returns the request at the phone.
fn alice_calls(server: &mut Server, user: &str) -> Out {
    let (uri, to) = (format!("sip:{user}@example.com"), format!("To: <sip:{user}@example.com>"));
    let sent = server.send_as("alice", ALICE, ("INVITE", &uri), &[&to, "Contact: <sip:alice@10.0.0.1>"]);
    sent.into_iter().find(|out| out.message.is_request()).unwrap()
}

const FROM_STRANGER: &str = "From: <sip:mallory@elsewhere.example>;tag=m";

/// Mallory, whose messages are blocked, calls Dan. Returns the request at the phone.
fn mallory_calls(server: &mut Server) -> Out {
    let lines = [FROM_STRANGER, "To: <sip:dan@example.com>", "Contact: <sip:mallory@198.51.100.66>", "Call-ID: m"];
    let sent = server.send(STRANGER, &request("INVITE", "sip:dan@example.com", &lines));
    sent.into_iter().find(|out| out.message.is_request()).unwrap()
}

fn in_mallorys_dialog(server: &mut Server, (method, uri): (&str, &str), lines: &[&str]) -> Vec<Out> {
    let via = format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{method}");
    let standard = [FROM_STRANGER, "To: <sip:dan@example.com>;tag=phone", "Call-ID: m", &via];
    let name = |line: &str| line.split(':').next().unwrap().to_owned();
    let kept = standard.into_iter().filter(|line| !lines.iter().any(|other| name(other) == name(line)));
    let all: Vec<&str> = kept.chain(lines.iter().copied()).collect();
    server.send(STRANGER, &request(method, uri, &all))
}

#[test]
fn a_call_between_phones_behind_nat_keeps_to_the_flows_that_they_registered_over() {
    let mut server = Server::new();
    let invite = alice_calls(&mut server, "bob");
    assert_eq!(invite.summary(), format!("INVITE {BOB}"));
    server.answer(&invite, 200, "<sip:bob@10.0.0.2>");
    let lines = [&route_back(&invite), "To: <sip:bob@example.com>;tag=phone"];
    let ack = only(server.send_as("alice", ALICE, ("ACK", "sip:bob@10.0.0.2"), &lines));
    assert_eq!((ack.summary(), ack.message.request_uri()), (format!("ACK {BOB}"), "sip:bob@10.0.0.2"));
    let info = only(server.send_as("alice", ALICE, ("INFO", "sip:bob@10.0.0.2"), &lines));
    assert_eq!(info.summary(), format!("INFO {BOB}"));
    let lines = [&route(&invite), "From: <sip:bob@example.com>;tag=phone", "To: <sip:alice@example.com>;tag=alice"];
    let bye = only(server.send_as("bob", BOB, ("BYE", "sip:alice@10.0.0.1"), &lines));
    assert_eq!((bye.summary(), bye.is_connected()), (format!("BYE {ALICE}"), true));
    assert_eq!(bye.items(HeaderName::Route).len(), 0);
}

#[test]
fn a_phone_that_its_contact_leads_to_is_sent_to_as_before() {
    let mut server = Server::new();
    let invite = alice_calls(&mut server, "dan");
    let lines = [&route_back(&invite), "To: <sip:dan@example.com>;tag=phone"];
    let ack = only(server.send_as("alice", ALICE, ("ACK", "sip:dan@192.0.2.4"), &lines));
    assert_eq!(ack.summary(), format!("ACK {DAN}"));
}

#[test]
fn a_call_goes_on_over_a_restart() {
    let invite = alice_calls(&mut Server::new(), "bob");
    let lines = [&route_back(&invite), "To: <sip:bob@example.com>;tag=phone"];
    let mut restarted = Server::new();
    let bye = only(restarted.send_as("alice", ALICE, ("BYE", "sip:bob@10.0.0.2"), &lines));
    assert_eq!(bye.summary(), format!("BYE {BOB}"));
}

#[test]
fn a_call_to_another_domain_goes_where_its_contact_leads() {
    let mut server = Server::new();
    let lines = ["To: <sip:carol@192.0.2.7>", "Contact: <sip:alice@10.0.0.1>"];
    let sent = server.send_as("alice", ALICE, ("INVITE", "sip:carol@192.0.2.7"), &lines);
    let invite = sent.into_iter().find(|out| out.message.is_request()).unwrap();
    let lines = [&*route_back(&invite), "To: <sip:carol@192.0.2.7>;tag=phone"];
    let ack = only(server.send_as("alice", ALICE, ("ACK", "sip:carol@192.0.2.8:5070"), &lines));
    assert_eq!(ack.summary(), "ACK 192.0.2.8:5070");
    // Carol knows the token, but her ACK is not Alice's.
    let forged = ["From: <sip:alice@example.com>;tag=alice", lines[0], lines[1]];
    let ack = request("ACK", "sip:x@198.51.100.9", &forged);
    assert!(server.send("192.0.2.7:5060", &ack).is_empty());
    let back = [&*route(&invite), "From: <sip:carol@192.0.2.7>;tag=phone", "To: <sip:alice@example.com>;tag=alice"];
    let bye = only(server.send("192.0.2.7:5060", &request("BYE", "sip:x@198.51.100.9", &back)));
    assert_eq!(bye.summary(), format!("BYE {ALICE}"), "to the phone, wherever else the Request-URI leads");
}

#[test]
fn a_user_of_ours_proves_itself_in_a_dialog_too() {
    let mut server = Server::new();
    let invite = alice_calls(&mut server, "bob");
    for method in ["BYE", "INFO", "MESSAGE", "INVITE", "UPDATE"] {
        let via = format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{method}");
        let lines = [
            &*route_back(&invite),
            &via,
            "From: <sip:alice@example.com>;tag=alice",
            "To: <sip:bob@example.com>;tag=phone",
        ];
        let answer = only(server.send(STRANGER, &request(method, "sip:bob@10.0.0.2", &lines)));
        assert_eq!(answer.message.status(), 407, "{method}");
    }
}

#[test]
fn a_made_up_to_tag_is_no_dialog() {
    let mut server = Server::new();
    for (number, (uri, route)) in [
        ("sip:victim@198.51.100.9", "<sip:192.0.2.100;lr>"),
        ("sip:victim@198.51.100.9", "<sip:example.com;lr>, <sip:198.51.100.9;lr>"),
        ("sip:192.0.2.100;lr", "<sip:victim@198.51.100.9>"),
        ("sip:dan@example.com", "<sip:198.51.100.66;lr>"),
        ("sip:dan@example.com", "<sip:192.0.2.100;lr>, <sip:198.51.100.66;lr>"),
    ]
    .into_iter()
    .enumerate()
    {
        for (method, tag) in
            [("OPTIONS", ";tag=1"), ("OPTIONS", ""), ("INVITE", ";tag=1"), ("BYE", ";tag=1"), ("ACK", ";tag=1")]
        {
            let via = format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{number}{method}{}", tag.len());
            let (to, route) = (format!("To: <sip:dan@example.com>{tag}"), format!("Route: {route}"));
            let sent = server.send(STRANGER, &request(method, uri, &[&via, &to, FROM_STRANGER, &route]));
            assert!(sent.iter().all(|out| !out.message.is_request()), "{method} {uri} {route}: {:?}", summaries(&sent));
        }
    }
}

#[test]
fn a_made_up_to_tag_does_not_make_anybody_a_user_of_ours() {
    let mut server = Server::new();
    for (method, route) in
        [("MESSAGE", "<sip:192.0.2.100;lr>"), ("INVITE", "<sip:example.com;lr>"), ("REFER", "<sip:localhost;lr>")]
    {
        for uri in ["sip:dan@example.com", "sip:dan@192.0.2.4"] {
            let via = format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{method}{}", uri.len());
            let (route, to) = (format!("Route: {route}"), "To: <sip:dan@example.com>;tag=1");
            let answer = only(server.send(STRANGER, &request(method, uri, &[&via, &route, to])));
            assert_eq!(answer.message.status(), 407, "{method} {uri}");
        }
    }
}

#[test]
fn a_stranger_in_a_dialog_reaches_its_party_and_nobody_else() {
    let mut server = Server::new();
    let invite = mallory_calls(&mut server);
    assert_eq!(invite.summary(), format!("INVITE {DAN}"));
    let more = format!("{}, <sip:198.51.100.9;lr>", route_back(&invite));
    for (method, uri, route) in [
        ("ACK", "sip:dan@192.0.2.4", &route_back(&invite)),
        ("BYE", "sip:victim@198.51.100.9", &route_back(&invite)),
        ("INFO", "sip:dan@192.0.2.4", &more),
        ("UPDATE", "sip:victim@198.51.100.9;maddr=198.51.100.10", &more),
    ] {
        let out = only(in_mallorys_dialog(&mut server, (method, uri), &[route]));
        assert_eq!(
            (out.summary(), out.items(HeaderName::Route).len()),
            (format!("{method} {DAN}"), 0),
            "{uri} {route}"
        );
    }
}

#[test]
fn a_stranger_in_a_dialog_cannot_send_as_the_other_party() {
    let mut server = Server::new();
    let invite = mallory_calls(&mut server);
    let lines =
        [&*route(&invite), "From: <sip:dan@elsewhere.example>;tag=phone", "To: <sip:mallory@elsewhere.example>;tag=m"];
    let answer = only(in_mallorys_dialog(&mut server, ("INFO", "sip:victim@198.51.100.9"), &lines));
    assert_eq!(answer.message.status(), 403);
    assert!(in_mallorys_dialog(&mut server, ("ACK", "sip:victim@198.51.100.9"), &lines).is_empty());
}

#[test]
fn an_ack_from_a_stranger_with_the_address_of_a_user_of_ours_is_dropped() {
    let mut server = Server::new();
    let invite = mallory_calls(&mut server);
    let lines = [&*route_back(&invite), "From: <sip:alice@example.com>;tag=m"];
    assert!(in_mallorys_dialog(&mut server, ("ACK", "sip:dan@192.0.2.4"), &lines).is_empty());
}

#[test]
fn the_block_list_holds_in_dialogs_too() {
    let mut server = Server::new();
    let invite = mallory_calls(&mut server);
    let answer = only(in_mallorys_dialog(&mut server, ("MESSAGE", "sip:dan@192.0.2.4"), &[&route_back(&invite)]));
    assert_eq!(answer.message.status(), 403);
}

#[test]
fn a_phone_of_ours_ends_the_call_of_a_stranger() {
    let mut server = Server::new();
    let invite = mallory_calls(&mut server);
    let lines = [
        &*route(&invite),
        "From: <sip:dan@example.com>;tag=phone",
        "To: <sip:mallory@elsewhere.example>;tag=m",
        "Call-ID: m",
    ];
    let bye = only(server.send_as("dan", DAN, ("BYE", "sip:mallory@198.51.100.66"), &lines));
    assert_eq!(bye.summary(), format!("BYE {STRANGER}"));
}
