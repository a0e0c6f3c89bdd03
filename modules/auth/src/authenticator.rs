//! Judging the credentials of a request. Pure but for the cache of accounts and the nonce counts.

use std::sync::Arc;
use std::time::Duration;

use signalbox::services::accounts::{Account, Accounts, Cached};
use signalbox_sip::digest::{Algorithm, CheckError, Credentials, Ha1, Judgement};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;

use crate::failure::Failure;
use crate::policy::Policy;

pub(crate) struct Authenticator {
    pub(crate) policy: Policy,
    pub(crate) accounts: Arc<dyn Accounts>,
    /// Checked in place of an account that is not there, so that its absence cannot be told by the time it takes.
    decoys: [Ha1; 3],
}

/// Credentials and where they were asked for.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) request: &'a Message,
    /// Authorization or Proxy-Authorization.
    pub(crate) header: HeaderName,
    pub(crate) realm: &'a str,
    /// Since 1970.
    pub(crate) now: Duration,
}

/// How far the judgement got.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Who it is, or why it is nobody.
    Done(Result<Box<str>, Failure>),
    /// The account of this user must be read first.
    NeedsAccount(Box<str>),
    /// The same, of the user with this hash.
    NeedsAccountOfHash(Box<str>),
}

impl Authenticator {
    pub(crate) fn new(policy: Policy, accounts: Arc<dyn Accounts>) -> Self {
        let decoy = |algorithm| Ha1::of(algorithm, "", "", "");
        let decoys = [decoy(Algorithm::Md5), decoy(Algorithm::Sha256), decoy(Algorithm::Sha512_256)];
        Self { policy, accounts, decoys }
    }

    /// Judges with what is in the cache.
    pub(crate) fn judge(&self, claim: Claim<'_>) -> Step {
        let credentials = match find(&claim) {
            Ok(credentials) => credentials,
            Err(failure) => return Step::Done(Err(failure)),
        };
        let (user, realm) = (&*credentials.username, claim.realm);
        let cached = match (credentials.userhash, self.policy.userhash) {
            (false, _) => self.accounts.cached(user, realm),
            (true, true) => self.accounts.cached_by_hash(user, realm),
            // A hash in place of the name was not asked for.
            (true, false) => Cached::Absent,
        };
        let account = match cached {
            Cached::Known(account) => Some(account),
            Cached::Absent => None,
            Cached::Unknown if credentials.userhash => return Step::NeedsAccountOfHash(user.into()),
            Cached::Unknown => return Step::NeedsAccount(user.into()),
        };
        let account = account.filter(|account| is_of(account, &credentials));
        Step::Done(self.decide(&claim, &credentials, account.as_deref()))
    }

    /// Judges with the account that was read.
    pub(crate) fn judge_with(&self, claim: Claim<'_>, account: Option<&Account>) -> Result<Box<str>, Failure> {
        let credentials = find(&claim)?;
        // The request may have been changed while the database was asked.
        let account = account.filter(|account| is_of(account, &credentials));
        self.decide(&claim, &credentials, account)
    }

    fn decide(
        &self,
        claim: &Claim<'_>,
        credentials: &Credentials<'_>,
        account: Option<&Account>,
    ) -> Result<Box<str>, Failure> {
        let algorithm =
            credentials.algorithm.filter(|algorithm| self.policy.accepts(*algorithm)).ok_or(Failure::Algorithm)?;
        let secret = match account {
            Some(account) => account.ha1(algorithm).ok_or(Failure::Algorithm)?,
            None => self.decoys.iter().find(|decoy| decoy.algorithm() == algorithm.base()).ok_or(Failure::Algorithm)?,
        };
        let judgement = self.policy.nonces.judge(credentials.nonce, claim.realm, claim.now);
        let checked = credentials.check(secret, claim.request.method().as_str(), self.policy.qop.without());
        let Some(account) = account else { return Err(Failure::UnknownUser) };
        checked.map_err(|error| match error {
            CheckError::WrongResponse => Failure::BadPassword,
            CheckError::Algorithm => Failure::Algorithm,
            CheckError::Qop => Failure::Qop,
            CheckError::Count => Failure::Malformed,
        })?;
        let Judgement::Valid(nonce) = judgement else { return Err(Failure::StaleNonce) };
        // Without a count, a nonce can be used once only.
        let count = credentials.count().unwrap_or(1);
        self.policy.nonces.count(nonce, count, claim.now).map_err(|_| Failure::Replayed)?;
        Ok(account.user.clone())
    }
}

/// Whether the credentials name this account, by its user's name or hash.
fn is_of(account: &Account, credentials: &Credentials<'_>) -> bool {
    match (credentials.userhash, credentials.algorithm) {
        (true, Some(algorithm)) => account.has_hash(algorithm, &credentials.username),
        (true, None) => false,
        (false, _) => *account.user == *credentials.username,
    }
}

/// The first credentials for the realm: a request may carry some for others as well (RFC 3261 §22.3).
fn find<'a>(claim: &Claim<'a>) -> Result<Credentials<'a>, Failure> {
    let mut failure = Failure::NoCredentials;
    for value in claim.request.values(claim.header) {
        match Credentials::parse(value) {
            // RFC 8760 §2.7: a client may announce itself with an empty response.
            Ok(credentials) if credentials.realm == claim.realm && !credentials.response.is_empty() => {
                return Ok(credentials);
            }
            Ok(_) => {}
            Err(_) => failure = Failure::Malformed,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use signalbox::module::{Parameter, Settings};
    use signalbox::storage::StorageError;
    use signalbox_sip::digest::{Answer, Challenge, QopOffer, user_hash};
    use signalbox_sip::method::Method;

    use super::*;

    const REALM: &str = "example.com";
    const NOW: Duration = Duration::from_secs(1_700_000_000);

    /// Knows ann, knows that bob is nobody, and would have to ask for the rest.
    struct Known(Arc<Account>);

    impl Accounts for Known {
        fn cached(&self, user: &str, realm: &str) -> Cached {
            match user {
                "ann" if realm == REALM => Cached::Known(self.0.clone()),
                "bob" => Cached::Absent,
                _ => Cached::Unknown,
            }
        }

        fn lookup<'a>(&'a self, _: &'a str, _: &'a str) -> Lookup<'a> {
            Box::pin(async { Ok(None) })
        }

        fn cached_by_hash(&self, hash: &str, realm: &str) -> Cached {
            let ann = user_hash(Algorithm::Sha256, "ann", REALM);
            if hash == ann.as_str() && realm == REALM { Cached::Known(self.0.clone()) } else { Cached::Unknown }
        }

        fn lookup_by_hash<'a>(&'a self, _: &'a str, _: &'a str) -> Lookup<'a> {
            Box::pin(async { Ok(None) })
        }
    }

    type Lookup<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Arc<Account>>, StorageError>> + Send + 'a>>;

    fn authenticator(algorithms: &'static str, qop: &'static str) -> Authenticator {
        let parameters = [
            Parameter::string("algorithms", algorithms),
            Parameter::string("qop", qop),
            Parameter::string("secret", "test"),
            Parameter::boolean("userhash", true),
            Parameter::duration("nonce_expire", Duration::from_secs(300)),
        ];
        let policy = Policy::new(&Settings::defaults(&parameters)).unwrap();
        Authenticator::new(policy, Arc::new(Known(Arc::new(Account::new("ann", REALM, "secret")))))
    }

    struct Attempt {
        user: &'static str,
        password: &'static str,
        algorithm: Algorithm,
        qop: QopOffer,
        count: u32,
        nonce: Option<String>,
        userhash: bool,
    }

    const RIGHT: Attempt = Attempt {
        user: "ann",
        password: "secret",
        algorithm: Algorithm::Sha256,
        qop: QopOffer::Auth,
        count: 1,
        nonce: None,
        userhash: false,
    };

    fn request(authenticator: &Authenticator, attempt: &Attempt) -> Message {
        let fresh = authenticator.policy.nonce(REALM, NOW);
        let nonce = attempt.nonce.as_deref().unwrap_or(fresh.as_str());
        let challenge = Challenge {
            qop: attempt.qop,
            userhash: attempt.userhash,
            ..Challenge::new(REALM, nonce, attempt.algorithm)
        };
        let answer = Answer {
            username: attempt.user,
            method: "REGISTER",
            uri: "sip:example.com",
            cnonce: "c",
            count: attempt.count,
        };
        let secret = Ha1::of(attempt.algorithm, attempt.user, REALM, attempt.password);
        let mut request = Message::request(&Method::Register, "sip:example.com");
        request.push(HeaderName::Authorization, &answer.to(&challenge, &secret).unwrap());
        request
    }

    fn judge(authenticator: &Authenticator, request: &Message, now: Duration) -> Step {
        authenticator.judge(Claim { request, header: HeaderName::Authorization, realm: REALM, now })
    }

    fn attempt(authenticator: &Authenticator, attempt: &Attempt) -> Step {
        judge(authenticator, &request(authenticator, attempt), NOW)
    }

    fn refused(failure: Failure) -> Step {
        Step::Done(Err(failure))
    }

    #[test]
    fn the_right_password_is_accepted_with_every_algorithm_offered() {
        let authenticator = authenticator("SHA-512-256, SHA-256, MD5", "auth");
        for algorithm in Algorithm::STRONGEST_FIRST {
            assert_eq!(
                attempt(&authenticator, &Attempt { algorithm, ..RIGHT }),
                Step::Done(Ok("ann".into())),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn an_algorithm_that_was_not_offered_is_not_accepted() {
        let authenticator = authenticator("SHA-256", "auth");
        let md5 = Attempt { algorithm: Algorithm::Md5, ..RIGHT };
        assert_eq!(attempt(&authenticator, &md5), refused(Failure::Algorithm));
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_are_refused() {
        let authenticator = authenticator("SHA-256", "auth");
        assert_eq!(attempt(&authenticator, &Attempt { password: "Secret", ..RIGHT }), refused(Failure::BadPassword));
        assert_eq!(attempt(&authenticator, &Attempt { user: "bob", ..RIGHT }), refused(Failure::UnknownUser));
        // Even with the decoy's own password.
        assert_eq!(
            attempt(&authenticator, &Attempt { user: "bob", password: "", ..RIGHT }),
            refused(Failure::UnknownUser)
        );
    }

    #[test]
    fn an_account_that_is_not_cached_is_asked_for() {
        let authenticator = authenticator("SHA-256", "auth");
        let request = request(&authenticator, &Attempt { user: "zoe", ..RIGHT });
        assert_eq!(judge(&authenticator, &request, NOW), Step::NeedsAccount("zoe".into()));
        let claim = Claim { request: &request, header: HeaderName::Authorization, realm: REALM, now: NOW };
        let zoe = Account::new("zoe", REALM, "secret");
        assert_eq!(authenticator.judge_with(claim, Some(&zoe)), Ok("zoe".into()));
        assert_eq!(authenticator.judge_with(claim, None), Err(Failure::UnknownUser));
        let other = Account::new("ann", REALM, "secret");
        assert_eq!(authenticator.judge_with(claim, Some(&other)), Err(Failure::UnknownUser));
    }

    #[test]
    fn a_hash_of_the_algorithm_of_the_answer_stands_for_the_name() {
        let authenticator = authenticator("SHA-256, SHA-512-256", "auth");
        let hashed = Attempt { userhash: true, ..RIGHT };
        assert_eq!(attempt(&authenticator, &hashed), Step::Done(Ok("ann".into())));
        assert_eq!(attempt(&authenticator, &Attempt { password: "x", ..hashed }), refused(Failure::BadPassword));
        let zoe = user_hash(Algorithm::Sha256, "zoe", REALM).as_str().into();
        assert_eq!(
            attempt(&authenticator, &Attempt { userhash: true, user: "zoe", ..RIGHT }),
            Step::NeedsAccountOfHash(zoe)
        );
        // The hash of one algorithm with the answer of another.
        let request = request(&authenticator, &Attempt { userhash: true, ..RIGHT });
        let value = request.value(HeaderName::Authorization).unwrap().replace("=SHA-256", "=SHA-512-256");
        let mut mixed = Message::request(&Method::Register, "sip:example.com");
        mixed.push(HeaderName::Authorization, &value);
        assert_eq!(judge(&authenticator, &mixed, NOW), refused(Failure::UnknownUser));
    }

    #[test]
    fn a_hash_that_was_not_asked_for_names_nobody() {
        let mut authenticator = authenticator("SHA-256", "auth");
        authenticator.policy.userhash = false;
        let hashed = Attempt { userhash: true, ..RIGHT };
        assert_eq!(attempt(&authenticator, &hashed), refused(Failure::UnknownUser));
    }

    #[test]
    fn a_nonce_is_stale_when_it_is_old_and_only_for_who_knows_the_password() {
        let authenticator = authenticator("SHA-256", "auth");
        let late = NOW + Duration::from_secs(301);
        assert_eq!(judge(&authenticator, &request(&authenticator, &RIGHT), late), refused(Failure::StaleNonce));
        let wrong = request(&authenticator, &Attempt { password: "x", ..RIGHT });
        assert_eq!(judge(&authenticator, &wrong, late), refused(Failure::BadPassword));
        let foreign = Attempt { nonce: Some("dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned()), ..RIGHT };
        assert_eq!(attempt(&authenticator, &foreign), refused(Failure::StaleNonce));
    }

    #[test]
    fn a_request_that_is_sent_again_is_refused_and_a_higher_count_is_not() {
        let authenticator = authenticator("SHA-256", "auth");
        let nonce = Some(authenticator.policy.nonce(REALM, NOW).to_string());
        let first = Attempt { nonce: nonce.clone(), ..RIGHT };
        let second = Attempt { nonce, count: 2, ..RIGHT };
        assert_eq!(attempt(&authenticator, &first), Step::Done(Ok("ann".into())));
        assert_eq!(attempt(&authenticator, &first), refused(Failure::Replayed));
        assert_eq!(attempt(&authenticator, &second), Step::Done(Ok("ann".into())));
    }

    #[test]
    fn without_qop_a_nonce_can_be_used_once_where_that_is_allowed() {
        let old = |authenticator: &Authenticator| Attempt {
            qop: QopOffer::Absent,
            nonce: Some(authenticator.policy.nonce(REALM, NOW).to_string()),
            ..RIGHT
        };
        let strict = authenticator("SHA-256", "auth");
        assert_eq!(attempt(&strict, &old(&strict)), refused(Failure::Qop));
        let lenient = authenticator("SHA-256", "optional");
        let again = old(&lenient);
        assert_eq!(attempt(&lenient, &again), Step::Done(Ok("ann".into())));
        assert_eq!(attempt(&lenient, &again), refused(Failure::Replayed));
    }

    #[test]
    fn only_credentials_for_the_realm_count() {
        let authenticator = authenticator("SHA-256", "auth");
        let mut request = Message::request(&Method::Register, "sip:example.com");
        assert_eq!(judge(&authenticator, &request, NOW), refused(Failure::NoCredentials));
        let other = r#"Digest username="ann", realm="other", nonce="n", uri="sip:x", response="00""#;
        request.push(HeaderName::Authorization, other);
        assert_eq!(judge(&authenticator, &request, NOW), refused(Failure::NoCredentials));
        request.push(HeaderName::Authorization, "Digest username=");
        assert_eq!(judge(&authenticator, &request, NOW), refused(Failure::Malformed));
        let announced = r#"Digest username="ann", realm="example.com", nonce="", uri="sip:x", response="""#;
        request.set(HeaderName::Authorization, announced);
        assert_eq!(judge(&authenticator, &request, NOW), refused(Failure::NoCredentials));
    }
}
