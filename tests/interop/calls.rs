//! INVITE: answered, forked to two devices, cancelled. By SIPp.

use crate::support::server::Server;
use crate::support::sipp::{self, Sipp};

#[test]
fn a_call_is_set_up_and_ended_along_the_recorded_route() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).play();
    let callee = Sipp::new(&place, "call_answer", "bob", 5071).start();
    Sipp::new(&place, "call", "alice", 5080).with("to", "bob").play();
    callee.succeeds();
}

#[test]
fn a_forked_call_is_cancelled_where_it_was_not_answered() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).play();
    Sipp::new(&place, "register", "bob", 5072).with("expires", 600).play();
    let answering = Sipp::new(&place, "call_answer", "bob", 5071).start();
    let ringing = Sipp::new(&place, "call_ring", "bob", 5072).start();
    Sipp::new(&place, "call", "alice", 5080).with("to", "bob").play();
    answering.succeeds();
    ringing.succeeds();
}

#[test]
fn a_caller_who_gives_up_gets_487_and_the_device_stops_ringing() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).play();
    let ringing = Sipp::new(&place, "call_ring", "bob", 5071).start();
    Sipp::new(&place, "call_cancel", "alice", 5080).with("to", "bob").play();
    ringing.succeeds();
}
