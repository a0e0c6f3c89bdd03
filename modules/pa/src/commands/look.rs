//! Commands that show something.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value as Json, json};
use signalbox::module::CommandError;
use signalbox::services::presence::Document;

use super::describe;
use super::parameters::{self, Named};
use crate::notify::Destination;
use crate::presentity::Presentity;
use crate::state::PresenceAgent;
use crate::subscription::{Subscription, Watcher};

/// Presentities listed unless more are asked for.
const LISTED: u64 = 100;

/// Lists presentities.
pub(crate) async fn presentities(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let containing = parameters["containing"].as_str().unwrap_or_default();
    let limit = parameters::number(&parameters, "limit")?.unwrap_or(LISTED);
    let (mut rows, mut found) = (Vec::new(), 0u64);
    module.0.agent.for_each_presentity(|presentity| {
        if presentity.key.uid.contains(containing) {
            found += 1;
            if found <= limit {
                rows.push(row(&module, presentity));
            }
        }
    });
    Ok(json!({ "presentities": rows, "total": found }))
}

/// Shows one presentity with its document.
pub(crate) async fn show(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let now = module.0.clock.now();
    look(&module, &parameters, |presentity, _| {
        let publications: Vec<_> = presentity
            .publications
            .iter()
            .map(|publication| {
                json!({
                    "etag": publication.entity_tag.to_string(),
                    "expires": left(publication.expires_at, now),
                    "type": &*publication.content.content_type,
                })
            })
            .collect();
        let contacts: Vec<_> =
            presentity.contacts().map(|(uri, open)| json!({ "contact": uri, "registered": open })).collect();
        let mut shown = row(&module, presentity);
        shown["publications"] = publications.into();
        shown["contacts"] = contacts.into();
        let package = module.0.agent.packages().package(presentity.key.package);
        let form = package.terms().choose_form(None).ok();
        let body = form.and_then(|form| package.compose(presentity, &form));
        if let Some(body) = body {
            shown["document"] = String::from_utf8_lossy(&body.bytes).into_owned().into();
            let document = Document { content_type: body.content_type.as_str().to_owned(), body: body.bytes };
            shown["presence"] = document.presence().map(|presence| describe::presence(&presence)).into();
        }
        shown
    })
}

/// Lists the watchers of one presentity.
pub(crate) async fn watchers(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let now = module.0.clock.now();
    look(&module, &parameters, |_, watchers| {
        let rows: Vec<_> = watchers
            .map(|watcher| {
                json!({
                    "id": watcher.id.to_string(),
                    "watcher": watcher.way.uri(),
                    "state": watcher.state().as_str(),
                    "expires": left(watcher.expires_at(), now),
                    "type": watcher.form.text(),
                })
            })
            .collect();
        rows.into()
    })
}

fn look(
    module: &PresenceAgent,
    parameters: &Json,
    look: impl FnOnce(&Presentity, &mut dyn Iterator<Item = &Subscription<Destination>>) -> Json,
) -> Result<Json, CommandError> {
    let named = Named::of(module, parameters)?;
    let shown = module.0.agent.look(&named.target(), look);
    shown.ok_or_else(|| CommandError::NotFound(format!("presentity {}", named.uid)))
}

fn row(module: &PresenceAgent, presentity: &Presentity) -> Json {
    json!({
        "uid": presentity.key.uid,
        "aor": presentity.aor,
        "domain": presentity.key.domain.as_str(),
        "event": module.0.agent.packages().name(presentity.key.package),
        "online": presentity.is_online(),
        "watchers": presentity.watchers.len(),
    })
}

fn left(at: Instant, now: Instant) -> u64 {
    at.saturating_duration_since(now).as_secs()
}
