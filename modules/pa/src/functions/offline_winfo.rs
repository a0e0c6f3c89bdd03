//! `store_winfo` and `dump_stored_winfo`: who subscribed while the user was not there, told when the user is.

use std::sync::Arc;

use signalbox::context::Context;
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox::storage::StorageError;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::readable;
use signalbox_sip::method::Method;
use signalbox_sip::uri::{NameAddr, escape_octets};

use super::handle_subscription::STATUS;
use super::request::{self, About};
use crate::agent::Target;
use crate::rejection::Rejection;
use crate::state::{PresenceAgent, State};
use crate::store::{OfflineWatchers, Visitor, Watched};

/// `store_winfo(domain)`: remembers the watcher of the SUBSCRIBE that `handle_subscription` has just taken.
pub(crate) async fn store_winfo(module: Arc<PresenceAgent>, context: Context, arguments: Arguments) -> Outcome {
    let state = &module.0;
    let store = offline(state)?;
    let domain = request::domain(arguments.required(0))?;
    let status = context.avp().get(STATUS).and_then(|status| status.as_str()).map(str::to_owned);
    let status = status.ok_or_else(|| Refusal::misuse("store_winfo comes behind handle_subscription"))?;
    let write = {
        let request = &*context.request();
        if *request.method() != Method::Subscribe {
            return Err(Refusal::misuse("store_winfo is for SUBSCRIBE requests"));
        }
        // A refresh is of a watcher that was stored when it came.
        if request.to_tag().is_some() {
            return Err(Refusal::no("only a new subscription is stored"));
        }
        let event = request::event(request, || Rejection::MissingEvent).map_err(no)?;
        let about = About::of(&context).map_err(no)?;
        let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
        let from = from.ok_or_else(|| Refusal::no("From names nobody"))?;
        let watched = Watched { uid: &about.uid, domain, package: event.package };
        let (uri, display_name) = (escape_octets(from.uri), from.display_name());
        let visitor = Visitor { uri: &uri, display_name: &readable(&display_name), status: &status };
        store.put(watched, visitor).ok_or_else(|| {
            state.counters.over_limit.increment();
            tracing::info!(
                call_id = request.call_id(),
                "too many watchers are remembered already, or this one is too long"
            );
            Refusal::no("too many watchers are remembered already, or this one is too long")
        })?
    };
    write.await.map_err(|error| failed(&error))?;
    Ok(Value::Boolean(true))
}

/// `dump_stored_winfo(domain, package)`: tells the user of those who are remembered, by the subscription to watcher information that there
/// is. What arrives is forgotten.
pub(crate) async fn dump_stored_winfo(module: Arc<PresenceAgent>, context: Context, arguments: Arguments) -> Outcome {
    let state = &module.0;
    let store = offline(state)?;
    let domain = request::domain(arguments.required(0))?;
    let name: &str = arguments.required(1);
    let package =
        state.agent.packages().find(name).map_err(|_| Refusal::misuse(format!("there is no package \"{name}\"")))?;
    let about = About::of(&context).map_err(no)?;
    let watchers =
        store.find(Watched { uid: &about.uid, domain, package: name }).await.map_err(|error| failed(&error))?;
    if watchers.is_empty() {
        return Ok(Value::Boolean(true));
    }
    let target = Target { package, domain, uid: &about.uid, aor: about.aor.as_str() };
    if !state.agent.is_observed(&target) {
        return Err(Refusal::no("nobody has subscribed to the watcher information"));
    }
    state.perform(|agent, now, effects| agent.remember(&target, &watchers, now, effects));
    Ok(Value::Boolean(true))
}

fn offline(state: &State) -> Result<&OfflineWatchers, Refusal> {
    state.offline.as_ref().ok_or_else(|| Refusal::no("use_offline_winfo is off"))
}

fn no(rejection: Rejection) -> Refusal {
    Refusal::no(rejection.to_string())
}

fn failed(error: &StorageError) -> Refusal {
    tracing::warn!(%error, "watchers for a user who is not there could not be stored or found");
    Refusal::no(error.to_string())
}
