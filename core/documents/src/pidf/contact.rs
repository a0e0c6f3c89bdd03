//! The address of a tuple, with its priority (RFC 3863 §4.1.5).

use crate::xml::{Element, push_text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub uri: String,
    pub priority: Option<Priority>,
}

/// A priority from 0 to 1, in thousandths (§4.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u16);

impl Contact {
    pub(super) fn read(element: Element<'_>) -> Self {
        // §4.1.5: a priority out of range is as if it weren't there.
        let priority = element.attribute("priority").and_then(|text| Priority::parse(text.trim()));
        Self { uri: element.text().to_owned(), priority }
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<contact");
        if let Some(priority) = self.priority {
            out.push_str(" priority=\"");
            priority.write(out);
            out.push('"');
        }
        out.push('>');
        push_text(out, &self.uri);
        out.push_str("</contact>");
    }
}

impl Priority {
    /// From thousandths; more than 1000 is 1000.
    pub fn from_thousandths(thousandths: u16) -> Self {
        Self(thousandths.min(1000))
    }

    pub fn thousandths(self) -> u16 {
        self.0
    }

    /// Reads `0`, `0.5`, `1.000` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let thousandths = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + u16::from(b - b'0'));
        match (whole, thousandths) {
            ("0", thousandths) => Some(Self(thousandths)),
            ("1", 0) => Some(Self(1000)),
            _ => None,
        }
    }

    /// Appends the shortest notation: `1`, `0.5`, `0.021`.
    pub fn write(self, out: &mut String) {
        if self.0 == 0 || self.0 >= 1000 {
            return out.push(if self.0 == 0 { '0' } else { '1' });
        }
        out.push_str("0.");
        let (mut rest, mut unit) = (self.0, 100);
        while rest > 0 {
            out.push(char::from(b'0' + (rest / unit % 10) as u8));
            rest %= unit;
            unit /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn priorities_out_of_range_count_as_none() {
        let read =
            ["0", "0.", "0.5", "0.021", "1.00", "1"].map(|text| Priority::parse(text).map(Priority::thousandths));
        assert_eq!(read, [Some(0), Some(0), Some(500), Some(21), Some(1000), Some(1000)]);
        assert_eq!(["1.1", "2", "0.1234", "-1", "", "x", ".5", "0.x"].map(Priority::parse), [None; 8]);
    }

    proptest! {
        #[test]
        fn priorities_are_read_as_they_were_written(thousandths in 0..=1000u16) {
            let mut out = String::new();
            Priority(thousandths).write(&mut out);
            prop_assert_eq!(Priority::parse(&out), Some(Priority(thousandths)));
        }
    }
}
