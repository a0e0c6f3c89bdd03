//! What the shipped script answers by itself: OPTIONS, extensions, schemes, sips:.

use signalbox_sip::header::HeaderName;

use super::{STRANGER, Server};
use crate::wire::{Out, only, request};

fn ask(server: &mut Server, (method, uri): (&str, &str), lines: &[&str]) -> Out {
    let via = format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{method}{}", uri.len() + lines.concat().len());
    let from = "From: <sip:carol@elsewhere.example>;tag=c";
    let all: Vec<&str> = [via.as_str(), from].into_iter().chain(lines.iter().copied()).collect();
    only(server.send(STRANGER, &request(method, uri, &all)))
}

/// §11.2: "Allow, Accept, Accept-Encoding, Accept-Language, and Supported header fields SHOULD be present".
#[test]
fn options_tells_what_the_server_can_do() {
    let answer = ask(&mut Server::new(), ("OPTIONS", "sip:example.com"), &[]);
    assert_eq!(answer.message.status(), 200);
    assert_eq!(answer.items(HeaderName::Allow), ["OPTIONS", "REGISTER", "SUBSCRIBE", "PUBLISH"]);
    assert_eq!(answer.items(HeaderName::Accept), ["application/pidf+xml"]);
    assert_eq!(answer.items(HeaderName::Supported), ["path"]);
}

/// §8.2.2.3: "the UAS MUST respond with a status code 420 (Bad Extension) […] and MUST add an Unsupported header field".
#[test]
fn an_extension_required_of_the_server_is_refused() {
    let mut server = Server::new();
    for method in ["OPTIONS", "SUBSCRIBE"] {
        let uri = if method == "OPTIONS" { "sip:example.com" } else { "sip:dan@example.com" };
        let lines = ["Require: foo, bar", "Require: baz", "Event: presence", "Contact: <sip:c@198.51.100.66>"];
        let answer = ask(&mut server, (method, uri), &lines);
        assert_eq!(answer.message.status(), 420, "{method}");
        assert_eq!(answer.items(HeaderName::Unsupported), ["foo", "bar", "baz"], "{method}");
    }
}

/// §16.3 steps 2 and 5 come before a target is looked for.
#[test]
fn extensions_and_schemes_are_checked_before_a_target_is_looked_up() {
    let mut server = Server::new();
    for uri in ["sip:dan@example.com", "sip:nobody@example.com", "sip:x@elsewhere.example"] {
        let answer = ask(&mut server, ("MESSAGE", uri), &["Proxy-Require: teleport"]);
        assert_eq!((answer.message.status(), answer.items(HeaderName::Unsupported)), (420, vec!["teleport"]), "{uri}");
    }
    for uri in ["urn:service:sos", "gopher://example.com", "mailto:dan@example.com"] {
        assert_eq!(ask(&mut server, ("MESSAGE", uri), &[]).message.status(), 416, "{uri}");
    }
}

/// RFC 5630 §5.3: "the proxy MUST reject it with a 480 […] SHOULD include a Warning header with warn-code 380".
#[test]
fn a_sips_uri_is_refused_without_tls() {
    let mut server = Server::new();
    for (method, uri) in [
        ("MESSAGE", "sips:dan@example.com"),
        ("INVITE", "SIPS:dan@example.com;transport=tcp"),
        ("SUBSCRIBE", "sips:bob@example.com"),
        ("OPTIONS", "sips:alice@EXAMPLE.com."),
        ("INFO", "sips:x@elsewhere.example"),
    ] {
        let answer = ask(&mut server, (method, uri), &["Event: presence", "Contact: <sip:c@198.51.100.66>"]);
        assert_eq!(answer.message.status(), 480, "{method} {uri}");
        assert!(answer.items(HeaderName::Warning)[0].starts_with("380 "), "{method} {uri}");
    }
}

/// RFC 5630 §5.2: "A registrar MUST accept a binding to a SIPS Contact header field only if all the appropriate URIs are of the
/// SIPS scheme […]. If the URIs are not of the proper SIPS scheme, the registrar MUST reject the REGISTER with a 400".
#[test]
fn a_sips_contact_is_not_bound_by_way_of_sip() {
    let mut server = Server::new();
    for contact in ["<sips:dan@192.0.2.4>", "<sip:dan@192.0.2.4>, \"D\" <SIPS:dan@192.0.2.4>;q=0.5"] {
        let (to, contact) = ("To: <sip:dan@example.com>", format!("Contact: {contact}"));
        let call = format!("Call-ID: {}", contact.len());
        let answer = only(server.send_as("dan", super::DAN, ("REGISTER", "sip:example.com"), &[to, &contact, &call]));
        assert_eq!(answer.message.status(), 400, "{contact}");
    }
    let lines = ["To: <sip:dan@example.com>", "Contact: <sips:dan@192.0.2.4>"];
    assert_eq!(ask(&mut server, ("REGISTER", "sips:example.com"), &lines).message.status(), 416);
}
