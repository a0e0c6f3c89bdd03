//! Which of the final responses is the best, and how the request is answered by it (RFC 3261 §16.7 steps 6 and 7).

use super::{BranchId, Fork, Outcome, Step, Steps};

/// The best final response so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// Lower is better.
    rank: u16,
    status: u16,
    /// `None` for a response that was only assumed (§16.8).
    kept: Option<BranchId>,
}

impl Fork {
    /// Compares a failure with the best so far.
    pub(super) fn weigh(&mut self, status: u16, kept: Option<BranchId>, steps: &mut Steps) {
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

    /// How the request is answered when no branch is left.
    pub(super) fn outcome(&self) -> Outcome {
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
}
