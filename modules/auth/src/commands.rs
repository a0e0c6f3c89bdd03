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
        AccountError::Missing { user, realm } => CommandError::NotFound(format!("account {user}@{realm}")),
        AccountError::Exists { .. } | AccountError::Name { .. } => {
            CommandError::Parameter { parameter: "address", problem: error.to_string() }
        }
        AccountError::NoPassword => CommandError::Parameter { parameter: "password", problem: error.to_string() },
        AccountError::Storage(error) => CommandError::Failed(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use signalbox::module::{Host, Module, Settings};
    use signalbox::services::accounts::Accounts;
    use tokio::runtime::Handle;

    use super::*;

    async fn auth(folder: &tempfile::TempDir) -> (Host, Arc<Auth>) {
        let host = Host::new(Handle::current());
        let parameters = signalbox::module::export::entry::<Auth>().tables().parameters;
        let mut settings = Settings::defaults(&parameters);
        let url = format!("sqlite:{}/auth.db", folder.path().display());
        settings.set(&parameters, "db_url", &url.into()).unwrap();
        let auth = <Auth as Module>::start(&host, &settings).await.unwrap();
        (host, Arc::new(auth))
    }

    #[tokio::test]
    async fn a_change_by_command_is_seen_by_who_authenticates() {
        let folder = tempfile::tempdir().unwrap();
        let (host, auth) = auth(&folder).await;
        let accounts = host.service::<dyn Accounts>().unwrap();
        assert!(accounts.lookup("ann", "example.com").await.unwrap().is_none());
        let ann = json!({ "address": "sip:ann@example.com", "password": "one" });
        add(auth.clone(), ann.clone()).await.unwrap();
        assert!(accounts.lookup("ann", "example.com").await.unwrap().is_some());
        passwd(auth.clone(), json!({ "address": "ann@example.com", "password": "two" })).await.unwrap();
        assert_eq!(list(auth.clone(), json!({})).await.unwrap(), json!([{ "user": "ann", "realm": "example.com" }]));
        assert!(matches!(
            add(auth.clone(), ann.clone()).await,
            Err(CommandError::Parameter { parameter: "address", .. })
        ));
        remove(auth.clone(), ann.clone()).await.unwrap();
        assert!(accounts.lookup("ann", "example.com").await.unwrap().is_none());
        assert!(matches!(remove(auth, ann).await, Err(CommandError::NotFound(_))));
    }

    #[tokio::test]
    async fn a_wrong_parameter_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (_host, auth) = auth(&folder).await;
        for (parameters, wrong) in [
            (json!({}), "address"),
            (json!({ "address": "ann", "password": "x" }), "address"),
            (json!({ "address": "ann@example.com" }), "password"),
            (json!({ "address": "ann@example.com", "password": "" }), "password"),
        ] {
            let error = add(auth.clone(), parameters).await.unwrap_err();
            assert!(matches!(error, CommandError::Parameter { parameter, .. } if parameter == wrong), "{error}");
        }
    }
}
