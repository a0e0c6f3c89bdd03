//! `handle_subscription`: a SUBSCRIBE from reading it to the NOTIFY that follows (RFC 6665 §4.2.1).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use signalbox::context::{Context, Reply};
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox::storage::Write;
use signalbox_sip::dialog::Dialog;
use signalbox_sip::dialog::rate::Rates;
use signalbox_sip::dialog::state::Phase;
use signalbox_sip::header::{Accept, Event, HeaderName};
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::uri::NameAddr;

use super::request::{self, About};
use super::stored;
use crate::agent::Target;
use crate::agent::quota::Payer;
use crate::notify::{Destination, Way};
use crate::packages::Terms;
use crate::presentity::{Domain, Presentity};
use crate::rejection::Rejection;
use crate::settings::Interval;
use crate::settling::Settling;
use crate::state::{PresenceAgent, State};
use crate::subscription::{Accepted, Condition, Identity, Subscribe, Subscription, Wishes};
use crate::token::Token;

/// The attribute in which the module `auth` stores the authenticated user.
const AUTHENTICATED: &str = "auth_user";

/// The name under which scripts find the outcome.
pub(super) const STATUS: &str = "subscription_status";

/// An accepted SUBSCRIBE on its way to the database.
struct Pending {
    accepted: Accepted,
    /// The new way to the watcher of a refreshed subscription.
    way: Option<Way>,
    write: Option<Write>,
}

/// The script function. It answers the request in any case.
pub(crate) async fn handle_subscription(module: Arc<PresenceAgent>, context: Context, arguments: Arguments) -> Outcome {
    let state = &module.0;
    let domain = request::domain(arguments.required(0))?;
    if *context.request().method() != Method::Subscribe {
        return Err(Refusal::misuse("handle_subscription is for SUBSCRIBE requests"));
    }
    // Without a transaction a repeated SUBSCRIBE would make a second subscription.
    if !context.has_transaction() {
        context.new_transaction()?;
    }
    state.counters.subscribes.increment();
    request::refuse_merged(&context)?;
    let longest = arguments.integer(1).and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    match subscribe(state, &context, (domain, longest)).await {
        Ok(status) => {
            context.avp().insert(STATUS.to_owned(), status.into());
            Ok(Value::Boolean(true))
        }
        Err(rejection) => {
            // Who may not subscribe has a subscription that is over before it began.
            let status = if rejection == Rejection::Forbidden { "terminated" } else { "error" };
            context.avp().insert(STATUS.to_owned(), status.into());
            request::reject(state, &context, &rejection)?;
            Err(Refusal::no(rejection.to_string()))
        }
    }
}

/// Gives the status that the subscription has afterwards.
async fn subscribe(
    state: &Arc<State>,
    context: &Context,
    asked: (Domain, Option<Duration>),
) -> Result<&'static str, Rejection> {
    let Pending { accepted, way, write } = begin(state, context, asked)?;
    let (id, way) = (accepted.id, way.map(Destination::Dialog));
    let ended = accepted.expires.is_zero() && !accepted.is_new;
    let status = if ended { "terminated" } else { accepted.status.as_str() };
    let mut settling =
        Settling::new(state, (accepted, way), write, |state, (accepted, way), committed| match committed {
            true => state.perform(|agent, now, effects| agent.confirm_subscribe(&accepted, way, now, effects)),
            false => state.agent.withdraw_subscribe(&accepted),
        });
    if let Err(error) = settling.committed().await {
        tracing::warn!(%error, subscription = %id, "a subscription could not be stored");
        settling.settle(false);
        return Err(Rejection::Storage);
    }
    if let Some(Err(error)) = settling.what().map(|(accepted, _)| answer(context, accepted)) {
        tracing::info!(%error, subscription = %id, "a SUBSCRIBE could not be answered");
    }
    settling.settle(true);
    Ok(status)
}

/// Everything up to waiting for the commit.
fn begin(
    state: &State,
    context: &Context,
    (domain, longest): (Domain, Option<Duration>),
) -> Result<Pending, Rejection> {
    let request = &*context.request();
    request::check_require(request)?;
    let event = request::event(request, || Rejection::MissingEvent)?;
    let package_id = state.agent.packages().find(event.package)?;
    let package = state.agent.packages().package(package_id).terms();
    let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
    let watcher = from.ok_or_else(|| Rejection::Malformed("Bad From Header".into()))?;
    let to = request.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok());
    let to = to.ok_or_else(|| Rejection::Malformed("Bad To Header".into()))?;
    let mut asked = Subscribe {
        identity: Identity {
            call_id: request.call_id(),
            remote_tag: request.from_tag().unwrap_or_default(),
            event: event.package,
            event_id: event.id().unwrap_or_default(),
        },
        cseq: request.cseq(),
        expires: shortened(request::expires(request)?, longest, &state.agent.settings.subscription),
        watcher: watcher.uri,
        to: to.uri,
        wishes: wishes(request, &event, package)?,
        payer: Payer { source: source(context), octets: 0 },
    };
    if let Some(tag) = request.to_tag() {
        return refresh(state, context, (tag, &asked, package));
    }
    let about = About::of(context)?;
    let target = Target { package: package_id, domain, uid: &about.uid, aor: about.aor.as_str() };
    let malformed = |_| Rejection::Malformed("Bad Contact Or Record-Route".into());
    let own_uri = own_uri(context);
    // The tag is known only when the subscription is made.
    let dialog = Dialog::of_request(request, "", Phase::Confirmed, false).map_err(malformed)?;
    asked.payer.octets = stored::check_new(request, &dialog, (about.aor.as_str(), asked.identity.event_id))?;
    let mut made = None;
    let make = |tag: Token| {
        let way = Way::of_subscribe(request, dialog, tag, &own_uri, context.source());
        made.insert(Arc::new(Destination::Dialog(way))).clone()
    };
    let accepted = state.agent.subscribe(&target, &asked, make, context.now())?;
    let store = state.store.as_ref().filter(|_| !accepted.expires.is_zero());
    let way = made.as_deref().and_then(Destination::way);
    let write = store.zip(way).map(|(store, way)| store.put_subscription(&target, &package.name, &accepted, way));
    Ok(Pending { accepted, way: None, write })
}

/// A SUBSCRIBE within a dialog: refreshes or ends a subscription.
fn refresh(
    state: &State,
    context: &Context,
    (tag, asked, package): (&str, &Subscribe<'_>, &Terms),
) -> Result<Pending, Rejection> {
    let request = &*context.request();
    let id = Token::parse(tag).ok_or(Rejection::NoSubscription)?;
    stored::check_refresh(request)?;
    let accepted = state.agent.resubscribe(id, asked)?;
    let look = |subscription: &Subscription<Destination>, presentity: &Presentity| {
        let known = subscription.way.way()?;
        let way = known.refreshed(request, context.source());
        let target = presentity.target();
        let write = state
            .store
            .as_ref()
            .map(|store| store.put_subscription(&target, &package.name, &accepted, way.as_ref().unwrap_or(known)));
        Some((way, write))
    };
    let (way, write) = state.agent.look_at(id, look).flatten().ok_or(Rejection::NoSubscription)?;
    Ok(Pending { accepted, way, write })
}

/// The interval of a SUBSCRIBE, cut to the limit of the script.
fn shortened(asked: Option<Duration>, longest: Option<Duration>, interval: &Interval) -> Option<Duration> {
    let Some(longest) = longest.map(|longest| longest.max(interval.minimum)) else { return asked };
    Some(asked.unwrap_or(interval.default).min(longest))
}

/// The address that a watcher is counted by if it is not authenticated.
fn source(context: &Context) -> Option<IpAddr> {
    let is_known = context.avp().contains_key(AUTHENTICATED);
    (!is_known).then(|| context.source().remote.ip())
}

/// In which form the watcher wants the state, how often, and what it knows already.
fn wishes(request: &Message, event: &Event<'_>, package: &Terms) -> Result<Wishes, Rejection> {
    let rates = Rates::parse(event.params).map_err(|_| Rejection::Malformed("Bad Rate In Event".into()))?;
    let condition = request.value(HeaderName::SuppressIfMatch).map(str::trim).and_then(Condition::parse);
    Ok(Wishes { form: package.choose_form(accept(request)?.as_deref())?, condition, rates })
}

fn accept(request: &Message) -> Result<Option<Vec<Accept<'_>>>, Rejection> {
    if !request.has(HeaderName::Accept) {
        return Ok(None);
    }
    let malformed = |_| Rejection::Malformed("Bad Accept Header".into());
    request.headers::<Accept<'_>>().collect::<Result<_, _>>().map(Some).map_err(malformed)
}

/// Our own URI in the dialog. RFC 6665 §4.5.1: notifiers "MUST use a GRUU as their local target". This one leads to this server from
/// everywhere, and so is one; the parameter says so (RFC 5627 §5.1), and that the dialog is not to be shared.
fn own_uri(context: &Context) -> String {
    [&context.own_uri(), ";gr"].concat()
}

fn answer(context: &Context, accepted: &Accepted) -> Result<(), signalbox::error::Error> {
    let contact = ["<", &own_uri(context), ">"].concat();
    let tag = accepted.id.spell();
    let mut reply = Reply::new(if accepted.is_quiet { 204 } else { 200 })
        .to_tag(tag.as_str())
        .header(HeaderName::Expires, accepted.expires.as_secs().to_string())
        .header(HeaderName::Contact, contact);
    if accepted.is_new {
        reply = reply.with_record_route();
    }
    context.send_reply(&reply)
}
