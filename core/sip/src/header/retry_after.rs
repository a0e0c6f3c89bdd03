//! Retry-After: when to try again (RFC 3261 §20.33).

use std::fmt;
use std::time::Duration;

use super::shapes::{before_params, number, seconds};
use super::{Header, HeaderError, HeaderName};
use crate::lex::{self, Params};

/// How long to wait, with a comment for people and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    pub delay: Duration,
    /// As written, without the outer parentheses.
    pub comment: Option<&'a str>,
    pub params: Params<'a>,
}

impl RetryAfter<'_> {
    pub fn new(delay: Duration) -> Self {
        Self { delay, comment: None, params: Params::default() }
    }

    /// How long it can be reached then: `duration`.
    pub fn duration(&self) -> Option<Duration> {
        seconds(self.params.value("duration"))
    }
}

impl<'a> Header<'a> for RetryAfter<'a> {
    const NAME: HeaderName = HeaderName::RetryAfter;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let value = lex::trim(value);
        let digits = value.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        let (delay, rest) = value.split_at(digits);
        let delay = Duration::from_secs(number(Self::NAME, delay)?.into());
        let rest = lex::trim_start(rest);
        let end = if rest.starts_with('(') {
            comment_end(rest).ok_or_else(|| HeaderError::new(Self::NAME, "the comment is not closed"))?
        } else {
            0
        };
        let (comment, params) = rest.split_at(end);
        let (between, params) = before_params(Self::NAME, params)?;
        if !between.is_empty() {
            return Err(HeaderError::new(Self::NAME, "something follows the number"));
        }
        let comment = comment.strip_prefix('(').and_then(|comment| comment.strip_suffix(')'));
        Ok(Self { delay, comment, params })
    }
}

/// Where the comment that the text starts with ends, behind its last parenthesis. Comments nest (RFC 3261 §25.1).
fn comment_end(text: &str) -> Option<usize> {
    let mut depth = 0u32;
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth = depth.checked_add(1)?,
            b')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

impl fmt::Display for RetryAfter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.delay.as_secs())?;
        if let Some(comment) = self.comment {
            write!(f, " ({comment})")?;
        }
        f.write_str(self.params.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comment_and_parameters_are_read_and_printed() {
        let text = r"120 (I'm in (a \) long) meeting);duration=3600";
        let value = RetryAfter::parse(text).unwrap();
        assert_eq!(value.delay, Duration::from_secs(120));
        assert_eq!(value.comment, Some(r"I'm in (a \) long) meeting"));
        assert_eq!(value.duration(), Some(Duration::from_secs(3600)));
        assert_eq!(value.to_string(), text);
        assert_eq!(RetryAfter::parse("5"), Ok(RetryAfter::new(Duration::from_secs(5))));
    }

    #[test]
    fn what_does_not_belong_there_is_refused() {
        for text in ["", "x", "5 x", "5 (open", "5 (a) b", "99999999999", "5;;", "(a) 5"] {
            assert!(RetryAfter::parse(text).is_err(), "{text}");
        }
    }
}
