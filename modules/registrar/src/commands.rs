//! `signalbox ctl registrar list | show | remove`.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value as Json, json};
use signalbox::module::CommandError;
use signalbox_sip::uri::Aor;

use crate::binding::Record;
use crate::registrar::{Registrar, State};

/// Addresses of record that `list` shows when it isn't told how many.
const LISTED: usize = 100;

/// Addresses of record that contain a text, with the number of their contacts.
pub(crate) async fn list(registrar: Arc<Registrar>, parameters: Json) -> Result<Json, CommandError> {
    let state = &registrar.0;
    let part = text(&parameters, "containing")?.unwrap_or_default();
    let limit = match parameters.get("limit") {
        None => LISTED,
        Some(limit) => whole(limit)
            .ok_or_else(|| CommandError::Parameter { parameter: "limit", problem: "a number is needed".to_owned() })?,
    };
    let now = state.clock.now();
    let mut listed = Vec::new();
    for table in state.tables.all() {
        for (aor, records) in table.location.list(part, limit - listed.len(), now) {
            let contacts: Vec<&str> = records.iter().map(|record| record.contact()).collect();
            listed.push(json!({ "aor": aor, "table": &*table.name, "contacts": contacts }));
        }
    }
    listed.sort_by(|one, other| one["aor"].as_str().cmp(&other["aor"].as_str()));
    Ok(Json::Array(listed))
}

/// All that is kept of an address of record.
pub(crate) async fn show(registrar: Arc<Registrar>, parameters: Json) -> Result<Json, CommandError> {
    let state = &registrar.0;
    let aor = address(&parameters)?;
    let now = state.clock.now();
    let mut shown = Vec::new();
    for table in state.tables.all() {
        let records = table.location.records(aor.as_str(), now);
        shown.extend(records.iter().map(|record| describe(state, &table.name, record)));
    }
    if shown.is_empty() { Err(not_found(&aor)) } else { Ok(Json::Array(shown)) }
}

/// Removes an address of record, or one of its contacts.
pub(crate) async fn remove(registrar: Arc<Registrar>, parameters: Json) -> Result<Json, CommandError> {
    let state = &registrar.0;
    let aor = address(&parameters)?;
    let contact = text(&parameters, "contact")?;
    let mut removed = 0;
    for table in state.tables.all() {
        let mut pending = state.remove(&table, aor.as_str(), contact);
        let settled = state.settle(&table, aor.as_str(), &mut pending).await;
        settled.map_err(|rejection| CommandError::Failed(rejection.into()))?;
        removed += pending.changes.len();
    }
    if removed == 0 { Err(not_found(&aor)) } else { Ok(json!({ "removed": removed })) }
}

fn describe(state: &State, table: &str, record: &Record) -> Json {
    let left = record.expires_at.saturating_duration_since(state.clock.now());
    let unix = state.clock.unix(record.expires_at).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut described = json!({
        "contact": record.contact(),
        "table": table,
        "q": f64::from(record.q) / 1000.0,
        "expires_in": left.as_secs(),
        "expires": unix.as_secs(),
        "call_id": record.call_id(),
        "cseq": record.cseq,
    });
    let optional = [
        ("path", record.path()),
        ("instance", record.instance()),
        ("methods", record.methods()),
        ("user_agent", record.user_agent()),
    ];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        described[name] = value.into();
    }
    if let Some(reg_id) = record.reg_id {
        described["reg_id"] = reg_id.into();
    }
    if let Some(flow) = &record.flow {
        described["flow"] = flow.to_string().into();
    }
    described
}

fn address(parameters: &Json) -> Result<Aor, CommandError> {
    let text = text(parameters, "aor")?.unwrap_or_default();
    let aor = if text.contains(':') { Aor::parse(text) } else { Aor::parse(&format!("sip:{text}")) };
    aor.ok_or_else(|| CommandError::Parameter {
        parameter: "aor",
        problem: "an address such as sip:alice@example.com is needed".to_owned(),
    })
}

fn not_found(aor: &Aor) -> CommandError {
    CommandError::NotFound(format!("binding of {}", aor.as_str()))
}

fn text<'a>(parameters: &'a Json, name: &'static str) -> Result<Option<&'a str>, CommandError> {
    match parameters.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(CommandError::Parameter { parameter: name, problem: "text is needed".to_owned() }),
    }
}

/// A number, or text that is one, as the command line gives it.
fn whole(value: &Json) -> Option<usize> {
    match value {
        Json::String(text) => text.parse().ok(),
        _ => usize::try_from(value.as_u64()?).ok(),
    }
}
