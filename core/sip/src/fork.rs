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

mod best;

use smallvec::SmallVec;

use self::best::Best;

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

    /// A response came on a branch, or its request could not be sent, which counts as a 503 (§16.9). Also to be told of
    /// 2xx responses that an INVITE client passes up after its first final response.
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
mod tests;
