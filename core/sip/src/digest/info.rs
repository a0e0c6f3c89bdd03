//! Authentication-Info and Proxy-Authentication-Info: RFC 7616 §3.5, RFC 3261 §20.6.

use std::fmt;

use subtle::ConstantTimeEq;

use super::algorithm::{Hash, Hex};
use super::credentials::{CheckError, Credentials};
use super::ha1::Ha1;
use super::parameters::{Parameters, between_quotes, nonce_count, once};
use super::{DigestError, Qop};

/// What a server says after it let a client in: perhaps a fresh nonce, perhaps proof that it knows the secret too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuthenticationInfo<'a> {
    /// To be used for the next request.
    pub next_nonce: Option<&'a str>,
    pub qop: Option<Qop>,
    /// The proof, hexadecimal digits.
    pub rspauth: Option<&'a str>,
    pub cnonce: Option<&'a str>,
    pub nc: Option<&'a str>,
}

impl<'a> AuthenticationInfo<'a> {
    pub fn parse(value: &'a str) -> Result<Self, DigestError> {
        let (mut next_nonce, mut qop, mut rspauth, mut cnonce, mut nc) = (None, None, None, None, None);
        for parameter in Parameters::bare(value) {
            let (name, value) = parameter?;
            match name {
                _ if name.eq_ignore_ascii_case("nextnonce") => once(&mut next_nonce, "nextnonce", value)?,
                _ if name.eq_ignore_ascii_case("qop") => once(&mut qop, "qop", value)?,
                _ if name.eq_ignore_ascii_case("rspauth") => once(&mut rspauth, "rspauth", value)?,
                _ if name.eq_ignore_ascii_case("cnonce") => once(&mut cnonce, "cnonce", value)?,
                _ if name.eq_ignore_ascii_case("nc") => once(&mut nc, "nc", value)?,
                _ => {}
            }
        }
        Ok(Self {
            next_nonce: next_nonce.map(between_quotes),
            qop: qop.map(Qop::of),
            rspauth: rspauth.map(between_quotes),
            cnonce: cnonce.map(between_quotes),
            nc: nc.and_then(nonce_count),
        })
    }

    /// Whether the server proved that it knows the secret behind `sent`, the client's own credentials.
    pub fn proves(&self, sent: &Credentials<'_>, ha1: &Ha1) -> bool {
        let given = self.rspauth.and_then(|digits| Hash::from_hex(ha1.algorithm(), digits));
        match (given, rspauth(sent, ha1)) {
            (Some(given), Ok(right)) => bool::from(given.as_bytes().ct_eq(right.as_bytes())),
            _ => false,
        }
    }
}

impl Credentials<'_> {
    /// The server's proof for a response to the request that these came with. They must have been checked before.
    pub fn rspauth(&self, ha1: &Ha1) -> Result<Hex, CheckError> {
        rspauth(self, ha1).map(|hash| hash.hex())
    }
}

/// §3.5: as the response, but A2 has no method.
fn rspauth(credentials: &Credentials<'_>, ha1: &Ha1) -> Result<Hash, CheckError> {
    let ingredients = credentials.ingredients()?;
    if ingredients.algorithm.base() != ha1.algorithm() {
        return Err(CheckError::Algorithm);
    }
    Ok(ingredients.response(ha1, ""))
}

impl fmt::Display for AuthenticationInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let values = [("nextnonce", self.next_nonce), ("rspauth", self.rspauth), ("cnonce", self.cnonce)];
        for (name, value) in values {
            if let Some(value) = value {
                write!(f, "{separator}{name}=\"{value}\"")?;
                separator = ", ";
            }
        }
        if self.qop == Some(Qop::Auth) {
            write!(f, "{separator}qop=auth")?;
            separator = ", ";
        }
        match self.nc {
            Some(nc) => write!(f, "{separator}nc={nc}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    const SENT: &str =
        "Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"sip:r\",response=\"\",qop=auth,nc=00000001,cnonce=\"c\"";

    #[test]
    fn a_server_with_the_secret_proves_it() {
        let ha1 = Ha1::of(Algorithm::Md5, "a", "r", "p");
        let sent = Credentials::parse(SENT).unwrap();
        let proof = sent.rspauth(&ha1).unwrap();
        // md5(md5(a:r:p) : n : 00000001 : c : auth : md5(:sip:r))
        let a2 = Algorithm::Md5.hash(&[b"", b"sip:r"]).hex();
        let right = Algorithm::Md5
            .hash(&[ha1.hex().as_str(), "n", "00000001", "c", "auth", a2.as_str()].map(str::as_bytes))
            .hex();
        assert_eq!(proof, right);
        let info = AuthenticationInfo { rspauth: Some(proof.as_str()), ..Default::default() };
        assert!(info.proves(&sent, &ha1));
        assert!(!info.proves(&sent, &Ha1::of(Algorithm::Md5, "a", "r", "other")));
        assert!(!AuthenticationInfo::default().proves(&sent, &ha1));
    }

    #[test]
    fn it_reads_back_what_it_prints() {
        let text = "nextnonce=\"47364c23432d2e131a5fb210812c\", rspauth=\"ab\", cnonce=\"c\", qop=auth, nc=00000001";
        let info = AuthenticationInfo::parse(text).unwrap();
        assert_eq!(info.next_nonce, Some("47364c23432d2e131a5fb210812c"));
        assert_eq!(info.to_string(), text);
    }
}
