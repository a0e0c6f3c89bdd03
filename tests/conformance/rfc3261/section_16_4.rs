//! §16.4 and §16.12: Route, Record-Route and maddr as they come to a proxy, over the wire.

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{Out, Proxy, only, request};

/// Follows Routes; what is for the domain itself goes to where its contact would be.
const ROUTE: &str = "if not loose_route() and is_myself() then msg.ruri = 'sip:bob@192.0.2.11' end
  if msg.method == 'INVITE' then record_route() end
  if not t_relay() then sl_reply_error() end";

fn routed(uri: &str, lines: &[&str]) -> Out {
    only(Proxy::new(ROUTE).send(&request("BYE", uri, lines)))
}

/// "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field […],
/// the proxy MUST replace the Request-URI in the request with the last value from the Route header field".
#[test]
fn what_a_strict_router_sent_is_put_right() {
    let out = routed("sip:192.0.2.100;lr", &["Route: <sip:192.0.2.30;lr>, <sip:carol@192.0.2.12>"]);
    assert_eq!(
        (out.message.request_uri(), out.items(HeaderName::Route)),
        ("sip:carol@192.0.2.12", vec!["<sip:192.0.2.30;lr>"])
    );
    assert_eq!(out.remote().to_string(), "192.0.2.30:5060");
}

/// The same where the proxy's own Record-Route was made by Record-Route, and nothing but the target follows (§16.12.1.2).
#[test]
fn the_record_route_that_was_given_out_is_recognised_in_the_request_uri() {
    let mut proxy = Proxy::new(ROUTE);
    let invite = only(proxy.send(&request("INVITE", "sip:bob@example.com", &[])));
    let own = invite.items(HeaderName::RecordRoute)[0].trim_matches(['<', '>']).to_owned();
    let out =
        only(proxy.send(&request("BYE", &own, &["Route: <sip:carol@192.0.2.12>", "To: <sip:bob@example.com>;tag=b"])));
    assert_eq!((out.message.request_uri(), out.items(HeaderName::Route).len()), ("sip:carol@192.0.2.12", 0));
}

/// "If the first value in the Route header field indicates this proxy, the proxy MUST remove that value".
#[test]
fn the_own_route_is_taken_off() {
    let out = routed("sip:carol@192.0.2.12", &["Route: <sip:192.0.2.100;lr>", "Route: <sip:192.0.2.30;lr>"]);
    assert_eq!(out.items(HeaderName::Route), ["<sip:192.0.2.30;lr>"]);
    assert_eq!(out.remote().to_string(), "192.0.2.30:5060");
    let out = routed("sip:carol@192.0.2.12", &["Route: <sip:example.com;lr>", "To: <sip:c@example.com>;tag=c"]);
    assert_eq!((out.items(HeaderName::Route).len(), out.remote().to_string()), (0, "192.0.2.12:5060".to_owned()));
}

#[test]
fn the_route_of_another_port_is_anothers() {
    let out = routed("sip:carol@192.0.2.12", &["Route: <sip:192.0.2.100:5070;lr>"]);
    assert_eq!(out.remote().to_string(), "192.0.2.100:5070");
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
    let out = routed("sip:bob@domain.test:5070;maddr=192.0.2.30", &[]);
    assert_eq!(
        (out.remote().to_string(), out.message.request_uri()),
        ("192.0.2.30:5070".to_owned(), "sip:bob@domain.test:5070;maddr=192.0.2.30")
    );
}

/// §16.12.1.2: P3, a strict router, gets its own URI as Request-URI, and the target as last Route.
#[test]
fn a_strict_router_is_served_as_it_wants() {
    let lines = ["Route: <sip:192.0.2.100;lr>, <sip:192.0.2.33>, <sip:192.0.2.34;lr>", "To: <sip:b@example.com>;tag=b"];
    let out = routed("sip:callee@192.0.2.12", &lines);
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
    assert_eq!(invite.items(HeaderName::RecordRoute), ["<sip:192.0.2.100:5060;lr>", "<sip:192.0.2.30;lr>"]);
    let answer = proxy.answer(&invite, 200, &["Record-Route: <sip:192.0.2.100:5060;lr>, <sip:192.0.2.30;lr>"]);
    assert_eq!(only(answer).items(HeaderName::RecordRoute), ["<sip:192.0.2.100:5060;lr>", "<sip:192.0.2.30;lr>"]);
    let bye =
        request("BYE", "sip:callee@192.0.2.12", &["Route: <sip:192.0.2.100:5060;lr>", "To: <sip:b@example.com>;tag=b"]);
    let bye = only(proxy.send(&bye));
    assert_eq!((bye.summary(), bye.items(HeaderName::Route).len()), ("BYE 192.0.2.12:5060".to_owned(), 0));
}

/// §16.6 step 4 with RFC 5658: between two transports each side gets the address that it can reach, by two values.
#[test]
fn between_transports_the_proxy_records_itself_twice() {
    let mut proxy = Proxy::new("record_route() msg.ruri = 'sip:bob@192.0.2.11' t_relay()");
    let invite = only(proxy.send_from("192.0.2.1:5060", Protocol::Tcp, &request("INVITE", "sip:bob@example.com", &[])));
    let recorded = invite.items(HeaderName::RecordRoute);
    assert_eq!(recorded, ["<sip:192.0.2.100:5060;lr;r2=on>", "<sip:192.0.2.100:5060;transport=tcp;lr;r2=on>"]);
    let routes = [format!("Route: {}, {}", recorded[0], recorded[1]), "To: <sip:b@example.com>;tag=b".to_owned()];
    let bye = request("BYE", "sip:alice@192.0.2.1;transport=tcp", &[&routes[0], &routes[1]]);
    let bye = only(Proxy::new(ROUTE).send_from("192.0.2.11:5060", Protocol::Udp, &bye));
    assert_eq!((bye.items(HeaderName::Route).len(), bye.protocol()), (0, Protocol::Tcp));
}
