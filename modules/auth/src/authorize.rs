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
use crate::authenticator::{Claim, Step};
use crate::failure::Failure;

/// Values that the functions leave for the script and for each other.
pub(crate) const USER: &str = "auth_user";
pub(crate) const REALM: &str = "auth_realm";
pub(crate) const FAILURE: &str = "auth_failure";

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
    let realm = realm(context, arguments.required(0))?;
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
            context.avp().insert(FAILURE.to_owned(), failure.text().into());
            Err(Refusal::no(failure.text()))
        }
    }
}

async fn judge(auth: &Auth, context: &Context, realm: &str, header: HeaderName) -> Result<Box<str>, Failure> {
    let authenticator = &auth.authenticator;
    let step = {
        let request = context.request();
        authenticator.judge(Claim { request: &request, header, realm, now: now(context) })
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
    authenticator.judge_with(Claim { request: &request, header, realm, now: now(context) }, account.as_deref())
}

/// The realm that the script names; the domain of the address that authenticates when it names none, as in SER.
pub(crate) fn realm<'a>(context: &Context, named: &'a str) -> Result<Cow<'a, str>, Refusal> {
    if !named.is_empty() {
        return Ok(Cow::Borrowed(named));
    }
    let request = context.request();
    let header = if *request.method() == Method::Register { HeaderName::To } else { HeaderName::From };
    let address = request.value(header).and_then(|value| NameAddr::parse(value).ok());
    let host = address.and_then(|address| address.uri().ok()?.host.map(|host| host.host.to_string()));
    host.map(Cow::Owned).ok_or_else(|| Refusal::no("no realm: the address has no domain"))
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
