//! Plays all scenario files (`*.scenario` beside this file), each as a test of its own, and once more with three workers.
//!
//! `SIP_TEST_SUBJECT=127.0.0.1:5060 cargo test --test scenarios` plays those that need no inside knowledge against a server
//! that runs there: see `subjects.md` for what other servers do differently. There each scenario has a domain of its own
//! below example.com, so that none meets what another, or an earlier run, has registered; the server must take all of them
//! for its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use signalbox_tests::network::Real;
use signalbox_tests::scenario::{Needs, Scenario, numbers_of_workers, parse, play, run};

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let subject = std::env::var("SIP_TEST_SUBJECT").ok();
    let subject: Option<SocketAddr> = subject.map(|subject| subject.parse()).transpose()?;
    let mut trials = Vec::new();
    for file in files(&folder)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut text = std::fs::read_to_string(&file)?;
        if subject.is_some() {
            let domain = format!("{}.{}.example.com", name.replace('_', "-"), std::process::id());
            text = text.replace("example.com", &domain);
        }
        let scenario = parse(&text).with_context(|| file.display().to_string())?;
        if let Some(subject) = subject {
            let skipped = scenario.needs() != Needs::AnyServer;
            let run = move || result(play_against(&scenario, subject));
            trials.push(Trial::test(name, run).with_ignored_flag(skipped));
            continue;
        }
        for workers in numbers_of_workers(&scenario) {
            let name = if workers == 1 { name.clone() } else { format!("{name}_with_{workers}_workers") };
            let scenario = scenario.clone();
            trials.push(Trial::test(name, move || result(run(&scenario, workers))));
        }
    }
    libtest_mimic::run(&arguments, trials).exit()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "scenario"));
    files.sort();
    Ok(files)
}

fn result(of: Result<()>) -> Result<(), Failed> {
    of.map_err(|error| Failed::from(format!("{error:#}")))
}

fn play_against(scenario: &Scenario, subject: SocketAddr) -> Result<()> {
    play(scenario, &mut Real::new(subject)?, &mut |_, _| bail!("another's server is not restarted"))
}
