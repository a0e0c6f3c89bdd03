//! MESSAGE from device to device, by SIPp.

use crate::support::place::Place;
use crate::support::server::Server;
use crate::support::sipp::{self, Sipp};

#[test]
fn messages_go_both_ways() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register", "alice", 5070).with("expires", 600).play();
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).play();
    exchange(&place, ("alice", 5080), ("bob", 5071), "hello bob");
    exchange(&place, ("bob", 5081), ("alice", 5070), "hello alice");
}

#[test]
fn a_message_over_tcp_reaches_a_device_on_udp() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).play();
    let receiver = Sipp::new(&place, "message_receive", "bob", 5071).with("text", "over tcp").start();
    send(&place, ("alice", 5080), "bob", "over tcp", 200).over_tcp().play();
    receiver.succeeds();
}

#[test]
fn a_message_for_somebody_who_is_not_there_gets_404() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    send(&place, ("alice", 5080), "bob", "anybody there?", 404).play();
}

fn exchange(place: &Place, from: (&str, u16), to: (&str, u16), text: &str) {
    let receiver = Sipp::new(place, "message_receive", to.0, to.1).with("text", text).start();
    send(place, from, to.0, text, 200).play();
    receiver.succeeds();
}

fn send<'a>(place: &'a Place, from: (&str, u16), to: &str, text: &str, status: u16) -> Sipp<'a> {
    Sipp::new(place, "message_send", from.0, from.1).with("to", to).with("text", text).with("status", status)
}
