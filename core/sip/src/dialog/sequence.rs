//! CSeq numbers that survive a restart without a write for each request.
//!
//! Numbers are reserved in blocks: the end of the block is committed to storage before the first number of the
//! block is used. After a restart numbering goes on above the committed end, so no number is ever used twice;
//! the gap is allowed (RFC 3261 §12.2.2: "This is not an error condition").

/// The highest CSeq number (§8.1.1.5: "less than 2**31").
pub const MAX_CSEQ: u32 = (1 << 31) - 1;

/// Gives out the CSeq numbers of one direction of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    last: u32,
    reserved: u32,
}

impl Sequence {
    /// For a dialog that is not stored: goes on behind `last` (0: nothing sent yet) without any reservation.
    pub fn volatile(last: u32) -> Self {
        Self { last, reserved: MAX_CSEQ }
    }

    /// For a dialog that is stored: `mark` is the committed end of the last block, 0 for a new dialog. Nothing is
    /// given out before [`Sequence::reserve`].
    pub fn stored(mark: u32) -> Self {
        Self { last: mark, reserved: mark }
    }

    /// The number that was given out last, 0 if none was.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// The end of the newest block: what is to be in storage.
    pub fn mark(&self) -> u32 {
        self.reserved
    }

    /// How many numbers can be given out before the next block is needed. Ask for it early: a block can be
    /// reserved while numbers of the one before are still left.
    pub fn remaining(&self) -> u32 {
        self.reserved.saturating_sub(self.last)
    }

    /// The end of a block of `length` numbers behind the present one: commit it, then [`Sequence::reserve`] it.
    pub fn next_mark(&self, length: u32) -> u32 {
        self.reserved.saturating_add(length).min(MAX_CSEQ)
    }

    /// The numbers up to `mark` are committed. A lower mark than before changes nothing.
    pub fn reserve(&mut self, mark: u32) {
        self.reserved = self.reserved.max(mark.min(MAX_CSEQ));
    }

    /// The next number; None when the block is used up, or all 2³¹ numbers are.
    pub fn take(&mut self) -> Option<u32> {
        if self.last >= self.reserved {
            return None;
        }
        self.last += 1;
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_by_one() {
        let mut sequence = Sequence::volatile(0);
        assert_eq!([sequence.take(), sequence.take()], [Some(1), Some(2)]);
        assert_eq!(sequence.last(), 2);
    }

    #[test]
    fn nothing_is_given_out_beyond_what_is_committed() {
        let mut sequence = Sequence::stored(0);
        assert_eq!(sequence.take(), None);
        assert_eq!(sequence.next_mark(2), 2);
        sequence.reserve(2);
        assert_eq!([sequence.take(), sequence.take(), sequence.take()], [Some(1), Some(2), None]);
    }

    #[test]
    fn a_restart_goes_on_above_the_mark() {
        let mut before = Sequence::stored(0);
        before.reserve(before.next_mark(10));
        before.take();
        let mut after = Sequence::stored(before.mark());
        after.reserve(after.next_mark(10));
        assert_eq!(after.take(), Some(11));
    }

    #[test]
    fn a_block_can_be_reserved_before_the_last_one_is_used_up() {
        let mut sequence = Sequence::stored(100);
        sequence.reserve(sequence.next_mark(5));
        sequence.take();
        assert_eq!((sequence.remaining(), sequence.next_mark(5)), (4, 110));
        sequence.reserve(110);
        sequence.reserve(105);
        assert_eq!(sequence.remaining(), 9);
    }

    #[test]
    fn numbers_end_below_two_to_the_31() {
        let mut sequence = Sequence::volatile(MAX_CSEQ - 1);
        assert_eq!([sequence.take(), sequence.take()], [Some(MAX_CSEQ), None]);
        assert_eq!(sequence.next_mark(u32::MAX), MAX_CSEQ);
    }
}
