//! Authentication-Info: what a server says to a client that it let in (RFC 3261 §20.6).

use super::shapes::{digest_error, print_inner};
use super::{Header, HeaderError, HeaderName};
use crate::digest;

/// A next nonce, or proof that the server knows the secret too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationInfo<'a>(pub digest::AuthenticationInfo<'a>);

impl<'a> Header<'a> for AuthenticationInfo<'a> {
    const NAME: HeaderName = HeaderName::AuthenticationInfo;

    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        digest::AuthenticationInfo::parse(value).map(Self).map_err(|error| digest_error(Self::NAME, error))
    }
}

print_inner!(AuthenticationInfo<'_>);
