//! Octets read as choices. When they are used up, each further choice is the first one.

pub(super) struct Story<'a>(&'a [u8]);

impl<'a> Story<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `end`, which is at most 256.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.octet()) % end.max(1)
    }

    pub(super) fn choose<'b, T: ?Sized>(&mut self, from: &[&'b T]) -> &'b T {
        from[self.below(from.len())]
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// The next octets, up to `length` of them.
    pub(super) fn raw(&mut self, length: usize) -> &'a [u8] {
        let (raw, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        raw
    }
}
