//! What many headers share: a token, a line of text, a number, a time span, a name-addr. Each such header is a type of
//! its own, in a file of its own; these macros give it its `parse` and its `Display`.

use std::fmt;
use std::time::Duration;

use super::{HeaderError, HeaderName};
use crate::digest::DigestError;
use crate::lex::{self, Params};
use crate::uri::{NameAddr, NameAddrError};

/// A header (or an item of its list) that is one token, or an entity tag or the like, kept as written.
macro_rules! token_header {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type<'a>(pub &'a str);

        impl<'a> $crate::header::Header<'a> for $type<'a> {
            const NAME: $crate::header::HeaderName = $crate::header::HeaderName::$type;

            fn parse(value: &'a str) -> Result<Self, $crate::header::HeaderError> {
                $crate::header::shapes::token(Self::NAME, value).map(Self)
            }
        }

        $crate::header::shapes::print_inner!($type<'_>);
    };
}

/// A header that is text without further grammar.
macro_rules! text_header {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type<'a>(pub &'a str);

        impl<'a> $crate::header::Header<'a> for $type<'a> {
            const NAME: $crate::header::HeaderName = $crate::header::HeaderName::$type;

            fn parse(value: &'a str) -> Result<Self, $crate::header::HeaderError> {
                Ok(Self($crate::lex::trim(value)))
            }
        }

        impl std::fmt::Display for $type<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::header::shapes::write_text(f, self.0)
            }
        }
    };
}

/// A header that is a number of at most the given width.
macro_rules! number_header {
    ($(#[$doc:meta])* $type:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type(pub $number);

        impl<'a> $crate::header::Header<'a> for $type {
            const NAME: $crate::header::HeaderName = $crate::header::HeaderName::$type;

            fn parse(value: &'a str) -> Result<Self, $crate::header::HeaderError> {
                let number = $crate::header::shapes::number(Self::NAME, value)?;
                let too_large = $crate::header::HeaderError::new(Self::NAME, "the number is too large");
                <$number>::try_from(number).map(Self).map_err(|_| too_large)
            }
        }

        $crate::header::shapes::print_inner!($type);
    };
}

/// A header that is `delta-seconds`.
macro_rules! seconds_header {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type(pub std::time::Duration);

        impl<'a> $crate::header::Header<'a> for $type {
            const NAME: $crate::header::HeaderName = $crate::header::HeaderName::$type;

            fn parse(value: &'a str) -> Result<Self, $crate::header::HeaderError> {
                let seconds = $crate::header::shapes::number(Self::NAME, value)?;
                Ok(Self(std::time::Duration::from_secs(seconds.into())))
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0.as_secs())
            }
        }
    };
}

/// A header (or an item of its list) that is a name-addr or a bare URI, with parameters.
macro_rules! name_addr_header {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type<'a>(pub $crate::uri::NameAddr<'a>);

        impl<'a> $crate::header::Header<'a> for $type<'a> {
            const NAME: $crate::header::HeaderName = $crate::header::HeaderName::$type;

            fn parse(value: &'a str) -> Result<Self, $crate::header::HeaderError> {
                $crate::header::shapes::name_addr(Self::NAME, value).map(Self)
            }
        }

        $crate::header::shapes::print_inner!($type<'_>);
    };
}

/// A header (or an item of its list) that is a token with parameters.
macro_rules! token_with_params_header {
    ($(#[$doc:meta])* $type:ident, $(#[$field_doc:meta])* $field:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type<'a> {
            $(#[$field_doc])*
            pub $field: &'a str,
            pub params: $crate::lex::Params<'a>,
        }

        impl<'a> $crate::header::Header<'a> for $type<'a> {
            const NAME: $crate::header::HeaderName = $crate::header::HeaderName::$type;

            fn parse(value: &'a str) -> Result<Self, $crate::header::HeaderError> {
                let (text, params) = $crate::header::shapes::before_params(Self::NAME, value)?;
                Ok(Self { $field: $crate::header::shapes::token(Self::NAME, text)?, params })
            }
        }

        impl std::fmt::Display for $type<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}{}", self.$field, self.params.as_str())
            }
        }
    };
}

/// `Display` of a tuple struct that is its content's.
macro_rules! print_inner {
    ($type:ty) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

pub(super) use {
    name_addr_header, number_header, print_inner, seconds_header, text_header, token_header, token_with_params_header,
};

pub(super) fn token(name: HeaderName, value: &str) -> Result<&str, HeaderError> {
    let value = lex::trim(value);
    if lex::is_token(value) { Ok(value) } else { Err(HeaderError::new(name, "not a token")) }
}

pub(super) fn number(name: HeaderName, value: &str) -> Result<u32, HeaderError> {
    lex::decimal(lex::trim(value)).ok_or_else(|| HeaderError::new(name, "not a number below 2^32"))
}

/// `delta-seconds` in a parameter.
pub(super) fn seconds(value: Option<&str>) -> Option<Duration> {
    value.and_then(lex::decimal).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn name_addr(name: HeaderName, value: &str) -> Result<NameAddr<'_>, HeaderError> {
    NameAddr::parse(value).map_err(|error| {
        let problem = match error {
            NameAddrError::Display => "no valid display name",
            NameAddrError::Bracket => "angle brackets are missing or don't match",
            NameAddrError::Uri => "no URI, or white space in it",
            NameAddrError::Params => "broken parameters",
        };
        HeaderError::new(name, problem)
    })
}

/// What stands before the first parameter, trimmed, and the parameters, which must be well-formed.
pub(super) fn before_params(name: HeaderName, value: &str) -> Result<(&str, Params<'_>), HeaderError> {
    let value = lex::trim(value);
    let (text, params) = value.split_at(lex::find_outside(value, b';'));
    let params = Params::new(params);
    if params.is_valid() { Ok((lex::trim(text), params)) } else { Err(HeaderError::new(name, "broken parameters")) }
}

/// Prints text as one line: folds and stray line ends become spaces.
pub(super) fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (index, line) in text.split(['\r', '\n']).filter(|line| !line.is_empty()).enumerate() {
        if index > 0 {
            f.write_str(" ")?;
        }
        f.write_str(if index > 0 { lex::trim_start(line) } else { line })?;
    }
    Ok(())
}

/// Prints text as a quoted string.
pub(super) fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut quoted = String::with_capacity(text.len() + 2);
    lex::quote(text, &mut quoted);
    f.write_str(&quoted)
}

pub(super) fn digest_error(name: HeaderName, error: DigestError) -> HeaderError {
    let problem = match error {
        DigestError::NotDigest => "the scheme is not Digest",
        DigestError::Malformed => "malformed authentication parameters",
        DigestError::Missing(_) => "a parameter is missing",
        DigestError::Repeated(_) => "a parameter is repeated",
    };
    HeaderError::new(name, problem)
}
