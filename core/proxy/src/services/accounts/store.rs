//! The accounts of one database, with a cache in front.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use signalbox_sip::uri::canonical_domain;
use smallvec::SmallVec;

use super::realms::Realms;
use super::{
    Account, AccountError, Accounts, Cached, SUBSCRIBER, USERHASH, is_hash, is_name, user_hashes, without_realm,
};
use crate::storage::{Change, Database, Migration, Sql, StorageError, Value};
use crate::under_way::Counted;

/// Lookups that may wait for the database at a time; over it, they are refused as overload.
const MAX_LOOKUPS: usize = 4096;

/// Accounts whose hashes are made and stored together.
const HASHED_AT_ONCE: usize = 256;

static MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 1,
        name: "table subscriber: accounts",
        sql: Sql::All(
            "CREATE TABLE IF NOT EXISTS subscriber (username {key} NOT NULL, domain {key} NOT NULL, \
         password {text} NOT NULL, ha1 {text} NOT NULL, ha1_sha256 {text} NOT NULL, ha1_sha512_256 {text} NOT NULL, \
         PRIMARY KEY (username, domain))",
        ),
    },
    Migration {
        version: 2,
        name: "table userhash: names of users, hashed",
        sql: Sql::All(
            "CREATE TABLE IF NOT EXISTS userhash (hash {key} NOT NULL PRIMARY KEY, username {key} NOT NULL, domain {key} NOT NULL)",
        ),
    },
    Migration {
        version: 3,
        name: "column ha1b: secrets of user@realm",
        sql: Sql::All("ALTER TABLE subscriber ADD COLUMN ha1b {text}"),
    },
    Migration {
        version: 4,
        name: "column ha1b_sha256",
        sql: Sql::All("ALTER TABLE subscriber ADD COLUMN ha1b_sha256 {text}"),
    },
    Migration {
        version: 5,
        name: "column ha1b_sha512_256",
        sql: Sql::All("ALTER TABLE subscriber ADD COLUMN ha1b_sha512_256 {text}"),
    },
];

/// How much the cache holds and for how long.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Most accounts in the cache, about 400 bytes each. Unknown names are not cached, so the cache cannot be filled
    /// with made-up names.
    pub accounts: u64,
    /// An account is read again after this time, so a change by another program is seen this late at most.
    pub lifetime: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { accounts: 200_000, lifetime: Duration::from_secs(300) }
    }
}

/// The accounts of a database.
pub struct AccountStore {
    database: Database,
    cache: Cache<Key, Arc<Account>>,
    realms: Realms,
    /// Counts changes made through this store: what was read before one is not cached after it.
    changes: AtomicU64,
    lookups: AtomicUsize,
}

impl AccountStore {
    /// Creates the table if need be.
    pub async fn open(database: Database, limits: CacheLimits) -> Result<Self, StorageError> {
        database.migrate("accounts", &MIGRATIONS).await?;
        let realms = Realms::load(&database).await?;
        let cache = Cache::builder().max_capacity(limits.accounts).time_to_live(limits.lifetime).build();
        Ok(Self { database, cache, realms, changes: AtomicU64::new(0), lookups: AtomicUsize::new(0) })
    }

    /// Adds an account; returns when it is committed. The password itself is stored only with `keep_password`.
    pub async fn add(&self, user: &str, realm: &str, password: &str, keep_password: bool) -> Result<(), AccountError> {
        let realm = &*self.realms.spelling(realm);
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
        let realm = &*self.realms.spelling(realm);
        if self.read(user, realm).await?.is_none() {
            return Err(AccountError::Missing { user: user.into(), realm: realm.into() });
        }
        self.store(user, realm, password, keep_password).await
    }

    pub async fn remove(&self, user: &str, realm: &str) -> Result<(), AccountError> {
        let spelling = self.realms.spelling(realm);
        // An account can be removed even if its realm has a spelling other than the one in use.
        let realm = if self.read(user, &spelling).await?.is_some() { &*spelling } else { realm };
        if self.read(user, realm).await?.is_none() {
            return Err(AccountError::Missing { user: user.into(), realm: realm.into() });
        }
        let hashes = user_hashes(user, realm);
        let changes = hashes.iter().map(|hash| Change::delete(&USERHASH, [hash.as_str().into()]));
        let account = Change::delete(&SUBSCRIBER, [user.into(), realm.into()]);
        self.database.journal().write(changes.chain([account])).await?;
        self.forget(user, realm);
        Ok(())
    }

    /// User and realm of all accounts, or of those of one realm, sorted by realm and user.
    pub async fn list(&self, realm: Option<&str>) -> Result<Vec<(String, String)>, StorageError> {
        let mut accounts = Vec::new();
        let realm = realm.map(canonical_domain);
        self.database
            .load(&SUBSCRIBER, |row| {
                let domain = row.text("domain")?;
                if realm.as_deref().is_none_or(|realm| realm == canonical_domain(domain)) {
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
        let row = Account::row(user, realm, password, keep_password);
        let changes = hash_rows(user, realm).chain([Change::put(&SUBSCRIBER, row)]);
        self.database.journal().write(changes).await?;
        self.forget(user, realm);
        Ok(())
    }

    fn forget(&self, user: &str, realm: &str) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.cache.invalidate(&*key(user, realm));
        self.cache.invalidate(&*key(&[user, "@", realm].concat(), realm));
        for hash in user_hashes(user, realm) {
            self.cache.invalidate(&*hash_key(hash.as_str(), realm));
        }
    }

    /// Makes the hashes of accounts that were stored without, by hand or by other programs: [`Accounts::lookup_by_hash`] finds them then.
    pub async fn hash_users(&self) -> Result<usize, StorageError> {
        let mut known = HashSet::new();
        self.database
            .load(&USERHASH, |row| {
                known.insert((row.text("username")?.to_owned(), row.text("domain")?.to_owned()));
                Ok(())
            })
            .await?;
        let mut missing = self.list(None).await?;
        missing.retain(|account| !known.contains(account));
        for some in missing.chunks(HASHED_AT_ONCE) {
            let rows = some.iter().flat_map(|(user, realm)| hash_rows(user, realm));
            self.database.journal().write(rows).await?;
        }
        Ok(missing.len())
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

    /// As [`read`](Self::read), also by `user@realm`. Both names are looked up in any case, so that the time does not
    /// show which exists.
    async fn read_login(&self, login: &str, realm: &str) -> Result<Option<Arc<Account>>, StorageError> {
        let named = self.read(login, realm).await?;
        let Some(user) = without_realm(login, realm) else { return Ok(named) };
        let rows = self.database.find(&SUBSCRIBER, &[("username", user.into()), ("domain", realm.into())]).await?;
        let mut with_realm = None;
        for row in rows {
            let account = Account::from_row_with_realm(&row, login)?;
            if *account.user == *user && *account.realm == *realm {
                with_realm = Some(Arc::new(account));
            }
        }
        Ok(named.or(with_realm))
    }

    async fn read_by_hash(&self, hash: &str, realm: &str) -> Result<Option<Arc<Account>>, StorageError> {
        let rows = self.database.find(&USERHASH, &[("hash", hash.to_ascii_lowercase().into())]).await?;
        for row in rows {
            if row.text("domain")? == realm {
                return self.read(row.text("username")?, realm).await;
            }
        }
        // An unknown hash costs as many reads as a known one.
        self.read(hash, realm).await?;
        Ok(None)
    }

    async fn read_and_cache(&self, login: Login<'_>, realm: &str) -> Result<Option<Arc<Account>>, StorageError> {
        let counted = Counted::new(&self.lookups);
        if counted.place >= MAX_LOOKUPS {
            return Err(StorageError::Overloaded { database: self.database.name().into(), waiting: MAX_LOOKUPS });
        }
        let changes = self.changes.load(Ordering::Acquire);
        let (account, key) = match login {
            Login::Name(user) => (self.read_login(user, realm).await?, key(user, realm)),
            Login::Hash(hash) => (self.read_by_hash(hash, realm).await?, hash_key(hash, realm)),
        };
        match &account {
            Some(account) if changes == self.changes.load(Ordering::Acquire) => {
                self.cache.insert(key.into_vec().into(), account.clone());
            }
            // The account was removed or is being changed: the cached copy may be old.
            _ => self.cache.invalidate(&*key),
        }
        Ok(account)
    }
}

impl Accounts for AccountStore {
    fn realm<'a>(&'a self, named: &'a str) -> Cow<'a, str> {
        self.realms.spelling(named)
    }

    fn cached(&self, user: &str, realm: &str) -> Cached {
        match self.cache.get(&*key(user, realm)) {
            Some(account) => Cached::Known(account),
            None if is_name(user) && is_name(realm) => Cached::Unknown,
            None => Cached::Absent,
        }
    }

    fn lookup<'a>(
        &'a self,
        user: &'a str,
        realm: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Account>>, StorageError>> {
        self.read_and_cache(Login::Name(user), realm).boxed()
    }

    fn cached_by_hash(&self, hash: &str, realm: &str) -> Cached {
        match self.cache.get(&*hash_key(hash, realm)) {
            Some(account) => Cached::Known(account),
            None if is_hash(hash) && is_name(realm) => Cached::Unknown,
            None => Cached::Absent,
        }
    }

    fn lookup_by_hash<'a>(
        &'a self,
        hash: &'a str,
        realm: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Account>>, StorageError>> {
        self.read_and_cache(Login::Hash(hash), realm).boxed()
    }
}

/// What a user is looked up by.
#[derive(Clone, Copy)]
enum Login<'a> {
    Name(&'a str),
    Hash(&'a str),
}

fn hash_rows(user: &str, realm: &str) -> impl Iterator<Item = Change> {
    let rows = user_hashes(user, realm).map(|hash| [hash.as_str().into(), user.into(), realm.into()]);
    rows.into_iter().map(|row: [Value; 3]| Change::put(&USERHASH, row))
}

type Key = Box<[u8]>;

/// As [`key`], for a hash in place of the name: no name begins with a control character.
fn hash_key(hash: &str, realm: &str) -> SmallVec<[u8; 96]> {
    let mut key = key("\u{1}", realm);
    key.extend(hash.bytes().map(|byte| byte.to_ascii_lowercase()));
    key
}

/// Realm and user, parted by a byte that is in neither; on the stack for all but the longest names.
fn key(user: &str, realm: &str) -> SmallVec<[u8; 96]> {
    let mut key = SmallVec::with_capacity(realm.len() + 1 + user.len());
    key.extend_from_slice(realm.as_bytes());
    key.push(0);
    key.extend_from_slice(user.as_bytes());
    key
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
        assert!(matches!(store.cached("ann", "example.org"), Cached::Unknown), "that there is none is not kept");
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
        let row = ["ann", REALM, "pw", "", "", "", "", "", ""].map(Value::from);
        store.database.journal().put(&SUBSCRIBER, row).await.unwrap();
        let account = store.lookup("ann", REALM).await.unwrap().unwrap();
        assert_eq!(secret(&account), Some(&Ha1::of(Algorithm::Sha256, "ann", REALM, "pw")));
    }

    #[tokio::test]
    async fn an_account_is_found_by_its_hashes_while_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("ann", REALM, "one", false).await.unwrap();
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
            let hash = signalbox_sip::digest::user_hash(algorithm, "ann", REALM);
            assert!(matches!(store.cached_by_hash(hash.as_str(), REALM), Cached::Unknown));
            let account = store.lookup_by_hash(&hash.as_str().to_uppercase(), REALM).await.unwrap().unwrap();
            assert_eq!(&*account.user, "ann");
            assert!(account.has_hash(algorithm, hash.as_str()));
            assert!(matches!(store.cached_by_hash(hash.as_str(), REALM), Cached::Known(_)));
            assert!(store.lookup_by_hash(hash.as_str(), "example.org").await.unwrap().is_none(), "another realm");
        }
        let hash = signalbox_sip::digest::user_hash(Algorithm::Sha256, "ann", REALM);
        assert!(store.lookup(hash.as_str(), REALM).await.unwrap().is_none(), "a hash is no name");
        store.remove("ann", REALM).await.unwrap();
        assert!(store.lookup_by_hash(hash.as_str(), REALM).await.unwrap().is_none());
        assert!(matches!(store.cached_by_hash("ann", REALM), Cached::Absent), "a name is no hash");
    }

    #[tokio::test]
    async fn rows_written_by_hand_get_their_hashes_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("bob", REALM, "one", false).await.unwrap();
        let row = ["ann", REALM, "pw", "", "", "", "", "", ""].map(Value::from);
        store.database.journal().put(&SUBSCRIBER, row).await.unwrap();
        let hash = signalbox_sip::digest::user_hash(Algorithm::Sha256, "ann", REALM);
        assert_eq!(store.hash_users().await.unwrap(), 1);
        assert_eq!(&*store.lookup_by_hash(hash.as_str(), REALM).await.unwrap().unwrap().user, "ann");
        assert_eq!(store.hash_users().await.unwrap(), 0);
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
        assert!(matches!(store.cached("ann", REALM), Cached::Known(_)));
        let error = store.lookup("bob", REALM).await.unwrap_err();
        assert!(error.retry_after().is_some(), "{error}");
        assert!(matches!(store.cached("bob", REALM), Cached::Unknown), "an error is not cached");
    }

    #[tokio::test]
    async fn a_user_may_be_named_with_the_realm() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("ann", REALM, "one", false).await.unwrap();
        let account = store.lookup("ann@example.com", REALM).await.unwrap().unwrap();
        assert_eq!(&*account.user, "ann");
        assert_eq!(secret(&account), Some(&Ha1::of(Algorithm::Sha256, "ann@example.com", REALM, "one")));
        assert!(store.lookup("ann@example.org", REALM).await.unwrap().is_none());
        assert!(store.lookup("@example.com", REALM).await.unwrap().is_none());
        store.set_password("ann", REALM, "two", false).await.unwrap();
        assert!(matches!(store.cached("ann@example.com", REALM), Cached::Unknown), "a change is seen at once");
        // An account with exactly this name is preferred.
        store.add("ann@example.com", REALM, "other", false).await.unwrap();
        assert_eq!(&*store.lookup("ann@example.com", REALM).await.unwrap().unwrap().user, "ann@example.com");
    }

    #[tokio::test]
    async fn rows_from_before_names_with_the_realm_were_hashed_are_still_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let ha1 = Ha1::of(Algorithm::Sha256, "ann", REALM, "one").hex();
        let row = ["ann", REALM, "", "", ha1.as_str(), ""].map(Value::from);
        let row = row.into_iter().chain([Value::Null, Value::Null, Value::Null]);
        store.database.journal().put(&SUBSCRIBER, row.collect::<Vec<_>>()).await.unwrap();
        assert!(secret(&store.lookup("ann", REALM).await.unwrap().unwrap()).is_some());
        assert!(secret(&store.lookup("ann@example.com", REALM).await.unwrap().unwrap()).is_some());
    }

    #[tokio::test]
    async fn a_realm_is_one_whatever_its_case_and_final_dot() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.add("ann", "EXAMPLE.com.", "one", false).await.unwrap();
        assert!(store.lookup("ann", REALM).await.unwrap().is_some());
        assert!(matches!(store.add("ann", "Example.COM", "one", false).await, Err(AccountError::Exists { .. })));
        assert_eq!(store.list(Some("EXAMPLE.COM")).await.unwrap().len(), 1);
        store.set_password("ann", "example.COM", "two", false).await.unwrap();
        store.remove("ann", "Example.com.").await.unwrap();
        assert!(store.lookup("ann", REALM).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn accounts_that_were_stored_under_another_spelling_are_still_found() {
        let folder = tempfile::tempdir().unwrap();
        let row = Account::row("ann", "Example.COM", "one", false);
        store(&folder).await.database.journal().put(&SUBSCRIBER, row).await.unwrap();
        let store = store(&folder).await;
        let realm = store.realm("example.com.").into_owned();
        assert_eq!(realm, "Example.COM");
        assert!(store.lookup("ann", &realm).await.unwrap().is_some());
        store.add("bob", "example.com", "one", false).await.unwrap();
        assert!(store.lookup("bob", &realm).await.unwrap().is_some(), "new accounts join them");
    }

    #[tokio::test]
    async fn a_change_by_another_program_is_seen_when_the_account_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, other) = (store(&folder).await, store(&folder).await);
        store.add("ann", REALM, "one", false).await.unwrap();
        store.lookup("ann", REALM).await.unwrap().unwrap();
        other.set_password("ann", REALM, "two", false).await.unwrap();
        let account = store.lookup("ann", REALM).await.unwrap().unwrap();
        assert_eq!(secret(&account), Some(&Ha1::of(Algorithm::Sha256, "ann", REALM, "two")));
        other.remove("ann", REALM).await.unwrap();
        assert!(store.lookup("ann", REALM).await.unwrap().is_none());
        assert!(matches!(store.cached("ann", REALM), Cached::Unknown));
    }
}
