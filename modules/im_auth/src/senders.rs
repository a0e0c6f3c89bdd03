//! Sets of senders: single addresses and whole domains.

use std::collections::HashSet;

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::uri::{Aor, HostPort, NameAddr, canonical_domain, escape_user, unescape};

/// Headers besides From that name the sender of a request (RFC 3325 §9.1, §9.2).
const IDENTITIES: [HeaderName; 2] = [HeaderName::PAssertedIdentity, HeaderName::PPreferredIdentity];

/// Most identities that are read in one request. RFC 3325 allows two.
const MAX_IDENTITIES: usize = 4;

/// Senders that are let through. Each must match exactly.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    addresses: HashSet<Aor>,
    domains: HashSet<String>,
}

/// Senders that are refused. They match in any case, with any port, and with parameters in the user part.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    addresses: HashSet<String>,
    domains: HashSet<String>,
}

/// The sender of a request.
#[derive(Debug)]
pub(crate) struct Sender {
    /// The user in From.
    pub(crate) address: Aor,
    /// The number, if From is a telephone's.
    number: Option<Aor>,
}

impl Sender {
    /// Reads the value of From or of a header like it; `None` if it names nobody.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let uri = NameAddr::parse(value).ok()?.uri().ok()?;
        Some(Self { address: Aor::of(&uri)?, number: Aor::of_telephone(&uri) })
    }

    /// The senders that the request names besides From.
    pub(crate) fn others(request: &Message) -> impl Iterator<Item = Self> {
        let values = IDENTITIES.into_iter().flat_map(|header| request.items(header));
        values.take(MAX_IDENTITIES).filter_map(Self::parse)
    }
}

/// An entry of a list.
enum Entry {
    Address(Aor),
    Domain(String),
}

impl Entry {
    /// Reads `sip:user@domain`, `tel:number`, `user@domain` or `domain`.
    fn parse(entry: &str) -> Option<Self> {
        let text = entry.trim();
        if text.contains('@') || text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:")) {
            let address = Aor::parse(text).or_else(|| Aor::parse(&["sip:", text].concat()));
            return address.filter(|address| address.user().is_some()).map(Self::Address);
        }
        let domain = HostPort::parse(text).ok()?;
        let mut name = String::new();
        domain.host.push_canonical(&mut name);
        let port = domain.port.filter(|port| !matches!(port, 5060 | 5061));
        Some(Self::Domain(port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"))))
    }
}

impl Allowed {
    /// The error is the entry that is neither an address nor a domain.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, &str> {
        let mut senders = Self::default();
        for entry in entries {
            match Entry::parse(entry).ok_or(entry.as_str())? {
                Entry::Address(address) => drop(senders.addresses.insert(address)),
                Entry::Domain(domain) => drop(senders.domains.insert(domain)),
            }
        }
        Ok(senders)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty()
    }

    pub(crate) fn contains(&self, sender: &Sender) -> bool {
        self.addresses.contains(&sender.address) || self.domains.contains(sender.address.host())
    }
}

impl Blocked {
    /// The error is the entry that is neither an address nor a domain.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, &str> {
        let mut senders = Self::default();
        for entry in entries {
            match Entry::parse(entry).ok_or(entry.as_str())? {
                Entry::Address(address) => drop(senders.addresses.insert(person(&address))),
                Entry::Domain(domain) => drop(senders.domains.insert(without_port(&domain).to_owned())),
            }
        }
        Ok(senders)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty()
    }

    pub(crate) fn contains(&self, sender: &Sender) -> bool {
        self.contains_address(&sender.address)
            || sender.number.as_ref().is_some_and(|number| self.addresses.contains(&person(number)))
    }

    /// Whether this user of this realm is blocked: the one whose password came with the request.
    pub(crate) fn contains_user(&self, user: &str, realm: &str) -> bool {
        let mut address = String::from("sip:");
        escape_user(user.as_bytes(), &mut address);
        address.push('@');
        address.push_str(&canonical_domain(realm));
        Aor::parse(&address).is_some_and(|address| self.contains_address(&address))
    }

    fn contains_address(&self, address: &Aor) -> bool {
        self.domains.contains(without_port(address.host())) || self.addresses.contains(&person(address))
    }
}

/// One text for all spellings of a sender: without port, in lower case, and without the parameters of a telephone's
/// user (§19.1.6). Servers that distinguish users by case are rare, and a mistake here only blocks one more sender.
fn person(address: &Aor) -> String {
    let address = address.without_port();
    let user = unescape(address.user().unwrap_or_default()).to_lowercase();
    let user = user.split(';').next().unwrap_or_default();
    [user, "@", address.host()].concat()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use signalbox_sip::method::Method;

    use super::*;

    fn entries(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    fn blocked(list: &[&str]) -> Blocked {
        Blocked::parse(&entries(list)).unwrap()
    }

    fn sender(from: &str) -> Sender {
        Sender::parse(from).unwrap()
    }

    #[test]
    fn a_blocked_address_is_blocked_however_it_is_written() {
        let block = blocked(&["sip:mallory@Example.com.", "eve@example.com:5080", "tel:+1-555-0100", "SIP:j%40s@h"]);
        for from in [
            "<sip:mallory@example.com>;tag=1",
            "<sip:mallory@example.com:5070>",
            "<sip:mallory@example.com.:5060>",
            "\"alice\" <sips:m%61llory@EXAMPLE.com;transport=tcp>",
            "<sip:mallory:secret@example.com?Subject=x>",
            "<sip:Mallory@example.com>",
            "<sip:mallory;x=y@example.com>",
            "<pres:mallory@example.com>",
            "<im:%4Dallory@example.com>",
            "sip:eve@example.com",
            "sip:eve@example.com:1234",
            "<tel:+15550100>",
            "<tel:+1(555)%30100;phone-context=x>",
            "<sip:+15550100@gateway.example;user=phone>",
            "<sip:+1-555-0100;npdi=yes@gateway.example;user=phone>",
            "<sip:J%40S@h:9>",
        ] {
            assert!(block.contains(&sender(from)), "{from}");
        }
        for from in ["<sip:alice@example.com>", "<sip:mallory@example.org>", "<sip:15550100@a;user=phone>", "<sip:h>"] {
            assert!(!block.contains(&sender(from)), "{from}");
        }
    }

    #[test]
    fn a_domain_matches_all_of_its_users_and_no_subdomain() {
        let block = blocked(&["Spam.example.", "[2001:DB8::1]", "192.0.2.1"]);
        for from in [
            "sip:anyone@spam.example",
            "sip:anyone@SPAM.example.:5070",
            "sip:x@[2001:db8:0::1]:5070",
            "sip:x@192.0.2.1.",
            "sip:x@[::ffff:192.0.2.1]",
            "sip:spam.example",
        ] {
            assert!(block.contains(&sender(from)), "{from}");
        }
        assert!(!block.contains(&sender("sip:anyone@not.spam.example")));
    }

    #[test]
    fn an_allowed_address_is_this_one_and_no_other() {
        let allow = Allowed::parse(&entries(&["ann@Example.com.", "good.example"])).unwrap();
        for from in ["sip:ann@EXAMPLE.com:5060", "<sips:%61nn@example.com.>", "sip:x@GOOD.example."] {
            assert!(allow.contains(&sender(from)), "{from}");
        }
        for from in
            ["sip:ann@example.com:5070", "sip:Ann@example.com", "<sip:ann;x@example.com>", "sip:x@good.example:7"]
        {
            assert!(!allow.contains(&sender(from)), "{from}");
        }
    }

    #[test]
    fn all_identities_of_a_request_count() {
        let block = blocked(&["mallory@example.com", "tel:+1555"]);
        let mut request = Message::request(&Method::Message, "sip:bob@example.com");
        assert_eq!(Sender::others(&request).count(), 0);
        request.push(HeaderName::PAssertedIdentity, "\"A, B\" <sip:a@example.com>, <tel:+1555>");
        assert!(Sender::others(&request).any(|sender| block.contains(&sender)));
        assert!(block.contains_user("mallory", "EXAMPLE.com"));
        assert!(!block.contains_user("alice", "example.com"));
    }

    #[test]
    fn what_is_neither_address_nor_domain_is_named() {
        for wrong in ["not ok", "@example.com", "urn:x", "sip:example.com:x"] {
            assert_eq!(Blocked::parse(&["ok.example".into(), wrong.into()]).unwrap_err(), wrong);
            assert_eq!(Allowed::parse(&[wrong.into()]).unwrap_err(), wrong);
        }
    }
}
