//! The accounts of one database, with a cache in front.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::Expiry;
use moka::sync::Cache;
use smallvec::SmallVec;

use super::{Account, AccountError, Accounts, Cached, SUBSCRIBER, is_name};
use crate::storage::{Database, Migration, Sql, StorageError};

/// Lookups that may wait for the database at a time; over it, they are refused as overload.
const MAX_LOOKUPS: usize = 4096;

static MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "table subscriber: accounts",
    sql: Sql::All(
        "CREATE TABLE IF NOT EXISTS subscriber (username {key} NOT NULL, domain {key} NOT NULL, \
         password {text} NOT NULL, ha1 {text} NOT NULL, ha1_sha256 {text} NOT NULL, ha1_sha512_256 {text} NOT NULL, \
         PRIMARY KEY (username, domain))",
    ),
}];

/// How much the cache holds and for how long.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Accounts, present or absent ones; about 400 bytes each.
    pub accounts: u64,
    /// After so long an account is read again: the time that a change by another program takes to be seen.
    pub lifetime: Duration,
    /// The same for the answer that there is no such account.
    pub absent_lifetime: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { accounts: 200_000, lifetime: Duration::from_secs(300), absent_lifetime: Duration::from_secs(5) }
    }
}

/// The accounts of a database.
pub struct AccountStore {
    database: Database,
    cache: Cache<Key, Option<Arc<Account>>>,
    /// Counts changes made through this store: what was read before one is not cached after it.
    changes: AtomicU64,
    lookups: AtomicUsize,
}

impl AccountStore {
    /// Creates the table if need be.
    pub async fn open(database: Database, limits: CacheLimits) -> Result<Self, StorageError> {
        database.migrate("accounts", &MIGRATIONS).await?;
        let cache = Cache::builder().max_capacity(limits.accounts).expire_after(Lifetimes(limits)).build();
        Ok(Self { database, cache, changes: AtomicU64::new(0), lookups: AtomicUsize::new(0) })
    }

    /// Adds an account; returns when it is committed. The password itself is stored only with `keep_password`.
    pub async fn add(&self, user: &str, realm: &str, password: &str, keep_password: bool) -> Result<(), AccountError> {
        if self.read(user, realm).await?.is_some() {
            return Err(AccountError::Exists { user: user.into(), realm: realm.into() });
        }
        self.store(user, realm, password, keep_password).await
    }

    /// Gives an account another password.
    pub async fn set_password(
        &self,
        user: &str,
        realm: &str,
        password: &str,
        keep_password: bool,
    ) -> Result<(), AccountError> {
        if self.read(user, realm).await?.is_none() {
            return Err(AccountError::Missing { user: user.into(), realm: realm.into() });
        }
        self.store(user, realm, password, keep_password).await
    }

    pub async fn remove(&self, user: &str, realm: &str) -> Result<(), AccountError> {
        if self.read(user, realm).await?.is_none() {
            return Err(AccountError::Missing { user: user.into(), realm: realm.into() });
        }
        self.database.journal().delete(&SUBSCRIBER, [user.into(), realm.into()]).await?;
        self.forget(user, realm);
        Ok(())
    }

    /// User and realm of all accounts, or of those of one realm, sorted by realm and user.
    pub async fn list(&self, realm: Option<&str>) -> Result<Vec<(String, String)>, StorageError> {
        let mut accounts = Vec::new();
        self.database
            .load(&SUBSCRIBER, |row| {
                let domain = row.text("domain")?;
                if realm.is_none_or(|realm| realm == domain) {
                    accounts.push((row.text("username")?.to_owned(), domain.to_owned()));
                }
                Ok(())
            })
            .await?;
        accounts.sort_by(|(user, realm), (other_user, other_realm)| (realm, user).cmp(&(other_realm, other_user)));
        Ok(accounts)
    }

    async fn store(&self, user: &str, realm: &str, password: &str, keep_password: bool) -> Result<(), AccountError> {
        if let Some(name) = [user, realm].into_iter().find(|name| !is_name(name)) {
            return Err(AccountError::Name { name: name.into() });
        }
        if password.is_empty() {
            return Err(AccountError::NoPassword);
        }
        let row = Account::new(user, realm, password).row(keep_password.then_some(password));
        self.database.journal().put(&SUBSCRIBER, row).await?;
        self.forget(user, realm);
        Ok(())
    }

    fn forget(&self, user: &str, realm: &str) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.cache.invalidate(&*key(user, realm));
    }

    async fn read(&self, user: &str, realm: &str) -> Result<Option<Arc<Account>>, StorageError> {
        if !is_name(user) || !is_name(realm) {
            return Ok(None);
        }
        let rows = self.database.find(&SUBSCRIBER, &[("username", user.into()), ("domain", realm.into())]).await?;
        for row in rows {
            let account = Account::from_row(&row)?;
            // MySQL takes names that differ in trailing spaces for the same.
            if *account.user == *user && *account.realm == *realm {
                return Ok(Some(Arc::new(account)));
            }
        }
        Ok(None)
    }

    async fn read_and_cache(&self, user: &str, realm: &str) -> Result<Option<Arc<Account>>, StorageError> {
        let _counted = Counted::new(&self.lookups);
        if self.lookups.load(Ordering::Relaxed) > MAX_LOOKUPS {
            return Err(StorageError::Overloaded { database: self.database.name().into(), waiting: MAX_LOOKUPS });
        }
        let changes = self.changes.load(Ordering::Acquire);
        let account = self.read(user, realm).await?;
        if changes == self.changes.load(Ordering::Acquire) {
            self.cache.insert(key(user, realm).into_vec().into(), account.clone());
        }
        Ok(account)
    }
}

impl Accounts for AccountStore {
    fn cached(&self, user: &str, realm: &str) -> Cached {
        match self.cache.get(&*key(user, realm)) {
            Some(Some(account)) => Cached::Known(account),
            Some(None) => Cached::Absent,
            None if is_name(user) && is_name(realm) => Cached::Unknown,
            None => Cached::Absent,
        }
    }

    fn lookup<'a>(
        &'a self,
        user: &'a str,
        realm: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Account>>, StorageError>> {
        async move {
            match self.cached(user, realm) {
                Cached::Known(account) => Ok(Some(account)),
                Cached::Absent => Ok(None),
                Cached::Unknown => self.read_and_cache(user, realm).await,
            }
        }
        .boxed()
    }
}

type Key = Box<[u8]>;

/// Realm and user, parted by a byte that is in neither; on the stack for all but the longest names.
fn key(user: &str, realm: &str) -> SmallVec<[u8; 96]> {
    let mut key = SmallVec::with_capacity(realm.len() + 1 + user.len());
    key.extend_from_slice(realm.as_bytes());
    key.push(0);
    key.extend_from_slice(user.as_bytes());
    key
}

/// Present accounts live longer in the cache than absent ones.
struct Lifetimes(CacheLimits);

impl<K: Hash + Eq> Expiry<K, Option<Arc<Account>>> for Lifetimes {
    fn expire_after_create(&self, _: &K, account: &Option<Arc<Account>>, _: Instant) -> Option<Duration> {
        Some(if account.is_some() { self.0.lifetime } else { self.0.absent_lifetime })
    }

    fn expire_after_update(
        &self,
        key: &K,
        account: &Option<Arc<Account>>,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, account, at)
    }
}

/// Counts a lookup for as long as it runs.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(lookups: &'a AtomicUsize) -> Self {
        lookups.fetch_add(1, Ordering::Relaxed);
        Self(lookups)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use signalbox_sip::digest::{Algorithm, Ha1};
    use tokio::runtime::Handle;

    use super::*;
    use crate::storage::{Fault, Options, Storage};

    const REALM: &str = "example.com";

    async fn store(folder: &tempfile::TempDir) -> AccountStore {
        let storage = Storage::new(Handle::current());
        let database = storage.open(&format!("sqlite:{}/a.db", folder.path().display())).await.unwrap();
        AccountStore::open(database, CacheLimits::default()).await.unwrap()
    }

    fn secret(account: &Account) -> Option<&Ha1> {
        account.ha1(Algorithm::Sha256)
    }

    #[tokio::test]
    async fn an_account_is_found_by_user_and_realm_and_then_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("ann", REALM, "one", false).await.unwrap();
        assert!(matches!(store.cached("ann", REALM), Cached::Unknown));
        let account = store.lookup("ann", REALM).await.unwrap().unwrap();
        assert_eq!(secret(&account), Some(&Ha1::of(Algorithm::Sha256, "ann", REALM, "one")));
        assert!(matches!(store.cached("ann", REALM), Cached::Known(_)));
        assert!(store.lookup("ann", "example.org").await.unwrap().is_none(), "another realm is another account");
        assert!(matches!(store.cached("ann", "example.org"), Cached::Absent));
    }

    #[tokio::test]
    async fn a_change_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        assert!(store.lookup("ann", REALM).await.unwrap().is_none());
        store.add("ann", REALM, "one", false).await.unwrap();
        let before = store.lookup("ann", REALM).await.unwrap().unwrap();
        store.set_password("ann", REALM, "two", false).await.unwrap();
        let after = store.lookup("ann", REALM).await.unwrap().unwrap();
        assert_ne!(secret(&before), secret(&after));
        store.remove("ann", REALM).await.unwrap();
        assert!(store.lookup("ann", REALM).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_password_is_stored_only_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("ann", REALM, "hidden", false).await.unwrap();
        store.add("bob", REALM, "visible", true).await.unwrap();
        let mut passwords = Vec::new();
        let collect = |row: crate::storage::Row| {
            passwords.push(row.text("password")?.to_owned());
            Ok(())
        };
        store.database.load(&SUBSCRIBER, collect).await.unwrap();
        assert_eq!(passwords, ["", "visible"]);
    }

    #[tokio::test]
    async fn a_row_with_only_a_password_has_all_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let row = ["ann", REALM, "pw", "", "", ""].map(crate::storage::Value::from);
        store.database.journal().put(&SUBSCRIBER, row).await.unwrap();
        let account = store.lookup("ann", REALM).await.unwrap().unwrap();
        assert_eq!(secret(&account), Some(&Ha1::of(Algorithm::Sha256, "ann", REALM, "pw")));
    }

    #[tokio::test]
    async fn what_cannot_be_done_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("ann", REALM, "one", false).await.unwrap();
        assert!(matches!(store.add("ann", REALM, "two", false).await, Err(AccountError::Exists { .. })));
        assert!(matches!(store.set_password("bob", REALM, "x", false).await, Err(AccountError::Missing { .. })));
        assert!(matches!(store.remove("bob", REALM).await, Err(AccountError::Missing { .. })));
        assert!(matches!(store.add("a\0b", REALM, "x", false).await, Err(AccountError::Name { .. })));
        assert!(matches!(store.add("bob", REALM, "", false).await, Err(AccountError::NoPassword)));
        store.add("zoe", "a.example", "x", false).await.unwrap();
        let listed = store.list(None).await.unwrap();
        assert_eq!(listed, [("zoe".into(), "a.example".into()), ("ann".into(), REALM.to_owned())]);
        assert_eq!(store.list(Some(REALM)).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn cached_accounts_are_served_while_the_database_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Arc::new(Fault::none());
        let options = Options { fault: Some(fault.clone()), ..Options::default() };
        let storage = Storage::with(Handle::current(), options);
        let database = storage.open(&format!("sqlite:{}/a.db", folder.path().display())).await.unwrap();
        let store = AccountStore::open(database, CacheLimits::default()).await.unwrap();
        store.add("ann", REALM, "one", false).await.unwrap();
        store.lookup("ann", REALM).await.unwrap().unwrap();
        fault.set_outage(true);
        assert!(store.lookup("ann", REALM).await.unwrap().is_some());
        let error = store.lookup("bob", REALM).await.unwrap_err();
        assert!(error.retry_after().is_some(), "{error}");
        assert!(matches!(store.cached("bob", REALM), Cached::Unknown), "an error is not cached");
    }
}
