//! A proxy on the virtual network, as those around it see it: a real worker that routes by a script of a few lines.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use signalbox::module::{Configured, export};
use signalbox::transport::network::Sent;
use signalbox::transport::{Flow, Protocol};
use signalbox_registrar::Registrar;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, flow_from, server_address};
use tempfile::TempDir;

/// Where requests come from.
pub(crate) const ALICE: &str = "192.0.2.1:5060";

/// A script that relays everything to where it points.
pub(crate) const RELAY: &str = "if not t_relay() then sl_reply_error() end";

/// A script that sends everything on without a transaction.
pub(crate) const FORWARD: &str = "if not forward() then sl_reply_error() end";

pub(crate) struct Proxy {
    site: Site,
    _script: TempDir,
}

/// A message that the proxy has sent.
#[derive(Debug)]
pub(crate) struct Out {
    flow: Flow,
    pub(crate) message: Message,
}

impl Proxy {
    /// A proxy for example.com; `route` is the body of its `route(msg)`.
    pub(crate) fn new(route: &str) -> Self {
        Self::with_script(&format!("function route(msg)\n{route}\nend\n"))
    }

    /// The same with several workers. The seed assigns source addresses to workers.
    pub(crate) fn with_workers(route: &str, workers: u16, seed: u64) -> Self {
        Self::with_script_and_workers(&format!("function route(msg)\n{route}\nend\n"), workers, seed)
    }

    /// A proxy with a complete script and several workers.
    pub(crate) fn with_script_and_workers(script: &str, workers: u16, seed: u64) -> Self {
        Self::start(script, |setup| (setup.workers, setup.seed) = (workers, seed))
    }

    /// The same, but it listens at this address alone.
    pub(crate) fn at(address: &str, route: &str) -> Self {
        Self::start(&format!("function route(msg)\n{route}\nend\n"), |setup| {
            setup.addresses = vec![address.parse().unwrap()];
        })
    }

    /// A proxy with a whole script.
    pub(crate) fn with_script(script: &str) -> Self {
        Self::start(script, |_| {})
    }

    fn start(script: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("route.lua");
        std::fs::write(&file, script).unwrap();
        let mut setup = Setup::new(&file, "example.com");
        setup.modules = vec![Configured::new(export::entry::<Registrar>())];
        change(&mut setup);
        Self { site: Site::start(setup).unwrap(), _script: folder }
    }

    /// Delivers messages that the proxy sent to its own address, and those that follow, until there are none. Returns
    /// the messages that went elsewhere, and how many requests the proxy sent to itself.
    pub(crate) fn circulate(&mut self, sent: Vec<Out>) -> (Vec<Out>, usize) {
        let (mut waiting, mut outside, mut circling) = (VecDeque::from(sent), Vec::new(), 0);
        while let Some(out) = waiting.pop_front() {
            if out.remote() != server_address() {
                outside.push(out);
                continue;
            }
            circling += usize::from(out.message.is_request());
            assert!(circling < 5000, "a storm");
            let back = Flow { remote: server_address(), connection: None, ..out.flow };
            waiting.extend(read(self.site.deliver(&out.message.to_bytes(), back)));
        }
        (outside, circling)
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Alice sends this over UDP.
    pub(crate) fn send(&mut self, message: &str) -> Vec<Out> {
        self.send_from(ALICE, Protocol::Udp, message)
    }

    pub(crate) fn send_from(&mut self, remote: &str, protocol: Protocol, message: &str) -> Vec<Out> {
        read(self.site.deliver(message.as_bytes(), flow_from(remote.parse().unwrap(), protocol)))
    }

    /// Alice sends this over UDP while the proxy has too much to do.
    pub(crate) fn send_to_busy(&mut self, message: &str) -> Vec<Out> {
        read(self.site.deliver_to_busy(message.as_bytes(), flow_from(ALICE.parse().unwrap(), Protocol::Udp)))
    }

    /// Delivers datagrams one after the other, while no worker reads its mailbox.
    pub(crate) fn send_at_once(&mut self, messages: &[(&str, &str)]) -> Vec<Out> {
        let flow = |remote: &str| flow_from(remote.parse().unwrap(), Protocol::Udp);
        let messages: Vec<_> = messages.iter().map(|(from, message)| (message.as_bytes(), flow(from))).collect();
        read(self.site.deliver_at_once(&messages))
    }

    /// `remote` sends this over a connection that it has made.
    pub(crate) fn send_connected(&mut self, remote: &str, message: &str) -> Vec<Out> {
        self.send_from(remote, Protocol::Tcp, message)
    }

    /// Whoever got the request answers it, with these header lines besides those that every response has.
    pub(crate) fn answer(&mut self, request: &Out, status: u16, lines: &[&str]) -> Vec<Out> {
        let mut response = request.message.reply(status, "");
        response.set_to_tag(&request.remote().port().to_string());
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            response.push_of(name, value).unwrap();
        }
        read(self.site.deliver(&response.to_bytes(), request.flow))
    }

    /// The network reports that a datagram did not arrive, and returns `octets` octets of it.
    pub(crate) fn undelivered(&mut self, out: &Out, octets: usize, kind: ErrorKind) -> Vec<Out> {
        let text = out.text();
        self.undelivered_to(&out.remote().to_string(), text.get(..octets).unwrap_or(&text), kind)
    }

    /// The network reports that a datagram to `remote`, which began with `quoted`, did not arrive.
    pub(crate) fn undelivered_to(&mut self, remote: &str, quoted: &str, kind: ErrorKind) -> Vec<Out> {
        read(self.site.undelivered(quoted.as_bytes(), remote.parse().unwrap(), kind))
    }

    /// Lets time pass, and returns what was sent in it.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Out> {
        read(self.site.pass_until(self.site.now() + time))
    }
}

impl Out {
    pub(crate) fn flow(&self) -> Flow {
        self.flow
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.flow.remote
    }

    /// Whether it left over the connection of [`Proxy::send_connected`].
    pub(crate) fn is_connected(&self) -> bool {
        self.flow.connection.is_some()
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.flow.protocol
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.message.to_bytes()).unwrap()
    }

    /// The items of a header, in order.
    pub(crate) fn items(&self, name: HeaderName) -> Vec<&str> {
        self.message.items(name).collect()
    }

    /// Of our Via.
    pub(crate) fn branch(&self) -> String {
        self.message.top_via().unwrap().branch().unwrap().to_owned()
    }

    /// What it is and where it goes: `INVITE 192.0.2.11:5060`, `200 192.0.2.1:5060`.
    pub(crate) fn summary(&self) -> String {
        match self.message.is_request() {
            true => format!("{} {}", self.message.method(), self.remote()),
            false => format!("{} {}", self.message.status(), self.remote()),
        }
    }
}

/// The [`Out::summary`] of each.
pub(crate) fn summaries(sent: &[Out]) -> Vec<String> {
    sent.iter().map(Out::summary).collect()
}

/// The one message that was sent.
pub(crate) fn only(mut sent: Vec<Out>) -> Out {
    assert_eq!(sent.len(), 1, "{:?}", summaries(&sent));
    sent.remove(0)
}

/// A request of Alice's with these header lines, each in the place of the one that it would have otherwise.
pub(crate) fn request(method: &str, uri: &str, lines: &[&str]) -> String {
    let standard = [
        format!("Via: SIP/2.0/UDP {ALICE};branch=z9hG4bKalice"),
        "Max-Forwards: 70".to_owned(),
        "From: <sip:alice@example.com>;tag=a".to_owned(),
        "To: <sip:bob@example.com>".to_owned(),
        "Call-ID: call".to_owned(),
        format!("CSeq: 1 {method}"),
    ];
    let name = |line: &str| line.split(':').next().unwrap().to_owned();
    let kept = standard.into_iter().filter(|line| !lines.iter().any(|other| name(other) == name(line)));
    let all: Vec<String> = kept.chain(lines.iter().map(|&line| line.to_owned())).collect();
    format!("{method} {uri} SIP/2.0\r\n{}\r\nContent-Length: 0\r\n\r\n", all.join("\r\n"))
}

/// The sent messages, parsed.
pub(crate) fn read(sent: Vec<Sent>) -> Vec<Out> {
    sent.into_iter().map(|(flow, bytes)| Out { flow, message: Message::parse(&bytes).unwrap() }).collect()
}
