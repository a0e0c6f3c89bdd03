//! Warning: more about a response, one of a list (RFC 3261 §20.43).

use std::borrow::Cow;
use std::fmt;

use super::shapes::write_quoted;
use super::{Header, HeaderError, HeaderName};
use crate::lex;

/// A code, who says it, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// Three digits, `3xx` for SIP; 399 where none fits.
    pub code: u16,
    /// A host, with or without port, or a pseudonym.
    pub agent: &'a str,
    /// Quotes and escapes resolved.
    pub text: Cow<'a, str>,
}

impl<'a> Header<'a> for Warning<'a> {
    const NAME: HeaderName = HeaderName::Warning;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let bad = |problem| HeaderError::new(Self::NAME, problem);
        let (code, rest) = split_word(lex::trim(value)).ok_or_else(|| bad("no agent behind the code"))?;
        let (agent, text) = split_word(rest).ok_or_else(|| bad("no text behind the agent"))?;
        let code = lex::decimal(code).filter(|number| code.len() == 3 && *number >= 100);
        let code = code.and_then(|code| u16::try_from(code).ok()).ok_or_else(|| bad("the code is not three digits"))?;
        if lex::end_of_quoted(text, 0) != Some(text.len()) || !text.starts_with('"') {
            return Err(bad("the text is not a quoted string"));
        }
        Ok(Self { code, agent, text: lex::unquote(text) })
    }
}

/// The text before the first white space, and the text behind it.
fn split_word(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(lex::is_space)?;
    Some((&text[..end], lex::trim_start(&text[end..])))
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.code, self.agent)?;
        write_quoted(f, &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_3261_is_read_and_printed() {
        let text = r#"370 devnull "Choose \"a bigger\" pipe""#;
        let warning = Warning::parse(text).unwrap();
        assert_eq!((warning.code, warning.agent, &*warning.text), (370, "devnull", r#"Choose "a bigger" pipe"#));
        assert_eq!(warning.to_string(), text);
    }

    #[test]
    fn a_part_that_is_missing_is_missed() {
        for text in
            ["", "370", "370 a", "370 a b", "37 a \"b\"", "370 a \"b", "370 a \"b\" c", "+37 a \"b\"", "000 a \"b\""]
        {
            assert!(Warning::parse(text).is_err(), "{text}");
        }
    }
}
