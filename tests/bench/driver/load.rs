//! Runs the load generator on CPU 1 and reads what it measured.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::server::{ADDRESS, Server, beside_this_program, pinned, source};

const LOADGEN_CPU: &str = "1";

/// Everything that must not happen; what a phase can't show counts as none.
const FAULTS: [&str; 8] = [
    "/failed",
    "/refused",
    "/retransmissions",
    "/bad_content",
    "/mismatched",
    "/unparsable",
    "/duplicate_requests",
    "/cseq_out_of_order",
];

/// One measured phase of the load generator.
pub(crate) struct Measured(Value);

impl Measured {
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        self.0.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0)
    }

    pub(crate) fn is_phase(&self, name: &str) -> bool {
        self.0.get("phase").and_then(Value::as_str) == Some(name)
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.number("/server/cpu_us_per_op")
    }

    /// Everything that must not happen in a run without overload.
    pub(crate) fn faults(&self) -> f64 {
        FAULTS.iter().map(|pointer| self.number(pointer)).sum()
    }

    /// Bytes of memory that the server gained for each operation.
    pub(crate) fn bytes_per_operation(&self) -> f64 {
        let gained = self.number("/server/pss_kb_after") - self.number("/server/pss_kb_before");
        gained * 1024.0 / self.number("/ops").max(1.0)
    }
}

/// Runs `load` (a mode and its options) and returns its first measured phase.
pub(crate) fn run(server: &Server, load: &str, label: &str) -> Result<Measured> {
    phases(server, load, label)?.into_iter().next().context("loadgen measured nothing")
}

/// Runs `load` and returns the phase of that name.
pub(crate) fn phase(server: &Server, load: &str, label: &str, name: &str) -> Result<Measured> {
    let found = phases(server, load, label)?.into_iter().find(|measured| measured.is_phase(name));
    found.with_context(|| format!("{label}: loadgen measured no {name}"))
}

/// Runs `load` and returns its measured phases in turn, which go to results/`label`.jsonl too.
pub(crate) fn phases(server: &Server, load: &str, label: &str) -> Result<Vec<Measured>> {
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
    text.lines().map(|line| Ok(Measured(serde_json::from_str(line)?))).collect()
}

fn keep(label: &str, lines: &str) -> Result<()> {
    let folder = source().join("results");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{label}.jsonl"));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(file.write_all(lines.as_bytes())?)
}
