//! Drives a measured phase and prints what it showed as one JSON line.

use serde_json::{Value, json};

use crate::engine::{App, Engine, Plan};
use crate::probe::{self, Snap};

pub(crate) struct Report {
    pub(crate) label: String,
    pub(crate) mode: &'static str,
    pub(crate) pids: Vec<u32>,
}

impl Report {
    /// `extra` may add members once the phase is over; it is given the server's CPU time in microseconds.
    pub(crate) fn measure<A: App>(
        &self,
        phase: &str,
        (engine, app): (&mut Engine, &mut A),
        plan: &Plan,
        extra: impl FnOnce(&mut A, f64) -> Value,
    ) {
        engine.c = Default::default();
        let memory_before = probe::mem(&self.pids);
        let (sent, received) = (engine.net.sent, engine.net.received);
        let before = probe::snap(&self.pids);
        let secs = engine.drive(app, plan);
        let after = probe::snap(&self.pids);
        let memory = probe::mem(&self.pids);
        let server_us = (after.server_ns - before.server_ns) as f64 / 1000.0;
        let mut line = json!({
            "label": self.label, "mode": self.mode, "phase": phase,
            "ops": engine.done, "failed": engine.failed, "refused": engine.refused, "offered": plan.count, "secs": secs,
            "ops_per_s": engine.done as f64 / secs, "offered_per_s": engine.offered_rate,
            "latency": latency(&mut engine.latencies), "refusal_latency": latency(&mut engine.refusal_latencies),
            "server": {
                "pss_kb_before": memory_before.pss_kb, "pss_kb_after": memory.pss_kb, "private_kb_after": memory.private_kb,
            },
            "sent": engine.net.sent - sent, "received": engine.net.received - received,
            "udp_rcvbuf_errors": after.rcvbuf_errors - before.rcvbuf_errors,
        });
        merge(&mut line["server"], server_figures(&before, &after, engine.done.max(1) as f64));
        merge(&mut line, noise(&before, &after, engine.done.max(1) as f64));
        merge(&mut line, engine.c.to_json());
        merge(&mut line, extra(app, server_us));
        println!("{line}");
    }

    pub(crate) fn held(&self, subscriptions: u32) {
        let memory = probe::mem(&self.pids);
        println!(
            "{}",
            json!({ "label": self.label, "mode": self.mode, "phase": "held", "subscriptions": subscriptions,
                "pss_kb": memory.pss_kb, "private_kb": memory.private_kb })
        );
    }
}

fn server_figures(before: &Snap, after: &Snap, ops: f64) -> Value {
    let cpu_us = (after.server_ns - before.server_ns) as f64 / 1000.0;
    let wall_us = (after.wall_ns - before.wall_ns) as f64 / 1000.0;
    let user = (after.server_user_ticks - before.server_user_ticks) as f64;
    let system = (after.server_sys_ticks - before.server_sys_ticks) as f64;
    json!({
        "procs": after.procs,
        "cpu_us_per_op": cpu_us / ops,
        "cpu_cores": cpu_us / wall_us,
        "sys_share": if user + system > 0.0 { system / (user + system) } else { 0.0 },
        "ctxsw_per_op": (after.server_ctxsw - before.server_ctxsw) as f64 / ops,
    })
}

/// What this process and everything else on the machine used meanwhile.
fn noise(before: &Snap, after: &Snap, ops: f64) -> Value {
    const TICK_US: f64 = 10_000.0;
    let wall_us = (after.wall_ns - before.wall_ns) as f64 / 1000.0;
    let server_us = (after.server_ns - before.server_ns) as f64 / 1000.0;
    let own_us = (after.self_ns - before.self_ns) as f64 / 1000.0;
    let busy_us = (after.busy_ticks - before.busy_ticks) as f64 * TICK_US;
    json!({
        "loadgen": { "cpu_us_per_op": own_us / ops, "cpu_cores": own_us / wall_us },
        "other_cores": ((busy_us - server_us - own_us) / wall_us).max(0.0),
        "steal_cores": (after.steal_ticks - before.steal_ticks) as f64 * TICK_US / wall_us,
    })
}

/// Percentiles of latencies given in microseconds; sorts them.
pub(crate) fn latency(values: &mut [u32]) -> Value {
    values.sort_unstable();
    let at = |share: f64| {
        let index = (values.len() as f64 * share) as usize;
        values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    json!({ "n": values.len(), "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1.0) })
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_hundred_values_are_those_values() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        let latency = latency(&mut values);
        assert_eq!(latency["p50_us"], 51);
        assert_eq!(latency["p99_us"], 100);
        assert_eq!(latency["max_us"], 100);
    }

    #[test]
    fn no_values_have_zero_percentiles() {
        assert_eq!(latency(&mut [])["p99_us"], 0);
    }
}
