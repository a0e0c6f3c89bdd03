//! REGISTER of every user in turn: one binding each, refreshed on later rounds with the same
//! Call-ID and a higher CSeq.

use std::io::Write;

use crate::engine::{App, Engine, Op};
use crate::sip::{self, Msg};

pub(crate) struct Register {
    pub(crate) first_sock: usize,
    pub(crate) socks: usize,
    pub(crate) expires: u32,
    cseq: Vec<u32>,
    busy: Vec<bool>,
    pub(crate) users: u32,
}

impl Register {
    pub(crate) fn new(first_sock: usize, socks: usize, users: u32, expires: u32) -> Self {
        Self { first_sock, socks, expires, cseq: vec![0; users as usize], busy: vec![false; users as usize], users }
    }
    pub(crate) fn contact(e: &Engine, user: u32, sock: usize) -> String {
        let s = &e.net.socks[sock];
        format!("sip:{}@{}{}", e.users.name(user), s.local, if s.tcp { ";transport=tcp" } else { "" })
    }
}

impl App for Register {
    fn issue(&mut self, e: &mut Engine, i: u64, due: u64) -> bool {
        let user = (i % self.users as u64) as u32;
        if self.busy[user as usize] {
            return false;
        }
        self.busy[user as usize] = true;
        self.cseq[user as usize] += 2; // a challenge uses up one more
        let cseq = self.cseq[user as usize];
        let sock = self.first_sock + user as usize % self.socks;
        let (aor, contact, run, exp) = (e.users.aor(user), Self::contact(e, user, sock), e.run, self.expires);
        let uri = format!("sip:{}", e.users.domain);
        let op = Op { kind: 0, index: user, user, sock, start: due, method: "REGISTER" };
        e.request(op, uri.as_bytes(), cseq, |b| {
            let _ = write!(
                b,
                "Max-Forwards: 70\r\nFrom: <{aor}>;tag=r{user:x}\r\nTo: <{aor}>\r\nCall-ID: r{user:x}-{run:x}@lg\r\nCSeq: {cseq} REGISTER\r\nContact: <{contact}>\r\nExpires: {exp}\r\nContent-Length: 0\r\n\r\n"
            );
        });
        true
    }

    fn on_final(&mut self, e: &mut Engine, op: Op, m: &Msg<'_>) {
        self.busy[op.index as usize] = false;
        if m.status != 200 {
            e.c.bad_status += 1;
            e.c.last_bad = format!("REGISTER {}", m.status);
            return e.fail();
        }
        // The binding must be in the answer.
        let want = Self::contact(e, op.user, op.sock);
        if self.expires > 0 && memchr::memmem::find(m.head, want.as_bytes()).is_none() {
            e.c.bad_content += 1;
            return e.fail();
        }
        if sip::param(m.to, b"tag").is_none() {
            e.c.bad_content += 1;
        }
        e.complete(op.start);
    }

    fn on_timeout(&mut self, e: &mut Engine, op: Op) {
        self.busy[op.index as usize] = false;
        e.fail();
    }

    fn on_request(&mut self, e: &mut Engine, _: usize, _: &libc::sockaddr_in, _: &Msg<'_>) {
        e.c.stray_requests += 1;
    }
}
