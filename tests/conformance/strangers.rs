//! Attacks by strangers on a server with a presence agent: sending to third parties, filling memory, changing the state
//! of others.

use std::net::SocketAddr;
use std::time::Duration;

use signalbox::module::{Value, export};
use signalbox::transport::{ConnectionId, Flow, Protocol};
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use tempfile::TempDir;

mod dialogs;
mod limits;
mod notify;

/// The address of the stranger, and that of a third party.
const STRANGER: &str = "192.0.2.66:5060";
const VICTIM: &str = "203.0.113.9";

/// A script that allows everybody to subscribe and publish.
const OPEN: &str = "
function route(msg)
  if msg.method == 'PUBLISH' then return handle_publish('registrar') end
  if msg.method == 'REGISTER' then return save('location') end
  return handle_subscription('registrar')
end";

/// A server with a presence agent, and its database.
struct Server {
    site: Option<Site>,
    folder: TempDir,
    parameters: Vec<(&'static str, Value)>,
}

/// A message that the server has sent.
struct Sent {
    flow: Flow,
    octets: usize,
    message: Message,
}

impl Server {
    fn new(parameters: &[(&'static str, Value)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("route.lua"), OPEN).unwrap();
        let mut server = Self { site: None, folder, parameters: parameters.to_vec() };
        server.start();
        server
    }

    fn start(&mut self) {
        let database = format!("sqlite:{}", self.folder.path().join("presence.db").display());
        let mut parameters = vec![("auth", "none".into()), ("db_url", Value::String(database))];
        parameters.extend(self.parameters.iter().cloned());
        let mut setup = Setup::new(&self.folder.path().join("route.lua"), "example.com");
        setup.modules = vec![
            configured(export::entry::<Registrar>(), &[("use_db", 0.into())]).unwrap(),
            configured(export::entry::<PresenceAgent>(), &parameters).unwrap(),
        ];
        self.site = Some(Site::start(setup).unwrap());
    }

    /// Ends as if the power had failed, and starts again.
    fn crash(&mut self) {
        if let Some(site) = self.site.take() {
            site.crash();
        }
        self.start();
    }

    fn site(&mut self) -> &mut Site {
        self.site.as_mut().unwrap()
    }

    fn send(&mut self, message: &str) -> Vec<Sent> {
        self.send_from(STRANGER, message)
    }

    fn send_from(&mut self, remote: &str, message: &str) -> Vec<Sent> {
        let flow = flow_from(remote.parse().unwrap(), Protocol::Udp);
        sent(self.site().deliver(message.as_bytes(), flow))
    }

    /// Sends over a connection that `remote` has made.
    fn send_connected(&mut self, remote: &str, message: &str) -> Vec<Sent> {
        let connection = Some(ConnectionId { worker: 0, serial: 1 });
        let flow = Flow { connection, ..flow_from(remote.parse().unwrap(), Protocol::Tcp) };
        sent(self.site().deliver(message.as_bytes(), flow))
    }

    fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.site().now() + time;
        sent(self.site().pass_until(end))
    }

    fn answer(&mut self, request: &Sent, status: u16) -> Vec<Sent> {
        let response = request.message.reply(status, "").to_bytes();
        sent(self.site().deliver(&response, request.flow))
    }

    /// Bob publishes a document with a note of `note` octets.
    fn publish(&mut self, branch: &str, note: usize) -> Vec<Sent> {
        let body = format!(
            "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:bob@example.com\"><tuple id=\"t\"><status>\
             <basic>open</basic></status></tuple><note>{}</note></presence>",
            "n".repeat(note)
        );
        let mut head =
            Request::new("PUBLISH").from("bob", "p").line("Content-Type: application/pidf+xml").branch(branch);
        head.call_id = branch.to_owned();
        let text =
            format!("{}{body}", head.text().replace("Content-Length: 0", &format!("Content-Length: {}", body.len())));
        self.send_from("192.0.2.2:5060", &text)
    }

    fn counter(&mut self, name: &'static str) -> u64 {
        self.site().host().counter(name).value()
    }
}

impl Sent {
    fn is_request(&self) -> bool {
        self.message.is_request()
    }

    fn remote(&self) -> SocketAddr {
        self.flow.remote
    }

    fn is_to(&self, host: &str) -> bool {
        self.remote().ip().to_string() == host
    }
}

fn sent(all: Vec<(Flow, Vec<u8>)>) -> Vec<Sent> {
    all.into_iter()
        .map(|(flow, bytes)| Sent { flow, octets: bytes.len(), message: Message::parse(&bytes).unwrap() })
        .collect()
}

/// The status of the answer.
fn status(sent: &[Sent]) -> u16 {
    sent.iter().find(|sent| !sent.is_request()).map_or(0, |sent| sent.message.status())
}

/// Octets that go to a host in datagrams.
fn datagram_octets(sent: &[Sent], host: &str) -> usize {
    sent.iter().filter(|sent| sent.is_to(host) && sent.flow.protocol == Protocol::Udp).map(|sent| sent.octets).sum()
}

/// A builder of request texts.
#[derive(Clone)]
struct Request {
    method: &'static str,
    uri: String,
    from: String,
    to: String,
    call_id: String,
    cseq: u32,
    branch: String,
    lines: Vec<String>,
}

impl Request {
    /// About Bob, from Mallory, whose domain is another one.
    fn new(method: &'static str) -> Self {
        Self {
            method,
            uri: "sip:bob@example.com".to_owned(),
            from: "<sip:mallory@elsewhere.example>;tag=m".to_owned(),
            to: "<sip:bob@example.com>".to_owned(),
            call_id: "call".to_owned(),
            cseq: 1,
            branch: "z9hG4bKm1".to_owned(),
            lines: vec!["Event: presence".to_owned()],
        }
    }

    /// A SUBSCRIBE with this Contact.
    fn subscribe(contact: &str) -> Self {
        Self::new("SUBSCRIBE").line(&format!("Contact: <{contact}>"))
    }

    fn from(mut self, user: &str, tag: &str) -> Self {
        self.from = format!("<sip:{user}@example.com>;tag={tag}");
        self
    }

    fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// With this many octets of padding, as clients send in User-Agent, Allow and Supported.
    fn padded(self, octets: usize) -> Self {
        let line = format!("User-Agent: {}", "u".repeat(octets));
        self.line(&line)
    }

    fn branch(mut self, branch: &str) -> Self {
        self.branch = format!("z9hG4bK{branch}");
        self
    }

    /// Within the dialog that this response made.
    fn within(mut self, response: &Sent, cseq: u32) -> Self {
        self.to = response.message.value(HeaderName::To).unwrap().to_owned();
        self.cseq = cseq;
        self.branch(&format!("d{cseq}"))
    }

    fn text(&self) -> String {
        let Self { method, uri, from, to, call_id, cseq, branch, lines } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5060;branch={branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{}\r\nContent-Length: 0\r\n\r\n",
            lines.join("\r\n")
        )
    }
}
