//! A database's URL: its scheme chooses the engine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::StorageError;

/// How long SQLite waits for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection: some row counts of each table.
const STATEMENT_CACHE: usize = 256;
/// Pages in SQLite's write-ahead log before they are moved into the database: more means that a page changed often is moved less often.
const CHECKPOINT_PAGES: &str = "4000";

/// SQLite's page cache per connection, as KiB with a minus sign. Rows are changed in no order, so a small one reads pages again and again.
const CACHE: &str = "-16384";

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        })
    }
}

/// Everything needed to connect.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

impl Target {
    /// `sqlite:path` (relative to the working folder), `sqlite::memory:`, `postgres://…`, `postgresql://…`, `mysql://…`, `mariadb://…`.
    pub(super) fn parse(url: &str) -> Result<Self, StorageError> {
        let problem = |problem: &str| StorageError::Url { url: shown(url).into(), problem: problem.into() };
        let (scheme, rest) = url.split_once(':').ok_or_else(|| problem("it has no scheme"))?;
        match scheme {
            "sqlite" => {
                if matches!(rest, "" | "//") {
                    return Err(problem("it names no file"));
                }
                let options = SqliteConnectOptions::from_str(url).map_err(|error| problem(&error.to_string()))?;
                Ok(Self::Sqlite(
                    options
                        .create_if_missing(true)
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .busy_timeout(BUSY_TIMEOUT)
                        .foreign_keys(true)
                        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
                        .pragma("cache_size", CACHE)
                        .statement_cache_capacity(STATEMENT_CACHE)
                        .disable_statement_logging(),
                ))
            }
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(url).map_err(|error| problem(&error.to_string()))?;
                let options = options.application_name("signalbox").statement_cache_capacity(STATEMENT_CACHE);
                Ok(Self::Postgres(options.disable_statement_logging()))
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(url).map_err(|error| problem(&error.to_string()))?;
                let options = options.charset("utf8mb4").statement_cache_capacity(STATEMENT_CACHE);
                Ok(Self::MySql(options.disable_statement_logging()))
            }
            other => Err(problem(&format!("there is no engine for {other:?}"))),
        }
    }

    /// The file of a SQLite database; `None` for other databases, and for one in memory.
    pub(super) fn file(&self, url: &str) -> Option<&Path> {
        match self {
            Self::Sqlite(options) if !url.contains(":memory:") && !url.contains("mode=memory") => {
                Some(options.get_filename())
            }
            _ => None,
        }
    }

    /// Makes the folder of a SQLite file where it is missing.
    pub(super) fn create_folder(&self) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(options) => create_folder(options.get_filename()),
            _ => Ok(()),
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
            Self::MySql(_) => Engine::MySql,
        }
    }
}

/// Whether a URL is one that can be opened here, without opening it.
///
/// # Errors
/// [`StorageError::Url`] with what would be right.
pub fn check_url(url: &str) -> Result<(), StorageError> {
    Target::parse(url).map(drop)
}

/// The file that a `sqlite:` URL names, where there is no such file yet.
pub fn missing_file(url: &str) -> Option<PathBuf> {
    match Target::parse(url).ok()? {
        Target::Sqlite(options) if !options.get_filename().exists() && !url.contains(":memory:") => {
            Some(options.get_filename().to_owned())
        }
        _ => None,
    }
}

fn create_folder(file: &Path) -> Result<(), StorageError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| StorageError::Folder {
        folder: folder.display().to_string().into(),
        reason: error.to_string().into(),
    })
}

/// One spelling for all URLs of one database, so that modules that name it differently share it.
pub(super) fn canonical(url: &str) -> String {
    match url.split_once(':') {
        Some(("sqlite", rest)) if !rest.contains(":memory:") => {
            let path = PathBuf::from(rest.strip_prefix("//").unwrap_or(rest));
            let path = std::path::absolute(&path).unwrap_or(path);
            format!("sqlite:{}", path.components().collect::<PathBuf>().display())
        }
        Some(("postgresql", rest)) => format!("postgres:{rest}"),
        Some(("mariadb", rest)) => format!("mysql:{rest}"),
        _ => url.to_owned(),
    }
}

/// The URL as it may be shown: without the password, and without options, which may hold one too.
pub(super) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    if scheme == "sqlite" {
        return url.to_owned();
    }
    let rest = rest.split('?').next().unwrap_or_default();
    // The password may hold an unescaped @: the last one ends it.
    let Some(at) = rest.rfind('@') else { return format!("{scheme}://{rest}") };
    let user = rest[..at].split(':').next().unwrap_or_default();
    format!("{scheme}://{user}{}", &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_engine() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite:{}/a/b.db", folder.path().display());
        assert_eq!(Target::parse(&sqlite).unwrap().engine(), Engine::Sqlite);
        assert_eq!(Target::parse("postgres://u:p@h/d").unwrap().engine(), Engine::Postgres);
        assert_eq!(Target::parse("mariadb://u:p@h/d").unwrap().engine(), Engine::MySql);
    }

    #[test]
    fn only_opening_a_file_makes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/a/b.db", folder.path().display());
        check_url(&url).unwrap();
        assert_eq!(missing_file(&url), Some(folder.path().join("a/b.db")));
        assert!(!folder.path().join("a").exists());
        Target::parse(&url).unwrap().create_folder().unwrap();
        assert!(folder.path().join("a").is_dir());
        assert_eq!(missing_file("postgres://u@h/d"), None);
    }

    #[test]
    fn a_wrong_url_is_refused_with_what_would_be_right() {
        for url in ["var/signalbox.db", "oracle://h/d", "sqlite:"] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains(url) && error.contains("sqlite:var/signalbox.db"), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(shown("postgres://ann:s3cret@db:5432/sip?x=1"), "postgres://ann@db:5432/sip");
        assert_eq!(shown("postgres://ann:s3@cret@db/sip"), "postgres://ann@db/sip");
        assert_eq!(shown("sqlite:var/x.db"), "sqlite:var/x.db");
        let error = Target::parse("oracle://ann:s3cret@db/sip").unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn two_spellings_of_one_database_are_one() {
        assert_eq!(canonical("sqlite:var/x.db"), canonical("sqlite://./var/x.db"));
        assert_eq!(canonical("postgresql://h/d"), canonical("postgres://h/d"));
        assert_ne!(canonical("sqlite:var/x.db"), canonical("sqlite:var/y.db"));
    }
}
