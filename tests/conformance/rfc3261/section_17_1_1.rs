//! §17.1.1: the INVITE client transaction. What RFC 6026 changed is in [`crate::rfc6026`].

use signalbox_sip::transaction::{Ended, InviteClient, Send};

use crate::timeline::Timeline;

/// §17.1.1.2: the request is "retransmitted with intervals that double after each transmission", six times in 64·T1.
#[test]
fn an_unanswered_invite_is_sent_seven_times_over_udp() {
    let timeline = Timeline::start(InviteClient::new(false)).run_out();
    assert_eq!(timeline.originals(), [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(timeline.ended, Some((32_000, Ended::Timeout)));
}

/// §17.1.1.2: "If a reliable transport is being used, the client transaction SHOULD NOT start timer A"; timer B is
/// started for any transport.
#[test]
fn over_tcp_it_is_sent_once_and_times_out_all_the_same() {
    let timeline = Timeline::start(InviteClient::new(true)).run_out();
    assert_eq!(timeline.originals(), [0]);
    assert_eq!(timeline.ended, Some((32_000, Ended::Timeout)));
}

/// "If the client transaction receives a provisional response while in the Calling state […] the client transaction
/// SHOULD NOT retransmit the request any longer. Furthermore, the provisional response MUST be passed to the TU."
#[test]
fn a_provisional_response_stops_retransmission_and_timer_b() {
    let timeline = Timeline::start(InviteClient::new(false)).until(700).and(|m, t| m.on_response(100, t));
    let timeline = timeline.until(20_000).and(|m, t| m.on_response(180, t)).run_out();
    assert_eq!(timeline.originals(), [0, 500]);
    assert_eq!(timeline.delivered, [700, 20_000]);
    assert_eq!(timeline.ended, None);
}

/// "When in either the Calling or Proceeding states, reception of a response with status code from 300-699 MUST cause
/// the client transaction to transition to Completed. The client transaction MUST pass the received response up to the
/// TU, and the client transaction MUST generate an ACK request, even if the transport is reliable".
#[test]
fn every_failure_is_acknowledged_but_delivered_once() {
    let timeline = Timeline::start(InviteClient::new(false)).until(100).and(|m, t| m.on_response(486, t));
    let timeline = timeline.until(600).and(|m, t| m.on_response(486, t)).until(1600).and(|m, t| m.on_response(486, t));
    assert_eq!(timeline.times(Send::Ack), [100, 600, 1600]);
    assert_eq!(timeline.delivered, [100]);
    let timeline = timeline.run_out();
    assert_eq!(timeline.originals(), [0]);
    // Timer D: "at least 32 seconds for unreliable transports".
    assert_eq!(timeline.ended, Some((32_100, Ended::Normal)));
}

/// Timer D: "a value of zero seconds for reliable transports".
#[test]
fn over_tcp_a_failure_ends_it_at_once() {
    let timeline = Timeline::start(InviteClient::new(true)).until(100).and(|m, t| m.on_response(603, t));
    assert_eq!((timeline.times(Send::Ack), timeline.delivered.clone()), (vec![100], vec![100]));
    assert_eq!(timeline.ended, Some((100, Ended::Normal)));
}

/// §17.1.4: "The client transaction SHOULD inform the TU that a transport failure has occurred, and the client transaction
/// SHOULD transition directly to the "Terminated" state."
#[test]
fn a_transport_error_ends_it() {
    let timeline = Timeline::start(InviteClient::new(false)).until(10).and(|m, _| m.on_transport_error());
    assert_eq!(timeline.run_out().ended, Some((10, Ended::TransportError)));
}
