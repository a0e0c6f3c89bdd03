//! The path of NOTIFYs, if it is not simply the proved Contact of the watcher.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use signalbox::forward::{NextHost, Strict, next_hop};
use signalbox::transactions::Allowance;
use signalbox::transport::{Flow, Protocol};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;

/// How NOTIFYs reach a watcher. Without such a path, the Contact (or the first proxy of the route set) is the host that
/// the SUBSCRIBE came from.
#[derive(Debug, Clone)]
pub(super) enum Path {
    /// Back over the connection of a watcher without proxies in between, or through its NAT (RFC 5626 §5.3, RFC 3581).
    Flow(Flow),
    /// To an address that the SUBSCRIBE names and that is not proved.
    Unproved(Arc<Allowance>),
}

/// The word for [`Path::Unproved`] in the database.
const UNPROVED: &str = "unproved";

impl Path {
    /// The path for a SUBSCRIBE that has just come; `template` is a NOTIFY of its dialog.
    pub(super) fn of(request: &Message, template: &Message, source: &Flow) -> Option<Self> {
        let known = flow_back(request, source).map(Self::Flow);
        if known.is_some() || leads_to(template, source.remote.ip()) {
            return known;
        }
        Some(Self::Unproved(Arc::new(Allowance::new(source.remote.ip(), octets_sent(request)))))
    }

    /// The path after another SUBSCRIBE of the dialog with the same Contact.
    pub(super) fn again(known: Option<&Self>, request: &Message, template: &Message, source: &Flow) -> Option<Self> {
        match known {
            // The host was the source of an earlier SUBSCRIBE, or has answered.
            None => flow_back(request, source).map(Self::Flow),
            Some(Self::Unproved(allowance)) => match flow_back(request, source) {
                Some(flow) => Some(Self::Flow(flow)),
                None if leads_to(template, source.remote.ip()) => None,
                None => {
                    allowance.add(octets_sent(request));
                    Some(Self::Unproved(allowance.clone()))
                }
            },
            Some(Self::Flow(_)) => Self::of(request, template, source),
        }
    }

    /// Whether the address of the NOTIFYs is proved.
    pub(super) fn is_proved(&self) -> bool {
        match self {
            Self::Flow(_) => true,
            Self::Unproved(allowance) => allowance.has_proof(),
        }
    }

    /// The allowance for the Contact after the flow is gone. If the flow did not come from the Contact's host, only a
    /// connection may be tried.
    pub(super) fn without_flow(flow: &Flow, template: &Message) -> Option<Arc<Allowance>> {
        let source = flow.remote.ip();
        (!leads_to(template, source)).then(|| Arc::new(Allowance::new(source, 1)))
    }

    /// The path as text, if it outlives the process: a NAT mapping does, a connection does not.
    pub(super) fn text(&self, template: &Message) -> Option<String> {
        let allowance = match self {
            Self::Flow(flow) if !flow.protocol.is_reliable() => {
                return Some(format!("{} {} {}", flow.protocol.parameter(), flow.local, flow.remote));
            }
            Self::Flow(flow) => Self::without_flow(flow, template)?,
            Self::Unproved(allowance) if allowance.has_proof() => return None,
            Self::Unproved(allowance) => allowance.clone(),
        };
        Some(format!("{UNPROVED} {} {}", allowance.source(), allowance.left()))
    }

    /// Reads what [`Self::text`] gave.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let first = parts.next()?;
        if first == UNPROVED {
            let (source, octets) = (parts.next()?.parse::<IpAddr>().ok()?, parts.next()?.parse().ok()?);
            return Some(Self::Unproved(Arc::new(Allowance::new(source, octets))));
        }
        let protocol = Protocol::parse(first)?;
        let mut address = || parts.next()?.parse::<SocketAddr>().ok();
        Some(Self::Flow(Flow { protocol, local: address()?, remote: address()?, connection: None }))
    }
}

/// Two paths are equal if they are the same flow or share their allowance.
impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Flow(one), Self::Flow(other)) => one == other,
            (Self::Unproved(one), Self::Unproved(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow(flow) => flow.fmt(f),
            Self::Unproved(_) => f.write_str(UNPROVED),
        }
    }
}

fn flow_back(request: &Message, source: &Flow) -> Option<Flow> {
    let direct = request.items(HeaderName::Via).count() == 1 && !request.has(HeaderName::RecordRoute);
    let behind_nat = || {
        let via = request.top_via();
        via.is_ok_and(|via| via.received().is_some_and(|seen| via.sent_by.host.address() != Some(seen)))
    };
    (direct && (source.protocol.is_reliable() || behind_nat())).then_some(*source)
}

/// Whether the target of a NOTIFY is this host. Only the address is compared, not the port.
fn leads_to(template: &Message, host: IpAddr) -> bool {
    next_hop(template, Strict::No).is_ok_and(|hop| hop.host == NextHost::Address(host))
}

/// The octets of the request as it was sent, without the Via parameters that were added here (RFC 3261 §18.2.1, RFC
/// 3581 §4).
fn octets_sent(request: &Message) -> usize {
    let noted = request.top_via().map_or(0, |via| {
        let value = |name| via.params.value(name).map_or(0, str::len);
        let received = value("received");
        received + value("rport") + if received > 0 { ";received=".len() } else { 0 } + "=".len()
    });
    request.to_bytes().len().saturating_sub(noted)
}

#[cfg(test)]
mod tests {
    use signalbox_sip::message::Message;

    use super::*;

    const SUBSCRIBE: &str = "SUBSCRIBE sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK1\r\nFrom: <sip:bob@example.com>;tag=b\r\n\
        To: <sip:alice@example.com>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\nContact: <sip:bob@1.2.3.4>\r\nContent-Length: 0\r\n\r\n";

    fn parse(text: &str) -> Message {
        Message::parse(text.as_bytes()).unwrap()
    }

    /// The path for a SUBSCRIBE from 1.2.3.4 whose NOTIFYs have this Request-URI and these headers.
    fn path(text: &str, protocol: Protocol, uri: &str, headers: &str) -> Option<Path> {
        let address = |text: &str| text.parse().unwrap();
        let source =
            Flow { protocol, local: address("9.9.9.9:5060"), remote: address("1.2.3.4:7777"), connection: None };
        let notify = SUBSCRIBE.replace("SUBSCRIBE sip:alice@example.com", &format!("NOTIFY {uri}"));
        let notify = notify.replace("1 SUBSCRIBE", "1 NOTIFY").replace("Event:", &format!("{headers}Event:"));
        Path::of(&parse(text), &parse(&notify), &source)
    }

    #[test]
    fn connections_and_holes_in_nats_are_used_unless_a_proxy_is_between() {
        let flow = |text: &str, protocol| matches!(path(text, protocol, "sip:bob@1.2.3.4", ""), Some(Path::Flow(_)));
        assert!(flow(SUBSCRIBE, Protocol::Tcp) && !flow(SUBSCRIBE, Protocol::Udp));
        assert!(flow(&SUBSCRIBE.replace("branch", "received=5.6.7.8;branch"), Protocol::Udp));
        let routed = SUBSCRIBE.replace("Event:", "Record-Route: <sip:p.example.com;lr>\r\nEvent:");
        assert!(!flow(&routed, Protocol::Tcp));
    }

    #[test]
    fn only_the_host_that_the_request_came_from_is_proved_by_that() {
        for (uri, headers, is_proved) in [
            ("sip:bob@1.2.3.4", "", true),
            ("sip:bob@1.2.3.4:5071", "", true),
            ("sip:bob@5.6.7.8;maddr=1.2.3.4", "", true),
            ("sip:bob@5.6.7.8", "Route: <sip:1.2.3.4;lr>\r\n", true),
            ("sip:bob@5.6.7.8", "", false),
            ("sip:bob@1.2.3.4;maddr=5.6.7.8", "", false),
            ("sip:bob@1.2.3.4", "Route: <sip:5.6.7.8;lr>\r\n", false),
            ("sip:bob@host.example.com", "", false),
        ] {
            let path = path(SUBSCRIBE, Protocol::Udp, uri, headers);
            assert_eq!(path.is_none_or(|path| path.is_proved()), is_proved, "{uri} {headers}");
        }
    }

    #[test]
    fn parameters_that_were_added_to_the_via_do_not_count_as_sent() {
        let sent = SUBSCRIBE.replace("branch", "rport;branch");
        let noted = sent.replace("rport;branch=z9hG4bK1", "rport=7777;branch=z9hG4bK1;received=1.2.3.4");
        assert!(octets_sent(&parse(&noted)) <= sent.len());
        assert!(octets_sent(&parse(SUBSCRIBE)) <= SUBSCRIBE.len());
    }

    #[test]
    fn a_path_that_is_not_proved_is_read_as_it_was_written() {
        let before = path(SUBSCRIBE, Protocol::Udp, "sip:bob@5.6.7.8", "").unwrap();
        let text = before.text(&parse(SUBSCRIBE)).unwrap();
        let after = Path::read(&text).unwrap();
        assert!(!after.is_proved());
        assert_eq!(after.text(&parse(SUBSCRIBE)), Some(text));
        let Path::Unproved(allowance) = before.clone() else { panic!("{before}") };
        allowance.prove("5.6.7.8".parse().unwrap());
        assert_eq!((before.is_proved(), before.text(&parse(SUBSCRIBE))), (true, None));
    }
}
