//! The lexical ground that all of SIP's grammar stands on: tokens, quoted strings, parameters and
//! comma-separated lists (RFC 3261 §25.1). Everything borrows; nothing is allocated.

use std::borrow::Cow;
use std::ops::Range;

/// What an octet may be part of, as bits: looked up instead of compared, since this is done for every octet.
static CLASS: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = class_of(byte as u8);
        byte += 1;
    }
    table
};

/// `token` (RFC 3261 §25.1).
pub(crate) const TOKEN: u16 = 1;
/// White space between words.
const SPACE: u16 = 2;
/// All but what delimits a URI in a message and what can't be seen. More than the grammar allows passes, such as
/// `#` in users and UTF-8: there are phones that send it.
pub(crate) const URI: u16 = 4;
/// Of [`URI`] what neither delimits a part of a URI nor escapes.
pub(crate) const URI_PART: u16 = 8;
/// URI schemes (RFC 3986 §3.1).
pub(crate) const SCHEME: u16 = 16;
/// Host names.
pub(crate) const HOST: u16 = 32;
/// What may stand in angle brackets.
pub(crate) const BRACKETED: u16 = 64;
/// All but white space.
pub(crate) const VISIBLE: u16 = 1024;
/// `gen-value = token / host / quoted-string`, unquoted, and octets that senders are known to leave unquoted.
const VALUE: u16 = 128;
/// What ends neither the name of a parameter nor its value.
const PARAMETER: u16 = 256;
/// What stands between parameters.
const BETWEEN: u16 = 512;

const fn class_of(b: u8) -> u16 {
    let mut class = 0;
    if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
        class |= TOKEN;
    }
    if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
        class |= SPACE | BETWEEN;
    } else {
        class |= VISIBLE;
    }
    if class & VISIBLE != 0 && b != b'>' {
        class |= BRACKETED;
    }
    if b > b' ' && !matches!(b, b'<' | b'>' | b'"' | 0x7f) {
        class |= URI;
        if !matches!(b, b':' | b'@' | b';' | b'?' | b'%') {
            class |= URI_PART;
        }
    }
    if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.') {
        class |= SCHEME;
    }
    // Underscores are not in the grammar and yet are in the names of many private networks.
    if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') {
        class |= HOST;
    }
    if b > b' ' && !matches!(b, b'"' | b',' | b';' | 0x7f) {
        class |= VALUE;
    }
    match b {
        b';' => class |= BETWEEN,
        b'=' => {}
        _ => class |= PARAMETER,
    }
    class
}

/// Whether all octets are of the class.
#[inline]
pub(crate) fn all(text: &str, class: u16) -> bool {
    skip(text.as_bytes(), 0, class) == text.len()
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
pub(crate) fn skip(bytes: &[u8], from: usize, class: u16) -> usize {
    let (blocks, _) = bytes.get(from..).unwrap_or_default().as_chunks::<4>();
    // One branch for four look-ups.
    let within = |&[a, b, c, d]: &[u8; 4]| class_at(a) & class_at(b) & class_at(c) & class_at(d) & class != 0;
    let whole = blocks.iter().position(|block| !within(block)).unwrap_or(blocks.len());
    skip_short(bytes, from + 4 * whole, class)
}

/// The same where few octets are to be skipped, mostly none.
#[inline]
pub(crate) fn skip_short(bytes: &[u8], from: usize, class: u16) -> usize {
    let mut at = from;
    while bytes.get(at).is_some_and(|&byte| class_at(byte) & class != 0) {
        at += 1;
    }
    at
}

#[inline]
fn class_at(byte: u8) -> u16 {
    CLASS[usize::from(byte)]
}

/// Whether the octet may stand in a `token`.
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    class_at(byte) & TOKEN != 0
}

/// Whether the text is a `token`: one or more token octets.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// Whether names are the same but for case. Most are written alike, which is seen much faster.
#[inline]
pub(crate) fn is_same_name(a: &[u8], b: &[u8]) -> bool {
    a == b || a.eq_ignore_ascii_case(b)
}

/// Whether the octet is white space between words: SP, HTAB, and the CR and LF of a folded line.
#[inline]
pub fn is_space(byte: u8) -> bool {
    class_at(byte) & SPACE != 0
}

/// The text without the white space (folds included) around it.
#[inline]
pub fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let range = without_space_behind(bytes, skip_short(bytes, 0, SPACE)..bytes.len());
    &text[range]
}

/// The text without the white space in front of it.
#[inline]
pub fn trim_start(text: &str) -> &str {
    &text[skip_short(text.as_bytes(), 0, SPACE)..]
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
    let end = skip_short(text.as_bytes(), 0, TOKEN);
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
        ParamsIter { text: self.0, at: 0 }
    }

    /// `None`: not there. `Some(None)`: there without a value. `Some(Some(value))`: there with this raw value.
    pub fn get(self, name: &str) -> Option<Option<&'a str>> {
        if self.0.is_empty() {
            return None;
        }
        let (text, mut params) = (self.0, self.iter());
        while let Some((candidate, value)) = params.next_ranges() {
            if candidate.len() == name.len() && is_same_name(&text.as_bytes()[candidate], name.as_bytes()) {
                return Some(value.map(|value| &text[value]));
            }
        }
        None
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
        self.each_valid(|_, _| {})
    }

    /// Calls for each parameter, with its name and where in the text its value stands, and says what [`Params::is_valid`] says.
    #[inline]
    pub(crate) fn each_valid(self, mut note: impl FnMut(&'a [u8], Option<Range<usize>>)) -> bool {
        let (text, bytes) = (self.0, self.0.as_bytes());
        let mut at = skip_short(bytes, 0, SPACE);
        while at < bytes.len() {
            if bytes[at] != b';' {
                return false;
            }
            let name = skip_short(bytes, at + 1, SPACE);
            let name_end = skip_short(bytes, name, TOKEN);
            if name == name_end {
                return false;
            }
            let mut value = None;
            at = skip_short(bytes, name_end, SPACE);
            if bytes.get(at) == Some(&b'=') {
                let start = skip_short(bytes, at + 1, SPACE);
                let end = match bytes.get(start) {
                    Some(b'"') => end_of_quoted(text, start).unwrap_or(start),
                    _ => skip(bytes, start, VALUE),
                };
                if start == end {
                    return false;
                }
                value = Some(start..end);
                at = skip_short(bytes, end, SPACE);
            }
            note(&bytes[name..name_end], value);
        }
        true
    }
}

/// See [`Params::iter`].
#[derive(Clone, Debug)]
pub struct ParamsIter<'a> {
    text: &'a str,
    at: usize,
}

impl ParamsIter<'_> {
    /// Where the next one's name and value stand.
    #[inline]
    fn next_ranges(&mut self) -> Option<(Range<usize>, Option<Range<usize>>)> {
        let bytes = self.text.as_bytes();
        loop {
            let name = skip_short(bytes, self.at, BETWEEN);
            if name >= bytes.len() {
                return None;
            }
            let name_end = skip_short(bytes, name, PARAMETER);
            let value = (bytes.get(name_end) == Some(&b'=')).then(|| {
                let value = skip_short(bytes, name_end + 1, SPACE);
                value..end_of_value(self.text, value)
            });
            self.at = value.as_ref().map_or(name_end, |value| value.end);
            let name = without_space_behind(bytes, name..name_end);
            if !name.is_empty() {
                return Some((name, value.map(|value| without_space_behind(bytes, value))));
            }
        }
    }
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.text;
        let (name, value) = self.next_ranges()?;
        Some((&text[name], value.map(|value| &text[value])))
    }
}

#[inline]
fn without_space_behind(bytes: &[u8], mut range: Range<usize>) -> Range<usize> {
    while range.end > range.start && is_space(bytes[range.end - 1]) {
        range.end -= 1;
    }
    range
}

/// Where the semicolon behind the value stands that starts at `start`. One in a quoted string is none.
fn end_of_value(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let from = match bytes.get(start) {
        Some(b'"') => end_of_quoted(text, start).unwrap_or(bytes.len()),
        _ => skip(bytes, start, VALUE),
    };
    match bytes.get(from) {
        None | Some(b';') => from,
        Some(_) => memchr::memchr(b';', &bytes[from..]).map_or(bytes.len(), |length| from + length),
    }
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
