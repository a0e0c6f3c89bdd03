//! Publishers that may publish for others: a voicemail server, a PBX.
//!
//! The parameter `publishers` names senders whose PUBLISH is accepted. `notifiers` names senders whose NOTIFY is
//! accepted without a subscription, as many voicemail servers send it.

use std::net::IpAddr;

use signalbox_sip::uri::Aor;

/// Most entries of one parameter.
pub const MAX_NAMED: usize = 256;

/// The senders named for each package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publishers(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    package: Box<str>,
    who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Everybody,
    /// A user of ours. Other users cannot prove their identity here.
    User(Aor),
    /// Any sender at this address.
    Address(IpAddr),
}

/// The sender of a request.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The user in From, if its domain is ours.
    pub user: Option<&'a Aor>,
    pub address: IpAddr,
}

impl Publishers {
    /// Reads entries such as `message-summary sip:voicemail@example.com`. The error is the entry that is invalid.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        if entries.len() > MAX_NAMED {
            return Err(format!("has more than {MAX_NAMED} entries"));
        }
        let read = |entry: &String| {
            let problem = || {
                format!(
                    "has \"{entry}\"; an entry is an event package and a user, an address or *, such as \"dialog sip:pbx@example.com\""
                )
            };
            Entry::parse(entry).ok_or_else(problem)
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub fn have(&self, package: &str, sender: &Sender<'_>) -> bool {
        self.0.iter().any(|entry| *entry.package == *package && entry.who.is(sender))
    }

    /// The packages with at least one entry.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| &*entry.package)
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (package, who, end) = (words.next()?, words.next()?, words.next());
        Some(Self { package: package.into(), who: Who::parse(who).filter(|_| end.is_none())? })
    }
}

impl Who {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everybody);
        }
        let address = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let user = || Aor::parse(text).filter(|aor| aor.user().is_some()).map(Self::User);
        address.map(|address| Self::Address(address.to_canonical())).or_else(user)
    }

    fn is(&self, sender: &Sender<'_>) -> bool {
        match self {
            Self::Everybody => true,
            Self::User(user) => sender.user == Some(user),
            Self::Address(address) => sender.address.to_canonical() == *address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publishers(entries: &[&str]) -> Result<Publishers, String> {
        Publishers::parse(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn users_and_addresses_are_named_for_one_package_each() {
        let named =
            publishers(&["message-summary sip:voicemail@Example.com", "dialog 192.0.2.7", "dialog [2001:db8::7]"]);
        let named = named.unwrap();
        let have = |package, user: &str, address: &str| {
            let user = Aor::parse(user);
            named.have(package, &Sender { user: user.as_ref(), address: address.parse().unwrap() })
        };
        assert!(have("message-summary", "sips:voicemail@example.com:5061", "192.0.2.1"));
        assert!(!have("message-summary", "sip:voicemail@example.net", "192.0.2.1"));
        assert!(!have("dialog", "sip:voicemail@example.com", "192.0.2.1"));
        assert!(
            have("dialog", "", "192.0.2.7")
                && have("dialog", "", "::ffff:192.0.2.7")
                && have("dialog", "", "2001:db8::7")
        );
        assert!(!have("message-summary", "", "192.0.2.7"));
    }

    #[test]
    fn an_entry_that_means_nothing_is_named() {
        for entry in ["", "dialog", "dialog sip:example.com", "dialog nobody", "dialog 192.0.2.7 too"] {
            assert!(publishers(&[entry]).unwrap_err().contains(&format!("\"{entry}\"")), "{entry}");
        }
        assert!(publishers(&["dialog *"]).is_ok());
        assert!(publishers(&["dialog *"; MAX_NAMED + 1]).is_err());
    }
}
