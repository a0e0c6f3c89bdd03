//! §16.7, §16.8 and §16.9: what a forking proxy makes of responses, time-outs and transport errors.

use signalbox_sip::fork::{BranchId, Fork, Outcome, Step};

const A: BranchId = BranchId(0);
const B: BranchId = BranchId(1);
const C: BranchId = BranchId(2);
const D: BranchId = BranchId(3);

fn fork(invite: bool, qs: &[u16]) -> Fork {
    let mut fork = Fork::new(invite);
    for &q in qs {
        fork.add(q).unwrap();
    }
    fork.launch();
    fork
}

/// Step 5: "Until a final response has been sent on the server transaction, the following responses MUST be forwarded
/// immediately": "Any provisional response other than 100 (Trying)" and "Any 2xx response".
#[test]
fn step_5_what_is_forwarded_at_once() {
    let mut fork = fork(true, &[1000, 1000]);
    assert!(fork.on_response(A, 100).is_empty());
    assert_eq!(fork.on_response(A, 180)[..], [Step::Forward(A)]);
    assert_eq!(fork.on_response(B, 199)[..], [Step::Forward(B)]);
    assert_eq!(fork.on_response(A, 200)[0], Step::Forward(A));
}

/// Step 5: "After a final response has been sent on the server transaction, the following responses MUST be forwarded
/// immediately": "Any 2xx response to an INVITE request", and no other.
#[test]
fn step_5_what_is_forwarded_after_a_final_response() {
    let mut fork = fork(true, &[1000, 1000, 1000]);
    fork.on_response(A, 200);
    assert!(fork.on_response(B, 183).is_empty());
    assert!(fork.on_response(B, 404).is_empty());
    assert_eq!(fork.on_response(C, 200)[0], Step::Forward(C));
}

/// Step 5: "a stateful proxy will forward exactly one final response to a non-INVITE request".
#[test]
fn step_5_one_final_response_to_a_non_invite() {
    let mut fork = fork(false, &[1000, 1000]);
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A)]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Done]);
}

/// Step 5: "If a 6xx response is received, it is not immediately forwarded, but the stateful proxy SHOULD cancel all
/// client pending transactions […], and it MUST NOT create any new branches in this context."
#[test]
fn step_5_a_6xx_cancels_and_waits() {
    let mut fork = fork(true, &[1000, 1000, 500]);
    assert_eq!(fork.on_response(A, 600)[..], [Step::Keep(A), Step::Cancel(B)]);
    assert_eq!(fork.on_response(B, 487)[..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// Step 5: "a 2xx response could arrive on another branch, in which case the proxy would have to forward the 2xx".
#[test]
fn step_5_a_2xx_after_a_6xx_is_the_only_final_response() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 603);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Done]);
}

/// Step 6: "A stateful proxy MUST send a final response […] if no final responses have been immediately forwarded by the
/// above rules and all client transactions in this response context have been terminated."
#[test]
fn step_6_the_choice_waits_for_all_branches() {
    let mut fork = fork(true, &[1000, 1000]);
    assert_eq!(fork.on_response(A, 404)[..], [Step::Keep(A)]);
    assert_eq!(fork.on_response(B, 500)[..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// Step 6: "If there are no final responses in the context, the proxy MUST send a 408 (Request Timeout) response".
#[test]
fn step_6_408_when_nobody_answers() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_timeout(A);
    assert_eq!(fork.on_timeout(B)[..], [Step::Final(Outcome::Own(408)), Step::Done]);
}

/// Step 6: "For example, if a proxy forwarded a request to 4 locations, and received 503, 407, 501, and 404 responses, it
/// may choose to forward the 407 (Proxy Authentication Required) response."
#[test]
fn step_6_the_example() {
    let mut fork = fork(true, &[1000; 4]);
    fork.on_response(A, 503);
    fork.on_response(B, 407);
    fork.on_response(C, 501);
    assert_eq!(fork.on_response(D, 404)[..], [Step::Final(Outcome::Kept(B)), Step::Done]);
}

/// Step 6: "It MUST choose from the 6xx class responses if any exist in the context."
#[test]
fn step_6_6xx_is_chosen_over_all() {
    let mut fork = fork(true, &[1000; 3]);
    fork.on_response(A, 302);
    fork.on_response(B, 401);
    assert_eq!(fork.on_response(C, 600)[..], [Step::Keep(C), Step::Final(Outcome::Kept(C)), Step::Done]);
}

/// Step 6: "If the only response that was received is a 503, the proxy SHOULD generate a 500 response and forward that
/// upstream."
#[test]
fn step_6_a_503_is_not_passed_on() {
    for invite in [true, false] {
        let mut fork = fork(invite, &[1000]);
        assert_eq!(fork.on_response(A, 503)[..], [Step::Keep(A), Step::Final(Outcome::Own(500)), Step::Done]);
    }
}

/// Step 7: "the proxy MUST collect any WWW-Authenticate and Proxy-Authenticate header field values from all other 401 […]
/// and 407 […] responses received so far in this response context and add them to this response".
#[test]
fn step_7_challenges_are_collected() {
    let mut fork = fork(false, &[1000; 3]);
    assert_eq!(fork.on_response(A, 407)[..], [Step::Keep(A)]);
    assert_eq!(fork.on_response(B, 404)[..], []);
    let steps = fork.on_response(C, 401);
    assert_eq!(steps[..], [Step::Challenge(C), Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// Step 10: "If the forwarded response was a final response, the proxy MUST generate a CANCEL request for all pending
/// client transactions", each once.
#[test]
fn step_10_the_others_are_cancelled_once() {
    let mut fork = fork(true, &[1000; 3]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Cancel(A), Step::Cancel(C)]);
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A)]);
}

/// §16.8: "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL request […] If
/// [it] has not received a provisional response, the proxy MUST behave as if the transaction received a 408".
#[test]
fn timer_c() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 180);
    assert_eq!(fork.on_timer_c(A)[..], [Step::Cancel(A)]);
    assert!(fork.on_timer_c(B).is_empty());
    assert_eq!(fork.on_response(A, 487)[1..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// §16.9: "the proxy MUST behave as if the forwarded request received a 503".
#[test]
fn a_transport_error_counts_as_503() {
    let mut fork = fork(true, &[1000, 500]);
    assert_eq!(fork.on_transport_error(A)[..], [Step::Launch(B)]);
    assert_eq!(fork.on_transport_error(B)[..], [Step::Final(Outcome::Own(500)), Step::Done]);
}
