//! Watcher information, told at once and kept for those who are away, and the scripts of examples 14 and 15.

use std::path::Path;
use std::time::Duration;

use signalbox::module::{Configured, Value, export};
use signalbox::storage::{Column, Storage, Table};
use signalbox::transport::Protocol;
use signalbox_im_auth::ImAuth;
use signalbox_registrar::Registrar;
use signalbox_tests::scenario::run_text;
use signalbox_tests::site::{Site, flow_from};

use super::{refused, setup, text};
use crate::presence::{play, play_with};

/// Bob asks who watches him; `expected` is the status of the answer.
fn asks_who_watches(expected: &str) -> String {
    format!(
        "
bob sends
  SUBSCRIBE sip:bob@example.com
  From: <sip:bob@EXAMPLE.com>;tag=b
  Contact: <sip:bob@{{bob}}>
  Event: presence.winfo

bob receives {expected}
"
    )
}

/// What he is told: a piece of the document.
fn is_told(text: &str) -> String {
    format!("\nbob receives\n  NOTIFY sip:bob@{{bob}}\n\n  ...{text}...\n\nbob answers 200 OK\n")
}

#[test]
fn watcherinfo_notify() {
    play(&[&*asks_who_watches("200 OK"), &is_told("state=\"full\"")].concat());
    let refused = asks_who_watches("\n  489 Bad Event\n  Allow-Events: presence").replace("receives \n", "receives\n");
    play_with(&["pa.watcherinfo_notify: 0"], &refused);
}

/// A SUBSCRIBE of Alice to who watches Bob.
const SNOOPS: &str = "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{alice}>
  Event: presence.winfo

alice receives ";

#[test]
fn winfo_auth_none() {
    let told = "200 OK\n\nalice receives\n  NOTIFY sip:alice@{alice}\n\n  ...watcherinfo...\n\nalice answers 200 OK\n";
    play_with(&["pa.winfo_auth: none"], &[SNOOPS, told].concat());
}

#[test]
fn winfo_auth_implicit() {
    for parameters in [&[][..], &["pa.winfo_auth: implicit"]] {
        let own = [&*asks_who_watches("200 OK"), &is_told("watcherinfo")].concat();
        play_with(parameters, &[SNOOPS, "403 Forbidden\n", &own].concat());
    }
}

/// A server on the scripts of examples 14 and 15, and phones around it.
fn play_offline(parameters: &str, steps: &str) {
    run_text(&format!(
        "
server
  script: tests/scenarios/scripts/offline_winfo.lua
  load: registrar pa im_auth
  registrar.use_db: 0
  pa.auth: implicit
{parameters}
phone alice <sip:alice@example.com> at 192.0.2.1:5060
phone bob <sip:bob@example.com> at 192.0.2.2:5060
{steps}"
    ));
}

/// Alice asks once to see Bob, who is away.
const KNOCKS: &str = "
alice sends
  SUBSCRIBE sip:bob@example.com
  From: <sip:alice@example.com>;tag=a
  Contact: <sip:alice@{alice}>
  Event: presence
  Expires: 0

alice receives 200 OK

alice receives NOTIFY sip:alice@{alice}

alice answers 200 OK
";

#[test]
fn use_offline_winfo() {
    let remembered = [KNOCKS, "\nserver crashes\n", &asks_who_watches("200 OK"), &is_told("state=\"full\"")].concat();
    let on = "  pa.db_url: {db}\n  pa.use_offline_winfo: 1\n";
    play_offline(on, &[&*remembered, &is_told("sip:alice@example.com")].concat());
    play_offline("  pa.db_url: {db}\n", &[&*remembered, "\nbob receives nothing\n"].concat());
    // It does not take `use_db`.
    play_offline(&[on, "  pa.use_db: 0\n"].concat(), &[&*remembered, &is_told("sip:alice@example.com")].concat());
    let error = refused(&[("use_db", Value::Integer(0)), ("use_offline_winfo", Value::Integer(1))]);
    assert!(error.contains("db_url") && error.contains("use_offline_winfo is on"), "{error}");
}

#[test]
fn offline_winfo_expiration() {
    let parameters = "  pa.db_url: {db}\n  pa.use_offline_winfo: 1\n  pa.offline_winfo_expiration: 1000\n  pa.offline_winfo_timer: 31536000\n";
    let after = |seconds: u32| format!("\nserver crashes\n\ntime passes {seconds}s\n");
    let asks = [&*asks_who_watches("200 OK"), &is_told("state=\"full\"")].concat();
    play_offline(parameters, &[KNOCKS, &after(990), &asks, &is_told("sip:alice@example.com")].concat());
    play_offline(parameters, &[KNOCKS, &after(1000), &asks, "\nbob receives nothing\n"].concat());
}

/// The rows of those whose time is over leave the database at this interval, and not before.
#[test]
fn offline_winfo_timer() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("pa.db").display());
    let mut stage = setup(&[
        ("db_url", text(&url)),
        ("use_db", Value::Integer(0)),
        ("auth", text("implicit")),
        ("use_offline_winfo", Value::Integer(1)),
        ("offline_winfo_expiration", Value::Integer(600)),
        ("offline_winfo_timer", Value::Integer(1000)),
    ]);
    stage.script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/offline_winfo.lua");
    // The script calls functions of theirs.
    stage.modules.push(Configured::new(export::entry::<Registrar>()));
    stage.modules.push(Configured::new(export::entry::<ImAuth>()));
    let mut site = Site::start(stage).expect("a site");
    let start = site.now();
    let knocks = "SUBSCRIBE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKknock\r\n\
        From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: knock\r\nCSeq: 1 SUBSCRIBE\r\n\
        Contact: <sip:alice@192.0.2.1>\r\nEvent: presence\r\nExpires: 0\r\nContent-Length: 0\r\n\r\n";
    let flow = flow_from("192.0.2.1:5060".parse().expect("an address"), Protocol::Udp);
    assert!(!site.deliver(knocks.as_bytes(), flow).is_empty(), "answered");
    let rows_at = |site: &mut Site, after: u64| {
        site.pass_until(start + Duration::from_secs(after));
        rows(&url)
    };
    assert_eq!(rows_at(&mut site, 1), 1, "stored");
    assert_eq!(rows_at(&mut site, 900), 1, "over, but nobody has looked");
    // The rows leave by a thread of their own, which has its turn while the next look is taken.
    assert!((1001..1030).any(|after| rows_at(&mut site, after) == 0), "removed");
}

/// How many watchers the database remembers.
fn rows(url: &str) -> usize {
    static STORED: Table = Table { name: "pa_offline_winfo", columns: &[Column::integer("id")], key: 1 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let storage = Storage::new(runtime.handle().clone());
        let database = storage.open(url).await.expect("the database");
        let found = database.find(&STORED, &[]).await.expect("the table").len();
        storage.close().await;
        found
    })
}

/// `store_winfo(domain)`: the watcher outlives its subscription and a crash.
#[test]
fn store_winfo() {
    let asks = [&*asks_who_watches("200 OK"), &is_told("state=\"full\"")].concat();
    let parameters = "  pa.db_url: {db}\n  pa.use_offline_winfo: 1\n";
    let there = "\nbob sends\n  REGISTER sip:example.com\n  Contact: <sip:bob@{bob}>\n\nbob receives 200 OK\n";
    let crash = "\ntime passes 1s\n\nserver crashes\n";
    play_offline(parameters, &[KNOCKS, crash, &asks, &is_told("sip:alice@example.com")].concat());
    // By the script of example 14 nobody is stored for a user who is there.
    play_offline(parameters, &[there, KNOCKS, crash, &asks, "\nbob receives nothing\n"].concat());
}

/// `dump_stored_winfo(domain, package)`: what was told and answered with 2xx is not told again.
#[test]
fn dump_stored_winfo() {
    let asks = [&*asks_who_watches("200 OK"), &is_told("state=\"full\"")].concat();
    let parameters = "  pa.db_url: {db}\n  pa.use_db: 0\n  pa.use_offline_winfo: 1\n";
    let crash = "\ntime passes 1s\n\nserver crashes\n";
    let told = is_told("sip:alice@example.com");
    let refused = told.replace("200 OK", "481 Call/Transaction Does Not Exist");
    let nothing = "\nbob receives nothing\n";
    play_offline(parameters, &[KNOCKS, crash, &asks, &refused, crash, &asks, &told, crash, &asks, nothing].concat());
}

/// `authorize_message(xcap_root)`, as in example 15.
#[test]
fn authorize_message() {
    let says = "
alice sends
  MESSAGE sip:bob@example.com
  Content-Type: text/plain

  Hello

alice receives ";
    play_offline("  pa.use_db: 0\n", &[says, "404 Not Found\n"].concat());
    play_offline("  pa.use_db: 0\n  im_auth.block: sip:alice@example.com\n", &[says, "403 Forbidden\n"].concat());
}
