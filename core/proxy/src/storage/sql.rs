//! Statement texts, where the engines differ.

use std::fmt::Write;
use std::time::Duration;

use super::{Column, Engine, Table};

/// Parameters that one statement may have: SQLite's limit is 32,766, the others' 65,535.
pub(super) const MAX_PARAMETERS: usize = 32_766;

/// `INSERT … VALUES (…),(…)` of `rows` rows that replaces rows with the same key.
pub(super) fn upsert(engine: Engine, table: &Table, rows: usize) -> String {
    let mut sql = String::with_capacity(64 + rows * table.columns.len() * 5);
    sql.push_str("INSERT INTO ");
    sql.push_str(table.name);
    sql.push_str(" (");
    names(&mut sql, table.columns);
    sql.push_str(") VALUES ");
    tuples(&mut sql, engine, table.columns.len(), rows);
    let rest = &table.columns[table.key_columns().len()..];
    match engine {
        Engine::Sqlite | Engine::Postgres => {
            sql.push_str(" ON CONFLICT (");
            names(&mut sql, table.key_columns());
            sql.push_str(if rest.is_empty() { ") DO NOTHING" } else { ") DO UPDATE SET " });
            assignments(&mut sql, rest, |sql, name| _ = write!(sql, "{name}=excluded.{name}"));
        }
        Engine::MySql => {
            sql.push_str(" ON DUPLICATE KEY UPDATE ");
            // A row that is only its key is assigned to itself: this dialect has no "do nothing".
            let columns = if rest.is_empty() { table.key_columns() } else { rest };
            assignments(&mut sql, columns, |sql, name| _ = write!(sql, "{name}=VALUES({name})"));
        }
    }
    sql
}

/// `DELETE` of the rows with any of `rows` keys.
pub(super) fn delete(engine: Engine, table: &Table, rows: usize) -> String {
    let key = table.key_columns();
    let mut sql = String::with_capacity(64 + rows * key.len() * 5);
    sql.push_str("DELETE FROM ");
    sql.push_str(table.name);
    sql.push_str(" WHERE (");
    names(&mut sql, key);
    // SQLite takes a list of row values only as a VALUES table; PostgreSQL learns the parameters' types only from a plain list.
    sql.push_str(if engine == Engine::Sqlite { ") IN (VALUES " } else { ") IN (" });
    tuples(&mut sql, engine, key.len(), rows);
    sql.push(')');
    sql
}

/// Takes the lock of a server that uses the database, unless another session has it. The result is whether this session
/// has it now. SQLite has a lock file instead.
pub(super) fn claim(engine: Engine) -> Option<&'static str> {
    match engine {
        Engine::Sqlite => None,
        // A number that no other program is likely to have chosen: "signalbx".
        Engine::Postgres => Some("SELECT pg_try_advisory_lock(8316294015873974904)"),
        Engine::MySql => Some("SELECT COALESCE(GET_LOCK(CONCAT('signalbox.', DATABASE()), 0), 0) = 1"),
    }
}

/// The SQL of a lock that one session of a writer holds at a time.
pub(super) struct WriterLock {
    /// Takes the lock, unless another session has it. The result is whether this session has it now.
    pub(super) take: String,
    /// Ends the session that has the lock. Every user may end its own sessions.
    pub(super) end: String,
}

/// The lock of a writer; `None` for a database without sessions.
pub(super) fn writer_lock(engine: Engine, key: u64) -> Option<WriterLock> {
    Some(match engine {
        Engine::Sqlite => return None,
        Engine::Postgres => {
            // The number is signed, and PostgreSQL shows it in two halves.
            let key = key >> 1;
            let (high, low) = (key >> 32, key & u64::from(u32::MAX));
            WriterLock {
                take: format!("SELECT pg_try_advisory_lock({key})"),
                end: format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
                     AND classid = {high}::oid AND objid = {low}::oid AND objsubid = 1 \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                ),
            }
        }
        Engine::MySql => WriterLock {
            take: format!("SELECT COALESCE(GET_LOCK('signalbox/{key:x}', 0), 0) = 1"),
            end: format!("KILL CONNECTION IS_USED_LOCK('signalbox/{key:x}')"),
        },
    })
}

/// Makes the database end statements of this session after `time`, in case this server is killed.
pub(super) fn time_limits(engine: Engine, time: Duration) -> String {
    match engine {
        Engine::Sqlite => String::new(),
        Engine::Postgres => {
            let time = time.as_millis();
            format!("SET statement_timeout = {time}; SET idle_in_transaction_session_timeout = {time}")
        }
        // MySQL limits only the waits of statements that write. It reads the rest as a comment.
        Engine::MySql => {
            let time = time.as_secs();
            format!(
                "SET innodb_lock_wait_timeout = {time}, lock_wait_timeout = {time} \
                 /*M!100300 , max_statement_time = {time}, idle_write_transaction_timeout = {time} */"
            )
        }
    }
}

/// `SELECT` of all columns, in their order, of the rows in which each of `filter` has a given value.
pub(super) fn select(engine: Engine, table: &Table, filter: &[&str]) -> String {
    let mut sql = String::from("SELECT ");
    names(&mut sql, table.columns);
    sql.push_str(" FROM ");
    sql.push_str(table.name);
    for (position, name) in filter.iter().enumerate() {
        sql.push_str(if position == 0 { " WHERE " } else { " AND " });
        sql.push_str(name);
        sql.push('=');
        parameter(&mut sql, engine, position + 1);
    }
    sql
}

/// The start of a transaction that is going to write.
pub(super) fn begin(engine: Engine) -> &'static str {
    match engine {
        // Takes the write lock at once: a reader that turns writer could be refused without waiting.
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres | Engine::MySql => "BEGIN",
    }
}

/// What shows that the database can be written to again.
pub(super) fn probe(engine: Engine) -> &'static str {
    match engine {
        // Reading goes on while the disk is full or another process holds the file. This writes what is there anyway: nobody else
        // uses this number.
        Engine::Sqlite => "PRAGMA user_version = 0",
        Engine::Postgres | Engine::MySql => "SELECT 1",
    }
}

/// What takes and gives back a lock that lets one process at a time migrate; none where the transaction itself is one.
pub(super) fn migration_lock(engine: Engine) -> Option<(&'static str, &'static str)> {
    match engine {
        Engine::Sqlite => None,
        // The number means nothing to anybody else.
        Engine::Postgres => Some(("SELECT pg_advisory_lock(735917603)", "SELECT pg_advisory_unlock(735917603)")),
        Engine::MySql => {
            Some(("SELECT GET_LOCK('signalbox_migrations', 60)", "SELECT RELEASE_LOCK('signalbox_migrations')"))
        }
    }
}

/// A type's name in `CREATE TABLE`, for the words that [`Migration`](super::Migration) texts use in braces.
pub(super) fn type_name(engine: Engine, word: &str) -> Option<&'static str> {
    Some(match (word, engine) {
        ("integer", Engine::Sqlite) => "INTEGER",
        ("integer", _) => "BIGINT",
        ("real", Engine::Sqlite) => "REAL",
        ("real", Engine::Postgres) => "DOUBLE PRECISION",
        ("real", Engine::MySql) => "DOUBLE",
        // Text compares byte by byte on all engines. Three such columns fit into one of MySQL's keys (3,072 bytes).
        ("key", Engine::MySql) => "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ("text", Engine::MySql) => "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ("key" | "text", Engine::Postgres) => "TEXT COLLATE \"C\"",
        ("key" | "text", Engine::Sqlite) => "TEXT",
        ("blob", Engine::Sqlite) => "BLOB",
        ("blob", Engine::Postgres) => "BYTEA",
        ("blob", Engine::MySql) => "LONGBLOB",
        _ => return None,
    })
}

fn names(sql: &mut String, columns: &[Column]) {
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            sql.push_str(", ");
        }
        sql.push_str(column.name);
    }
}

fn assignments(sql: &mut String, columns: &[Column], each: impl Fn(&mut String, &str)) {
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            sql.push_str(", ");
        }
        each(sql, column.name);
    }
}

fn tuples(sql: &mut String, engine: Engine, width: usize, rows: usize) {
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..width {
            if column > 0 {
                sql.push(',');
            }
            parameter(sql, engine, row * width + column + 1);
        }
        sql.push(')');
    }
}

fn parameter(sql: &mut String, engine: Engine, number: usize) {
    match engine {
        Engine::Postgres => _ = write!(sql, "${number}"),
        Engine::Sqlite | Engine::MySql => sql.push('?'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Table =
        Table { name: "t", columns: &[Column::text("a"), Column::integer("b"), Column::text("c")], key: 2 };
    static KEY_ONLY: Table = Table { name: "k", columns: &[Column::text("a")], key: 1 };

    #[test]
    fn an_upsert_is_one_statement_for_many_rows() {
        assert_eq!(
            upsert(Engine::Postgres, &TABLE, 2),
            "INSERT INTO t (a, b, c) VALUES ($1,$2,$3),($4,$5,$6) ON CONFLICT (a, b) DO UPDATE SET c=excluded.c"
        );
        assert_eq!(
            upsert(Engine::MySql, &TABLE, 1),
            "INSERT INTO t (a, b, c) VALUES (?,?,?) ON DUPLICATE KEY UPDATE c=VALUES(c)"
        );
        assert_eq!(upsert(Engine::Sqlite, &KEY_ONLY, 1), "INSERT INTO k (a) VALUES (?) ON CONFLICT (a) DO NOTHING");
    }

    #[test]
    fn a_delete_lists_whole_keys() {
        assert_eq!(delete(Engine::Sqlite, &TABLE, 2), "DELETE FROM t WHERE (a, b) IN (VALUES (?,?),(?,?))");
        assert_eq!(delete(Engine::Postgres, &TABLE, 1), "DELETE FROM t WHERE (a, b) IN (($1,$2))");
        assert_eq!(delete(Engine::MySql, &KEY_ONLY, 2), "DELETE FROM k WHERE (a) IN ((?),(?))");
    }

    #[test]
    fn a_select_filters_by_columns() {
        assert_eq!(select(Engine::Postgres, &TABLE, &["a", "b"]), "SELECT a, b, c FROM t WHERE a=$1 AND b=$2");
        assert_eq!(select(Engine::Sqlite, &KEY_ONLY, &[]), "SELECT a FROM k");
    }
}
