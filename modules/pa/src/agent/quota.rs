//! Limits the subscriptions, and their octets, of one source address, one watcher and one presentity. Without limits a
//! stranger could fill memory and disk by SUBSCRIBE.
//!
//! Invariant: a dropped [`Charge`] returns what it took, so only kept subscriptions are counted.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use signalbox_sip::uri::Aor;
use siphasher::sip::SipHasher13;

use crate::rejection::Rejection;

/// Octets of a subscription besides its texts: its row, its entries in tables and queues.
const OVERHEAD: u32 = 1024;

/// The limits of one holder. Zero means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    pub subscriptions: u32,
    pub octets: u64,
}

/// The parameters of quotas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// For one IP address, of watchers that are not authenticated.
    pub source: Quota,
    /// For one watcher: the address of record in From.
    pub watcher: Quota,
    pub presentity: Quota,
    /// For all watchers together that are not authenticated.
    pub strangers: u64,
}

/// The holders that a subscription is counted for.
#[derive(Debug, Clone, Copy)]
pub struct Payer {
    /// The address that the SUBSCRIBE came from, if the watcher is not authenticated.
    pub source: Option<IpAddr>,
    /// Octets of all texts that are kept.
    pub octets: u32,
}

/// The current counts of all holders.
#[derive(Debug)]
pub struct Quotas {
    limits: Limits,
    key: [u8; 16],
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_account: HashMap<u64, Usage>,
    strangers: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    subscriptions: u32,
    octets: u64,
}

/// The charge of one subscription, held as long as any part of it is kept.
#[derive(Debug)]
pub struct Charge {
    quotas: Arc<Quotas>,
    accounts: Accounts,
    octets: u32,
}

/// Keyed hashes of the holders that it is counted for.
#[derive(Debug, Clone, Copy)]
struct Accounts {
    source: Option<u64>,
    watcher: u64,
    presentity: u64,
}

impl Quotas {
    pub fn new(limits: Limits, key: [u8; 16]) -> Arc<Self> {
        Arc::new(Self { limits, key, kept: Mutex::default() })
    }

    /// Counts a new subscription, if there is room for it.
    pub fn charge(self: &Arc<Self>, payer: Payer, watcher: &str, presentity: &str) -> Result<Arc<Charge>, Rejection> {
        let aor = Aor::parse(watcher);
        let accounts = Accounts {
            source: payer.source.map(|source| self.account(0, |hasher| hash_address(hasher, source))),
            watcher: self.account(1, |hasher| hasher.write(aor.as_ref().map_or(watcher, Aor::as_str).as_bytes())),
            presentity: self.account(2, |hasher| hasher.write(presentity.as_bytes())),
        };
        let octets = payer.octets.saturating_add(OVERHEAD);
        self.take(accounts, octets)?;
        Ok(Arc::new(Charge { quotas: self.clone(), accounts, octets }))
    }

    fn account(&self, kind: u8, write: impl FnOnce(&mut SipHasher13)) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u8(kind);
        write(&mut hasher);
        hasher.finish()
    }

    fn take(&self, accounts: Accounts, octets: u32) -> Result<(), Rejection> {
        let mut kept = self.kept();
        let strangers = kept.strangers.saturating_add(u64::from(octets));
        if accounts.source.is_some() && self.limits.strangers > 0 && strangers > self.limits.strangers {
            return Err(Rejection::Full);
        }
        let all = self.of(accounts);
        for (account, quota, whose) in all.into_iter().flatten() {
            let usage = kept.by_account.get(&account).copied().unwrap_or_default();
            if !usage.has_room(quota, octets) {
                return Err(Rejection::TooManyOf(whose));
            }
        }
        for (account, ..) in all.into_iter().flatten() {
            let usage = kept.by_account.entry(account).or_default();
            usage.subscriptions += 1;
            usage.octets += u64::from(octets);
        }
        if accounts.source.is_some() {
            kept.strangers = strangers;
        }
        Ok(())
    }

    fn give_back(&self, accounts: Accounts, octets: u32) {
        let mut kept = self.kept();
        for (account, ..) in self.of(accounts).into_iter().flatten() {
            if let Some(usage) = kept.by_account.get_mut(&account) {
                usage.subscriptions = usage.subscriptions.saturating_sub(1);
                usage.octets = usage.octets.saturating_sub(u64::from(octets));
                if usage.subscriptions == 0 {
                    kept.by_account.remove(&account);
                }
            }
        }
        if accounts.source.is_some() {
            kept.strangers = kept.strangers.saturating_sub(u64::from(octets));
        }
    }

    /// The counts with their quotas, and a word for each holder.
    fn of(&self, accounts: Accounts) -> [Option<(u64, Quota, &'static str)>; 3] {
        [
            accounts.source.map(|source| (source, self.limits.source, "address")),
            Some((accounts.watcher, self.limits.watcher, "watcher")),
            Some((accounts.presentity, self.limits.presentity, "presentity")),
        ]
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic under the lock leaves sums that are wrong by one subscription at most.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn has_room(self, quota: Quota, octets: u32) -> bool {
        (quota.subscriptions == 0 || self.subscriptions < quota.subscriptions)
            && (quota.octets == 0 || self.octets + u64::from(octets) <= quota.octets)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quotas.give_back(self.accounts, self.octets);
    }
}

/// For an IPv6 address its network: a host has all addresses of its network.
fn hash_address(hasher: &mut SipHasher13, address: IpAddr) {
    match address {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()[..8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn quotas(change: impl FnOnce(&mut Limits)) -> Arc<Quotas> {
        let mut limits = Limits::default();
        change(&mut limits);
        Quotas::new(limits, [1; 16])
    }

    fn stranger(octets: u32) -> Payer {
        Payer { source: Some(HOST), octets }
    }

    #[test]
    fn an_address_has_so_many_subscriptions_and_gets_others_when_some_have_ended() {
        let quotas = quotas(|limits| limits.source.subscriptions = 2);
        let first = quotas.charge(stranger(1), "sip:a@x", "p").unwrap();
        let _second = quotas.charge(stranger(1), "sip:b@x", "q").unwrap();
        assert_eq!(quotas.charge(stranger(1), "sip:c@x", "r").err(), Some(Rejection::TooManyOf("address")));
        let known = Payer { source: None, octets: 1 };
        assert!(quotas.charge(known, "sip:c@x", "r").is_ok(), "who is authenticated is counted as a watcher");
        drop(first);
        assert!(quotas.charge(stranger(1), "sip:c@x", "r").is_ok());
    }

    #[test]
    fn a_watcher_is_the_same_however_its_uri_is_written() {
        let quotas = quotas(|limits| limits.watcher.subscriptions = 1);
        let _first = quotas.charge(stranger(1), "sip:a@x", "p").unwrap();
        for uri in ["sips:a@X:5061", "sip:a@x;y=z", "pres:a@x"] {
            assert_eq!(quotas.charge(stranger(1), uri, "q").err(), Some(Rejection::TooManyOf("watcher")), "{uri}");
        }
    }

    #[test]
    fn octets_are_counted_with_what_a_subscription_takes_beside_its_texts() {
        let quotas = quotas(|limits| limits.presentity.octets = 2 * u64::from(OVERHEAD) + 200);
        let first = quotas.charge(stranger(100), "sip:a@x", "p").unwrap();
        let _second = quotas.charge(stranger(100), "sip:b@x", "p").unwrap();
        assert_eq!(quotas.charge(stranger(0), "sip:c@x", "p").err(), Some(Rejection::TooManyOf("presentity")));
        drop(first);
        assert!(quotas.charge(stranger(100), "sip:c@x", "p").is_ok());
    }

    #[test]
    fn all_strangers_together_have_a_limit_and_dropped_charges_leave_nothing() {
        let quotas = quotas(|limits| limits.strangers = 2500);
        let kept: Vec<_> = ["p", "q"].map(|of| quotas.charge(stranger(10), "sip:a@x", of).unwrap()).into();
        assert_eq!(quotas.charge(stranger(1000), "sip:a@x", "r").err(), Some(Rejection::Full));
        assert!(quotas.charge(Payer { source: None, octets: 1000 }, "sip:a@x", "r").is_ok());
        drop(kept);
        let left = quotas.kept();
        assert_eq!((left.by_account.len(), left.strangers), (0, 0));
    }
}
