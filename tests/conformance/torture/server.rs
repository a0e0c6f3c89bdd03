//! What a server makes of the torture messages. Each is sent to a real worker with a real script over the virtual network,
//! and what comes out of it is compared line by line.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use signalbox::module::{Configured, Value, export};
use signalbox::transport::network::Sent;
use signalbox::transport::{ConnectionId, Flow, Protocol};
use signalbox_auth::Auth;
use signalbox_registrar::Registrar;
use signalbox_sip::header::{Header, HeaderName, Via};
use signalbox_sip::message::Message;
use signalbox_sip::uri::NameAddr;
use signalbox_tests::site::{Setup, Site, configured};
use tempfile::TempDir;

use super::{Case, Role, Server, bytes};

/// Where the server listens: at the address that the Via of RFC 4475 §3.3.10 names, and at one of IPv6.
const ADDRESSES: [&str; 2] = ["192.0.2.198:5060", "[2001:db8::100]:5060"];

/// Hosts that requests are forwarded to.
const HOSTS: [(&str, &str); 5] = [
    ("example.com", "192.0.2.201"),
    ("services.example.com", "192.0.2.202"),
    ("registrar.example.com", "192.0.2.203"),
    ("example.net", "192.0.2.204"),
    ("host.example.net", "192.0.2.205"),
];

/// Who sends what names no address in its Via.
const STRANGER: [u8; 4] = [192, 0, 2, 77];

/// Longer than any transaction lives.
const LONG: Duration = Duration::from_secs(40);

/// A server in one of its roles, with nothing behind it yet.
pub(crate) struct RealServer {
    site: Site,
    _database: TempDir,
}

impl RealServer {
    pub(crate) fn start(role: Role) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(match role {
            Role::Registrar | Role::Proxy => "conformance/torture/server.lua",
            Role::Stateless => "conformance/torture/stateless.lua",
        });
        let database = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", database.path().join("accounts.db").display());
        let auth = configured(export::entry::<Auth>(), &[("db_url", Value::String(url))]).unwrap();
        let domain = match role {
            Role::Registrar => "example.com",
            Role::Proxy | Role::Stateless => "example.invalid",
        };
        let mut setup = Setup::new(&script, domain);
        setup.modules = vec![Configured::new(export::entry::<Registrar>()), auth];
        setup.addresses = ADDRESSES.map(|address| address.parse().unwrap()).to_vec();
        let site = Site::start(setup).unwrap();
        for (name, address) in HOSTS {
            site.add_host(name, address.parse().unwrap());
        }
        Self { site, _database: database }
    }

    /// Hands over a message from where it says that it comes from.
    pub(crate) fn deliver(&mut self, message: &[u8]) -> Vec<Sent> {
        self.site.deliver(message, sender(message))
    }

    /// Hands over a message that comes back from where a request was sent.
    pub(crate) fn deliver_back(&mut self, message: &[u8], (flow, _): &Sent) -> Vec<Sent> {
        self.site.deliver(message, *flow)
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) -> Vec<Sent> {
        self.site.pass_until(self.site.now() + time)
    }
}

/// The flow that a message comes by: its transport and address are those of its topmost Via, so far as they are known.
fn sender(message: &[u8]) -> Flow {
    let message = Message::parse(message).or_else(|error| error.reply().ok_or(error));
    let via = message.as_ref().ok().and_then(|message| message.top_via().ok());
    let protocol = via.as_ref().and_then(|via| Protocol::parse(via.transport)).unwrap_or(match &via {
        // What runs over TLS is delivered as what it is inside.
        Some(_) => Protocol::Tcp,
        None => Protocol::Udp,
    });
    let host = via.as_ref().and_then(|via| via.sent_by.host.address()).map(|host| host.to_canonical());
    let port = via.as_ref().and_then(|via| via.sent_by.port).unwrap_or(5060);
    let remote =
        SocketAddr::new(host.unwrap_or_else(|| STRANGER.into()), if protocol.is_reliable() { 40_000 } else { port });
    let local = ADDRESSES.map(|address| address.parse::<SocketAddr>().unwrap());
    let local = local.into_iter().find(|local| local.is_ipv4() == remote.is_ipv4()).unwrap();
    let connection = protocol.is_reliable().then_some(ConnectionId { worker: 0, serial: 1 });
    Flow { protocol, local, remote, connection }
}

/// Sends all rows to a server, each to a fresh one.
pub(crate) fn check_server(rfc: &str, role: Role, cases: &[Case]) {
    let mut failures = Vec::new();
    for case in cases {
        if let Err(failure) = check(role, &bytes(rfc, case.file), case.server) {
            failures.push(format!("§{} {}: {failure}", case.section, case.file));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(role: Role, message: &[u8], outcome: Server) -> Result<(), String> {
    let mut server = RealServer::start(role);
    let sent = server.deliver(message);
    match outcome {
        Server::Drops => none(&sent)?,
        Server::Answers(status) => check_answer(message, status, one(&sent)?)?,
        Server::Forwards(hop) => {
            let forwarded = one(&sent)?;
            check_request(message, hop, forwarded)?;
            return check_response(message, &mut server, forwarded);
        }
    }
    none(&server.pass(LONG))
}

fn none(sent: &[Sent]) -> Result<(), String> {
    let text = |(flow, bytes): &Sent| format!("sent to {flow}: {}", String::from_utf8_lossy(bytes));
    sent.first().map_or(Ok(()), |sent| Err(text(sent)))
}

fn one(sent: &[Sent]) -> Result<&Sent, String> {
    match sent {
        [one] => Ok(one),
        [] => Err("nothing was sent".to_owned()),
        [_, rest @ ..] => none(rest).map(|()| unreachable!()),
    }
}

/// The answer goes to the sender and has all that §8.2.6 wants copied, as far as it was there to copy.
fn check_answer(message: &[u8], status: u16, (flow, answer): &Sent) -> Result<(), String> {
    let start = format!("SIP/2.0 {status} ");
    if !answer.starts_with(start.as_bytes()) {
        return Err(format!("answered: {}", String::from_utf8_lossy(answer).lines().next().unwrap_or_default()));
    }
    same("the way of the answer", *flow, sender(message))?;
    let Ok(request) = Message::parse(message) else {
        // What could not be read is still not answered twice in one header.
        for name in ["From:", "To:", "Call-ID:", "CSeq:"] {
            let lines = answer.split(|&byte| byte == b'\n').filter(|line| line.starts_with(name.as_bytes())).count();
            same(name, lines <= 1, true)?;
        }
        return Ok(());
    };
    let answer = Message::parse(answer).map_err(|error| error.to_string())?;
    check_vias(&request, flow, answer.items(HeaderName::Via).collect())?;
    for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
        same(name.as_str(), answer.value(name), request.value(name))?;
    }
    let to = |message: &Message| message.value(HeaderName::To).unwrap_or_default().to_owned();
    let tag = to(&answer).strip_prefix(&to(&request)).map(str::to_owned);
    match (request.to_tag(), tag.as_deref()) {
        (Some(_), Some("")) => Ok(()),
        (None, Some(tag)) if tag.starts_with(";tag=") => Ok(()),
        _ => Err(format!("To became {}", to(&answer))),
    }
}

/// §16.6: what leaves is what came, but for Via, Max-Forwards, Max-Breadth (RFC 5393) and the Routes.
fn check_request(message: &[u8], hop: &str, (flow, forwarded): &Sent) -> Result<(), String> {
    same("the next hop", flow.remote, address(hop))?;
    let request = Message::parse(message).map_err(|error| error.to_string())?;
    let forwarded = Message::parse(forwarded).map_err(|error| error.to_string())?;
    same("the method", forwarded.method(), request.method())?;
    same("the body", forwarded.body(), request.body())?;
    let routes = |message: &Message| message.items(HeaderName::Route).map(str::to_owned).collect::<Vec<_>>();
    let (uri, expected) = match routes(&request).split_first() {
        // §16.6 step 6: a strict router gets its own URI as Request-URI.
        Some((first, rest)) if !first.contains(";lr") => {
            let last = format!("<{}>", request.request_uri());
            (NameAddr::parse(first).unwrap().uri.to_owned(), [rest, &[last]].concat())
        }
        _ => (request.request_uri().to_owned(), routes(&request)),
    };
    same("the Request-URI", forwarded.request_uri(), &uri)?;
    same("Route", routes(&forwarded), expected)?;
    let hops = |message: &Message| message.value(HeaderName::MaxForwards).map(|value| value.parse::<u32>().unwrap());
    same("Max-Forwards", hops(&forwarded), hops(&request).map_or(Some(70), |hops| Some(hops - 1)))?;
    let mut vias = forwarded.items(HeaderName::Via);
    let own = vias.next().map(Via::parse).ok_or("no Via")?.map_err(|error| error.to_string())?;
    same("our Via", own.sent_by.to_string(), flow.local.to_string())?;
    same("the transport of our Via", Protocol::parse(own.transport), Some(flow.protocol))?;
    same("a branch of ours", own.has_magic_cookie(), true)?;
    check_vias(&request, &sender(message), vias.collect())?;
    same("the other headers", unchanged(&forwarded), unchanged(&request))
}

/// The headers that no proxy has reason to touch, in their order and as they were spelled.
fn unchanged(message: &Message) -> Vec<(String, String)> {
    let touched = [
        HeaderName::Via,
        HeaderName::MaxForwards,
        HeaderName::MaxBreadth,
        HeaderName::Route,
        HeaderName::ContentLength,
    ];
    let untouched = message.lines().filter(|(name, _)| !touched.contains(&HeaderName::parse(name)));
    untouched.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The Vias of the request, the first of them with what §18.2.1 and RFC 3581 add.
fn check_vias(request: &Message, source: &Flow, vias: Vec<&str>) -> Result<(), String> {
    let came: Vec<&str> = request.items(HeaderName::Via).collect();
    same("the Vias below", vias.get(1..), came.get(1..))?;
    let (top, before) = (Via::parse(vias[0]).unwrap(), Via::parse(came[0]).unwrap());
    let plain = |via: &Via<'_>| {
        let params: Vec<String> = via
            .params
            .iter()
            .filter(|(name, _)| !["received", "rport"].contains(name))
            .map(|param| format!("{param:?}"))
            .collect();
        (via.transport.to_owned(), via.sent_by.to_string(), params)
    };
    same("the sender's Via", plain(&top), plain(&before))?;
    let known = before.sent_by.host.address() == Some(source.remote.ip()) && before.rport().is_none();
    match top.received() {
        None if known => {}
        received => same("received", received, Some(source.remote.ip()))?,
    }
    same("brackets around received", vias[0].contains("received=["), false)?;
    same("rport", top.rport(), before.rport().map(|_| Some(source.remote.port())))
}

/// The response to a request that was forwarded finds its way back, without our Via and otherwise unchanged.
fn check_response(message: &[u8], server: &mut RealServer, forwarded: &Sent) -> Result<(), String> {
    let request = Message::parse(message).map_err(|error| error.to_string())?;
    let at_hop = Message::parse(&forwarded.1).map_err(|error| error.to_string())?;
    let mut response = at_hop.reply(200, "");
    response.set_to_tag("torture");
    response.push(HeaderName::Contact, "<sip:callee@192.0.2.99>");
    let sent = server.deliver_back(&response.to_bytes(), forwarded);
    let (flow, back) = one(&sent)?;
    same("the way of the response", *flow, sender(message))?;
    let back = Message::parse(back).map_err(|error| error.to_string())?;
    same("the status line", (back.status(), back.reason()), (200, ""))?;
    check_vias(&request, flow, back.items(HeaderName::Via).collect())?;
    same("the headers of the response", unchanged(&back), unchanged(&response))
}

fn address(hop: &str) -> SocketAddr {
    let named = HOSTS.iter().find(|(name, _)| *name == hop).map(|(_, address)| *address);
    let hop = named.unwrap_or(hop);
    let ip = hop.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 5060));
    ip.unwrap_or_else(|_| hop.parse().unwrap())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should_be: T) -> Result<(), String> {
    if is == should_be { Ok(()) } else { Err(format!("{what}: is {is:?}, should be {should_be:?}")) }
}
