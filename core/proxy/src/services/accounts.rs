//! Who may authenticate: users and the secrets that digest authentication checks (RFC 7616, RFC 8760).
//!
//! The accounts lie in the table `subscriber`, with Kamailio's columns and one more per hash function. [`AccountStore`] reads it through a
//! cache, so that a known user costs no query; the `auth` module provides it to others as [`Accounts`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use signalbox_sip::digest::{Algorithm, Ha1, Hex, user_hash};
use signalbox_sip::uri::canonical_domain;

use crate::storage::{Column, Row, StorageError, Table, Value};

mod realms;
mod store;

pub use store::{AccountStore, CacheLimits};

/// Length of a user's or realm's name in bytes: what fits into a key of every database.
pub const MAX_NAME: usize = 255;

/// Accounts by user and realm.
pub trait Accounts: Send + Sync {
    /// The spelling of a realm in which accounts are stored and challenged: a domain in lower case without final dot,
    /// or the spelling that stored accounts already have.
    fn realm<'a>(&'a self, named: &'a str) -> Cow<'a, str>;

    /// The account as far as it is known without waiting. It may be older than the database by the lifetime of the
    /// cache.
    fn cached(&self, user: &str, realm: &str) -> Cached;

    /// The account as the database has it now; `None` if there is none. A user may be named with the realm, as
    /// `alice@example.com`, as some phones do.
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
    /// No account can have such a name.
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

/// The columns of the same hashes with `user@realm` in place of the user's name, as some phones make them.
const HASHES_WITH_REALM: [&str; 3] = ["ha1b", "ha1b_sha256", "ha1b_sha512_256"];

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
        Column::text("ha1b"),
        Column::text("ha1b_sha256"),
        Column::text("ha1b_sha512_256"),
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

    /// Whether credentials with this user's name mean this account: `alice`, or `alice@example.com`.
    pub fn is_called(&self, login: &str) -> bool {
        *self.user == *login || without_realm(login, &self.realm) == Some(&self.user)
    }

    /// A row of the database. If it has only the password, as in tables filled by hand, the hashes are computed from
    /// it.
    fn from_row(row: &Row) -> Result<Self, StorageError> {
        Self::from_columns(row, HASHES.map(|(column, _)| column), None)
    }

    /// The same account for credentials that name the user as `login`, with the realm. A row without the hashes of that
    /// name keeps those of the name alone.
    fn from_row_with_realm(row: &Row, login: &str) -> Result<Self, StorageError> {
        let mut account = Self::from_columns(row, HASHES_WITH_REALM, Some(login))?;
        for (slot, other) in account.ha1.iter_mut().zip(Self::from_row(row)?.ha1) {
            *slot = slot.or(other);
        }
        Ok(account)
    }

    fn from_columns(row: &Row, columns: [&str; 3], login: Option<&str>) -> Result<Self, StorageError> {
        let (user, realm) = (row.text("username")?, row.text("domain")?);
        let password = row.optional_text("password")?.filter(|password| !password.is_empty());
        let name = login.unwrap_or(user);
        let mut ha1 = [None; 3];
        for (slot, (column, (_, algorithm))) in ha1.iter_mut().zip(columns.into_iter().zip(HASHES)) {
            let stored = row.optional_text(column)?.and_then(|digits| Ha1::from_hex(algorithm, digits));
            *slot = stored.or_else(|| password.map(|password| Ha1::of(algorithm, name, realm, password)));
        }
        Ok(Self { user: user.into(), realm: realm.into(), ha1 })
    }

    /// The row of an account with this password. The password itself is in it only with `keep_password`.
    fn row(user: &str, realm: &str, password: &str, keep_password: bool) -> Vec<Value> {
        let with_realm = [user, "@", realm].concat();
        let kept = if keep_password { password } else { "" };
        let mut row = vec![Value::from(user), Value::from(realm), kept.into()];
        for name in [user, &with_realm] {
            let hashes = HASHES.map(|(_, algorithm)| Ha1::of(algorithm, name, realm, password).hex());
            row.extend(hashes.iter().map(|hash| Value::from(hash.as_str())));
        }
        row
    }
}

/// The user of `user@realm`, if `login` has that form.
fn without_realm<'a>(login: &'a str, realm: &str) -> Option<&'a str> {
    let (user, domain) = login.rsplit_once('@')?;
    (!user.is_empty() && canonical_domain(domain) == canonical_domain(realm)).then_some(user)
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
