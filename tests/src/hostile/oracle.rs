//! What must hold whatever strangers send.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use signalbox::transport::Flow;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::uri::NameAddr;

use crate::site::server_address;

/// Messages that the server may send per received message, all retransmissions of all branches included.
const MESSAGES_FOR_EACH: usize = 100;
/// Octets that the server may keep per received octet, and for a story in any case.
const KEPT_FOR_EACH: usize = 32;
const KEPT_AT_LEAST: usize = 4 * 1024 * 1024;

/// Our domains, in lower case and without a final dot.
const LOCAL: [&str; 2] = ["example.com", "192.0.2.100"];

#[derive(Default)]
pub(super) struct Oracle {
    /// The addresses of our users' phones.
    pub(super) phones: BTreeSet<SocketAddr>,
    /// The addresses that strangers have sent from.
    pub(super) strangers: BTreeSet<SocketAddr>,
    /// Hosts that never sent anything, with the names that strangers may use for them.
    pub(super) victims: BTreeMap<IpAddr, Victim>,
    pub(super) octets_in: usize,
    messages_in: usize,
    messages_out: usize,
    /// The messages so far, printed with a finding.
    diary: Vec<String>,
}

#[derive(Default)]
pub(super) struct Victim {
    names: Vec<&'static str>,
    /// Octets that strangers have sent since they first named this host.
    brought: usize,
    /// Octets that the server has sent there.
    sent: usize,
}

impl Victim {
    pub(super) fn named(names: Vec<&'static str>) -> Self {
        Self { names, ..Self::default() }
    }
}

impl Oracle {
    /// A stranger or a phone sends these octets.
    pub(super) fn comes_in(&mut self, from: SocketAddr, octets: &[u8]) {
        self.octets_in += octets.len();
        self.messages_in += 1;
        self.diary.push(format!("--- from {from}:\n{}", shown(octets)));
        if self.phones.contains(&from) {
            return;
        }
        self.strangers.insert(from);
        let text = String::from_utf8_lossy(octets).to_ascii_lowercase();
        for victim in self.victims.values_mut() {
            if victim.brought > 0 || victim.names.iter().any(|name| text.contains(name)) {
                victim.brought += octets.len();
            }
        }
    }

    /// The server sends these octets.
    pub(super) fn goes_out(&mut self, flow: &Flow, octets: &[u8]) {
        self.messages_out += 1;
        self.diary.push(format!("=== to {}:\n{}", flow.remote, shown(octets)));
        if self.messages_out > MESSAGES_FOR_EACH * (self.messages_in + 1) {
            self.found(&format!("a storm: {} messages for {}", self.messages_out, self.messages_in));
        }
        match Message::parse(octets) {
            Ok(message) if message.is_request() && flow.remote != server_address() => {
                self.request(flow.remote, &message)
            }
            Ok(_) => {}
            // A response may contain what other hosts have damaged in it.
            Err(_) if octets.starts_with(b"SIP/2.0 ") => {}
            Err(error) => self.found(&format!("a request that cannot be read leaves: {error}")),
        }
        // A host that accepts a connection is proved.
        if !flow.protocol.is_reliable() {
            self.towards_victim(flow.remote, octets.len());
        }
    }

    /// Only the server's own NOTIFYs go to hosts other than our users' phones. Requests that reach our users with a
    /// local From must have proved it.
    fn request(&self, remote: SocketAddr, request: &Message) {
        let relayed = request.items(HeaderName::Via).count() > 1;
        if !relayed {
            if *request.method() != Method::Notify && !matches!(request.method(), Method::Ack | Method::Cancel) {
                self.found("the server sends a request of its own that is no NOTIFY");
            }
            return;
        }
        if !self.phones.contains(&remote) {
            self.found(&format!("a stranger's request is relayed to {remote}"));
        }
        let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
        let host = from.and_then(|from| Some(from.uri().ok()?.host?.host.to_string().to_ascii_lowercase()));
        let is_local = host.is_some_and(|host| LOCAL.contains(&host.trim_end_matches('.')));
        // ACK and CANCEL cannot be challenged.
        if is_local && !matches!(request.method(), Method::Ack | Method::Cancel) {
            self.found(&format!("a user at {remote} is reached by a local From that was not proved"));
        }
    }

    fn towards_victim(&mut self, remote: SocketAddr, octets: usize) {
        let Some(victim) = self.victims.get_mut(&remote.ip()) else { return };
        victim.sent += octets;
        let (sent, brought) = (victim.sent, victim.brought);
        if sent > brought {
            self.found(&format!("{remote} has never sent anything and gets {sent} octets for {brought}"));
        }
    }

    /// The story is over and all timers have run.
    pub(super) fn is_over(&self, kept: usize) {
        if kept > KEPT_AT_LEAST + KEPT_FOR_EACH * self.octets_in {
            self.found(&format!("{kept} octets are kept for {}", self.octets_in));
        }
    }

    /// # Panics
    ///
    /// Always, with the finding and the messages that led there.
    pub(super) fn found(&self, what: &str) -> ! {
        let begin = self.diary.len().saturating_sub(16);
        panic!("{what}\n{}", self.diary[begin..].join("\n"))
    }
}

/// The beginning of a message, enough to recognise it.
fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(&octets[..octets.len().min(600)]).into_owned()
}
