//! Reading URIs (RFC 3261 §19.1.1 and §25.1).

use std::borrow::Cow;
use std::fmt;

use super::escape;
use super::{HostPort, escape::unescape};
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
        match text.len() {
            3 if text.eq_ignore_ascii_case("sip") => Self::Sip,
            4 if text.eq_ignore_ascii_case("sips") => Self::Sips,
            3 if text.eq_ignore_ascii_case("tel") => Self::Tel,
            4 if text.eq_ignore_ascii_case("pres") => Self::Pres,
            2 if text.eq_ignore_ascii_case("im") => Self::Im,
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
        let (scheme_text, rest) = lex::split_at_byte(text, b':').ok_or(UriError::Scheme)?;
        if !is_scheme(scheme_text) {
            return Err(UriError::Scheme);
        }
        if !lex::all(rest, lex::URI) {
            return Err(UriError::Character);
        }
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
            Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im => empty.with_address(rest),
            Scheme::Tel => empty.with_number(rest),
            Scheme::Other if rest.is_empty() => Err(UriError::Empty),
            Scheme::Other => Ok(empty),
        }
    }

    /// `[ userinfo ] hostport uri-parameters [ headers ]`
    fn with_address(mut self, rest: &'a str) -> Result<Self, UriError> {
        if !escape::escapes_are_valid(rest) {
            return Err(UriError::Escape);
        }
        // The user may hold semicolons and question marks, what follows it no @: so this comes first.
        let address = match lex::split_at_byte(rest, b'@') {
            None => rest,
            Some((userinfo, behind)) => {
                let (user, password) = match lex::split_at_byte(userinfo, b':') {
                    None => (userinfo, None),
                    Some((user, password)) => (user, Some(password)),
                };
                if user.is_empty() || lex::find(behind, b'@').is_some() {
                    return Err(UriError::User);
                }
                (self.user, self.password) = (Some(user), password);
                behind
            }
        };
        let (address, headers) = lex::split_at_byte(address, b'?').unwrap_or((address, ""));
        let semicolon = lex::find(address, b';').unwrap_or(address.len());
        self.host = Some(HostPort::parse(&address[..semicolon])?);
        self.params = Params::new(&address[semicolon..]);
        self.headers = headers;
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

/// RFC 3986 §3.1
fn is_scheme(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
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
