//! Proxy-Authorization: a client's credentials for a proxy (RFC 3261 §20.28).

use super::shapes::{digest_error, print_inner};
use super::{Header, HeaderError, HeaderName};
use crate::digest::Credentials;

/// The answer to a Proxy-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAuthorization<'a>(pub Credentials<'a>);

impl<'a> Header<'a> for ProxyAuthorization<'a> {
    const NAME: HeaderName = HeaderName::ProxyAuthorization;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        Credentials::parse(value).map(Self).map_err(|error| digest_error(Self::NAME, error))
    }
}

print_inner!(ProxyAuthorization<'_>);
