//! The tables that Kamailio's presence modules want to see when they start, even where everything stays in memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Where Debian's package of Kamailio keeps what creates its tables.
const STATEMENTS: [&str; 2] =
    ["/usr/share/kamailio/db_sqlite/standard-create.sql", "/usr/share/kamailio/db_sqlite/presence-create.sql"];

pub(crate) fn create(database: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database).create_if_missing(true);
        let mut connection: SqliteConnection = options.connect().await?;
        for path in STATEMENTS {
            let statements = fs::read_to_string(path).with_context(|| format!("{path}, of kamailio-sqlite-modules"))?;
            sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    })
}
