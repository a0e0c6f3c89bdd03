//! The storage on each database that it speaks to: the same tests on SQLite, PostgreSQL and MariaDB.

use std::time::{Duration, Instant};

use signalbox::services::accounts::{AccountStore, Accounts, CacheLimits};
use signalbox::storage::{Change, Column, Database, Migration, Options, Row, Sql, Storage, StorageError, Table, Value};
use signalbox_sip::digest::{Algorithm, user_hash};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::support::database::{DatabaseServer, Kind};
use crate::support::place::Place;
use crate::support::wait::{PATIENCE, wait_for};

#[test]
fn storage_works_on_sqlite() {
    let place = Place::on_loopback();
    let runtime = runtime();
    runtime.block_on(works(&storage(&runtime), &format!("sqlite:{}", place.path("new/test.db").display())));
}

#[test]
fn storage_works_on_postgresql() {
    on(Kind::Postgres, |runtime, server| runtime.block_on(works(&storage(runtime), &server.url())));
}

#[test]
fn storage_works_on_mariadb() {
    on(Kind::MariaDb, |runtime, server| runtime.block_on(works(&storage(runtime), &server.url())));
}

#[test]
fn postgresql_may_go_and_come_back() {
    on(Kind::Postgres, gone_and_back);
}

#[test]
fn mariadb_may_go_and_come_back() {
    on(Kind::MariaDb, gone_and_back);
}

#[test]
fn a_write_that_was_given_up_on_postgresql_does_not_overwrite_a_later_one() {
    on(Kind::Postgres, given_up_and_replaced);
}

#[test]
fn a_write_that_was_given_up_on_mariadb_does_not_overwrite_a_later_one() {
    on(Kind::MariaDb, given_up_and_replaced);
}

/// The connection of the writer freezes, and the rest of PostgreSQL does not.
#[test]
fn while_a_write_that_was_given_up_may_still_be_made_later_ones_are_refused() {
    on(Kind::Postgres, frozen_and_replaced);
}

#[test]
fn on_postgresql_a_write_of_a_killed_server_does_not_overwrite_what_is_written_after_its_restart() {
    on(Kind::Postgres, killed_and_replaced);
}

#[test]
fn on_mariadb_a_write_of_a_killed_server_does_not_overwrite_what_is_written_after_its_restart() {
    on(Kind::MariaDb, killed_and_replaced);
}

static THINGS: Table = Table {
    name: "things",
    columns: &[
        Column::text("name"),
        Column::integer("part"),
        Column::text("note"),
        Column::real("weight"),
        Column::blob("body"),
        Column::integer("expires"),
    ],
    key: 2,
};

static CREATE: [Migration; 2] = [
    Migration {
        version: 1,
        name: "table things",
        sql: Sql::All(
            "CREATE TABLE IF NOT EXISTS things (name {key} NOT NULL, part {integer} NOT NULL, note {text} NOT NULL, \
             weight {real}, body {blob}, PRIMARY KEY (name, part))",
        ),
    },
    Migration {
        version: 2,
        name: "column expires",
        sql: Sql::Each {
            sqlite: "ALTER TABLE things ADD COLUMN expires {integer}",
            postgres: "ALTER TABLE things ADD COLUMN expires {integer}; CREATE INDEX things_expires ON things (expires)",
            mysql: "ALTER TABLE things ADD COLUMN IF NOT EXISTS expires {integer}; CREATE INDEX IF NOT EXISTS things_expires ON things (expires)",
        },
    },
];

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime")
}

fn storage(runtime: &Runtime) -> Storage {
    Storage::with(runtime.handle().clone(), Options { probe: Duration::from_millis(50), ..Options::default() })
}

pub(crate) fn on(kind: Kind, test: impl FnOnce(&Runtime, &mut DatabaseServer<'_>)) {
    let place = Place::on_loopback();
    let runtime = runtime();
    if let Some(mut server) = DatabaseServer::start(&place, kind) {
        test(&runtime, &mut server);
        // Its connections end before the server does.
        runtime.shutdown_timeout(PATIENCE);
    }
}

fn thing(name: &str, part: i64) -> [Value; 6] {
    [name.into(), part.into(), "plain".into(), Value::Null, Value::Null, Value::Null]
}

async fn works(storage: &Storage, url: &str) {
    let database = storage.open(url).await.expect("opening");
    migrates(&database).await;
    keeps_values_as_they_are(&database).await;
    replaces_and_deletes(&database).await;
    takes_batches_of_any_size(&database).await;
    isolates_what_is_refused(&database).await;
    keeps_accounts(database).await;
    storage.close().await;
}

async fn migrates(database: &Database) {
    assert_eq!(database.migrate("things", &CREATE[..1]).await.unwrap(), 1);
    assert_eq!(database.migrate("things", &CREATE).await.unwrap(), 1, "only what is new");
    assert_eq!(database.migrate("things", &CREATE).await.unwrap(), 0);
    let newer = database.migrate("things", &CREATE[..1]).await.unwrap_err();
    assert!(matches!(newer, StorageError::Newer { found: 2, known: 1, .. }), "{newer}");
}

async fn keeps_values_as_they_are(database: &Database) {
    let text = "J\u{fc}rgen \u{1f600} ' \" \\ \r\n";
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let full = [text.into(), i64::MIN.into(), text.into(), Value::Real(-0.1), body.clone().into(), i64::MAX.into()];
    let empty = ["".into(), i64::MAX.into(), "".into(), Value::Null, Vec::new().into(), Value::Null];
    database.journal().write([Change::put(&THINGS, full), Change::put(&THINGS, empty)]).await.unwrap();
    let [row] = &find(database, text).await[..] else { panic!("one row") };
    assert_eq!((row.integer("part").unwrap(), row.integer("expires").unwrap()), (i64::MIN, i64::MAX));
    assert_eq!((row.text("note").unwrap(), row.real("weight").unwrap()), (text, -0.1));
    assert_eq!(row.blob("body").unwrap().as_ref(), body);
    let [row] = &find(database, "").await[..] else { panic!("one row") };
    assert_eq!((row.text("note").unwrap(), row.optional_integer("expires").unwrap()), ("", None));
    assert_eq!(row.optional_blob("body").unwrap().map(|body| body.len()), Some(0), "empty is not NULL");
}

async fn replaces_and_deletes(database: &Database) {
    let journal = database.journal();
    for part in 0..3 {
        journal.put(&THINGS, thing("case", part)).await.unwrap();
    }
    journal.put(&THINGS, thing("Case", 0)).await.unwrap();
    let mut changed = thing("case", 1);
    changed[2] = "changed".into();
    let writes = [
        journal.put(&THINGS, changed),
        journal.delete(&THINGS, [Value::from("case"), 0i64.into()]),
        journal.delete(&THINGS, [Value::from("case"), 2i64.into()]),
        journal.delete(&THINGS, [Value::from("nothing"), 0i64.into()]),
    ];
    for write in writes {
        write.await.unwrap();
    }
    let rows = find(database, "case").await;
    let notes: Vec<_> = rows.iter().map(|row| row.text("note").unwrap()).collect();
    assert_eq!(notes, ["changed"], "a key in other letters is another key");
    assert_eq!(find(database, "Case").await.len(), 1);
}

async fn takes_batches_of_any_size(database: &Database) {
    let journal = database.journal();
    for size in [1, 2, 7, 63, 64, 300, 3000] {
        let writes: Vec<_> = (0..size).map(|part| journal.put(&THINGS, thing(&format!("batch{size}"), part))).collect();
        for write in writes {
            write.await.unwrap();
        }
        assert_eq!(find(database, &format!("batch{size}")).await.len() as i64, size);
        let gone: Vec<_> =
            (0..size).map(|part| Change::delete(&THINGS, [Value::from(format!("batch{size}")), part.into()])).collect();
        journal.write(gone).await.unwrap();
        assert!(find(database, &format!("batch{size}")).await.is_empty());
    }
    assert_eq!(database.in_flight(), 0);
}

async fn isolates_what_is_refused(database: &Database) {
    let journal = database.journal();
    let mut bad = thing("bad", 0);
    bad[2] = Value::Null;
    let writes =
        [journal.put(&THINGS, thing("good", 0)), journal.put(&THINGS, bad), journal.put(&THINGS, thing("good", 1))];
    let mut results = Vec::new();
    for write in writes {
        results.push(write.await);
    }
    assert!(matches!(results[..], [Ok(()), Err(StorageError::Refused { .. }), Ok(())]), "{results:?}");
    assert_eq!(find(database, "good").await.len(), 2);
    assert!(database.healthy());
}

async fn keeps_accounts(database: Database) {
    let store = AccountStore::open(database, CacheLimits::default()).await.unwrap();
    store.add("alice", "example.com", "one", false).await.unwrap();
    store.add("Alice", "example.com", "two", false).await.unwrap();
    assert!(store.lookup("alice", "example.com").await.unwrap().is_some());
    assert!(store.lookup("ALICE", "example.com").await.unwrap().is_none());
    let hash = |user| user_hash(Algorithm::Sha256, user, "example.com").as_str().to_owned();
    let hashed = store.lookup_by_hash(&hash("Alice"), "example.com").await.unwrap();
    assert_eq!(&*hashed.unwrap().user, "Alice");
    store.remove("Alice", "example.com").await.unwrap();
    assert!(store.lookup_by_hash(&hash("Alice"), "example.com").await.unwrap().is_none());
    assert_eq!(store.list(None).await.unwrap(), [("alice".to_owned(), "example.com".to_owned())]);
}

fn gone_and_back(runtime: &Runtime, server: &mut DatabaseServer<'_>) {
    let storage = storage(runtime);
    let database = runtime.block_on(storage.open(&server.url())).expect("opening");
    runtime.block_on(database.migrate("things", &CREATE)).unwrap();
    let journal = database.journal();
    runtime.block_on(journal.put(&THINGS, thing("kept", 0))).unwrap();
    let (sender, mut states) = mpsc::unbounded_channel();
    database.on_state_change(move |healthy| sender.send(healthy).expect("the test listens"));

    server.stop();
    let asked = Instant::now();
    let error = runtime.block_on(journal.put(&THINGS, thing("lost", 0))).unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }) && error.retry_after().is_some(), "{error}");
    let waiting = [journal.put(&THINGS, thing("lost", 1)), journal.put(&THINGS, thing("lost", 2))];
    for write in waiting {
        assert!(matches!(runtime.block_on(write), Err(StorageError::Unavailable { .. })));
    }
    assert!(matches!(runtime.block_on(database.find(&THINGS, &[])), Err(StorageError::Unavailable { .. })));
    assert!(asked.elapsed() < Duration::from_secs(5), "refused quickly: {:?}", asked.elapsed());
    assert!(!database.healthy());
    assert_eq!(runtime.block_on(states.recv()), Some(false));

    server.start_again();
    let back = runtime.block_on(async { tokio::time::timeout(PATIENCE, states.recv()).await });
    assert_eq!(back, Ok(Some(true)), "the database is found again");
    runtime.block_on(journal.put(&THINGS, thing("kept", 1))).unwrap();
    assert_eq!(runtime.block_on(find(&database, "kept")).len(), 2);
    assert!(runtime.block_on(find(&database, "lost")).is_empty());

    // Gone and back while nobody looked: the first write afterwards succeeds on a new connection.
    server.stop();
    server.start_again();
    runtime.block_on(journal.put(&THINGS, thing("kept", 2))).unwrap();
    assert_eq!(runtime.block_on(find(&database, "kept")).len(), 3);
    runtime.block_on(storage.close());
}

/// Another program locks a row until a write to it and to a second row is given up. The second row is then written
/// again, before the other program releases its lock.
fn given_up_and_replaced(runtime: &Runtime, server: &mut DatabaseServer<'_>) {
    let storage = storage(runtime);
    let database = runtime.block_on(storage.open(&server.url())).expect("opening");
    runtime.block_on(database.migrate("things", &CREATE)).unwrap();
    let journal = database.journal();
    runtime.block_on(journal.write(["wanted", "kept"].map(|name| noted(name, "first")))).unwrap();
    let Some(holder) = server.hold("SELECT part FROM things WHERE name = 'kept' FOR UPDATE") else { return };
    // The last change of a statement is made first, so the database waits before it reaches the other row.
    let stuck = runtime.block_on(journal.write(["wanted", "kept"].map(|name| noted(name, "given up"))));
    assert!(matches!(stuck, Err(StorageError::Unavailable { .. })), "{stuck:?}");
    written(runtime, &database, "promised");
    drop(holder);
    // This waits for the row too, so all earlier waits have ended.
    runtime.block_on(journal.write([noted("kept", "last")])).unwrap();
    assert_eq!(note_of(runtime, &database), "promised");
    runtime.block_on(storage.close());
}

fn frozen_and_replaced(runtime: &Runtime, server: &mut DatabaseServer<'_>) {
    let storage = storage(runtime);
    let database = runtime.block_on(storage.open(&server.url())).expect("opening");
    runtime.block_on(database.migrate("things", &CREATE)).unwrap();
    let journal = database.journal();
    runtime.block_on(journal.write([noted("wanted", "first")])).unwrap();
    let frozen = server.freeze_connections();
    let stuck = runtime.block_on(journal.write([noted("wanted", "given up")]));
    assert!(matches!(stuck, Err(StorageError::Unavailable { .. })), "{stuck:?}");
    // Longer than it takes to make a connection.
    let deadline = Instant::now() + Duration::from_secs(4);
    while Instant::now() < deadline {
        let early = runtime.block_on(journal.write([noted("wanted", "too early")]));
        assert!(matches!(early, Err(StorageError::Unavailable { .. })), "{early:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(frozen);
    written(runtime, &database, "promised");
    assert_eq!(note_of(runtime, &database), "promised");
    runtime.block_on(storage.close());
}

/// A server is killed and restarted while one of its writes waits for another program in the database.
fn killed_and_replaced(runtime: &Runtime, server: &mut DatabaseServer<'_>) {
    let start = |runtime: &Runtime| {
        let options = Options { exclusive: true, ..Options::default() };
        runtime.block_on(Storage::with(runtime.handle().clone(), options).open(&server.url())).expect("opening")
    };
    let killed = self::runtime();
    let database = start(&killed);
    killed.block_on(database.migrate("things", &CREATE)).unwrap();
    killed.block_on(database.journal().write(["wanted", "kept"].map(|name| noted(name, "first")))).unwrap();
    let Some(holder) = server.hold("SELECT part FROM things WHERE name = 'kept' FOR UPDATE") else { return };
    let _unanswered = database.journal().write(["wanted", "kept"].map(|name| noted(name, "unconfirmed")));
    wait_for("the database waits for the row", || server.waits().then_some(()));
    killed.shutdown_timeout(PATIENCE);

    let database = start(runtime);
    runtime.block_on(database.journal().write([noted("wanted", "promised")])).unwrap();
    drop(holder);
    runtime.block_on(database.journal().write([noted("kept", "last")])).unwrap();
    assert_eq!(note_of(runtime, &database), "promised");
    runtime.block_on(database.close());
}

fn noted(name: &str, note: &str) -> Change {
    let mut thing = thing(name, 0);
    thing[2] = note.into();
    Change::put(&THINGS, thing)
}

/// Writes the row `wanted` as soon as the database is reachable again.
fn written(runtime: &Runtime, database: &Database, note: &str) {
    wait_for("the database takes writes again", || {
        runtime.block_on(database.journal().write([noted("wanted", note)])).ok()
    });
}

fn note_of(runtime: &Runtime, database: &Database) -> String {
    let rows = runtime.block_on(find(database, "wanted"));
    rows[0].text("note").expect("a note").to_owned()
}

async fn find(database: &Database, name: &str) -> Vec<Row> {
    database.find(&THINGS, &[("name", name.into())]).await.expect("finding")
}
