//! `qvalue`: a preference in thousandths, so that it compares exactly (RFC 3261 §25.1).

use std::fmt;

/// The most wanted: `q=1`.
pub const MOST: u16 = 1000;

/// `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`. A missing zero before the point and more digits than three, which
/// count for nothing, are tolerated; anything above 1 is not.
pub fn parse(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && fraction.is_empty()) || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "" | "0" => Some(thousandths),
        "1" if fraction.bytes().all(|digit| digit == b'0') => Some(MOST),
        _ => None,
    }
}

/// Prints thousandths as a `qvalue` without trailing zeros; more than [`MOST`] counts as [`MOST`].
pub fn write(q: u16, out: &mut impl fmt::Write) -> fmt::Result {
    if q >= MOST {
        return out.write_str("1");
    }
    let digits = [b'0' + (q / 100) as u8, b'0' + (q / 10 % 10) as u8, b'0' + (q % 10) as u8];
    let used = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    out.write_str("0")?;
    if used > 0 {
        out.write_str(".")?;
    }
    digits[..used].iter().try_for_each(|digit| out.write_char(char::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thousandth_reads_back() {
        for q in 0..=MOST {
            let mut text = String::new();
            write(q, &mut text).unwrap();
            assert_eq!(parse(&text), Some(q), "{text}");
            assert!(text.len() <= 5);
        }
    }

    #[test]
    fn what_phones_send_is_read() {
        for (text, q) in
            [("1", 1000), ("1.0", 1000), ("1.000", 1000), ("0", 0), ("0.", 0), (".5", 500), ("0.12345", 123)]
        {
            assert_eq!(parse(text), Some(q), "{text}");
        }
        for text in ["", ".", "2", "1.1", "-0.5", "0.x", "00.5", "0.5 ", "0,5", "1.0001"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
