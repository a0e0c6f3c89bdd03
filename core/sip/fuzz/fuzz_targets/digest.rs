//! Challenges, credentials and nonces. An answer made here to a challenge that can be answered is right.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use signalbox_sip::digest::{
    Answer, AuthenticationInfo, Challenge, Credentials, Ha1, Judgement, Nonces, Qop, WithoutQop,
};

fuzz_target!(|value: &str| {
    challenge(value);
    credentials(value);
    if let Ok(info) = AuthenticationInfo::parse(value) {
        AuthenticationInfo::parse(&info.to_string()).expect("what is printed is read");
    }
    let nonces = Nonces::new([7; 16], Duration::from_secs(60));
    let now = Duration::from_secs(1000);
    assert_eq!(nonces.judge(value, "example.com", now), Judgement::Unknown, "nobody guesses a signature");
});

fn challenge(value: &str) {
    let Ok(challenge) = Challenge::parse(value) else { return };
    let printed = challenge.to_string();
    let again = Challenge::parse(&printed).expect("a printed challenge is one");
    assert_eq!((&again.realm, again.nonce, again.opaque), (&challenge.realm, challenge.nonce, challenge.opaque));
    let Some(algorithm) = challenge.algorithm.filter(|_| challenge.is_answerable()) else { return };
    let ha1 = Ha1::of(algorithm.base(), "alice", &challenge.realm, "secret");
    let answer = Answer { username: "alice", method: "MESSAGE", uri: "sip:b@x", cnonce: "c", count: 1 };
    let credentials = answer.to(&challenge, &ha1).expect("it is answerable");
    let credentials = Credentials::parse(&credentials).expect("an answer is credentials");
    assert_eq!(credentials.check(&ha1, "MESSAGE", WithoutQop::Accept), Ok(()));
    assert!(credentials.check(&ha1, "INVITE", WithoutQop::Accept).is_err());
}

fn credentials(value: &str) {
    let Ok(credentials) = Credentials::parse(value) else { return };
    let printed = credentials.to_string();
    let again = Credentials::parse(&printed).expect("printed credentials are some");
    // Of unknown algorithms and qop values only is kept that they are unknown.
    if credentials.algorithm.is_some() && credentials.qop != Some(Qop::Other) {
        assert_eq!(again, credentials);
    }
    let ha1 = Ha1::of(signalbox_sip::digest::Algorithm::Md5, "alice", "example.com", "secret");
    let _ = (credentials.check(&ha1, "REGISTER", WithoutQop::Accept), credentials.count(), credentials.rspauth(&ha1));
}
