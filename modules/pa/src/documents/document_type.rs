//! The document types of NOTIFY and PUBLISH bodies, and the choice among them.

use signalbox_documents::{cpim_pidf, dialog_info, lpidf, pidf, rpid, watcherinfo, xpidf};
use signalbox_sip::header::Accept;

use super::form::essence;

/// A type of document that this agent can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentType {
    Pidf,
    /// As PIDF was before the RFC.
    CpimPidf,
    /// PIDF under the media type that its persons once had.
    Rpid,
    /// For Windows Messenger.
    Xpidf,
    /// Lines of text.
    Lpidf,
    /// The same, under the name that clients of SIP Express Router ask for it by.
    LpidfXml,
    /// Who watches.
    WatcherInfo,
    /// The calls of a user.
    DialogInfo,
}

impl DocumentType {
    pub const ALL: [Self; 8] = [
        Self::Pidf,
        Self::CpimPidf,
        Self::Rpid,
        Self::Xpidf,
        Self::Lpidf,
        Self::LpidfXml,
        Self::WatcherInfo,
        Self::DialogInfo,
    ];
    /// Those that tell of presence, the preferred first.
    pub const PRESENCE: [Self; 6] = [Self::Pidf, Self::CpimPidf, Self::Rpid, Self::Xpidf, Self::Lpidf, Self::LpidfXml];

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Pidf => pidf::CONTENT_TYPE,
            Self::CpimPidf => cpim_pidf::CONTENT_TYPE,
            Self::Rpid => rpid::CONTENT_TYPE,
            Self::Xpidf => xpidf::CONTENT_TYPE,
            Self::Lpidf => lpidf::CONTENT_TYPE,
            Self::LpidfXml => "application/lpidf+xml",
            Self::WatcherInfo => watcherinfo::CONTENT_TYPE,
            Self::DialogInfo => dialog_info::CONTENT_TYPE,
        }
    }

    /// The type that a Content-Type value names, whatever its parameters.
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = essence(content_type);
        Self::ALL.into_iter().find(|document| essence.eq_ignore_ascii_case(document.content_type()))
    }
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
    fn every_type_is_known_by_its_name() {
        for document in DocumentType::ALL {
            assert_eq!(DocumentType::parse(document.content_type()), Some(document));
        }
    }

    #[test]
    fn parameters_of_a_content_type_do_not_matter() {
        assert_eq!(DocumentType::parse("Application/pidf+xml ; charset=\"UTF-8\""), Some(DocumentType::Pidf));
        assert_eq!(DocumentType::parse("application/pidf"), None);
    }
}
