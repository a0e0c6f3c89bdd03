//! What SUBSCRIBE and PUBLISH have in common: whom they are about, how long, and how they are refused.

use std::time::Duration;

use signalbox::context::{Context, Reply, unsupported_tags};
use signalbox::module::Refusal;
use signalbox_sip::header::{Event, Expires, HeaderName};
use signalbox_sip::message::Message;
use signalbox_sip::uri::{Aor, NameAddr, Uri, escape_octets};

use super::stored::MAX_CALL_ID;
use crate::presentity::Domain;
use crate::publishers::{Publishers, Sender};
use crate::rejection::Rejection;
use crate::state::State;

/// Whom a request is about.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) uid: String,
    pub(crate) aor: Aor,
}

impl About {
    /// The Request-URI names the presentity where it has a user, else To does; `avp.uid` says which user that is.
    pub(crate) fn of(context: &Context) -> Result<Self, Rejection> {
        let aor = address_of_record(&context.request())?;
        let uid = context.avp().get("uid").and_then(|uid| uid.as_str()).map(str::to_owned);
        // It may come from a message, such as the user in From.
        let uid = uid.map_or_else(|| aor.as_str().to_owned(), |uid| escape_octets(&uid).into_owned());
        Ok(Self { uid, aor })
    }
}

fn address_of_record(request: &Message) -> Result<Aor, Rejection> {
    let of_user = |uri: &str| Aor::parse(uri).filter(|aor| aor.user().is_some());
    let to = || NameAddr::parse(request.value(HeaderName::To)?).ok().and_then(|to| Aor::parse(to.uri));
    let uri = request.request_uri();
    let is_tel = Uri::parse(uri).is_ok_and(|uri| uri.host.is_none());
    let aor = if is_tel { Aor::parse(uri) } else { of_user(uri) };
    aor.or_else(to).ok_or_else(|| Rejection::Malformed("No Address Of Record".into()))
}

/// The user in From.
fn from(request: &Message) -> Option<Aor> {
    NameAddr::parse(request.value(HeaderName::From)?).ok().and_then(|from| Aor::parse(from.uri))
}

/// The address of record in From; `None` if there is none.
pub(super) fn sender(request: &Message) -> String {
    from(request).map(|from| from.as_str().to_owned()).unwrap_or_default()
}

/// Whether `publishers` has the sender for this package: by its IP address, or as a user of ours, which must be
/// authenticated by the script.
pub(super) fn is_named(publishers: &Publishers, context: &Context, package: &str) -> bool {
    let user = from(&context.request()).filter(|user| context.is_myself(user.as_str()));
    publishers.have(package, &Sender { user: user.as_ref(), address: context.source().remote.ip() })
}

/// Users publish about themselves, and others only if they are named in `publishers`.
pub(super) fn check_publisher(state: &State, context: &Context, package: &str, about: &About) -> Result<(), Rejection> {
    let is_about = |from: Aor| from == about.aor || *from.as_str() == *about.uid;
    let may =
        from(&context.request()).is_some_and(is_about) || is_named(&state.agent.settings.publishers, context, package);
    if may { Ok(()) } else { Err(Rejection::NotPublisher) }
}

/// The argument `domain`.
pub(crate) fn domain(name: &str) -> Result<Domain, Refusal> {
    let problem = || Refusal::misuse(format!("the domain is \"registrar\" or \"jabber\", not \"{name}\""));
    Domain::parse(name).ok_or_else(problem)
}

/// Event; 400 where it is malformed.
pub(crate) fn event(request: &Message, missing: impl FnOnce() -> Rejection) -> Result<Event<'_>, Rejection> {
    let malformed = |_| Rejection::Malformed("Bad Event Header".into());
    request.header::<Event<'_>>().ok_or_else(missing)?.map_err(malformed)
}

pub(crate) fn expires(request: &Message) -> Result<Option<Duration>, Rejection> {
    let malformed = |_| Rejection::Malformed("Bad Expires Header".into());
    request.header::<Expires>().map(|expires| expires.map(|expires| expires.0).map_err(malformed)).transpose()
}

/// RFC 3261 §8.2.2.3: nothing that a client could require is needed for these requests.
pub(crate) fn check_require(request: &Message) -> Result<(), Rejection> {
    let unsupported = unsupported_tags(request, HeaderName::Require, &[]);
    if unsupported.is_empty() { Ok(()) } else { Err(Rejection::BadExtension { unsupported }) }
}

/// Answers with what the rejection says.
pub(crate) fn reject(state: &State, context: &Context, rejection: &Rejection) -> Result<(), signalbox::error::Error> {
    state.counters.rejected.increment();
    if rejection.is_limit() {
        state.counters.over_limit.increment();
        let call_id = &context.request().call_id().chars().take(MAX_CALL_ID).collect::<String>();
        tracing::info!(call_id, source = %context.source(), %rejection, "refused");
    }
    let (status, reason) = rejection.status();
    let mut reply = Reply::new(status).reason(reason);
    if let Some((name, value)) = rejection.header() {
        reply = reply.header(name, value);
    }
    context.send_reply(&reply)
}

/// RFC 3261 §8.2.2.2: a request that comes by several paths is served once. The other copies get 482.
pub(super) fn refuse_merged(context: &Context) -> Result<(), Refusal> {
    if let Err(error) = context.check_merged() {
        context.reply_error()?;
        return Err(error.into());
    }
    Ok(())
}
