//! Accounts u0 to u9999 of bench.local with the passwords p0 to p9999, in the databases that the servers look them up in.

use std::path::Path;

use anyhow::Result;
use futures_util::future::try_join_all;
use md5::{Digest, Md5};
use signalbox::services::accounts::{AccountStore, CacheLimits};
use signalbox::storage::Storage;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

const ACCOUNTS: u32 = 10_000;
const REALM: &str = "bench.local";

/// Creates Kamailio's `subscriber` and `version` tables, as far as its auth_db module reads them, and fills them.
pub(crate) fn for_kamailio(database: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
        let mut connection: SqliteConnection = options.connect().await?;
        sqlx::raw_sql(
            "create table version (table_name text primary key, table_version integer not null);
             insert into version values ('subscriber', 7);
             create table subscriber (id integer primary key, username text not null, domain text not null,
                 password text not null default '', ha1 text not null, ha1b text not null default '');
             create unique index account on subscriber (username, domain);",
        )
        .execute(&mut connection)
        .await?;
        let mut transaction = connection.begin().await?;
        for user in 0..ACCOUNTS {
            sqlx::query("insert into subscriber (username, domain, ha1) values (?, ?, ?)")
                .bind(format!("u{user}"))
                .bind(REALM)
                .bind(ha1(user))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(connection.close().await?)
    })
}

/// H(A1) of RFC 7616 §3.4.2 with MD5, in hexadecimal.
fn ha1(user: u32) -> String {
    let digest = Md5::digest(format!("u{user}:{REALM}:p{user}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds them with the code that `signalbox user add` runs.
pub(crate) fn for_signalbox(database: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let storage = Storage::new(runtime.handle().clone());
        let database = storage.open(&format!("sqlite:{}", database.display())).await?;
        let accounts = AccountStore::open(database, CacheLimits::default()).await?;
        let names: Vec<(String, String)> = (0..ACCOUNTS).map(|user| (format!("u{user}"), format!("p{user}"))).collect();
        // Many at once, so that they share commits; the store bounds how many.
        for names in names.chunks(1000) {
            try_join_all(names.iter().map(|(user, password)| accounts.add(user, REALM, password, false))).await?;
        }
        storage.close().await;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_servers_get_the_same_secret() {
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, create: fn(&Path) -> Result<()>| {
            let path = folder.path().join(name);
            create(&path).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let stored: Result<String, sqlx::Error> = runtime.block_on(async {
                let mut connection = SqliteConnectOptions::new().filename(&path).connect().await?;
                let query = "select ha1 from subscriber where username = 'u42' and domain = 'bench.local'";
                sqlx::query_scalar(query).fetch_one(&mut connection).await
            });
            stored.unwrap()
        };
        assert_eq!(secret("kamailio.db", for_kamailio), secret("signalbox.db", for_signalbox));
    }
}
