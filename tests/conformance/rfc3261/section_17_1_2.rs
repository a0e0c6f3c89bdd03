//! §17.1.2: the non-INVITE client transaction.

use signalbox_sip::transaction::{ClientTransaction, Ended};

use crate::timeline::Timeline;

/// §17.1.2.2: "this results in intervals of 500 ms, 1 s, 2 s, 4 s, 4 s, 4 s, etc." until timer F at 64·T1.
#[test]
fn an_unanswered_request_is_sent_eleven_times_over_udp() {
    let timeline = Timeline::start(ClientTransaction::new(false)).run_out();
    assert_eq!(timeline.originals(), [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(timeline.ended, Some((32_000, Ended::Timeout)));
}

#[test]
fn over_tcp_it_is_sent_once_and_times_out_all_the_same() {
    let timeline = Timeline::start(ClientTransaction::new(true)).run_out();
    assert_eq!(timeline.originals(), [0]);
    assert_eq!(timeline.ended, Some((32_000, Ended::Timeout)));
}

/// "If Timer E fires while in the Proceeding state, the request MUST be passed to the transport layer for
/// retransmission, and Timer E MUST be reset with a value of T2 seconds."
#[test]
fn after_a_100_it_is_repeated_every_t2_until_timer_f() {
    let timeline = Timeline::start(ClientTransaction::new(false)).until(100).and(|m, t| m.on_response(100, t));
    let timeline = timeline.run_out();
    assert_eq!(timeline.originals(), [0, 500, 4500, 8500, 12500, 16500, 20500, 24500, 28500]);
    assert_eq!((timeline.delivered.clone(), timeline.ended), (vec![100], Some((32_000, Ended::Timeout))));
}

/// "Once the client transaction enters the Completed state, it MUST set Timer K to fire in T4 seconds for unreliable
/// transports […] The Completed state exists to buffer any additional response retransmissions".
#[test]
fn a_final_response_is_delivered_once_and_awaited_for_t4() {
    let timeline = Timeline::start(ClientTransaction::new(false)).until(100).and(|m, t| m.on_response(200, t));
    let timeline = timeline.until(300).and(|m, t| m.on_response(200, t)).run_out();
    assert_eq!((timeline.originals(), timeline.delivered.clone()), (vec![0], vec![100]));
    assert_eq!(timeline.ended, Some((5100, Ended::Normal)));
}

/// Timer K: "zero seconds for reliable transports".
#[test]
fn over_tcp_a_final_response_ends_it_at_once() {
    let timeline = Timeline::start(ClientTransaction::new(true)).until(100).and(|m, t| m.on_response(404, t));
    assert_eq!((timeline.delivered.clone(), timeline.ended), (vec![100], Some((100, Ended::Normal))));
}
