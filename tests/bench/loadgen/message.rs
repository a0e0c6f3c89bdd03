//! MESSAGE from one user to another through the server; this process is both ends.

use std::io::Write;

use crate::engine::{App, Engine, Op};
use crate::sip::{self, Msg};

pub(crate) struct Message {
    pub(crate) uac_first: usize,
    pub(crate) uas_first: usize,
    pub(crate) socks: usize,
    pub(crate) users: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) delivered: u64,
    /// A 503 is an answer that overload control may give, not a failure.
    pub(crate) refusals: bool,
    pub(crate) refused_without_retry_after: u64,
    /// Delivered operations, one bit each: the relay must not duplicate.
    seen: Vec<u64>,
}

impl Message {
    pub(crate) fn new(uac_first: usize, uas_first: usize, socks: usize, users: u32, body_len: usize) -> Self {
        let body: Vec<u8> =
            b"The quick brown fox jumps over the lazy dog. ".iter().cycle().take(body_len).copied().collect();
        Self {
            uac_first,
            uas_first,
            socks,
            users,
            body,
            delivered: 0,
            refusals: false,
            refused_without_retry_after: 0,
            seen: Vec::new(),
        }
    }
    fn target(&self, i: u64) -> u32 {
        // A fixed odd stride, so that successive operations hit different hash buckets.
        ((i.wrapping_mul(7919)) % self.users as u64) as u32
    }
}

impl App for Message {
    fn issue(&mut self, e: &mut Engine, i: u64, due: u64) -> bool {
        let to = self.target(i);
        let from = (i % self.users as u64) as u32;
        let sock = self.uac_first + i as usize % self.socks;
        let (aor_to, aor_from, run) = (e.users.aor(to), e.users.aor(from), e.run);
        let body = &self.body;
        let op = Op { kind: 1, index: i as u32, user: from, sock, start: due, method: "MESSAGE" };
        e.request(op, aor_to.as_bytes(), 1, |b| {
            let _ = write!(
                b,
                "Max-Forwards: 70\r\nFrom: <{aor_from}>;tag=m{i:x}\r\nTo: <{aor_to}>\r\nCall-ID: m{i:x}-{run:x}@lg\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            b.extend_from_slice(body);
        });
        true
    }

    fn on_final(&mut self, e: &mut Engine, op: Op, m: &Msg<'_>) {
        if m.status == 503 && self.refusals {
            if !m.retry_after {
                self.refused_without_retry_after += 1;
            }
            return e.refuse(op.start);
        }
        if m.status != 200 {
            e.c.bad_status += 1;
            e.c.last_bad = format!("MESSAGE {}", m.status);
            return e.fail();
        }
        if !sip::param(m.to, b"tag").is_some_and(|t| t.starts_with(b"lg")) {
            e.c.bad_content += 1; // not the answer of our UAS
            return e.fail();
        }
        e.complete(op.start);
    }

    fn on_timeout(&mut self, e: &mut Engine, _: Op) {
        e.fail();
    }

    fn on_request(&mut self, e: &mut Engine, sock: usize, src: &libc::sockaddr_in, m: &Msg<'_>) {
        let idx = m.call_id.strip_prefix(b"m").and_then(|r| r.split(|&c| c == b'-').next()).and_then(sip::parse_hex);
        let (Some(i), true) = (idx, m.method == b"MESSAGE" && sock >= self.uas_first) else {
            e.c.stray_requests += 1;
            return;
        };
        let want = e.users.name(self.target(i as u64));
        let user = m.uri.strip_prefix(b"sip:").unwrap_or(m.uri);
        if !(user.starts_with(want.as_bytes()) && user.get(want.len()) == Some(&b'@'))
            || m.body != &self.body[..]
            || m.nvia < 2
        {
            e.c.bad_content += 1;
        }
        let (w, bit) = (i as usize / 64, 1u64 << (i % 64));
        if self.seen.len() <= w {
            self.seen.resize(w + 1024, 0);
        }
        if self.seen[w] & bit != 0 {
            e.c.duplicate_requests += 1;
        } else {
            self.seen[w] |= bit;
            self.delivered += 1;
        }
        e.reply(sock, src, m, "200 OK", "");
    }
}
