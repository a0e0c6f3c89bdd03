//! `handle_notify` takes a NOTIFY without a subscription as a publication. Voicemail servers send such NOTIFYs.
//!
//! By RFC 6665 §4.1.3 the answer would be 481. Senders in the parameter `notifiers` are accepted. Each has one
//! publication per user and package, which its next NOTIFY replaces.

use std::sync::Arc;
use std::time::Duration;

use signalbox::context::{Context, Reply};
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox_sip::header::SubscriptionState;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;

use super::handle_publish::content;
use super::request::{self, About};
use crate::agent::{AcceptedPublish, Target};
use crate::composition;
use crate::presentity::Domain;
use crate::rejection::Rejection;
use crate::state::{PresenceAgent, State};

/// The script function. It answers the request if its sender is in `notifiers`.
pub(crate) async fn handle_notify(module: Arc<PresenceAgent>, context: Context, arguments: Arguments) -> Outcome {
    let state = &module.0;
    let domain = request::domain(arguments.required(0))?;
    if *context.request().method() != Method::Notify {
        return Err(Refusal::misuse("handle_notify is for NOTIFY requests"));
    }
    let named = request::event(&context.request(), || Rejection::MissingEvent)
        .is_ok_and(|event| request::is_named(&state.agent.settings.notifiers, &context, event.package));
    if !named {
        return Err(Refusal::no("the sender is not among the notifiers"));
    }
    // Without a transaction a repeated NOTIFY would be taken twice.
    if !context.has_transaction() {
        context.new_transaction()?;
    }
    state.counters.publishes.increment();
    if let Err(rejection) = take(state, &context, domain).await {
        request::reject(state, &context, &rejection)?;
    }
    Ok(Value::Boolean(true))
}

async fn take(state: &Arc<State>, context: &Context, domain: Domain) -> Result<(), Rejection> {
    let about = About::of(context)?;
    if let Some((target, accepted)) = begin(state, context, domain, &about)? {
        let mut settling = state.store_publication(&target, accepted);
        if let Err(error) = settling.committed().await {
            tracing::warn!(%error, "the state in a NOTIFY could not be stored");
            settling.settle(false);
            return Err(Rejection::Storage);
        }
        answer(context);
        settling.settle(true);
    } else {
        answer(context);
    }
    Ok(())
}

fn answer(context: &Context) {
    if let Err(error) = context.send_reply(&Reply::new(200)) {
        tracing::info!(%error, "a NOTIFY could not be answered");
    }
}

/// Does everything before waiting for the commit. `None` if there is nothing to store, because the sender removes a
/// publication that it does not have.
fn begin<'a>(
    state: &State,
    context: &Context,
    domain: Domain,
    about: &'a About,
) -> Result<Option<(Target<'a>, AcceptedPublish)>, Rejection> {
    let request = &*context.request();
    request::check_require(request)?;
    let packages = state.agent.packages();
    let event = request::event(request, || Rejection::MissingEvent)?;
    let package_id = packages.find_published(event.package)?;
    let package = packages.package(package_id);
    let target = Target { package: package_id, domain, uid: &about.uid, aor: about.aor.as_str() };
    let name = [&request::sender(request), "\n", event.package, "\n", &about.uid].concat();
    let id = composition::fingerprint(&name);
    let content = content(request, package, id)?;
    let interval = &state.agent.settings.publication;
    let expires = match content {
        // An unsolicited NOTIFY is not refused for a short interval, because its sender would not retry.
        Some(_) => lifetime(request).map(|asked| asked.max(interval.minimum)),
        None => Some(Duration::ZERO),
    };
    let accepted = state.agent.publish_as(&target, id, expires, content, context.now());
    match accepted {
        Ok(accepted) => Ok(Some((target, accepted))),
        Err(Rejection::NothingPublished) => Ok(None),
        Err(rejection) => Err(rejection),
    }
}

/// How long the state lasts by the sender's word. If the NOTIFY says `terminated` (RFC 3842 §3.8 before a shutdown;
/// others always do), only the subscription ends, which never existed.
fn lifetime(request: &Message) -> Option<Duration> {
    let state = request.header::<SubscriptionState<'_>>().and_then(Result::ok);
    let left = state.and_then(|state| state.expires());
    left.or_else(|| request::expires(request).ok().flatten()).filter(|left| !left.is_zero())
}
