//! The form in which a watcher is given the state, and bodies in it.

use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;
use signalbox_sip::header::{Accept, Header};
use signalbox_sip::lex::{Params, split_list};
use siphasher::sip::SipHasher13;

use super::document_type::DocumentType;
use crate::token::Token;

/// The form in which a watcher is given the state. It is chosen when it subscribes, and anew at each refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Composed to a document of this type.
    Made(DocumentType),
    /// As it was published, where these ranges (the value of Accept) take that; all types without.
    AsPublished(Option<Arc<str>>),
}

/// What the text of [`Form::AsPublished`] begins with; no media type does.
const AS_PUBLISHED: &str = "as published:";

impl Form {
    /// Whether a watcher of this form takes a document of that type.
    pub fn takes(&self, content_type: &str) -> bool {
        match self {
            Self::Made(document) => document.content_type() == content_type,
            Self::AsPublished(None) => true,
            Self::AsPublished(Some(ranges)) => {
                let ranges = split_list(ranges).filter_map(|range| Accept::parse(range).ok());
                Accept::preference(ranges, essence(content_type)) > 0
            }
        }
    }

    /// One line, for the database.
    pub fn text(&self) -> String {
        match self {
            Self::Made(document) => document.content_type().to_owned(),
            Self::AsPublished(None) => AS_PUBLISHED.to_owned(),
            Self::AsPublished(Some(ranges)) => [AS_PUBLISHED, ranges].concat(),
        }
    }

    /// Reads what [`Self::text`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(AS_PUBLISHED) {
            None => DocumentType::parse(text).map(Self::Made),
            Some("") => Some(Self::AsPublished(None)),
            Some(ranges) => Some(Self::AsPublished(Some(ranges.into()))),
        }
    }
}

/// A media type without its parameters.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The parameter `charset` of a Content-Type value, without its quotes.
pub fn charset(content_type: &str) -> Option<&str> {
    let (_, parameters) = content_type.split_once(';')?;
    let value = Params::new(parameters).value("charset")?;
    Some(value.trim_matches('"'))
}

/// A document as it stands in a NOTIFY. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub content_type: ContentType,
    pub bytes: Bytes,
    /// The entity tag of this state of the resource in this form (RFC 5839 §6.1): the same for the same document, also after a restart.
    /// None where the document is only a part of the state.
    pub tag: Option<Token>,
}

/// The value of Content-Type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentType {
    Known(&'static str),
    Published(Arc<str>),
}

impl ContentType {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Published(name) => name,
        }
    }
}

impl Body {
    pub fn new(content_type: ContentType, bytes: Bytes) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(content_type.as_str().as_bytes());
        hasher.write(&bytes);
        Self { content_type, bytes, tag: Some(Token(hasher.finish())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_were_written() {
        let forms = [
            Form::Made(DocumentType::Pidf),
            Form::AsPublished(None),
            Form::AsPublished(Some("text/plain, application/*;q=0.5".into())),
        ];
        for form in forms {
            assert_eq!(Form::parse(&form.text()), Some(form));
        }
        assert_eq!(Form::parse("application/nonsense"), None);
    }

    #[test]
    fn the_charset_is_found_among_the_parameters() {
        assert_eq!(charset("application/pidf+xml; x=y ;Charset=\"UTF-16\""), Some("UTF-16"));
        assert_eq!(charset("application/pidf+xml;charset=utf-8"), Some("utf-8"));
        assert_eq!((charset("application/pidf+xml"), charset("a/b;charset")), (None, None));
    }

    #[test]
    fn what_was_published_is_taken_by_the_ranges_of_accept() {
        let form = Form::AsPublished(Some("text/plain;q=0, text/*".into()));
        assert!(form.takes("Text/HTML;charset=x"));
        assert!(!form.takes("text/plain") && !form.takes("application/xml"));
        assert!(Form::AsPublished(None).takes("anything/else"));
    }

    #[test]
    fn a_body_has_the_same_tag_as_long_as_it_is_the_same() {
        let body = |text| Body::new(ContentType::Known("text/plain"), Bytes::from_static(text)).tag;
        assert_eq!(body(b"a"), body(b"a"));
        assert_ne!(body(b"a"), body(b"b"));
    }
}
