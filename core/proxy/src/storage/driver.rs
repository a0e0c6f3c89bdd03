//! One connection, whichever engine it leads to: running statements with [`Value`]s in and [`Row`]s out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use sqlx::pool::PoolConnection;
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection, MySql, Postgres, Row as _, Sqlite};
use tokio::sync::mpsc;

use super::url::Target;
use super::{Column, Kind, Row, Table, Value};

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a database may take for one answer. A frozen database keeps its connections open and sends nothing. The
/// time is longer than SQLite waits for another process.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(8);
/// Connections for reading at a time; writing has its own.
const READERS: u32 = 4;
/// Rows handed over at a time while a table is loaded.
const CHUNK: usize = 256;

/// A query's parameters: what each column holds, and its value.
pub(super) type Parameters<'a> = Vec<(Kind, &'a Value)>;
/// The parameters of a statement that changes rows: for each row the values of `columns`, whose kinds say of which type a NULL is.
pub(super) struct Tuples<'a> {
    pub(super) columns: &'a [Column],
    pub(super) rows: Vec<&'a [Value]>,
}
/// Chunks of rows on their way from a connection to whoever loads them.
pub(super) type Rows = mpsc::Sender<Vec<Row>>;

/// What storage does with a connection. The texts come from [`sql`](super::sql) and from migrations, never from input.
pub(super) trait Driver: Send + Sync {
    /// Runs a prepared statement, cached by its text.
    fn execute<'a>(&'a mut self, sql: Arc<str>, tuples: Tuples<'a>) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Runs a statement as it stands, unprepared.
    fn run<'a>(&'a mut self, sql: Arc<str>) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Runs a query without parameters and returns its first column as a boolean.
    fn ask<'a>(&'a mut self, sql: Arc<str>) -> BoxFuture<'a, sqlx::Result<bool>>;
    /// Runs a query for all columns of `table` and sends its rows; ends early when nobody listens.
    fn fetch<'a>(
        &'a mut self,
        sql: Arc<str>,
        parameters: Parameters<'a>,
        table: &'static Table,
        rows: Rows,
    ) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Closes the connection. With SQLite, the running statement is then finished or undone. Other databases may go on
    /// with it.
    fn end(self: Box<Self>) -> BoxFuture<'static, ()>;
}

macro_rules! bind {
    ($arguments:ident, $kind:ident, $value:ident) => {
        match ($kind, $value) {
            (_, Value::Integer(number)) => $arguments.add(*number),
            (_, Value::Real(number)) => $arguments.add(*number),
            (_, Value::Text(text)) => $arguments.add(text.clone()),
            (_, Value::Blob(bytes)) => $arguments.add(bytes.as_ref()),
            (Kind::Integer, Value::Null) => $arguments.add(None::<i64>),
            (Kind::Real, Value::Null) => $arguments.add(None::<f64>),
            (Kind::Text, Value::Null) => $arguments.add(None::<String>),
            (Kind::Blob, Value::Null) => $arguments.add(None::<Vec<u8>>),
        }
    };
}

macro_rules! read {
    ($row:ident, $position:ident, $kind:expr) => {
        match $kind {
            Kind::Integer => $row.try_get::<Option<i64>, _>($position)?.into(),
            Kind::Real => $row.try_get::<Option<f64>, _>($position)?.into(),
            Kind::Text => $row.try_get::<Option<String>, _>($position)?.into(),
            Kind::Blob => $row.try_get::<Option<Vec<u8>>, _>($position)?.into(),
        }
    };
}

macro_rules! driver {
    ($database:ty, $connection:ty, $end:expr) => {
        impl Driver for $connection {
            fn execute<'a>(&'a mut self, sql: Arc<str>, tuples: Tuples<'a>) -> BoxFuture<'a, sqlx::Result<()>> {
                async move {
                    let Tuples { columns, rows } = tuples;
                    let mut arguments = <$database as sqlx::Database>::Arguments::default();
                    let size = rows.iter().flat_map(|values| values.iter()).map(Value::size).sum();
                    arguments.reserve(columns.len() * rows.len(), size);
                    for values in rows {
                        for (column, value) in columns.iter().zip(values) {
                            let kind = column.kind;
                            bind!(arguments, kind, value).map_err(sqlx::Error::Encode)?;
                        }
                    }
                    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(self).await?;
                    Ok(())
                }
                .boxed()
            }

            fn run<'a>(&'a mut self, sql: Arc<str>) -> BoxFuture<'a, sqlx::Result<()>> {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(self).map(|done| done.map(drop)).boxed()
            }

            fn ask<'a>(&'a mut self, sql: Arc<str>) -> BoxFuture<'a, sqlx::Result<bool>> {
                async move { sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(self).await?.try_get(0) }.boxed()
            }

            fn fetch<'a>(
                &'a mut self,
                sql: Arc<str>,
                parameters: Parameters<'a>,
                table: &'static Table,
                rows: Rows,
            ) -> BoxFuture<'a, sqlx::Result<()>> {
                async move {
                    let mut arguments = <$database as sqlx::Database>::Arguments::default();
                    for (kind, value) in parameters {
                        bind!(arguments, kind, value).map_err(sqlx::Error::Encode)?;
                    }
                    let mut stream = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(self);
                    let mut chunk = Vec::new();
                    while let Some(row) = answered(stream.try_next()).await? {
                        let values = table.columns.iter().enumerate();
                        let values = values.map(|(position, column)| Ok(read!(row, position, column.kind)));
                        match values.collect::<sqlx::Result<_>>() {
                            Ok(values) => chunk.push(Row { table, values }),
                            Err(error @ sqlx::Error::ColumnDecode { .. }) => {
                                tracing::warn!(table = table.name, %error, "a row in the database was left out");
                            }
                            Err(error) => return Err(error),
                        }
                        if chunk.len() == CHUNK && rows.send(std::mem::take(&mut chunk)).await.is_err() {
                            return Ok(());
                        }
                    }
                    if !chunk.is_empty() {
                        // Nobody listening is no error: the reader has seen enough.
                        let _ = rows.send(chunk).await;
                    }
                    Ok(())
                }
                .boxed()
            }

            fn end(self: Box<Self>) -> BoxFuture<'static, ()> {
                async move { $end(*self).await }.boxed()
            }
        }
    };
}

driver!(Sqlite, sqlx::SqliteConnection, |connection: Self| Connection::close(connection).map(drop));
driver!(Postgres, sqlx::PgConnection, async |connection: Self| drop(connection));
driver!(MySql, sqlx::MySqlConnection, async |connection: Self| drop(connection));

/// The result of `work`, or an error if it takes longer than [`ANSWER_TIME`].
pub(super) async fn answered<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} seconds", ANSWER_TIME.as_secs()));
    tokio::time::timeout(ANSWER_TIME, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(late())))
}

/// A connection of its own, outside the pool.
pub(super) async fn connect(target: &Target) -> sqlx::Result<Box<dyn Driver>> {
    let connecting = async {
        Ok::<Box<dyn Driver>, sqlx::Error>(match target {
            Target::Sqlite(options) => Box::new(options.connect().await?),
            Target::Postgres(options) => Box::new(options.connect().await?),
            Target::MySql(options) => Box::new(options.connect().await?),
        })
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The connections for reading.
#[derive(Debug)]
pub(super) enum Pool {
    Sqlite(sqlx::Pool<Sqlite>),
    Postgres(sqlx::Pool<Postgres>),
    MySql(sqlx::Pool<MySql>),
}

/// A connection lent by a [`Pool`].
pub(super) enum Lent {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    MySql(PoolConnection<MySql>),
}

impl Pool {
    /// Connects when first asked for a connection. To be called within a runtime.
    pub(super) fn new(target: &Target) -> Self {
        match target {
            // A file has no connection to lose, so none is tested.
            Target::Sqlite(options) => {
                Self::Sqlite(pool_options().test_before_acquire(false).connect_lazy_with(options.clone()))
            }
            Target::Postgres(options) => Self::Postgres(pool_options().connect_lazy_with(options.clone())),
            Target::MySql(options) => Self::MySql(pool_options().connect_lazy_with(options.clone())),
        }
    }

    pub(super) async fn lend(&self) -> sqlx::Result<Lent> {
        Ok(match self {
            Self::Sqlite(pool) => Lent::Sqlite(pool.acquire().await?),
            Self::Postgres(pool) => Lent::Postgres(pool.acquire().await?),
            Self::MySql(pool) => Lent::MySql(pool.acquire().await?),
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
            Self::MySql(pool) => pool.close().await,
        }
    }
}

impl Lent {
    pub(super) fn driver(&mut self) -> &mut dyn Driver {
        match self {
            Self::Sqlite(connection) => &mut **connection,
            Self::Postgres(connection) => &mut **connection,
            Self::MySql(connection) => &mut **connection,
        }
    }
}

fn pool_options<D: sqlx::Database>() -> sqlx::pool::PoolOptions<D> {
    sqlx::pool::PoolOptions::new().max_connections(READERS).acquire_timeout(CONNECT_TIMEOUT)
}
