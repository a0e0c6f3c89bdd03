//! The comma-separated `name=value` list of the authentication headers: RFC 7235 §2.1, RFC 3261 §25.1.

use std::borrow::Cow;

use super::DigestError;
use crate::lex;

/// A nonce count; what is not hexadecimal is none, and could not be printed again without quotes.
pub(crate) fn nonce_count(value: &str) -> Option<&str> {
    Some(between_quotes(value)).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The parameters of one header value, in order, with values as on the wire, quotes included.
pub(crate) struct Parameters<'a> {
    rest: &'a str,
}

impl<'a> Parameters<'a> {
    /// The list after the scheme `Digest`.
    pub(crate) fn after_scheme(value: &'a str) -> Result<Self, DigestError> {
        let value = value.trim_ascii();
        let (scheme, rest) = value.split_once(|c: char| c.is_ascii_whitespace()).ok_or(DigestError::NotDigest)?;
        if scheme.eq_ignore_ascii_case("Digest") { Ok(Self::bare(rest)) } else { Err(DigestError::NotDigest) }
    }

    /// A list without a scheme, as in Authentication-Info.
    pub(crate) fn bare(list: &'a str) -> Self {
        Self { rest: list }
    }

    fn take(&mut self) -> Result<(&'a str, &'a str), DigestError> {
        let (name, after) = lex::split_at_byte(self.rest, b'=').ok_or(DigestError::Malformed)?;
        let after = after.trim_ascii_start();
        let end = if after.starts_with('"') {
            lex::end_of_quoted(after, 0).ok_or(DigestError::Malformed)?
        } else {
            lex::find(after, b',').unwrap_or(after.len())
        };
        let (value, rest) = after.split_at(end);
        let rest = rest.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(DigestError::Malformed);
        }
        // A quote within an unquoted value could not be printed again.
        if !value.starts_with('"') && value.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
            return Err(DigestError::Malformed);
        }
        let name = name.trim_ascii();
        if name.is_empty() || name.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'"' | b',')) {
            return Err(DigestError::Malformed);
        }
        self.rest = rest;
        Ok((name, value.trim_ascii_end()))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a str, &'a str), DigestError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Empty list elements are allowed by RFC 7230 §7 and sent by some.
        let is_between = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
        let start = self.rest.bytes().position(|byte| !is_between(&byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[start..];
        if self.rest.is_empty() {
            return None;
        }
        let item = self.take();
        if item.is_err() {
            self.rest = "";
        }
        Some(item)
    }
}

/// A flag, quoted or not.
pub(super) fn is_true(value: &str) -> bool {
    between_quotes(value).eq_ignore_ascii_case("true")
}

/// What stands between the quotes, escapes left alone: RFC 7616's `unq`, the form that is hashed.
pub(crate) fn between_quotes(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// The text that a quoted string stands for.
pub(crate) fn unquoted(value: &str) -> Cow<'_, str> {
    let inner = between_quotes(value);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(text)
}

/// Remembers a value once; a second one is an error.
pub(crate) fn once<'a>(slot: &mut Option<&'a str>, name: &'static str, value: &'a str) -> Result<(), DigestError> {
    if slot.replace(value).is_some() { Err(DigestError::Repeated(name)) } else { Ok(()) }
}

/// Prints `text` as a quoted string.
pub(crate) fn write_quoted(f: &mut std::fmt::Formatter<'_>, text: &str) -> std::fmt::Result {
    use std::fmt::Write;
    f.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        f.write_str(&rest[..at])?;
        f.write_char('\\')?;
        f.write_str(&rest[at..=at])?;
        rest = &rest[at + 1..];
    }
    f.write_str(rest)?;
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Result<Vec<(&str, &str)>, DigestError> {
        Parameters::bare(list).collect()
    }

    #[test]
    fn quotes_hide_commas_and_equals_signs() {
        assert_eq!(read(r#"a="x,y=z", b = c,,d="\"""#), Ok(vec![("a", "\"x,y=z\""), ("b", "c"), ("d", r#""\"""#)]));
    }

    #[test]
    fn unquoted_values_may_hold_what_tokens_may_not() {
        assert_eq!(read("uri=sip:a@b;c=d,nc=1"), Ok(vec![("uri", "sip:a@b;c=d"), ("nc", "1")]));
    }

    #[test]
    fn a_nonce_count_is_hexadecimal_or_none() {
        assert_eq!(
            (nonce_count("\"0000000A\""), nonce_count(" , ="), nonce_count("+1")),
            (Some("0000000A"), None, None)
        );
    }

    #[test]
    fn broken_lists_are_errors() {
        for list in ["a", "a=\"open", "=b", "a=\"b\"c", "a b=c", ", x", "a=b\"c", "a=b\\"] {
            assert_eq!(read(list), Err(DigestError::Malformed), "{list}");
        }
    }

    #[test]
    fn only_digest_is_taken() {
        assert!(Parameters::after_scheme("dIGEST\ta=b").is_ok());
        assert_eq!(Parameters::after_scheme("Basic abc").err(), Some(DigestError::NotDigest));
        assert_eq!(Parameters::after_scheme("Digest").err(), Some(DigestError::NotDigest));
    }

    #[test]
    fn escapes_are_undone_for_names_only() {
        assert_eq!(unquoted(r#""a\"b\\""#), r#"a"b\"#);
        assert_eq!(between_quotes(r#""a\"b""#), r#"a\"b"#);
    }
}
