//! `%` escapes in URIs (RFC 3261 §19.1.2).

use std::borrow::Cow;

use crate::message::{LEAD, carried, may_carry};

/// `unreserved` (RFC 3261 §25.1).
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// `reserved` (RFC 3261 §25.1): an escape of these is not the same as the octet itself.
pub(super) fn is_reserved(byte: u8) -> bool {
    matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',')
}

/// Whether the `%` at this place is followed by two hexadecimal digits.
pub(super) fn is_valid_at(bytes: &[u8], percent: usize) -> bool {
    let digits = bytes.get(percent + 1..percent + 3);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// One octet of a URI component, and whether it was written as an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Octet {
    pub(super) byte: u8,
    pub(super) escaped: bool,
}

/// The octets of a component, escapes resolved. A `%` without two digits stands for itself. An octet that is not UTF-8 is that octet,
/// not the character that carries it: `%E9` and the octet itself are the same (§19.1.4).
pub(super) fn octets(text: &str) -> impl Iterator<Item = Octet> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let &byte = bytes.get(at)?;
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2)))
        {
            at += 3;
            return Some(Octet { byte: high << 4 | low, escaped: true });
        }
        if byte == LEAD
            && let Some(byte) = bytes.get(at..at + 4).and_then(carried)
        {
            at += 4;
            return Some(Octet { byte, escaped: false });
        }
        at += 1;
        Some(Octet { byte, escaped: false })
    })
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    char::from(*digit?).to_digit(16).map(|value| value as u8)
}

/// The octets that the text stands for, its escapes resolved.
pub fn unescape_octets(text: &str) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'%', LEAD, text.as_bytes()) {
        None => Cow::Borrowed(text.as_bytes()),
        Some(_) => Cow::Owned(octets(text).map(|octet| octet.byte).collect()),
    }
}

/// The text with its escapes resolved. Where the octets are not UTF-8 they are replaced by U+FFFD.
pub fn unescape(text: &str) -> Cow<'_, str> {
    match unescape_octets(text) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The text with each octet that is not UTF-8 as an escape: `caf%E9`. It is the same URI (§19.1.4). Use it wherever a
/// URI of a message is stored or shown.
pub fn escape_octets(text: &str) -> Cow<'_, str> {
    if !may_carry(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match carried(c.encode_utf8(&mut [0; 4]).as_bytes()) {
            Some(octet) => push_escape(octet, &mut out),
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Appends a user part, given unescaped, with everything escaped that may not stand there as it is.
pub fn escape_user(user: &[u8], out: &mut String) {
    for &byte in user {
        // user = 1*( unreserved / escaped / user-unreserved )
        if is_unreserved(byte) || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/') {
            out.push(char::from(byte));
        } else {
            push_escape(byte, out);
        }
    }
}

pub(super) fn push_escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescaping_undoes_escaping() {
        let mut escaped = String::new();
        escape_user("j@s:n \u{e9}\0".as_bytes(), &mut escaped);
        assert_eq!(escaped, "j%40s%3An%20%C3%A9%00");
        assert_eq!(unescape(&escaped), "j@s:n \u{e9}\0");
    }

    #[test]
    fn octets_that_are_not_utf_8_are_escaped_and_unescaped() {
        let text = "caf\u{10ffe9}\u{10ff80}%E9";
        assert_eq!(*unescape_octets(text), *b"caf\xe9\x80\xe9");
        assert_eq!(escape_octets(text), "caf%E9%80%E9");
        assert_eq!(escape_octets("caf\u{e9}\u{10ff7f}"), "caf\u{e9}\u{10ff7f}");
        assert_eq!(unescape("\u{10ffc3}\u{10ffa9}"), "\u{e9}");
    }

    #[test]
    fn broken_escapes_are_seen_and_left_alone() {
        assert!(is_valid_at(b"a%20b", 1) && is_valid_at(b"%c3", 0));
        for bad in ["%", "%2", "%zz", "%%20"] {
            assert!(!is_valid_at(bad.as_bytes(), 0), "{bad}");
        }
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%ff"), "\u{fffd}");
    }
}
