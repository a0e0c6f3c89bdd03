//! Non-blocking UDP (recvmmsg/sendmmsg) and TCP sockets under one epoll instance.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddrV4;

use crate::sip;

const BATCH: usize = 64;
const DGRAM: usize = 8192;

pub(crate) struct Sock {
    fd: i32,
    pub(crate) tcp: bool,
    /// `ip:port` as used in Via and Contact.
    pub(crate) local: String,
    out: Vec<u8>,
    pkts: Vec<(usize, usize, libc::sockaddr_in)>,
    rbuf: Vec<u8>,
}

pub(crate) struct Net {
    ep: i32,
    pub(crate) socks: Vec<Sock>,
    pub(crate) server: libc::sockaddr_in,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) send_dropped: u64,
}

fn to_sa(a: SocketAddrV4) -> libc::sockaddr_in {
    let mut sa: libc::sockaddr_in = unsafe { zeroed() };
    sa.sin_family = libc::AF_INET as u16;
    sa.sin_port = a.port().to_be();
    sa.sin_addr.s_addr = u32::from_ne_bytes(a.ip().octets());
    sa
}

fn ck(r: libc::c_int, what: &str) -> libc::c_int {
    if r < 0 {
        eprintln!("loadgen: {what}: {}", io::Error::last_os_error());
        std::process::exit(2);
    }
    r
}

fn setopt(fd: i32, level: i32, opt: i32, v: i32) {
    unsafe { libc::setsockopt(fd, level, opt, &v as *const i32 as *const _, 4) };
}

/// Receive buffers for one recvmmsg call; lives outside `Net` so that handlers may send.
pub(crate) struct Batch {
    buf: Vec<u8>,
    names: Vec<libc::sockaddr_in>,
    _iov: Vec<libc::iovec>,
    hdrs: Vec<libc::mmsghdr>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut buf = vec![0u8; BATCH * DGRAM];
        let mut names = vec![unsafe { zeroed::<libc::sockaddr_in>() }; BATCH];
        let mut iov: Vec<libc::iovec> = (0..BATCH)
            .map(|i| libc::iovec { iov_base: unsafe { buf.as_mut_ptr().add(i * DGRAM) } as *mut _, iov_len: DGRAM })
            .collect();
        let hdrs = (0..BATCH)
            .map(|i| {
                let mut h: libc::mmsghdr = unsafe { zeroed() };
                h.msg_hdr.msg_name = unsafe { names.as_mut_ptr().add(i) } as *mut _;
                h.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
                h.msg_hdr.msg_iov = unsafe { iov.as_mut_ptr().add(i) };
                h.msg_hdr.msg_iovlen = 1;
                h
            })
            .collect();
        Self { buf, names, _iov: iov, hdrs }
    }
    pub(crate) fn get(&self, i: usize) -> (&[u8], libc::sockaddr_in) {
        (&self.buf[i * DGRAM..i * DGRAM + self.hdrs[i].msg_len as usize], self.names[i])
    }
}

impl Net {
    pub(crate) fn new(server: SocketAddrV4) -> Self {
        let ep = ck(unsafe { libc::epoll_create1(0) }, "epoll_create1");
        Self { ep, socks: Vec::new(), server: to_sa(server), sent: 0, received: 0, send_dropped: 0 }
    }

    /// Opens `n` sockets bound to `bind`; returns the index of the first.
    pub(crate) fn open(&mut self, bind: SocketAddrV4, n: usize, tcp: bool) -> usize {
        let first = self.socks.len();
        for k in 0..n {
            unsafe {
                let ty = if tcp { libc::SOCK_STREAM } else { libc::SOCK_DGRAM };
                let fd = ck(libc::socket(libc::AF_INET, ty | libc::SOCK_CLOEXEC, 0), "socket");
                let port = if bind.port() == 0 { 0 } else { bind.port() + k as u16 };
                let sa = to_sa(SocketAddrV4::new(*bind.ip(), port));
                setopt(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
                let len = size_of::<libc::sockaddr_in>() as u32;
                ck(libc::bind(fd, &sa as *const _ as *const _, len), "bind");
                if tcp {
                    ck(libc::connect(fd, &self.server as *const _ as *const _, len), "connect");
                    setopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
                } else {
                    setopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20);
                    setopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 4 << 20);
                }
                let fl = libc::fcntl(fd, libc::F_GETFL);
                libc::fcntl(fd, libc::F_SETFL, fl | libc::O_NONBLOCK);
                let mut got: libc::sockaddr_in = zeroed();
                let mut glen = len;
                ck(libc::getsockname(fd, &mut got as *mut _ as *mut _, &mut glen), "getsockname");
                let mut ev = libc::epoll_event { events: libc::EPOLLIN as u32, u64: self.socks.len() as u64 };
                ck(libc::epoll_ctl(self.ep, libc::EPOLL_CTL_ADD, fd, &mut ev), "epoll_ctl");
                self.socks.push(Sock {
                    fd,
                    tcp,
                    local: format!("{}:{}", bind.ip(), u16::from_be(got.sin_port)),
                    out: Vec::new(),
                    pkts: Vec::new(),
                    rbuf: Vec::new(),
                });
            }
        }
        first
    }

    pub(crate) fn send(&mut self, sock: usize, dst: &libc::sockaddr_in, data: &[u8]) {
        let s = &mut self.socks[sock];
        if !s.tcp {
            s.pkts.push((s.out.len(), data.len(), *dst));
        }
        s.out.extend_from_slice(data);
        self.sent += 1;
        if s.pkts.len() >= BATCH {
            self.flush_one(sock);
        }
    }

    pub(crate) fn flush(&mut self) {
        for i in 0..self.socks.len() {
            if !self.socks[i].out.is_empty() {
                self.flush_one(i);
            }
        }
    }

    fn flush_one(&mut self, i: usize) {
        let s = &mut self.socks[i];
        if s.tcp {
            let n = unsafe { libc::send(s.fd, s.out.as_ptr() as *const _, s.out.len(), libc::MSG_NOSIGNAL) };
            if n > 0 {
                s.out.drain(..n as usize);
            } else if n < 0 && io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock {
                ck(-1, "tcp send");
            }
            return;
        }
        let mut done = 0;
        while done < s.pkts.len() {
            let n = (s.pkts.len() - done).min(BATCH);
            let mut iov: [libc::iovec; BATCH] = unsafe { zeroed() };
            let mut hdr: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
            for k in 0..n {
                let (off, len, ref mut dst) = s.pkts[done + k];
                iov[k] = libc::iovec { iov_base: unsafe { s.out.as_mut_ptr().add(off) } as *mut _, iov_len: len };
                hdr[k].msg_hdr.msg_name = dst as *mut _ as *mut _;
                hdr[k].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
                hdr[k].msg_hdr.msg_iov = &mut iov[k];
                hdr[k].msg_hdr.msg_iovlen = 1;
            }
            let r = unsafe { libc::sendmmsg(s.fd, hdr.as_mut_ptr(), n as u32, 0) };
            if r <= 0 {
                // Full send buffer or a refused port: the retransmission timers take over.
                self.send_dropped += 1;
                done += 1;
            } else {
                done += r as usize;
            }
        }
        s.pkts.clear();
        s.out.clear();
    }

    /// Waits at most `ns`; fills `ready` with indices of readable sockets.
    pub(crate) fn wait(&self, ns: u64, ready: &mut Vec<usize>) {
        ready.clear();
        let mut ev: [libc::epoll_event; 64] = unsafe { zeroed() };
        let ts = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.ep,
                ev.as_mut_ptr(),
                64,
                &ts as *const _,
                std::ptr::null::<u8>(),
                8usize,
            )
        };
        for e in ev.iter().take(n.max(0) as usize) {
            ready.push(e.u64 as usize);
        }
    }

    /// One recvmmsg; the count of datagrams in `b`.
    pub(crate) fn recv(&mut self, sock: usize, b: &mut Batch) -> usize {
        for h in b.hdrs.iter_mut() {
            h.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        let n = unsafe {
            libc::recvmmsg(
                self.socks[sock].fd,
                b.hdrs.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let n = n.max(0) as usize;
        self.received += n as u64;
        n
    }

    /// Reads a TCP socket; takes the buffered bytes out together with the bounds of each complete
    /// message. Hand the buffer back with `tcp_done`.
    pub(crate) fn tcp_take(&mut self, sock: usize) -> (Vec<u8>, Vec<(usize, usize)>, usize) {
        let s = &mut self.socks[sock];
        let mut chunk = [0u8; 65536];
        loop {
            let n = unsafe { libc::recv(s.fd, chunk.as_mut_ptr() as *mut _, chunk.len(), libc::MSG_DONTWAIT) };
            if n == 0 {
                eprintln!("loadgen: server closed TCP connection {}", s.local);
                std::process::exit(3);
            }
            if n < 0 {
                break;
            }
            s.rbuf.extend_from_slice(&chunk[..n as usize]);
            if (n as usize) < chunk.len() {
                break;
            }
        }
        let buf = std::mem::take(&mut s.rbuf);
        let (mut at, mut msgs) = (0, Vec::new());
        loop {
            while at < buf.len() && matches!(buf[at], b'\r' | b'\n') {
                at += 1; // keep-alives
            }
            let Some(he) = sip::header_end(&buf[at..]) else { break };
            let len = he + sip::content_length(&buf[at..at + he]).unwrap_or(0);
            if at + len > buf.len() {
                break;
            }
            msgs.push((at, at + len));
            at += len;
        }
        self.received += msgs.len() as u64;
        (buf, msgs, at)
    }

    pub(crate) fn tcp_done(&mut self, sock: usize, mut buf: Vec<u8>, used: usize) {
        buf.drain(..used);
        self.socks[sock].rbuf = buf;
    }
}
