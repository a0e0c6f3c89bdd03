//! Plays all scenario files (`*.scenario` beside this file), each as a test of its own.
//!
//! `SIP_TEST_SUBJECT=127.0.0.1:5060 cargo test --test scenarios` plays those that need no inside knowledge against a server
//! that runs there: see `subjects.md` for what other servers do differently.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use signalbox::module::{Configured, Module, Value, export};
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox_tests::network::{Real, Virtual};
use signalbox_tests::scenario::{Needs, Scenario, parse, play};
use signalbox_tests::site::{Setup, Site};

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let subject = std::env::var("SIP_TEST_SUBJECT").ok();
    let subject: Option<SocketAddr> = subject.map(|subject| subject.parse()).transpose()?;
    let mut trials = Vec::new();
    for file in files(&folder)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file)?;
        let scenario = parse(&text).with_context(|| file.display().to_string())?;
        let skipped = subject.is_some() && scenario.needs() != Needs::AnyServer;
        let run = move || run(&scenario, subject).map_err(|error| Failed::from(format!("{error:#}")));
        trials.push(Trial::test(name, run).with_ignored_flag(skipped));
    }
    libtest_mimic::run(&arguments, trials).exit()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "scenario"));
    files.sort();
    Ok(files)
}

fn run(scenario: &Scenario, subject: Option<SocketAddr>) -> Result<()> {
    if let Some(subject) = subject {
        return play(scenario, &mut Real::new(subject)?, &mut |_, _| bail!("another's server is not restarted"));
    }
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

    fn setup(&self) -> Result<Setup> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let script = self.values("script").next().context("the server block names no script")?;
        let mut setup = Setup::new(&root.join(script), self.domain());
        for name in self.values("load").flat_map(str::split_whitespace) {
            let mut module = Configured::new(match name {
                signalbox_registrar::Registrar::NAME => export::entry::<signalbox_registrar::Registrar>(),
                signalbox_pa::PresenceAgent::NAME => export::entry::<signalbox_pa::PresenceAgent>(),
                signalbox_auth::Auth::NAME => export::entry::<signalbox_auth::Auth>(),
                _ => bail!("scenarios know no module {name:?}"),
            });
            let prefix = format!("{name}.");
            for (parameter, value) in self.lines.iter().filter_map(|(n, v)| Some((n.strip_prefix(&prefix)?, v))) {
                let value = match value.parse() {
                    Ok(number) => Value::Integer(number),
                    Err(_) => Value::String(value.replace("{db}", &self.database())),
                };
                let tables = module.tables.parameters.clone();
                module.settings.set(&tables, parameter, &value)?;
            }
            setup.modules.push(module);
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
