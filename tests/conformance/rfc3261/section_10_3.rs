//! §10.3: what a registrar does with a REGISTER, step by step, on the real script and registrar over the virtual network.

use std::path::Path;
use std::time::Duration;

use signalbox::module::{Configured, export};
use signalbox::transport::Protocol;
use signalbox_registrar::Registrar;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, flow_from};

/// A registrar for example.com, and one user agent.
struct Desk {
    site: Site,
    requests: u32,
}

impl Desk {
    fn new() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/relay.lua");
        let mut setup = Setup::new(&script, "example.com");
        setup.modules = vec![Configured::new(export::entry::<Registrar>())];
        Self { site: Site::start(setup).unwrap(), requests: 0 }
    }

    /// Sends a REGISTER for alice with these header lines and returns the answer.
    fn register(&mut self, (call_id, cseq): (&str, u32), lines: &[&str]) -> Message {
        self.send("sip:example.com", "<sip:alice@example.com>", (call_id, cseq), lines)
    }

    fn send(&mut self, uri: &str, to: &str, (call_id, cseq): (&str, u32), lines: &[&str]) -> Message {
        // Each has a From tag of its own, so that those of one CSeq are no merged requests (§8.2.2.2).
        self.requests += 1;
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{0}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.com>;tag={0}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n\
             {lines}Content-Length: 0\r\n\r\n",
            self.requests
        );
        let flow = flow_from("192.0.2.1:5060".parse().unwrap(), Protocol::Udp);
        let sent = self.site.deliver(request.as_bytes(), flow);
        assert_eq!(sent.len(), 1, "one answer");
        Message::parse(&sent[0].1).unwrap()
    }

    /// The contacts that a fetch shows, sorted.
    fn bound(&mut self) -> Vec<String> {
        let answer = self.register(("fetch", 1), &[]);
        assert_eq!(answer.status(), 200);
        let mut contacts: Vec<String> = answer.items(HeaderName::Contact).map(str::to_owned).collect();
        contacts.sort();
        contacts
    }
}

/// RFC 3327 §4: a Path names proxies. What is none would have those who call the user later hear what is wrong with it.
#[test]
fn a_path_that_leads_nowhere_is_refused() {
    for path in ["x", "<tel:1>", "<sip:>", "<sip:p1;lr>, <x>", "<mailto:a@example.com>"] {
        let answer =
            Desk::new().register(("c", 1), &["Supported: path", &format!("Path: {path}"), "Contact: <sip:a@h>"]);
        assert_eq!(answer.status(), 400, "{path}");
    }
    let answer = Desk::new()
        .register(("c", 1), &["Supported: path", "Path: <sip:p1;lr>, <sip:p2:5070;lr>", "Contact: <sip:a@h>"]);
    assert_eq!(answer.status(), 200);
}

/// Step 2: "the registrar MUST process the Require header field values as described for UASs in Section 8.2.2".
#[test]
fn an_unknown_requirement_is_refused_and_named() {
    let answer = Desk::new().register(("c", 1), &["Require: path, teleport", "Contact: <sip:a@h>"]);
    assert_eq!((answer.status(), answer.value(HeaderName::Unsupported)), (420, Some("teleport")));
}

/// Step 5: "If the address-of-record is not valid for the domain in the Request-URI, the registrar MUST send a 404".
#[test]
fn an_address_of_another_domain_is_not_found() {
    let mut desk = Desk::new();
    let contact = ["Contact: <sip:a@h>"];
    let answer = desk.send("sip:example.com", "<sip:alice@example.org>", ("c", 1), &contact);
    assert_eq!(answer.status(), 404);
    assert_eq!(desk.send("sip:example.com", "<sip:alice@EXAMPLE.com>", ("c", 2), &contact).status(), 200);
}

/// Step 5: "all URI parameters MUST be removed (including the user-param), and any escaped characters MUST be converted".
#[test]
fn bindings_are_found_under_the_canonical_address() {
    let mut desk = Desk::new();
    desk.send("sip:example.com", "Alice <sip:%61lice@example.com;user=phone>", ("c", 1), &["Contact: <sip:a@h>"]);
    assert_eq!(desk.bound(), ["<sip:a@h>;expires=3600"]);
}

/// Step 6: a star with another contact or another expiry than zero is a 400, and nothing is removed.
#[test]
fn a_star_needs_expires_zero_and_no_company() {
    let mut desk = Desk::new();
    desk.register(("c", 1), &["Contact: <sip:a@h>"]);
    for lines in [&["Contact: *"][..], &["Contact: *", "Expires: 60"], &["Contact: *, <sip:b@h>", "Expires: 0"]] {
        assert_eq!(desk.register(("c", 2), lines).status(), 400, "{lines:?}");
    }
    assert_eq!(desk.bound().len(), 1);
}

/// Step 6: "If it does agree, it MUST remove the binding only if the CSeq in the request is higher".
#[test]
fn a_star_of_the_same_call_id_needs_a_higher_cseq() {
    let mut desk = Desk::new();
    let star = ["Contact: *", "Expires: 0"];
    desk.register(("c", 5), &["Contact: <sip:a@h>"]);
    assert_eq!(desk.register(("c", 5), &star).status(), 500);
    assert_eq!(desk.bound().len(), 1);
    assert_eq!(desk.register(("c", 6), &star).status(), 200);
    assert_eq!(desk.bound().len(), 0);
    desk.register(("c", 7), &["Contact: <sip:a@h>"]);
    assert_eq!(desk.register(("other", 1), &star).status(), 200, "another Call-ID removes");
    assert_eq!(desk.bound().len(), 0);
}

/// Step 7: the expires parameter, else the Expires header, else the default.
#[test]
fn the_expiry_is_the_contacts_else_the_requests_else_the_default() {
    let mut desk = Desk::new();
    desk.register(("c", 1), &["Contact: <sip:a@h>;expires=100, <sip:b@h>", "Expires: 200"]);
    desk.register(("c", 2), &["Contact: <sip:c@h>"]);
    assert_eq!(desk.bound(), ["<sip:a@h>;expires=100", "<sip:b@h>;expires=200", "<sip:c@h>;expires=3600"]);
}

/// Step 7: "This response MUST contain a Min-Expires header field".
#[test]
fn a_brief_interval_is_refused_with_the_minimum() {
    let mut desk = Desk::new();
    let answer = desk.register(("c", 1), &["Contact: <sip:a@h>;expires=1"]);
    assert_eq!((answer.status(), answer.value(HeaderName::MinExpires)), (423, Some("60")));
    assert_eq!(desk.bound().len(), 0);
}

/// Step 7: contacts are compared as URIs, so this is one binding.
#[test]
fn equal_uris_are_one_binding() {
    let mut desk = Desk::new();
    desk.register(("c", 1), &["Contact: <sip:a@Host.example;transport=UDP>"]);
    desk.register(("c", 2), &["Contact: <sip:%61@host.example;transport=udp>;q=0.5"]);
    assert_eq!(desk.bound(), ["<sip:%61@host.example;transport=udp>;expires=3600;q=0.5"]);
}

/// Step 7: "If not, the update MUST be aborted and the request fails", and "all tentative binding updates MUST be removed".
#[test]
fn a_late_request_changes_nothing_at_all() {
    let mut desk = Desk::new();
    desk.register(("c", 5), &["Contact: <sip:a@h>"]);
    let answer = desk.register(("c", 4), &["Contact: <sip:b@h>, <sip:a@h>;expires=0"]);
    assert_eq!(answer.status(), 500);
    assert_eq!(desk.bound(), ["<sip:a@h>;expires=3600"]);
    assert_eq!(desk.register(("other", 1), &["Contact: <sip:a@h>;expires=0"]).status(), 200, "another Call-ID removes");
    assert_eq!(desk.bound().len(), 0);
}

/// Step 8: "Each Contact value MUST feature an "expires" parameter", "The response SHOULD include a Date header field".
#[test]
fn the_answer_lists_all_bindings_with_what_is_left_of_them() {
    let mut desk = Desk::new();
    desk.register(("c", 1), &["Contact: <sip:a@h>;expires=600"]);
    for _ in 0..500 {
        let next = desk.site.next_timeout();
        desk.site.wake_at(next);
    }
    let answer = desk.register(("c", 2), &["Contact: <sip:b@h>"]);
    assert!(answer.has(HeaderName::Date));
    let contacts: Vec<&str> = answer.items(HeaderName::Contact).collect();
    assert_eq!(contacts, ["<sip:a@h>;expires=500", "<sip:b@h>;expires=3600"]);
}

#[test]
fn a_binding_ends_at_its_time() {
    let mut desk = Desk::new();
    desk.register(("c", 1), &["Contact: <sip:a@h>;expires=60"]);
    let end = desk.site.now() + Duration::from_secs(60);
    while desk.site.now() < end {
        let next = desk.site.next_timeout().min(end);
        desk.site.wake_at(next);
    }
    assert_eq!(desk.bound().len(), 0);
}
