//! `name-addr` and `addr-spec` with header parameters (RFC 3261 §20.10, §25.1), as From, To, Contact, Route
//! and their like carry them.

use std::borrow::Cow;
use std::fmt;

use super::{Uri, UriError};
use crate::lex::{self, Params};

/// A URI with the display name in front of it and the header parameters behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// As written: a quoted string with its quotes, or words. See [`NameAddr::display_name`].
    pub display: Option<&'a str>,
    /// As written, without the angle brackets. See [`NameAddr::uri`].
    pub uri: &'a str,
    /// The header's parameters. Without angle brackets all parameters are the header's (§20.10).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. The URI's inside is not looked at; that is [`NameAddr::uri`]'s.
    pub fn parse(text: &'a str) -> Result<Self, NameAddrError> {
        let text = lex::trim(text);
        let (display, start) = match find_open(text)? {
            None => return Self::parse_bare(text),
            Some(0) => (None, 1),
            Some(open) => {
                let display = lex::trim(&text[..open]);
                if !display_is_valid(display) {
                    return Err(NameAddrError::Display);
                }
                (Some(display), open + 1)
            }
        };
        let end = lex::skip(text.as_bytes(), start, lex::BRACKETED);
        if text.as_bytes().get(end) != Some(&b'>') {
            let closed = lex::find(&text[end..], b'>').is_some();
            return Err(if closed { NameAddrError::Uri } else { NameAddrError::Bracket });
        }
        Self::checked(display, &text[start..end], lex::trim_start(&text[end + 1..]))
    }

    fn parse_bare(text: &'a str) -> Result<Self, NameAddrError> {
        let semicolon = lex::find(text, b';').unwrap_or(text.len());
        let uri = lex::trim(&text[..semicolon]);
        // §20.10: a URI that contains a comma, question mark or semicolon must be enclosed in angle brackets.
        if uri.bytes().any(|byte| matches!(byte, b',' | b'?' | b'"' | b'<' | b'>')) {
            return Err(NameAddrError::Bracket);
        }
        if uri.bytes().any(lex::is_space) {
            return Err(NameAddrError::Uri);
        }
        Self::checked(None, uri, &text[semicolon..])
    }

    fn checked(display: Option<&'a str>, uri: &'a str, params: &'a str) -> Result<Self, NameAddrError> {
        if uri.is_empty() {
            return Err(NameAddrError::Uri);
        }
        let params = Params::new(params);
        if !params.is_valid() {
            return Err(NameAddrError::Params);
        }
        Ok(Self { display, uri, params })
    }

    pub fn uri(&self) -> Result<Uri<'a>, UriError> {
        Uri::parse(self.uri)
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.value("tag")
    }

    /// The display name with quotes and escapes resolved; empty where there is none.
    pub fn display_name(&self) -> Cow<'a, str> {
        self.display.map_or(Cow::Borrowed(""), lex::unquote)
    }
}

/// Where the angle bracket outside of quotes opens.
fn find_open(text: &str) -> Result<Option<usize>, NameAddrError> {
    let from = if text.starts_with('"') { lex::end_of_quoted(text, 0).ok_or(NameAddrError::Display)? } else { 0 };
    Ok(lex::find(&text[from..], b'<').map(|at| from + at))
}

/// `display-name = *( token LWS ) / quoted-string`. Words may hold more than token characters, since phones
/// send such, but nothing that would make the value ambiguous (RFC 4475 §3.1.2.15).
fn display_is_valid(display: &str) -> bool {
    if display.starts_with('"') {
        return lex::end_of_quoted(display, 0) == Some(display.len());
    }
    !display.bytes().any(|byte| matches!(byte, b'"' | b',' | b';' | b'>' | b'\\'))
}

/// Why a text is no name-addr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameAddrError {
    #[error("no valid display name")]
    Display,
    #[error("angle brackets are missing or don't match")]
    Bracket,
    #[error("no URI, or white space in it")]
    Uri,
    #[error("no valid parameters")]
    Params,
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = self.display {
            write!(f, "{display} ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_angle_brackets_parameters_inside_are_the_uris() {
        let value = NameAddr::parse(r#""A \"<x>\" B" <sip:a@b;lr?x=y> ; tag=1;q=0.5"#).unwrap();
        assert_eq!(value.display_name(), r#"A "<x>" B"#);
        assert_eq!((value.uri, value.tag()), ("sip:a@b;lr?x=y", Some("1")));
        assert!(value.uri().unwrap().is_loose_router());
        assert_eq!(value.to_string(), r#""A \"<x>\" B" <sip:a@b;lr?x=y>; tag=1;q=0.5"#);
    }

    #[test]
    fn without_angle_brackets_all_parameters_are_the_headers() {
        let value = NameAddr::parse("sip:a@b;tag=1").unwrap();
        assert_eq!((value.display, value.uri, value.tag()), (None, "sip:a@b", Some("1")));
        assert_eq!(value.to_string(), "<sip:a@b>;tag=1");
    }

    #[test]
    fn display_names_are_words_or_quoted_and_may_be_utf8() {
        assert_eq!(NameAddr::parse("Bob Smith <sip:b@c>").unwrap().display_name(), "Bob Smith");
        assert_eq!(NameAddr::parse("J\u{f6}rg (home)<sip:b@c>").unwrap().display_name(), "J\u{f6}rg (home)");
        assert_eq!(NameAddr::parse(r#""" <sip:b@c>"#).unwrap().display_name(), "");
        assert_eq!(NameAddr::parse("<sip:b@c>").unwrap().display, None);
    }

    #[test]
    fn broken_values_say_what_is_wrong() {
        for (text, error) in [
            (r#""Mr. J. User <sip:j.user@example.com>"#, NameAddrError::Display),
            ("Bell, Alexander <sip:a@b>", NameAddrError::Display),
            (r#""a" b <sip:a@b>"#, NameAddrError::Display),
            ("<sip:a@b", NameAddrError::Bracket),
            ("sip:a@b?x=y", NameAddrError::Bracket),
            (r#""name only""#, NameAddrError::Bracket),
            ("< sip:a@b >", NameAddrError::Uri),
            ("<>", NameAddrError::Uri),
            ("", NameAddrError::Uri),
            ("<sip:a@b>;;tag=1", NameAddrError::Params),
            ("<sip:a@b> tag=1", NameAddrError::Params),
        ] {
            assert_eq!(NameAddr::parse(text).unwrap_err(), error, "{text}");
        }
    }
}
