//! One spelling for each realm.
//!
//! A domain is the same whatever its case and final dot, but a realm is hashed with each password as it is written (RFC
//! 7616 §3.4.2). So clients are challenged with one spelling: in lower case without the dot. If a database has accounts
//! only under another spelling, that spelling is used.

use std::borrow::Cow;
use std::collections::HashMap;

use signalbox_sip::uri::canonical_domain;

use crate::storage::{Column, Database, StorageError, Table};

/// The one column of the table that is read here.
static REALMS: Table = Table { name: "subscriber", columns: &[Column::text("domain")], key: 1 };

/// Realms that are stored in a spelling other than the canonical one. Nearly always empty.
#[derive(Debug, Default)]
pub(super) struct Realms {
    stored: HashMap<String, String>,
}

impl Realms {
    /// Reads the realms of all accounts.
    pub(super) async fn load(database: &Database) -> Result<Self, StorageError> {
        let mut spellings: HashMap<String, u64> = HashMap::new();
        database
            .load(&REALMS, |row| {
                let domain = row.text("domain")?;
                match spellings.get_mut(domain) {
                    Some(accounts) => *accounts += 1,
                    None => drop(spellings.insert(domain.to_owned(), 1)),
                }
                Ok(())
            })
            .await?;
        Ok(Self::of(spellings))
    }

    /// Makes the table from all spellings and the number of accounts of each.
    fn of(spellings: HashMap<String, u64>) -> Self {
        let mut sorted: Vec<_> = spellings.iter().collect();
        // The canonical spelling is preferred, then the one with the most accounts.
        sorted.sort_by_key(|(spelling, accounts)| {
            (canonical_domain(spelling) != spelling.as_str(), std::cmp::Reverse(**accounts), *spelling)
        });
        let mut chosen: HashMap<String, String> = HashMap::new();
        for (spelling, accounts) in sorted {
            let canonical = canonical_domain(spelling).into_owned();
            match chosen.get(&canonical) {
                Some(realm) => tracing::warn!(
                    realm,
                    spelling,
                    accounts,
                    "accounts under another spelling of a realm can't authenticate: give them new passwords with `signalbox user`"
                ),
                None => drop(chosen.insert(canonical, spelling.clone())),
            }
        }
        chosen.retain(|canonical, spelling| canonical != spelling);
        Self { stored: chosen }
    }

    /// The spelling to use for the realm `named`.
    pub(super) fn spelling<'a>(&'a self, named: &'a str) -> Cow<'a, str> {
        let canonical = canonical_domain(named);
        if self.stored.is_empty() {
            return canonical;
        }
        match self.stored.get(&*canonical) {
            Some(stored) => Cow::Borrowed(stored),
            None => canonical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realms(spellings: &[(&str, u64)]) -> Realms {
        Realms::of(spellings.iter().map(|(spelling, accounts)| ((*spelling).to_owned(), *accounts)).collect())
    }

    #[test]
    fn a_domain_has_one_spelling_and_another_realm_its_own() {
        let realms = realms(&[]);
        for named in ["example.com", "EXAMPLE.COM", "Example.com."] {
            assert_eq!(realms.spelling(named), "example.com");
        }
        assert_eq!(realms.spelling("The Realm"), "The Realm");
    }

    #[test]
    fn a_realm_keeps_the_spelling_of_its_stored_accounts() {
        let realms = realms(&[("Example.COM", 3), ("EXAMPLE.COM", 2), ("example.org", 1), ("Example.org", 5)]);
        assert_eq!(realms.spelling("example.com."), "Example.COM");
        assert_eq!(realms.spelling("EXAMPLE.org"), "example.org", "if there is the canonical one, that counts");
    }
}
