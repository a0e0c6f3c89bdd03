//! Real database servers: each with a data folder and an address of its own.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::holder::Holder;
use super::peers;
use super::place::Place;
use super::process::{Process, Signal};
use super::wait::wait_for;

const POSTGRES_PORT: u16 = 5432;
const MARIADB_PORT: u16 = 3306;
/// The folder for temporary files.
const TEMPORARY: &str = "temporary";

/// Which server.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    Postgres,
    MariaDb,
}

/// A running server. It ends with the test.
pub(crate) struct DatabaseServer<'a> {
    place: &'a Place,
    kind: Kind,
    process: Option<Process>,
}

impl<'a> DatabaseServer<'a> {
    /// Makes a data folder and starts a server on it; `None`, said aloud, where the program is not installed.
    pub(crate) fn start(place: &'a Place, kind: Kind) -> Option<Self> {
        let program = kind.program()?;
        let folder = place.folder();
        // The server runs as another user than root and must get to its folder.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permissions of the folder");
        for name in ["data", TEMPORARY] {
            let folder = place.path(name);
            fs::create_dir(&folder).expect("a folder");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("permissions of the folder");
            if let Some((uid, gid)) = kind.user() {
                chown(&folder, Some(uid), Some(gid)).expect("owner of the folder");
            }
        }
        let data = place.path("data");
        let mut setup = kind.setup(&program, &data);
        let output = kind.at(place, &mut setup).current_dir(folder).output().expect("making the data folder");
        assert!(output.status.success(), "{setup:?}: {}", String::from_utf8_lossy(&output.stderr));
        let mut server = Self { place, kind, process: None };
        server.start_again();
        Some(server)
    }

    /// Starts it on the data that it has.
    pub(crate) fn start_again(&mut self) {
        let program = self.kind.program().expect("it was started before");
        let mut command = self.kind.command(&program, self.place);
        let command = self.kind.at(self.place, &mut command);
        let log = self.place.path("database.out");
        let ready = || fs::read_to_string(&log).unwrap_or_default().matches(self.kind.ready()).count();
        let before = ready();
        let mut process = Process::start(self.place, "database", command);
        let up = wait_for("the database takes connections or ends", || {
            if ready() > before { Some(true) } else { process.has_ended().map(|_| false) }
        });
        assert!(up, "{:?} did not start:\n{}", self.kind, process.output());
        self.process = Some(process);
    }

    /// Ends it at once: connections break, and new ones are refused.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // PostgreSQL waits for its clients on SIGTERM, not on SIGINT; MariaDB ignores SIGINT.
            process.signal(if self.kind == Kind::Postgres { Signal::Interrupt } else { Signal::Terminate });
            process.ended();
        }
    }

    /// Stops all its processes (SIGSTOP): connections stay open, the kernel accepts new ones, and nothing answers.
    pub(crate) fn freeze(&self) -> Frozen {
        let process = self.process.as_ref().expect("it runs");
        let mut frozen = Frozen(Vec::new());
        // The parent process first, so that it starts no more.
        frozen.add(process.id());
        children(process.id()).into_iter().for_each(|id| frozen.add(id));
        frozen
    }

    /// Stops the processes of PostgreSQL that serve the present connections, and no others.
    pub(crate) fn freeze_connections(&self) -> Frozen {
        let process = self.process.as_ref().expect("it runs");
        let mut frozen = Frozen(Vec::new());
        children(process.id()).into_iter().filter(|id| is_of_connection(*id)).for_each(|id| frozen.add(id));
        assert!(!frozen.0.is_empty(), "nobody is connected");
        frozen
    }

    /// Makes another program run a statement in a transaction that lasts until the holder is dropped. `None`, with a
    /// printed note, if that program is not installed.
    pub(crate) fn hold(&self, statement: &str) -> Option<Holder> {
        Some(Holder::start(&mut self.client()?, &format!("BEGIN;\n{statement};\nSELECT 'held';\n"), "held"))
    }

    /// Whether any statement waits for a lock of another session.
    pub(crate) fn waits(&self) -> bool {
        let question = match self.kind {
            Kind::Postgres => "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
            Kind::MariaDb => "SELECT count(*) FROM information_schema.processlist WHERE command = 'Execute'",
        };
        let mut client = self.client().expect("a client");
        let output = client.arg(if self.kind == Kind::Postgres { "-c" } else { "-e" }).arg(question).output();
        String::from_utf8(output.expect("an answer").stdout).expect("a number").trim() == "1"
    }

    /// The client program, which reads statements from its input.
    fn client(&self) -> Option<Command> {
        let (address, port) = (self.place.address.to_string(), self.kind.port().to_string());
        Some(match self.kind {
            Kind::Postgres => {
                let mut client = Command::new(peers::find("psql")?);
                client.args(["-qAt", "-U", "signalbox", "-h", &address, "-p", &port, "postgres"]);
                client
            }
            Kind::MariaDb => {
                let mut client = Command::new(peers::find("mariadb")?);
                client.args(["--no-defaults", "--skip-column-names", "--unbuffered", "-usignalbox", "-psecret"]);
                client.args(["-h", &address, "-P", &port, "signalbox"]);
                client
            }
        })
    }

    /// Where it runs; a server that uses it can be there too.
    pub(crate) fn place(&self) -> &'a Place {
        self.place
    }

    pub(crate) fn url(&self) -> String {
        let (address, port) = (self.place.address, self.kind.port());
        match self.kind {
            Kind::Postgres => format!("postgres://signalbox@{address}:{port}/postgres"),
            Kind::MariaDb => format!("mysql://signalbox:secret@{address}:{port}/signalbox"),
        }
    }
}

impl Drop for DatabaseServer<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// Stopped processes. They continue when this is dropped.
pub(crate) struct Frozen(Vec<u32>);

impl Frozen {
    /// Stops a process that this test, or a process of this test, has started.
    fn add(&mut self, process: u32) {
        self.0.push(process);
        send(process, libc::SIGSTOP);
        // Stopping takes effect later than the signal. A process that was ending stays a zombie while its parent is
        // stopped.
        wait_for("a process stops", || matches!(status(process)?, ('T' | 'Z', _)).then_some(()));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // A stopped process cannot end, so its id is not reused.
        self.0.iter().for_each(|id| send(*id, libc::SIGCONT));
    }
}

fn send(process: u32, signal: i32) {
    // SAFETY: a signal to a process that this test has started; it touches no memory of ours.
    unsafe { libc::kill(process as libc::pid_t, signal) };
}

/// The fields in /proc after the name of a process: its state, then the id of its parent.
fn status(process: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn children(process: u32) -> Vec<u32> {
    let names =
        fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let ids = names.filter_map(|name| name.parse().ok());
    ids.filter(|id| status(*id).is_some_and(|(_, parent)| parent == process)).collect()
}

/// PostgreSQL's processes show their work in their title: `postgres: user database address(port) idle`.
fn is_of_connection(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|title| title.contains(" signalbox "))
}

impl Kind {
    fn port(self) -> u16 {
        match self {
            Self::Postgres => POSTGRES_PORT,
            Self::MariaDb => MARIADB_PORT,
        }
    }

    /// What it prints when it takes connections.
    fn ready(self) -> &'static str {
        match self {
            Self::Postgres => "ready to accept connections",
            Self::MariaDb => "ready for connections",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::MariaDb => peers::find("mariadbd"),
            Self::Postgres => {
                let newest = postgres_folders().into_iter().max();
                if newest.is_none() {
                    peers::skip("postgresql is not installed");
                }
                newest.map(|folder| folder.join("postgres"))
            }
        }
    }

    /// What makes the data folder.
    fn setup(self, program: &Path, data: &Path) -> Command {
        match self {
            Self::Postgres => {
                let mut command = Command::new(program.with_file_name("initdb"));
                command
                    .args(["--username=signalbox", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"])
                    .arg(data);
                command
            }
            Self::MariaDb => {
                let mut command = Command::new("mariadb-install-db");
                command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
                command.arg(format!("--datadir={}", data.display()));
                command
            }
        }
    }

    fn command(self, program: &Path, place: &Place) -> Command {
        let mut command = Command::new(program);
        let (data, address) = (place.path("data"), place.address);
        match self {
            Self::Postgres => {
                command.arg("-D").arg(&data).arg("-h").arg(address.to_string()).arg("-k").arg(&data);
                command.arg("-p").arg(POSTGRES_PORT.to_string());
            }
            Self::MariaDb => {
                let init = place.write(
                    "init.sql",
                    "CREATE DATABASE IF NOT EXISTS signalbox;\n\
                     CREATE USER IF NOT EXISTS signalbox@'%' IDENTIFIED BY 'secret';\n\
                     GRANT ALL ON signalbox.* TO signalbox@'%';\n",
                );
                fs::set_permissions(&init, fs::Permissions::from_mode(0o644)).expect("permissions");
                command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
                command.arg(format!("--init-file={}", init.display()));
                command.arg(format!("--bind-address={address}")).arg(format!("--port={MARIADB_PORT}"));
                command.arg(format!("--socket={}", data.join("socket").display()));
                command.arg("--skip-name-resolve");
            }
        }
        command
    }

    /// Neither server runs as root. A MariaDB that starts removes what others have in a temporary folder that they share.
    fn at<'a>(self, place: &Place, command: &'a mut Command) -> &'a mut Command {
        command.env("TMPDIR", place.path(TEMPORARY));
        if let Some((uid, gid)) = self.user() {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The user to run as, when this test runs as root.
    fn user(self) -> Option<(u32, u32)> {
        // SAFETY: asks the kernel for a number.
        if unsafe { libc::geteuid() } != 0 {
            return None;
        }
        let name = CString::new(if self == Self::Postgres { "postgres" } else { "mysql" }).expect("no zero in it");
        let mut buffer = vec![0; 16 * 1024];
        let mut entry = std::mem::MaybeUninit::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are to live memory of the sizes given; the entry is read only when it was found.
        unsafe {
            libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut found);
            (!found.is_null()).then(|| ((*found).pw_uid, (*found).pw_gid))
        }
    }
}

/// Debian keeps the server's programs out of the PATH, by version.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).filter(|folder| folder.join("initdb").is_file()).collect()
}
