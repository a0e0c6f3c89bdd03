//! Commands that change something: publishing, and deciding about subscriptions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use signalbox::module::CommandError;
use signalbox_sip::dialog::subscription::Reason;

use super::parameters::{Named, optional, required, seconds};
use super::words;
use crate::agent::{Chosen, Verdict};
use crate::documents::ContentType;
use crate::packages::PRESENCE;
use crate::presentity;
use crate::publication::Publish;
use crate::rejection::Rejection;
use crate::state::PresenceAgent;
use crate::subscription::Status;
use crate::token::Token;

/// Publishes a document as a PUBLISH would.
pub(crate) async fn publish(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let named = Named::of(&module, &parameters)?;
    let state = &module.0;
    let package = state.agent.packages().package(named.package);
    let asked = Publish { if_match: optional(&parameters, "etag"), expires: seconds(&parameters, "expires")? };
    let in_words = match named.package {
        PRESENCE => words::document(&parameters, presentity::entity(&named.aor))?,
        _ => None,
    };
    let document = optional(&parameters, "document").or(in_words.as_deref()).unwrap_or_default();
    let content_type = optional(&parameters, "type").map_or_else(
        || match package.terms().choose_form(None).ok() {
            Some(crate::documents::Form::Made(document)) => ContentType::Known(document.content_type()),
            _ => ContentType::Known("text/plain"),
        },
        |name| ContentType::Published(name.into()),
    );
    let read = |id| {
        if document.is_empty() {
            return Ok(None);
        }
        package.terms().check_published(content_type.as_str())?;
        package.read(content_type.as_str(), Bytes::copy_from_slice(document.as_bytes()), id).map(Some)
    };
    let failed = |rejection: Rejection| CommandError::Failed(Box::new(rejection));
    let accepted = state.agent.publish(&named.target(), asked, state.clock.now(), read).map_err(failed)?;
    let (entity_tag, expires) = (accepted.published.entity_tag, accepted.published.expires);
    let mut settling = state.store_publication(&named.target(), accepted);
    let committed = settling.committed().await;
    settling.settle(committed.is_ok());
    committed.map_err(|_| failed(Rejection::Storage))?;
    Ok(json!({ "etag": entity_tag.to_string(), "expires": expires.as_secs() }))
}

/// Lets watchers see the state, or makes them wait.
pub(crate) async fn authorize(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let status = match optional(&parameters, "status").unwrap_or("active") {
        "rejected" => return decide(module, &parameters, Verdict::End(Reason::Rejected, None)).await,
        name => Status::parse(name),
    };
    let problem =
        || CommandError::Parameter { parameter: "status", problem: "is one of active, pending, rejected".to_owned() };
    let _ = required(&parameters, "watcher")?;
    decide(module, &parameters, Verdict::Status(status.ok_or_else(problem)?)).await
}

/// Tells the watchers the state once more.
pub(crate) async fn refresh(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    decide(module, &parameters, Verdict::Refresh).await
}

/// Ends subscriptions.
pub(crate) async fn terminate(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let reason = optional(&parameters, "reason").unwrap_or(Reason::Deactivated.as_str());
    let problem = || {
        let names: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        CommandError::Parameter { parameter: "reason", problem: format!("is one of {}", names.join(", ")) }
    };
    let retry_after: Option<Duration> = seconds(&parameters, "retry_after")?;
    let reason = Reason::parse(reason).ok_or_else(problem)?;
    decide(module, &parameters, Verdict::End(reason, retry_after)).await
}

/// Carries out a verdict about the subscriptions that the parameters name, and waits until it is committed.
async fn decide(module: Arc<PresenceAgent>, parameters: &Json, verdict: Verdict) -> Result<Json, CommandError> {
    let named = Named::of(&module, parameters)?;
    let chosen = match (optional(parameters, "watcher"), optional(parameters, "id")) {
        (_, Some(id)) => {
            let problem =
                || CommandError::Parameter { parameter: "id", problem: "is no id of a subscription".to_owned() };
            Chosen::One(Token::parse(id).ok_or_else(problem)?)
        }
        (Some(watcher), None) => Chosen::Watcher(watcher),
        (None, None) => Chosen::All,
    };
    let state = &module.0;
    let target = named.target();
    let hit = state.perform(|agent, now, effects| agent.decide(&target, chosen, verdict, now, effects));
    if hit.is_empty() {
        return Err(CommandError::NotFound("such subscription".to_owned()));
    }
    if matches!(verdict, Verdict::Status(_)) {
        for &id in &hit {
            state.rewrite(id).await.map_err(|error| CommandError::Failed(Box::new(error)))?;
        }
    }
    let ids: Vec<_> = hit.iter().map(ToString::to_string).collect();
    Ok(json!({ "subscriptions": ids }))
}
