//! Sets of senders: single addresses and whole domains.

use std::collections::HashSet;

use signalbox_sip::uri::{Aor, HostPort, NameAddr};

/// Addresses of record and domains.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    addresses: HashSet<Aor>,
    domains: HashSet<String>,
}

/// The address of record in the value of a From header.
pub(crate) fn of(from: &str) -> Option<Aor> {
    Aor::of(&NameAddr::parse(from).ok()?.uri().ok()?)
}

impl Senders {
    /// Reads `sip:user@domain`, `user@domain` and `domain`; the error is the entry that is neither.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, &str> {
        let mut senders = Self::default();
        for entry in entries {
            if entry.contains(['@', ':']) {
                let uri = if entry.contains(':') { entry.clone() } else { format!("sip:{entry}") };
                let address = Aor::parse(&uri).filter(|address| address.user().is_some());
                senders.addresses.insert(address.ok_or(entry.as_str())?);
            } else {
                HostPort::parse(entry).map_err(|_| entry.as_str())?;
                senders.domains.insert(entry.to_ascii_lowercase());
            }
        }
        Ok(senders)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty()
    }

    pub(crate) fn contains(&self, sender: &Aor) -> bool {
        self.addresses.contains(sender) || self.domains.contains(sender.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn senders(entries: &[&str]) -> Senders {
        Senders::parse(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn an_address_matches_however_it_is_written() {
        let block = senders(&["sip:mallory@Example.com", "eve@example.com"]);
        for from in [
            "<sip:mallory@example.com>;tag=1",
            "\"M\" <sips:m%61llory@EXAMPLE.com;transport=tcp>",
            "sip:eve@example.com",
        ] {
            assert!(block.contains(&of(from).unwrap()), "{from}");
        }
        assert!(!block.contains(&of("<sip:alice@example.com>").unwrap()));
    }

    #[test]
    fn a_domain_matches_all_of_its_users_and_no_subdomain() {
        let block = senders(&["Spam.example"]);
        assert!(block.contains(&of("sip:anyone@spam.example").unwrap()));
        assert!(!block.contains(&of("sip:anyone@not.spam.example").unwrap()));
    }

    #[test]
    fn what_is_neither_address_nor_domain_is_named() {
        assert_eq!(Senders::parse(&["ok.example".into(), "not ok".into()]).unwrap_err(), "not ok");
    }
}
