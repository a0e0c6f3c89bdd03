//! `www_authorize` and `proxy_authorize`: RFC 3261 §22.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use signalbox::context::Context;
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox_sip::header::HeaderName;

use signalbox_sip::method::Method;
use signalbox_sip::uri::NameAddr;

use crate::Auth;
use crate::authenticator::{Claim, MAX_CREDENTIALS, Step};
use crate::failure::Failure;

/// Values that the functions leave for the script and for each other.
pub(crate) const USER: &str = "auth_user";
pub(crate) const REALM: &str = "auth_realm";
pub(crate) const FAILURE: &str = "auth_failure";
/// Seconds to wait after too many wrong passwords.
pub(crate) const RETRY_AFTER: &str = "auth_retry_after";

pub(crate) async fn www_authorize(auth: Arc<Auth>, context: Context, arguments: Arguments) -> Outcome {
    authorize(&auth, &context, &arguments, HeaderName::Authorization).await
}

pub(crate) async fn proxy_authorize(auth: Arc<Auth>, context: Context, arguments: Arguments) -> Outcome {
    authorize(&auth, &context, &arguments, HeaderName::ProxyAuthorization).await
}

async fn authorize(auth: &Auth, context: &Context, arguments: &Arguments, header: HeaderName) -> Outcome {
    // §22.1: "Servers MUST NOT challenge an ACK", and neither CANCEL: both belong to a request that was let in.
    if matches!(context.request().method(), Method::Ack | Method::Cancel) {
        return Ok(Value::Boolean(true));
    }
    let realm = realm(auth, context, arguments.required(0))?;
    let judged = judge(auth, context, &realm, header).await;
    auth.count(judged.as_ref().map(drop).map_err(|failure| *failure));
    match judged {
        Ok(user) => {
            let mut avp = context.avp();
            avp.insert(USER.to_owned(), Value::String(user.into_string()));
            avp.insert(REALM.to_owned(), Value::String(realm.into_owned()));
            avp.remove(FAILURE);
            Ok(Value::Boolean(true))
        }
        Err(failure) => {
            if failure.is_suspicious() {
                report(context, failure);
            }
            let mut avp = context.avp();
            avp.insert(FAILURE.to_owned(), failure.text().into());
            if let Failure::TooMany(wait) = failure {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                avp.insert(RETRY_AFTER.to_owned(), Value::Integer(i64::try_from(seconds).unwrap_or(i64::MAX)));
            }
            Err(Refusal::no(failure.text()))
        }
    }
}

/// Tries the credentials for the realm one after the other. Nearly always there are one or none.
async fn judge(auth: &Auth, context: &Context, realm: &str, header: HeaderName) -> Result<Box<str>, Failure> {
    let mut failure = None;
    for index in 0..MAX_CREDENTIALS {
        match judge_one(auth, context, realm, (header, index)).await {
            Ok(user) => return Ok(user),
            Err(Failure::NoCredentials | Failure::Malformed) if failure.is_some() => break,
            Err(other) => failure = Some(failure.map_or(other, |failure: Failure| failure.or(other))),
        }
        if failure == Some(Failure::NoCredentials) {
            break;
        }
    }
    Err(failure.unwrap_or(Failure::NoCredentials))
}

async fn judge_one(
    auth: &Auth,
    context: &Context,
    realm: &str,
    (header, index): (HeaderName, usize),
) -> Result<Box<str>, Failure> {
    let authenticator = &auth.authenticator;
    let is_ours = |uri: &str| context.is_myself(uri);
    let step = {
        let request = context.request();
        authenticator.judge(Claim { request: &request, header, realm, index, now: now(context), is_ours: &is_ours })
    };
    let account = match step {
        Step::Done(result) => return result,
        Step::NeedsAccount(user) => authenticator.accounts.lookup(&user, realm).await,
        Step::NeedsAccountOfHash(hash) => authenticator.accounts.lookup_by_hash(&hash, realm).await,
    };
    let account = account.map_err(|error| {
        tracing::debug!(%error, "an account could not be read");
        Failure::Unavailable
    })?;
    let request = context.request();
    let claim = Claim { request: &request, header, realm, index, now: now(context), is_ours: &is_ours };
    authenticator.judge_with(claim, account.as_deref())
}

/// The realm that the script names. If it names none, the domain of the authenticating address, as in SER. A domain has
/// one spelling, whatever a client writes.
pub(crate) fn realm<'a>(auth: &Auth, context: &Context, named: &'a str) -> Result<Cow<'a, str>, Refusal> {
    let accounts = &auth.authenticator.accounts;
    if !named.is_empty() {
        // It nearly always has that spelling already.
        let realm = accounts.realm(named);
        return Ok(if *realm == *named { Cow::Borrowed(named) } else { Cow::Owned(realm.into_owned()) });
    }
    let request = context.request();
    let header = if *request.method() == Method::Register { HeaderName::To } else { HeaderName::From };
    let address = request.value(header).and_then(|value| NameAddr::parse(value).ok());
    let host = address.and_then(|address| address.uri().ok()?.host.map(|host| host.host.to_string()));
    let host = host.ok_or_else(|| Refusal::no("no realm: the address has no domain"))?;
    Ok(Cow::Owned(accounts.realm(&host).into_owned()))
}

/// Time since 1970.
pub(crate) fn now(context: &Context) -> Duration {
    let clock = context.host().clock();
    clock.unix(context.now()).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn report(context: &Context, failure: Failure) {
    let request = context.request();
    tracing::info!(call_id = request.call_id(), source = %context.source(), reason = failure.text(), "credentials refused");
}
