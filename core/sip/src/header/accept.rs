//! Accept: a media range that is taken, one of a list (RFC 3261 §20.1).

use super::media_type::MediaType;
use super::qvalue::{self, MOST};
use super::shapes::print_inner;
use super::{Header, HeaderError, HeaderName};

/// A media range such as `application/pidf+xml`, `text/*` or `*/*`, and how welcome it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept<'a>(pub MediaType<'a>);

impl<'a> Accept<'a> {
    /// The preference in thousandths; 1000 where it is not said.
    pub fn q(&self) -> u16 {
        self.0.params.value("q").and_then(qvalue::parse).unwrap_or(MOST)
    }

    /// How welcome `essence`, such as `application/pidf+xml`, is to a list of ranges, in thousandths; 0 where it is not.
    /// The range that names it most closely decides (RFC 2616 §14.1).
    pub fn preference(ranges: impl IntoIterator<Item = Self>, essence: &str) -> u16 {
        ranges
            .into_iter()
            .filter_map(|range| Some((range.0.closeness(essence)?, range.q())))
            .max()
            .map_or(0, |(_, q)| q)
    }
}

impl<'a> Header<'a> for Accept<'a> {
    const NAME: HeaderName = HeaderName::Accept;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        MediaType::parse(Self::NAME, value).map(Self)
    }
}

print_inner!(Accept<'_>);

#[cfg(test)]
mod tests {
    use super::*;

    fn preference(list: &str, essence: &str) -> u16 {
        Accept::preference(crate::lex::split_list(list).filter_map(|item| Accept::parse(item).ok()), essence)
    }

    #[test]
    fn the_closest_range_decides() {
        let list = "text/*;q=0.3, text/html;q=0.7, text/plain;q=0, */*;q=0.5";
        for (essence, q) in [("text/html", 700), ("Text/X", 300), ("text/plain", 0), ("image/png", 500)] {
            assert_eq!(preference(list, essence), q, "{essence}");
        }
    }

    #[test]
    fn what_no_range_names_is_not_accepted() {
        assert_eq!(preference("application/pidf+xml", "application/xpidf+xml"), 0);
        assert_eq!(preference("application/PIDF+xml", "application/pidf+xml"), 1000);
        assert_eq!(preference("", "text/plain"), 0);
    }
}
