//! A child process with its output in a file. It ends with the test, by its own process id.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::place::Place;
use super::wait::{wait_for, wait_up_to};

pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Hangup = libc::SIGHUP as isize,
    Interrupt = libc::SIGINT as isize,
    Terminate = libc::SIGTERM as isize,
    Kill = libc::SIGKILL as isize,
}

impl Process {
    #[track_caller]
    pub(crate) fn start(place: &Place, name: &str, command: &mut Command) -> Self {
        let output = place.path(&format!("{name}.out"));
        let file = File::options().create(true).append(true).open(&output).expect("output file");
        command.current_dir(place.folder()).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("output file")).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), child, output }
    }

    /// Everything it has printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // SAFETY: the process is our child and has not been waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal as i32) };
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("waiting for a child")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = wait_for(&what, || self.child.try_wait().expect("waiting for a child"));
        if let Some(signal) = status.signal().filter(|signal| *signal != libc::SIGKILL) {
            panic!("{} was ended by signal {signal}:\n{}", self.name, self.output());
        }
        status
    }

    /// Waits until it has printed `text`.
    #[track_caller]
    pub(crate) fn printed(&mut self, text: &str) {
        let found = wait_up_to(super::wait::PATIENCE, || self.output().contains(text).then_some(()));
        assert!(found.is_some(), "{} did not print {text:?}:\n{}", self.name, self.output());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(Signal::Terminate);
        let ended = wait_up_to(Duration::from_secs(5), || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
