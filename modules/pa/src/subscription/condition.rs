//! Suppress-If-Match: what the watcher knows already, and so need not be told (RFC 5839).

use std::fmt;

use crate::documents::Body;
use crate::token::Token;

/// The condition of the last SUBSCRIBE. It holds as long as the state of the resource is the one that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// `*`: whatever the state is. The watcher wants to hear of the subscription only.
    Any,
    Tag(Token),
}

impl Condition {
    /// The value of Suppress-If-Match. A tag that was never given out matches nothing, and so is no condition.
    pub fn parse(value: &str) -> Option<Self> {
        if value == "*" { Some(Self::Any) } else { Token::parse(value).map(Self::Tag) }
    }

    /// Whether it holds for what a NOTIFY would carry.
    pub fn holds(self, body: Option<&Body>) -> bool {
        match self {
            Self::Any => true,
            Self::Tag(tag) => body.is_some_and(|body| body.tag == Some(tag)),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::documents::ContentType;

    #[test]
    fn a_condition_holds_for_the_tag_it_names_and_the_star_always() {
        let body = Body::new(ContentType::Known("text/plain"), Bytes::from_static(b"x"));
        let named = Condition::parse(&body.tag.unwrap().to_string()).unwrap();
        assert!(named.holds(Some(&body)) && !named.holds(None));
        assert!(!Condition::Tag(Token(1)).holds(Some(&body)));
        assert!(Condition::parse("*").unwrap().holds(None));
        assert_eq!(Condition::parse("nonsense"), None);
        assert_eq!(Condition::parse(&named.to_string()), Some(named));
    }
}
