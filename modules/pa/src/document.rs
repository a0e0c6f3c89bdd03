//! The document types of NOTIFY and PUBLISH bodies, and the choice among them.

use signalbox_documents::pidf;

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
pub fn is_type(content_type: &str, expected: &str) -> bool {
    media_type(content_type).eq_ignore_ascii_case(expected)
}

/// The type without parameters.
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Chooses what to send by the ranges of Accept (RFC 3261 §20.1, RFC 2616 §14.1): the highest q wins, where the most specific range
/// that fits a type gives its q; among equals the first offer.
pub fn negotiate<'a, T: Copy>(
    offers: &[T],
    name: impl Fn(T) -> &'static str,
    ranges: impl Iterator<Item = &'a str> + Clone,
) -> Option<T> {
    let mut best: Option<(u16, T)> = None;
    for &offer in offers {
        let fitting =
            ranges.clone().filter_map(|range| Some((specificity(media_type(range), name(offer))?, quality(range))));
        let quality = fitting.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality);
        if quality > best.map_or(0, |(best, _)| best) {
            best = Some((quality, offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// How exactly a range names the type: 2 for the type itself, 0 for `*/*`.
fn specificity(range: &str, name: &str) -> Option<u8> {
    let main = range.strip_suffix("/*");
    let same_main = |main: &str| name.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(main));
    match main {
        _ if range.eq_ignore_ascii_case(name) => Some(2),
        Some("*") => Some(0),
        Some(main) if same_main(main) => Some(1),
        _ => None,
    }
}

/// The q of a range in thousandths; 1000 when there is none, 0 when it can't be read.
fn quality(range: &str) -> u16 {
    let mut parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    match parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")) {
        Some((_, value)) => pidf::Priority::parse(value.trim()).map_or(0, pidf::Priority::thousandths),
        None => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<&'static str> {
        let offers = ["application/pidf+xml", "application/cpim-pidf+xml", "text/lpidf"];
        negotiate(&offers, |name| name, accept.split(',').filter(|range| !range.is_empty()))
    }

    #[test]
    fn the_highest_quality_wins_and_the_first_offer_among_equals() {
        assert_eq!(chosen("application/cpim-pidf+xml;q=0.5, text/lpidf;q=0.7"), Some("text/lpidf"));
        assert_eq!(chosen("text/lpidf, Application/CPIM-PIDF+xml"), Some("application/cpim-pidf+xml"));
        assert_eq!(chosen("*/*"), Some("application/pidf+xml"));
        assert_eq!(chosen("text/*"), Some("text/lpidf"));
    }

    #[test]
    fn the_most_specific_range_gives_the_quality() {
        assert_eq!(
            chosen("application/pidf+xml;q=0, application/*;q=0.3, */*;q=0.1"),
            Some("application/cpim-pidf+xml")
        );
        assert_eq!(chosen("*/*;q=0.1, text/lpidf;level=1;q=0.2"), Some("text/lpidf"));
    }

    #[test]
    fn nothing_fits_where_nothing_is_acceptable() {
        assert_eq!(
            ["image/png", "application/pidf+xml;q=0", "", "*/*;q=0", "image/*", "application/pidf+xml;q=x"].map(chosen),
            [None; 6]
        );
    }

    #[test]
    fn parameters_of_a_content_type_do_not_matter() {
        assert_eq!(DocumentType::parse("Application/pidf+xml ; charset=\"UTF-8\""), Some(DocumentType::Pidf));
        assert_eq!(DocumentType::parse("application/pidf"), None);
    }
}
