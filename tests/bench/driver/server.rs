//! Starts and stops one server under test on CPU 0, in a folder of its own.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};

use crate::cases::Setup;
use crate::{accounts, presence_tables};

pub(crate) const ADDRESS: &str = "127.0.0.1:15060";
const SERVER_CPU: &str = "0";
/// How long a server may take to answer its first request, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// Shared memory of Kamailio: 13 kB for each transaction of the last five seconds have to fit.
const KAMAILIO_MEMORY: &str = "3000";
/// Megabytes of memory that Signalbox takes at its start, as Kamailio does.
const SIGNALBOX_MEMORY: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Subject {
    Signalbox,
    Kamailio,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Signalbox => "signalbox",
            Self::Kamailio => "kamailio",
        }
    }

    /// Where its program is, if it is installed.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let path = match self {
            Self::Signalbox => beside_this_program("signalbox"),
            Self::Kamailio => ["/usr/sbin/kamailio", "/usr/local/sbin/kamailio"]
                .into_iter()
                .map(PathBuf::from)
                .find(|path| path.exists())
                .unwrap_or_default(),
        };
        path.exists().then_some(path)
    }
}

pub(crate) struct Server {
    process: Child,
    /// Holds its settings, database and log; goes with it.
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(subject: Subject, setup: Setup) -> Result<Self> {
        let folder = tempfile::tempdir().context("temporary folder")?;
        let program = subject.program().with_context(|| format!("{} is not installed", subject.name()))?;
        let log = folder.path().join("log");
        let mut command = pinned(SERVER_CPU, &program);
        match subject {
            Subject::Signalbox => signalbox_arguments(&mut command, setup, folder.path())?,
            Subject::Kamailio => kamailio_arguments(&mut command, setup, folder.path())?,
        }
        command.current_dir(folder.path()).stdin(Stdio::null());
        let output = fs::File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let mut server = Self { process, _folder: folder };
        if let Err(error) = server.wait_until_ready() {
            bail!("{}: {error}\n{}", subject.name(), fs::read_to_string(&log).unwrap_or_default());
        }
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// It is ready when it answers an OPTIONS for somebody it doesn't know.
    fn wait_until_ready(&mut self) -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let local = socket.local_addr()?;
        let deadline = Instant::now() + PATIENCE;
        let mut cseq = 0;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                bail!("it ended at once, {status}");
            }
            cseq += 1;
            let request = format!(
                "OPTIONS sip:nobody@bench.local SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKready{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:ready@bench.local>;tag=r\r\nTo: <sip:nobody@bench.local>\r\n\
                 Call-ID: ready{cseq}\r\nCSeq: {cseq} OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            // A port that isn't open yet shows as an error of this or the next call.
            let _ = socket.send_to(request.as_bytes(), ADDRESS);
            match socket.recv(&mut [0; 2048]) {
                Ok(_) => return Ok(()),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
        bail!("no answer within {PATIENCE:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the process is our child and has not been waited for, so its id is still its own.
        unsafe { libc::kill(self.process.id() as i32, libc::SIGTERM) };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command bound to one CPU, where there are several.
pub(crate) fn pinned(cpu: &str, program: &Path) -> Command {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", cpu]).arg(program);
    command
}

/// The folder of this benchmark in the source tree.
pub(crate) fn source() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn beside_this_program(name: &str) -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name(name)
}

fn kamailio_arguments(command: &mut Command, setup: Setup, folder: &Path) -> Result<()> {
    let routing = if setup.presence { "kamailio/presence.cfg" } else { "kamailio/relay.cfg" };
    command.arg("-f").arg(source().join(routing));
    command.args(["-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", KAMAILIO_MEMORY, "-M", "16", "-w"]).arg(folder);
    command.arg("-Y").arg(folder).arg("-P").arg(folder.join("pid"));
    command.args(["-l", &format!("udp:{ADDRESS}")]);
    if !setup.untouched {
        command.args(["-A", "FORCE_ALLOC"]);
    }
    if setup.tcp {
        command.args(["-l", &format!("tcp:{ADDRESS}"), "-A", "WITH_TCP"]);
    }
    if setup.presence {
        let database = folder.join("presence.sqlite");
        presence_tables::create(&database)?;
        command.args(["-A", &format!("TABLES=\"sqlite:///{}\"", database.display())]);
    }
    if setup.digest {
        let database = folder.join("accounts.sqlite");
        accounts::for_kamailio(&database)?;
        command.args(["-A", "WITH_DIGEST", "-A", &format!("ACCOUNTS=\"sqlite:///{}\"", database.display())]);
    }
    Ok(())
}

fn signalbox_arguments(command: &mut Command, setup: Setup, folder: &Path) -> Result<()> {
    let settings = folder.join("settings.lua");
    fs::write(&settings, signalbox_settings(setup))?;
    if setup.digest {
        accounts::for_signalbox(&folder.join("bench.db"))?;
    }
    command.arg("run").arg(settings);
    Ok(())
}

fn signalbox_settings(setup: Setup) -> String {
    let script = match setup {
        Setup { presence: true, .. } => "presence.lua",
        Setup { digest: true, .. } => "relay_digest.lua",
        _ => "relay.lua",
    };
    let mut text =
        format!("listen {{ \"udp:{ADDRESS}\", \"tcp:{ADDRESS}\" }}\nalias {{ \"bench.local\" }}\nworkers(1)\n");
    if !setup.untouched {
        text.push_str(&format!("preallocate({SIGNALBOX_MEMORY})\n"));
    }
    text.push_str("loadmodule \"registrar\"\nmodparam(\"registrar\", \"max_expires\", 7200)\n");
    if setup.presence {
        text.push_str("loadmodule \"pa\"\nmodparam(\"pa\", \"auth\", \"none\")\n");
        text.push_str("modparam(\"pa\", \"db_url\", \"sqlite:bench.db\")\n");
        // All load comes from one address, and no passwords are asked for.
        for limit in ["max_subscriptions_per_source", "max_octets_per_source", "max_unauthenticated_octets"] {
            text.push_str(&format!("modparam(\"pa\", \"{limit}\", 0)\n"));
        }
    } else if setup.durable {
        text.push_str("modparam(\"registrar\", \"db_url\", \"sqlite:bench.db\")\n");
    }
    if setup.digest {
        text.push_str("loadmodule \"auth\"\nmodparam(\"auth\", \"db_url\", \"sqlite:bench.db\")\n");
    }
    text.push_str(&format!("route_script {:?}\n", source().join("signalbox").join(script)));
    text
}
