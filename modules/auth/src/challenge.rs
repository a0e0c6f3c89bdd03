//! `www_challenge` and `proxy_challenge`: asking for credentials (RFC 3261 §22, RFC 8760 §2.3).

use signalbox::context::{Context, Reply};
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox_sip::digest::{Challenge, QopOffer};
use signalbox_sip::header::HeaderName;

use crate::Auth;
use crate::authorize::{FAILURE, RETRY_AFTER as WAIT, now, realm};
use crate::failure::Failure;
use crate::policy::QopPolicy;

/// Seconds after which a client may ask again when accounts could not be read.
const RETRY_AFTER: &str = "5";

pub(crate) fn www_challenge(auth: &Auth, context: &Context, arguments: &Arguments) -> Outcome {
    challenge(auth, context, arguments, (401, HeaderName::WwwAuthenticate))
}

pub(crate) fn proxy_challenge(auth: &Auth, context: &Context, arguments: &Arguments) -> Outcome {
    challenge(auth, context, arguments, (407, HeaderName::ProxyAuthenticate))
}

fn challenge(auth: &Auth, context: &Context, arguments: &Arguments, (status, header): (u16, HeaderName)) -> Outcome {
    let qop = offer(auth.authenticator.policy.qop, arguments.value(1))?;
    let failure = context.avp().get(FAILURE).and_then(Value::as_str).and_then(Failure::parse);
    if failure == Some(Failure::Unavailable) {
        // Asking for credentials that cannot be checked would only bring the same request again.
        context.send_reply(&Reply::new(503).header(HeaderName::RetryAfter, RETRY_AFTER))?;
        return Ok(Value::Boolean(true));
    }
    if let Some(refusal) = failure.and_then(|failure| refusal(context, failure)) {
        context.send_reply(&refusal)?;
        return Ok(Value::Boolean(true));
    }
    let policy = &auth.authenticator.policy;
    let realm = realm(auth, context, arguments.required(0))?;
    let nonce = policy.nonce(&realm, now(context), policy.origin(context.source().remote));
    let stale = failure.is_some_and(Failure::is_stale);
    let mut reply = Reply::new(status);
    for &algorithm in &policy.algorithms {
        let challenge =
            Challenge { qop, stale, userhash: policy.userhash, ..Challenge::new(&realm, nonce.as_str(), algorithm) };
        reply = reply.header(header, challenge.to_string());
    }
    context.send_reply(&reply)?;
    Ok(Value::Boolean(true))
}

/// The answer to credentials that are refused without a new challenge.
fn refusal(context: &Context, failure: Failure) -> Option<Reply<'static>> {
    match failure {
        // RFC 7616 §3.4.6: "the server SHOULD return a 400".
        Failure::OtherResource => Some(Reply::new(400).reason("Credentials For Another Resource")),
        // Not 503: a proxy in between would then send us no requests of other users either (RFC 3261 §21.5.4).
        Failure::TooMany(_) => {
            let wait = match context.avp().get(WAIT) {
                Some(Value::Integer(seconds)) => *seconds,
                _ => 1,
            };
            let reply = Reply::new(403).reason("Too Many Wrong Passwords");
            Some(reply.header(HeaderName::RetryAfter, wait.to_string()))
        }
        _ => None,
    }
}

/// Whether quality of protection is offered: as the script says, else as the parameter does.
fn offer(policy: QopPolicy, asked: &Value) -> Result<QopOffer, Refusal> {
    let offered = match asked {
        Value::Nil => policy != QopPolicy::Absent,
        Value::Boolean(offered) => *offered,
        Value::Integer(number @ (0 | 1)) => *number == 1,
        Value::String(text) if matches!(text.as_str(), "1" | "auth") => true,
        Value::String(text) if matches!(text.as_str(), "0" | "") => false,
        _ => return Err(Refusal::misuse("qop is \"auth\", \"1\" or \"0\"")),
    };
    match (offered, policy) {
        (true, _) => Ok(QopOffer::Auth),
        (false, QopPolicy::Required) => {
            Err(Refusal::misuse("answers without qop are not accepted: set modparam(\"auth\", \"qop\", \"optional\")"))
        }
        (false, _) => Ok(QopOffer::Absent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_may_ask_for_qop_as_in_ser() {
        for asked in [Value::Nil, Value::Boolean(true), Value::Integer(1), "1".into(), "auth".into()] {
            assert_eq!(offer(QopPolicy::Required, &asked).unwrap(), QopOffer::Auth, "{asked:?}");
        }
        assert_eq!(offer(QopPolicy::Optional, &"0".into()).unwrap(), QopOffer::Absent);
        assert_eq!(offer(QopPolicy::Absent, &Value::Nil).unwrap(), QopOffer::Absent);
    }

    #[test]
    fn a_challenge_that_no_answer_could_satisfy_is_a_mistake() {
        assert!(matches!(offer(QopPolicy::Required, &"0".into()), Err(Refusal::Misuse(_))));
        assert!(matches!(offer(QopPolicy::Optional, &"auth-int".into()), Err(Refusal::Misuse(_))));
    }
}
