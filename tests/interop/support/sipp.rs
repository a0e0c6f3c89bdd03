//! SIPp with the scenarios of the folder sipp/. In a scenario `{name}` stands for a value that the test gives;
//! `[name]` is SIPp's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::peers;
use super::place::{DOMAIN, Place};
use super::process::Process;
use super::wait::{PATIENCE, wait_up_to};

pub(crate) struct Sipp<'a> {
    place: &'a Place,
    scenario: &'static str,
    user: String,
    password: String,
    port: u16,
    transport: &'static str,
    values: Vec<(&'static str, String)>,
}

/// A scenario under way.
pub(crate) struct Running {
    process: Process,
    name: String,
    log: PathBuf,
    errors: PathBuf,
}

/// Nothing (and the reason on standard error) where SIPp isn't installed.
pub(crate) fn place() -> Option<Place> {
    peers::find("sipp")?;
    Some(Place::on_loopback())
}

/// The password of every user, here and in the servers' accounts.
pub(crate) fn password_of(user: &str) -> String {
    format!("{user}-secret")
}

impl<'a> Sipp<'a> {
    /// `user` at its device on `port`, playing `scenario`.
    pub(crate) fn new(place: &'a Place, scenario: &'static str, user: &str, port: u16) -> Self {
        Self {
            place,
            scenario,
            user: user.to_owned(),
            password: password_of(user),
            port,
            transport: "u1",
            values: Vec::new(),
        }
    }

    pub(crate) fn over_tcp(mut self) -> Self {
        self.transport = "t1";
        self
    }

    pub(crate) fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// Plays it to its end, which has to be a good one.
    #[track_caller]
    pub(crate) fn play(self) {
        self.start().succeeds();
    }

    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let name = format!("{}-{}-{}", self.scenario, self.user, self.port);
        let file = self.place.write(&format!("{name}.xml"), &self.scenario_text());
        let (log, errors) = (self.place.path(&format!("{name}.log")), self.place.path(&format!("{name}.err")));
        let address = self.place.address.to_string();
        let mut command = Command::new("sipp");
        command.arg(self.place.server()).arg("-sf").arg(file);
        command.args(["-i", &address, "-p", &self.port.to_string(), "-t", self.transport]);
        command.args(["-s", &self.user, "-au", &self.user, "-ap", &self.password, "-auth_uri", DOMAIN]);
        command.args(["-m", "1", "-r", "1", "-nostdin", "-timeout_error", "-timeout"]);
        command.arg(PATIENCE.as_secs().to_string());
        command.arg("-trace_logs").arg("-log_file").arg(&log);
        command.arg("-trace_err").arg("-error_file").arg(&errors);
        let process = Process::start(self.place, &name, &mut command);
        let mut running = Running { process, name, log, errors };
        running.wait_until_bound(self.place, self.port);
        running
    }

    fn scenario_text(&self) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sipp");
        let path = folder.join(format!("{}.xml", self.scenario));
        let mut text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let own = [
            ("domain", DOMAIN.to_owned()),
            ("user", self.user.clone()),
            ("address", self.place.address.to_string()),
            ("port", self.port.to_string()),
        ];
        for (name, value) in own.iter().chain(&self.values) {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

impl Running {
    /// Waits for its end, which has to be a good one.
    #[track_caller]
    pub(crate) fn succeeds(mut self) {
        let status = self.process.ended();
        let errors = || fs::read_to_string(&self.errors).unwrap_or_default();
        assert!(status.success(), "SIPp {}: {status}\n{}\n{}", self.name, errors(), self.process.output());
    }

    /// Waits until the scenario has logged `text`.
    #[track_caller]
    pub(crate) fn logged(&mut self, text: &str) {
        let log = || fs::read_to_string(&self.log).unwrap_or_default();
        let found = wait_up_to(PATIENCE, || (log().contains(text) || self.process.has_ended().is_some()).then_some(()));
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        assert!(found.is_some() && log().contains(text), "SIPp {} never logged {text:?}\n{errors}", self.name);
    }

    /// What is sent to a scenario before it listens would be lost.
    fn wait_until_bound(&mut self, place: &Place, port: u16) {
        let wanted = format!("{:08X}:{port:04X}", u32::from(place.address).swap_bytes());
        let tables = ["/proc/net/udp", "/proc/net/tcp"];
        let is_bound = || tables.iter().any(|table| fs::read_to_string(table).unwrap_or_default().contains(&wanted));
        wait_up_to(PATIENCE, || (is_bound() || self.process.has_ended().is_some()).then_some(()));
    }
}
