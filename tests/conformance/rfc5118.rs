//! RFC 5118, SIP Torture Test Messages for IPv6. It has no archive: the files are its text with CR LF line ends. The
//! Content-Length of the three messages with SDP fits no way of writing their text, so the files have the right one.

use std::net::{IpAddr, Ipv6Addr};

use signalbox_sip::header::{Contact, Via};
use signalbox_sip::message::Message;
use signalbox_sip::uri::{Host, Uri};

use crate::torture::{Answers, Case, Forwards, Reads, Refuses, case, check_parser, check_table};

const RFC: &str = "rfc5118";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("4.1",  "ipv6-good",                     Reads,        Forwards),
    case("4.2",  "ipv6-bad",                      Refuses(400), Answers(400)),
    case("4.3",  "port-ambiguous",                Reads,        Forwards),
    case("4.4",  "port-unambiguous",              Reads,        Forwards),
    case("4.5",  "via-received-param-with-delim", Reads,        Forwards),
    case("4.5",  "via-received-param-no-delim",   Reads,        Forwards),
    case("4.6",  "ipv6-in-sdp",                   Reads,        Forwards),
    case("4.7",  "mult-ip-in-header",             Reads,        Forwards),
    case("4.8",  "mult-ip-in-sdp",                Reads,        Forwards),
    case("4.9",  "ipv4-mapped-ipv6",              Reads,        Forwards),
    case("4.10", "ipv6-bug-abnf-3-colons",        Reads,        Forwards),
    case("4.10", "ipv6-correct-abnf-2-colons",    Reads,        Forwards),
];

fn message(file: &str) -> Message {
    crate::torture::message(RFC, file)
}

/// Host and port of the Request-URI.
fn target(file: &str) -> (Ipv6Addr, Option<u16>) {
    let message = message(file);
    let host = Uri::parse(message.request_uri()).unwrap().host.unwrap();
    match host.host {
        Host::V6(address) => (address, host.port),
        other => panic!("{file}: {other:?}"),
    }
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[test]
fn every_message_has_its_row() {
    check_table(RFC, CASES);
}

#[test]
fn the_parser_reads_and_refuses_what_it_should() {
    check_parser(RFC, CASES);
}

#[test]
fn section_4_1_ipv6_stands_in_request_uri_via_and_contact() {
    assert_eq!(target("ipv6-good"), (v6("2001:db8::10"), None));
    let message = message("ipv6-good");
    assert_eq!(message.top_via().unwrap().sent_by.host, Host::V6(v6("2001:db8::9:1")));
    let contact = message.header::<Contact<'_>>().unwrap().unwrap();
    assert_eq!(contact.0.uri().unwrap().host.unwrap().host, Host::V6(v6("2001:db8::1")));
}

#[test]
fn section_4_3_and_4_4_what_stands_in_the_brackets_is_address() {
    assert_eq!(target("port-ambiguous"), (v6("2001:db8::10:5070"), None));
    assert_eq!(target("port-unambiguous"), (v6("2001:db8::10"), Some(5070)));
}

#[test]
fn section_4_5_received_is_read_with_and_without_brackets() {
    for file in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        assert_eq!(message(file).top_via().unwrap().received(), Some(IpAddr::V6(v6("2001:db8::9:255"))), "{file}");
    }
}

#[test]
fn section_4_7_ipv4_and_ipv6_mix() {
    let message = message("mult-ip-in-header");
    let vias: Vec<_> = message.headers::<Via<'_>>().map(Result::unwrap).collect();
    assert_eq!((vias[0].sent_by.host, vias[0].sent_by.port), (Host::V6(v6("2001:db8::9:1")), Some(6050)));
    assert_eq!(vias[1].sent_by.host, Host::V4([192, 0, 2, 1].into()));
    assert_eq!(vias[2].received(), Some([192, 0, 2, 200].into()));
}

#[test]
fn section_4_9_an_ipv4_address_may_stand_within_an_ipv6_address() {
    let message = message("ipv4-mapped-ipv6");
    let via = message.top_via().unwrap();
    assert_eq!((via.sent_by.host, via.sent_by.port), (Host::V6(v6("::ffff:192.0.2.10")), Some(19823)));
}

#[test]
fn section_4_10_a_third_colon_is_tolerated() {
    assert_eq!(target("ipv6-bug-abnf-3-colons"), target("ipv6-correct-abnf-2-colons"));
}
