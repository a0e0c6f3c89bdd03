//! §17.2.2: the non-INVITE server transaction. What RFC 4320 changed is in [`crate::rfc4320`].

use signalbox_sip::transaction::{Ended, ServerTransaction};

use crate::timeline::Timeline;

/// "Once in the Trying state, any further request retransmissions are discarded."
#[test]
fn repetitions_before_any_response_are_discarded() {
    let timeline = Timeline::start(ServerTransaction::new(false)).until(500).and(|m, _| m.on_request());
    assert_eq!((timeline.sent.clone(), timeline.delivered.clone()), (vec![], vec![0]));
}

/// "While in the Completed state, the server transaction MUST pass the final response to the transport layer for
/// retransmission whenever a retransmission of the request is received." Timer J: 64·T1.
#[test]
fn repetitions_get_the_final_response_until_timer_j() {
    let timeline = Timeline::start(ServerTransaction::new(false)).until(100).and(|m, t| m.respond(200, t));
    let timeline = timeline.until(500).and(|m, _| m.on_request()).until(31_000).and(|m, _| m.on_request());
    let timeline = timeline.run_out();
    assert_eq!((timeline.originals(), timeline.delivered.clone()), (vec![100, 500, 31_000], vec![0]));
    assert_eq!(timeline.ended, Some((32_100, Ended::Normal)));
}

/// "Any other final responses passed by the TU to the server transaction MUST be discarded while in the Completed
/// state."
#[test]
fn a_second_final_response_is_discarded() {
    let timeline = Timeline::start(ServerTransaction::new(false)).and(|m, t| m.respond(404, t));
    assert_eq!(timeline.and(|m, t| m.respond(200, t)).originals(), [0]);
}

/// Timer J: "zero seconds for reliable transports".
#[test]
fn over_tcp_the_final_response_ends_it() {
    let timeline = Timeline::start(ServerTransaction::new(true)).until(100).and(|m, t| m.respond(200, t));
    assert_eq!((timeline.originals(), timeline.ended), (vec![100], Some((100, Ended::Normal))));
}
