//! What the operating system says: CPU and memory of the server's process tree, of this process
//! and of everything else on the machine, and UDP buffer overflows.

use std::collections::HashMap;
use std::fs;

fn read(p: String) -> String {
    fs::read_to_string(p).unwrap_or_default()
}

/// The given processes and all their descendants.
fn tree(roots: &[u32]) -> Vec<u32> {
    let mut kids: HashMap<u32, Vec<u32>> = HashMap::new();
    for e in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = e.file_name().to_str().and_then(|s| s.parse::<u32>().ok()) else { continue };
        let st = read(format!("/proc/{pid}/stat"));
        let ppid = st.rsplit(')').next().and_then(|r| r.split_whitespace().nth(1)).and_then(|s| s.parse().ok());
        if let Some(pp) = ppid {
            kids.entry(pp).or_default().push(pid);
        }
    }
    let mut out: Vec<u32> = roots.to_vec();
    let mut i = 0;
    while i < out.len() {
        for k in kids.get(&out[i]).into_iter().flatten() {
            if !out.contains(k) {
                out.push(*k);
            }
        }
        i += 1;
    }
    out
}

#[derive(Default, Clone)]
pub(crate) struct Snap {
    pub(crate) server_ns: u64,
    pub(crate) server_user_ticks: u64,
    pub(crate) server_sys_ticks: u64,
    pub(crate) server_ctxsw: u64,
    pub(crate) procs: usize,
    pub(crate) self_ns: u64,
    pub(crate) busy_ticks: u64,
    pub(crate) steal_ticks: u64,
    pub(crate) softirq_ticks: u64,
    pub(crate) rcvbuf_errors: u64,
    pub(crate) wall_ns: u64,
}

#[derive(Default, Clone)]
pub(crate) struct Mem {
    pub(crate) pss_kb: u64,
    pub(crate) private_kb: u64,
    pub(crate) rss_max_kb: u64,
}

pub(crate) fn now_ns() -> u64 {
    let mut ts: libc::timespec = unsafe { std::mem::zeroed() };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

pub(crate) fn snap(roots: &[u32]) -> Snap {
    let mut s = Snap { wall_ns: now_ns(), ..Default::default() };
    if !roots.is_empty() {
        for pid in tree(roots) {
            s.procs += 1;
            for t in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let p = t.path();
                let ss = fs::read_to_string(p.join("schedstat")).unwrap_or_default();
                s.server_ns += ss.split_whitespace().next().and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
                for l in fs::read_to_string(p.join("status")).unwrap_or_default().lines() {
                    if l.contains("ctxt_switches") {
                        s.server_ctxsw += l.split_whitespace().last().and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
                    }
                }
            }
            let st = read(format!("/proc/{pid}/stat"));
            let f: Vec<&str> = st.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            if f.len() > 12 {
                s.server_user_ticks += f[11].parse::<u64>().unwrap_or(0);
                s.server_sys_ticks += f[12].parse::<u64>().unwrap_or(0);
            }
        }
    }
    let mut ts: libc::timespec = unsafe { std::mem::zeroed() };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut ts) };
    s.self_ns = ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64;
    let stat = read("/proc/stat".into());
    let f: Vec<u64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).map(|v| v.parse().unwrap_or(0)).collect();
    if f.len() > 7 {
        s.busy_ticks = f[0] + f[1] + f[2] + f[5] + f[6];
        s.softirq_ticks = f[6];
        s.steal_ticks = f[7];
    }
    let snmp = read("/proc/net/snmp".into());
    let mut udp = snmp.lines().filter(|l| l.starts_with("Udp:"));
    if let (Some(h), Some(v)) = (udp.next(), udp.next()) {
        for (k, val) in h.split_whitespace().zip(v.split_whitespace()) {
            if k == "RcvbufErrors" {
                s.rcvbuf_errors = val.parse().unwrap_or(0);
            }
        }
    }
    s
}

pub(crate) fn mem(roots: &[u32]) -> Mem {
    let mut m = Mem::default();
    if roots.is_empty() {
        return m;
    }
    for pid in tree(roots) {
        for l in read(format!("/proc/{pid}/smaps_rollup")).lines() {
            let kb = l.split_whitespace().nth(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
            if l.starts_with("Pss:") {
                m.pss_kb += kb;
            } else if l.starts_with("Private_") {
                m.private_kb += kb;
            } else if l.starts_with("Rss:") {
                m.rss_max_kb = m.rss_max_kb.max(kb);
            }
        }
    }
    m
}
