//! Authorization: a client's credentials for a server (RFC 3261 §20.7).

use super::shapes::{digest_error, print_inner};
use super::{Header, HeaderError, HeaderName};
use crate::digest::Credentials;

/// The answer to a WWW-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization<'a>(pub Credentials<'a>);

impl<'a> Header<'a> for Authorization<'a> {
    const NAME: HeaderName = HeaderName::Authorization;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        Credentials::parse(value).map(Self).map_err(|error| digest_error(Self::NAME, error))
    }
}

print_inner!(Authorization<'_>);
