//! The server under test: the real signalbox binary, or Kamailio in its place (`INTEROP_SUBJECT=kamailio`), which tests
//! the scenarios themselves.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use super::peers;
use super::place::{DOMAIN, Place};
use super::process::{Process, Signal};
use super::sipp::password_of;
use super::wait::wait_for;

/// Who has an account.
pub(crate) const USERS: [&str; 2] = ["alice", "bob"];

pub(crate) struct Server<'a> {
    place: &'a Place,
    pub(crate) process: Process,
}

/// Signalbox, or another server that the same scenarios are tried on.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Subject {
    Signalbox,
    Kamailio,
}

pub(crate) fn subject() -> Subject {
    match std::env::var("INTEROP_SUBJECT").as_deref() {
        Ok("kamailio") => Subject::Kamailio,
        Ok(other) => panic!("INTEROP_SUBJECT={other}: only kamailio is known"),
        Err(_) => Subject::Signalbox,
    }
}

impl<'a> Server<'a> {
    /// Starts it with the scripts that are shipped, accounts for everybody in `USERS`, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(place: &'a Place) -> Self {
        Self::start_with(place, "")
    }

    /// As [`Server::start`], with more settings.
    #[track_caller]
    pub(crate) fn start_with(place: &'a Place, more: &str) -> Self {
        if subject() == Subject::Signalbox {
            write_settings(place, &format!("{}{more}", settings(place)));
            for user in USERS {
                add_account(place, user);
            }
        }
        Self::start_again(place)
    }

    /// Starts it on `etc/signalbox.lua` as that is shipped, but for the port and the folder that the script is in.
    #[track_caller]
    pub(crate) fn start_as_shipped(place: &'a Place) -> Self {
        let shipped = std::fs::read_to_string(repository().join("etc/signalbox.lua")).expect("the shipped settings");
        let changes = [
            ("0.0.0.0:5060".to_owned(), format!("0.0.0.0:{}", place.server_port)),
            ("\"scripts/".to_owned(), format!("\"{}/scripts/", repository().display())),
        ];
        let text = changes.iter().fold(shipped, |text, (from, to)| {
            assert!(text.contains(from), "the shipped settings have no {from}");
            text.replace(from, to)
        });
        write_settings(place, &text);
        for user in USERS {
            add_account(place, user);
        }
        Self::start_again(place)
    }

    /// Starts it on what an earlier one left behind.
    #[track_caller]
    pub(crate) fn start_again(place: &'a Place) -> Self {
        let mut command = match subject() {
            Subject::Signalbox => signalbox(&["run", "settings.lua"]),
            Subject::Kamailio => kamailio(place),
        };
        Self::start_by(place, &mut command)
    }

    /// Starts it by a command of the test's own.
    #[track_caller]
    pub(crate) fn start_by(place: &'a Place, command: &mut Command) -> Self {
        let mut server = Self { place, process: Process::start(place, "server", command) };
        server.wait_until_ready();
        server
    }

    /// Ends it without any chance to tidy up.
    pub(crate) fn kill(mut self) {
        self.process.signal(Signal::Kill);
        self.process.ended();
    }

    /// It is ready when it answers OPTIONS.
    #[track_caller]
    fn wait_until_ready(&mut self) {
        let answered = wait_for("the server answers or ends", || {
            let answered = self.reason_of_options().is_some();
            (answered || self.process.has_ended().is_some()).then_some(answered)
        });
        assert!(answered, "the server did not start:\n{}", self.process.output());
    }

    /// The reason phrase that OPTIONS is answered with; nothing without an answer.
    pub(crate) fn reason_of_options(&self) -> Option<String> {
        let socket = UdpSocket::bind((self.place.address, 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
        let local = socket.local_addr().expect("its address");
        // The port is another one each time, and so branch and Call-ID are.
        let port = local.port();
        let request = format!(
            "OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKoptions{port}\r\nMax-Forwards: 70\r\n\
             From: <sip:ready@{DOMAIN}>;tag=r\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: options{port}@{local}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), self.place.server()).ok()?;
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).ok()?;
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let (_, reason) = answer.lines().next()?.strip_prefix("SIP/2.0 ")?.split_once(' ')?;
        Some(reason.to_owned())
    }
}

/// The binary that this test run was built with, or the one that SIGNALBOX names.
pub(crate) fn binary() -> PathBuf {
    let named = std::env::var_os("SIGNALBOX").map(PathBuf::from);
    let path = named.unwrap_or_else(|| target_folder().join("signalbox"));
    assert!(path.is_file(), "{} is not built: cargo build --workspace", path.display());
    path
}

/// Where the binaries and libraries of this build are: this test is in `deps` below it.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    test.parent().and_then(Path::parent).expect("target folder").to_owned()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder above tests/").to_owned()
}

pub(crate) fn signalbox(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env("NO_COLOR", "1");
    command
}

/// Runs the signalbox command in the place's folder to its end.
#[track_caller]
pub(crate) fn run_signalbox(place: &Place, arguments: &[&str]) -> Output {
    signalbox(arguments).current_dir(place.folder()).output().expect("running signalbox")
}

/// Settings for registrar, digest and presence with everything in one SQLite file, and the shipped presence script.
pub(crate) fn settings(place: &Place) -> String {
    let server = place.server();
    // sipsak names the server by its address without the port.
    let own = format!("alias {{ \"{DOMAIN}\", \"{server}\" }}\n");
    let mut text = format!("listen {{ \"udp:{server}\", \"tcp:{server}\" }}\n{own}");
    for module in ["registrar", "auth", "pa", "im_auth"] {
        text.push_str(&format!("loadmodule \"{module}\"\n"));
    }
    for module in ["registrar", "auth", "pa"] {
        text.push_str(&format!("modparam(\"{module}\", \"db_url\", \"sqlite:signalbox.db\")\n"));
    }
    // SIPp takes the first challenge and knows only MD5; baresip 1.0 gives up when one of several is of another algorithm.
    text.push_str("modparam(\"auth\", \"algorithms\", \"MD5\")\nmodparam(\"pa\", \"auth\", \"none\")\n");
    let script = repository().join("scripts/presence.lua");
    text.push_str(&format!("route_script {script:?}\n"));
    text
}

pub(crate) fn write_settings(place: &Place, text: &str) {
    place.write("settings.lua", text);
}

#[track_caller]
pub(crate) fn add_account(place: &Place, user: &str) {
    let address = format!("{user}@{}", place.domain);
    let output = run_signalbox(
        place,
        &["user", "add", &address, "--password", &password_of(user), "--settings", "settings.lua"],
    );
    assert!(output.status.success(), "signalbox user add: {}", String::from_utf8_lossy(&output.stderr));
}

fn kamailio(place: &Place) -> Command {
    let program = peers::find("kamailio").expect("kamailio");
    let tables = Path::new("/usr/share/kamailio/db_sqlite");
    let database = place.path("presence.sqlite");
    for name in ["standard-create.sql", "presence-create.sql"] {
        let script = std::fs::File::open(tables.join(name)).expect("Kamailio's tables");
        let created = Command::new("sqlite3").arg(&database).stdin(script).status().expect("sqlite3");
        assert!(created.success(), "{name}");
    }
    let mut command = Command::new(program);
    command.arg("-f").arg(repository().join("tests/interop/kamailio/subject.cfg"));
    command.args(["-DD", "-E", "-m", "128", "-w"]).arg(place.folder()).arg("-Y").arg(place.folder());
    for transport in ["udp", "tcp"] {
        command.args(["-l", &format!("{transport}:{}", place.server())]);
    }
    command.args(["-A", &format!("DATABASE=\"sqlite:///{}\"", database.display())]);
    command
}
