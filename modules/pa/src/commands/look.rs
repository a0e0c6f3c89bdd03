//! Commands that show something.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value as Json, json};
use signalbox::module::CommandError;
use signalbox::services::presence::Document;
use signalbox_documents::watcherinfo::{Status, Watcher as Watching, WatcherInfo};
use signalbox_documents::xml::Limits;

use super::describe;
use super::parameters::{self, Named};
use crate::agent::Target;
use crate::notify::Destination;
use crate::packages::{Remembered, Told};
use crate::presentity::Presentity;
use crate::state::PresenceAgent;
use crate::store::Watched;
use crate::subscription::{Subscription, Watcher};

/// Presentities listed unless more are asked for.
const LISTED: u64 = 100;
/// The watchers of a presentity are limited where they come in.
const WATCHERS: Limits = Limits {
    bytes: usize::MAX,
    depth: 4,
    elements: usize::MAX,
    attributes: usize::MAX,
    element_attributes: 16,
    declarations: 4,
    repetition: 0,
};

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
    let mut composed = None;
    let mut shown = look(&module, &parameters, |presentity, _| {
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
        composed = form.and_then(|form| package.compose(presentity, &form));
        shown
    })?;
    // Nobody has to wait while this is read.
    if let Some(body) = composed {
        shown["document"] = String::from_utf8_lossy(&body.bytes).into_owned().into();
        let document = Document { content_type: body.content_type.as_str().to_owned(), body: body.bytes };
        shown["presence"] = document.presence().map(|presence| describe::presence(&presence)).into();
    }
    Ok(shown)
}

/// Lists the watchers of one presentity: those who are subscribed, then those whose subscription ended before anybody had decided, then
/// those whom the database remembers for a user who was not there.
pub(crate) async fn watchers(module: Arc<PresenceAgent>, parameters: Json) -> Result<Json, CommandError> {
    let now = module.0.clock.now();
    let named = Named::of(&module, &parameters)?;
    let subscribed = module.0.agent.look(&named.target(), |_, watchers| {
        let row = |watcher: &Subscription<Destination>| {
            json!({
                "id": watcher.id.to_string(),
                "watcher": watcher.way.uri(),
                "state": watcher.state().as_str(),
                "expires": left(watcher.expires_at(), now),
                "type": watcher.form.text(),
            })
        };
        watchers.map(row).collect::<Vec<_>>()
    });
    let waiting = waiting(&module, &named, now);
    let stored = stored(&module, &named).await?;
    if subscribed.is_none() && waiting.is_empty() && stored.is_empty() {
        return Err(not_found(&named));
    }
    Ok(subscribed.into_iter().flatten().chain(waiting).chain(stored).collect())
}

/// Those who wait (RFC 3857 §4.7.1), as watcher information has them.
fn waiting(module: &PresenceAgent, named: &Named, now: Instant) -> Vec<Json> {
    let Some(package) = module.0.agent.packages().observer_of(named.package) else {
        return Vec::new();
    };
    let told = module.0.agent.look(&Target { package, ..named.target() }, |presentity, _| {
        let told = Told { aor: &presentity.aor, version: 0, seen: &mut None };
        presentity.teller.as_ref().map(|teller| teller.body(told, now))
    });
    let info = told.flatten().and_then(|body| WatcherInfo::parse(&body.bytes, &WATCHERS).ok());
    let watchers = info.into_iter().flat_map(|info| info.lists).flat_map(|list| list.watchers);
    let waiting = watchers.filter(|watcher| watcher.status == Status::Waiting);
    let row = |watcher: Watching| {
        json!({
            "id": watcher.id,
            "watcher": watcher.uri,
            "state": watcher.status.as_str(),
            "event": watcher.event.as_str(),
            "display_name": watcher.display_name,
            "since": watcher.duration_subscribed.map(|span| span.as_secs()),
        })
    };
    waiting.map(row).collect()
}

/// Those whom `store_winfo` remembers.
async fn stored(module: &PresenceAgent, named: &Named) -> Result<Vec<Json>, CommandError> {
    let Some(offline) = &module.0.offline else {
        return Ok(Vec::new());
    };
    let package = module.0.agent.packages().name(named.package);
    let watched = Watched { uid: &named.uid, domain: named.domain, package };
    let found = offline.find(watched).await.map_err(|error| CommandError::Failed(Box::new(error)))?;
    let row = |watcher: Remembered| json!({ "id": watcher.id.to_string(), "watcher": watcher.uri, "state": "stored", "display_name": watcher.display_name });
    Ok(found.into_iter().map(row).collect())
}

fn not_found(named: &Named) -> CommandError {
    CommandError::NotFound(format!("presentity {}", named.uid))
}

fn look(
    module: &PresenceAgent,
    parameters: &Json,
    look: impl FnOnce(&Presentity, &mut dyn Iterator<Item = &Subscription<Destination>>) -> Json,
) -> Result<Json, CommandError> {
    let named = Named::of(module, parameters)?;
    let shown = module.0.agent.look(&named.target(), look);
    shown.ok_or_else(|| not_found(&named))
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
