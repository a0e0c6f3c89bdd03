//! Credentials in answer to a challenge.

use anyhow::{Context, Result};
use signalbox_sip::digest::{Answer, Challenge, Ha1};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::uri::Uri;

/// Puts credentials for the challenge of a 401 or 407 into the request (RFC 3261 §22.2, RFC 7616 §3.4).
pub(crate) fn add(request: &mut Message, challenged: &Message, aor: &str, password: &str) -> Result<()> {
    let (challenge, credentials) = match challenged.status() {
        407 => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
        _ => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
    };
    let chosen = Challenge::choose(challenged.values(challenge), None).context("no challenge can be answered")?;
    let algorithm = chosen.algorithm.context("the challenge has an algorithm")?;
    let user = Uri::parse(aor)?.user_unescaped().into_owned();
    let ha1 = Ha1::of(algorithm.base(), &user, &chosen.realm, password);
    let answer = Answer {
        username: &user,
        method: request.method().as_str(),
        uri: request.request_uri(),
        cnonce: "0a4f113b",
        count: 1,
    };
    let value = answer.to(&chosen, &ha1).context("the challenge cannot be answered")?;
    request.set(credentials, &value);
    Ok(())
}
