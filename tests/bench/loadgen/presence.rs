//! SUBSCRIBE dialogs (RFC 6665), PUBLISH (RFC 3903) and the NOTIFYs that follow.

use std::io::Write;

use crate::engine::{App, Engine, Op};
use crate::probe::now_ns;
use crate::sip::{self, Msg};

const SUB: u8 = 2;
const REFRESH: u8 = 3;
const UNSUB: u8 = 4;
const PUB: u8 = 5;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Phase {
    Subscribe,
    Refresh,
    Unsubscribe,
    Publish,
}

#[derive(Default, Clone)]
struct Watcher {
    to_tag: Box<[u8]>,
    target: Box<[u8]>,
    routes: Box<[u8]>,
    cseq: u32,
    notify_cseq: u32,
    start: u64,
    last_pub: u32,
    got_final: bool,
    got_notify: bool,
    busy: bool,
    dead: bool,
}

#[derive(Default, Clone)]
struct Presentity {
    etag: Vec<u8>,
    seq: u32,
    start: u64,
    remaining: u32,
    answered: bool,
    busy: bool,
}

pub(crate) struct Presence {
    pub(crate) phase: Phase,
    pub(crate) first_sock: usize,
    pub(crate) socks: usize,
    pub(crate) expires: u32,
    pub(crate) event: &'static str,
    /// Bytes added to each document.
    pub(crate) pad: usize,
    watchers: Vec<Watcher>,
    pres: Vec<Presentity>,
    per_pres: u32,
    cursor: u64,
    pub(crate) notifies: u64,
    pub(crate) notifies_matched: u64,
    pub(crate) notify_latencies: Vec<u32>,
    pub(crate) cseq_out_of_order: u64,
    pub(crate) terminated: u64,
}

impl Presence {
    pub(crate) fn new(first_sock: usize, socks: usize, presentities: u32, watchers: u32, expires: u32) -> Self {
        Self {
            phase: Phase::Subscribe,
            first_sock,
            socks,
            expires,
            event: "presence",
            pad: 0,
            watchers: vec![Watcher::default(); watchers as usize],
            pres: vec![Presentity::default(); presentities as usize],
            per_pres: watchers / presentities.max(1),
            cursor: 0,
            notifies: 0,
            notifies_matched: 0,
            notify_latencies: Vec::new(),
            cseq_out_of_order: 0,
            terminated: 0,
        }
    }

    pub(crate) fn watchers(&self) -> u32 {
        self.watchers.len() as u32
    }

    /// Goes on to the next phase with fresh counts.
    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.notifies = 0;
        self.notifies_matched = 0;
        self.notify_latencies.clear();
        self.terminated = 0;
    }

    fn sock_of(&self, w: u32) -> usize {
        self.first_sock + w as usize % self.socks
    }

    fn subscribe(&mut self, e: &mut Engine, w: u32, kind: u8, due: u64) -> bool {
        let pres = w % self.pres.len() as u32;
        let sock = self.sock_of(w);
        let expires = if kind == UNSUB { 0 } else { self.expires };
        let t = &mut self.watchers[w as usize];
        if t.busy || (kind != SUB && t.dead) {
            return false;
        }
        t.busy = true;
        t.cseq += 2;
        t.got_final = false;
        t.got_notify = false;
        t.start = due;
        let cseq = t.cseq;
        let local = e.net.socks[sock].local.clone();
        let tp = if e.net.socks[sock].tcp { ";transport=tcp" } else { "" };
        let (dom, run, ev) = (e.users.domain.clone(), e.run, self.event);
        let uri: Vec<u8> = if kind == SUB { format!("sip:p{pres}@{dom}").into_bytes() } else { t.target.to_vec() };
        let (to_tag, routes) = (t.to_tag.clone(), t.routes.clone());
        let name = e.users.name(w);
        let op = Op { kind, index: w, user: w, sock, start: due, method: "SUBSCRIBE" };
        e.request(op, &uri, cseq, |b| {
            b.extend_from_slice(&routes);
            let _ = write!(b, "Max-Forwards: 70\r\nFrom: <sip:{name}@{dom}>;tag=w{w:x}\r\nTo: <sip:p{pres}@{dom}>");
            if kind != SUB {
                b.extend_from_slice(b";tag=");
                b.extend_from_slice(&to_tag);
            }
            let _ = write!(
                b,
                "\r\nCall-ID: w{w:x}-{run:x}@lg\r\nCSeq: {cseq} SUBSCRIBE\r\nContact: <sip:{name}@{local}{tp}>\r\nEvent: {ev}\r\nAccept: application/pidf+xml\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
            );
        });
        true
    }

    fn publish(&mut self, e: &mut Engine, p: u32, due: u64) -> bool {
        let per = self.per_pres;
        let t = &mut self.pres[p as usize];
        if t.busy {
            return false;
        }
        t.busy = true;
        t.seq += 1;
        t.start = due;
        t.remaining = per;
        t.answered = false;
        let (seq, etag) = (t.seq, t.etag.clone());
        let (dom, run, ev, exp) = (e.users.domain.clone(), e.run, self.event, self.expires);
        let basic = if seq % 2 == 0 { "open" } else { "closed" };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:p{p}@{dom}\">\n<tuple id=\"t{p:x}\">\n<status><basic>{basic}</basic></status>\n<contact priority=\"0.8\">sip:p{p}@{dom}</contact>\n<note>lg-{seq}-x{}</note>\n</tuple>\n</presence>\n",
            " ".repeat(self.pad)
        );
        let op = Op { kind: PUB, index: p, user: p, sock: self.first_sock, start: due, method: "PUBLISH" };
        let uri = format!("sip:p{p}@{dom}");
        e.request(op, uri.as_bytes(), 2, |b| {
            let _ = write!(
                b,
                "Max-Forwards: 70\r\nFrom: <{uri}>;tag=p{p:x}\r\nTo: <{uri}>\r\nCall-ID: p{p:x}.{seq:x}-{run:x}@lg\r\nCSeq: 2 PUBLISH\r\nEvent: {ev}\r\nExpires: {exp}\r\n"
            );
            if !etag.is_empty() {
                b.extend_from_slice(b"SIP-If-Match: ");
                b.extend_from_slice(&etag);
                b.extend_from_slice(b"\r\n");
            }
            let _ = write!(b, "Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        });
        true
    }

    fn sub_check(&mut self, e: &mut Engine, w: u32) {
        let t = &mut self.watchers[w as usize];
        if t.busy && t.got_final && t.got_notify {
            t.busy = false;
            e.complete(t.start);
        }
    }

    fn pub_check(&mut self, e: &mut Engine, p: u32) {
        let t = &mut self.pres[p as usize];
        if t.busy && t.answered && t.remaining == 0 {
            t.busy = false;
            e.complete(t.start);
        }
    }

    fn marker(body: &[u8]) -> Option<u32> {
        let at = memchr::memmem::find(body, b"<note>lg-")? + 9;
        sip::parse_u32(&body[at..])
    }
}

impl App for Presence {
    fn issue(&mut self, e: &mut Engine, i: u64, due: u64) -> bool {
        let n = self.watchers.len() as u64;
        match self.phase {
            Phase::Subscribe => self.subscribe(e, (i % n) as u32, SUB, due),
            Phase::Refresh => self.subscribe(e, (i % n) as u32, REFRESH, due),
            Phase::Unsubscribe => self.subscribe(e, (i % n) as u32, UNSUB, due),
            Phase::Publish => {
                // Round robin over the presentities that have no publication under way.
                for _ in 0..self.pres.len() {
                    let p = (self.cursor % self.pres.len() as u64) as u32;
                    self.cursor += 1;
                    if self.publish(e, p, due) {
                        return true;
                    }
                }
                false
            }
        }
    }

    fn on_final(&mut self, e: &mut Engine, op: Op, m: &Msg<'_>) {
        let ok = matches!(m.status, 200 | 202);
        if !ok {
            e.c.bad_status += 1;
            e.c.last_bad = format!("{} {}", op.method, m.status);
        }
        if op.kind == PUB {
            let t = &mut self.pres[op.index as usize];
            if !ok || m.etag.is_empty() {
                t.etag.clear();
                t.busy = false;
                if ok {
                    e.c.bad_content += 1;
                }
                return e.fail();
            }
            t.etag = m.etag.to_vec();
            t.answered = true;
            return self.pub_check(e, op.index);
        }
        let t = &mut self.watchers[op.index as usize];
        if !ok {
            t.busy = false;
            t.dead = true;
            return e.fail();
        }
        t.got_final = true;
        t.cseq = m.cseq;
        if op.kind == SUB {
            let tag = sip::param(m.to, b"tag").unwrap_or(b"");
            if tag.is_empty() || m.contact.is_empty() || (!t.to_tag.is_empty() && *t.to_tag != *tag) {
                e.c.bad_content += 1;
            }
            t.to_tag = tag.into();
            t.target = sip::addr_uri(m.contact).into();
            let mut r = Vec::new();
            for v in m.rrs[..m.nrr].iter().rev() {
                r.extend_from_slice(b"Route: ");
                r.extend_from_slice(v);
                r.extend_from_slice(b"\r\n");
            }
            t.routes = r.into();
        }
        self.sub_check(e, op.index);
    }

    fn on_timeout(&mut self, e: &mut Engine, op: Op) {
        if op.kind == PUB {
            self.pres[op.index as usize].busy = false;
        } else {
            self.watchers[op.index as usize].busy = false;
        }
        e.fail();
    }

    fn on_request(&mut self, e: &mut Engine, sock: usize, src: &libc::sockaddr_in, m: &Msg<'_>) {
        let w = m.call_id.strip_prefix(b"w").and_then(|r| {
            let mut it = r.split(|&c| c == b'-');
            let w = sip::parse_hex(it.next()?)?;
            (sip::parse_hex(it.next()?.split(|&c| c == b'@').next()?)? == e.run).then_some(w)
        });
        let w = match w {
            Some(w) if m.method == b"NOTIFY" && (w as usize) < self.watchers.len() => w,
            _ => {
                e.c.stray_requests += 1;
                return e.reply(sock, src, m, "481 Subscription does not exist", "");
            }
        };
        self.notifies += 1;
        let want_tag = format!("w{w:x}");
        let pres = w % self.pres.len() as u32;
        let t = &mut self.watchers[w as usize];
        let from_tag = sip::param(m.from, b"tag").unwrap_or(b"");
        let good = sip::param(m.to, b"tag") == Some(want_tag.as_bytes())
            && !m.sub_state.is_empty()
            && m.event.starts_with(self.event.as_bytes())
            && (t.to_tag.is_empty() || *t.to_tag == *from_tag)
            && sock == self.first_sock + w as usize % self.socks;
        if !good {
            e.c.bad_content += 1;
        }
        if m.cseq == t.notify_cseq {
            e.c.duplicate_requests += 1;
        } else if m.cseq < t.notify_cseq {
            self.cseq_out_of_order += 1;
        }
        t.notify_cseq = t.notify_cseq.max(m.cseq);
        if m.sub_state.starts_with(b"terminated") {
            self.terminated += 1;
            t.dead = true;
        }
        t.got_notify = true;
        e.reply(sock, src, m, "200 OK", "");
        if self.phase != Phase::Publish {
            return self.sub_check(e, w);
        }
        let p = &mut self.pres[pres as usize];
        if let Some(seq) = Self::marker(m.body)
            && p.busy
            && seq == p.seq
            && t.last_pub < seq
        {
            t.last_pub = seq;
            p.remaining -= 1;
            self.notifies_matched += 1;
            self.notify_latencies.push(((now_ns() - p.start) / 1000) as u32);
            self.pub_check(e, pres);
        }
    }
}
