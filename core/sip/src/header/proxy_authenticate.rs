//! Proxy-Authenticate: a proxy's challenge in a 407 (RFC 3261 §20.27).

use super::shapes::{digest_error, print_inner};
use super::{Header, HeaderError, HeaderName};
use crate::digest::Challenge;

/// One line for each algorithm, the strongest first (RFC 8760 §2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAuthenticate<'a>(pub Challenge<'a>);

impl<'a> Header<'a> for ProxyAuthenticate<'a> {
    const NAME: HeaderName = HeaderName::ProxyAuthenticate;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        Challenge::parse(value).map(Self).map_err(|error| digest_error(Self::NAME, error))
    }
}

print_inner!(ProxyAuthenticate<'_>);
