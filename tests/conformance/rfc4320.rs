//! RFC 4320: problems of the non-INVITE transaction.

use signalbox_sip::fork::{Fork, Outcome, Step};
use signalbox_sip::transaction::{Ended, Send, ServerTransaction};

use crate::timeline::Timeline;

/// §4.1: "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to a non-INVITE
/// request."
#[test]
fn no_provisional_response_but_100() {
    for reliable in [false, true] {
        let timeline = Timeline::start(ServerTransaction::new(reliable)).and(|m, t| m.respond(180, t));
        assert!(timeline.and(|m, t| m.respond(183, t)).sent.is_empty());
    }
    let mut fork = Fork::new(false);
    let branch = fork.add(1000).unwrap();
    fork.launch();
    assert!(fork.on_response(branch, 180).is_empty());
}

/// §4.1: "MUST NOT respond to a non-INVITE request with a Status-Code of 100 over any unreliable transport, such as UDP,
/// before the amount of time it takes a client transaction's Timer E to be reset to T2", but "MUST respond […] if it has
/// not otherwise responded after" it.
#[test]
fn a_100_over_udp_comes_when_timer_e_has_reached_t2_and_not_before() {
    let timeline = Timeline::start(ServerTransaction::new(false)).until(3499).and(|m, t| m.respond(100, t));
    assert!(timeline.sent.is_empty());
    let timeline = timeline.until(5000).and(|m, _| m.on_request());
    assert_eq!(timeline.sent, [(3500, Send::Trying), (5000, Send::Original)]);
}

/// §4.1: "MAY respond to a non-INVITE request with a Status-Code of 100 over a reliable transport at any time", and must
/// after the same time whatever the transport is.
#[test]
fn a_100_over_tcp_is_allowed_at_once_and_due_in_the_end() {
    let timeline = Timeline::start(ServerTransaction::new(true)).until(1).and(|m, t| m.respond(100, t)).until(5000);
    assert_eq!(timeline.sent, [(1, Send::Original)]);
    let timeline = Timeline::start(ServerTransaction::new(true)).until(5000);
    assert_eq!(timeline.sent, [(3500, Send::Trying)]);
}

/// §4.2: "A transaction-stateful SIP element MUST NOT send a response with Status-Code of 408 to a non-INVITE request."
#[test]
fn no_408_to_a_non_invite() {
    let timeline = Timeline::start(ServerTransaction::new(false)).until(100).and(|m, t| m.respond(408, t));
    assert!(timeline.sent.is_empty());
    assert_eq!(timeline.ended, Some((100, Ended::Normal)));
    for status in [None, Some(408)] {
        let mut fork = Fork::new(false);
        let branch = fork.add(1000).unwrap();
        fork.launch();
        let steps = match status {
            None => fork.on_timeout(branch),
            Some(status) => fork.on_response(branch, status),
        };
        assert!(steps.contains(&Step::Final(Outcome::Silence)), "{status:?}");
    }
}

/// §4.2: a proxy "MUST NOT send any response to a non-INVITE request unless it has a matching server transaction that is
/// not in the Terminated state."
#[test]
fn a_late_response_is_not_sent() {
    let timeline = Timeline::start(ServerTransaction::new(false)).until(100).and(|m, _| m.abandon());
    assert!(timeline.until(200).and(|m, t| m.respond(200, t)).sent.is_empty());
}
