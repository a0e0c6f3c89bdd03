//! Octets in a head that are not UTF-8, carried through a `String`.
//!
//! Each such octet 0x80–0xFF becomes one of the last 128 code points of Unicode's private planes, and becomes
//! that octet again when printed. Where those code points themselves are in a message their octets are carried the
//! same way, so what goes out is always what came in.
//!
//! Invariant: only text of messages is in this form. Text that is stored, or put into documents, logs and answers to
//! commands, is made [`readable`] first; a URI has its octets [escaped](crate::uri::escape_octets). Scripts see [the
//! octets](octets_of).

use std::borrow::Cow;

/// Carries octet 0x80; its neighbours carry the octets above it.
const FIRST: u32 = 0x10_ff80;

/// The first octet of all code points of the last plane in UTF-8, and of few others.
pub(crate) const LEAD: u8 = 0xf4;

/// Whether the text carries such octets (or, rarely, other text that starts with the same octet).
#[inline]
pub(crate) fn may_carry(text: &str) -> bool {
    memchr::memchr(LEAD, text.as_bytes()).is_some()
}

/// Whether the text neither carries such octets nor ends a line.
pub(super) fn is_plain_line(text: &str) -> bool {
    memchr::memchr3(b'\r', b'\n', LEAD, text.as_bytes()).is_none()
}

/// The octet that a character carries, given in UTF-8; `None` for other characters.
pub(crate) fn carried(utf8: &[u8]) -> Option<u8> {
    // U+10FF80–U+10FFBF and U+10FFC0–U+10FFFF.
    match utf8 {
        [LEAD, 0x8f, 0xbe, low @ 0x80..=0xbf] => Some(*low),
        [LEAD, 0x8f, 0xbf, low @ 0x80..=0xbf] => Some(low + 0x40),
        _ => None,
    }
}

/// Octets as the text of messages carries them: the inverse of [`octets_of`].
pub fn text_of(octets: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(octets) {
        Ok(text) if !may_carry(text) => Cow::Borrowed(text),
        _ => Cow::Owned(carry(octets)),
    }
}

/// The octets that a text of a message has on the wire.
pub fn octets_of(text: &str) -> Cow<'_, [u8]> {
    if !may_carry(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut octets = Vec::with_capacity(text.len());
    restore(text, &mut octets);
    Cow::Owned(octets)
}

/// A text of a message for people and programs. Octets that are not UTF-8 become U+FFFD. So do the characters that
/// carry them, which are for private use, and the text can become part of a message again.
pub fn readable(text: &str) -> Cow<'_, str> {
    match octets_of(text) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(octets) => {
            let is_carrier = |c: char| u32::from(c) >= FIRST;
            Cow::Owned(String::from_utf8_lossy(&octets).replace(is_carrier, "\u{fffd}"))
        }
    }
}

/// The octets as text.
pub(super) fn carry(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() + 64);
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            if u32::from(c) >= FIRST {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|octet| push_carrier(octet, &mut text));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&octet| push_carrier(octet, &mut text));
    }
    text
}

fn push_carrier(octet: u8, text: &mut String) {
    if octet < 0x80 {
        text.push(char::from(octet));
    } else {
        text.extend(char::from_u32(FIRST + u32::from(octet - 0x80)));
    }
}

/// Appends the text with its carried octets turned back.
pub(super) fn restore(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match u32::from(c).checked_sub(FIRST) {
            Some(above) => out.push(0x80 + (above & 0x7f) as u8),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn octets_come_back_as_they_were(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut restored = Vec::new();
            restore(&carry(&octets), &mut restored);
            prop_assert_eq!(&restored, &octets);
            let text = text_of(&octets);
            prop_assert_eq!(&*octets_of(&text), &octets[..]);
            let shown = readable(&text);
            prop_assert_eq!(readable(&shown), &*shown);
        }
    }

    #[test]
    fn octets_that_are_not_utf_8_are_readable_as_u_fffd() {
        assert_eq!(readable("caf\u{e9}"), "caf\u{e9}");
        assert_eq!(readable(&carry(b"caf\xe9")), "caf\u{fffd}");
        assert_eq!(readable(&carry("\u{10ffe9}".as_bytes())), "\u{fffd}");
        assert_eq!(readable("\u{10ff7f}"), "\u{10ff7f}");
    }

    #[test]
    fn each_octet_is_known_by_the_character_that_carries_it() {
        for octet in 0x80..=0xff {
            assert_eq!(carried(carry(&[octet]).as_bytes()), Some(octet));
        }
        assert_eq!((carried("\u{10ff7f}".as_bytes()), carried(b"a")), (None, None));
    }

    #[test]
    fn the_carriers_themselves_come_back_too() {
        let octets = "a\u{10ff80}\u{10ffff}\u{10ff7f}".as_bytes();
        let text = carry(octets);
        let mut restored = Vec::new();
        restore(&text, &mut restored);
        assert!(may_carry(&text));
        assert_eq!(restored, octets);
    }
}
