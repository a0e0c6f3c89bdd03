//! What a REGISTER asks for: RFC 3261 §10.3 steps 5 to 7, up to where the bindings are looked at.

use std::borrow::Cow;
use std::time::Duration;

use signalbox::transport::Flow;
use signalbox_sip::header::{Contact, Expires, Header, HeaderName, To};
use signalbox_sip::lex;
use signalbox_sip::message::{Message, readable};
use signalbox_sip::uri::{Aor, Host, NameAddr, Scheme, Uri, escape_octets};

use crate::binding::MAX_USER_AGENT;
use crate::rejection::Rejection;

/// Contacts that one REGISTER may name.
pub(crate) const MAX_IN_REQUEST: usize = 32;
/// §10.3 step 7: only what is shorter than an hour may be too brief.
const HOUR: Duration = Duration::from_secs(3600);
/// §20.19: "Malformed values SHOULD be treated as equivalent to 3600."
const MALFORMED: Duration = HOUR;

/// The content of a REGISTER, checked and reduced to what is kept. In URIs, octets that are not UTF-8 are escaped. The
/// URIs stay equivalent (RFC 3261 §19.1.4), and look the same in the database, in documents and to operators.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) call_id: Cow<'a, str>,
    pub(crate) cseq: u32,
    /// All Path values in one list (RFC 3327).
    pub(crate) path: Cow<'a, str>,
    pub(crate) user_agent: Cow<'a, str>,
    pub(crate) contacts: Contacts<'a>,
}

/// The Contact headers of a REGISTER.
#[derive(Debug)]
pub(crate) enum Contacts<'a> {
    /// None: the request only asks what is bound.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    Each(Vec<ContactUpdate<'a>>),
}

/// One contact of a REGISTER.
#[derive(Debug)]
pub(crate) struct ContactUpdate<'a> {
    pub(crate) uri: Cow<'a, str>,
    pub(crate) q: u16,
    /// How long the binding is to last; zero removes it.
    pub(crate) lifetime: Duration,
    pub(crate) instance: Cow<'a, str>,
    pub(crate) reg_id: Option<u32>,
    pub(crate) methods: Cow<'a, str>,
    pub(crate) flow: Option<Box<Flow>>,
    /// See [`Record::proved`](crate::binding::Record).
    pub(crate) proved: bool,
}

/// How long bindings last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// Where the request names none.
    pub(crate) default: Duration,
    /// Less is refused.
    pub(crate) minimum: Duration,
    /// More is cut to this.
    pub(crate) maximum: Duration,
}

/// The address of record that `request` is about, in canonical form, and whether it is of the domain in the Request-URI
/// (§10.3 step 5).
pub(crate) fn address_of_record(request: &Message) -> Result<(Aor, bool), Rejection> {
    let to = request.header::<To<'_>>().ok_or(Rejection::Missing("To"))?;
    let uri = to.ok().and_then(|to| to.0.uri().ok()).ok_or(Rejection::Malformed("To"))?;
    let aor = Aor::of(&uri).ok_or(Rejection::Malformed("To"))?;
    let of_domain = is_domain(request.request_uri(), uri.host.map(|host| host.host));
    Ok((aor, of_domain))
}

/// Whether `uri` names this host.
fn is_domain(uri: &str, host: Option<Host<'_>>) -> bool {
    // Nearly always it is no more than that, which shows without reading it.
    if let (Some(Host::Name(name)), Some(("sip", rest))) = (host, uri.split_once(':'))
        && rest.eq_ignore_ascii_case(name)
    {
        return true;
    }
    Uri::parse(uri).ok().and_then(|uri| uri.host).map(|domain| domain.host) == host
}

impl<'a> Registration<'a> {
    /// Reads a REGISTER that came over `source`.
    pub(crate) fn read(request: &'a Message, source: &Flow, lifetimes: &Lifetimes) -> Result<Self, Rejection> {
        let user_agent = request.value(HeaderName::UserAgent).unwrap_or_default();
        Ok(Self {
            call_id: escape_octets(request.call_id()),
            cseq: request.cseq(),
            path: escaped(path(request)?),
            user_agent: readable(&user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT)]),
            contacts: Contacts::read(request, source, lifetimes)?,
        })
    }
}

impl<'a> Contacts<'a> {
    fn read(request: &'a Message, source: &Flow, lifetimes: &Lifetimes) -> Result<Self, Rejection> {
        let expires = request.header::<Expires>().map(|expires| expires.map_or(MALFORMED, |expires| expires.0));
        let mut updates = Vec::new();
        let mut all = false;
        for item in request.items(HeaderName::Contact) {
            let contact = Contact::parse(item).map_err(|_| Rejection::Malformed("Contact"))?;
            if updates.len() == MAX_IN_REQUEST {
                return Err(Rejection::TooManyInRequest(MAX_IN_REQUEST));
            }
            if contact.is_wildcard() {
                // §10.3 step 6: alone, and with an Expires header of zero.
                if all || !updates.is_empty() || expires != Some(Duration::ZERO) {
                    return Err(Rejection::Star);
                }
                all = true;
            } else if all {
                return Err(Rejection::Star);
            } else {
                updates.push(ContactUpdate::read(&contact, expires, lifetimes, &Sender { request, source })?);
            }
        }
        Ok(match (all, updates.is_empty()) {
            (true, _) => Self::RemoveAll,
            (false, true) => Self::Fetch,
            (false, false) => Self::Each(updates),
        })
    }
}

impl<'a> ContactUpdate<'a> {
    fn read(
        contact: &Contact<'a>,
        expires: Option<Duration>,
        lifetimes: &Lifetimes,
        sender: &Sender<'_>,
    ) -> Result<Self, Rejection> {
        let params = contact.0.params;
        let uri = contact.0.uri().map_err(|_| Rejection::Malformed("Contact"))?;
        // RFC 5630 §5.2: a sips: contact is accepted only if the Request-URI is one as well.
        if uri.is_sips() && !Uri::parse(sender.request.request_uri()).is_ok_and(|uri| uri.is_sips()) {
            return Err(Rejection::Malformed("Contact"));
        }
        if params.get("q").is_some() && contact.q().is_none() {
            return Err(Rejection::Malformed("q"));
        }
        // §10.3 step 7: the contact's own expiry, else that of the request, else the default.
        let requested = contact.expires().or(expires).unwrap_or(lifetimes.default);
        let flow = sender.flow_to(&uri);
        Ok(Self {
            uri: escape_octets(contact.0.uri),
            q: contact.q().unwrap_or(1000),
            lifetime: lifetimes.choose(requested)?,
            instance: escaped(contact.instance().unwrap_or_default()),
            reg_id: contact.reg_id(),
            methods: escaped(params.value("methods").map(lex::unquote).unwrap_or_default()),
            proved: sender.is_reached_by(&uri, flow.is_some()),
            flow,
        })
    }
}

impl Lifetimes {
    /// §10.3 step 7: what to grant for what was asked.
    fn choose(&self, requested: Duration) -> Result<Duration, Rejection> {
        if !requested.is_zero() && requested < self.minimum && requested < HOUR {
            return Err(Rejection::TooBrief { requested, minimum: self.minimum });
        }
        Ok(requested.min(self.maximum))
    }
}

/// The one who sent the REGISTER.
struct Sender<'a> {
    request: &'a Message,
    source: &'a Flow,
}

impl Sender<'_> {
    /// Whether requests for this contact go to the host that the REGISTER came from: over its flow, to the contact's host, or to that of
    /// the topmost Path.
    fn is_reached_by(&self, contact: &Uri<'_>, by_flow: bool) -> bool {
        let is_source = |uri: &Uri<'_>| {
            let host = uri
                .params
                .value("maddr")
                .map_or_else(|| uri.host.map(|host| host.host), |maddr| Host::parse(maddr).ok());
            host.and_then(|host| host.address()) == Some(self.source.remote.ip())
        };
        match self.request.items(HeaderName::Path).next() {
            Some(path) => NameAddr::parse(path).is_ok_and(|path| path.uri().is_ok_and(|uri| is_source(&uri))),
            None => by_flow || is_source(contact),
        }
    }

    /// The flow, when the contact is the sender itself, as an address shows that both its Via and its Contact name, and cannot be reached
    /// by that address alone: over a connection, or from behind a NAT. A contact that someone else registers is reached by its URI.
    fn flow_to(&self, contact: &Uri<'_>) -> Option<Box<Flow>> {
        let host = contact.host?;
        let remote = self.source.remote;
        let port = |port: Option<u16>| port.unwrap_or_else(|| self.source.protocol.default_port());
        let is_source = host.host.address() == Some(remote.ip()) && port(host.port) == remote.port();
        if is_source && !self.source.protocol.is_reliable() {
            return None;
        }
        // A second Via: a proxy stands between.
        let direct = self.request.items(HeaderName::Via).nth(1).is_none();
        let via = self.request.top_via().ok().filter(|_| direct)?;
        let is_sender = host.host == via.sent_by.host && port(host.port) == port(via.sent_by.port);
        (is_sender || is_source).then(|| Box::new(*self.source))
    }
}

/// As [`escape_octets`].
fn escaped(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => escape_octets(text),
        Cow::Owned(text) => escape_octets(&text).into_owned().into(),
    }
}

/// All Path values in one list. Each must be an address that requests can be sent to (RFC 3327 §4), because those who call the
/// user later cannot know what is wrong with it.
fn path(request: &Message) -> Result<Cow<'_, str>, Rejection> {
    let mut values = request.values(HeaderName::Path);
    let Some(first) = values.next() else { return Ok(Cow::Borrowed("")) };
    let leads_on = |item: &str| {
        NameAddr::parse(item)
            .ok()
            .and_then(|address| address.uri().ok())
            .is_some_and(|uri| uri.host.is_some() && matches!(uri.scheme, Scheme::Sip | Scheme::Sips))
    };
    if !request.items(HeaderName::Path).all(leads_on) {
        return Err(Rejection::Malformed("Path"));
    }
    let mut path = Cow::Borrowed(first);
    for value in values {
        let path = path.to_mut();
        path.push_str(", ");
        path.push_str(value);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signalbox::transport::Protocol;

    const LIFETIMES: Lifetimes = Lifetimes {
        default: Duration::from_secs(3600),
        minimum: Duration::from_secs(60),
        maximum: Duration::from_secs(7200),
    };

    fn request(lines: &str) -> Message {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n\
             From: <sip:alice@example.com>;tag=1\r\nTo: Alice <sip:%61lice@Example.com;user=phone>\r\n\
             Call-ID: c\r\nCSeq: 7 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.as_bytes()).expect("a valid request")
    }

    fn flow(protocol: Protocol, remote: &str) -> Flow {
        let local = "192.0.2.10:5060".parse().expect("an address");
        Flow { protocol, local, remote: remote.parse().expect("an address"), connection: None }
    }

    /// URI and seconds of each contact.
    fn contacts(lines: &str) -> Result<Vec<(String, u64)>, Rejection> {
        let request = request(lines);
        match Registration::read(&request, &flow(Protocol::Udp, "10.0.0.1:5060"), &LIFETIMES)?.contacts {
            Contacts::Fetch => Ok(Vec::new()),
            Contacts::RemoveAll => Ok(vec![("*".to_owned(), 0)]),
            Contacts::Each(each) => {
                Ok(each.iter().map(|contact| (contact.uri.to_string(), contact.lifetime.as_secs())).collect())
            }
        }
    }

    #[test]
    fn the_address_of_record_is_canonical() {
        let (aor, of_domain) = address_of_record(&request("")).expect("an address of record");
        assert_eq!((aor.as_str(), of_domain), ("sip:alice@example.com", true));
        let mut elsewhere = request("");
        elsewhere.set_request_uri("sip:example.org");
        assert!(!address_of_record(&elsewhere).expect("an address of record").1);
    }

    #[test]
    fn a_contacts_own_expiry_comes_before_that_of_the_request_and_the_default() {
        let lines = "Contact: <sip:a@h>;expires=90, <sip:b@h>\r\nm: sip:c@h;expires=0\r\n";
        let with = |expires: &str| contacts(&format!("{lines}{expires}")).expect("accepted");
        let seconds = |list: Vec<(String, u64)>| list.into_iter().map(|(_, seconds)| seconds).collect::<Vec<_>>();
        assert_eq!(seconds(with("Expires: 120\r\n")), [90, 120, 0]);
        assert_eq!(seconds(with("")), [90, 3600, 0]);
        assert_eq!(seconds(with("Expires: 999999\r\n")), [90, 7200, 0]);
        assert_eq!(seconds(with("Expires: soon\r\n")), [90, 3600, 0], "malformed counts as an hour");
    }

    #[test]
    fn too_brief_is_refused_with_the_minimum() {
        let (requested, minimum) = (Duration::from_secs(59), Duration::from_secs(60));
        assert_eq!(contacts("Contact: <sip:a@h>;expires=59\r\n"), Err(Rejection::TooBrief { requested, minimum }));
        assert!(contacts("Contact: <sip:a@h>;expires=60\r\n").is_ok());
        let patient = Lifetimes { minimum: Duration::from_secs(7200), ..LIFETIMES };
        assert_eq!(patient.choose(HOUR), Ok(HOUR), "an hour is never too brief");
    }

    #[test]
    fn star_must_be_alone_with_expires_zero() {
        assert_eq!(contacts("Contact: *\r\nExpires: 0\r\n"), Ok(vec![("*".to_owned(), 0)]));
        for lines in [
            "Contact: *\r\n",
            "Contact: *\r\nExpires: 60\r\n",
            "Contact: *, <sip:a@h>\r\nExpires: 0\r\n",
            "Contact: <sip:a@h>, *\r\nExpires: 0\r\n",
            "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
        ] {
            assert_eq!(contacts(lines), Err(Rejection::Star), "{lines}");
        }
        // None of these is `*`.
        for contact in ["<*>", "<*>;expires=0", "* ;expires=0", "*;q=1", "\"all\" <*>", "**"] {
            let lines = format!("Contact: {contact}\r\nExpires: 0\r\n");
            assert_eq!(contacts(&lines), Err(Rejection::Malformed("Contact")), "{contact}");
        }
    }

    #[test]
    fn no_contact_is_a_fetch_and_broken_ones_are_named() {
        assert_eq!(contacts("Expires: 60\r\n"), Ok(Vec::new()));
        assert_eq!(contacts("Contact: <sip:a@h\r\n"), Err(Rejection::Malformed("Contact")));
        assert_eq!(contacts("Contact: <sip:a@h>;q=2\r\n"), Err(Rejection::Malformed("q")));
        let many = "Contact: <sip:a@h>\r\n".repeat(MAX_IN_REQUEST + 1);
        assert_eq!(contacts(&many), Err(Rejection::TooManyInRequest(MAX_IN_REQUEST)));
    }

    #[test]
    fn parameters_and_other_headers_are_kept() {
        let request = request(
            "Contact: <sip:a@h>;q=0.25;+sip.instance=\"<urn:uuid:1>\";reg-id=2;methods=\"MESSAGE, NOTIFY\"\r\n\
             Path: <sip:p1;lr>, <sip:p2;lr>\r\nPath: <sip:p3;lr>\r\nUser-Agent: Phone\r\n",
        );
        let read = Registration::read(&request, &flow(Protocol::Udp, "10.0.0.1:5060"), &LIFETIMES).expect("accepted");
        assert_eq!((&*read.call_id, read.cseq, &*read.user_agent), ("c", 7, "Phone"));
        assert_eq!(read.path, "<sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>");
        let Contacts::Each(each) = read.contacts else { panic!("one contact") };
        assert_eq!((each[0].q, each[0].reg_id), (250, Some(2)));
        assert_eq!((&*each[0].instance, &*each[0].methods), ("urn:uuid:1", "MESSAGE, NOTIFY"));
    }

    #[test]
    fn the_flow_is_kept_where_the_contact_is_the_sender_and_needs_it() {
        let kept = |protocol, remote: &str, contact: &str, more: &str| {
            let request = request(&format!("Contact: <{contact}>\r\n{more}"));
            let read = Registration::read(&request, &flow(protocol, remote), &LIFETIMES).expect("accepted");
            let Contacts::Each(each) = read.contacts else { panic!("one contact") };
            each[0].flow.is_some()
        };
        let (direct, nat) = ("10.0.0.1:5060", "203.0.113.5:40000");
        assert!(!kept(Protocol::Udp, direct, "sip:a@10.0.0.1:5060", ""), "reached by its address");
        assert!(kept(Protocol::Udp, nat, "sip:a@10.0.0.1:5060", ""), "behind a NAT");
        assert!(kept(Protocol::Tcp, nat, "sip:a@203.0.113.5:40000", ""), "knows its outer address");
        assert!(kept(Protocol::Tcp, "10.0.0.1:40000", "sip:a@10.0.0.1:5060", ""), "over its connection");
        assert!(!kept(Protocol::Tcp, nat, "sip:a@198.51.100.9", ""), "someone else's contact");
        let proxied = "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK2\r\n";
        assert!(!kept(Protocol::Udp, nat, "sip:a@10.0.0.1:5060", proxied), "a proxy stands between");
    }
}
