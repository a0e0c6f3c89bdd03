//! A database client that holds a lock until this is dropped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

pub(crate) struct Holder(Child);

impl Holder {
    /// Makes the client run `statements`, and waits until it prints the line `done`.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, statements: &str, done: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a database client");
        child.stdin.as_mut().expect("its input").write_all(statements.as_bytes()).expect("asking it");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        assert!(output.lines().map_while(Result::ok).any(|line| line == done), "{statements} did not work");
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The client ends when its input ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
