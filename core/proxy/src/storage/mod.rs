//! SQL databases: opening by URL, migrating, loading, and commits that many writes share.
//!
//! State lives in memory and the database is its journal: a module [loads](Database::load) its tables at start and from then on
//! [writes](Journal::put) each change through. The future of a write is ready after COMMIT, so what a 2xx promises is durable when it leaves.
//!
//! | file | what |
//! |---|---|
//! | [`registry`] | [`Storage`]: one [`Database`] per URL for the whole process |
//! | [`database`] | [`Database`]: load, find, health |
//! | [`journal`], [`batch`] | queueing a write, and the future that waits for its commit |
//! | [`writer`] | the task that commits: collapses, writes one multi-row statement per table, recovers |
//! | [`session`] | sessions on the database: no write that was given up is executed after a later one |
//! | [`migrate`] | tables by version, applied at start |
//! | [`table`], [`value`] | descriptions of tables, rows and their values |
//! | [`url`], [`sql`], [`driver`] | what differs between SQLite, PostgreSQL and MySQL/MariaDB |
//! | `file` | the file of a SQLite database: its permissions, whether it was replaced, which server uses it |
//! | [`wake`] | one wake-up per thread and batch instead of one per write |
//! | [`fault`] | a crash or an outage on request, for tests |

mod batch;
mod database;
mod driver;
mod error;
mod fault;
mod file;
mod health;
mod journal;
mod migrate;
mod registry;
mod session;
mod sql;
mod table;
mod url;
mod value;
mod wake;
mod writer;

pub use batch::Write;
pub use database::Database;
pub use error::StorageError;
pub use fault::Fault;
pub use journal::{Change, Hold, Journal};
pub use migrate::{Migration, Sql};
pub use registry::{Options, Storage};
pub use table::{Column, Kind, Row, Table};
pub use url::{Engine, check_url, missing_file};
pub use value::Value;
pub use wake::relay_wakes;
