//! The character encoding of a document (XML 1.0 §4.3.3, RFC 7303 §3): from octets to text.

use std::borrow::Cow;

use super::parse::{Limits, XmlError, is_white_space};

/// A supported encoding. RFC 3863 §3.1 allows UTF-8 and UTF-16 for presence documents. Gateways declare the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// In either byte order. Without a byte order mark the first octets decide; if they do not, the high octet comes
    /// first (RFC 2781 §4.3).
    Utf16,
    Utf16Be,
    Utf16Le,
    Latin1,
    Windows1252,
}

/// The characters of the octets 0x80–0x9F in windows-1252. The five octets that it leaves undefined are the control
/// characters of ISO-8859-1.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}', '\u{2030}',
    '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}',
    '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}',
    '\u{17e}', '\u{178}',
];

/// The text of a document. The encoding is taken from the byte order mark, else from the charset parameter of
/// Content-Type, else from the XML declaration (RFC 7303 §3). Without any of these it is UTF-8. The text has at most
/// `limits.bytes` octets as UTF-8.
pub fn decode<'a>(bytes: &'a [u8], charset: Option<&str>, limits: &Limits) -> Result<Cow<'a, str>, XmlError> {
    let (encoding, mark) = match bytes {
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
        [0xfe, 0xff, ..] => (Encoding::Utf16Be, 2),
        [0xff, 0xfe, ..] => (Encoding::Utf16Le, 2),
        _ => match charset.or_else(|| declared(bytes)) {
            Some(name) => (Encoding::parse(name).ok_or_else(|| unknown(name))?, 0),
            None => (sniffed(bytes).unwrap_or(Encoding::Utf8), 0),
        },
    };
    let too_long = || XmlError::TooLong(limits.bytes);
    let bytes = bytes.get(mark..).unwrap_or_default();
    // Two octets of UTF-16 make at least one of UTF-8, and no other encoding shrinks.
    if bytes.len() / 2 > limits.bytes {
        return Err(too_long());
    }
    let text = match encoding {
        Encoding::Utf8 => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?),
        Encoding::Utf16 => utf16(bytes, sniffed(bytes) != Some(Encoding::Utf16Le))?.into(),
        Encoding::Utf16Be => utf16(bytes, true)?.into(),
        Encoding::Utf16Le => utf16(bytes, false)?.into(),
        Encoding::Latin1 => bytes.iter().map(|&octet| char::from(octet)).collect::<String>().into(),
        Encoding::Windows1252 => bytes.iter().map(|&octet| windows_1252(octet)).collect::<String>().into(),
    };
    if text.len() > limits.bytes { Err(too_long()) } else { Ok(text) }
}

impl Encoding {
    /// Finds an encoding by the names of the IANA registry that are in use, whatever their case.
    fn parse(name: &str) -> Option<Self> {
        let known = [
            ("utf-8", Self::Utf8),
            ("utf8", Self::Utf8),
            ("utf-16", Self::Utf16),
            ("utf-16be", Self::Utf16Be),
            ("utf-16le", Self::Utf16Le),
            // ASCII is a subset of UTF-8. Documents that wrongly declare ASCII are mostly UTF-8.
            ("us-ascii", Self::Utf8),
            ("ascii", Self::Utf8),
            ("iso-8859-1", Self::Latin1),
            ("latin1", Self::Latin1),
            ("windows-1252", Self::Windows1252),
            ("cp1252", Self::Windows1252),
        ];
        known.into_iter().find(|(known, _)| name.trim().eq_ignore_ascii_case(known)).map(|(_, encoding)| encoding)
    }
}

fn unknown(name: &str) -> XmlError {
    XmlError::Encoding(name.chars().take(32).collect())
}

/// Recognises UTF-16 by the first character, which is `<` (XML 1.0 appendix F).
fn sniffed(bytes: &[u8]) -> Option<Encoding> {
    match bytes {
        [0, b'<', ..] => Some(Encoding::Utf16Be),
        [b'<', 0, ..] => Some(Encoding::Utf16Le),
        _ => None,
    }
}

/// The encoding that the XML declaration names, if its own characters are ASCII.
fn declared(bytes: &[u8]) -> Option<&str> {
    let inside = bytes.strip_prefix(b"<?xml")?;
    let inside = inside.get(..MAX_DECLARATION).unwrap_or(inside);
    let inside = inside.get(..position(inside, b"?>")?)?;
    let rest = inside.get(position(inside, NAME)? + NAME.len()..)?;
    let rest = std::str::from_utf8(rest).ok()?;
    let rest = rest.trim_start_matches(is_white_space).strip_prefix('=')?.trim_start_matches(is_white_space);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest.get(1..)?.split_once(quote).map(|(name, _)| name)
}

/// Where `part` begins in a short text. A substring search that prepares itself first costs more here.
fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memchr_iter(*part.first()?, text).find(|at| text[*at..].starts_with(part))
}

/// The part of an XML declaration before the encoding (XML 1.0 §4.3.3).
const NAME: &[u8] = b"encoding";

/// The XML declaration must end within this many octets, or its encoding is ignored.
const MAX_DECLARATION: usize = 256;

fn utf16(bytes: &[u8], big_endian: bool) -> Result<String, XmlError> {
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return Err(XmlError::NotUtf16);
    };
    let units = pairs.iter().map(|&pair| if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| XmlError::NotUtf16)
}

fn windows_1252(octet: u8) -> char {
    octet
        .checked_sub(0x80)
        .and_then(|above| WINDOWS_1252.get(usize::from(above)).copied())
        .unwrap_or_else(|| char::from(octet))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8], charset: Option<&str>) -> Result<String, XmlError> {
        decode(bytes, charset, &Limits::default()).map(Cow::into_owned)
    }

    fn as_utf16(text: &str, big_endian: bool) -> Vec<u8> {
        let order = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn a_byte_order_mark_says_more_than_charset_and_that_more_than_the_declaration() {
        let text = "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>";
        let marked = [&[0xef, 0xbb, 0xbf][..], text.as_bytes()].concat();
        assert_eq!(decoded(&marked, Some("us-ascii")).as_deref(), Ok(text));
        assert_eq!(decoded(text.as_bytes(), Some("UTF-8")).as_deref(), Ok(text));
        let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
        assert_eq!(decoded(&latin1, None).as_deref(), Ok(text));
        assert_eq!(decoded(&latin1, Some("utf-8")), Err(XmlError::NotUtf8));
        for big_endian in [false, true] {
            let marked = as_utf16(&format!("\u{feff}{text}"), big_endian);
            assert_eq!(decoded(&marked, Some("utf-8")).as_deref(), Ok(text));
        }
    }

    #[test]
    fn utf_16_without_a_mark_is_told_by_its_first_character() {
        for big_endian in [false, true] {
            let text = "<?xml version='1.0' encoding='UTF-16'?><a>\u{1f600}</a>";
            let bytes = as_utf16(text, big_endian);
            assert_eq!(decoded(&bytes, None).as_deref(), Ok(text));
            assert_eq!(decoded(&bytes, Some("utf-16")).as_deref(), Ok(text));
        }
    }

    #[test]
    fn octets_that_are_invalid_in_their_encoding_are_refused() {
        assert_eq!(decoded(b"<a/>", Some("koi8-r")), Err(XmlError::Encoding("koi8-r".to_owned())));
        assert_eq!(decoded(b"<?xml encoding=\"koi8-r\"?>", None), Err(XmlError::Encoding("koi8-r".to_owned())));
        assert_eq!(decoded(&[0xff, 0xfe, b'<'], None), Err(XmlError::NotUtf16));
        assert_eq!(decoded(&[0xfe, 0xff, 0xd8, 0, 0, b'a'], None), Err(XmlError::NotUtf16), "half a pair");
        assert_eq!(decoded(b"<a>\xff</a>", None), Err(XmlError::NotUtf8));
    }

    #[test]
    fn the_size_counts_after_decoding() {
        let limits = Limits { bytes: 10, ..Limits::default() };
        let latin1 = |count| decode(&[0xe9; 16][..count], Some("iso-8859-1"), &limits).map(|text| text.len());
        assert_eq!((latin1(5), latin1(6)), (Ok(10), Err(XmlError::TooLong(10))));
        let euros = |count| decode(&[0x80; 16][..count], Some("windows-1252"), &limits).map(|text| text.len());
        assert_eq!((euros(3), euros(4)), (Ok(9), Err(XmlError::TooLong(10))));
        let wide = as_utf16(&"\u{feff}€".repeat(4), true);
        assert_eq!(decode(&wide, None, &limits), Err(XmlError::TooLong(10)));
    }

    proptest! {
        #[test]
        fn every_text_is_read_from_both_kinds_of_utf_16(text in "\\PC{0,40}", big_endian: bool) {
            let bytes = as_utf16(&format!("\u{feff}{text}"), big_endian);
            prop_assert_eq!(decoded(&bytes, None), Ok(text));
        }

        #[test]
        fn no_octets_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), charset in prop::option::of("[a-z0-9-]{0,12}")) {
            let _ = decoded(&bytes, charset.as_deref());
        }
    }
}
