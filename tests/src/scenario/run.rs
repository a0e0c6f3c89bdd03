//! Running a scenario against a server of its own on the virtual network, as its `server` block sets it up.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use signalbox::module::{Module, Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};

use super::{Scenario, parse, play};
use crate::network::Virtual;
use crate::site::{Setup, Site, configured, server_address, worker_of};

/// The numbers of workers with which each scenario is run.
pub const WORKERS: [u16; 2] = [1, 3];

/// The number of seeds that are tried to find one that assigns the parties to all workers.
const SEEDS: u64 = 100;

/// Reads a scenario from the text of a test, and runs it with each number of [`WORKERS`].
///
/// # Panics
///
/// With what went otherwise than the scenario says.
#[track_caller]
pub fn run_text(text: &str) {
    let scenario = parse(text).unwrap_or_else(|error| panic!("{error:#}"));
    for workers in numbers_of_workers(&scenario) {
        run(&scenario, workers).unwrap_or_else(|error| panic!("with {workers} workers: {error:#}"));
    }
}

/// The numbers of workers for a scenario: all of [`WORKERS`], unless its server block says `workers: 1`.
pub fn numbers_of_workers(scenario: &Scenario) -> Vec<u16> {
    let said = scenario.server.iter().find(|(name, _)| name == "workers");
    WORKERS.into_iter().filter(|workers| said.is_none_or(|(_, value)| *value == workers.to_string())).collect()
}

/// Runs a scenario, restarts and crashes of the server included.
pub fn run(scenario: &Scenario, workers: u16) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let workers = (workers, seed(scenario, workers));
    let server = ServerBlock { lines: &scenario.server, folder: folder.path(), workers };
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

/// The seed that assigns the parties to the most workers.
fn seed(scenario: &Scenario, workers: u16) -> u64 {
    let met = |seed: u64| {
        let each = scenario.parties.iter();
        let each = each.map(|party| worker_of(server_address(), party.address, workers.into(), seed));
        each.collect::<BTreeSet<_>>().len()
    };
    // The first of the best.
    (1..=SEEDS).rev().max_by_key(|&seed| met(seed)).unwrap_or_default()
}

/// The `server` block of a scenario.
struct ServerBlock<'a> {
    lines: &'a [(String, String)],
    folder: &'a Path,
    /// The number of workers, and the seed that assigns the work.
    workers: (u16, u64),
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
            let is_known = ["script", "load", "domain", "account", "workers"].contains(&name.as_str());
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
        (setup.workers, setup.seed) = self.workers;
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
            assert!(run(&scenario, 1).is_err(), "{setting}");
        }
    }
}
