//! The module's state.

use std::sync::Arc;

use signalbox::module::host::Counter;
use signalbox::module::{Host, ModuleError, Settings};
use signalbox::services::accounts::{AccountStore, Accounts, CacheLimits};

use crate::authenticator::Authenticator;
use crate::failure::Failure;
use crate::guesses::{GuessLimits, Guesses};
use crate::policy::Policy;

/// The module.
pub struct Auth {
    pub(crate) store: Arc<AccountStore>,
    pub(crate) authenticator: Authenticator,
    accepted: Counter,
    rejected: Counter,
    stale: Counter,
    delayed: Counter,
}

impl Auth {
    pub(crate) async fn start(host: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        let policy = Policy::new(settings)?;
        let database = host.storage().open(settings.string("db_url")).await.map_err(ModuleError::failed)?;
        let limits = CacheLimits {
            accounts: settings.integer("cache_size").unsigned_abs(),
            lifetime: settings.duration("cache_expire"),
        };
        let store = Arc::new(AccountStore::open(database, limits).await.map_err(ModuleError::failed)?);
        if policy.userhash {
            let made = store.hash_users().await.map_err(ModuleError::failed)?;
            tracing::debug!(made, "users hashed");
        }
        let accounts: Arc<dyn Accounts> = store.clone();
        host.provide(accounts.clone());
        let guesses = Guesses::new(guess_limits(settings), policy.key());
        Ok(Self {
            store,
            authenticator: Authenticator::new(policy, accounts, guesses),
            accepted: host.counter("auth_accepted"),
            rejected: host.counter("auth_rejected"),
            stale: host.counter("auth_stale"),
            delayed: host.counter("auth_delayed"),
        })
    }

    pub(crate) fn count(&self, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.accepted.increment(),
            Err(failure) if failure.is_stale() => self.stale.increment(),
            // The first request of a client has none: that is no rejection.
            Err(Failure::NoCredentials) => {}
            Err(Failure::TooMany(_)) => self.delayed.increment(),
            Err(_) => self.rejected.increment(),
        }
    }
}

fn guess_limits(settings: &Settings) -> GuessLimits {
    let limit = |name| u32::try_from(settings.integer(name)).unwrap_or(0);
    GuessLimits {
        pair: limit("max_failures"),
        source: limit("max_source_failures"),
        account: limit("max_account_failures"),
        longest_wait: settings.duration("max_wait"),
    }
}
