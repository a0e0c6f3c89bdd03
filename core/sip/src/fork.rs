//! The response context of a forking proxy (RFC 3261 §16.6 and §16.7): which branch to try next, which response
//! to forward at once, which one in the end, which branches to cancel.
//!
//! Holds no message. The owner keeps at most one response, the last it was told to [`Step::Keep`], and lets each
//! branch's client transaction do the rest ([`super::transaction::InviteClient::cancel`] waits for a provisional
//! response by itself).
//!
//! ```
//! use signalbox_sip::fork::{Fork, Outcome, Step};
//!
//! let mut fork = Fork::new(true);
//! let desk = fork.add(1000).unwrap();
//! let voicemail = fork.add(100).unwrap();
//! assert_eq!(fork.launch()[..], [Step::Launch(desk)]);
//! assert_eq!(fork.on_response(desk, 180)[..], [Step::Forward(desk)]);
//! assert_eq!(fork.on_response(desk, 486)[..], [Step::Keep(desk), Step::Launch(voicemail)]);
//! assert_eq!(fork.on_response(voicemail, 404)[..], [Step::Final(Outcome::Kept(desk)), Step::Done]);
//! ```

use smallvec::SmallVec;

/// Most branches of one request, over all groups.
pub const MAX_BRANCHES: usize = 64;

/// Most branches of one request that run at the same time (RFC 5393 §5.3.3: 60 is recommended).
pub const MAX_BREADTH: u8 = 60;

/// A branch of one fork, counted from 0 in the order of [`Fork::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchId(pub u8);

/// What the owner has to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Send the request to this target, in a new client transaction.
    Launch(BranchId),
    /// Forward the response just reported (§16.7 step 5).
    Forward(BranchId),
    /// The response just reported is the best so far: keep it instead of the one kept before.
    Keep(BranchId),
    /// Add the WWW-Authenticate and Proxy-Authenticate values of the response just reported to those of the
    /// response that is kept, a 401 or 407 as well (§16.7 step 7).
    Challenge(BranchId),
    /// Cancel this branch's INVITE (§16.7 step 10).
    Cancel(BranchId),
    /// Answer the request: no 2xx came. Failure routes run before that; see [`Fork::reopen`].
    Final(Outcome),
    /// No branch is without a final response any more. Only further 2xx responses to an INVITE can follow.
    Done,
}

/// How the request is to be answered when no branch had a 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Forward the response that was kept; it came from this branch.
    Kept(BranchId),
    /// Send a response of one's own with this status: 408 when no branch responded (§16.7 step 6), 500 when the
    /// best is a 503 (which may be kept all the same), 487 when the request was cancelled, 480 without any target.
    Own(u16),
    /// Send nothing and let the server transaction go (RFC 4320 §4.2: no 408 to a non-INVITE request).
    Silence,
}

/// The steps that follow from one event.
pub type Steps = SmallVec<[Step; 4]>;

/// The response context of one request.
#[derive(Clone, Debug)]
pub struct Fork {
    invite: bool,
    /// No branch may be launched any more: a 2xx or 6xx came (§16.7 step 5), the final response was given out or
    /// the request was cancelled.
    closed: bool,
    /// The request was cancelled (§16.10).
    cancelled: bool,
    answer: Answer,
    best: Option<Best>,
    branches: SmallVec<[Branch; 2]>,
    /// RFC 5393 §5.3.2: the Incoming Max-Breadth, and what of it each branch of the present group gets.
    breadth: u8,
    share: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    None,
    /// A 2xx was forwarded.
    Success,
    /// [`Step::Final`] was given out.
    Failure,
}

#[derive(Clone, Copy, Debug)]
struct Branch {
    q: u16,
    state: BranchState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BranchState {
    Waiting,
    Pending { ringing: bool, cancelled: bool },
    Final,
}

/// The best final response so far.
#[derive(Clone, Copy, Debug)]
struct Best {
    /// Lower is better.
    rank: u16,
    status: u16,
    /// None for a response that was only assumed (§16.8, §16.9).
    kept: Option<BranchId>,
}

impl Fork {
    pub fn new(invite: bool) -> Self {
        Self {
            invite,
            closed: false,
            cancelled: false,
            answer: Answer::None,
            best: None,
            branches: SmallVec::new(),
            breadth: MAX_BREADTH,
            share: MAX_BREADTH,
        }
    }

    /// The request came with this Max-Breadth (RFC 5393 §5.3.3), at least 1: it is shared out among the branches that run at
    /// the same time, and no more run than there are shares. To be called before the first [`Fork::launch`].
    pub fn limit_breadth(&mut self, breadth: u8) {
        self.breadth = breadth.clamp(1, MAX_BREADTH);
    }

    /// The Max-Breadth of each branch that was launched last.
    pub fn share(&self) -> u8 {
        self.share
    }

    /// Adds a target with its q-value in thousandths (0 to 1000). Branches of equal q run in parallel, groups of
    /// lower q after those of higher (§16.6). None when there are [`MAX_BRANCHES`] already.
    pub fn add(&mut self, q: u16) -> Option<BranchId> {
        if self.branches.len() >= MAX_BRANCHES {
            return None;
        }
        let id = id(self.branches.len());
        self.branches.push(Branch { q, state: BranchState::Waiting });
        Some(id)
    }

    /// Starts with the first group or, after [`Fork::add`], goes on: nothing happens while branches are pending.
    pub fn launch(&mut self) -> Steps {
        let mut steps = Steps::new();
        self.advance(&mut steps);
        steps
    }

    /// A response came on a branch. Also to be told of 2xx responses that an INVITE client passes up after its
    /// first final response.
    pub fn on_response(&mut self, branch: BranchId, status: u16) -> Steps {
        let mut steps = Steps::new();
        match status {
            ..200 => self.on_provisional(branch, status, &mut steps),
            200..300 => self.on_success(branch, &mut steps),
            _ => self.on_failure(branch, status, Some(branch), &mut steps),
        }
        steps
    }

    /// The branch's client transaction timed out: as if a 408 had come (§16.8).
    pub fn on_timeout(&mut self, branch: BranchId) -> Steps {
        let mut steps = Steps::new();
        self.on_failure(branch, 408, None, &mut steps);
        steps
    }

    /// The request could not be sent on this branch: as if a 503 had come (§16.9).
    pub fn on_transport_error(&mut self, branch: BranchId) -> Steps {
        let mut steps = Steps::new();
        self.on_failure(branch, 503, None, &mut steps);
        steps
    }

    /// Timer C of a branch fired, or the script's own ringing time is over: the branch is cancelled if it has
    /// responded; if it hasn't, this is as if a 408 had come and the owner abandons its transaction (§16.8).
    pub fn on_timer_c(&mut self, branch: BranchId) -> Steps {
        match self.state(branch) {
            Some(BranchState::Pending { ringing: false, .. }) => self.on_timeout(branch),
            Some(BranchState::Pending { .. }) => {
                let mut steps = Steps::new();
                self.cancel_branch(usize::from(branch.0), &mut steps);
                steps
            }
            _ => Steps::new(),
        }
    }

    /// The request was cancelled upstream (§16.10): nothing more is launched, what is pending is cancelled.
    /// Nothing for other requests than INVITE, to which a CANCEL has no effect (§9.2).
    pub fn cancel(&mut self) -> Steps {
        let mut steps = Steps::new();
        if self.invite && self.answer != Answer::Success {
            self.cancelled = true;
            self.closed = true;
            // A failure route may be deciding just now what comes after the final response.
            if self.answer == Answer::None {
                self.cancel_pending(&mut steps);
                self.advance(&mut steps);
            }
        }
        steps
    }

    /// A failure route wants to go on after [`Step::Final`] instead of answering: add targets, then launch. The
    /// response that is kept stays a candidate. False when there is no such step to take back or the request was
    /// cancelled meanwhile.
    pub fn reopen(&mut self) -> bool {
        if self.cancelled || self.answer != Answer::Failure {
            return false;
        }
        self.answer = Answer::None;
        self.closed = false;
        true
    }

    /// The response that was kept is no candidate any more: its contacts are tried instead (§16.7 step 4).
    pub fn forget_best(&mut self) {
        self.best = None;
    }

    /// Whether [`Step::Cancel`] was given out for this branch and it has no final response yet.
    pub fn is_branch_cancelled(&self, branch: BranchId) -> bool {
        matches!(self.state(branch), Some(BranchState::Pending { cancelled: true, .. }))
    }

    /// The request was cancelled upstream.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Some branch was launched and has no final response yet.
    pub fn is_pending(&self) -> bool {
        self.branches.iter().any(|branch| matches!(branch.state, BranchState::Pending { .. }))
    }

    fn on_provisional(&mut self, branch: BranchId, status: u16, steps: &mut Steps) {
        let Some(Branch { state: BranchState::Pending { ringing, .. }, .. }) =
            self.branches.get_mut(usize::from(branch.0))
        else {
            return;
        };
        *ringing = true;
        // RFC 4320 §4.1: "MUST NOT send any provisional response […] other than 100 to a non-INVITE request".
        if self.invite && status != 100 && self.answer == Answer::None {
            steps.push(Step::Forward(branch));
        }
    }

    fn on_success(&mut self, branch: BranchId, steps: &mut Steps) {
        match self.state(branch) {
            None | Some(BranchState::Waiting) => return,
            Some(BranchState::Pending { .. } | BranchState::Final) => {}
        }
        let newly = self.finish(branch);
        // §16.7 step 5: every 2xx to an INVITE is forwarded, even after another final response; of other requests
        // only the first.
        if self.invite || (newly && self.answer == Answer::None) {
            steps.push(Step::Forward(branch));
            self.answer = Answer::Success;
            self.closed = true;
            self.cancel_pending(steps);
        }
        if newly {
            self.advance(steps);
        }
    }

    fn on_failure(&mut self, branch: BranchId, status: u16, kept: Option<BranchId>, steps: &mut Steps) {
        if !self.finish(branch) {
            return;
        }
        if self.answer == Answer::None {
            self.weigh(status, kept, steps);
            if status >= 600 {
                self.closed = true;
                self.cancel_pending(steps);
            }
        }
        self.advance(steps);
    }

    /// Compares a failure with the best so far.
    fn weigh(&mut self, status: u16, kept: Option<BranchId>, steps: &mut Steps) {
        let rank = self.rank(status, kept.is_none());
        if self.best.is_none_or(|best| rank < best.rank) {
            self.best = Some(Best { rank, status, kept });
            steps.extend(kept.map(Step::Keep));
        } else if let (401 | 407, Some(branch), Some(Best { status: 401 | 407, .. })) = (status, kept, self.best) {
            steps.push(Step::Challenge(branch));
        }
    }

    /// §16.7 step 6. 6xx is best, then the lowest class, in it what tells the sender how to try again. All 401
    /// and 407 have one rank above the rest of their class, so that the first of them is kept and the challenges
    /// of the others can be added to it.
    fn rank(&self, status: u16, assumed: bool) -> u16 {
        let class = match status {
            600.. => 0,
            // RFC 4320 §4.2: a 408 can't be sent on, so anything else is better.
            408 if !self.invite => 9,
            _ => status / 100,
        };
        let preference = match status {
            487 if self.cancelled => 0,
            401 | 407 => 1,
            415 | 420 | 484 => 2,
            // The outcome of our own CANCEL or timer says less than what another branch had to say.
            487 => 4,
            408 | 503 => 5,
            _ => 3,
        };
        class * 16 + preference * 2 + u16::from(assumed)
    }

    /// Goes on: with what of the group had no share yet or, when nothing is pending, next group, final response, end.
    fn advance(&mut self, steps: &mut Steps) {
        if !self.closed {
            self.launch_waiting(steps);
        }
        if self.is_pending() {
            return;
        }
        if self.answer == Answer::None {
            self.answer = Answer::Failure;
            self.closed = true;
            steps.push(Step::Final(self.outcome()));
        }
        steps.push(Step::Done);
    }

    fn launch_waiting(&mut self, steps: &mut Steps) {
        let waiting = |branch: &&Branch| branch.state == BranchState::Waiting;
        let Some(q) = self.branches.iter().filter(waiting).map(|branch| branch.q).max() else { return };
        let is_next = |branch: &Branch| branch.state == BranchState::Waiting && branch.q == q;
        let pending = |branch: &&Branch| matches!(branch.state, BranchState::Pending { .. });
        let mut running = self.branches.iter().filter(pending).count();
        if running == 0 {
            let group = self.branches.iter().filter(|branch| is_next(branch)).count();
            // RFC 5393 §5.3.3: the sum of the shares never exceeds the breadth. At least one is in the group.
            self.share = u8::try_from(group).map_or(1, |group| self.breadth / group.clamp(1, self.breadth));
        } else if self.branches.iter().filter(pending).any(|branch| branch.q != q) {
            return;
        }
        let room = usize::from(self.breadth / self.share.max(1));
        for (index, branch) in self.branches.iter_mut().enumerate() {
            if running < room && is_next(branch) {
                branch.state = BranchState::Pending { ringing: false, cancelled: false };
                steps.push(Step::Launch(id(index)));
                running += 1;
            }
        }
    }

    fn outcome(&self) -> Outcome {
        match self.best {
            None if self.cancelled => Outcome::Own(487),
            None => Outcome::Own(480),
            Some(Best { status: 408, .. }) if !self.invite => Outcome::Silence,
            // §16.7 step 6: a 503 would say that this proxy can't serve any request.
            Some(Best { status: 503, .. }) => Outcome::Own(500),
            Some(Best { kept: Some(branch), .. }) => Outcome::Kept(branch),
            Some(Best { kept: None, .. }) if self.cancelled => Outcome::Own(487),
            Some(Best { kept: None, status, .. }) => Outcome::Own(status),
        }
    }

    fn cancel_pending(&mut self, steps: &mut Steps) {
        for index in 0..self.branches.len() {
            self.cancel_branch(index, steps);
        }
    }

    fn cancel_branch(&mut self, index: usize, steps: &mut Steps) {
        // §9.1: a CANCEL is only for INVITE.
        if !self.invite {
            return;
        }
        if let BranchState::Pending { cancelled, .. } = &mut self.branches[index].state
            && !*cancelled
        {
            *cancelled = true;
            steps.push(Step::Cancel(id(index)));
        }
    }

    /// Marks a pending branch as final; false when it wasn't pending.
    fn finish(&mut self, branch: BranchId) -> bool {
        match self.branches.get_mut(usize::from(branch.0)) {
            Some(Branch { state: state @ BranchState::Pending { .. }, .. }) => {
                *state = BranchState::Final;
                true
            }
            _ => false,
        }
    }

    fn state(&self, branch: BranchId) -> Option<BranchState> {
        self.branches.get(usize::from(branch.0)).map(|branch| branch.state)
    }
}

/// Invariant: there are never more than [`MAX_BRANCHES`] (64) branches, so the index fits.
fn id(index: usize) -> BranchId {
    BranchId(index as u8)
}

#[cfg(test)]
mod tests {
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
    fn a_branch_that_cannot_be_sent_counts_as_503() {
        let mut fork = launched(true, &[1000, 1000]);
        assert!(fork.on_transport_error(A).is_empty());
        assert_eq!(fork.on_response(B, 404)[..], [Step::Keep(B), Step::Final(Outcome::Kept(B)), Step::Done]);
        let mut fork = launched(true, &[1000]);
        assert_eq!(fork.on_transport_error(A)[..], [Step::Final(Outcome::Own(500)), Step::Done]);
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
        TransportError(u8),
        TimerC(u8),
        Cancel,
    }

    fn events() -> impl Strategy<Value = Event> {
        let statuses = prop::sample::select(vec![100, 180, 200, 302, 401, 404, 407, 408, 487, 503, 603]);
        prop_oneof![
            4 => (0..6_u8, statuses).prop_map(|(branch, status)| Event::Response(branch, status)),
            1 => (0..6_u8).prop_map(Event::Timeout),
            1 => (0..6_u8).prop_map(Event::TransportError),
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
                    Event::TransportError(branch) => fork.on_transport_error(BranchId(branch)),
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
}
