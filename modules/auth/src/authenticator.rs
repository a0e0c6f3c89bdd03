//! Checks the credentials of a request. Its only state is the cache of accounts, the nonce counts and the counters of
//! wrong passwords.
//!
//! If a password does not match the cached account, the account is read again. So an unknown user costs the same as a
//! known user with a wrong password, and neither time nor answer shows which users exist.

use std::sync::Arc;
use std::time::Duration;

use signalbox::services::accounts::{Account, Accounts, Cached};
use signalbox_sip::digest::{Algorithm, Credentials, Ha1, Judgement, Qop, ValidNonce};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::uri::canonical_domain;

use crate::failure::Failure;
use crate::guesses::{Attempt, Guesses};
use crate::policy::{Policy, QopPolicy};
use crate::resource;

/// Most credentials for one realm that are tried in one request. Each costs as much as a request of its own.
pub(crate) const MAX_CREDENTIALS: usize = 4;
/// Most values of one header that are searched for them.
const MAX_VALUES: usize = 32;

pub(crate) struct Authenticator {
    pub(crate) policy: Policy,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) guesses: Guesses,
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
    /// The index among several credentials for the realm, from 0.
    pub(crate) index: usize,
    /// Since 1970.
    pub(crate) now: Duration,
    /// Whether a URI has a host of this server.
    pub(crate) is_ours: &'a dyn Fn(&str) -> bool,
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

/// Credentials that are right except perhaps for the password.
struct Candidate<'a> {
    credentials: Credentials<'a>,
    algorithm: Algorithm,
    nonce: ValidNonce,
    attempt: Attempt,
}

impl Authenticator {
    pub(crate) fn new(policy: Policy, accounts: Arc<dyn Accounts>, guesses: Guesses) -> Self {
        let decoy = |algorithm| Ha1::of(algorithm, "", "", "");
        let decoys = [decoy(Algorithm::Md5), decoy(Algorithm::Sha256), decoy(Algorithm::Sha512_256)];
        Self { policy, accounts, guesses, decoys }
    }

    /// Judges with what is in the cache.
    pub(crate) fn judge(&self, claim: Claim<'_>) -> Step {
        let candidate = match self.candidate(&claim) {
            Ok(candidate) => candidate,
            Err(failure) => return Step::Done(Err(failure)),
        };
        let (login, hashed) = (&*candidate.credentials.username, candidate.credentials.userhash);
        let cached = if hashed {
            self.accounts.cached_by_hash(login, claim.realm)
        } else {
            self.accounts.cached(login, claim.realm)
        };
        let account = match &cached {
            Cached::Known(account) => Some(&**account),
            Cached::Absent | Cached::Unknown => None,
        };
        if let Some(account) = self.proved(&claim, &candidate, account) {
            return Step::Done(self.accept(&claim, &candidate, account));
        }
        match (cached, hashed) {
            // No account can have such a name.
            (Cached::Absent, _) => Step::Done(Err(self.refuse(&claim, &candidate, None))),
            // The cached account may be old. It is read again, as is one that is not cached or does not exist.
            (_, false) => Step::NeedsAccount(login.into()),
            (_, true) => Step::NeedsAccountOfHash(login.into()),
        }
    }

    /// Judges with the account that was read.
    pub(crate) fn judge_with(&self, claim: Claim<'_>, account: Option<&Account>) -> Result<Box<str>, Failure> {
        // While the database was read, the request may have changed and others may have sent wrong passwords.
        let candidate = self.candidate(&claim)?;
        let account = account.filter(|account| is_of(account, &candidate.credentials));
        match self.proved(&claim, &candidate, account) {
            Some(account) => self.accept(&claim, &candidate, account),
            None => Err(self.refuse(&claim, &candidate, account)),
        }
    }

    /// Everything but the password. Nothing here depends on whether the user exists.
    fn candidate<'a>(&self, claim: &Claim<'a>) -> Result<Candidate<'a>, Failure> {
        let credentials = find(claim)?;
        let algorithm =
            credentials.algorithm.filter(|algorithm| self.policy.offers(*algorithm)).ok_or(Failure::Algorithm)?;
        self.check_qop(&credentials)?;
        if credentials.userhash && !self.policy.userhash {
            // A hash in place of the name was not offered.
            return Err(Failure::UnknownUser);
        }
        if !resource::is_of(credentials.uri, claim.request, claim.is_ours) {
            return Err(Failure::OtherResource);
        }
        // The realm is hashed as it is written, so the password cannot be checked in another spelling.
        let judgement = self.policy.nonces.judge(credentials.nonce, &credentials.realm, claim.now);
        let Judgement::Valid(nonce) = judgement else { return Err(Failure::StaleNonce) };
        if credentials.realm != claim.realm {
            return Err(Failure::StaleNonce);
        }
        let attempt = self.guesses.attempt(&credentials.username, claim.realm, nonce.origin);
        if let Some(wait) = self.guesses.wait(&attempt, claim.now) {
            return Err(Failure::TooMany(wait));
        }
        Ok(Candidate { credentials, algorithm, nonce, attempt })
    }

    fn check_qop(&self, credentials: &Credentials<'_>) -> Result<(), Failure> {
        match (credentials.qop, self.policy.qop) {
            (None, QopPolicy::Required) | (Some(Qop::Auth), QopPolicy::Absent) | (Some(Qop::Other), _) => {
                Err(Failure::Qop)
            }
            (Some(Qop::Auth), _) if credentials.count().is_none() || credentials.cnonce.is_none() => {
                Err(Failure::Malformed)
            }
            _ => Ok(()),
        }
    }

    /// The account, if it is the one named and its password is right.
    fn proved<'b>(
        &self,
        claim: &Claim<'_>,
        candidate: &Candidate<'_>,
        account: Option<&'b Account>,
    ) -> Option<&'b Account> {
        let account = account.filter(|account| is_of(account, &candidate.credentials));
        let secret = account.and_then(|account| account.ha1(candidate.algorithm));
        let decoy = || self.decoys.iter().find(|decoy| decoy.algorithm() == candidate.algorithm.base());
        let checked = candidate.credentials.check(
            secret.or_else(decoy)?,
            claim.request.method().as_str(),
            self.policy.qop.without(),
        );
        account.filter(|_| secret.is_some() && checked.is_ok())
    }

    fn accept(&self, claim: &Claim<'_>, candidate: &Candidate<'_>, account: &Account) -> Result<Box<str>, Failure> {
        // Without a count, a nonce can be used once only.
        let count = candidate.credentials.count().unwrap_or(1);
        let print = self.policy.print(claim.request);
        self.policy.nonces.count(candidate.nonce, count, print, claim.now).map_err(|_| Failure::Replayed)?;
        self.guesses.succeeded(&candidate.attempt);
        Ok(account.user.clone())
    }

    fn refuse(&self, claim: &Claim<'_>, candidate: &Candidate<'_>, account: Option<&Account>) -> Failure {
        self.guesses.failed(&candidate.attempt, claim.now);
        match account {
            None => Failure::UnknownUser,
            Some(account) if account.ha1(candidate.algorithm).is_none() => Failure::Algorithm,
            Some(_) => Failure::BadPassword,
        }
    }
}

/// Whether the credentials name this account, by its user's name or hash.
fn is_of(account: &Account, credentials: &Credentials<'_>) -> bool {
    match (credentials.userhash, credentials.algorithm) {
        (true, Some(algorithm)) => account.has_hash(algorithm, &credentials.username),
        (true, None) => false,
        (false, _) => account.is_called(&credentials.username),
    }
}

/// The credentials for the realm at the index in `claim`. A request may carry credentials for other realms too (RFC
/// 3261 §22.3).
fn find<'a>(claim: &Claim<'a>) -> Result<Credentials<'a>, Failure> {
    let mut failure = Failure::NoCredentials;
    let mut before = claim.index;
    for value in claim.request.values(claim.header).take(MAX_VALUES) {
        match Credentials::parse(value) {
            // RFC 8760 §2.7: a client may announce itself with an empty response.
            Ok(credentials) if credentials.response.is_empty() || !is_realm(&credentials.realm, claim.realm) => {}
            Ok(credentials) if before == 0 => return Ok(credentials),
            Ok(_) => before -= 1,
            Err(_) => failure = Failure::Malformed,
        }
    }
    Err(failure)
}

/// Domains are compared without regard to case and final dot.
pub(crate) fn is_realm(theirs: &str, ours: &str) -> bool {
    theirs == ours || canonical_domain(theirs) == canonical_domain(ours)
}

#[cfg(test)]
mod tests {
    use signalbox::module::{Parameter, Settings};
    use signalbox::storage::StorageError;
    use signalbox_sip::digest::{Answer, Challenge, Origin, QopOffer, user_hash};
    use signalbox_sip::method::Method;

    use super::*;
    use crate::guesses::GuessLimits;

    const REALM: &str = "example.com";
    const NOW: Duration = Duration::from_secs(1_700_000_000);

    /// Knows ann; all others would have to be read.
    struct Known(Arc<Account>);

    impl Accounts for Known {
        fn cached(&self, user: &str, realm: &str) -> Cached {
            match user {
                "ann" if realm == REALM => Cached::Known(self.0.clone()),
                "a\0b" => Cached::Absent,
                _ => Cached::Unknown,
            }
        }

        fn lookup<'a>(&'a self, _: &'a str, _: &'a str) -> Lookup<'a> {
            Box::pin(async { Ok(None) })
        }

        fn realm<'a>(&'a self, named: &'a str) -> std::borrow::Cow<'a, str> {
            named.into()
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
        let limits = GuessLimits { pair: 3, source: 9, account: 20, longest_wait: Duration::from_secs(60) };
        let accounts = Arc::new(Known(Arc::new(Account::new("ann", REALM, "secret"))));
        Authenticator::new(policy, accounts, Guesses::new(limits, [7; 16]))
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
        let fresh = authenticator.policy.nonce(REALM, NOW, Origin::default());
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

    fn claim(request: &Message, index: usize) -> Claim<'_> {
        Claim { request, header: HeaderName::Authorization, realm: REALM, index, now: NOW, is_ours: &|_| false }
    }

    fn judge(authenticator: &Authenticator, request: &Message, now: Duration) -> Step {
        judge_as_read(authenticator, Claim { now, ..claim(request, 0) })
    }

    /// Reads ann from the database if it is asked for.
    fn judge_as_read(authenticator: &Authenticator, claim: Claim<'_>) -> Step {
        match authenticator.judge(claim) {
            Step::NeedsAccount(user) if &*user == "zoe" => Step::NeedsAccount(user),
            Step::NeedsAccount(user) => {
                let ann = Account::new("ann", REALM, "secret");
                Step::Done(authenticator.judge_with(claim, Some(&ann).filter(|ann| ann.is_called(&user))))
            }
            Step::NeedsAccountOfHash(hash) if user_hash(Algorithm::Sha256, "zoe", REALM).as_str() != &*hash => {
                let ann = Account::new("ann", REALM, "secret");
                let is_ann = ann.has_hash(Algorithm::Sha256, &hash);
                Step::Done(authenticator.judge_with(claim, Some(&ann).filter(|_| is_ann)))
            }
            step => step,
        }
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
        for algorithm in [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5] {
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
        let claim = claim(&request, 0);
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
    fn an_old_or_foreign_nonce_is_stale_whatever_the_password() {
        let authenticator = authenticator("SHA-256", "auth");
        let late = NOW + Duration::from_secs(301);
        assert_eq!(judge(&authenticator, &request(&authenticator, &RIGHT), late), refused(Failure::StaleNonce));
        // RFC 7616 §3.3: an invalid nonce says nothing about the password, so guessing needs a nonce of ours.
        let wrong = request(&authenticator, &Attempt { password: "x", ..RIGHT });
        assert_eq!(judge(&authenticator, &wrong, late), refused(Failure::StaleNonce));
        let foreign = Attempt { nonce: Some("dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned()), ..RIGHT };
        assert_eq!(attempt(&authenticator, &foreign), refused(Failure::StaleNonce));
    }

    #[test]
    fn a_known_user_with_a_wrong_password_costs_what_an_unknown_user_costs() {
        let authenticator = authenticator("SHA-256", "auth");
        for user in ["ann", "bob", "ann@example.com"] {
            let request = request(&authenticator, &Attempt { user, password: "wrong", ..RIGHT });
            assert_eq!(authenticator.judge(claim(&request, 0)), Step::NeedsAccount(user.into()), "{user} is read");
        }
        for user in ["ann", "bob"] {
            let hash = user_hash(Algorithm::Sha256, user, REALM).as_str().into();
            let request = request(&authenticator, &Attempt { user, password: "wrong", userhash: true, ..RIGHT });
            assert_eq!(authenticator.judge(claim(&request, 0)), Step::NeedsAccountOfHash(hash), "{user} is read");
        }
    }

    #[test]
    fn wrong_passwords_end_in_a_wait_whether_the_user_exists_or_not() {
        for user in ["ann", "bob"] {
            let authenticator = authenticator("SHA-256", "auth");
            for _ in 0..3 {
                let step = attempt(&authenticator, &Attempt { user, password: "wrong", ..RIGHT });
                assert!(matches!(step, Step::Done(Err(Failure::BadPassword | Failure::UnknownUser))), "{step:?}");
            }
            let step = attempt(&authenticator, &Attempt { user, ..RIGHT });
            assert_eq!(step, refused(Failure::TooMany(Duration::from_secs(1))), "{user}");
        }
    }

    #[test]
    fn of_several_credentials_for_the_realm_each_can_be_tried() {
        let authenticator = authenticator("SHA-256", "auth");
        let mut both = request(&authenticator, &Attempt { password: "wrong", ..RIGHT });
        let other = r#"Digest username="ann", realm="other", nonce="n", uri="sip:x", response="00""#;
        both.push(HeaderName::Authorization, other);
        let right = request(&authenticator, &RIGHT);
        both.push(HeaderName::Authorization, right.value(HeaderName::Authorization).unwrap());
        assert_eq!(judge_as_read(&authenticator, claim(&both, 0)), refused(Failure::BadPassword));
        assert_eq!(judge_as_read(&authenticator, claim(&both, 1)), Step::Done(Ok("ann".into())));
        assert_eq!(judge_as_read(&authenticator, claim(&both, 2)), refused(Failure::NoCredentials));
    }

    #[test]
    fn credentials_for_another_resource_are_refused() {
        let authenticator = authenticator("SHA-256", "auth");
        let mut moved = Message::request(&Method::Register, "sip:other.example");
        let right = request(&authenticator, &RIGHT);
        moved.push(HeaderName::Authorization, right.value(HeaderName::Authorization).unwrap());
        assert_eq!(judge(&authenticator, &moved, NOW), refused(Failure::OtherResource));
    }

    #[test]
    fn credentials_for_the_realm_in_another_spelling_get_a_fresh_challenge() {
        let authenticator = authenticator("SHA-256", "auth");
        let request = request(&authenticator, &RIGHT);
        let value = request.value(HeaderName::Authorization).unwrap().replace("\"example.com\"", "\"EXAMPLE.com.\"");
        let mut respelled = Message::request(&Method::Register, "sip:example.com");
        respelled.push(HeaderName::Authorization, &value);
        assert_eq!(judge(&authenticator, &respelled, NOW), refused(Failure::StaleNonce));
    }

    #[test]
    fn a_session_form_and_a_qop_that_were_not_offered_are_refused() {
        for (algorithm, refused_by) in [(Algorithm::Md5Session, "MD5"), (Algorithm::Sha256Session, "SHA-256, MD5")] {
            let authenticator = authenticator(refused_by, "auth");
            assert_eq!(attempt(&authenticator, &Attempt { algorithm, ..RIGHT }), refused(Failure::Algorithm));
        }
        let without = authenticator("SHA-256", "none");
        assert_eq!(attempt(&without, &RIGHT), refused(Failure::Qop));
    }

    #[test]
    fn a_request_that_is_sent_again_is_refused_and_a_higher_count_is_not() {
        let authenticator = authenticator("SHA-256", "auth");
        let nonce = Some(authenticator.policy.nonce(REALM, NOW, Origin::default()).to_string());
        let first = Attempt { nonce: nonce.clone(), ..RIGHT };
        let second = Attempt { nonce, count: 2, ..RIGHT };
        assert_eq!(attempt(&authenticator, &first), Step::Done(Ok("ann".into())));
        let mut changed = request(&authenticator, &first);
        changed.push(HeaderName::Contact, "<sip:mallory@192.0.2.66>");
        assert_eq!(judge(&authenticator, &changed, NOW), refused(Failure::Replayed));
        assert_eq!(attempt(&authenticator, &second), Step::Done(Ok("ann".into())));
    }

    #[test]
    fn the_same_request_is_let_in_again_while_it_can_be_a_retransmission() {
        let authenticator = authenticator("SHA-256", "auth");
        let request = request(&authenticator, &RIGHT);
        let after = |seconds| judge(&authenticator, &request, NOW + Duration::from_secs(seconds));
        assert_eq!([after(0), after(1), after(32)], [0, 1, 2].map(|_| Step::Done(Ok("ann".into()))));
        assert_eq!(after(33), refused(Failure::Replayed));
    }

    #[test]
    fn without_qop_a_nonce_can_be_used_once_where_that_is_allowed() {
        let old = |authenticator: &Authenticator| Attempt {
            qop: QopOffer::Absent,
            nonce: Some(authenticator.policy.nonce(REALM, NOW, Origin::default()).to_string()),
            ..RIGHT
        };
        let strict = authenticator("SHA-256", "auth");
        assert_eq!(attempt(&strict, &old(&strict)), refused(Failure::Qop));
        let lenient = authenticator("SHA-256", "optional");
        let again = old(&lenient);
        assert_eq!(attempt(&lenient, &again), Step::Done(Ok("ann".into())));
        let mut changed = request(&lenient, &again);
        changed.push(HeaderName::Contact, "<sip:mallory@192.0.2.66>");
        assert_eq!(judge(&lenient, &changed, NOW), refused(Failure::Replayed));
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
