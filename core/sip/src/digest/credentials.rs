//! Credentials: one value of Authorization or Proxy-Authorization (RFC 7616 §3.4, RFC 8760 §2.6).

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;

use super::DigestError;
use super::algorithm::{Algorithm, Hash};
use super::ha1::{Counted, Ha1, Ingredients};
use super::parameters::{Parameters, between_quotes, is_true, nonce_count, once, unquoted, write_quoted};

/// A client's answer to a challenge. Values are as between the quotes on the wire, except where said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Escapes undone; `username*` decoded. With [`userhash`](Self::userhash) a hash instead of a name.
    pub username: Cow<'a, str>,
    pub userhash: bool,
    /// Escapes undone.
    pub realm: Cow<'a, str>,
    pub nonce: &'a str,
    /// The Request-URI as the client saw it; a proxy on the way may have changed that of the request (RFC 8760 §2.6 item 6).
    pub uri: &'a str,
    /// Hexadecimal digits. Empty before the first challenge, as some clients announce themselves (RFC 8760 §2.7).
    pub response: &'a str,
    /// `None`: one that is not known here.
    pub algorithm: Option<Algorithm>,
    /// `None`: RFC 2069.
    pub qop: Option<Qop>,
    pub cnonce: Option<&'a str>,
    /// The nonce count as written; [`count`](Self::count) is its number.
    pub nc: Option<&'a str>,
    pub opaque: Option<&'a str>,
}

/// The `qop` that a client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    Auth,
    /// `auth-int` or an extension: never offered here.
    Other,
}

/// What to do with a response without `qop`: RFC 2069, open to replay until its nonce expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutQop {
    Accept,
    Refuse,
}

/// Why credentials were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The answer is wrong: a wrong password, or something changed on the way.
    #[error("wrong response")]
    WrongResponse,
    /// Not the algorithm of the stored H(A1), or an unknown one.
    #[error("algorithm not accepted")]
    Algorithm,
    /// RFC 2069, and the caller does not take it; or a `qop` that was not offered.
    #[error("quality of protection not accepted")]
    Qop,
    /// `qop` without `cnonce` or without `nc` of hexadecimal digits (RFC 7616 §3.4).
    #[error("nonce count or client nonce missing")]
    Count,
}

impl<'a> Credentials<'a> {
    /// Reads a header value, scheme included.
    pub fn parse(value: &'a str) -> Result<Self, DigestError> {
        let mut seen = Seen::default();
        for parameter in Parameters::after_scheme(value)? {
            let (name, value) = parameter?;
            seen.take(name, value)?;
        }
        let (username, userhash) = (seen.username()?, seen.userhash.is_some_and(is_true));
        Ok(Self {
            username,
            userhash,
            realm: unquoted(seen.realm.ok_or(DigestError::Missing("realm"))?),
            nonce: between_quotes(seen.nonce.ok_or(DigestError::Missing("nonce"))?),
            uri: between_quotes(seen.uri.ok_or(DigestError::Missing("uri"))?),
            response: between_quotes(seen.response.ok_or(DigestError::Missing("response"))?),
            algorithm: seen.algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse),
            qop: seen.qop.map(Qop::of),
            cnonce: seen.cnonce.map(between_quotes),
            nc: seen.nc.and_then(nonce_count),
            opaque: seen.opaque.map(between_quotes),
        })
    }

    /// The realm of a header value, escapes undone; nothing else in it is looked at.
    pub fn realm_of(value: &'a str) -> Result<Cow<'a, str>, DigestError> {
        let realm = Parameters::after_scheme(value)?.find_map(|parameter| match parameter {
            Ok((name, value)) => name.eq_ignore_ascii_case("realm").then_some(Ok(unquoted(value))),
            Err(error) => Some(Err(error)),
        });
        realm.unwrap_or(Err(DigestError::Missing("realm")))
    }

    /// Checks the response against the account's secret, in constant time. The nonce is judged apart, by
    /// [`Nonces`](super::Nonces).
    pub fn check(&self, ha1: &Ha1, method: &str, without_qop: WithoutQop) -> Result<(), CheckError> {
        let ingredients = self.ingredients()?;
        if ingredients.algorithm.base() != ha1.algorithm() {
            return Err(CheckError::Algorithm);
        }
        if ingredients.counted.is_none() && without_qop == WithoutQop::Refuse {
            return Err(CheckError::Qop);
        }
        let given = Hash::from_hex(ha1.algorithm(), self.response).ok_or(CheckError::WrongResponse)?;
        let right = ingredients.response(ha1, method);
        if bool::from(given.as_bytes().ct_eq(right.as_bytes())) { Ok(()) } else { Err(CheckError::WrongResponse) }
    }

    /// The number in `nc`; `None` when it is absent or not hexadecimal.
    pub fn count(&self) -> Option<u32> {
        // Not from_str_radix alone: it would take a sign.
        let digits = nonce_count(self.nc?)?;
        u32::from_str_radix(digits, 16).ok()
    }

    /// What is hashed with the secret; also for `rspauth`.
    pub(crate) fn ingredients(&self) -> Result<Ingredients<'a>, CheckError> {
        let counted = match self.qop {
            None => None,
            Some(Qop::Other) => return Err(CheckError::Qop),
            Some(Qop::Auth) => {
                let (Some(nc), Some(cnonce), Some(_)) = (self.nc, self.cnonce, self.count()) else {
                    return Err(CheckError::Count);
                };
                Some(Counted { nc, cnonce, qop: "auth" })
            }
        };
        let algorithm = self.algorithm.ok_or(CheckError::Algorithm)?;
        Ok(Ingredients { algorithm, nonce: self.nonce, counted, uri: self.uri })
    }
}

impl Qop {
    pub(crate) fn of(value: &str) -> Self {
        if between_quotes(value).trim_ascii().eq_ignore_ascii_case("auth") { Self::Auth } else { Self::Other }
    }
}

impl fmt::Display for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest username=")?;
        write_quoted(f, &self.username)?;
        f.write_str(", realm=")?;
        write_quoted(f, &self.realm)?;
        write!(f, ", nonce=\"{}\", uri=\"{}\", response=\"{}\"", self.nonce, self.uri, self.response)?;
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={algorithm}")?;
        }
        if let Some(cnonce) = self.cnonce {
            write!(f, ", cnonce=\"{cnonce}\"")?;
        }
        if let Some(opaque) = self.opaque {
            write!(f, ", opaque=\"{opaque}\"")?;
        }
        if self.qop == Some(Qop::Auth) {
            f.write_str(", qop=auth")?;
        }
        if let Some(nc) = self.nc {
            write!(f, ", nc={nc}")?;
        }
        if self.userhash {
            f.write_str(", userhash=true")?;
        }
        Ok(())
    }
}

/// The parameters as they come, quotes included.
#[derive(Default)]
struct Seen<'a> {
    username: Option<&'a str>,
    extended_username: Option<&'a str>,
    userhash: Option<&'a str>,
    realm: Option<&'a str>,
    nonce: Option<&'a str>,
    uri: Option<&'a str>,
    response: Option<&'a str>,
    algorithm: Option<&'a str>,
    qop: Option<&'a str>,
    cnonce: Option<&'a str>,
    nc: Option<&'a str>,
    opaque: Option<&'a str>,
}

impl<'a> Seen<'a> {
    fn take(&mut self, name: &str, value: &'a str) -> Result<(), DigestError> {
        let slots: [(&'static str, &mut Option<&'a str>); 12] = [
            ("username", &mut self.username),
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("uri", &mut self.uri),
            ("response", &mut self.response),
            ("algorithm", &mut self.algorithm),
            ("qop", &mut self.qop),
            ("cnonce", &mut self.cnonce),
            ("nc", &mut self.nc),
            ("opaque", &mut self.opaque),
            ("username*", &mut self.extended_username),
            ("userhash", &mut self.userhash),
        ];
        match slots.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
            Some((known, slot)) => once(slot, known, value),
            None => Ok(()),
        }
    }

    /// RFC 7616 §3.4: one of the two forms, and only one.
    fn username(&self) -> Result<Cow<'a, str>, DigestError> {
        match (self.username, self.extended_username) {
            (Some(plain), None) => Ok(unquoted(plain)),
            (None, Some(extended)) => extended_value(extended).ok_or(DigestError::Malformed),
            (Some(_), Some(_)) => Err(DigestError::Repeated("username")),
            (None, None) => Err(DigestError::Missing("username")),
        }
    }
}

/// `UTF-8'language'percent-encoded` (RFC 5987 §3.2.1).
fn extended_value(value: &str) -> Option<Cow<'_, str>> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let mut decoded = [0];
            hex::decode_to_slice(rest.get(..2)?, &mut decoded).ok()?;
            bytes.push(decoded[0]);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC2617: &str = "Digest username=\"Mufasa\",\r\n realm=\"testrealm@host.com\",\r\n \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\r\n uri=\"/dir/index.html\",\r\n qop=auth,\r\n nc=00000001,\r\n \
        cnonce=\"0a4f113b\",\r\n response=\"6629fae49393a05397450978507c4ef1\",\r\n \
        opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";

    fn rfc7616(algorithm: &str, response: &str) -> String {
        format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    }

    #[test]
    fn the_realm_is_found_without_reading_the_rest() {
        let realm = |value| Credentials::realm_of(value);
        assert_eq!(realm(r#"Digest username="a", realm="x \"y\"", nonce"#), Ok(r#"x "y""#.into()));
        assert_eq!(realm(r#"Digest username="a""#), Err(DigestError::Missing("realm")));
        assert_eq!(realm("Digest username, realm=\"x\""), Err(DigestError::Malformed));
        assert_eq!(realm("Basic abc"), Err(DigestError::NotDigest));
    }

    #[test]
    fn the_example_of_rfc_2617_section_3_5_is_right() {
        let ha1 = Ha1::of(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        let credentials = Credentials::parse(RFC2617).unwrap();
        assert_eq!(credentials.check(&ha1, "GET", WithoutQop::Refuse), Ok(()));
        assert_eq!(credentials.check(&ha1, "PUT", WithoutQop::Refuse), Err(CheckError::WrongResponse));
        assert_eq!(credentials.count(), Some(1));
    }

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_1_are_right() {
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let text = rfc7616(algorithm.as_str(), response);
            let ha1 = Ha1::of(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            let credentials = Credentials::parse(&text).unwrap();
            assert_eq!(credentials.check(&ha1, "GET", WithoutQop::Refuse), Ok(()), "{algorithm}");
        }
    }

    #[test]
    fn a_username_in_another_alphabet_is_read() {
        // RFC 7616 §3.9.2.
        let text = "Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm=\"api@example.org\", uri=\"/doe.json\", \
                    algorithm=SHA-512-256, nonce=\"n\", response=\"\", userhash=false";
        let credentials = Credentials::parse(text).unwrap();
        assert_eq!(credentials.username, "J\u{e4}s\u{f8}n Doe");
        for broken in ["UTF-8''%C", "UTF-8''%FF", "ISO-8859-1''a", "a", "UTF-8'en"] {
            let text = format!("Digest username*={broken}, realm=\"r\", uri=\"u\", nonce=\"n\", response=\"\"");
            assert_eq!(Credentials::parse(&text), Err(DigestError::Malformed), "{broken}");
        }
    }

    #[test]
    fn sha_512_256_is_the_function_of_fips_180_4() {
        // RFC 7616 §3.9.2 prints values of SHA-512 cut short (erratum 4897); these are the right ones for its input.
        let ha1 = Ha1::of(Algorithm::Sha512_256, "J\u{e4}s\u{f8}n Doe", "api@example.org", "Secret, or not?");
        let text = "Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm=\"api@example.org\", uri=\"/doe.json\", \
                    algorithm=SHA-512-256, nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", nc=00000001, \
                    cnonce=\"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v\", qop=auth, \
                    response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\"";
        assert_eq!(Credentials::parse(text).unwrap().check(&ha1, "GET", WithoutQop::Refuse), Ok(()));
    }

    #[test]
    fn rfc_2069_is_taken_only_on_request() {
        let ha1 = Ha1::of(Algorithm::Md5, "a", "r", "p");
        let right = Ingredients { algorithm: Algorithm::Md5, nonce: "n", counted: None, uri: "sip:r" };
        let text = format!(
            "Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"sip:r\",response=\"{}\"",
            right.response(&ha1, "REGISTER").hex().as_str().to_uppercase()
        );
        let credentials = Credentials::parse(&text).unwrap();
        assert_eq!(credentials.check(&ha1, "REGISTER", WithoutQop::Accept), Ok(()));
        assert_eq!(credentials.check(&ha1, "REGISTER", WithoutQop::Refuse), Err(CheckError::Qop));
    }

    #[test]
    fn qop_may_be_quoted_and_names_may_be_in_any_case() {
        let ha1 = Ha1::of(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        let text = RFC2617.replace("qop=auth", "QOP=\"AUTH\"").replace("realm=", "Realm = ");
        assert_eq!(Credentials::parse(&text).unwrap().check(&ha1, "GET", WithoutQop::Refuse), Ok(()));
    }

    #[test]
    fn qop_needs_a_count_and_a_client_nonce() {
        let ha1 = Ha1::of(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        for (from, to) in [("nc=00000001", "nc=+1"), ("nc=00000001", "x=y"), ("cnonce=\"0a4f113b\"", "x=y")] {
            let text = RFC2617.replace(from, to);
            let credentials = Credentials::parse(&text).unwrap();
            assert_eq!(credentials.check(&ha1, "GET", WithoutQop::Accept), Err(CheckError::Count), "{to}");
        }
        let text = RFC2617.replace("qop=auth", "qop=auth-int");
        let credentials = Credentials::parse(&text).unwrap();
        assert_eq!(credentials.check(&ha1, "GET", WithoutQop::Accept), Err(CheckError::Qop));
    }

    #[test]
    fn another_algorithm_than_the_accounts_is_refused() {
        let ha1 = Ha1::of(Algorithm::Sha256, "Mufasa", "testrealm@host.com", "Circle Of Life");
        let credentials = Credentials::parse(RFC2617).unwrap();
        assert_eq!(credentials.check(&ha1, "GET", WithoutQop::Accept), Err(CheckError::Algorithm));
    }

    #[test]
    fn it_reads_back_what_it_prints() {
        for text in [RFC2617.to_owned(), rfc7616("SHA-256", "00")] {
            let credentials = Credentials::parse(&text).unwrap();
            let printed = credentials.to_string();
            assert_eq!(Credentials::parse(&printed), Ok(Credentials { ..credentials }));
        }
    }
}
