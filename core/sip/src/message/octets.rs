//! Octets in a head that are not UTF-8, carried through a `String`.
//!
//! Each such octet 0x80–0xFF becomes one of the last 128 code points of Unicode's private planes, and becomes
//! that octet again when printed. Where those code points themselves are in a message their octets are carried the
//! same way, so what goes out is always what came in.

/// Carries octet 0x80; its neighbours carry the octets above it.
const FIRST: u32 = 0x10_ff80;

/// The first octet of all code points of the last plane in UTF-8, and of few others.
const LEAD: u8 = 0xf4;

/// Whether the text carries such octets (or, rarely, other text that starts with the same octet).
pub(super) fn may_carry(text: &str) -> bool {
    memchr::memchr(LEAD, text.as_bytes()).is_some()
}

/// Whether the text neither carries such octets nor ends a line.
pub(super) fn is_plain_line(text: &str) -> bool {
    memchr::memchr3(b'\r', b'\n', LEAD, text.as_bytes()).is_none()
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
            prop_assert_eq!(restored, octets);
        }
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
