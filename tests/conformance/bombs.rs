//! The largest state and documents that strangers can cause: what is refused, how much memory the rest takes, and that
//! a database filled by an older version does no harm. Memory is counted by the kernel per process, so each test needs
//! its own process, as in nextest.

use std::fmt::Write as _;
use std::sync::{Mutex, Once};

use signalbox::module::Value as Parameter;
use signalbox::storage::{Column, Table, Value};
use signalbox_documents::watcherinfo::WatcherInfo;
use signalbox_documents::xml::Limits;
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::published_documents::{PIDF, PUBLICATION, Stage, document, flow, messages, publication, store_rows};

/// Octets of memory that the process may take per received octet, and for a few requests in any case.
const TAKEN_FOR_EACH: usize = 16;
const TAKEN_AT_LEAST: usize = 16 << 20;

/// The log of a test.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Log;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut logged = LOGGED.lock().unwrap();
        event.record(&mut Line(&mut logged));
        logged.push('\n');
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn watch_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

/// The number of lines that contain this text.
fn logged(text: &str) -> usize {
    LOGGED.lock().unwrap().lines().filter(|line| line.contains(text)).count()
}

/// Octets of a line in `/proc/self/status`.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Checks that `what` never takes more memory than a small multiple of `octets`.
fn takes_little<T>(octets: usize, what: impl FnOnce() -> T) -> T {
    // Resets the peak to the present use.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let done = what();
    let taken = status("VmHWM").saturating_sub(before);
    assert!(taken < TAKEN_AT_LEAST + TAKEN_FOR_EACH * octets, "{taken} octets for {octets}");
    done
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// 58 kB: one declaration of 32,000 octets, and 60 tuples with 60 elements each that use it.
fn bomb() -> String {
    let tuple =
        |i| format!("<p:tuple id='{i}'><p:status><p:basic>open</p:basic></p:status>{}</p:tuple>", "<n:b/>".repeat(60));
    format!(
        "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' xmlns:n='{}' entity='pres:bob@example.com'>{}</p:presence>",
        "u".repeat(32_000),
        (0..60).map(tuple).collect::<String>()
    )
}

#[test]
fn twenty_namespace_bombs_are_refused_and_those_of_an_older_version_left_out() {
    watch_the_log();
    let (folder, bomb) = (folder(), bomb());
    assert!((57_000..60_000).contains(&bomb.len()), "{}", bomb.len());
    let mut stage = Stage::new(&folder, &[]);
    takes_little(20 * bomb.len(), || {
        for i in 0..20 {
            stage.user = format!("user{i}");
            let (status, reason, _) = stage.publish(PIDF, bomb.as_bytes());
            assert_eq!(status, 413, "{reason}");
        }
        for i in 0..20 {
            stage.user = format!("user{i}");
            assert!(stage.fetch(PIDF).len() < 500);
        }
    });
    assert_eq!(logged("namespace declarations would be repeated"), 20);
    stage.site.stop();
    let rows = (0..20).map(|i| publication(i, &format!("user{i}"), "0", bomb.clone().into_bytes()));
    store_rows(&folder, &PUBLICATION, rows);
    takes_little(20 * bomb.len(), || {
        let mut stage = Stage::new(&folder, &[]);
        for i in 0..20 {
            stage.user = format!("user{i}");
            assert!(stage.fetch(PIDF).len() < 500);
            assert_eq!(stage.publish(PIDF, document("n").as_bytes()).0, 200);
        }
    });
    assert_eq!(logged("a publication in the database was left out"), 20);
}

#[test]
fn as_many_large_publications_as_one_presentity_may_have_take_a_small_multiple() {
    watch_the_log();
    let large = document(&"n".repeat(64 * 1024 - document("").len()));
    assert_eq!(large.len(), 64 * 1024);
    // With the default limit, and with a limit that admits all of them.
    for (limit, admitted) in [(262_144, 2), (16 << 20, 64)] {
        let folder = folder();
        let parameters = [("max_presentity_octets", Parameter::Integer(limit))];
        let mut stage = Stage::new(&folder, &parameters);
        let octets = takes_little(64 * large.len(), || {
            let statuses = (0..64).map(|_| stage.publish(PIDF, large.as_bytes()).0);
            assert_eq!(statuses.filter(|status| *status == 200).count(), admitted);
            [PIDF, "application/xpidf+xml", "text/lpidf"].map(|form| told(&mut stage, form))
        });
        assert!(octets.iter().all(|told| *told < admitted * large.len() + 65_536), "{octets:?}");
        assert_eq!(logged("is too large together"), 64 - 2);
        stage.site.crash();
        takes_little(64 * large.len(), || {
            let mut stage = Stage::new(&folder, &parameters);
            // But for the tags of the dialog.
            assert!(told(&mut stage, PIDF).abs_diff(octets[0]) < 64);
        });
    }
}

/// Octets of the NOTIFY to a watcher that fetches the state. Its body may be larger than a received body may be.
fn told(stage: &mut Stage, form: &str) -> usize {
    let headers = format!("Event: presence\r\nExpires: 0\r\nAccept: {form}\r\n");
    let sent = stage.deliver("SUBSCRIBE", &headers, b"");
    sent.iter().find(|(_, octets)| octets.starts_with(b"NOTIFY")).unwrap().1.len()
}

pub(crate) static OFFLINE_WINFO: Table = Table {
    name: "pa_offline_winfo",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("domain"),
        Column::text("package"),
        Column::text("watcher"),
        Column::text("display_name"),
        Column::text("status"),
        Column::integer("created"),
        Column::integer("expires"),
    ],
    key: 1,
};

/// A SUBSCRIBE to Bob by a watcher with this URI.
fn subscribe(i: usize, uri: &str) -> String {
    format!(
        "SUBSCRIBE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKw{i}\r\nMax-Forwards: 70\r\n\
         From: <{uri}>;tag=w{i}\r\nTo: <sip:bob@example.com>\r\nCall-ID: w{i}\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n\
         Contact: <sip:w@192.0.2.1>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn watchers_with_endless_uris_take_a_small_multiple_and_are_not_remembered() {
    watch_the_log();
    let folder = folder();
    let parameters = [("winfo_auth", "none".into()), ("use_offline_winfo", Parameter::Boolean(true))];
    let mut stage = Stage::new(&folder, &parameters);
    let endless = |i: usize| format!("sip:{}{i}@example.com", "&".repeat(50_000));
    let winfo = |stage: &mut Stage| {
        let told = stage.send("SUBSCRIBE", "Event: presence.winfo\r\nExpires: 600\r\n", b"");
        let notify = told.into_iter().find(|message| message.is_request()).unwrap();
        let info = WatcherInfo::parse(notify.body(), &Limits::default()).unwrap();
        (notify.body().len(), info.lists[0].watchers.len())
    };
    takes_little(64 * 50_000, || {
        for i in 0..64 {
            let answers = messages(&stage.site.deliver(subscribe(i, &endless(i)).as_bytes(), flow()));
            assert_eq!(answers[0].status(), 413);
        }
        assert_eq!(winfo(&mut stage).1, 0);
    });
    assert_eq!(logged("From"), 64);
    // Of the longest accepted texts, with each character written as an entity, as many are told as fit into a document.
    takes_little(600 * 1024, || {
        for i in 0..600 {
            let uri = format!("sip:{}{i:03}@example.com", "&".repeat(490));
            let answers = messages(&stage.site.deliver(subscribe(1000 + i, &uri).as_bytes(), flow()));
            assert!(answers.iter().any(|answer| !answer.is_request() && answer.status() == 200));
        }
        let (octets, watchers) = winfo(&mut stage);
        assert!(watchers > 30 && octets < 192 * 1024, "{watchers} watchers in {octets} octets");
    });
    stage.site.stop();
    let text = |text: &str| Value::from(text);
    let row = |i: usize| {
        let head = [Value::from(i as i64), text("sip:bob@example.com"), text("registrar"), text("presence")];
        let visitor = [text(&endless(i)), text(&"d".repeat(50_000)), text("pending")];
        head.into_iter().chain(visitor).chain([0i64.into(), (1i64 << 45).into()]).collect()
    };
    store_rows(&folder, &OFFLINE_WINFO, (0..500).map(row));
    // Together they are 50 megabytes.
    takes_little(1 << 20, || {
        let mut stage = Stage::new(&folder, &parameters);
        let listed = stage.site.command("pa.watchers", serde_json::json!({ "uid": "sip:bob@example.com" })).0.unwrap();
        assert!(!listed.to_string().contains("stored"));
    });
    assert_eq!(logged("over today's limits and were removed"), 1);
}
