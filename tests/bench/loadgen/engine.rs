//! Client transactions, pacing and the event loop.
//!
//! A response is accepted only if its top Via carries a branch of a live transaction and its
//! Call-ID, CSeq number and CSeq method are the request's; anything else is counted.

use std::collections::VecDeque;
use std::io::Write;

use crate::auth::Cred;
use crate::net::{Batch, Net};
use crate::options::AuthMode;
use crate::probe::now_ns;
use crate::sip::{self, Msg};
use crate::users::Users;

const T1: u64 = 500_000_000;
const LEVELS: usize = 4; // T1, 2*T1, 4*T1 = T2, then T2 again

#[derive(Clone, Copy)]
pub(crate) struct Op {
    pub(crate) kind: u8,
    pub(crate) index: u32,
    pub(crate) user: u32,
    pub(crate) sock: usize,
    pub(crate) start: u64,
    pub(crate) method: &'static str,
}

struct Transaction {
    generation: u32,
    live: bool,
    op: Op,
    cseq: u32,
    call_id: (usize, usize),
    buf: Vec<u8>,
    level: u8,
    answered_challenge: bool,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) retransmissions: u64,
    pub(crate) timeouts: u64,
    pub(crate) bad_status: u64,
    pub(crate) mismatched: u64,
    pub(crate) late: u64,
    pub(crate) unparsable: u64,
    pub(crate) bad_content: u64,
    pub(crate) duplicate_requests: u64,
    pub(crate) stray_requests: u64,
    pub(crate) challenges: u64,
    pub(crate) last_bad: String,
}

impl Counters {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "retransmissions": self.retransmissions, "timeouts": self.timeouts, "bad_status": self.bad_status,
            "mismatched": self.mismatched, "late": self.late, "unparsable": self.unparsable,
            "bad_content": self.bad_content, "duplicate_requests": self.duplicate_requests,
            "stray_requests": self.stray_requests, "challenges": self.challenges, "last_bad": self.last_bad,
        })
    }
}

/// How a phase is paced: `rate` operations a second (0: as fast as `window` allows), `window` in flight at most.
pub(crate) struct Plan {
    pub(crate) count: u64,
    pub(crate) rate: f64,
    pub(crate) window: u64,
    pub(crate) max_secs: f64,
}

pub(crate) struct Engine {
    pub(crate) net: Net,
    pub(crate) run: u32,
    pub(crate) users: Users,
    pub(crate) auth: AuthMode,
    pub(crate) c: Counters,
    /// Of completed operations, in microseconds from the moment they were due.
    pub(crate) latencies: Vec<u32>,
    pub(crate) refusal_latencies: Vec<u32>,
    /// Operations a second that were really started.
    pub(crate) offered_rate: f64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Turned away with 503.
    pub(crate) refused: u64,
    pub(crate) in_flight: u64,
    timeout_ns: u64,
    transactions: Vec<Transaction>,
    free: Vec<u32>,
    timers: [VecDeque<(u64, u32, u32)>; LEVELS],
    creds: Vec<Option<Cred>>,
}

pub(crate) trait App {
    /// Starts operation `i` (meant for time `due`); false if nothing can be started now.
    fn issue(&mut self, e: &mut Engine, i: u64, due: u64) -> bool;
    /// A final response that matched its transaction.
    fn on_final(&mut self, e: &mut Engine, op: Op, m: &Msg<'_>);
    fn on_timeout(&mut self, e: &mut Engine, op: Op);
    fn on_request(&mut self, e: &mut Engine, sock: usize, src: &libc::sockaddr_in, m: &Msg<'_>);
}

impl Engine {
    pub(crate) fn new(net: Net, users: Users, auth: AuthMode, timeout_ns: u64) -> Self {
        let run = (now_ns() as u32).rotate_left(7) ^ std::process::id();
        Self {
            net,
            run,
            users,
            auth,
            c: Counters::default(),
            latencies: Vec::new(),
            refusal_latencies: Vec::new(),
            offered_rate: 0.0,
            done: 0,
            failed: 0,
            refused: 0,
            in_flight: 0,
            timeout_ns,
            transactions: Vec::new(),
            free: Vec::new(),
            timers: Default::default(),
            creds: Vec::new(),
        }
    }

    pub(crate) fn complete(&mut self, start: u64) {
        self.latencies.push(micros_since(start));
        self.done += 1;
        self.in_flight -= 1;
    }

    pub(crate) fn refuse(&mut self, start: u64) {
        self.refusal_latencies.push(micros_since(start));
        self.refused += 1;
        self.in_flight -= 1;
    }

    pub(crate) fn fail(&mut self) {
        self.failed += 1;
        self.in_flight -= 1;
    }

    fn via(&self, slot: u32, generation: u32, sock: usize) -> String {
        let s = &self.net.socks[sock];
        let t = if s.tcp { "TCP" } else { "UDP" };
        format!("Via: SIP/2.0/{t} {};rport;branch=z9hG4bKlg{:x}.{slot:x}.{generation:x}\r\n", s.local, self.run)
    }

    /// Sends a request and starts its transaction. `rest` appends every header after Via and
    /// ends with Content-Length, the blank line and the body.
    pub(crate) fn request(&mut self, op: Op, uri: &[u8], cseq: u32, rest: impl FnOnce(&mut Vec<u8>)) {
        let slot = match self.free.pop() {
            Some(s) => s,
            None => {
                self.transactions.push(Transaction {
                    generation: 0,
                    live: false,
                    op,
                    cseq: 0,
                    call_id: (0, 0),
                    buf: Vec::new(),
                    level: 0,
                    answered_challenge: false,
                });
                self.transactions.len() as u32 - 1
            }
        };
        let generation = self.transactions[slot as usize].generation + 1;
        let mut buf = std::mem::take(&mut self.transactions[slot as usize].buf);
        buf.clear();
        buf.extend_from_slice(op.method.as_bytes());
        buf.push(b' ');
        buf.extend_from_slice(uri);
        buf.extend_from_slice(b" SIP/2.0\r\n");
        let via = self.via(slot, generation, op.sock);
        buf.extend_from_slice(via.as_bytes());
        rest(&mut buf);
        if self.auth == AuthMode::Reuse
            && let Some(Some(c)) = self.creds.get_mut(op.user as usize)
        {
            let h = c.header(
                &self.users.name(op.user),
                &self.users.password(op.user),
                op.method,
                &String::from_utf8_lossy(uri),
            );
            insert_header(&mut buf, h.as_bytes());
        }
        self.launch(slot, generation, op, cseq, buf, false);
    }

    fn launch(&mut self, slot: u32, generation: u32, op: Op, cseq: u32, buf: Vec<u8>, answered: bool) {
        // Invariant: every request that this program writes has a Call-ID line.
        let at = memchr::memmem::find(&buf, b"\r\nCall-ID: ").expect("request without Call-ID") + 11;
        let end = at + memchr::memchr(b'\r', &buf[at..]).unwrap();
        let dst = self.net.server;
        self.net.send(op.sock, &dst, &buf);
        self.transactions[slot as usize] = Transaction {
            generation,
            live: true,
            op,
            cseq,
            call_id: (at, end),
            buf,
            level: 0,
            answered_challenge: answered,
        };
        self.timers[0].push_back((now_ns() + T1, slot, generation));
    }

    pub(crate) fn reply(&mut self, sock: usize, src: &libc::sockaddr_in, m: &Msg<'_>, status: &str, extra: &str) {
        let mut b = Vec::with_capacity(512);
        let _ = write!(b, "SIP/2.0 {status}\r\n");
        for v in &m.vias[..m.nvia] {
            b.extend_from_slice(b"Via: ");
            b.extend_from_slice(v);
            b.extend_from_slice(b"\r\n");
        }
        for v in &m.rrs[..m.nrr] {
            b.extend_from_slice(b"Record-Route: ");
            b.extend_from_slice(v);
            b.extend_from_slice(b"\r\n");
        }
        b.extend_from_slice(b"From: ");
        b.extend_from_slice(m.from);
        b.extend_from_slice(b"\r\nTo: ");
        b.extend_from_slice(m.to);
        if sip::param(m.to, b"tag").is_none() {
            let h = m.call_id.iter().fold(0xcbf29ce484222325u64, |h, &c| (h ^ c as u64).wrapping_mul(0x100000001b3));
            let _ = write!(b, ";tag=lg{h:x}");
        }
        b.extend_from_slice(b"\r\nCall-ID: ");
        b.extend_from_slice(m.call_id);
        let _ = write!(b, "\r\nCSeq: {} ", m.cseq);
        b.extend_from_slice(m.cseq_method);
        let _ = write!(b, "\r\n{extra}Content-Length: 0\r\n\r\n");
        self.net.send(sock, src, &b);
    }

    fn release(&mut self, slot: u32) -> Op {
        let t = &mut self.transactions[slot as usize];
        t.live = false;
        self.free.push(slot);
        t.op
    }

    fn match_response(&mut self, m: &Msg<'_>) -> Option<u32> {
        let prefix = sip::param(m.vias[0], b"branch")?.strip_prefix(b"z9hG4bKlg")?;
        let mut it = prefix.split(|&c| c == b'.');
        if sip::parse_hex(it.next()?)? != self.run {
            return None;
        }
        let slot = sip::parse_hex(it.next()?)?;
        let generation = sip::parse_hex(it.next()?)?;
        let t = self.transactions.get(slot as usize)?;
        if t.generation != generation || !t.live {
            self.c.late += 1;
            return Some(u32::MAX);
        }
        let id = &t.buf[t.call_id.0..t.call_id.1];
        (id == m.call_id && t.cseq == m.cseq && t.op.method.as_bytes() == m.cseq_method).then_some(slot)
    }

    fn on_message<A: App>(&mut self, app: &mut A, sock: usize, src: &libc::sockaddr_in, b: &[u8]) {
        if b.len() <= 4 && b.iter().all(|c| matches!(c, b'\r' | b'\n' | 0)) {
            return;
        }
        let Some(m) = sip::parse(b) else {
            self.c.unparsable += 1;
            return;
        };
        if m.is_request {
            return app.on_request(self, sock, src, &m);
        }
        let slot = match self.match_response(&m) {
            Some(u32::MAX) => return,
            Some(s) => s,
            None => {
                self.c.mismatched += 1;
                return;
            }
        };
        if m.status < 200 {
            return;
        }
        if matches!(m.status, 401 | 407)
            && self.auth != AuthMode::None
            && !self.transactions[slot as usize].answered_challenge
        {
            self.c.challenges += 1;
            if let Some(c) = Cred::from_challenge(m.challenge, m.status == 407) {
                return self.answer_challenge(slot, c);
            }
        }
        let op = self.release(slot);
        app.on_final(self, op, &m);
    }

    fn answer_challenge(&mut self, old: u32, mut cred: Cred) {
        let op = self.release(old);
        // Invariant: the slot just released is free.
        let slot = self.free.pop().unwrap();
        let generation = self.transactions[slot as usize].generation + 1;
        let cseq = self.transactions[slot as usize].cseq + 1;
        let prev = std::mem::take(&mut self.transactions[slot as usize].buf);
        let mut buf = Vec::with_capacity(prev.len() + 300);
        // Invariant: `prev` is a request that this program wrote, so it has a request line and a header end.
        let he = sip::header_end(&prev).unwrap();
        let mut uri = String::new();
        for (i, line) in prev[..he].split_inclusive(|&c| c == b'\n').enumerate() {
            if i == 0 {
                uri = String::from_utf8_lossy(line.split(|&c| c == b' ').nth(1).unwrap()).into_owned();
                buf.extend_from_slice(line);
            } else if i == 1 {
                buf.extend_from_slice(self.via(slot, generation, op.sock).as_bytes());
            } else if line.starts_with(b"CSeq:") {
                let _ = write!(buf, "CSeq: {cseq} {}\r\n", op.method);
            } else if !line.starts_with(b"Authorization:") && !line.starts_with(b"Proxy-Authorization:") {
                buf.extend_from_slice(line);
            }
        }
        buf.extend_from_slice(&prev[he..]);
        let h = cred.header(&self.users.name(op.user), &self.users.password(op.user), op.method, &uri);
        insert_header(&mut buf, h.as_bytes());
        if self.auth == AuthMode::Reuse {
            let u = op.user as usize;
            if self.creds.len() <= u {
                self.creds.resize(u + 1, None);
            }
            self.creds[u] = Some(cred);
        }
        self.launch(slot, generation, op, cseq, buf, true);
    }

    fn run_timers<A: App>(&mut self, app: &mut A, now: u64) {
        for lvl in 0..LEVELS {
            while let Some(&(at, slot, generation)) = self.timers[lvl].front() {
                if at > now {
                    break;
                }
                self.timers[lvl].pop_front();
                let t = &mut self.transactions[slot as usize];
                if !t.live || t.generation != generation {
                    continue;
                }
                t.level += 1;
                let elapsed = T1 * [1, 3, 7, 15, 23, 31, 39, 47, 55, 63, 64][(t.level as usize - 1).min(10)];
                if elapsed >= self.timeout_ns {
                    self.c.timeouts += 1;
                    let op = self.release(slot);
                    app.on_timeout(self, op);
                    continue;
                }
                let next = (lvl + 1).min(LEVELS - 1);
                let sock = t.op.sock;
                if !self.net.socks[sock].tcp {
                    let buf = std::mem::take(&mut t.buf);
                    let dst = self.net.server;
                    self.net.send(sock, &dst, &buf);
                    self.transactions[slot as usize].buf = buf;
                    self.c.retransmissions += 1;
                }
                self.timers[next].push_back((now + (T1 << next.min(3)), slot, generation));
            }
        }
    }

    /// Runs `plan.count` operations to their end. Returns the seconds from first issue to last completion.
    pub(crate) fn drive<A: App>(&mut self, app: &mut A, plan: &Plan) -> f64 {
        self.done = 0;
        self.failed = 0;
        self.refused = 0;
        self.in_flight = 0;
        self.latencies = Vec::with_capacity(plan.count as usize);
        self.refusal_latencies.clear();
        let t0 = now_ns();
        let end = t0 + (plan.max_secs * 1e9) as u64;
        let mut issued: u64 = 0;
        let gap = if plan.rate > 0.0 { 1e9 / plan.rate } else { 0.0 };
        let mut batch = Batch::new();
        let mut ready = Vec::new();
        let mut last_issue = t0;
        let last;
        loop {
            let now = now_ns();
            let mut next_due = u64::MAX;
            while issued < plan.count && self.in_flight < plan.window {
                let due = if plan.rate > 0.0 { t0 + (issued as f64 * gap) as u64 } else { now };
                if due > now {
                    next_due = due;
                    break;
                }
                if !app.issue(self, issued, due) {
                    break;
                }
                issued += 1;
                last_issue = now;
                self.in_flight += 1;
            }
            self.run_timers(app, now);
            self.net.flush();
            if self.done + self.failed + self.refused >= plan.count {
                last = now;
                break;
            }
            if now > end {
                eprintln!("loadgen: gave up after {} s with {} in flight", plan.max_secs, self.in_flight);
                self.failed += self.in_flight;
                last = now;
                break;
            }
            let wait = (next_due.saturating_sub(now)).clamp(20_000, 5_000_000);
            self.net.wait(wait, &mut ready);
            self.pump(app, &ready, &mut batch);
        }
        self.offered_rate = issued as f64 / ((last_issue - t0).max(1) as f64 / 1e9);
        (last - t0) as f64 / 1e9
    }

    fn pump<A: App>(&mut self, app: &mut A, ready: &[usize], batch: &mut Batch) {
        for &s in ready {
            if self.net.socks[s].tcp {
                let (buf, msgs, used) = self.net.tcp_take(s);
                let src = self.net.server;
                for (a, z) in msgs {
                    self.on_message(app, s, &src, &buf[a..z]);
                }
                self.net.tcp_done(s, buf, used);
                continue;
            }
            // At most four batches a socket, so that one busy socket cannot starve the rest.
            for _ in 0..4 {
                let n = self.net.recv(s, batch);
                for i in 0..n {
                    let (b, src) = batch.get(i);
                    self.on_message(app, s, &src, b);
                }
                if n < 64 {
                    break;
                }
            }
            self.net.flush();
        }
    }

    /// Answers whatever still comes in for `secs`.
    pub(crate) fn linger<A: App>(&mut self, app: &mut A, secs: f64) {
        let end = now_ns() + (secs * 1e9) as u64;
        let mut batch = Batch::new();
        let mut ready = Vec::new();
        while now_ns() < end {
            let now = now_ns();
            self.run_timers(app, now);
            self.net.wait(5_000_000, &mut ready);
            self.pump(app, &ready, &mut batch);
            self.net.flush();
        }
    }
}

fn micros_since(start: u64) -> u32 {
    u32::try_from(now_ns().saturating_sub(start) / 1000).unwrap_or(u32::MAX)
}

fn insert_header(buf: &mut Vec<u8>, h: &[u8]) {
    // Invariant: every request that this program writes has a Content-Length line.
    let at = memchr::memmem::find(buf, b"\r\nContent-Length:").expect("request without Content-Length") + 2;
    buf.splice(at..at, h.iter().copied());
}
