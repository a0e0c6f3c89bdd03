//! §17.2.1: the INVITE server transaction. What RFC 6026 changed is in [`crate::rfc6026`].

use signalbox_sip::transaction::{Ended, InviteServer, Send};

use crate::timeline::Timeline;

/// "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will generate a
/// provisional or final response within 200 ms".
#[test]
fn a_slow_user_is_covered_by_a_100_after_200_ms() {
    let timeline = Timeline::start(InviteServer::new(false)).until(1000);
    assert_eq!(timeline.sent, [(200, Send::Trying)]);
    let timeline = Timeline::start(InviteServer::new(false)).until(50).and(|m, t| m.respond(180, t)).until(1000);
    assert_eq!(timeline.sent, [(50, Send::Original)]);
}

/// "If a request retransmission is received while in the Proceeding state, the most recent provisional response that
/// was received from the TU MUST be passed to the transport layer for retransmission."
#[test]
fn a_repeated_invite_gets_the_newest_provisional_response() {
    let timeline = Timeline::start(InviteServer::new(false)).until(100).and(|m, _| m.on_request());
    assert!(timeline.sent.is_empty());
    let timeline = timeline.and(|m, t| m.respond(180, t)).until(500).and(|m, _| m.on_request()).until(600);
    assert_eq!((timeline.originals(), timeline.delivered.clone()), (vec![100, 500], vec![0]));
}

/// "timer G is set to fire in T1 seconds […] If timer G fires, the response is passed to the transport layer once more
/// for retransmission, and timer G is set to fire in MIN(2*T1, T2) seconds." Timer H: 64·T1.
#[test]
fn a_failure_is_repeated_until_timer_h_without_an_ack() {
    let timeline = Timeline::start(InviteServer::new(false)).and(|m, t| m.respond(486, t)).run_out();
    assert_eq!(timeline.originals(), [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(timeline.ended, Some((32_000, Ended::Timeout)));
}

/// "while in the Completed state, if a request retransmission is received, the server SHOULD pass the response to the
/// transport for retransmission."
#[test]
fn a_repeated_invite_gets_the_failure_again() {
    let timeline = Timeline::start(InviteServer::new(true)).and(|m, t| m.respond(486, t));
    let timeline = timeline.until(300).and(|m, _| m.on_request());
    assert_eq!((timeline.originals(), timeline.delivered.clone()), (vec![0, 300], vec![0]));
}

/// "If an ACK is received while the server transaction is in the Completed state, the server transaction MUST
/// transition to the Confirmed state. As Timer G is ignored in this state, any retransmissions of the response will
/// cease." Timer I: T4.
#[test]
fn the_ack_stops_the_repetition_and_is_absorbed() {
    let timeline = Timeline::start(InviteServer::new(false)).and(|m, t| m.respond(486, t));
    let timeline = timeline.until(700).and(|m, t| m.on_ack(t)).until(900).and(|m, t| m.on_ack(t)).run_out();
    assert_eq!((timeline.originals(), timeline.delivered.clone()), (vec![0, 500], vec![0]));
    assert_eq!(timeline.ended, Some((5700, Ended::Normal)));
}

/// Timer G isn't started and timer I is zero over reliable transports.
#[test]
fn over_tcp_the_failure_is_sent_once_and_the_ack_ends_it() {
    let timeline = Timeline::start(InviteServer::new(true)).and(|m, t| m.respond(486, t)).until(10_000);
    let timeline = timeline.and(|m, t| m.on_ack(t)).run_out();
    assert_eq!((timeline.originals(), timeline.ended), (vec![0], Some((10_000, Ended::Normal))));
}

/// "Any other final responses passed by the TU to the server transaction MUST be discarded while in the Completed
/// state."
#[test]
fn a_second_final_response_is_discarded() {
    let timeline = Timeline::start(InviteServer::new(true)).and(|m, t| m.respond(486, t));
    let timeline = timeline.and(|m, t| m.respond(200, t)).and(|m, t| m.respond(603, t)).until(100);
    assert_eq!(timeline.originals(), [0]);
}
