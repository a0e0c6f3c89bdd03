//! `signalbox ctl auth add | passwd | remove | list`.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use signalbox::module::CommandError;
use signalbox::services::accounts::AccountError;

use crate::Auth;

pub(crate) async fn add(auth: Arc<Auth>, parameters: Json) -> Result<Json, CommandError> {
    let (user, realm) = address(&parameters)?;
    auth.store.add(user, realm, text(&parameters, "password")?, false).await.map_err(refused)?;
    Ok(json!({ "added": format!("{user}@{realm}") }))
}

pub(crate) async fn passwd(auth: Arc<Auth>, parameters: Json) -> Result<Json, CommandError> {
    let (user, realm) = address(&parameters)?;
    auth.store.set_password(user, realm, text(&parameters, "password")?, false).await.map_err(refused)?;
    Ok(json!({ "changed": format!("{user}@{realm}") }))
}

pub(crate) async fn remove(auth: Arc<Auth>, parameters: Json) -> Result<Json, CommandError> {
    let (user, realm) = address(&parameters)?;
    auth.store.remove(user, realm).await.map_err(refused)?;
    Ok(json!({ "removed": format!("{user}@{realm}") }))
}

pub(crate) async fn list(auth: Arc<Auth>, parameters: Json) -> Result<Json, CommandError> {
    let realm = parameters.get("realm").and_then(Json::as_str);
    let accounts = auth.store.list(realm).await.map_err(|error| CommandError::Failed(error.into()))?;
    Ok(accounts.into_iter().map(|(user, realm)| json!({ "user": user, "realm": realm })).collect())
}

/// User and realm; the user's name may hold an @, a realm may not.
fn address(parameters: &Json) -> Result<(&str, &str), CommandError> {
    let address = text(parameters, "address")?;
    let address = address.strip_prefix("sip:").unwrap_or(address);
    address.rsplit_once('@').filter(|(user, realm)| !user.is_empty() && !realm.is_empty()).ok_or_else(|| {
        CommandError::Parameter {
            parameter: "address",
            problem: "an address such as alice@example.com is needed".to_owned(),
        }
    })
}

fn text<'a>(parameters: &'a Json, name: &'static str) -> Result<&'a str, CommandError> {
    parameters
        .get(name)
        .and_then(Json::as_str)
        .ok_or_else(|| CommandError::Parameter { parameter: name, problem: "text is needed".to_owned() })
}

fn refused(error: AccountError) -> CommandError {
    match error {
        AccountError::Missing { user, realm } => CommandError::NotFound(format!("an account {user}@{realm}")),
        AccountError::Exists { .. } | AccountError::Name { .. } => {
            CommandError::Parameter { parameter: "address", problem: error.to_string() }
        }
        AccountError::NoPassword => CommandError::Parameter { parameter: "password", problem: error.to_string() },
        AccountError::Storage(error) => CommandError::Failed(error.into()),
    }
}
