//! Tables by version: what a program's modules need, brought about at start.
//!
//! What was done is kept in the table `signalbox_migrations`. SQLite and PostgreSQL do all migrations of a module in one transaction;
//! MySQL commits around each CREATE or ALTER, so texts for it are written to be repeatable (`IF NOT EXISTS`).
//!
//! On SQLite, `WITHOUT ROWID` does not pay: updating rows of 400 bytes in no order took about 1.7 times the CPU.

use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::driver::{Driver, Tuples};
use super::{Column, Engine, Kind, Row, StorageError, Table, Value, sql};

/// One step from a version of a module's tables to the next.
#[derive(Debug)]
pub struct Migration {
    /// 1, 2, 3 …
    pub version: i64,
    /// What it does, for the log: "table location".
    pub name: &'static str,
    pub sql: Sql,
}

/// The statements of a migration, separated by `;`.
#[derive(Debug)]
pub enum Sql {
    /// The same on all engines, with types in braces: `{key}` (text in a key or index, up to 255 characters), `{text}`, `{integer}`, `{real}`, `{blob}`.
    All(&'static str),
    Each {
        sqlite: &'static str,
        postgres: &'static str,
        mysql: &'static str,
    },
}

static DONE: Table = Table {
    name: "signalbox_migrations",
    columns: &[Column::text("module"), Column::integer("version"), Column::text("name"), Column::integer("applied")],
    key: 2,
};

const CREATE_DONE: &str = "CREATE TABLE IF NOT EXISTS signalbox_migrations (module {key} NOT NULL, version {integer} NOT NULL, \
                           name {text} NOT NULL, applied {integer} NOT NULL, PRIMARY KEY (module, version))";

impl Sql {
    fn text(&self, engine: Engine) -> String {
        match (self, engine) {
            (Self::All(text), _) => with_types(engine, text),
            (Self::Each { sqlite, .. }, Engine::Sqlite) => with_types(engine, sqlite),
            (Self::Each { postgres, .. }, Engine::Postgres) => with_types(engine, postgres),
            (Self::Each { mysql, .. }, Engine::MySql) => with_types(engine, mysql),
        }
    }
}

/// Who migrates what.
pub(super) struct Plan<'a> {
    pub(super) database: Arc<str>,
    pub(super) engine: Engine,
    pub(super) module: &'a str,
    pub(super) migrations: &'a [Migration],
    /// Seconds since 1970, noted in the bookkeeping.
    pub(super) now: i64,
}

impl Plan<'_> {
    /// Does what is missing and returns how many steps that were.
    pub(super) async fn apply(&self, connection: &mut dyn Driver) -> Result<usize, StorageError> {
        for (migration, expected) in self.migrations.iter().zip(1..) {
            if migration.version != expected {
                return Err(StorageError::Numbering { module: self.module.into(), expected, found: migration.version });
            }
        }
        let lock = sql::migration_lock(self.engine);
        if let Some((take, _)) = lock {
            self.run(connection, take).await?;
        }
        let applied = self.transaction(connection).await;
        if let Some((_, give)) = lock {
            self.run(connection, give).await?;
        }
        applied
    }

    async fn transaction(&self, connection: &mut dyn Driver) -> Result<usize, StorageError> {
        self.run(connection, sql::begin(self.engine)).await?;
        let applied = self.steps(connection).await;
        // An error while rolling back adds nothing to the one that led there.
        match applied {
            Ok(_) => self.run(connection, "COMMIT").await?,
            Err(_) => _ = self.run(connection, "ROLLBACK").await,
        }
        applied
    }

    async fn steps(&self, connection: &mut dyn Driver) -> Result<usize, StorageError> {
        self.run(connection, &with_types(self.engine, CREATE_DONE)).await?;
        let (known, found) = (self.migrations.len() as i64, self.version(connection).await?);
        if found > known {
            let (database, module) = (self.database.clone(), self.module.into());
            return Err(StorageError::Newer { database, module, found, known });
        }
        let mut applied = 0;
        for migration in self.migrations.iter().filter(|migration| migration.version > found) {
            self.step(connection, migration).await.map_err(|error| StorageError::Migration {
                database: self.database.clone(),
                engine: self.engine,
                module: self.module.into(),
                version: migration.version,
                name: migration.name,
                reason: error.to_string().into(),
            })?;
            applied += 1;
            tracing::info!(database = %self.database, module = self.module, version = migration.version, "migrated: {}", migration.name);
        }
        Ok(applied)
    }

    async fn step(&self, connection: &mut dyn Driver, migration: &Migration) -> sqlx::Result<()> {
        connection.run(migration.sql.text(self.engine).into()).await?;
        let row: [Value; 4] = [self.module.into(), migration.version.into(), migration.name.into(), self.now.into()];
        let tuples = Tuples { columns: DONE.columns, rows: vec![&row] };
        connection.execute(sql::upsert(self.engine, &DONE, 1).into(), tuples).await
    }

    /// The version that the module's tables have; 0 when there are none.
    async fn version(&self, connection: &mut dyn Driver) -> Result<i64, StorageError> {
        let module = Value::from(self.module);
        let (rows, mut received) = mpsc::channel::<Vec<Row>>(1);
        let text = sql::select(self.engine, &DONE, &["module"]).into();
        let highest = async {
            let mut highest = 0;
            while let Some(chunk) = received.recv().await {
                for row in chunk {
                    highest = highest.max(row.integer("version")?);
                }
            }
            Ok::<i64, StorageError>(highest)
        };
        let (read, highest) = tokio::join!(connection.fetch(text, vec![(Kind::Text, &module)], &DONE, rows), highest);
        read.map_err(|error| self.unavailable(&error))?;
        highest
    }

    async fn run(&self, connection: &mut dyn Driver, text: &str) -> Result<(), StorageError> {
        connection.run(text.into()).await.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &sqlx::Error) -> StorageError {
        StorageError::Unavailable { database: self.database.clone(), reason: error.to_string().into() }
    }
}

/// Replaces the types in braces; a word that is no type stays as it is.
fn with_types(engine: Engine, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}').and_then(|(word, after)| Some((sql::type_name(engine, word)?, after))) {
            Some((name, after)) => {
                out.push_str(name);
                rest = after;
            }
            None => {
                let _ = out.write_char('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_in_braces_become_the_engines_own() {
        let text = "CREATE TABLE t (a {key}, b {integer}, c {blob} DEFAULT '{}')";
        assert_eq!(with_types(Engine::Sqlite, text), "CREATE TABLE t (a TEXT, b INTEGER, c BLOB DEFAULT '{}')");
        assert_eq!(
            with_types(Engine::Postgres, text),
            "CREATE TABLE t (a TEXT COLLATE \"C\", b BIGINT, c BYTEA DEFAULT '{}')"
        );
    }
}
