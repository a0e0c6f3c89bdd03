//! The table's entries: where a header line stands in the text.

use crate::header::HeaderName;

/// A piece of the message's text, by octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// Stands for a piece that is not there.
    pub(super) const NONE: Self = Self { start: u32::MAX, end: u32::MAX };

    pub(super) fn new(start: usize, end: usize) -> Self {
        // Texts are far below 4 GiB: a head is limited by MAX_HEAD and edits append to it.
        Self { start: start as u32, end: end as u32 }
    }

    /// Where the piece stands in the whole; the piece must be a slice of it.
    pub(super) fn of(piece: &str, whole: &str) -> Self {
        let start = (piece.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        if start > whole.len() { Self::NONE } else { Self::new(start, start + piece.len()) }
    }

    /// The piece that stands that many octets further on.
    pub(super) fn moved(self, by: u32) -> Self {
        if self == Self::NONE { self } else { Self { start: self.start + by, end: self.end + by } }
    }

    pub(super) fn in_text(self, text: &str) -> Option<&str> {
        text.get(self.start as usize..self.end as usize)
    }
}

/// One header line: `name: value`, without the line end.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderLine {
    pub(super) name: HeaderName,
    /// Whether CR LF follows directly in the text, so that the line can be copied together with the next.
    pub(super) ends_clean: bool,
    /// Of the name as written.
    pub(super) name_length: u16,
    pub(super) start: u32,
    /// Where the value starts, behind colon and white space.
    pub(super) value: u32,
    /// Where the value ends, white space behind it left out.
    pub(super) end: u32,
}

impl HeaderLine {
    pub(super) fn name_span(&self) -> Span {
        Span { start: self.start, end: self.start + u32::from(self.name_length) }
    }

    pub(super) fn value_span(&self) -> Span {
        Span { start: self.value, end: self.end }
    }

    pub(super) fn line_span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_takes_16_octets() {
        assert_eq!(size_of::<HeaderLine>(), 16);
    }

    #[test]
    fn a_span_finds_its_piece_again() {
        let whole = String::from("one two");
        assert_eq!(Span::of(&whole[4..], &whole).in_text(&whole), Some("two"));
        assert_eq!(Span::NONE.in_text(&whole), None);
    }
}
