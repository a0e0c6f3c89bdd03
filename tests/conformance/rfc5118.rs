//! RFC 5118, SIP Torture Test Messages for IPv6, in both forms that it gives them.
//!
//! `rfc5118` has the messages of its text, with the CR LF line ends of RFC 3261 and, in the three that carry SDP, the
//! Content-Length that fits. `rfc5118-archive` has the files of its appendix A, byte by byte: their lines end with LF alone,
//! which is accepted. Of four of them that leaves no whole message, so that they are answered with 400:
//!
//! - ipv6-in-sdp and mult-ip-in-sdp end before their Content-Length is reached (RFC 3261 §18.3);
//! - the two of §4.10 end before the empty line, which "MUST be present" (RFC 3261 §7).

use std::net::{IpAddr, Ipv6Addr};

use signalbox_sip::header::{Contact, HeaderName, Via};
use signalbox_sip::message::Message;
use signalbox_sip::uri::{Host, Uri};

use crate::torture::server::{RealServer, check_server};
use crate::torture::{Answers, Case, Forwards, Reads, Refuses, Role, case, check_parser, check_table};

const RFC: &str = "rfc5118";
const ARCHIVE: &str = "rfc5118-archive";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("4.1",  "ipv6-good",                     Reads,        Forwards("2001:db8::10")),
    case("4.2",  "ipv6-bad",                      Refuses(400), Answers(400)),
    case("4.3",  "port-ambiguous",                Reads,        Forwards("2001:db8::10:5070")),
    case("4.4",  "port-unambiguous",              Reads,        Forwards("[2001:db8::10]:5070")),
    case("4.5",  "via-received-param-with-delim", Reads,        Forwards("2001:db8::10")),
    case("4.5",  "via-received-param-no-delim",   Reads,        Forwards("2001:db8::10")),
    case("4.6",  "ipv6-in-sdp",                   Reads,        Forwards("2001:db8::10")),
    case("4.7",  "mult-ip-in-header",             Reads,        Forwards("host.example.net")),
    case("4.8",  "mult-ip-in-sdp",                Reads,        Forwards("2001:db8::10")),
    case("4.9",  "ipv4-mapped-ipv6",              Reads,        Forwards("example.com")),
    case("4.10", "ipv6-bug-abnf-3-colons",        Reads,        Forwards("2001:db8::192.0.2.1")),
    case("4.10", "ipv6-correct-abnf-2-colons",    Reads,        Forwards("2001:db8::192.0.2.1")),
];

/// The files of which the archive has no whole message.
#[rustfmt::skip]
const INCOMPLETE: &[Case] = &[
    case("4.6",  "ipv6-in-sdp",                   Refuses(400), Answers(400)),
    case("4.8",  "mult-ip-in-sdp",                Refuses(400), Answers(400)),
    case("4.10", "ipv6-bug-abnf-3-colons",        Refuses(400), Answers(400)),
    case("4.10", "ipv6-correct-abnf-2-colons",    Refuses(400), Answers(400)),
];

/// The archive's files: as those of the text, but for the incomplete ones.
fn archive() -> Vec<Case> {
    let incomplete = |file| INCOMPLETE.iter().find(|row| row.file == file);
    CASES.iter().map(|row| *incomplete(row.file).unwrap_or(row)).collect()
}

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
    check_table(ARCHIVE, &archive());
}

#[test]
fn the_parser_reads_and_refuses_what_it_should() {
    check_parser(RFC, CASES);
    check_parser(ARCHIVE, &archive());
}

#[test]
fn the_server_forwards_answers_and_drops_what_it_should() {
    check_server(RFC, Role::Registrar, CASES);
    check_server(ARCHIVE, Role::Registrar, &archive());
}

#[test]
fn the_archive_differs_from_the_text_in_line_ends_and_lengths_only() {
    for case in CASES {
        let lines = |rfc: &str| {
            let text = String::from_utf8(crate::torture::bytes(rfc, case.file)).unwrap();
            let kept = text.lines().filter(|line| !line.is_empty() && !line.starts_with("Content-Length"));
            kept.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(ARCHIVE), lines(RFC), "{}", case.file);
    }
}

#[test]
fn section_4_1_a_registrar_at_that_address_binds_the_contact() {
    let mut server = RealServer::start(Role::Registrar);
    let register = String::from_utf8(crate::torture::bytes(RFC, "ipv6-good")).unwrap();
    let sent = server.deliver(register.replace("[2001:db8::10]", "[2001:db8::100]").as_bytes());
    let answer = Message::parse(&sent[0].1).unwrap();
    assert_eq!(answer.value(HeaderName::Contact), Some("<sip:caller@[2001:db8::1]>;expires=3600"));
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
