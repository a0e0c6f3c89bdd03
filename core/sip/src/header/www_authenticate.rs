//! WWW-Authenticate: a server's challenge in a 401 (RFC 3261 §20.44).

use super::shapes::{digest_error, print_inner};
use super::{Header, HeaderError, HeaderName};
use crate::digest::Challenge;

/// One line for each algorithm, the strongest first (RFC 8760 §2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WwwAuthenticate<'a>(pub Challenge<'a>);

impl<'a> Header<'a> for WwwAuthenticate<'a> {
    const NAME: HeaderName = HeaderName::WwwAuthenticate;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        Challenge::parse(value).map(Self).map_err(|error| digest_error(Self::NAME, error))
    }
}

print_inner!(WwwAuthenticate<'_>);
