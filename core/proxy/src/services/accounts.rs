//! Who may authenticate: users and the secrets that digest authentication checks (RFC 7616, RFC 8760).
//!
//! The accounts lie in the table `subscriber`, with Kamailio's columns and one more per hash function. [`AccountStore`] reads it through a
//! cache, so that a known user costs no query; the `auth` module provides it to others as [`Accounts`].

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use signalbox_sip::digest::{Algorithm, Ha1, Hex, user_hash};

use crate::storage::{Column, Row, StorageError, Table, Value};

mod store;

pub use store::{AccountStore, CacheLimits};

/// Length of a user's or realm's name in bytes: what fits into a key of every database.
pub const MAX_NAME: usize = 255;

/// Accounts by user and realm.
pub trait Accounts: Send + Sync {
    /// What is known without waiting.
    fn cached(&self, user: &str, realm: &str) -> Cached;

    /// The account, from the database if need be; `None` when there is none.
    fn lookup<'a>(&'a self, user: &'a str, realm: &'a str)
    -> BoxFuture<'a, Result<Option<Arc<Account>>, StorageError>>;

    /// As [`Accounts::cached`], by a hash of user and realm in place of the user's name (RFC 7616 §3.4.4), in hexadecimal digits.
    fn cached_by_hash(&self, hash: &str, realm: &str) -> Cached;

    /// As [`Accounts::lookup`], by such a hash.
    fn lookup_by_hash<'a>(
        &'a self,
        hash: &'a str,
        realm: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Account>>, StorageError>>;
}

/// The answer of [`Accounts::cached`].
#[derive(Debug, Clone)]
pub enum Cached {
    Known(Arc<Account>),
    /// There is no such account, or there was none a moment ago.
    Absent,
    /// Only the database knows.
    Unknown,
}

/// A user in a realm. Holds what is as good as a password, so it does not print it.
#[derive(Clone)]
pub struct Account {
    pub user: Box<str>,
    pub realm: Box<str>,
    ha1: [Option<Ha1>; 3],
}

/// The hash functions of the columns, in the order of [`Account::ha1`]'s values.
const HASHES: [(&str, Algorithm); 3] =
    [("ha1", Algorithm::Md5), ("ha1_sha256", Algorithm::Sha256), ("ha1_sha512_256", Algorithm::Sha512_256)];

/// `password` is empty unless it was asked to be kept in clear.
static SUBSCRIBER: Table = Table {
    name: "subscriber",
    columns: &[
        Column::text("username"),
        Column::text("domain"),
        Column::text("password"),
        Column::text("ha1"),
        Column::text("ha1_sha256"),
        Column::text("ha1_sha512_256"),
    ],
    key: 2,
};

/// From hashes of user and realm to the account (RFC 7616 §3.4.4); three rows for each account.
static USERHASH: Table = Table {
    name: "userhash",
    columns: &[Column::text("hash"), Column::text("username"), Column::text("domain")],
    key: 1,
};

/// What may stand in place of a user's name, one for each hash function.
fn user_hashes(user: &str, realm: &str) -> [Hex; 3] {
    HASHES.map(|(_, algorithm)| user_hash(algorithm, user, realm))
}

/// Whether this can be such a hash at all.
fn is_hash(text: &str) -> bool {
    matches!(text.len(), 32 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Account {
    /// An account with this password.
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        let ha1 = HASHES.map(|(_, algorithm)| Some(Ha1::of(algorithm, user, realm, password)));
        Self { user: user.into(), realm: realm.into(), ha1 }
    }

    /// The secret for an algorithm; the `-sess` forms share their base's. `None` when none was stored for it.
    pub fn ha1(&self, algorithm: Algorithm) -> Option<&Ha1> {
        let position = HASHES.iter().position(|(_, known)| *known == algorithm.base())?;
        self.ha1.get(position)?.as_ref()
    }

    /// Whether `hash` stands for this account's user (RFC 7616 §3.4.4).
    pub fn has_hash(&self, algorithm: Algorithm, hash: &str) -> bool {
        user_hash(algorithm, &self.user, &self.realm).as_str().eq_ignore_ascii_case(hash)
    }

    /// A row as it was stored. Where only the password is there, as in tables filled by hand, the hashes are made from it.
    fn from_row(row: &Row) -> Result<Self, StorageError> {
        let (user, realm) = (row.text("username")?, row.text("domain")?);
        let password = row.optional_text("password")?.filter(|password| !password.is_empty());
        let mut ha1 = [None; 3];
        for (slot, (column, algorithm)) in ha1.iter_mut().zip(HASHES) {
            let stored = row.optional_text(column)?.and_then(|digits| Ha1::from_hex(algorithm, digits));
            *slot = stored.or_else(|| password.map(|password| Ha1::of(algorithm, user, realm, password)));
        }
        Ok(Self { user: user.into(), realm: realm.into(), ha1 })
    }

    /// The row to store, with the password only where one is given.
    fn row(&self, password: Option<&str>) -> Vec<Value> {
        let mut row = vec![Value::from(&*self.user), Value::from(&*self.realm), password.unwrap_or_default().into()];
        row.extend(
            self.ha1.iter().map(|ha1| Value::from(ha1.map(|ha1| ha1.hex()).as_ref().map_or("", |hex| hex.as_str()))),
        );
        row
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("user", &self.user).field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Why an account was not added, changed or removed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    #[error("there is already an account {user}@{realm}")]
    Exists { user: Box<str>, realm: Box<str> },
    #[error("there is no account {user}@{realm}")]
    Missing { user: Box<str>, realm: Box<str> },
    #[error(
        "{name:?} cannot be the name of a user or realm: 1 to {MAX_NAME} bytes without control characters and outer spaces"
    )]
    Name { name: Box<str> },
    #[error("the password is empty")]
    NoPassword,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whether an account can have this name at all; anything else from the network need not be looked up.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.trim() == name && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_shows_no_secret() {
        let shown = format!("{:?}", Account::new("ann", "example.com", "secret"));
        assert_eq!(shown, r#"Account { user: "ann", realm: "example.com", .. }"#);
    }

    #[test]
    fn each_algorithm_has_its_own_secret() {
        let account = Account::new("ann", "example.com", "secret");
        for algorithm in Algorithm::STRONGEST_FIRST {
            assert_eq!(
                account.ha1(algorithm),
                Some(&Ha1::of(algorithm, "ann", "example.com", "secret")),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn names_that_no_database_takes_are_none() {
        for name in ["", "a\0b", " ann", "ann ", &"x".repeat(256)] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name("J\u{fc}rgen M\u{fc}ller"));
    }
}
