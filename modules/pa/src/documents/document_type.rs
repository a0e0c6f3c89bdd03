//! The document types of NOTIFY and PUBLISH bodies, and the choice among them.

use signalbox_documents::pidf;
use signalbox_sip::header::Accept;

/// A type of document that this agent can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentType {
    Pidf,
}

impl DocumentType {
    /// How many there are.
    pub const COUNT: usize = 1;

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Pidf => pidf::CONTENT_TYPE,
        }
    }

    /// Reads what [`Self::content_type`] gave.
    pub fn parse(content_type: &str) -> Option<Self> {
        [Self::Pidf].into_iter().find(|document| is_type(content_type, document.content_type()))
    }
}

/// Whether a Content-Type value is of this type, whatever its parameters.
fn is_type(content_type: &str, expected: &str) -> bool {
    media_type(content_type).eq_ignore_ascii_case(expected)
}

/// The type without parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Chooses what to send by the ranges of Accept (RFC 3261 §20.1): the highest q wins, among equals the first offer.
pub fn negotiate(offers: &[DocumentType], ranges: &[Accept<'_>]) -> Option<DocumentType> {
    let mut best = (0, None);
    for &offer in offers {
        let quality = Accept::preference(ranges.iter().copied(), offer.content_type());
        if quality > best.0 {
            best = (quality, Some(offer));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_content_type_do_not_matter() {
        assert_eq!(DocumentType::parse("Application/pidf+xml ; charset=\"UTF-8\""), Some(DocumentType::Pidf));
        assert_eq!(DocumentType::parse("application/pidf"), None);
    }
}
