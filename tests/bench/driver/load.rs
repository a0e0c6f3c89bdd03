//! Runs the load generator on CPU 1 and reads what it measured.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::server::{ADDRESS, Server, beside_this_program, pinned, source};

const LOADGEN_CPU: &str = "1";

/// One measured phase of the load generator.
pub(crate) struct Measured(Value);

impl Measured {
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        self.0.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0)
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.number("/server/cpu_us_per_op")
    }

    /// Everything that must not happen in a run without overload.
    pub(crate) fn faults(&self) -> f64 {
        ["/failed", "/refused", "/retransmissions", "/bad_content", "/mismatched", "/unparsable", "/duplicate_requests"]
            .iter()
            .map(|pointer| self.number(pointer))
            .sum()
    }

    /// Bytes of memory that the server gained for each operation.
    pub(crate) fn bytes_per_operation(&self) -> f64 {
        let gained = self.number("/server/pss_kb_after") - self.number("/server/pss_kb_before");
        gained * 1024.0 / self.number("/ops").max(1.0)
    }
}

/// Runs `load` (a mode and its options) and returns its first measured phase, which goes to results/`label`.jsonl too.
pub(crate) fn run(server: &Server, load: &str, label: &str) -> Result<Measured> {
    let (mode, options) = load.split_once(' ').unwrap_or((load, ""));
    let mut command = pinned(LOADGEN_CPU, &beside_this_program("loadgen"));
    command.arg(mode).args(options.split_whitespace());
    command.args(["--server", ADDRESS, "--domain", "bench.local", "--label", label]);
    command.args(["--server-pid", &server.id().to_string()]);
    let output = command.output().context("starting loadgen")?;
    if !output.status.success() {
        bail!("{label}: loadgen {load}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    keep(label, &text)?;
    let first = text.lines().next().context("loadgen measured nothing")?;
    Ok(Measured(serde_json::from_str(first)?))
}

fn keep(label: &str, lines: &str) -> Result<()> {
    let folder = source().join("results");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{label}.jsonl"));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(file.write_all(lines.as_bytes())?)
}
