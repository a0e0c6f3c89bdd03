//! `signalbox user`: the accounts that digest authentication checks.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio, exit};

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use signalbox::error::explain;
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox::storage::{Storage, missing_file};

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::{output, settings};

/// Manages the accounts that digest authentication checks
#[derive(Args)]
#[command(after_help = "\
The database is that of the module auth in the settings file, unless --db names another.

Examples:
  signalbox user add alice@example.com                       asks for the password
  echo secret | signalbox user add alice@example.com         takes it from standard input
  signalbox user list
  signalbox user passwd alice@example.com
  signalbox user remove alice@example.com --db sqlite:var/signalbox.db")]
pub(crate) struct User {
    #[command(subcommand)]
    action: Action,
    /// The database with the accounts: sqlite:path, postgres://… or mysql://…
    #[arg(long, global = true, value_name = "URL")]
    db: Option<String>,
    /// The settings file that names the database [default: etc/signalbox.lua]
    #[arg(short, long, visible_alias = "settings", global = true, value_name = "SETTINGS", conflicts_with = "db")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Adds an account.
    Add {
        /// user@realm
        account: Account,
        #[command(flatten)]
        password: Password,
    },
    /// Lists the accounts, of all realms or of one.
    List {
        /// Only those of this realm
        realm: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Removes an account.
    Remove {
        /// user@realm
        account: Account,
    },
    /// Gives an account another password.
    Passwd {
        /// user@realm
        account: Account,
        #[command(flatten)]
        password: Password,
    },
}

#[derive(Args)]
struct Password {
    /// The password; others on this machine may see it while the command runs
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Keep the password itself in the database beside its hashes
    #[arg(long)]
    keep_password: bool,
}

/// A user and the realm that the account is for: the domain, as a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    user: String,
    realm: String,
}

impl std::str::FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix("sip:").unwrap_or(text);
        match text.rsplit_once('@') {
            Some((user, realm)) if !user.is_empty() && !realm.is_empty() => {
                Ok(Self { user: user.to_owned(), realm: realm.to_owned() })
            }
            _ => Err("say user@realm, such as alice@example.com"),
        }
    }
}

impl User {
    pub(crate) fn execute(self) -> Result<()> {
        let url = match &self.db {
            Some(url) => url.clone(),
            None => url_of(self.config.as_deref().unwrap_or_else(|| Path::new(settings::DEFAULT)))?,
        };
        // A slip of the pen in --db is no reason for a database without accounts.
        if let (Some(missing), false) = (missing_file(&url), matches!(self.action, Action::Add { .. })) {
            bail!("there is no database {} yet; `signalbox run` or `signalbox user add` makes one", missing.display());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let storage = Storage::new(runtime.handle().clone());
        runtime.block_on(async {
            let accounts = AccountStore::open(storage.open(&url).await?, CacheLimits::default()).await?;
            let done = self.action.execute(&accounts).await;
            storage.close().await;
            done
        })
    }
}

impl Action {
    async fn execute(self, accounts: &AccountStore) -> Result<()> {
        match self {
            Self::Add { account: Account { user, realm }, password } => {
                accounts.add(&user, &realm, &password.ask()?, password.keep_password).await?;
                output::say(&format!("added {user}@{realm}\n"))?;
            }
            Self::Passwd { account: Account { user, realm }, password } => {
                accounts.set_password(&user, &realm, &password.ask()?, password.keep_password).await?;
                output::say(&format!("changed the password of {user}@{realm}\n"))?;
            }
            Self::Remove { account: Account { user, realm } } => {
                accounts.remove(&user, &realm).await?;
                output::say(&format!("removed {user}@{realm}\n"))?;
            }
            Self::List { realm, json } => {
                let listed = accounts.list(realm.as_deref()).await?;
                let listed = listed.iter().map(|(user, realm)| serde_json::json!({ "user": user, "realm": realm }));
                output::show(&listed.collect(), json)?;
            }
        }
        Ok(())
    }
}

/// The database of the module auth.
fn url_of(path: &Path) -> Result<String> {
    let settings = settings::read(path).map_err(|error| {
        let problem = explain(error.as_ref());
        anyhow!("{problem}\nthe settings file names the database; --db does so without one")
    })?;
    let auth = settings.modules.iter().find(|module| module.tables.name == "auth");
    let url = auth.map(|module| module.settings.string("db_url")).unwrap_or_default();
    if url.is_empty() {
        bail!("{} sets no db_url for the module auth; give --db", path.display());
    }
    Ok(url.to_owned())
}

impl Password {
    /// The option's, else one asked for twice without showing it, else a line of standard input.
    fn ask(&self) -> Result<String> {
        if let Some(password) = &self.password {
            return Ok(password.clone());
        }
        if !io::stdin().is_terminal() {
            return line();
        }
        let password = prompt("Password: ")?;
        if prompt("Again: ")? != password {
            bail!("the two passwords differ");
        }
        Ok(password)
    }
}

fn prompt(question: &str) -> Result<String> {
    let _hidden = Hidden::new()?;
    eprint!("{question}");
    io::stderr().flush()?;
    let answer = line();
    eprintln!();
    answer
}

fn line() -> Result<String> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        bail!("no password was given");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Keeps the terminal from showing what is typed, for as long as it lives. Ctrl-C meanwhile ends the program, with a terminal
/// that shows again.
struct Hidden(JoinHandle<()>);

impl Hidden {
    fn new() -> Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let watch = tokio::spawn(async move {
            interrupt.recv().await;
            echo("echo");
            eprintln!();
            exit(INTERRUPTED);
        });
        echo("-echo");
        Ok(Self(watch))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.abort();
        echo("echo");
    }
}

/// What a shell calls the end by SIGINT: 128 and its number.
const INTERRUPTED: i32 = 130;

fn echo(setting: &str) {
    // Without stty the password shows, which is no reason not to take it.
    let _ = Process::new("stty").arg(setting).stdin(Stdio::inherit()).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_user_and_a_realm() {
        let alice = Account { user: "alice".to_owned(), realm: "example.com".to_owned() };
        assert_eq!("alice@example.com".parse(), Ok(alice.clone()));
        assert_eq!("sip:alice@example.com".parse(), Ok(alice));
        for text in ["alice", "@example.com", "alice@", ""] {
            assert!(text.parse::<Account>().is_err(), "{text}");
        }
    }
}
