//! §16.5 and §16.6: the target set, and the copies of a request that go to it, over the wire.

use std::collections::BTreeSet;

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{Proxy, RELAY, only, request, summaries};

/// §16.5: "If a target URI is already present in the set (based on the definition of equality for the URI type), it MUST NOT
/// be added again."
#[test]
fn equal_targets_are_one() {
    let targets = "for _, uri in ipairs { 'sip:bob@192.0.2.11', 'SIP:bob@192.0.2.11', 'sip:%62ob@192.0.2.11', 'sip:Bob@192.0.2.11' } do
        append_branch(uri)
      end
      t_relay()";
    let sent = Proxy::new(targets).send(&request("MESSAGE", "sip:bob@example.com", &[]));
    let uris: Vec<&str> = sent.iter().map(|out| out.message.request_uri()).collect();
    assert_eq!(uris, ["sip:bob@192.0.2.11", "sip:Bob@192.0.2.11"]);
}

/// §16.5: "If the Request-URI indicates a resource at this proxy that does not exist, the proxy MUST return a 404".
#[test]
fn nobody_is_404() {
    let route = "if not lookup('location') then return sl_send_reply(404) end t_relay()";
    assert_eq!(only(Proxy::new(route).send(&request("MESSAGE", "sip:bob@example.com", &[]))).message.status(), 404);
}

/// Step 1: "Fields not detailed in the processing described below MUST NOT be removed. The copy SHOULD maintain the ordering".
#[test]
fn step_1_each_branch_starts_from_the_same_request() {
    let route = "append_branch('sip:bob@192.0.2.11') append_branch('sip:bob@192.0.2.12') t_relay()";
    let message = request("MESSAGE", "sip:bob@example.com", &["X-B: 2", "X-A: 1", "Subject: s", "X-B: 3"]);
    let sent = Proxy::new(route).send(&message);
    assert_eq!(summaries(&sent), ["MESSAGE 192.0.2.11:5060", "MESSAGE 192.0.2.12:5060"]);
    for out in &sent {
        assert!(out.text().contains("X-B: 2\r\nX-A: 1\r\nSubject: s\r\nX-B: 3\r\n"), "{}", out.text());
        assert_eq!(out.items(HeaderName::MaxForwards), ["69"]);
        assert_eq!(out.items(HeaderName::Via).len(), 2);
    }
}

/// Step 2: "If the URI contains any parameters not allowed in a Request-URI, they MUST be removed." A registered contact may
/// have such (RFC 4475 §3.3.14).
#[test]
fn step_2_a_request_uri_has_neither_headers_nor_method() {
    let mut proxy =
        Proxy::new("if msg.method == 'REGISTER' then return save('location') end lookup('location') t_relay()");
    let contact = "Contact: <sip:bob@192.0.2.11;method=INVITE;line=7?Route=%3Csip:192.0.2.66%3E>";
    let register = request("REGISTER", "sip:example.com", &[contact, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKr"]);
    assert_eq!(only(proxy.send(&register)).message.status(), 200);
    let out = only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[])));
    assert_eq!((out.message.request_uri(), out.items(HeaderName::Route).len()), ("sip:bob@192.0.2.11;line=7", 0));
}

/// Step 4: Record-Route goes "before any existing Record-Route header field values", and its URI "MUST contain an lr
/// parameter".
#[test]
fn step_4_record_route_stands_first_and_says_lr() {
    let mut proxy = Proxy::new(&format!("record_route(';nat=yes') {RELAY}"));
    let out = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &["Record-Route: <sip:192.0.2.30;lr>"])));
    let recorded = out.items(HeaderName::RecordRoute);
    assert!(
        recorded[0].starts_with("<sip:192.0.2.100:5060;lr;dialog=") && recorded[0].ends_with(";nat=yes>"),
        "{recorded:?}"
    );
    assert_eq!(recorded[1..], ["<sip:192.0.2.30;lr>"]);
}

/// Step 7: the next hop comes from the first Route, else from the Request-URI; its host may be a name.
#[test]
fn step_7_the_next_hop() {
    for (uri, route, hop) in [
        ("sip:bob@192.0.2.11", None, "192.0.2.11:5060"),
        ("sip:bob@192.0.2.11:5070", None, "192.0.2.11:5070"),
        ("sip:bob@192.0.2.11", Some("Route: <sip:192.0.2.30:5090;lr>"), "192.0.2.30:5090"),
        ("sip:bob@pc.test", None, "192.0.2.40:5060"),
        ("sip:bob@192.0.2.11", Some("Route: <sip:pc.test:5071;lr>"), "192.0.2.40:5071"),
    ] {
        let mut proxy = Proxy::new(RELAY);
        proxy.site().add_host("pc.test", "192.0.2.40".parse().unwrap());
        let out = only(proxy.send(&request("MESSAGE", uri, route.as_slice())));
        assert_eq!(out.remote().to_string(), hop, "{uri} {route:?}");
    }
    let nowhere = only(Proxy::new(RELAY).send(&request("MESSAGE", "sip:bob@nowhere.test", &[])));
    // §16.9 and §16.7 step 6.
    assert_eq!(nowhere.message.status(), 500);
    assert_eq!(nowhere.items(HeaderName::Warning), ["399 signalbox \"The host of the next hop has no address\""]);
}

/// Step 7: a remaining Route decides the next hop, for contacts on a connection too.
#[test]
fn step_7_a_route_leads_before_the_connection_of_a_contact() {
    let route = "if msg.method == 'REGISTER' then return save('location') end lookup('location')";
    for way in ["t_relay()", "forward()"] {
        let mut proxy = Proxy::new(&format!("{route} {way}"));
        let lines = [
            "Via: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKr",
            "To: <sip:bob@example.com>",
            "Contact: <sip:bob@10.0.0.9;transport=tcp>",
        ];
        assert_eq!(
            only(proxy.send_connected("192.0.2.9:40000", &request("REGISTER", "sip:example.com", &lines)))
                .message
                .status(),
            200
        );
        let to_bob = |lines: &[&str]| request("MESSAGE", "sip:bob@example.com", lines);
        let out = only(proxy.send(&to_bob(&[])));
        assert_eq!((out.summary(), out.is_connected()), ("MESSAGE 192.0.2.9:40000".to_owned(), true));
        let lines = ["Route: <sip:192.0.2.30:5070;lr>", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother"];
        let out = only(proxy.send(&to_bob(&lines)));
        assert_eq!((out.summary(), out.protocol()), ("MESSAGE 192.0.2.30:5070".to_owned(), Protocol::Udp));
        assert_eq!(out.message.request_uri(), "sip:bob@10.0.0.9;transport=tcp");
    }
}

/// Step 8: "Each branch […] must have a unique branch", with the magic cookie.
#[test]
fn step_8_each_branch_has_a_via_of_its_own() {
    let route = "append_branch('sip:bob@192.0.2.11') append_branch('sip:bob@192.0.2.12') t_relay()";
    let mut proxy = Proxy::new(route);
    let mut sent = proxy.send(&request("INVITE", "sip:bob@example.com", &[]));
    sent.extend(proxy.send(&request("INVITE", "sip:bob@example.com", &["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2"])));
    let branches: BTreeSet<String> = sent.iter().map(|out| out.branch()).collect();
    assert_eq!(branches.len(), 4);
    assert!(branches.iter().all(|branch| branch.starts_with("z9hG4bK")));
    assert!(sent.iter().all(|out| out.items(HeaderName::Via)[0].starts_with("SIP/2.0/UDP 192.0.2.100:5060;")));
}

/// Step 9: a request to a stream needs a Content-Length.
#[test]
fn step_9_content_length() {
    let message = request("MESSAGE", "sip:bob@192.0.2.11;transport=tcp", &[]).replace("Content-Length: 0\r\n", "");
    assert!(only(Proxy::new(RELAY).send(&message)).text().contains("\r\nContent-Length: 0\r\n"));
}

/// "Targets are processed from highest qvalue to lowest. Targets with equal qvalues may be processed in parallel."
#[test]
fn targets_are_tried_by_their_q() {
    let route = "append_branch('sip:bob@192.0.2.11', 500) append_branch('sip:bob@192.0.2.12', 900)
      append_branch('sip:bob@192.0.2.13', 900) t_relay()";
    let mut proxy = Proxy::new(route);
    let first = proxy.send(&request("MESSAGE", "sip:bob@example.com", &[]));
    assert_eq!(summaries(&first), ["MESSAGE 192.0.2.12:5060", "MESSAGE 192.0.2.13:5060"]);
    assert!(proxy.answer(&first[0], 480, &[]).is_empty());
    let last = only(proxy.answer(&first[1], 480, &[]));
    assert_eq!(last.summary(), "MESSAGE 192.0.2.11:5060");
    assert_eq!(only(proxy.answer(&last, 200, &[])).summary(), "200 192.0.2.1:5060");
}

/// Nothing but the hole that the phone has made leads through its NAT: no connection is tried.
#[test]
fn step_10_a_large_request_through_a_nat_stays_on_its_flow() {
    let mut proxy = Proxy::new(
        "if msg.method == 'REGISTER' then return save('location') end
         lookup('location') t_relay()",
    );
    let via = "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKbob";
    let lines = [via, "To: <sip:bob@example.com>", "Contact: <sip:bob@10.0.0.1>", "Call-ID: bob"];
    let registered =
        only(proxy.send_from("192.0.2.11:4711", Protocol::Udp, &request("REGISTER", "sip:example.com", &lines)));
    assert_eq!(registered.message.status(), 200);
    let line = format!("Subject: {}", "s".repeat(1400));
    let out = only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[&line])));
    assert_eq!((out.protocol(), out.summary().as_str()), (Protocol::Udp, "MESSAGE 192.0.2.11:4711"));
}

/// §18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path MTU is unknown,
/// the request MUST be sent using […] TCP", and §18.1.1 as well: the Via says so.
#[test]
fn step_10_a_large_request_leaves_over_tcp() {
    for (filling, protocol) in [(100, Protocol::Udp), (1400, Protocol::Tcp)] {
        let line = format!("Subject: {}", "s".repeat(filling));
        let out = only(Proxy::new(RELAY).send(&request("MESSAGE", "sip:bob@192.0.2.11", &[&line])));
        assert_eq!(out.protocol(), protocol);
        assert!(out.items(HeaderName::Via)[0].starts_with(&format!("SIP/2.0/{} ", protocol.as_str())));
    }
}
