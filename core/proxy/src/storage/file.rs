//! The file of a SQLite database: its permissions, whether it was replaced, and whether another server uses it.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::StorageError;

/// Suffixes of the files that SQLite keeps beside the database. SQLite gives them the permissions of the database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Only the owner may read and write, because the database holds digests that are as good as passwords.
const MODE: u32 = 0o600;

/// An open database's file.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Device and inode of the file that was opened.
    identity: Option<(u64, u64)>,
    /// The inode of the write-ahead log; 0 until it was seen.
    log: AtomicU64,
    /// Held as long as this server uses the database.
    _lock: Option<fs::File>,
}

impl DatabaseFile {
    /// Makes the file if there is none, readable for its owner only. Warns if others may read an existing file.
    /// `exclusive` claims it for this server.
    pub(super) fn open(path: &Path, exclusive: bool) -> Result<Self, StorageError> {
        // Any other failure occurs again, with its reason, when the database is opened.
        let _ = create(path);
        for path in BESIDE.iter().map(|suffix| beside(path, suffix)).chain([path.to_owned()]) {
            warn_if_open_to_others(&path);
        }
        let lock = if exclusive { claim(path)? } else { None };
        let identity = fs::metadata(path).ok().as_ref().map(identity);
        Ok(Self { path: path.to_owned(), identity, log: AtomicU64::new(0), _lock: lock })
    }

    /// The change, if the file was deleted or replaced. Writes would then be lost although they seem to be stored.
    pub(super) fn problem(&self) -> Option<String> {
        let gone = |what: &Path| {
            Some(format!(
                "{} was deleted or replaced while the server runs; put it back, or restart the server",
                what.display()
            ))
        };
        if fs::metadata(&self.path).ok().as_ref().map(identity) != self.identity {
            return gone(&self.path);
        }
        let log = beside(&self.path, BESIDE[0]);
        let inode = fs::metadata(&log).map_or(0, |found| found.ino());
        match self.log.load(Ordering::Relaxed) {
            known if known != 0 && known != inode => gone(&log),
            _ => None,
        }
    }

    /// The writer has committed, and keeps its connection: from now on SQLite does not remove its write-ahead log.
    pub(super) fn note_log(&self) {
        if self.log.load(Ordering::Relaxed) == 0 {
            let inode = fs::metadata(beside(&self.path, BESIDE[0])).map_or(0, |found| found.ino());
            self.log.store(inode, Ordering::Relaxed);
        }
    }

    /// The connection was closed: SQLite may have removed its write-ahead log itself.
    pub(super) fn forget_log(&self) {
        self.log.store(0, Ordering::Relaxed);
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn create(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

fn warn_if_open_to_others(path: &Path) {
    let Ok(found) = fs::metadata(path) else { return };
    let mode = found.mode() & 0o777;
    if mode & !MODE != 0 {
        let file = path.display();
        tracing::warn!(
            %file,
            mode = format!("{mode:o}"),
            "others may read or write this file of the database, which holds digests of passwords: chmod 600"
        );
    }
}

/// Takes the lock of a server that uses the database. The lock ends with the process, however that ends.
fn claim(path: &Path) -> Result<Option<fs::File>, StorageError> {
    let name = beside(path, "-lock");
    let lock = match OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(&name) {
        Ok(lock) => lock,
        // Without the right to write here, opening the database fails too.
        Err(error) => {
            tracing::warn!(file = %name.display(), %error, "cannot tell whether another server uses the database");
            return Ok(None);
        }
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Err(StorageError::InUse {
            database: path.display().to_string().into(),
            lock: name.display().to_string().into(),
        }),
        Err(fs::TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(fs::TryLockError::Error(error)) => {
            tracing::warn!(file = %name.display(), %error, "cannot tell whether another server uses the database");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tokio::runtime::Handle;

    use super::*;
    use crate::storage::{Column, Database, Migration, Options, Sql, Storage, Table};

    static T: Table = Table { name: "t", columns: &[Column::integer("id")], key: 1 };
    static CREATE: [Migration; 1] =
        [Migration { version: 1, name: "t", sql: Sql::All("CREATE TABLE t (id {integer} PRIMARY KEY)") }];

    async fn open(path: &Path, options: Options) -> Result<Database, StorageError> {
        let database = Storage::with(Handle::current(), options).open(&format!("sqlite:{}", path.display())).await?;
        database.migrate("t", &CREATE).await?;
        Ok(database)
    }

    fn fast() -> Options {
        Options { probe: std::time::Duration::from_millis(1), ..Options::default() }
    }

    #[tokio::test]
    async fn only_the_owner_reads_the_files_of_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.db");
        let database = open(&path, Options { exclusive: true, ..fast() }).await.unwrap();
        database.journal().put(&T, [1i64.into()]).await.unwrap();
        let mut files = 0;
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
            files += 1;
        }
        assert_eq!(files, 4, "the database, its log, its index and the lock");
    }

    #[tokio::test]
    async fn the_permissions_of_an_existing_file_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        open(&path, fast()).await.unwrap().close().await;
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }

    #[tokio::test]
    async fn a_second_server_on_one_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let server = || Options { exclusive: true, ..fast() };
        let first = open(&path, server()).await.unwrap();
        let second = open(&path, server()).await.unwrap_err();
        assert!(matches!(second, StorageError::InUse { .. }) && second.retry_after().is_none(), "{second}");
        open(&path, fast()).await.expect("a command of the same machine may use it beside the server").close().await;
        first.close().await;
        drop(first);
        open(&path, server()).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_was_deleted_or_replaced_is_noticed_and_writes_are_refused() {
        for replace in [false, true] {
            for suffix in ["", "-wal"] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("a.db");
                let database = open(&path, fast()).await.unwrap();
                for id in 1..3i64 {
                    database.journal().put(&T, [id.into()]).await.unwrap();
                }
                let (file, aside) = (beside(&path, suffix), beside(&path, "-aside"));
                fs::rename(&file, &aside).unwrap();
                if replace {
                    fs::copy(&aside, &file).unwrap();
                }
                let refused = database.journal().put(&T, [3i64.into()]).await.unwrap_err();
                assert!(refused.to_string().contains("deleted or replaced"), "{refused}");
                assert!(refused.retry_after().is_some() && !database.healthy());
                assert!(database.find(&T, &[]).await.is_err(), "reads are refused as well");
                if suffix.is_empty() {
                    fs::rename(&aside, &file).unwrap();
                    while !database.healthy() {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                    database.journal().put(&T, [4i64.into()]).await.unwrap();
                    assert_eq!(database.find(&T, &[]).await.unwrap().len(), 3);
                }
            }
        }
    }
}
