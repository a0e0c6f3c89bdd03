//! `signalbox ctl`: commands to a running server, over its admin socket.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value as Json, json};
use signalbox::admin::{Client, ClientError};

use crate::{output, settings};

/// Asks a running server something, or has it do something
#[derive(Args)]
#[command(after_help = "\
Examples:
  signalbox ctl                                       all commands
  signalbox ctl registrar                             the commands of one module
  signalbox ctl registrar list                        who is registered
  signalbox ctl registrar show sip:alice@example.com  arguments in order …
  signalbox ctl registrar list limit=10               … or by name
  signalbox ctl log set debug registrar               more logs, from one module
  signalbox ctl core reload                           the routing script, changed")]
pub(crate) struct Ctl {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// The server's admin socket [default: var/signalbox.sock]
    #[arg(short, long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Take the socket's path from this settings file
    #[arg(short, long, visible_alias = "settings", value_name = "SETTINGS", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// Module and command, then the command's arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    words: Vec<String>,
}

impl Ctl {
    pub(crate) fn execute(self) -> Result<()> {
        let socket = match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(config)) => settings::read(config)?.core.admin_socket,
            (None, None) => PathBuf::from(DEFAULT_SOCKET),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let mut client = Client::connect(&socket).await.map_err(hint)?;
            self.ask(&mut client).await
        })?;
        output::show(&result, self.json)
    }

    async fn ask(&self, client: &mut Client) -> Result<Json> {
        match self.words.as_slice() {
            [] => list(client, None).await,
            // `registrar.list` is taken as well as `registrar list`.
            [method, arguments @ ..] if method.contains('.') => Ok(client.call(method, parameters(arguments)?).await?),
            [group] => list(client, Some(group)).await,
            [group, command, arguments @ ..] => {
                Ok(client.call(&format!("{group}.{command}"), parameters(arguments)?).await?)
            }
        }
    }
}

/// As in `admin_socket` when the settings say nothing else.
const DEFAULT_SOCKET: &str = "var/signalbox.sock";

/// The commands of one group, or all.
async fn list(client: &mut Client, group: Option<&str>) -> Result<Json> {
    let Json::Array(commands) = client.call("core.commands", json!({})).await? else {
        bail!("the server lists nothing")
    };
    let listed: Vec<Json> = commands.iter().filter_map(|command| describe(command, group)).collect();
    if let (Some(group), true) = (group, listed.is_empty()) {
        bail!("no command begins with {group:?}; `signalbox ctl` lists all");
    }
    Ok(Json::Array(listed))
}

fn describe(command: &Json, group: Option<&str>) -> Option<Json> {
    let (own_group, name) = command["command"].as_str()?.split_once('.')?;
    if group.is_some_and(|group| group != own_group) {
        return None;
    }
    let parameters = command["parameters"].as_array()?.iter().filter_map(|row| Some((row["parameter"].as_str()?, row)));
    let usage: String = parameters
        .map(|(name, row)| if row["required"] == true { format!(" <{name}>") } else { format!(" [{name}]") })
        .collect();
    Some(json!({ "command": format!("{own_group} {name}{usage}"), "what it does": command["doc"] }))
}

/// `name=value` words by name, others by position.
fn parameters(words: &[String]) -> Result<Json> {
    let named: Vec<(&str, &str)> = words.iter().filter_map(|word| named(word)).collect();
    if named.is_empty() {
        Ok(words.iter().map(|word| Json::from(word.as_str())).collect())
    } else if named.len() == words.len() {
        Ok(named.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>().into())
    } else {
        bail!("give all arguments by name (name=value) or none")
    }
}

/// A name is lower-case letters and underscores, so that URIs with parameters are none.
fn named(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some((name, value))
}

fn hint(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Unreachable { .. } => {
            anyhow!("{error}; is one running? --socket or --config say where its admin socket is")
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn arguments_go_by_position_or_by_name_but_not_both() {
        let uri = "sip:a@b;transport=tcp";
        assert_eq!(parameters(&words(&[uri, "x"])).unwrap(), json!([uri, "x"]));
        assert_eq!(
            parameters(&words(&["limit=3", "containing=a=b"])).unwrap(),
            json!({ "limit": "3", "containing": "a=b" })
        );
        assert!(parameters(&words(&["limit=3", uri])).is_err());
    }

    #[test]
    fn commands_are_listed_as_they_are_typed() {
        let command = json!({ "command": "registrar.show", "doc": "Shows.", "parameters": [{ "parameter": "aor", "required": true }, { "parameter": "limit" }] });
        let shown = json!({ "command": "registrar show <aor> [limit]", "what it does": "Shows." });
        assert_eq!(describe(&command, None), Some(shown));
        assert_eq!(describe(&command, Some("core")), None);
    }
}
