//! §16.3: what a proxy checks before it sends a request on, over the wire.

use signalbox_sip::header::HeaderName;

use crate::wire::{FORWARD, Out, Proxy, RELAY, only, request};

const BOB: &str = "sip:bob@192.0.2.11";

/// What a stateful and a stateless proxy make of the request, which is to be the same.
fn outcomes(message: &str) -> [Out; 2] {
    [RELAY, FORWARD].map(|route| only(Proxy::new(route).send(message)))
}

/// Step 1: "Any other components, well-formed or not, SHOULD be ignored and remain unchanged".
#[test]
fn step_1_what_the_proxy_does_not_need_may_be_malformed() {
    let lines = ["Date: whenever", "Contact: ;;", "Unknown: \u{20ac} \" <", "Accept: ,/,"];
    for forwarded in outcomes(&request("NEW-METHOD", BOB, &lines)) {
        assert_eq!(forwarded.summary(), "NEW-METHOD 192.0.2.11:5060");
        assert!(lines.iter().all(|line| forwarded.text().contains(line)), "{}", forwarded.text());
    }
}

/// Step 1: "Any components involved in […] the Request Forwarding section MUST be well-formed."
#[test]
fn step_1_what_the_proxy_needs_must_be_well_formed() {
    for line in ["Route: <sip:", "Max-Forwards: many"] {
        for answer in outcomes(&request("MESSAGE", BOB, &[line])) {
            assert_eq!(answer.summary(), "400 192.0.2.1:5060", "{line}");
        }
    }
}

/// Step 2: "the proxy SHOULD reject the request with a 416 (Unsupported URI Scheme) response".
#[test]
fn step_2_a_scheme_that_is_not_understood() {
    for answer in outcomes(&request("MESSAGE", "gopher://192.0.2.11", &[])) {
        assert_eq!(answer.message.status(), 416);
    }
}

/// Step 3: with zero "the element MUST NOT forward the request", with more or none "this check is passed".
#[test]
fn step_3_max_forwards() {
    for answer in outcomes(&request("MESSAGE", BOB, &["Max-Forwards: 0"])) {
        assert_eq!(answer.message.status(), 483);
    }
    let none = request("MESSAGE", BOB, &[]).replace("Max-Forwards: 70\r\n", "");
    for (message, left) in [(request("MESSAGE", BOB, &["Max-Forwards: 1"]), "0"), (none, "70")] {
        for forwarded in outcomes(&message) {
            assert_eq!(forwarded.items(HeaderName::MaxForwards), [left]);
        }
    }
}

/// Step 4: "If the parameters match, the request has looped."
#[test]
fn step_4_a_request_that_comes_back_as_it_left_has_looped() {
    for route in [RELAY, FORWARD] {
        let mut proxy = Proxy::new(route);
        let forwarded = only(proxy.send(&request("MESSAGE", "sip:bob@192.0.2.100", &[])));
        let via = "Via: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKbob\r\nVia: SIP/2.0/UDP 192.0.2.100";
        let back = forwarded.text().replacen("Via: SIP/2.0/UDP 192.0.2.100", via, 1);
        let answer = only(proxy.send_from("192.0.2.11:5060", forwarded.protocol(), &back));
        assert_eq!(answer.summary(), "482 192.0.2.11:5060");
    }
}

/// Step 4: "If they differ, the request is spiraling, and processing continues."
#[test]
fn step_4_a_request_that_comes_back_for_another_target_spirals() {
    for route in [RELAY, FORWARD] {
        let mut proxy = Proxy::new(route);
        let forwarded = only(proxy.send(&request("MESSAGE", BOB, &[])));
        let via = "Via: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKbob\r\nVia: SIP/2.0/UDP 192.0.2.100";
        let back =
            forwarded.text().replacen("Via: SIP/2.0/UDP 192.0.2.100", via, 1).replacen(BOB, "sip:carol@192.0.2.12", 1);
        let again = only(proxy.send_from("192.0.2.11:5060", forwarded.protocol(), &back));
        assert_eq!(again.summary(), "MESSAGE 192.0.2.12:5060");
        assert_eq!(again.items(HeaderName::Via).len(), 4);
    }
}

/// Step 5: "the element MUST return a 420 (Bad Extension) response. The response MUST include an Unsupported […] header
/// field listing those option-tags".
#[test]
fn step_5_proxy_require() {
    for answer in outcomes(&request("INVITE", BOB, &["Proxy-Require: foo, bar", "Proxy-Require: baz"])) {
        assert_eq!(answer.message.status(), 420);
        assert_eq!(answer.items(HeaderName::Unsupported), ["foo", "bar", "baz"]);
    }
}

/// §20.32: Require is for the UAS alone: a proxy passes it on.
#[test]
fn step_5_require_is_not_for_proxies() {
    for forwarded in outcomes(&request("INVITE", BOB, &["Require: foo"])) {
        assert_eq!(forwarded.items(HeaderName::Require), ["foo"]);
    }
}

/// "a proxy is not required to detect merged requests and MUST NOT treat merged requests as an error condition".
#[test]
fn a_request_that_comes_on_two_ways_is_forwarded_twice() {
    for route in [RELAY, FORWARD] {
        let mut proxy = Proxy::new(route);
        let one = only(proxy.send(&request("MESSAGE", BOB, &["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKone"])));
        let other = only(proxy.send(&request("MESSAGE", BOB, &["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother"])));
        assert_eq!(one.message.call_id(), other.message.call_id());
        assert_ne!(one.branch(), other.branch(), "the next hop tells them apart");
    }
}
