//! Running a scenario against a server of its own on the virtual network, as its `server` block sets it up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use signalbox::module::{Module, Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};

use super::{Scenario, parse, play};
use crate::network::Virtual;
use crate::site::{Setup, Site, configured};

/// Reads and runs a scenario that stands in a test.
///
/// # Panics
///
/// With what went otherwise than the scenario says.
#[track_caller]
pub fn run_text(text: &str) {
    let result = parse(text).and_then(|scenario| run(&scenario));
    result.unwrap_or_else(|error| panic!("{error:#}"));
}

/// Runs a scenario, restarts and crashes of the server included.
pub fn run(scenario: &Scenario) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ServerBlock { lines: &scenario.server, folder: folder.path() };
    server.add_accounts()?;
    let mut stage = Virtual::new(Site::start(server.setup()?)?);
    play(scenario, &mut stage, &mut |stage: &mut Virtual, crash| {
        let site = stage.unplug().context("the server is down already")?;
        // Starting again takes a second, during which nothing is heard of the server.
        let unix = site.unix() + Duration::from_secs(1);
        if crash {
            site.crash()
        } else {
            site.stop()
        }
        let mut setup = server.setup()?;
        setup.unix = unix;
        stage.plug(Site::start(setup)?);
        Ok(())
    })
}

/// The `server` block of a scenario.
struct ServerBlock<'a> {
    lines: &'a [(String, String)],
    folder: &'a Path,
}

impl ServerBlock<'_> {
    fn values<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        self.lines.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.folder.join("signalbox.db").display())
    }

    fn domain(&self) -> &str {
        self.values("domain").next().unwrap_or("example.com")
    }

    /// A setting that nobody reads would have a scenario show something else than it says.
    fn check(&self) -> Result<()> {
        let loaded: Vec<&str> = self.values("load").flat_map(str::split_whitespace).collect();
        for (name, _) in self.lines {
            let is_loaded = |(module, _): (&str, &str)| loaded.contains(&module);
            let is_known = ["script", "load", "domain", "account"].contains(&name.as_str());
            ensure!(is_known || name.split_once('.').is_some_and(is_loaded), "nobody reads the setting {name:?}");
        }
        Ok(())
    }

    fn value(&self, text: &str) -> Value {
        match text.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::String(text.replace("{db}", &self.database())),
        }
    }

    fn setup(&self) -> Result<Setup> {
        self.check()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let script = self.values("script").next().context("the server block names no script")?;
        let mut setup = Setup::new(&root.join(script), self.domain());
        for name in self.values("load").flat_map(str::split_whitespace) {
            let entry = match name {
                signalbox_registrar::Registrar::NAME => export::entry::<signalbox_registrar::Registrar>(),
                signalbox_pa::PresenceAgent::NAME => export::entry::<signalbox_pa::PresenceAgent>(),
                signalbox_auth::Auth::NAME => export::entry::<signalbox_auth::Auth>(),
                signalbox_im_auth::ImAuth::NAME => export::entry::<signalbox_im_auth::ImAuth>(),
                _ => bail!("scenarios know no module {name:?}"),
            };
            let parameters = self.lines.iter().filter_map(|(known, value)| {
                let (module, parameter) = known.split_once('.')?;
                (module == name).then(|| (parameter, self.value(value)))
            });
            setup.modules.push(configured(entry, &parameters.collect::<Vec<_>>())?);
        }
        Ok(setup)
    }

    fn add_accounts(&self) -> Result<()> {
        let accounts: Vec<&str> = self.values("account").collect();
        if accounts.is_empty() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(async {
            let storage = signalbox::storage::Storage::new(runtime.handle().clone());
            let store = AccountStore::open(storage.open(&self.database()).await?, CacheLimits::default()).await?;
            for account in accounts {
                let (user, password) = account.split_once(' ').context("account: user password")?;
                store.add(user, self.domain(), password, false).await?;
            }
            storage.close().await;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_nobody_reads_is_refused() {
        for setting in ["alias: example.com", "pa.auth: none", "registrar.unheard_of: 1"] {
            let text = format!("server\n  script: scripts/proxy.lua\n  load: registrar\n  {setting}\n");
            let scenario = parse(&text).unwrap();
            assert!(run(&scenario).is_err(), "{setting}");
        }
    }
}
