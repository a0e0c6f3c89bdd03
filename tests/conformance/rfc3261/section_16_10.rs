//! §16.10: a CANCEL for a request that is being proxied.

use signalbox_sip::fork::{BranchId, Fork, Outcome, Step};

const A: BranchId = BranchId(0);
const B: BranchId = BranchId(1);

fn fork(invite: bool, qs: &[u16]) -> Fork {
    let mut fork = Fork::new(invite);
    for &q in qs {
        fork.add(q).unwrap();
    }
    fork.launch();
    fork
}

/// "the element MUST generate CANCEL requests for all pending client transactions in the context".
#[test]
fn all_pending_branches_are_cancelled() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 180);
    assert_eq!(fork.cancel()[..], [Step::Cancel(A), Step::Cancel(B)]);
}

#[test]
fn targets_not_yet_tried_are_not_tried_any_more() {
    let mut fork = fork(true, &[1000, 500]);
    fork.cancel();
    let steps = fork.on_response(A, 487);
    assert_eq!(steps[..], [Step::Keep(A), Step::Final(Outcome::Kept(A)), Step::Done]);
    assert!(!fork.reopen());
}

/// The caller's 487 comes from the branches; the CANCEL's own 200 is given before, by its own server transaction.
#[test]
fn a_487_is_preferred_once_the_request_is_cancelled() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 486);
    fork.cancel();
    let steps = fork.on_response(B, 487);
    assert_eq!(steps[..], [Step::Keep(B), Step::Final(Outcome::Kept(B)), Step::Done]);
}

/// The race: the callee answers while the CANCEL is on its way.
#[test]
fn a_2xx_that_crosses_the_cancel_is_forwarded() {
    let mut fork = fork(true, &[1000]);
    fork.cancel();
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A), Step::Done]);
}

/// §9.2: "A CANCEL request has no impact on the processing of transactions with any other method".
#[test]
fn other_requests_are_not_cancelled() {
    let mut fork = fork(false, &[1000]);
    assert!(fork.cancel().is_empty());
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A), Step::Done]);
}
