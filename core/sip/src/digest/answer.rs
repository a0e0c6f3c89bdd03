//! The client's side: credentials for a challenge (RFC 7616 §3.4, RFC 8760 §2.4, RFC 3261 §22.2).

use std::borrow::Cow;

use super::algorithm::{Algorithm, Hex};
use super::challenge::{Challenge, QopOffer};
use super::credentials::{Credentials, Qop};
use super::ha1::{Counted, Ha1, Ingredients};
use super::user_hash::user_hash;

/// Who answers what. One of these is made for each request.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub username: &'a str,
    pub method: &'a str,
    /// The Request-URI.
    pub uri: &'a str,
    /// Random, without quotes or backslashes.
    pub cnonce: &'a str,
    /// How often this nonce was used, this time included: 1 for the first answer.
    pub count: u32,
}

impl Answer<'_> {
    /// The header value that answers `challenge`; `None` if that cannot be answered, or `ha1` is of another algorithm.
    pub fn to(&self, challenge: &Challenge<'_>, ha1: &Ha1) -> Option<String> {
        let algorithm = challenge.algorithm.filter(|algorithm| algorithm.base() == ha1.algorithm())?;
        let count = format!("{:08x}", self.count);
        let counted = match challenge.qop {
            QopOffer::Auth => Some(Counted { nc: &count, cnonce: self.cnonce, qop: "auth" }),
            QopOffer::Absent => None,
            QopOffer::Others => return None,
        };
        let response = self.response(challenge, counted, (algorithm, ha1));
        let hashed = challenge.userhash.then(|| user_hash(algorithm, self.username, &challenge.realm));
        let credentials = Credentials {
            username: hashed.as_ref().map_or(self.username, Hex::as_str).into(),
            userhash: challenge.userhash,
            realm: Cow::Borrowed(&*challenge.realm),
            nonce: challenge.nonce,
            uri: self.uri,
            response: response.as_str(),
            algorithm: Some(algorithm),
            qop: counted.map(|_| Qop::Auth),
            // A session needs its client nonce even where nothing is counted.
            cnonce: (counted.is_some() || algorithm.is_session()).then_some(self.cnonce),
            nc: counted.map(|counted| counted.nc),
            opaque: challenge.opaque,
        };
        Some(credentials.to_string())
    }

    fn response(
        &self,
        challenge: &Challenge<'_>,
        counted: Option<Counted<'_>>,
        (algorithm, ha1): (Algorithm, &Ha1),
    ) -> Hex {
        let ingredients = Ingredients { algorithm, nonce: challenge.nonce, counted, uri: self.uri };
        ingredients.response(ha1, self.method).hex()
    }
}

impl<'a> Challenge<'a> {
    /// The topmost of several challenges for `realm` (any realm when `None`) that can be answered: the server's order
    /// is its order of preference (RFC 8760 §2.4). Values that cannot be read are passed over.
    pub fn choose(values: impl IntoIterator<Item = &'a str>, realm: Option<&str>) -> Option<Self> {
        values
            .into_iter()
            .filter_map(|value| Self::parse(value).ok())
            .find(|challenge| challenge.is_answerable() && realm.is_none_or(|realm| challenge.realm == realm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::WithoutQop;

    const ANSWER: Answer<'static> =
        Answer { username: "alice", method: "REGISTER", uri: "sip:example.com", cnonce: "0a4f113b", count: 1 };

    #[test]
    fn every_algorithm_is_answered_and_accepted() {
        for algorithm in Algorithm::STRONGEST_FIRST {
            for qop in [QopOffer::Auth, QopOffer::Absent] {
                if qop == QopOffer::Absent && algorithm.is_session() {
                    // RFC 2069 knows no sessions: the server could not tell the client nonce's part.
                    continue;
                }
                let challenge = Challenge { qop, opaque: Some("o"), ..Challenge::new("example.com", "n", algorithm) };
                let ha1 = Ha1::of(algorithm, "alice", "example.com", "secret");
                let value = ANSWER.to(&challenge, &ha1).unwrap();
                let credentials = Credentials::parse(&value).unwrap();
                assert_eq!(credentials.check(&ha1, "REGISTER", WithoutQop::Accept), Ok(()), "{value}");
                let wrong = Ha1::of(algorithm, "alice", "example.com", "Secret");
                assert!(credentials.check(&wrong, "REGISTER", WithoutQop::Accept).is_err(), "{value}");
            }
        }
    }

    #[test]
    fn the_topmost_challenge_that_is_understood_is_chosen() {
        let values = [
            r#"Basic realm="r""#,
            r#"Digest realm="r",nonce="1",algorithm=SHA-9,qop="auth""#,
            r#"Digest realm="other",nonce="2",algorithm=SHA-256,qop="auth""#,
            r#"Digest realm="r",nonce="3",algorithm=SHA-256,qop="auth""#,
            r#"Digest realm="r",nonce="4",algorithm=MD5,qop="auth""#,
        ];
        assert_eq!(Challenge::choose(values, Some("r")).unwrap().nonce, "3");
        assert_eq!(Challenge::choose(values, None).unwrap().nonce, "2");
        assert_eq!(Challenge::choose(values[..2].iter().copied(), None), None);
    }
}
