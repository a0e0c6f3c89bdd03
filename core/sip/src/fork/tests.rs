//! What follows from each event.

use proptest::prelude::*;

use super::*;

const A: BranchId = BranchId(0);
const B: BranchId = BranchId(1);
const C: BranchId = BranchId(2);

fn launched(invite: bool, qs: &[u16]) -> Fork {
    let mut fork = Fork::new(invite);
    for &q in qs {
        fork.add(q).unwrap();
    }
    fork.launch();
    fork
}

/// The outcome when each branch fails with one of these.
fn outcome(invite: bool, statuses: &[u16]) -> Outcome {
    let mut fork = launched(invite, &vec![1000; statuses.len()]);
    let mut last = Steps::new();
    for (index, &status) in statuses.iter().enumerate() {
        last = fork.on_response(id(index), status);
    }
    match last[last.len() - 2..] {
        [Step::Final(outcome), Step::Done] => outcome,
        _ => panic!("no final step in {last:?}"),
    }
}

#[test]
fn equal_q_runs_in_parallel_and_lower_q_afterwards() {
    let mut fork = Fork::new(true);
    for q in [500, 1000, 500, 1000] {
        fork.add(q).unwrap();
    }
    let d = BranchId(3);
    assert_eq!(fork.launch()[..], [Step::Launch(B), Step::Launch(d)]);
    assert_eq!(fork.on_response(B, 404)[..], [Step::Keep(B)]);
    assert_eq!(fork.on_response(d, 404)[..], [Step::Launch(A), Step::Launch(C)]);
}

#[test]
fn no_more_branches_run_than_the_breadth_has_shares() {
    // RFC 5393 §5.5: a Max-Breadth of 4 and 8 targets; here 3 and 5.
    let mut fork = Fork::new(true);
    fork.limit_breadth(3);
    for _ in 0..5 {
        fork.add(1000).unwrap();
    }
    assert_eq!(fork.launch()[..], [Step::Launch(A), Step::Launch(B), Step::Launch(C)]);
    assert_eq!(fork.share(), 1);
    assert_eq!(fork.on_response(B, 404)[..], [Step::Keep(B), Step::Launch(id(3))]);
    assert_eq!(fork.on_response(A, 404)[..], [Step::Launch(id(4))]);
    assert!(fork.on_response(C, 404).is_empty());
    assert!(fork.on_response(id(3), 404).is_empty());
    assert_eq!(fork.on_response(id(4), 404)[..], [Step::Final(Outcome::Kept(B)), Step::Done]);
}

#[test]
fn the_breadth_is_shared_out_anew_in_each_group() {
    let mut fork = Fork::new(true);
    for q in [1000, 500, 500, 500] {
        fork.add(q).unwrap();
    }
    fork.launch();
    assert_eq!(fork.share(), MAX_BREADTH);
    assert_eq!(fork.on_response(A, 404).len(), 4);
    assert_eq!(fork.share(), MAX_BREADTH / 3);
}

#[test]
fn provisional_responses_but_100_are_forwarded_at_once_for_invite_only() {
    let mut fork = launched(true, &[1000]);
    assert!(fork.on_response(A, 100).is_empty());
    assert_eq!(fork.on_response(A, 183)[..], [Step::Forward(A)]);
    let mut fork = launched(false, &[1000]);
    assert!(fork.on_response(A, 100).is_empty());
    assert!(fork.on_response(A, 183).is_empty());
}

#[test]
fn a_2xx_is_forwarded_and_cancels_the_others() {
    let mut fork = launched(true, &[1000, 1000, 500]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Cancel(A)]);
    assert!(fork.on_response(A, 180).is_empty());
    assert_eq!(fork.on_response(A, 487)[..], [Step::Done]);
}

#[test]
fn every_2xx_to_an_invite_is_forwarded() {
    let mut fork = launched(true, &[1000, 1000]);
    fork.on_response(A, 200);
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A)]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Done]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B)]);
}

#[test]
fn only_the_first_2xx_to_another_request_is_forwarded() {
    let mut fork = launched(false, &[1000, 1000]);
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A)]);
    assert_eq!(fork.on_response(B, 202)[..], [Step::Done]);
    assert!(fork.on_response(B, 200).is_empty());
}

#[test]
fn a_6xx_stops_the_search_but_waits_for_the_others() {
    let mut fork = launched(true, &[1000, 1000, 500]);
    assert_eq!(fork.on_response(A, 603)[..], [Step::Keep(A), Step::Cancel(B)]);
    assert_eq!(fork.on_response(B, 487)[..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

#[test]
fn a_2xx_after_a_6xx_wins() {
    let mut fork = launched(true, &[1000, 1000]);
    fork.on_response(A, 603);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Done]);
}

#[test]
fn the_best_response_is_a_6xx_then_of_the_lowest_class_then_one_that_helps() {
    for (statuses, best) in [
        // The example of §16.7 step 6.
        (&[503, 407, 501, 404][..], B),
        (&[404, 603, 302], B),
        (&[404, 500, 302], C),
        (&[500, 404], B),
        (&[404, 486, 480], A),
        (&[404, 484, 401], C),
        (&[404, 415], B),
        (&[486, 487], A),
        (&[487, 486], B),
        (&[408, 404], B),
        (&[503, 500], B),
    ] {
        assert_eq!(outcome(true, statuses), Outcome::Kept(best), "{statuses:?}");
    }
}

#[test]
fn challenges_of_later_branches_are_added_to_the_kept_one() {
    let mut fork = launched(true, &[1000, 1000, 1000]);
    assert_eq!(fork.on_response(B, 404)[..], [Step::Keep(B)]);
    assert_eq!(fork.on_response(A, 407)[..], [Step::Keep(A)]);
    let last = [Step::Challenge(C), Step::Final(Outcome::Kept(A)), Step::Done];
    assert_eq!(fork.on_response(C, 401)[..], last);
}

#[test]
fn a_503_becomes_a_500_when_nothing_better_came() {
    assert_eq!(outcome(true, &[503]), Outcome::Own(500));
    assert_eq!(outcome(false, &[503, 503]), Outcome::Own(500));
    assert_eq!(outcome(true, &[503, 486]), Outcome::Kept(B));
}

#[test]
fn silence_on_all_branches_is_408_for_invite_and_silence_for_others() {
    let mut fork = launched(true, &[1000]);
    assert_eq!(fork.on_timeout(A)[..], [Step::Final(Outcome::Own(408)), Step::Done]);
    let mut fork = launched(false, &[1000]);
    assert_eq!(fork.on_timeout(A)[..], [Step::Final(Outcome::Silence), Step::Done]);
    assert_eq!(outcome(false, &[408]), Outcome::Silence);
    assert_eq!(outcome(false, &[408, 503]), Outcome::Own(500));
    assert_eq!(outcome(false, &[408, 404]), Outcome::Kept(B));
}

#[test]
fn a_503_is_worse_than_other_failures_and_alone_is_answered_500() {
    let mut fork = launched(true, &[1000, 1000]);
    assert_eq!(fork.on_response(A, 503)[..], [Step::Keep(A)]);
    assert_eq!(fork.on_response(B, 404)[..], [Step::Keep(B), Step::Final(Outcome::Kept(B)), Step::Done]);
    let mut fork = launched(true, &[1000]);
    assert_eq!(fork.on_response(A, 503)[..], [Step::Keep(A), Step::Final(Outcome::Own(500)), Step::Done]);
}

#[test]
fn cancelling_stops_branches_that_have_not_answered_and_launches_no_more() {
    let mut fork = launched(true, &[1000, 1000, 500]);
    fork.on_response(A, 404);
    assert_eq!(fork.cancel()[..], [Step::Cancel(B)]);
    assert!(fork.cancel().is_empty());
    let last = [Step::Keep(B), Step::Final(Outcome::Kept(B)), Step::Done];
    assert_eq!(fork.on_response(B, 487)[..], last);
}

#[test]
fn a_cancelled_request_that_nobody_answered_ends_with_487() {
    let mut fork = launched(true, &[1000]);
    fork.cancel();
    assert_eq!(fork.on_timeout(A)[..], [Step::Final(Outcome::Own(487)), Step::Done]);
    let mut fork = Fork::new(true);
    fork.add(1000).unwrap();
    assert_eq!(fork.cancel()[..], [Step::Final(Outcome::Own(487)), Step::Done]);
    assert_eq!(fork.launch()[..], [Step::Done]);
}

#[test]
fn cancel_has_no_effect_on_other_requests() {
    let mut fork = launched(false, &[1000]);
    assert!(fork.cancel().is_empty());
    assert!(!fork.is_cancelled());
}

#[test]
fn timer_c_cancels_a_ringing_branch_and_gives_up_a_silent_one() {
    let mut fork = launched(true, &[1000, 500]);
    fork.on_response(A, 180);
    assert_eq!(fork.on_timer_c(A)[..], [Step::Cancel(A)]);
    assert!(fork.on_timer_c(A).is_empty());
    assert_eq!(fork.on_response(A, 487)[..], [Step::Keep(A), Step::Launch(B)]);
    assert_eq!(fork.on_timer_c(B)[..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

#[test]
fn a_failure_route_can_go_on_with_another_target() {
    let mut fork = launched(true, &[1000]);
    fork.on_response(A, 603);
    assert!(fork.reopen());
    assert_eq!(fork.add(1000), Some(B));
    assert_eq!(fork.launch()[..], [Step::Launch(B)]);
    assert!(!fork.reopen());
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Done]);
}

#[test]
fn a_failure_route_cannot_go_on_after_a_cancel() {
    let mut fork = launched(true, &[1000]);
    fork.on_response(A, 486);
    assert!(fork.cancel().is_empty());
    assert!(!fork.reopen());
}

#[test]
fn without_targets_the_answer_is_480() {
    assert_eq!(Fork::new(true).launch()[..], [Step::Final(Outcome::Own(480)), Step::Done]);
}

#[test]
fn the_number_of_branches_is_limited() {
    let mut fork = Fork::new(true);
    assert!((0..MAX_BRANCHES).all(|_| fork.add(1000).is_some()));
    assert_eq!(fork.add(1000), None);
}

#[test]
fn events_of_unknown_or_waiting_branches_change_nothing() {
    let mut fork = launched(true, &[1000, 500]);
    for branch in [B, C] {
        assert!(fork.on_response(branch, 180).is_empty());
        assert!(fork.on_response(branch, 200).is_empty());
        assert!(fork.on_response(branch, 404).is_empty());
        assert!(fork.on_timer_c(branch).is_empty());
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Response(u8, u16),
    Timeout(u8),
    TimerC(u8),
    Cancel,
}

fn events() -> impl Strategy<Value = Event> {
    let statuses = prop::sample::select(vec![100, 180, 200, 302, 401, 404, 407, 408, 487, 503, 603]);
    prop_oneof![
        4 => (0..6_u8, statuses).prop_map(|(branch, status)| Event::Response(branch, status)),
        1 => (0..6_u8).prop_map(Event::Timeout),
        1 => (0..6_u8).prop_map(Event::TimerC),
        1 => Just(Event::Cancel),
    ]
}

proptest! {
    /// Exactly one answer, each branch launched and cancelled at most once, nothing launched once closed.
    #[test]
    fn every_request_is_answered_exactly_once(
        invite in any::<bool>(),
        qs in prop::collection::vec(0..3_u16, 0..6),
        events in prop::collection::vec(events(), 0..40),
    ) {
        let mut fork = Fork::new(invite);
        for &q in &qs {
            fork.add(q);
        }
        let mut steps = fork.launch().to_vec();
        for event in events {
            steps.extend(match event {
                Event::Response(branch, status) => {
                    let steps = fork.on_response(BranchId(branch), status);
                    let success = (200..300).contains(&status);
                    prop_assert!(!success || steps.iter().all(|step| !matches!(step, Step::Launch(_))));
                    steps
                }
                Event::Timeout(branch) => fork.on_timeout(BranchId(branch)),
                Event::TimerC(branch) => fork.on_timer_c(BranchId(branch)),
                Event::Cancel => fork.cancel(),
            });
        }
        while fork.is_pending() {
            for branch in 0..6 {
                steps.extend(fork.on_timeout(BranchId(branch)));
            }
        }
        let count = |wanted: &dyn Fn(&Step) -> bool| steps.iter().filter(|step| wanted(step)).count();
        let finals = count(&|step| matches!(step, Step::Final(_)));
        prop_assert!(finals <= 1);
        prop_assert_eq!(count(&|step| matches!(step, Step::Done)).min(1), 1);
        if !invite {
            prop_assert_eq!(finals + count(&|step| matches!(step, Step::Forward(_))), 1);
            prop_assert_eq!(count(&|step| matches!(step, Step::Cancel(_))), 0);
        }
        for branch in (0..6).map(BranchId) {
            prop_assert!(count(&|step| *step == Step::Launch(branch)) <= 1);
            prop_assert!(count(&|step| *step == Step::Cancel(branch)) <= 1);
        }
    }
}
