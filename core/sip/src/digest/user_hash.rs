//! Hashes in place of user names (RFC 7616 §3.4.4).

use super::algorithm::{Algorithm, Hex};

/// "username = H( unq(username) ":" unq(realm) )", in lower case. The `-sess` forms share the value of their base.
pub fn user_hash(algorithm: Algorithm, user: &str, realm: &str) -> Hex {
    algorithm.hash(&[user, realm].map(str::as_bytes)).hex()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Answer, Challenge, Credentials, Ha1, WithoutQop};

    /// RFC 7616 §3.9.2 as corrected by erratum 4897: what is printed there was made with SHA-512, cut off, in place of SHA-512/256.
    #[test]
    fn the_user_of_rfc_7616_has_the_hash_of_its_erratum() {
        let hash = user_hash(Algorithm::Sha512_256, "J\u{e4}s\u{f8}n Doe", "api@example.org");
        assert_eq!(hash.as_str(), "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
    }

    /// The whole exchange of that example, with the erratum's response.
    #[test]
    fn the_credentials_of_rfc_7616_are_those_of_its_erratum() {
        let challenge = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true"#;
        let user = "J\u{e4}s\u{f8}n Doe";
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let answer = Answer { username: user, method: "GET", uri: "/doe.json", cnonce, count: 1 };
        let secret = Ha1::of(Algorithm::Sha512_256, user, "api@example.org", "Secret, or not?");
        let value = answer.to(&Challenge::parse(challenge).unwrap(), &secret).unwrap();
        let credentials = Credentials::parse(&value).unwrap();
        assert!(credentials.userhash);
        assert_eq!(credentials.username, "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
        assert_eq!(credentials.response, "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
        assert_eq!(credentials.check(&secret, "GET", WithoutQop::Refuse), Ok(()));
    }

    #[test]
    fn each_hash_function_and_realm_has_another() {
        let of = |algorithm, realm| user_hash(algorithm, "ann", realm).as_str().to_owned();
        let hashes: std::collections::BTreeSet<_> = Algorithm::STRONGEST_FIRST
            .into_iter()
            .flat_map(|algorithm| [of(algorithm, "example.com"), of(algorithm, "example.org")])
            .collect();
        // Sessions have those of their base.
        assert_eq!(hashes.len(), 6);
    }
}
