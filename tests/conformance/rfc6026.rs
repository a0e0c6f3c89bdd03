//! RFC 6026: correct transaction handling for 2xx responses to INVITE.

use signalbox_sip::transaction::{Ended, InviteClient, InviteServer};

use crate::timeline::Timeline;

/// §7.1: "in the 'Accepted' state, any retransmissions of the INVITE received will match this transaction state machine
/// and will be absorbed by the machine without changing its state." Timer L: 64·T1 "for all transports" (§8.7).
#[test]
fn a_server_absorbs_repeated_invites_for_64_t1_after_a_2xx() {
    for reliable in [false, true] {
        let timeline = Timeline::start(InviteServer::new(reliable)).until(100).and(|m, t| m.respond(200, t));
        let timeline = timeline.until(600).and(|m, _| m.on_request()).run_out();
        assert_eq!((timeline.originals(), timeline.delivered.clone()), (vec![100], vec![0]));
        assert_eq!(timeline.ended, Some((32_100, Ended::Normal)));
    }
}

/// §7.1: "The server transaction MUST NOT generate 2xx retransmissions on its own. Any retransmission of the 2xx response
/// passed from the TU to the transaction while in the 'Accepted' state MUST be passed to the transport layer".
#[test]
fn only_the_user_repeats_a_2xx() {
    let timeline = Timeline::start(InviteServer::new(false)).and(|m, t| m.respond(200, t));
    let timeline = timeline.until(500).and(|m, t| m.respond(200, t)).until(1500).and(|m, t| m.respond(200, t));
    assert_eq!(timeline.run_out().originals(), [0, 500, 1500]);
}

/// §7.1: "Any ACKs received from the network while in the 'Accepted' state MUST be passed directly to the TU and not
/// absorbed."
#[test]
fn an_ack_after_a_2xx_reaches_the_user() {
    let timeline = Timeline::start(InviteServer::new(false)).and(|m, t| m.respond(200, t));
    assert_eq!(timeline.until(300).and(|m, t| m.on_ack(t)).delivered, [0, 300]);
}

/// §7.2: 2xx responses "received while in the 'Accepted' state MUST be passed to the TU". Timer M: 64·T1.
#[test]
fn a_client_passes_every_2xx_up_for_64_t1() {
    for reliable in [false, true] {
        let timeline = Timeline::start(InviteClient::new(reliable)).until(100).and(|m, t| m.on_response(200, t));
        let timeline = timeline.until(600).and(|m, t| m.on_response(200, t)).run_out();
        assert_eq!(timeline.delivered, [100, 600]);
        assert_eq!(timeline.ended, Some((32_100, Ended::Normal)));
        // "The client transaction MUST NOT generate an ACK to any 2xx response on its own."
        assert_eq!(timeline.sent.len(), 1);
    }
}

/// Figure 5: what is no 2xx has no transition from "Accepted".
#[test]
fn a_client_that_saw_a_2xx_ignores_other_responses() {
    let timeline = Timeline::start(InviteClient::new(false)).until(100).and(|m, t| m.on_response(200, t));
    let timeline = timeline.and(|m, t| m.on_response(180, t)).and(|m, t| m.on_response(486, t));
    assert_eq!((timeline.delivered.clone(), timeline.sent.len()), (vec![100], 1));
}
