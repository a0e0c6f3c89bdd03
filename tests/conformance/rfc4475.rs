//! RFC 4475, Session Initiation Protocol (SIP) Torture Test Messages. The files are those of its appendix A, byte by byte.
//!
//! The RFC leaves some choices; these are ours:
//!
//! - Requests with the errors of §3.1.2.7 to §3.1.2.11, §3.1.2.14 and §3.1.2.15 are refused, as it finds reasonable.
//! - Where the method of CSeq is another, that of an unknown method too, it is 400 (§3.1.2.18 takes 501 or 400).
//! - The empty branch of §3.2.1 falls back to RFC 2543's transaction matching.

use signalbox_sip::header::{Contact, ContentType, From, HeaderName, To, Via};
use signalbox_sip::message::Message;
use signalbox_sip::uri::Uri;

use crate::torture::{
    Answers, Case, Drops, Forwards, Reads, ReadsBut, Refuses, Server, case, check_parser, check_table,
};

const RFC: &str = "rfc4475";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("3.1.1.1",  "wsinv",      Reads,                             Forwards),
    case("3.1.1.2",  "intmeth",    Reads,                             Forwards),
    case("3.1.1.3",  "esc01",      Reads,                             Forwards),
    case("3.1.1.4",  "escnull",    Reads,                             Answers(200)),
    case("3.1.1.5",  "esc02",      Reads,                             Forwards),
    case("3.1.1.6",  "lwsdisp",    Reads,                             Forwards),
    case("3.1.1.7",  "longreq",    Reads,                             Forwards),
    case("3.1.1.8",  "dblreq",     Reads,                             Answers(200)),
    case("3.1.1.9",  "semiuri",    Reads,                             Forwards),
    case("3.1.1.10", "transports", Reads,                             Forwards),
    case("3.1.1.11", "mpart01",    Reads,                             Forwards),
    case("3.1.1.12", "unreason",   Reads,                             Server::Drops),
    case("3.1.1.13", "noreason",   Reads,                             Server::Drops),
    case("3.1.2.1",  "badinv01",   Refuses(400),                      Answers(400)),
    case("3.1.2.2",  "clerr",      Refuses(400),                      Answers(400)),
    case("3.1.2.3",  "ncl",        Refuses(400),                      Answers(400)),
    case("3.1.2.4",  "scalar02",   Refuses(400),                      Answers(400)),
    case("3.1.2.5",  "scalarlg",   Drops,                             Server::Drops),
    case("3.1.2.6",  "quotbal",    Refuses(400),                      Answers(400)),
    case("3.1.2.7",  "ltgtruri",   Refuses(400),                      Answers(400)),
    case("3.1.2.8",  "lwsruri",    Refuses(400),                      Answers(400)),
    case("3.1.2.9",  "lwsstart",   Refuses(400),                      Answers(400)),
    case("3.1.2.10", "trws",       Refuses(400),                      Answers(400)),
    case("3.1.2.11", "escruri",    Refuses(400),                      Answers(400)),
    case("3.1.2.12", "baddate",    ReadsBut(&[HeaderName::Date]),     Forwards),
    case("3.1.2.13", "regbadct",   ReadsBut(&[HeaderName::Contact]),  Answers(400)),
    case("3.1.2.14", "badaspec",   Refuses(400),                      Answers(400)),
    case("3.1.2.15", "baddn",      Refuses(400),                      Answers(400)),
    case("3.1.2.16", "badvers",    Refuses(505),                      Answers(505)),
    case("3.1.2.17", "mismatch01", Refuses(400),                      Answers(400)),
    case("3.1.2.18", "mismatch02", Refuses(400),                      Answers(400)),
    case("3.1.2.19", "bigcode",    Drops,                             Server::Drops),
    case("3.2.1",    "badbranch",  Reads,                             Forwards),
    case("3.3.1",    "insuf",      Refuses(400),                      Answers(400)),
    case("3.3.2",    "unkscm",     Reads,                             Answers(416)),
    case("3.3.3",    "novelsc",    Reads,                             Answers(416)),
    case("3.3.4",    "unksm2",     Reads,                             Answers(400)),
    case("3.3.5",    "bext01",     Reads,                             Answers(420)),
    case("3.3.6",    "invut",      Reads,                             Forwards),
    case("3.3.7",    "regaut01",   ReadsBut(&[HeaderName::Authorization]), Answers(401)),
    case("3.3.8",    "multi01",    Refuses(400),                      Answers(400)),
    case("3.3.9",    "mcl01",      Refuses(400),                      Answers(400)),
    case("3.3.10",   "bcast",      Reads,                             Server::Drops),
    case("3.3.11",   "zeromf",     Reads,                             Answers(483)),
    case("3.3.12",   "cparam01",   Reads,                             Answers(200)),
    case("3.3.13",   "cparam02",   Reads,                             Answers(200)),
    case("3.3.14",   "regescrt",   Reads,                             Answers(200)),
    case("3.3.15",   "sdp01",      Reads,                             Forwards),
    case("3.4.1",    "inv2543",    Reads,                             Forwards),
    // The archive holds one more message, which the text does not speak of: no SIP version, and no Via to answer to.
    case("A",        "test",       Drops,                             Server::Drops),
];

fn message(file: &str) -> Message {
    crate::torture::message(RFC, file)
}

#[test]
fn every_message_has_its_row() {
    check_table(RFC, CASES);
    assert_eq!(CASES.len(), 49 + 1);
}

#[test]
fn the_parser_reads_and_refuses_what_it_should() {
    check_parser(RFC, CASES);
}

#[test]
fn section_3_1_1_1_white_space_and_folds_mean_nothing() {
    let message = message("wsinv");
    assert_eq!(message.to_tag(), Some("1918181833n"));
    assert_eq!(message.from_tag(), Some("98asjd8"));
    assert_eq!((message.cseq(), message.method().as_str()), (9, "INVITE"));
    assert_eq!(message.value(HeaderName::Subject), Some(""));
    let vias: Vec<_> = message.headers::<Via<'_>>().map(Result::unwrap).collect();
    assert_eq!(vias.iter().map(|via| via.transport).collect::<Vec<_>>(), ["UDP", "TCP", "UDP"]);
    assert_eq!(vias[2].branch(), Some("z9hG4bK30239"));
    let contact = message.header::<Contact<'_>>().unwrap().unwrap();
    assert_eq!((contact.q(), contact.0.display_name().as_ref()), (Some(330), "Quoted string \"\""));
    assert_eq!(contact.0.params.value("newparam"), Some("newvalue"));
    assert_eq!(message.value_of("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn section_3_1_1_2_the_whole_range_of_valid_characters_is_kept() {
    let message = message("intmeth");
    assert_eq!(message.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(message.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(message.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(message.value_of("extensionHeader-!.%*+_`'~"), Some("\u{feff}\u{5927}\u{505c}\u{96fb}"));
    assert_eq!(message.top_via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!(uri.password, Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(uri.host.unwrap().to_string(), "example.com");
}

#[test]
fn section_3_1_1_3_escapes_do_not_make_delimiters() {
    let message = message("esc01");
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!(
        (uri.user, uri.host.unwrap().to_string()),
        (Some("sips%3Auser%40example.com"), "example.net".to_owned())
    );
    assert_eq!(uri.user_unescaped(), "sips:user@example.com");
    let contact = message.header::<Contact<'_>>().unwrap().unwrap();
    let uri = contact.0.uri().unwrap();
    assert_eq!(uri.user_unescaped(), "caller");
    assert_eq!(uri.params.value("n%61me"), Some("v%61lue%25%34%31"));
}

#[test]
fn section_3_1_1_4_a_nul_is_as_good_as_any_other_octet() {
    let message = message("escnull");
    let users: Vec<_> = message
        .headers::<Contact<'_>>()
        .map(|contact| contact.unwrap().0.uri().unwrap().user_unescaped().into_owned())
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
}

#[test]
fn section_3_1_1_5_an_escape_outside_of_uris_is_three_characters() {
    let message = message("esc02");
    assert_eq!(message.method().as_str(), "RE%47IST%45R");
    let to = message.header::<To<'_>>().unwrap().unwrap();
    assert_eq!(to.0.display_name(), "%Z%45");
    assert_eq!(message.headers::<Contact<'_>>().count(), 2);
    assert_eq!(message.value_of("C%6Fntact"), Some("<sip:alias2@host2.example.com>"));
}

#[test]
fn section_3_1_1_6_no_white_space_is_needed_behind_a_display_name() {
    let message = message("lwsdisp");
    let from = message.header::<From<'_>>().unwrap().unwrap();
    assert_eq!((from.0.display_name().as_ref(), from.0.uri), ("caller", "sip:caller@example.com"));
}

#[test]
fn section_3_1_1_7_long_values_are_kept_whole() {
    let message = message("longreq");
    assert_eq!(message.headers::<Via<'_>>().filter(Result::is_ok).count(), 34);
    assert_eq!(message.body().len(), 150);
}

#[test]
fn section_3_1_1_8_octets_behind_the_body_are_dropped() {
    let message = message("dblreq");
    assert_eq!(message.method().as_str(), "REGISTER");
    assert!(message.body().is_empty());
}

#[test]
fn section_3_1_1_9_semicolons_in_the_user_part_are_the_users() {
    let message = message("semiuri");
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!(uri.user_unescaped(), "user;par=u@example.net");
    assert!(uri.params.is_empty());
}

#[test]
fn section_3_1_1_10_unknown_transports_are_read() {
    let message = message("transports");
    let transports: Vec<_> = message.headers::<Via<'_>>().map(|via| via.unwrap().transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn section_3_1_1_11_a_body_may_hold_any_octets() {
    let message = message("mpart01");
    let kind = message.header::<ContentType<'_>>().unwrap().unwrap();
    assert!(kind.is("multipart/mixed"));
    let boundary = kind.boundary().unwrap();
    assert!(message.body().trim_ascii_end().ends_with(format!("--{boundary}--").as_bytes()));
    assert!(message.body().contains(&0));
}

#[test]
fn section_3_1_1_12_a_reason_phrase_may_be_anything() {
    let message = message("unreason");
    assert_eq!(message.status(), 200);
    assert!(message.reason().starts_with("= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e}"));
}

#[test]
fn section_3_1_1_13_a_reason_phrase_may_be_empty() {
    let message = message("noreason");
    assert_eq!((message.status(), message.reason()), (100, ""));
}

#[test]
fn section_3_1_2_6_the_answer_has_what_could_be_read() {
    let error = Message::parse(&crate::torture::bytes(RFC, "quotbal")).unwrap_err();
    let reply = error.reply().unwrap();
    assert_eq!(reply.call_id(), "quotbal.aksdj");
    assert_eq!(reply.value(HeaderName::To), Some("\"Mr. J. User <sip:j.user@example.com>"));
    assert_eq!(reply.value(HeaderName::CSeq), Some("8 INVITE"));
}

#[test]
fn section_3_3_3_and_3_3_4_any_scheme_is_read() {
    assert_eq!(message("novelsc").request_uri(), "soap.beep://192.0.2.103:3002");
    let message = message("unksm2");
    let contact = message.header::<Contact<'_>>().unwrap().unwrap();
    assert_eq!(contact.0.uri, "name:John_Smith");
}

#[test]
fn section_3_3_12_without_brackets_parameters_are_the_headers() {
    let without = message("cparam01");
    let without = without.header::<Contact<'_>>().unwrap().unwrap();
    assert!(without.0.params.flag("unknownparam") && !without.0.uri.contains("unknownparam"));
    let with = message("cparam02");
    let with = with.header::<Contact<'_>>().unwrap().unwrap();
    assert!(!with.0.params.flag("unknownparam") && with.0.uri().unwrap().params.flag("unknownparam"));
}

#[test]
fn section_3_3_14_headers_in_a_contact_are_kept() {
    let message = message("regescrt");
    let contact = message.header::<Contact<'_>>().unwrap().unwrap();
    assert_eq!(contact.0.uri().unwrap().headers, "Route=%3Csip:sip.example.com%3E");
}

#[test]
fn section_3_4_1_without_tag_branch_and_length_it_is_rfc_2543() {
    let message = message("inv2543");
    assert_eq!((message.from_tag(), message.top_via().unwrap().branch()), (None, None));
    assert!(message.body().starts_with(b"v=0"));
}
