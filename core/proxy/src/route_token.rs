//! The token in our Record-Route, by which a request that follows in a dialog proves that the dialog passes here.
//!
//! A To tag and a Route are easily forged; the token is not. It is a parameter of the URI that `record_route` writes
//! (RFC 3261 §16.6 step 4). It signs the Call-ID and the tag of the caller, the party that began the dialog. It also
//! names the flows to the parties that are users of ours, so that later requests reach them, and only them, through
//! their NAT.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::uri::{Aor, NameAddr, Uri};
use siphasher::sip::SipHasher24;
use smallvec::SmallVec;

use crate::transport::{ConnectionId, Flow, Protocol};

/// The name of the URI parameter.
pub(crate) const PARAMETER: &str = "dialog";

/// The key that signs tokens.
pub type RouteKey = (u64, u64);

/// The keys of a server; see `route_key` in the settings.
#[derive(Clone, Debug, Default)]
pub struct RouteKeys {
    /// Signs our tokens; `None` for one that lasts as long as the process.
    pub own: Option<RouteKey>,
    /// Keys of other servers whose tokens are accepted too.
    pub accepted: Vec<RouteKey>,
    /// Whether a Route to this server without a token is accepted within a dialog (with a To tag).
    pub unsigned: bool,
}

/// The contents of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteToken {
    /// The run of the server that the connections in it belong to.
    pub(crate) life: u32,
    pub(crate) caller: Party,
    pub(crate) callee: Party,
}

/// One side of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// A digest of its address in From or To.
    pub(crate) address: u32,
    /// The way to the party, if that is a user of ours.
    pub(crate) way: Option<Way>,
}

/// The way to a user of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) flow: Flow,
    /// There is a proxy in between, so the Routes after ours lead on from there.
    pub(crate) has_proxy: bool,
}

/// The two parties by their roles in a request within the dialog: sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) from: Party,
    pub(crate) to: Party,
}

type Octets = SmallVec<[u8; 96]>;

const VERSION: u8 = 1;
const MAC: usize = 8;

/// Bits of the octet that a way begins with.
const PRESENT: u8 = 1;
const STREAM: u8 = 2;
const PROXY: u8 = 4;
const V6: u8 = 8;
const CONNECTED: u8 = 16;

impl RouteToken {
    /// The token for the dialog that `request` begins, as it stands in the URI.
    pub(crate) fn sign(&self, request: &Message, key: RouteKey) -> String {
        let mut octets = Octets::new();
        octets.push(VERSION);
        octets.extend_from_slice(&self.life.to_be_bytes());
        for party in [&self.caller, &self.callee] {
            octets.extend_from_slice(&party.address.to_be_bytes());
            write_way(party.way.as_ref(), &mut octets);
        }
        let mac = mac(&octets, (request.call_id(), request.from_tag().unwrap_or_default()), key);
        octets.extend_from_slice(&mac.to_be_bytes());
        to_hex(&octets)
    }

    /// The parties of `request` by the token in a URI of ours; `None` if there is no token, or it belongs to another
    /// dialog. `life` is the current run of the server.
    pub(crate) fn verify(uri: &Uri<'_>, request: &Message, keys: &RouteKeys, life: u32) -> Option<Sides> {
        let octets = from_hex(uri.params.value(PARAMETER)?)?;
        let (signed, mac_octets) = octets.split_at_checked(octets.len().checked_sub(MAC)?)?;
        let expected = u64::from_be_bytes(mac_octets.try_into().ok()?);
        let (call_id, from, to) = (request.call_id(), request.from_tag().unwrap_or_default(), request.to_tag()?);
        let from_caller = keys.own.iter().chain(&keys.accepted).find_map(|&key| {
            [(from, true), (to, false)]
                .into_iter()
                .find_map(|(tag, from_caller)| (mac(signed, (call_id, tag), key) == expected).then_some(from_caller))
        })?;
        let token = Self::read(signed)?.in_life(life);
        let sides = match from_caller {
            true => Sides { from: token.caller, to: token.callee },
            false => Sides { from: token.callee, to: token.caller },
        };
        // An ACK cannot be challenged (§22.1), so the address in its From must be the dialog's.
        let is_known = *request.method() != Method::Ack || address(request, HeaderName::From) == sides.from.address;
        is_known.then_some(sides)
    }

    /// A connection of another run of the server no longer exists: any connection to the same address will do.
    fn in_life(mut self, life: u32) -> Self {
        for party in [&mut self.caller, &mut self.callee] {
            if let Some(way) = party.way.as_mut().filter(|_| self.life != life) {
                way.flow.connection = None;
            }
        }
        self
    }

    fn read(signed: &[u8]) -> Option<Self> {
        let mut reader = Reader(signed);
        if reader.octets::<1>()? != [VERSION] {
            return None;
        }
        let life = u32::from_be_bytes(reader.octets()?);
        let mut party = || Some(Party { address: u32::from_be_bytes(reader.octets()?), way: read_way(&mut reader)? });
        Some(Self { life, caller: party()?, callee: party()? })
    }
}

impl Party {
    /// The party that this header of the request that begins the dialog names.
    pub(crate) fn new(request: &Message, header: HeaderName, way: Option<Way>) -> Self {
        Self { address: address(request, header), way }
    }

    /// Whether it is a user of ours, and `source` the way to it.
    pub(crate) fn is_reached_by(&self, source: &Flow) -> bool {
        self.way.is_some_and(|way| (way.flow.protocol, way.flow.remote) == (source.protocol, source.remote))
    }
}

/// A digest of the address of record in From or To.
fn address(request: &Message, header: HeaderName) -> u32 {
    let uri = request.value(header).and_then(|value| NameAddr::parse(value).ok()).map_or("", |address| address.uri);
    let aor = Aor::parse(uri);
    let mut hasher = SipHasher24::new();
    hasher.write(aor.as_ref().map_or(uri, Aor::as_str).as_bytes());
    (hasher.finish() >> 32) as u32
}

fn mac(signed: &[u8], (call_id, tag): (&str, &str), key: RouteKey) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(key.0, key.1);
    for part in [signed, call_id.as_bytes(), tag.as_bytes()] {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    hasher.finish()
}

fn write_way(way: Option<&Way>, octets: &mut Octets) {
    let Some(Way { flow, has_proxy }) = way else { return octets.push(0) };
    let flags = [
        (PRESENT, true),
        (STREAM, flow.protocol == Protocol::Tcp),
        (PROXY, *has_proxy),
        (V6, flow.remote.is_ipv6()),
        (CONNECTED, flow.connection.is_some()),
    ];
    octets.push(flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag).sum());
    for address in [flow.local, flow.remote] {
        match address.ip() {
            IpAddr::V4(ip) => octets.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => octets.extend_from_slice(&ip.octets()),
        }
        octets.extend_from_slice(&address.port().to_be_bytes());
    }
    if let Some(ConnectionId { worker, serial }) = flow.connection {
        octets.extend_from_slice(&worker.to_be_bytes());
        octets.extend_from_slice(&serial.to_be_bytes());
    }
}

/// `None` if the octets are invalid; `Some(None)` if they say that there is no way.
fn read_way(reader: &mut Reader<'_>) -> Option<Option<Way>> {
    let [flags] = reader.octets()?;
    let is_set = |flag| flags & flag != 0;
    if !is_set(PRESENT) {
        return Some(None);
    }
    let mut address = || {
        let ip = match is_set(V6) {
            true => IpAddr::from(reader.octets::<16>()?),
            false => IpAddr::from(reader.octets::<4>()?),
        };
        Some(SocketAddr::new(ip, u16::from_be_bytes(reader.octets()?)))
    };
    let (local, remote) = (address()?, address()?);
    let connection = match is_set(CONNECTED) {
        true => Some(ConnectionId {
            worker: u16::from_be_bytes(reader.octets()?),
            serial: u32::from_be_bytes(reader.octets()?),
        }),
        false => None,
    };
    let protocol = if is_set(STREAM) { Protocol::Tcp } else { Protocol::Udp };
    Some(Some(Way { flow: Flow { protocol, local, remote, connection }, has_proxy: is_set(PROXY) }))
}

/// A reader that takes octets from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }
}

fn to_hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| char::from(DIGITS[usize::from(number & 15)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

/// Accepts hexadecimal digits in either case: the case of URI parameters may change on the way (RFC 3261 §19.1.4).
fn from_hex(text: &str) -> Option<Octets> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: RouteKey = (1, 2);

    fn request(method: &str, from: &str, to: &str) -> Message {
        let text = format!(
            "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    fn way(remote: &str, connection: Option<ConnectionId>) -> Way {
        let protocol = if connection.is_some() { Protocol::Tcp } else { Protocol::Udp };
        let remote: SocketAddr = remote.parse().unwrap();
        let local = if remote.is_ipv6() { "[2001:db8::1]:5060" } else { "192.0.2.100:5060" };
        Way { flow: Flow { protocol, local: local.parse().unwrap(), remote, connection }, has_proxy: false }
    }

    fn token() -> RouteToken {
        let invite = request("INVITE", "<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
        let caller = way("192.0.2.1:4711", Some(ConnectionId { worker: 2, serial: 7 }));
        RouteToken {
            life: 9,
            caller: Party::new(&invite, HeaderName::From, Some(caller)),
            callee: Party::new(&invite, HeaderName::To, Some(way("[2001:db8::2]:5060", None))),
        }
    }

    fn signed() -> String {
        token().sign(&request("INVITE", "<sip:alice@example.com>;tag=a", "<sip:bob@example.com>"), KEY)
    }

    fn verify(text: &str, request: &Message, key: RouteKey, life: u32) -> Option<Sides> {
        let uri = format!("sip:192.0.2.100;lr;{PARAMETER}={text}");
        let keys = RouteKeys { own: Some((8, 8)), accepted: vec![key], unsigned: false };
        RouteToken::verify(&Uri::parse(&uri).unwrap(), request, &keys, life)
    }

    #[test]
    fn it_is_good_for_both_directions_of_its_dialog() {
        let bye = request("BYE", "<sip:alice@example.com>;tag=a", "<sip:bob@example.com>;tag=b");
        let sides = verify(&signed(), &bye, KEY, 9).unwrap();
        assert_eq!((sides.from, sides.to), (token().caller, token().callee));
        let bye = request("BYE", "<sip:bob@example.com>;tag=b", "<sip:alice@example.com>;tag=a");
        let sides = verify(&signed().to_uppercase(), &bye, KEY, 9).unwrap();
        assert_eq!((sides.from, sides.to), (token().callee, token().caller));
    }

    #[test]
    fn it_is_good_for_no_other_dialog_and_no_other_key() {
        let own = request("BYE", "<sip:alice@example.com>;tag=a", "<sip:bob@example.com>;tag=b");
        assert_eq!(verify(&signed(), &own, (1, 3), 9), None);
        let other = request("BYE", "<sip:alice@example.com>;tag=x", "<sip:bob@example.com>;tag=b");
        assert_eq!(verify(&signed(), &other, KEY, 9), None);
        let outside = request("INVITE", "<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
        assert_eq!(verify(&signed(), &outside, KEY, 9), None, "without a To tag");
    }

    #[test]
    fn an_ack_keeps_the_address_of_the_dialog() {
        let ack = |from: &str| request("ACK", from, "<sip:bob@example.com>;tag=b");
        assert!(verify(&signed(), &ack("\"A\" <sips:alice@EXAMPLE.com.>;tag=a"), KEY, 9).is_some());
        assert_eq!(verify(&signed(), &ack("<sip:carol@example.com>;tag=a"), KEY, 9), None);
    }

    #[test]
    fn connections_are_forgotten_with_the_life_of_the_server() {
        let bye = request("BYE", "<sip:bob@example.com>;tag=b", "<sip:alice@example.com>;tag=a");
        let connection = |life| verify(&signed(), &bye, KEY, life).unwrap().to.way.unwrap().flow.connection;
        assert_eq!((connection(9).is_some(), connection(10)), (true, None));
    }

    proptest! {
        #[test]
        fn no_changed_token_is_taken(at in 0..signed().len(), digit in "[0-9a-f]", cut in 0..20usize) {
            let bye = request("BYE", "<sip:alice@example.com>;tag=a", "<sip:bob@example.com>;tag=b");
            let mut text = signed();
            text.replace_range(at..=at, &digit);
            text.truncate(text.len() - cut);
            prop_assert_eq!(verify(&text, &bye, KEY, 9).is_some(), text == signed());
        }
    }
}
