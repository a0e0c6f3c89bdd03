//! The lexical ground that all of SIP's grammar stands on: tokens, quoted strings, parameters and
//! comma-separated lists (RFC 3261 §25.1). Everything borrows; nothing is allocated.

use std::borrow::Cow;

/// What an octet may be part of, as bits: looked up instead of compared, since this is done for every octet.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
        {
            class |= TOKEN;
        }
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE;
        }
        if b > b' ' && !matches!(b, b'<' | b'>' | b'"' | 0x7f) {
            class |= URI;
        }
        if b > b' ' && !matches!(b, b'"' | b',' | b';' | 0x7f) {
            class |= VALUE;
        }
        // Underscores are not in the grammar and yet are in the names of many private networks.
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        table[byte] = class;
        byte += 1;
    }
    table
};

/// `token` (RFC 3261 §25.1).
const TOKEN: u8 = 1;
/// White space between words.
const SPACE: u8 = 2;
/// All but what delimits a URI in a message and what can't be seen. More than the grammar allows passes, such as
/// `#` in users and UTF-8: there are phones that send it.
pub(crate) const URI: u8 = 4;
/// `gen-value = token / host / quoted-string`, unquoted, and octets that senders are known to leave unquoted.
const VALUE: u8 = 8;
/// Host names.
pub(crate) const HOST: u8 = 16;

/// Whether all octets are of the class.
#[inline]
pub(crate) fn all(text: &str, class: u8) -> bool {
    text.bytes().all(|byte| CLASS[byte as usize] & class != 0)
}

/// Where the octet first stands. Values are short: a loop is over before a vectorised search has been set up.
#[inline]
pub(crate) fn find(text: &str, byte: u8) -> Option<usize> {
    text.bytes().position(|candidate| candidate == byte)
}

/// What stands before and behind the first such octet.
#[inline]
pub(crate) fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = find(text, byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Where the first octet from `from` on stands that is not of the class.
#[inline]
fn skip(bytes: &[u8], from: usize, class: u8) -> usize {
    let mut at = from;
    while bytes.get(at).is_some_and(|&byte| CLASS[byte as usize] & class != 0) {
        at += 1;
    }
    at
}

/// Whether the octet may stand in a `token`.
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    CLASS[byte as usize] & TOKEN != 0
}

/// Whether the text is a `token`: one or more token octets.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// Whether the octet is white space between words: SP, HTAB, and the CR and LF of a folded line.
#[inline]
pub fn is_space(byte: u8) -> bool {
    CLASS[byte as usize] & SPACE != 0
}

/// The text without the white space (folds included) around it.
#[inline]
pub fn trim(text: &str) -> &str {
    let text = trim_start(text);
    let mut end = text.len();
    while end > 0 && is_space(text.as_bytes()[end - 1]) {
        end -= 1;
    }
    &text[..end]
}

/// The text without the white space in front of it.
#[inline]
pub fn trim_start(text: &str) -> &str {
    &text[skip(text.as_bytes(), 0, SPACE)..]
}

/// `1*DIGIT` without sign; `None` also where it exceeds 32 bits.
pub fn decimal(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let mut number = 0u32;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
    }
    Some(number)
}

/// Appends the number in decimal digits, without the formatting machinery.
pub fn push_decimal(out: &mut String, number: u32) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends the number in hexadecimal digits, without the formatting machinery.
pub fn push_hex(out: &mut String, number: u32) {
    let digits = (u32::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|digit| char::from(b"0123456789abcdef"[(number >> (4 * digit) & 0xf) as usize])));
}

/// The token that the text starts with, and what follows it. `None` where it starts otherwise.
pub fn split_token(text: &str) -> Option<(&str, &str)> {
    let end = skip(text.as_bytes(), 0, TOKEN);
    if end == 0 { None } else { Some(text.split_at(end)) }
}

/// Where the quoted string that opens at `open` ends: the index behind its closing quote. `None` where it
/// is not closed.
pub fn end_of_quoted(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = open.checked_add(1)?;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The items of a comma-separated list, trimmed; commas in quoted strings and angle brackets do not separate.
/// Empty items are left out.
pub fn split_list(text: &str) -> List<'_> {
    List { rest: text }
}

/// See [`split_list`].
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: &'a str,
}

impl<'a> List<'a> {
    /// What has not been handed out yet, without the comma in front of it.
    pub fn rest(&self) -> &'a str {
        trim(self.rest)
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let end = find_outside(self.rest, b',');
            let item = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !item.is_empty() {
                return Some(item);
            }
        }
        None
    }
}

/// Where the separator first stands outside of quoted strings and angle brackets; the length where it does not.
pub fn find_outside(text: &str, separator: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr3(separator, b'"', b'<', &bytes[at..]) {
        at += found;
        let behind = match bytes[at] {
            b'"' => end_of_quoted(text, at),
            b'<' => memchr::memchr(b'>', &bytes[at..]).map(|length| at + length + 1),
            _ => return at,
        };
        let Some(behind) = behind else { break };
        at = behind;
    }
    bytes.len()
}

/// Parameters as they stand in the text, `;name=value;flag`, looked through when asked.
///
/// Names are compared without regard to case. Values are given raw: a quoted string keeps its quotes
/// (see [`unquote`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// Over a text that is empty or starts with a semicolon.
    pub fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The text, from the first semicolon on.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each, in order. A parameter without a name is left out.
    pub fn iter(self) -> ParamsIter<'a> {
        ParamsIter { rest: self.0 }
    }

    /// `None`: not there. `Some(None)`: there without a value. `Some(Some(value))`: there with this raw value.
    pub fn get(self, name: &str) -> Option<Option<&'a str>> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The raw value; `None` also where the parameter has none.
    pub fn value(self, name: &str) -> Option<&'a str> {
        self.get(name).flatten()
    }

    /// Whether the parameter is there, with or without a value.
    pub fn flag(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether all of it is `*( SEMI generic-param )`: names are tokens, values are tokens, hosts or closed
    /// quoted strings, and no semicolon stands for nothing.
    pub fn is_valid(self) -> bool {
        let (text, bytes) = (self.0, self.0.as_bytes());
        let mut at = skip(bytes, 0, SPACE);
        while at < bytes.len() {
            if bytes[at] != b';' {
                return false;
            }
            let name = skip(bytes, at + 1, SPACE);
            let name_end = skip(bytes, name, TOKEN);
            if name == name_end {
                return false;
            }
            at = skip(bytes, name_end, SPACE);
            if bytes.get(at) == Some(&b'=') {
                let value = skip(bytes, at + 1, SPACE);
                let value_end = match bytes.get(value) {
                    Some(b'"') => end_of_quoted(text, value).unwrap_or(value),
                    _ => skip(bytes, value, VALUE),
                };
                if value == value_end {
                    return false;
                }
                at = skip(bytes, value_end, SPACE);
            }
        }
        true
    }
}

/// See [`Params::iter`].
#[derive(Clone, Debug)]
pub struct ParamsIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let separators = self.rest.bytes().take_while(|byte| matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n'));
            let text = &self.rest[separators.count()..];
            if text.is_empty() {
                self.rest = "";
                return None;
            }
            let name_end = text.bytes().position(|byte| matches!(byte, b';' | b'=')).unwrap_or(text.len());
            let (name, behind) = text.split_at(name_end);
            let (value, rest) = match behind.strip_prefix('=') {
                Some(value) => {
                    let (value, rest) = split_value(trim_start(value));
                    (Some(value), rest)
                }
                None => (None, behind),
            };
            self.rest = rest;
            let name = trim(name);
            if !name.is_empty() {
                return Some((name, value));
            }
        }
    }
}

/// A parameter's value, trimmed, and what stands behind it from its semicolon on. One in a quoted string is none.
fn split_value(text: &str) -> (&str, &str) {
    let from = if text.starts_with('"') { end_of_quoted(text, 0).unwrap_or(text.len()) } else { 0 };
    let end = memchr::memchr(b';', &text.as_bytes()[from..]).map_or(text.len(), |length| from + length);
    let (value, rest) = text.split_at(end);
    (trim(value), rest)
}

/// The content of a quoted string, its escapes resolved. Any other text comes back trimmed.
pub fn unquote(text: &str) -> Cow<'_, str> {
    let text = trim(text);
    let Some(inner) = text.strip_prefix('"') else { return Cow::Borrowed(text) };
    let inner = match end_of_quoted(text, 0) {
        Some(end) => text.get(1..end - 1).unwrap_or(inner),
        None => inner,
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut content = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        content.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(content)
}

/// Appends the text as a quoted string. Line ends, which no quoting can carry, become spaces.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\r' | '\n' => out.push(' '),
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_at_top_level_commas_only() {
        let items: Vec<_> = split_list(r#" "a, \" b" <sip:c,d@e>;x="1,2" , f ,, <sip:g> "#).collect();
        assert_eq!(items, [r#""a, \" b" <sip:c,d@e>;x="1,2""#, "f", "<sip:g>"]);
        assert_eq!(split_list(r#""never closed, a"#).count(), 1);
        assert_eq!(split_list("<never closed, a").count(), 1);
    }

    #[test]
    fn the_rest_of_a_list_is_what_was_not_handed_out() {
        let mut list = split_list("a, b , c");
        list.next();
        assert_eq!(list.rest(), "b , c");
    }

    #[test]
    fn params_are_found_by_name_without_regard_to_case_or_spaces() {
        let params = Params::new(r#" ; Branch = z9hG4bK ;lr; text="a;b=\"c" ;; x=[::1]"#);
        assert_eq!(params.value("branch"), Some("z9hG4bK"));
        assert_eq!(params.get("LR"), Some(None));
        assert_eq!(params.value("text"), Some(r#""a;b=\"c""#));
        assert_eq!(params.value("x"), Some("[::1]"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.iter().count(), 4);
    }

    #[test]
    fn params_with_empty_or_unclosed_parts_are_invalid() {
        for good in ["", ";a", ";a=b;c", r#"; a = "x;y" ;b=[::1]"#] {
            assert!(Params::new(good).is_valid(), "{good}");
        }
        for bad in [";", ";;a", "a", r#";a="x"#, ";a=", ";=b", ";a b", r#";a="x"y"#] {
            assert!(!Params::new(bad).is_valid(), "{bad}");
        }
    }

    #[test]
    fn quoting_is_undone_by_unquoting() {
        let mut quoted = String::new();
        quote(r#"a "b" \ c"#, &mut quoted);
        assert_eq!(quoted, r#""a \"b\" \\ c""#);
        assert_eq!(unquote(&quoted), r#"a "b" \ c"#);
        assert_eq!(unquote(" token "), "token");
        assert_eq!(unquote(r#""open"#), "open");
        assert_eq!(unquote("\""), "");
    }

    #[test]
    fn decimals_are_digits_within_32_bits() {
        assert_eq!(decimal("4294967295"), Some(u32::MAX));
        assert_eq!(decimal("0000000000000000000009"), Some(9));
        for bad in ["", "+1", "-1", "4294967296", "1 ", "x"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
