//! §16.4 and §16.12: Route, Record-Route and maddr as they come to a proxy, over the wire.

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{Out, Proxy, only, request};

/// Follows Routes. A request for the domain itself goes to the address of its contact. All senders count as users of
/// ours.
const ROUTE: &str = "if not loose_route() and is_myself() then msg.ruri = 'sip:bob@192.0.2.11' end
  if msg.method == 'INVITE' then record_route('', true) end
  if not t_relay() then sl_reply_error() end";

const IN_DIALOG: &str = "To: <sip:bob@example.com>;tag=b";

/// A proxy on the path of a dialog of Alice, and the URI of its Record-Route.
fn dialog() -> (Proxy, String) {
    let mut proxy = Proxy::new(ROUTE);
    let invite = only(proxy.send(&request("INVITE", "sip:bob@example.com", &[])));
    let own = invite.items(HeaderName::RecordRoute)[0].trim_matches(['<', '>']).to_owned();
    (proxy, own)
}

/// Alice's BYE in that dialog. OWN in the Route is replaced by the Record-Route.
fn bye(uri: &str, route: &str) -> Out {
    let (mut proxy, own) = dialog();
    let route = format!("Route: {}", route.replace("OWN", &own));
    only(proxy.send(&request("BYE", &uri.replace("OWN", &own), &[&route, IN_DIALOG])))
}

/// "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field […],
/// the proxy MUST replace the Request-URI in the request with the last value from the Route header field".
#[test]
fn what_a_strict_router_sent_is_put_right() {
    let out = bye("OWN", "<sip:192.0.2.30;lr>, <sip:carol@192.0.2.12>");
    assert_eq!(
        (out.message.request_uri(), out.items(HeaderName::Route)),
        ("sip:carol@192.0.2.12", vec!["<sip:192.0.2.30;lr>"])
    );
    assert_eq!(out.remote().to_string(), "192.0.2.30:5060");
    let out = bye("OWN", "<sip:carol@192.0.2.12>");
    assert_eq!((out.message.request_uri(), out.items(HeaderName::Route).len()), ("sip:carol@192.0.2.12", 0));
}

/// A Request-URI that the proxy has not placed into a Record-Route does not come from a strict router.
#[test]
fn a_strict_route_without_our_token_leads_nowhere() {
    let (mut proxy, _) = dialog();
    let route = "Route: <sip:192.0.2.30;lr>, <sip:carol@192.0.2.12>";
    let out = only(proxy.send(&request("BYE", "sip:192.0.2.100;lr", &[route, IN_DIALOG])));
    assert_eq!((out.remote().to_string(), out.items(HeaderName::Route).len()), ("192.0.2.11:5060".to_owned(), 0));
}

/// "If the first value in the Route header field indicates this proxy, the proxy MUST remove that value".
#[test]
fn the_own_route_is_taken_off() {
    let out = bye("sip:carol@192.0.2.12", "<OWN>, <sip:192.0.2.30;lr>");
    assert_eq!(out.items(HeaderName::Route), ["<sip:192.0.2.30;lr>"]);
    assert_eq!(out.remote().to_string(), "192.0.2.30:5060");
    for route in [
        "<OWN>",
        "<sip:example.com;lr>",
        "<sip:192.0.2.100;lr>, <OWN>",
        "<sip:EXAMPLE.com.;lr>,<sips:x@192.0.2.100:5060>",
    ] {
        let out = bye("sip:carol@192.0.2.12", route);
        assert_eq!((out.items(HeaderName::Route).len(), out.remote().to_string()), (0, "192.0.2.12:5060".to_owned()));
    }
}

/// A Route is followed only within a dialog that passes here: not without a To tag, not with the token of another
/// dialog, and not without a token.
#[test]
fn a_route_outside_of_a_dialog_is_not_followed() {
    let (mut proxy, own) = dialog();
    let route = format!("Route: <{own}>, <sip:192.0.2.30;lr>");
    for lines in [
        &[route.as_str()][..],
        &[&route, IN_DIALOG, "Call-ID: another"],
        &[&route, IN_DIALOG, "From: <sip:alice@example.com>;tag=another"],
        &["Route: <sip:192.0.2.100;lr>, <sip:192.0.2.30;lr>", IN_DIALOG],
        &["Route: <sip:192.0.2.30;lr>", IN_DIALOG],
    ]
    .into_iter()
    .enumerate()
    .map(|(number, lines)| (format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}"), lines))
    {
        let (via, lines) = lines;
        let lines = [lines, &[&via]].concat();
        let out = only(proxy.send(&request("BYE", "sip:carol@192.0.2.12", &lines)));
        assert_eq!((out.items(HeaderName::Route).len(), out.remote().to_string()), (0, "192.0.2.12:5060".to_owned()));
    }
}

/// §19.1.1: the user part may contain characters that separate parameters elsewhere. §19.1.4 and RFC 1034: a domain is
/// the same whatever its case and final dot.
#[test]
fn a_uri_is_ours_by_its_host_whatever_its_user_holds() {
    let mut proxy =
        Proxy::new("append_to_reply('X: ' .. tostring(is_myself(msg.headers:get('X')))) sl_send_reply(200)");
    for (number, (text, ours)) in [
        ("sip:+15551234;npdi=yes@example.com", true),
        ("sip:+15551234;npdi=yes@elsewhere.example", false),
        ("sip:a?b;c@Example.COM.:5060;transport=tcp", true),
        ("sip:al%3bice:pass;word@192.0.2.100", true),
        ("sip:x;y=@example.com@elsewhere.example", false),
        ("\"A, B\" <sip:+1;npdi@example.com;x>;tag=1", true),
        ("sip:alice@example.com;tag=1", true),
        ("sip:example.com@elsewhere.example;x=@example.com", false),
        ("EXAMPLE.com.", true),
        ("example.com:5060", true),
        ("192.0.2.100:5070", false),
        ("tel:+15551234", false),
    ]
    .into_iter()
    .enumerate()
    {
        let lines = [format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}"), format!("X: {text}")];
        let answer = only(proxy.send(&request("OPTIONS", "sip:example.com", &[&lines[0], &lines[1]])));
        assert_eq!(answer.message.value_of("X"), Some(if ours { "true" } else { "false" }), "{text}");
    }
}

#[test]
fn the_route_of_another_port_is_anothers() {
    let out = bye("sip:carol@192.0.2.12", "<OWN>, <sip:192.0.2.100:5070;lr>");
    assert_eq!(out.remote().to_string(), "192.0.2.100:5070");
}

/// As many as fit a datagram.
#[test]
fn thousands_of_own_routes_come_off_together() {
    let out = bye("sip:carol@192.0.2.12", &format!("{}<OWN>", "<sip:192.0.2.100;lr>,".repeat(2950)));
    assert_eq!((out.items(HeaderName::Route).len(), out.remote().to_string()), (0, "192.0.2.12:5060".to_owned()));
}

/// "If the Request-URI has a maddr parameter with a value the proxy is responsible for, and the request was received using
/// the port and transport indicated […], the proxy MUST strip the maddr and any non-default port or transport parameter and
/// continue processing as if those values had not been present".
#[test]
fn the_own_maddr_is_stripped() {
    for (maddr, protocol) in [
        ("sip:bob@example.com;maddr=192.0.2.100", Protocol::Udp),
        ("sip:bob@example.com;maddr=192.0.2.100;transport=udp", Protocol::Udp),
        ("sip:bob@example.com:5060;maddr=example.com;transport=tcp", Protocol::Tcp),
    ] {
        let mut proxy = Proxy::new("loose_route() append_to_reply('X: ' .. tostring(msg.ruri)) sl_send_reply(200)");
        let answer = only(proxy.send_from("192.0.2.1:5060", protocol, &request("OPTIONS", maddr, &[])));
        let seen = answer.message.value_of("X").unwrap().replace(":5060", "");
        assert_eq!(seen, "sip:bob@example.com", "{maddr}");
    }
}

/// "A request may arrive with a maddr matching the proxy, but on a port or transport different from that indicated in the
/// URI. Such a request needs to be forwarded to the proxy using the indicated port and transport."
#[test]
fn an_own_maddr_of_another_transport_is_followed() {
    let out = only(Proxy::new("loose_route() if not t_relay() then sl_reply_error() end").send(&request(
        "BYE",
        "sip:bob@example.com;maddr=192.0.2.100;transport=tcp",
        &[],
    )));
    assert_eq!((out.remote().to_string(), out.protocol()), ("192.0.2.100:5060".to_owned(), Protocol::Tcp));
}

/// §16.5: "If the Request-URI of the request contains an maddr parameter, the Request-URI MUST be placed into the target
/// set as the only target URI": it is followed, and stays.
#[test]
fn the_maddr_of_another_is_followed() {
    let out = only(Proxy::new(ROUTE).send(&request("BYE", "sip:bob@domain.test:5070;maddr=192.0.2.30", &[])));
    assert_eq!(
        (out.remote().to_string(), out.message.request_uri()),
        ("192.0.2.30:5070".to_owned(), "sip:bob@domain.test:5070;maddr=192.0.2.30")
    );
}

/// §16.12.1.2: P3, a strict router, gets its own URI as Request-URI, and the target as last Route.
#[test]
fn a_strict_router_is_served_as_it_wants() {
    let out = bye("sip:callee@192.0.2.12", "<OWN>, <sip:192.0.2.33>, <sip:192.0.2.34;lr>");
    assert_eq!(out.message.request_uri(), "sip:192.0.2.33");
    assert_eq!(out.items(HeaderName::Route), ["<sip:192.0.2.34;lr>", "<sip:callee@192.0.2.12>"]);
    assert_eq!(out.remote().to_string(), "192.0.2.33:5060", "the strict router itself, not the Route behind it");
}

/// §16.12.1.1: the trapezoid, at its second proxy.
#[test]
fn the_basic_trapezoid() {
    let mut proxy = Proxy::new(ROUTE);
    let invite = request("INVITE", "sip:bob@example.com", &["Record-Route: <sip:192.0.2.30;lr>"]);
    let invite = only(proxy.send(&invite));
    assert_eq!(invite.summary(), "INVITE 192.0.2.11:5060");
    let recorded = invite.items(HeaderName::RecordRoute);
    assert!(recorded[0].starts_with("<sip:192.0.2.100:5060;lr;dialog="), "{recorded:?}");
    assert_eq!(recorded[1..], ["<sip:192.0.2.30;lr>"]);
    let line = format!("Record-Route: {}", recorded.join(", "));
    let answer = proxy.answer(&invite, 200, &[&line]);
    assert_eq!(only(answer).items(HeaderName::RecordRoute), recorded);
    let route = format!("Route: {}", recorded[0]);
    let bye = only(proxy.send(&request("BYE", "sip:callee@192.0.2.12", &[&route, IN_DIALOG])));
    assert_eq!((bye.summary(), bye.items(HeaderName::Route).len()), ("BYE 192.0.2.12:5060".to_owned(), 0));
}

/// §16.6 step 4 with RFC 5658: between two transports each side gets the address that it can reach, by two values.
#[test]
fn between_transports_the_proxy_records_itself_twice() {
    let mut proxy = Proxy::new("record_route('', true) msg.ruri = 'sip:bob@192.0.2.11' t_relay()");
    let invite = only(proxy.send_from("192.0.2.1:5060", Protocol::Tcp, &request("INVITE", "sip:bob@example.com", &[])));
    let recorded = invite.items(HeaderName::RecordRoute);
    assert!(recorded[0].starts_with("<sip:192.0.2.100:5060;lr;r2=on;dialog="), "{recorded:?}");
    assert!(recorded[1].starts_with("<sip:192.0.2.100:5060;transport=tcp;lr;r2=on;dialog="), "{recorded:?}");
    let route = format!("Route: {}, {}", recorded[0], recorded[1]);
    let lines = [&*route, "From: <sip:bob@example.com>;tag=b", "To: <sip:alice@example.com>;tag=a"];
    let bye = request("BYE", "sip:alice@192.0.2.1;transport=tcp", &lines);
    let bye = only(Proxy::new(ROUTE).send_from("192.0.2.11:5060", Protocol::Udp, &bye));
    assert_eq!((bye.items(HeaderName::Route).len(), bye.protocol()), (0, Protocol::Tcp));
}

/// A host without a port, as `msg.from.host`, is compared without one. In a URI no port means 5060 (§19.1.2).
#[test]
fn a_host_is_ours_whatever_port_we_listen_on() {
    let route = "append_to_reply('X: ' .. tostring(is_myself(msg.headers:get('X')))) sl_send_reply(200)";
    for (text, is_ours) in [
        ("192.0.2.100", "true"),
        ("192.0.2.100:6000", "true"),
        ("192.0.2.100:5060", "false"),
        ("sip:alice@192.0.2.100:6000", "true"),
        ("sip:alice@192.0.2.100", "false"),
        ("192.0.2.101", "false"),
    ] {
        let mut proxy = Proxy::at("192.0.2.100:6000", route);
        let answer = only(proxy.send(&request("OPTIONS", "sip:example.com", &[&format!("X: {text}")])));
        assert!(answer.text().contains(&format!("\r\nX: {is_ours}\r\n")), "{text}: {}", answer.text());
    }
}
