//! §18.2.1: receiving requests.

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{Proxy, RELAY, only, request};

/// The second Via of what is relayed: the sender's, as it was noted down.
fn noted(remote: &str, via: &str) -> String {
    let mut proxy = Proxy::new(RELAY);
    let message = request("MESSAGE", "sip:bob@192.0.2.9", &[&format!("Via: {via}")]);
    let relayed = only(proxy.send_from(remote, Protocol::Udp, &message));
    relayed.items(HeaderName::Via)[1].to_owned()
}

/// "If the host portion of the "sent-by" parameter contains a domain name, or if it contains an IP address that differs from the packet
/// source address, the server MUST add a "received" parameter".
#[test]
fn a_name_or_another_address_gets_received() {
    let name = noted("192.0.2.4:5060", "SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bK1");
    assert_eq!(name, "SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bK1;received=192.0.2.4");
    let other = noted("192.0.2.4:5060", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1");
    assert_eq!(other, "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;received=192.0.2.4");
}

#[test]
fn the_source_address_itself_needs_none() {
    let via = "SIP/2.0/UDP 192.0.2.4:5070;branch=z9hG4bK1";
    assert_eq!(noted("192.0.2.4:5060", via), via);
}

/// Whoever sends one along would have responses go elsewhere.
#[test]
fn a_received_that_came_along_is_replaced() {
    let via = noted("192.0.2.4:5060", "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1;received=192.0.2.66");
    assert_eq!(via, "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1;received=192.0.2.4");
}

/// RFC 3581 §4.
#[test]
fn rport_is_filled_in_beside_received() {
    let via = noted("192.0.2.4:6070", "SIP/2.0/UDP 192.0.2.4;rport;branch=z9hG4bK1");
    assert_eq!(via, "SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1;received=192.0.2.4;rport=6070");
}
