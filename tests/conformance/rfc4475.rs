//! RFC 4475, Session Initiation Protocol (SIP) Torture Test Messages. The files are those of its appendix A, byte by byte.
//!
//! The RFC leaves some choices; these are ours:
//!
//! - Requests with the errors of §3.1.2.7 to §3.1.2.11, §3.1.2.14 and §3.1.2.15 are refused, as it finds reasonable.
//! - Where the method of CSeq is another, that of an unknown method too, it is 400 (§3.1.2.18 takes 501 or 400).
//! - The empty branch of §3.2.1 falls back to RFC 2543's transaction matching.

use signalbox_sip::framing::Framer;
use signalbox_sip::header::{Contact, ContentType, From, HeaderName, To, Via};
use signalbox_sip::message::{Message, Problem};
use signalbox_sip::uri::Uri;

use crate::torture::server::{RealServer, check_server};
use crate::torture::{
    Answers, Case, Drops, Forwards, Reads, ReadsBut, Refuses, Role, Server, case, check_parser, check_table,
};

const RFC: &str = "rfc4475";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("3.1.1.1",  "wsinv",      Reads,                             Forwards("services.example.com")),
    case("3.1.1.2",  "intmeth",    Reads,                             Forwards("example.com")),
    case("3.1.1.3",  "esc01",      Reads,                             Forwards("example.net")),
    case("3.1.1.4",  "escnull",    Reads,                             Answers(200)),
    case("3.1.1.5",  "esc02",      Reads,                             Forwards("registrar.example.com")),
    case("3.1.1.6",  "lwsdisp",    Reads,                             Forwards("example.com")),
    case("3.1.1.7",  "longreq",    Reads,                             Forwards("example.com")),
    case("3.1.1.8",  "dblreq",     Reads,                             Answers(200)),
    case("3.1.1.9",  "semiuri",    Reads,                             Forwards("example.com")),
    case("3.1.1.10", "transports", Reads,                             Forwards("example.com")),
    case("3.1.1.11", "mpart01",    Reads,                             Forwards("127.0.0.1:5080")),
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
    case("3.1.2.12", "baddate",    ReadsBut(&[HeaderName::Date]),     Forwards("example.com")),
    case("3.1.2.13", "regbadct",   ReadsBut(&[HeaderName::Contact]),  Answers(400)),
    case("3.1.2.14", "badaspec",   Refuses(400),                      Answers(400)),
    case("3.1.2.15", "baddn",      Refuses(400),                      Answers(400)),
    case("3.1.2.16", "badvers",    Refuses(505),                      Answers(505)),
    case("3.1.2.17", "mismatch01", Refuses(400),                      Answers(400)),
    case("3.1.2.18", "mismatch02", Refuses(400),                      Answers(400)),
    case("3.1.2.19", "bigcode",    Drops,                             Server::Drops),
    case("3.2.1",    "badbranch",  Reads,                             Forwards("example.com")),
    case("3.3.1",    "insuf",      Refuses(400),                      Answers(400)),
    case("3.3.2",    "unkscm",     Reads,                             Answers(416)),
    case("3.3.3",    "novelsc",    Reads,                             Answers(416)),
    case("3.3.4",    "unksm2",     Reads,                             Answers(400)),
    case("3.3.5",    "bext01",     Reads,                             Answers(420)),
    case("3.3.6",    "invut",      Reads,                             Forwards("example.com")),
    case("3.3.7",    "regaut01",   ReadsBut(&[HeaderName::Authorization]), Answers(401)),
    case("3.3.8",    "multi01",    Refuses(400),                      Answers(400)),
    case("3.3.9",    "mcl01",      Refuses(400),                      Answers(400)),
    case("3.3.10",   "bcast",      Reads,                             Server::Drops),
    case("3.3.11",   "zeromf",     Reads,                             Answers(483)),
    case("3.3.12",   "cparam01",   Reads,                             Answers(200)),
    case("3.3.13",   "cparam02",   Reads,                             Answers(200)),
    case("3.3.14",   "regescrt",   Reads,                             Answers(200)),
    case("3.3.15",   "sdp01",      Reads,                             Forwards("example.com")),
    case("3.4.1",    "inv2543",    Reads,                             Forwards("example.com")),
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
fn the_server_forwards_answers_and_drops_what_it_should() {
    check_server(RFC, Role::Registrar, CASES);
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

#[test]
fn a_proxy_forwards_every_register_whatever_a_registrar_would_find_in_it() {
    let registers = CASES.iter().filter(|case| {
        !matches!(case.parser, Refuses(_) | Drops)
            && crate::torture::message(RFC, case.file).method().as_str() == "REGISTER"
    });
    let cases: Vec<Case> =
        registers.map(|row| case(row.section, row.file, row.parser, Forwards("example.com"))).collect();
    assert_eq!(cases.len(), 8);
    check_server(RFC, Role::Proxy, &cases);
}

/// The answer of a registrar to this message.
fn answer(server: &mut RealServer, message: &[u8]) -> Message {
    let sent = server.deliver(message);
    assert_eq!(sent.len(), 1);
    Message::parse(&sent[0].1).unwrap()
}

/// The Contacts that a registrar gives out when somebody asks for the bindings that this REGISTER makes.
fn fetched(file: &str) -> Vec<String> {
    let mut server = RealServer::start(Role::Registrar);
    assert_eq!(answer(&mut server, &crate::torture::bytes(RFC, file)).status(), 200);
    let mut fetch = message(file);
    fetch.remove(HeaderName::Contact);
    fetch.replace_first_item(HeaderName::Via, "SIP/2.0/UDP 192.0.2.78;branch=z9hG4bKfetch");
    fetch.set(HeaderName::CallId, "fetch");
    let answer = answer(&mut server, &fetch.to_bytes());
    answer.items(HeaderName::Contact).map(|contact| contact.split(";expires").next().unwrap().to_owned()).collect()
}

#[test]
fn section_3_1_1_4_two_bindings_are_made_of_users_with_nul() {
    assert_eq!(fetched("escnull"), ["<sip:%00@host5.example.com>", "<sip:%00%00@host5.example.com>"]);
}

#[test]
fn section_3_3_12_to_3_3_14_bindings_keep_what_belongs_to_the_uri_and_only_that() {
    assert_eq!(fetched("cparam01"), ["<sip:+19725552222@gw1.example.net>"]);
    assert_eq!(fetched("cparam02"), ["<sip:+19725552222@gw1.example.net;unknownparam>"]);
    assert_eq!(fetched("regescrt"), ["<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"]);
}

#[test]
fn section_3_1_1_12_any_reason_phrase_passes_a_proxy() {
    let mut server = RealServer::start(Role::Proxy);
    let sent = server.deliver(&crate::torture::bytes(RFC, "invut"));
    let unusual = message("unreason");
    let mut response = Message::parse(&sent[0].1).unwrap().reply(unusual.status(), unusual.reason());
    response.set_body(Some("application/sdp"), unusual.body().clone());
    let back = server.deliver_back(&response.to_bytes(), &sent[0]);
    let back = Message::parse(&back[0].1).unwrap();
    assert_eq!((back.status(), back.reason(), back.body()), (unusual.status(), unusual.reason(), unusual.body()));
}

#[test]
fn section_3_2_1_requests_with_an_empty_branch_are_told_apart_by_their_other_headers() {
    let mut server = RealServer::start(Role::Proxy);
    let request = crate::torture::bytes(RFC, "badbranch");
    assert_eq!(server.deliver(&request).len(), 1, "forwarded");
    assert!(server.deliver(&request).is_empty(), "a repetition is absorbed");
    let mut other = message("badbranch");
    other.set(HeaderName::CallId, "another");
    assert_eq!(server.deliver(&other.to_bytes()).len(), 1, "another request");
}

#[test]
fn section_3_3_5_the_proxy_names_what_proxies_cannot_and_the_registrar_what_it_cannot() {
    let mut server = RealServer::start(Role::Registrar);
    let refusal = answer(&mut server, &crate::torture::bytes(RFC, "bext01"));
    let unsupported = |refusal: &Message| refusal.items(HeaderName::Unsupported).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(unsupported(&refusal), ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]);
    let mut register = message("cparam01");
    register.push(HeaderName::Require, "nothingSupportsThis, nothingSupportsThisEither");
    let refusal = answer(&mut server, &register.to_bytes());
    assert_eq!(
        (refusal.status(), unsupported(&refusal).join(" ")),
        (420, "nothingSupportsThis nothingSupportsThisEither".to_owned())
    );
}

#[test]
fn section_3_3_7_unknown_credentials_are_answered_with_a_scheme_that_is_known() {
    let mut server = RealServer::start(Role::Registrar);
    let challenge = answer(&mut server, &crate::torture::bytes(RFC, "regaut01"));
    let schemes = challenge.values(HeaderName::WwwAuthenticate).map(|value| value.split(' ').next().unwrap());
    assert!(schemes.eq(["Digest", "Digest"]), "SHA-256 and MD5");
}

/// "If a proxy followed normal response processing rules blindly, it would forward this response to the broadcast address."
#[test]
fn section_3_3_10_nor_is_a_response_to_a_request_of_ours_broadcast() {
    for address in ["255.255.255.255", "224.0.1.75", "0.0.0.0", "[ff02::1]"] {
        let mut server = RealServer::start(Role::Stateless);
        let sent = server.deliver(&crate::torture::bytes(RFC, "lwsdisp"));
        let mut response = Message::parse(&sent[0].1).unwrap().reply(200, "OK");
        assert_eq!(server.deliver_back(&response.to_bytes(), &sent[0]).len(), 1, "such a response is forwarded");
        let own = response.value(HeaderName::Via).unwrap().to_owned();
        response.set(HeaderName::Via, &format!("{own}, SIP/2.0/UDP {address};branch=z9hG4bK1saber23"));
        assert!(server.deliver_back(&response.to_bytes(), &sent[0]).is_empty(), "{address}");
    }
}

/// RFC 3261 §18.1.2: a response whose topmost Via is not ours answers nothing of ours.
#[test]
fn section_3_3_10_a_response_under_the_name_of_another_is_dropped() {
    let mut server = RealServer::start(Role::Stateless);
    let sent = server.deliver(&crate::torture::bytes(RFC, "lwsdisp"));
    let response = String::from_utf8(Message::parse(&sent[0].1).unwrap().reply(200, "OK").to_bytes()).unwrap();
    let forged = response.replacen("192.0.2.198", "192.0.2.199", 1);
    assert!(server.deliver_back(forged.as_bytes(), &sent[0]).is_empty());
}

#[test]
fn section_3_1_2_15_the_display_names_are_refused_and_not_only_the_end_that_the_file_lacks() {
    let mut bytes = crate::torture::bytes(RFC, "baddn");
    assert_eq!(Message::parse(&bytes).unwrap_err().problem, Problem::Unfinished);
    bytes.extend_from_slice(b"\r\n");
    let error = Message::parse(&bytes).unwrap_err();
    assert!(matches!(error.problem, Problem::Address(HeaderName::From, _)), "{error}");
    assert_eq!(error.reply().unwrap().status(), 400);
}

/// §3.1.2.2: "there's not much the receiving party could do but wait for more data on the stream"; §3.1.2.3 and §3.3.9: "the
/// framing error is not recoverable, and the connection should be closed".
#[test]
fn in_a_stream_a_length_that_is_too_large_waits_and_one_that_cannot_be_ends_it() {
    let first_of = |file: &str| {
        let mut framer = Framer::new();
        framer.push(&crate::torture::bytes(RFC, file));
        framer.next()
    };
    assert!(first_of("clerr").is_none());
    for file in ["ncl", "mcl01"] {
        let Some(Err(error)) = first_of(file) else { panic!("{file} is taken") };
        assert_eq!(error.reply().unwrap().status(), 400);
    }
}
