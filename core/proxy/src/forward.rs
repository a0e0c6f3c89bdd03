//! The steps of RFC 3261 §16.6 that depend on the message alone: where a request goes next, what its Route, Max-Forwards
//! and Record-Route become, and whether it runs in a circle.

use std::borrow::Cow;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use signalbox_sip::fork::MAX_BREADTH;
use signalbox_sip::header::{Header, HeaderName, Via};
use signalbox_sip::lex;
use signalbox_sip::message::Message;
use signalbox_sip::uri::{Aor, Host, NameAddr, Scheme, Uri};
use siphasher::sip::SipHasher13;

use crate::error::Error;
use crate::route_token;
use crate::transactions::branch::{BranchToken, MAX_SPREAD};
use crate::transport::{Flow, Protocol};

/// Where a request goes next, before its host is looked up (RFC 3261 §16.6 steps 6 and 7, RFC 3263 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    pub host: NextHost,
    pub port: u16,
    pub protocol: Protocol,
    /// The URI names its transport, so that size must not change it (RFC 3261 §18.1.1).
    pub explicit: bool,
}

/// The host of a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHost {
    Address(IpAddr),
    Name(String),
}

impl NextHop {
    /// Whether it is the far end of `flow`.
    pub(crate) fn leads_to(&self, flow: &Flow) -> bool {
        self.protocol == flow.protocol
            && self.port == flow.remote.port()
            && self.host == NextHost::Address(flow.remote.ip())
    }
}

/// Whether a request was reformatted for a strict router: the router's URI became the Request-URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strict {
    Yes,
    No,
}

/// The URI that decides where `message` goes (§16.6 step 7): its topmost Route, else its Request-URI. Where that was made
/// the URI of a strict router, it decides in any case; a topmost Route without `lr` shows that it was.
pub fn next_hop(message: &Message, strict: Strict) -> Result<NextHop, Error> {
    let Some(route) = message.items(HeaderName::Route).next().filter(|_| strict == Strict::No) else {
        return next_hop_of(message.request_uri());
    };
    let bad = || Error::BadUri { uri: route.to_owned() };
    let address = NameAddr::parse(route).map_err(|_| bad())?;
    let loose = address.uri().map_err(|_| bad())?.is_loose_router();
    next_hop_of(if loose { address.uri } else { message.request_uri() })
}

/// Whether a request for `uri` may leave by nothing but TLS (RFC 3261 §26.4.4).
pub(crate) fn is_sips(uri: &str) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
}

/// Where requests for `uri` go.
pub fn next_hop_of(uri: &str) -> Result<NextHop, Error> {
    let bad = || Error::BadUri { uri: uri.to_owned() };
    let parsed = Uri::parse(uri).map_err(|_| bad())?;
    match parsed.scheme {
        Scheme::Sip | Scheme::Pres | Scheme::Im => {}
        Scheme::Sips => return Err(Error::SipsRequired { uri: uri.to_owned() }),
        Scheme::Tel | Scheme::Other => return Err(Error::UnsupportedScheme { uri: uri.to_owned() }),
    }
    let address = parsed.host.ok_or_else(bad)?;
    let transport = parsed.transport();
    let protocol = match transport {
        None => Protocol::Udp,
        Some(name) => {
            Protocol::parse(name).ok_or_else(|| Error::UnsupportedTransport { transport: name.to_owned() })?
        }
    };
    let host = match parsed.params.value("maddr").map(Host::parse) {
        // §19.1.1: maddr overrides the host.
        Some(Ok(maddr)) => maddr,
        Some(Err(_)) => return Err(bad()),
        None => address.host,
    };
    let host = match host {
        Host::V4(address) => NextHost::Address(address.into()),
        Host::V6(address) => NextHost::Address(address.into()),
        Host::Name(name) => NextHost::Name(name.to_owned()),
    };
    let port = address.port.unwrap_or_else(|| protocol.default_port());
    Ok(NextHop { host, port, protocol, explicit: transport.is_some() })
}

/// §16.6 step 2: the target becomes the Request-URI, without what may not stand there.
pub fn retarget(message: &mut Message, target: &str) {
    if message.request_uri() == target {
        return;
    }
    // Most targets are no more than user and host.
    match memchr::memchr2(b';', b'?', target.as_bytes()).and_then(|_| Uri::parse(target).ok()) {
        Some(uri) => message.set_request_uri(&uri.as_request_uri()),
        None => message.set_request_uri(target),
    }
}

/// §16.6 step 6: a topmost Route without `lr` belongs to a strict router: it becomes the Request-URI and the
/// Request-URI the last Route.
pub fn adapt_to_strict_router(message: &mut Message) -> Result<Strict, Error> {
    let Some(route) = message.items(HeaderName::Route).next() else { return Ok(Strict::No) };
    let address = NameAddr::parse(route).map_err(|_| Error::BadUri { uri: route.to_owned() })?;
    let uri = address.uri().map_err(|_| Error::BadUri { uri: route.to_owned() })?;
    if uri.is_loose_router() {
        return Ok(Strict::No);
    }
    let next = uri.as_request_uri().into_owned();
    let last = format!("<{}>", message.request_uri());
    message.remove_first_item(HeaderName::Route);
    message.push(HeaderName::Route, &last);
    message.set_request_uri(&next);
    Ok(Strict::Yes)
}

/// §16.3 step 3 and §16.6 step 3: one hop less, `default` where there was none.
pub fn count_hop(message: &mut Message, default: u32) -> Result<(), Error> {
    let Some(value) = message.value(HeaderName::MaxForwards) else {
        message.push(HeaderName::MaxForwards, &default.to_string());
        return Ok(());
    };
    let hops: u32 = value.trim().parse().map_err(|_| Error::BadHeader {
        header: "Max-Forwards",
        problem: format!("{value:?} is not a number from 0 to 255"),
    })?;
    match hops {
        0 => Err(Error::TooManyHops),
        // §20.22: "an integer in the range 0-255".
        _ => {
            message.set(HeaderName::MaxForwards, itoa::Buffer::new().format((hops - 1).min(255)));
            Ok(())
        }
    }
}

/// The Max-Breadth that a request came with, or counts as having come with (RFC 5393 §5.3.3).
pub fn breadth(message: &Message) -> Result<u8, Error> {
    let breadth = message.value(HeaderName::MaxBreadth).and_then(lex::decimal);
    match breadth.map_or(MAX_BREADTH, |breadth| u8::try_from(breadth).unwrap_or(MAX_BREADTH)) {
        0 => Err(Error::BreadthExceeded),
        breadth => Ok(breadth.min(MAX_BREADTH)),
    }
}

/// RFC 5393 §5.3.3: "All proxied requests MUST contain a single Max-Breadth header field value." None is there for a CANCEL.
pub fn set_breadth(message: &mut Message, breadth: u8) {
    let mut text = itoa::Buffer::new();
    let text = text.format(breadth);
    let mut values = message.values(HeaderName::MaxBreadth);
    if (values.next(), values.next()) != (Some(text), None) {
        message.set(HeaderName::MaxBreadth, text);
    }
}

/// The part of a branch that recognises a request which loops: a digest of what decides the route of the request as it
/// came (RFC 5393 §4.2.1: Request-URI, Route, and the headers that identify the request). The location service reads
/// only the address of record, so `sip:alice@example.com;x=1` and `;x=2` give the same digest. Never 0.
pub fn loop_hash(message: &Message, keys: (u64, u64)) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(keys.0, keys.1);
    let uri = message.request_uri();
    let aor = if Aor::is_canonical(uri) { None } else { Aor::parse(uri) };
    hasher.write(aor.as_ref().map_or(uri, Aor::as_str).as_bytes());
    for name in [HeaderName::Route, HeaderName::ProxyRequire, HeaderName::From, HeaderName::CallId] {
        for value in message.values(name) {
            hasher.write(value.as_bytes());
            hasher.write_u8(0);
        }
    }
    hasher.write_u32(message.cseq());
    let digest = hasher.finish();
    u32::try_from(digest >> 32).unwrap_or_default().max(1)
}

/// §16.3 step 4 as corrected by RFC 5393 §4.2.2: how many requests may be made of this one. If it has passed here
/// before, its branch carries the number that is left.
///
/// # Errors
/// [`Error::LoopDetected`] if it would take the same route as before.
pub(crate) fn allowed_spread(
    message: &Message,
    is_ours: impl Fn(&Via<'_>) -> bool,
    loop_hash: u32,
) -> Result<u8, Error> {
    // The cheap test comes first: most requests have no Via of ours.
    let is_likely = |via: &str| BranchToken::position(via.as_bytes()).is_some();
    if !message.values(HeaderName::Via).any(is_likely) {
        return Ok(MAX_SPREAD);
    }
    let mut spread = None;
    let likely = message.items(HeaderName::Via).filter(|via| is_likely(via));
    for via in likely.filter_map(|via| Via::parse(via).ok()).filter(is_ours) {
        let Some(BranchToken { passage, .. }) = via.branch().and_then(BranchToken::parse) else { continue };
        if passage.loop_hash == loop_hash {
            return Err(Error::LoopDetected);
        }
        spread.get_or_insert(passage.spread);
    }
    Ok(spread.unwrap_or(MAX_SPREAD))
}

/// Notes in the topmost Via where the request came from (§18.2.1, RFC 3581 §4), and says where its responses go
/// (§18.2.2).
pub fn receive_via(message: &mut Message, source: &Flow) -> Result<Flow, Error> {
    let problem = |problem: &dyn std::fmt::Display| Error::BadHeader { header: "Via", problem: problem.to_string() };
    let via = message.top_via().map_err(|error| problem(&error))?;
    let (reply_to, is_noted) = received(&via, source);
    if is_noted {
        message.set_received(source.remote).map_err(|error| problem(&error))?;
    }
    Ok(reply_to)
}

/// The same for a Via by itself: where responses go, and whether the source has to be noted in it.
pub(crate) fn received(via: &Via<'_>, source: &Flow) -> (Flow, bool) {
    let same_host = match via.sent_by.host {
        Host::V4(address) => source.remote.ip() == address,
        Host::V6(address) => source.remote.ip() == address,
        Host::Name(_) => false,
    };
    let rport = via.rport().is_some();
    // A maddr is not followed, although §18.2.2 says so. It is meant for multicast, which is not received here. With it
    // a sender could direct our responses, with all retransmissions, to a third party.
    let remote = match (source.protocol, rport) {
        (Protocol::Udp, false) => SocketAddr::new(source.remote.ip(), sent_by_port(via, Protocol::Udp)),
        _ => source.remote,
    };
    let reply_to = Flow { remote, ..*source };
    if same_host && !rport && via.received().is_none() {
        return (reply_to, false);
    }
    (reply_to, true)
}

/// The port at which the sender of a request listens.
pub(crate) fn sent_by_port(via: &Via<'_>, protocol: Protocol) -> u16 {
    via.sent_by.port.unwrap_or_else(|| protocol.default_port())
}

/// RFC 4475 §3.3.10: a forged Via makes nobody shout.
pub(crate) fn is_unicast(address: IpAddr) -> bool {
    !(address.is_multicast() || address.is_unspecified() || address == Ipv4Addr::BROADCAST)
}

/// Notes in the topmost Via by which port the connection came that a request is forwarded from without a transaction, so that its responses
/// find that connection again (§18.2.2).
pub(crate) fn note_port(message: &mut Message, source: &Flow) {
    let text = match message.top_via() {
        Ok(via) if source.protocol.is_reliable() && via.rport().is_none() => {
            format!("{via};rport={}", source.remote.port())
        }
        _ => return,
    };
    message.replace_first_item(HeaderName::Via, &text);
}

/// The Via that is put on top of a request sent by `protocol` from `sent_by`.
pub(crate) fn via_text(protocol: Protocol, sent_by: &str, branch: &BranchToken) -> String {
    let mut text = String::with_capacity(96);
    text.push_str("SIP/2.0/");
    text.push_str(protocol.as_str());
    text.push(' ');
    text.push_str(sent_by);
    text.push_str(";branch=");
    branch.write(&mut text);
    text
}

/// The Record-Route values for a request that came in at `incoming` and leaves from `outgoing` (both `host:port` with
/// protocol), topmost first: one where they are the same, two where they differ, so that each side finds the address
/// and transport that it can reach (§16.6 step 4, RFC 5658). `parameters` are the token and the parameters of the
/// script.
pub(crate) fn record_route_values(
    incoming: (&str, Protocol),
    outgoing: (&str, Protocol),
    parameters: (&str, &str),
) -> (String, Option<String>) {
    let value = |(sent_by, protocol): (&str, Protocol), double: bool| {
        let transport = match protocol {
            Protocol::Udp => Cow::Borrowed(""),
            other => Cow::Owned(format!(";transport={}", other.parameter())),
        };
        let double = if double { ";r2=on" } else { "" };
        let (token, more) = parameters;
        format!("<sip:{sent_by}{transport};lr{double};{}={token}{more}>", route_token::PARAMETER)
    };
    if incoming == outgoing {
        return (value(outgoing, false), None);
    }
    (value(outgoing, true), Some(value(incoming, true)))
}
