//! A challenge: one value of WWW-Authenticate or Proxy-Authenticate (RFC 7616 §3.3, RFC 8760 §2.3).

use std::borrow::Cow;
use std::fmt;

use super::DigestError;
use super::algorithm::Algorithm;
use super::parameters::{Parameters, between_quotes, is_true, once, unquoted, write_quoted};

/// What a server asks for. A server that takes several algorithms sends one header line for each, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<'a> {
    pub realm: Cow<'a, str>,
    /// As between the quotes on the wire.
    pub nonce: &'a str,
    /// `None`: one that is not known here, to be ignored (RFC 8760 §2.4).
    pub algorithm: Option<Algorithm>,
    pub qop: QopOffer,
    /// The nonce of the credentials was too old and all else was right: answer again without asking the user.
    pub stale: bool,
    /// To be sent back as it is.
    pub opaque: Option<&'a str>,
    /// A hash may stand in place of the user's name (RFC 7616 §3.4.4).
    pub userhash: bool,
}

/// The `qop` parameter of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QopOffer {
    /// No `qop`, as in RFC 2069.
    Absent,
    /// `auth` is among the values.
    #[default]
    Auth,
    /// Only others, such as `auth-int`, which is not spoken here.
    Others,
}

impl<'a> Challenge<'a> {
    /// A first challenge for `qop=auth`.
    pub fn new(realm: &'a str, nonce: &'a str, algorithm: Algorithm) -> Self {
        Self {
            realm: Cow::Borrowed(realm),
            nonce,
            algorithm: Some(algorithm),
            qop: QopOffer::Auth,
            stale: false,
            opaque: None,
            userhash: false,
        }
    }

    /// One challenge for each algorithm, the strongest first whatever the order of `algorithms` (RFC 8760 §2.3).
    pub fn several(realm: &'a str, nonce: &'a str, algorithms: &[Algorithm]) -> impl Iterator<Item = Self> {
        Algorithm::STRONGEST_FIRST
            .into_iter()
            .filter(|algorithm| algorithms.contains(algorithm))
            .map(move |algorithm| Self::new(realm, nonce, algorithm))
    }

    /// Says that the nonce was too old.
    pub fn stale(mut self, stale: bool) -> Self {
        self.stale = stale;
        self
    }

    /// Reads a header value, scheme included.
    pub fn parse(value: &'a str) -> Result<Self, DigestError> {
        let (mut realm, mut nonce, mut algorithm, mut qop) = (None, None, None, None);
        let (mut stale, mut opaque, mut userhash) = (None, None, None);
        for parameter in Parameters::after_scheme(value)? {
            let (name, value) = parameter?;
            match name {
                _ if name.eq_ignore_ascii_case("realm") => once(&mut realm, "realm", value)?,
                _ if name.eq_ignore_ascii_case("nonce") => once(&mut nonce, "nonce", value)?,
                _ if name.eq_ignore_ascii_case("algorithm") => once(&mut algorithm, "algorithm", value)?,
                _ if name.eq_ignore_ascii_case("qop") => once(&mut qop, "qop", value)?,
                _ if name.eq_ignore_ascii_case("stale") => once(&mut stale, "stale", value)?,
                _ if name.eq_ignore_ascii_case("opaque") => once(&mut opaque, "opaque", value)?,
                _ if name.eq_ignore_ascii_case("userhash") => once(&mut userhash, "userhash", value)?,
                _ => {}
            }
        }
        Ok(Self {
            realm: unquoted(realm.ok_or(DigestError::Missing("realm"))?),
            nonce: between_quotes(nonce.ok_or(DigestError::Missing("nonce"))?),
            algorithm: algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse),
            qop: qop.map_or(QopOffer::Absent, QopOffer::of),
            stale: stale.is_some_and(is_true),
            opaque: opaque.map(between_quotes),
            userhash: userhash.is_some_and(is_true),
        })
    }

    /// Whether it can be answered at all: a known algorithm and `auth`.
    pub fn is_answerable(&self) -> bool {
        self.algorithm.is_some() && self.qop != QopOffer::Others
    }
}

impl QopOffer {
    fn of(value: &str) -> Self {
        let auth = between_quotes(value).split(',').any(|qop| qop.trim_ascii().eq_ignore_ascii_case("auth"));
        if auth { Self::Auth } else { Self::Others }
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest realm=")?;
        write_quoted(f, &self.realm)?;
        f.write_str(", nonce=\"")?;
        f.write_str(self.nonce)?;
        f.write_str("\"")?;
        if let Some(opaque) = self.opaque {
            f.write_str(", opaque=\"")?;
            f.write_str(opaque)?;
            f.write_str("\"")?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if let Some(algorithm) = self.algorithm {
            f.write_str(", algorithm=")?;
            f.write_str(algorithm.as_str())?;
        }
        if self.qop == QopOffer::Auth {
            // RFC 7616 §3.3: quoted in a challenge, bare in credentials.
            f.write_str(", qop=\"auth\"")?;
        }
        if self.userhash {
            // §4: what the hash is made of must be in no other encoding.
            f.write_str(", charset=UTF-8, userhash=true")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_challenge_comes_first() {
        let order: Vec<_> = Challenge::several("r", "n", &[Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256])
            .map(|challenge| challenge.algorithm.unwrap())
            .collect();
        assert_eq!(order, [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5]);
    }

    #[test]
    fn it_prints_what_it_reads() {
        let text = r#"Digest realm="a \"b\"", nonce="n1", opaque="o", stale=true, algorithm=SHA-256, qop="auth""#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.realm, "a \"b\"");
        assert!(challenge.stale);
        assert_eq!(challenge.to_string(), text);
    }

    #[test]
    fn the_challenge_of_rfc_7616_asks_for_hashed_names() {
        let text = r#"Digest realm="api@example.org", nonce="n", opaque="o", algorithm=SHA-512-256, qop="auth", charset=UTF-8, userhash=true"#;
        let challenge = Challenge::parse(text).unwrap();
        assert!(challenge.userhash);
        assert_eq!(challenge.to_string(), text);
        assert!(!Challenge::parse(&text.replace("userhash=true", "userhash=false")).unwrap().userhash);
    }

    #[test]
    fn the_challenge_of_rfc_3261_is_read() {
        let challenge = Challenge::parse(
            "Digest realm=\"atlanta.com\",\r\n domain=\"sip:boxesbybob.com\", qop=\"auth\",\r\n \
             nonce=\"f84f1cec41e6cbe5aea9c8e88d359\", opaque=\"\", stale=FALSE, algorithm=MD5",
        )
        .unwrap();
        assert_eq!(challenge.realm, "atlanta.com");
        assert_eq!(challenge.nonce, "f84f1cec41e6cbe5aea9c8e88d359");
        assert_eq!(challenge.opaque, Some(""));
        assert!(!challenge.stale);
    }

    #[test]
    fn an_absent_algorithm_is_md5_and_an_unknown_one_is_not_answered() {
        let old = Challenge::parse(r#"Digest realm="r",nonce="n""#).unwrap();
        assert_eq!((old.algorithm, old.qop), (Some(Algorithm::Md5), QopOffer::Absent));
        assert!(old.is_answerable());
        assert!(!Challenge::parse(r#"Digest realm="r",nonce="n",algorithm=SHA-9"#).unwrap().is_answerable());
        assert!(!Challenge::parse(r#"Digest realm="r",nonce="n",qop="auth-int""#).unwrap().is_answerable());
    }

    #[test]
    fn realm_and_nonce_cannot_be_missing() {
        assert_eq!(Challenge::parse(r#"Digest nonce="n""#), Err(DigestError::Missing("realm")));
        assert_eq!(Challenge::parse(r#"Digest realm="r""#), Err(DigestError::Missing("nonce")));
        assert_eq!(Challenge::parse(r#"Digest realm="r",realm="s",nonce="n""#), Err(DigestError::Repeated("realm")));
    }
}
