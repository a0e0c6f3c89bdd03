//! Reading URIs (RFC 3261 §19.1.1 and §25.1).

use std::borrow::Cow;
use std::fmt;

use super::HostPort;
use super::escape::{self, unescape};
use crate::lex::{self, Params};

/// What a URI's scheme means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Sip,
    Sips,
    /// RFC 3966
    Tel,
    /// RFC 3859
    Pres,
    /// RFC 3860
    Im,
    Other,
}

impl Scheme {
    fn of(text: &str) -> Self {
        let is = |known: &str| lex::is_same_name(text.as_bytes(), known.as_bytes());
        match text.len() {
            3 if is("sip") => Self::Sip,
            4 if is("sips") => Self::Sips,
            3 if is("tel") => Self::Tel,
            4 if is("pres") => Self::Pres,
            2 if is("im") => Self::Im,
            _ => Self::Other,
        }
    }
}

/// Why a text is no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("no scheme in front of a colon")]
    Scheme,
    #[error("a character that no URI may contain")]
    Character,
    #[error("a percent sign without two hexadecimal digits")]
    Escape,
    #[error("nothing in front of the @ sign, or two of them")]
    User,
    #[error("no valid host")]
    Host,
    #[error("no valid port")]
    Port,
    #[error("nothing behind the scheme")]
    Empty,
    #[error("headers, which are not allowed here")]
    Headers,
}

/// A URI, its parts borrowed from the text.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    pub scheme: Scheme,
    /// As written, without the colon.
    pub scheme_text: &'a str,
    /// As written, escapes unresolved. For `tel:` the number.
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
    /// `None` for `tel:` and unknown schemes.
    pub host: Option<HostPort<'a>>,
    /// The URI's own parameters; empty for unknown schemes.
    pub params: Params<'a>,
    /// What follows the question mark, without it.
    pub headers: &'a str,
    /// The whole text.
    pub raw: &'a str,
}

impl<'a> Uri<'a> {
    /// Any scheme; only of those in [`Scheme`] the inside is looked at.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        let bytes = text.as_bytes();
        let colon = lex::skip_short(bytes, 0, lex::SCHEME);
        if bytes.get(colon) != Some(&b':') || !bytes[0].is_ascii_alphabetic() {
            return Err(UriError::Scheme);
        }
        let marks = Marks::of(bytes, colon + 1)?;
        let (scheme_text, rest) = (&text[..colon], &text[colon + 1..]);
        let scheme = Scheme::of(scheme_text);
        let empty = Self {
            scheme,
            scheme_text,
            user: None,
            password: None,
            host: None,
            params: Params::default(),
            headers: "",
            raw: text,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im => empty.with_address(&marks),
            Scheme::Tel => empty.with_number(rest),
            Scheme::Other if rest.is_empty() => Err(UriError::Empty),
            Scheme::Other => Ok(empty),
        }
    }

    /// `[ userinfo ] hostport uri-parameters [ headers ]`
    fn with_address(mut self, marks: &Marks) -> Result<Self, UriError> {
        let text = self.raw;
        if marks.broken_escape {
            return Err(UriError::Escape);
        }
        let start = self.scheme_text.len() + 1;
        let mut host = start;
        if let Some(at) = marks.at {
            let user_end = marks.user_colon.unwrap_or(at);
            if user_end == start || marks.second_at {
                return Err(UriError::User);
            }
            self.user = Some(&text[start..user_end]);
            self.password = marks.user_colon.map(|colon| &text[colon + 1..at]);
            host = at + 1;
        }
        let end = marks.question.unwrap_or(text.len());
        let semicolon = marks.semicolon.unwrap_or(end);
        self.host = Some(HostPort::parse(&text[host..semicolon])?);
        self.params = Params::new(&text[semicolon..end]);
        self.headers = marks.question.map_or("", |question| &text[question + 1..]);
        Ok(self)
    }

    /// RFC 3966 §3: `global-number / local-number`, each with parameters.
    fn with_number(mut self, rest: &'a str) -> Result<Self, UriError> {
        let semicolon = lex::find(rest, b';').unwrap_or(rest.len());
        if semicolon == 0 {
            return Err(UriError::Empty);
        }
        self.user = Some(&rest[..semicolon]);
        self.params = Params::new(&rest[semicolon..]);
        Ok(self)
    }

    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// The `transport` parameter, as written.
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }

    /// Whether the `lr` parameter marks a loose router (§19.1.1).
    pub fn is_loose_router(&self) -> bool {
        self.params.flag("lr")
    }

    /// The user with its escapes resolved, empty where there is none.
    pub fn user_unescaped(&self) -> Cow<'a, str> {
        self.user.map_or(Cow::Borrowed(""), unescape)
    }

    /// Name and value of each header component (`?name=value&…`), escapes unresolved.
    pub fn header_fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.headers
            .split('&')
            .filter(|field| !field.is_empty())
            .map(|field| field.split_once('=').unwrap_or((field, "")))
    }
}

/// Where the delimiters stand that cut an address into its parts, found in one pass.
#[derive(Default)]
struct Marks {
    /// The first one, behind which the host starts.
    at: Option<usize>,
    second_at: bool,
    /// The first one before the @.
    user_colon: Option<usize>,
    /// The first one behind the @, or of all, that is before the question mark.
    semicolon: Option<usize>,
    /// The first one behind the @, or of all.
    question: Option<usize>,
    /// Whether a percent sign stands without two hexadecimal digits.
    broken_escape: bool,
}

impl Marks {
    /// An error at an octet that may be in no URI.
    fn of(bytes: &[u8], from: usize) -> Result<Self, UriError> {
        let mut marks = Self::default();
        let mut colon = None;
        let mut index = lex::skip_short(bytes, from, lex::URI_PART);
        while let Some(&byte) = bytes.get(index) {
            match byte {
                b':' => colon = colon.or(Some(index)),
                b';' if marks.question.is_none() => marks.semicolon = marks.semicolon.or(Some(index)),
                b'?' => marks.question = marks.question.or(Some(index)),
                b'%' => marks.broken_escape |= !escape::is_valid_at(bytes, index),
                b'@' if marks.at.is_some() => marks.second_at = true,
                // The user may hold semicolons and question marks, what follows it no @.
                b'@' => {
                    marks = Self {
                        at: Some(index),
                        user_colon: colon,
                        broken_escape: marks.broken_escape,
                        ..Self::default()
                    }
                }
                b';' => {}
                _ => return Err(UriError::Character),
            }
            index = lex::skip_short(bytes, index + 1, lex::URI_PART);
        }
        Ok(marks)
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_a_sip_uri_are_found() {
        let uri = Uri::parse("sip:al%69ce:pass:word@Example.com:5070;transport=tcp;lr?subject=a%20b&x=y").unwrap();
        assert_eq!((uri.scheme, uri.user, uri.password), (Scheme::Sip, Some("al%69ce"), Some("pass:word")));
        assert_eq!(uri.user_unescaped(), "alice");
        assert_eq!(uri.host, Some(HostPort::parse("example.com:5070").unwrap()));
        assert_eq!((uri.transport(), uri.is_loose_router()), (Some("tcp"), true));
        assert_eq!(uri.header_fields().collect::<Vec<_>>(), [("subject", "a%20b"), ("x", "y")]);
    }

    #[test]
    fn the_user_may_hold_semicolons_and_question_marks() {
        // RFC 4475 §3.1.1.9
        let uri = Uri::parse("sip:user;par=u%40example.net@example.com").unwrap();
        assert_eq!((uri.user, uri.params.is_empty()), (Some("user;par=u%40example.net"), true));
        let uri = Uri::parse("sip:a?b@example.com?c=d").unwrap();
        assert_eq!((uri.user, uri.headers), (Some("a?b"), "c=d"));
    }

    #[test]
    fn other_schemes_are_kept_whole() {
        let uri = Uri::parse("tel:+1-212-555;phone-context=x").unwrap();
        assert_eq!(
            (uri.scheme, uri.user, uri.params.value("phone-context")),
            (Scheme::Tel, Some("+1-212-555"), Some("x"))
        );
        assert_eq!(Uri::parse("PRES:a@b").unwrap().scheme, Scheme::Pres);
        assert_eq!(Uri::parse("im:a@b").unwrap().scheme, Scheme::Im);
        let uri = Uri::parse("urn:service:sos").unwrap();
        assert_eq!((uri.scheme, uri.scheme_text, uri.host), (Scheme::Other, "urn", None));
        assert_eq!(Uri::parse("nobodyKnowsThisScheme:totallyopaquecontent").unwrap().scheme, Scheme::Other);
    }

    #[test]
    fn broken_uris_say_what_is_wrong() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("alice", UriError::Scheme),
            ("1sip:a", UriError::Scheme),
            ("<sip:a>", UriError::Scheme),
            ("sip:", UriError::Host),
            ("sip:a b@c", UriError::Character),
            ("sip:<a>", UriError::Character),
            ("sip:@b", UriError::User),
            ("sip:a@b@c", UriError::User),
            ("sip:a@", UriError::Host),
            ("sip:a@b:x", UriError::Port),
            ("sip:a%2@b", UriError::Escape),
            ("sip:user@2001:db8::10", UriError::Port),
            ("tel:", UriError::Empty),
            ("urn:", UriError::Empty),
        ] {
            assert_eq!(Uri::parse(text).unwrap_err(), error, "{text}");
        }
    }
}
