//! §9.1: when a client sends CANCEL.

use signalbox_sip::transaction::{Ended, InviteClient, Send};

use crate::timeline::Timeline;

/// "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client MUST wait for
/// the arrival of a provisional response before sending the request."
#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let timeline = Timeline::start(InviteClient::new(false)).until(100).and(|m, t| m.cancel(t));
    assert!(timeline.times(Send::Cancel).is_empty());
    let timeline = timeline.until(800).and(|m, t| m.on_response(100, t)).and(|m, t| m.on_response(180, t));
    assert_eq!(timeline.times(Send::Cancel), [800]);
}

/// The INVITE itself goes on being retransmitted until something answers.
#[test]
fn a_cancel_that_waits_does_not_stop_retransmission() {
    let timeline = Timeline::start(InviteClient::new(false)).and(|m, t| m.cancel(t)).run_out();
    assert_eq!(timeline.originals().len(), 7);
    assert_eq!(timeline.ended, Some((32_000, Ended::Timeout)));
}

/// "If the original request has generated a final response, the CANCEL SHOULD NOT be sent, as it is an effective
/// no-op".
#[test]
fn no_cancel_follows_a_final_response() {
    for status in [200, 486] {
        let timeline = Timeline::start(InviteClient::new(false)).and(|m, t| m.cancel(t)).until(50);
        let timeline = timeline.and(|m, t| m.on_response(status, t)).and(|m, t| m.cancel(t)).run_out();
        assert!(timeline.times(Send::Cancel).is_empty(), "{status}");
    }
}

/// "If there is no final response for the original request in 64*T1 seconds […], the client SHOULD then consider the
/// original transaction cancelled and SHOULD destroy the client transaction handling the original request."
#[test]
fn a_cancelled_request_is_given_up_after_64_t1() {
    let timeline = Timeline::start(InviteClient::new(false)).until(100).and(|m, t| m.on_response(180, t));
    let timeline = timeline.until(60_000).and(|m, t| m.cancel(t)).run_out();
    assert_eq!(timeline.times(Send::Cancel), [60_000]);
    assert_eq!(timeline.ended, Some((92_000, Ended::Timeout)));
}

/// The usual case: the CANCEL leads to a 487, which is acknowledged like any failure.
#[test]
fn the_487_is_acknowledged() {
    let timeline = Timeline::start(InviteClient::new(true)).and(|m, t| m.on_response(180, t)).and(|m, t| m.cancel(t));
    let timeline = timeline.until(20).and(|m, t| m.on_response(487, t));
    assert_eq!((timeline.times(Send::Ack), timeline.ended), (vec![20], Some((20, Ended::Normal))));
}
