//! Published documents: how much of them is kept, in which encodings they are read, and how they are restored from the
//! database.

use std::path::Path;

use serde_json::json;
use signalbox::module::{Value as Parameter, export};
use signalbox::storage::{Column, Storage, Table, Value};
use signalbox::transport::network::Sent;
use signalbox::transport::{Flow, Protocol};
use signalbox_documents::watcherinfo::WatcherInfo;
use signalbox_documents::xml::{Document, Limits};
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use tempfile::TempDir;

pub(crate) const PIDF: &str = "application/pidf+xml";

/// A site with a presence agent whose database is in this folder.
pub(crate) struct Stage {
    pub(crate) site: Site,
    requests: u32,
    /// The sender, which is also the presentity of all requests.
    pub(crate) user: String,
}

impl Stage {
    pub(crate) fn new(folder: &TempDir, parameters: &[(&str, Parameter)]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/presence.lua");
        let mut setup = Setup::new(&script, "example.com");
        let database = url(folder);
        let given = parameters.iter().cloned();
        let own = [("db_url", database.as_str().into()), ("auth", "none".into())];
        let pa: Vec<_> = own.into_iter().chain(given).collect();
        setup.modules = vec![
            configured(export::entry::<Registrar>(), &[("db_url", database.as_str().into())]).unwrap(),
            configured(export::entry::<PresenceAgent>(), &pa).unwrap(),
        ];
        Self { site: Site::start(setup).unwrap(), requests: 0, user: "bob".to_owned() }
    }

    /// The user sends this. Returns the messages that follow.
    pub(crate) fn send(&mut self, method: &str, headers: &str, body: &[u8]) -> Vec<Message> {
        messages(&self.deliver(method, headers, body))
    }

    /// The same, as they are on the wire.
    pub(crate) fn deliver(&mut self, method: &str, headers: &str, body: &[u8]) -> Vec<Sent> {
        self.requests += 1;
        let (number, user) = (self.requests, &self.user);
        let head = format!(
            "{method} sip:{user}@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=f{number}\r\nTo: <sip:{user}@example.com>\r\nCall-ID: {number}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:{user}@192.0.2.1;transport=tcp>\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.site.deliver(&[head.as_bytes(), body].concat(), flow())
    }

    /// Status, reason and entity tag of the answer to a publication.
    pub(crate) fn publish(&mut self, content_type: &str, body: &[u8]) -> (u16, String, String) {
        self.publish_as(&format!("Event: presence\r\nContent-Type: {content_type}\r\n"), body)
    }

    fn publish_as(&mut self, headers: &str, body: &[u8]) -> (u16, String, String) {
        let answers = self.send("PUBLISH", headers, body);
        let answer = answers.iter().find(|message| !message.is_request()).unwrap();
        let tag = answer.value(HeaderName::SipEtag).unwrap_or_default();
        (answer.status(), answer.reason().to_owned(), tag.to_owned())
    }

    /// The document that a watcher gets by a fetch.
    pub(crate) fn fetch(&mut self, accept: &str) -> String {
        let headers = format!("Event: presence\r\nExpires: 0\r\nAccept: {accept}\r\n");
        let told = self.send("SUBSCRIBE", &headers, b"");
        let notify = told.iter().find(|message| message.is_request()).unwrap();
        String::from_utf8(notify.body().to_vec()).unwrap()
    }
}

pub(crate) fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("site.db").display())
}

pub(crate) fn flow() -> Flow {
    flow_from("192.0.2.1:5060".parse().unwrap(), Protocol::Udp)
}

pub(crate) fn messages(sent: &[Sent]) -> Vec<Message> {
    sent.iter().map(|(_, bytes)| Message::parse(bytes).unwrap()).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn document(note: &str) -> String {
    format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:bob@example.com'><tuple id='t'><status><basic>open</basic></status>\
         </tuple><note>{note}</note></presence>"
    )
}

/// 60 tuples with 40 short elements each that use one long declaration.
fn bomb(declaration: &str, element: &str) -> String {
    let tuple =
        |i| format!("<p:tuple id='{i}'><p:status><p:basic>open</p:basic></p:status>{}</p:tuple>", element.repeat(40));
    format!(
        "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' {declaration}='{}' entity='pres:bob@example.com'>{}</p:presence>",
        "u".repeat(25_000),
        (0..60).map(tuple).collect::<String>()
    )
}

#[test]
fn a_namespace_bomb_is_refused_with_413_and_nothing_of_it_is_kept() {
    let folder = folder();
    let mut stage = Stage::new(&folder, &[]);
    for (declaration, element) in [("xmlns:n", "<n:b/>"), ("xmlns", "<b/>"), ("xmlns:n", "<b n:c=''/>")] {
        let bomb = bomb(declaration, element);
        assert!(bomb.len() < 60_000);
        let (status, reason, _) = stage.publish(PIDF, bomb.as_bytes());
        assert_eq!(status, 413, "{reason}");
        assert!(reason.contains("namespace declarations would be repeated"), "{reason}");
    }
    assert!(stage.fetch(PIDF).len() < 500);
}

#[test]
fn what_is_told_is_a_small_multiple_of_what_was_published() {
    let long = |length| "u".repeat(length);
    let entity = "entity='pres:bob@example.com'";
    let presence = |attributes: &str, inside: &str| {
        format!("<presence xmlns='urn:ietf:params:xml:ns:pidf' {entity} {attributes}>{inside}</presence>")
    };
    let tuple = |inside: &str| format!("<tuple id='t'><status><basic>open</basic></status>{inside}</tuple>");
    let documents = [
        // Each kind of content that is copied to many places, or grows when it is written.
        presence(&format!("xml:lang='{}'", long(20_000)), &tuple(&"<note>n</note>".repeat(64))),
        presence(&format!("xml:base='{}'", long(20_000)), &"<b xmlns='u'/>".repeat(128)),
        presence("", &tuple(&format!("<note>{}</note>", ">".repeat(20_000)))),
        presence("", &tuple(&format!("<note>{}</note>", "\r\n".repeat(10_000)))),
        presence("", &tuple(&format!("<contact>sip:a?{}</contact>", "&amp;".repeat(4000)))),
        presence(&format!("xmlns:n='{}'", long(5000)), &"<n:b/>".repeat(2)),
        presence("xmlns:n='u'", &"<b xmlns='urn:ietf:params:xml:ns:pidf:x' id='i'/>".repeat(128)),
        presence("", &format!("<b xmlns='u'>{}</b>", "<c>".repeat(30) + &"</c>".repeat(30))),
    ];
    for document in documents {
        let folder = folder();
        let mut stage = Stage::new(&folder, &[]);
        let (status, reason, _) = stage.publish(PIDF, document.as_bytes());
        assert_eq!(status, 200, "{reason}");
        for form in [PIDF, "application/cpim-pidf+xml", "application/xpidf+xml", "text/lpidf"] {
            let told = stage.fetch(form).len();
            assert!(told <= 4 * document.len() + 4096, "{form}: {told} of {}", document.len());
        }
    }
}

#[test]
fn what_one_presentity_publishes_is_bounded_in_octets() {
    let folder = folder();
    let mut stage = Stage::new(&folder, &[("max_presentity_octets", Parameter::Integer(50_000))]);
    let large = document(&"n".repeat(10_000));
    let tags: Vec<_> = (0..2).map(|_| stage.publish(PIDF, large.as_bytes())).collect();
    assert!(tags.iter().all(|(status, ..)| *status == 200), "{tags:?}");
    let (status, reason, _) = stage.publish(PIDF, large.as_bytes());
    assert_eq!((status, &*reason), (413, "Request Entity Too Large: Together With Other Publications"));
    // A small document still fits. Existing publications can be refreshed and removed, which makes room.
    assert_eq!(stage.publish(PIDF, document("n").as_bytes()).0, 200);
    let with_tag = |tag: &str, expires| format!("Event: presence\r\nSIP-If-Match: {tag}\r\nExpires: {expires}\r\n");
    let (status, _, tag) = stage.publish_as(&with_tag(&tags[0].2, 600), b"");
    assert_eq!(status, 200);
    assert_eq!(stage.publish_as(&with_tag(&tag, 0), b"").0, 200);
    assert_eq!(stage.publish(PIDF, large.as_bytes()).0, 200);
    assert!(stage.fetch(PIDF).len() < 50_000);
}

#[test]
fn what_all_publish_is_bounded_in_octets_and_comes_back_when_it_ends() {
    let folder = folder();
    let mut stage = Stage::new(&folder, &[("max_published_octets", Parameter::Integer(50_000))]);
    let large = document(&"n".repeat(10_000));
    let published: Vec<_> = (0..2).map(|_| stage.publish(PIDF, large.as_bytes()).2).collect();
    let answer =
        &stage.send("PUBLISH", "Event: presence\r\nContent-Type: application/pidf+xml\r\n", large.as_bytes())[0];
    assert_eq!((answer.status(), answer.value(HeaderName::RetryAfter).is_some()), (503, true));
    let removal = format!("Event: presence\r\nSIP-If-Match: {}\r\nExpires: 0\r\n", published[0]);
    assert_eq!(stage.publish_as(&removal, b"").0, 200);
    assert_eq!(stage.publish(PIDF, large.as_bytes()).0, 200);
    let counter = stage.site.host().counter("pa_over_limit").value();
    assert_eq!(counter, 1);
}

#[test]
fn an_opaque_body_counts_too() {
    let folder = folder();
    let parameters = [("max_presentity_octets", Parameter::Integer(50_000)), ("events", "ua-profile".into())];
    let mut stage = Stage::new(&folder, &parameters);
    let headers = "Event: ua-profile\r\nContent-Type: text/plain\r\n";
    let statuses: Vec<_> = (0..4).map(|_| stage.publish_as(headers, &[b'x'; 20_000]).0).collect();
    assert_eq!(statuses, [200, 200, 413, 413]);
}

pub(crate) static PUBLICATION: Table = Table {
    name: "pa_publication",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("aor"),
        Column::text("domain"),
        Column::text("package"),
        Column::integer("etag"),
        // As text, which SQLite turns into a number if it is one.
        Column::text("modified"),
        Column::integer("expires"),
        Column::text("document"),
        Column::blob("body"),
    ],
    key: 1,
};

/// Writes publications of Bob into the database as another program would: id, when, body.
fn store(folder: &TempDir, rows: impl IntoIterator<Item = (i64, &'static str, Vec<u8>)>) {
    store_rows(
        folder,
        &PUBLICATION,
        rows.into_iter().map(|(id, modified, body)| publication(id, "bob", modified, body)),
    );
}

/// A row of the table of publications.
pub(crate) fn publication(id: i64, user: &str, modified: &str, body: Vec<u8>) -> Vec<Value> {
    let (aor, text) = (format!("sip:{user}@example.com"), |text: &str| Value::from(text));
    let head = [Value::from(id), text(&aor), text(&aor), text("registrar"), text("presence")];
    let times = [Value::from(id), text(modified), (1i64 << 45).into(), text(PIDF), body.into()];
    head.into_iter().chain(times).collect()
}

/// Writes rows into a table as another program would.
pub(crate) fn store_rows(folder: &TempDir, table: &'static Table, rows: impl IntoIterator<Item = Vec<Value>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Storage::new(runtime.handle().clone());
        let database = storage.open(&url(folder)).await.unwrap();
        for row in rows {
            database.journal().put(table, row).await.unwrap();
        }
        storage.close().await;
    });
}

#[test]
fn what_is_in_the_database_and_breaks_the_limits_is_left_out_and_the_server_starts() {
    let folder = folder();
    Stage::new(&folder, &[]).site.stop();
    let row = |id, text: String| (id, "0", text.into_bytes());
    let bombs = (0..20).map(|id| row(id, bomb("xmlns:n", "<n:b/>")));
    let bad =
        [row(101, "<presence".to_owned()), (102, "0", vec![0xff]), (103, "yesterday", document("bad").into_bytes())];
    let large = (200..300).map(|id| row(id, document(&"n".repeat(30_000))));
    store(&folder, bombs.chain(bad).chain([row(150, document("good"))]).chain(large));
    let mut stage = Stage::new(&folder, &[]);
    let told = stage.fetch(PIDF);
    assert!(
        told.contains("<note>good</note>") && !told.contains("<note>bad") && told.len() < 262_144,
        "{}",
        told.len()
    );
    assert_eq!(stage.publish(PIDF, document("n").as_bytes()).0, 200);
}

#[test]
fn a_document_is_read_in_the_encoding_that_it_is_in() {
    let latin1 = |text: String| text.chars().map(|c| c as u8).collect::<Vec<_>>();
    let utf16 = |text: String, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let declared = |name: &str| format!("<?xml version='1.0' encoding='{name}'?>{}", document("caf\u{e9}"));
    let cases = [
        (PIDF, utf16(format!("\u{feff}{}", declared("UTF-16")), u16::to_be_bytes)),
        (PIDF, utf16(format!("\u{feff}{}", declared("UTF-8")), u16::to_le_bytes)),
        ("application/pidf+xml;charset=\"utf-16\"", utf16(document("caf\u{e9}"), u16::to_be_bytes)),
        (PIDF, latin1(declared("ISO-8859-1"))),
        ("application/pidf+xml; charset=iso-8859-1", latin1(document("caf\u{e9}"))),
        (PIDF, declared("us-ascii").into_bytes()),
        ("application/pidf+xml; charset=UTF-8", declared("ISO-8859-1").into_bytes()),
    ];
    for (content_type, body) in cases {
        let folder = folder();
        let mut stage = Stage::new(&folder, &[]);
        let (status, reason, _) = stage.publish(content_type, &body);
        assert_eq!(status, 200, "{content_type}: {reason}");
        assert!(stage.fetch(PIDF).contains("<note>caf\u{e9}</note>"), "{content_type}");
        // And again after a restart.
        stage.site.stop();
        let told = Stage::new(&folder, &[]).fetch(PIDF);
        assert!(told.contains("<note>caf\u{e9}</note>"), "{content_type}: {told}");
    }
    let folder = folder();
    let mut stage = Stage::new(&folder, &[]);
    for (content_type, body, answer) in [
        ("application/pidf+xml;charset=koi8-r", document("n").into_bytes(), 400),
        (PIDF, [&[0xff, 0xfe][..], document("n").as_bytes()].concat(), 400),
        // As UTF-8 it is longer than a document may be.
        ("application/pidf+xml;charset=iso-8859-1", latin1(document(&"\u{e9}".repeat(40_000))), 413),
    ] {
        assert_eq!(stage.publish(content_type, &body).0, answer, "{content_type}");
    }
}

#[test]
fn a_wrong_basic_status_costs_the_document_and_a_wrong_timestamp_itself() {
    let folder = folder();
    let mut stage = Stage::new(&folder, &[]);
    let shouted = document("n").replace(">open<", ">OPEN<");
    let (status, reason, _) = stage.publish(PIDF, shouted.as_bytes());
    assert_eq!((status, &*reason), (400, "Bad Document: a basic status is neither open nor closed"));
    let unknown = document("n").replace(">open<", ">unknown<");
    assert_eq!(stage.publish(PIDF, unknown.as_bytes()).0, 200);
    let late = document("n").replace("</tuple>", "<timestamp>today</timestamp></tuple>");
    assert_eq!(stage.publish(PIDF, late.as_bytes()).0, 200);
    let told = stage.fetch(PIDF);
    assert!(told.contains("<basic>closed</basic>") && told.contains("<basic>open</basic>"), "{told}");
    assert!(!told.contains("timestamp"), "{told}");
    Document::parse(told.as_bytes(), &Limits::default()).unwrap();
}

/// RFC 3261 §25.1: a quoted-pair may stand for a control character, for which XML 1.0 §2.2 has no place.
#[test]
fn watcher_information_is_well_formed_whatever_names_its_watchers_have() {
    let names: [(&[u8], &[u8]); 4] = [
        (b"\"a\\\x01b\"", b"w"),
        (b"\"a\\\x7f\\\x0b\xef\xbf\xbf\xef\xbf\xbe\"", b"x"),
        (b"\"<&>]]>\\\"'\"", b"&'"),
        (b"\"\xed\xa0\x80\"", b"y"),
    ];
    let folder = folder();
    let mut stage = Stage::new(&folder, &[("winfo_auth", "none".into())]);
    for (i, (name, user)) in names.iter().enumerate() {
        let head = |text: String| text.into_bytes();
        let message = [
            head(format!(
                "SUBSCRIBE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKw{i}\r\nMax-Forwards: 70\r\nFrom: "
            )),
            name.to_vec(),
            b" <sip:".to_vec(),
            user.to_vec(),
            head(format!(
                "@example.com>;tag=w{i}\r\nTo: <sip:bob@example.com>\r\nCall-ID: w{i}\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\n\
                 Contact: <sip:w@192.0.2.1>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
            )),
        ];
        let answers = messages(&stage.site.deliver(&message.concat(), flow()));
        assert!(answers.iter().any(|answer| !answer.is_request() && answer.status() == 200), "{i}");
    }
    let told = stage.send("SUBSCRIBE", "Event: presence.winfo\r\nExpires: 600\r\n", b"");
    let notify = told.iter().find(|message| message.is_request()).unwrap();
    let text = std::str::from_utf8(notify.body()).unwrap();
    let info = WatcherInfo::parse(notify.body(), &Limits::default()).unwrap();
    assert_eq!(info.lists[0].watchers.len(), names.len(), "{text}");
    let shown = |user: &str| {
        let uri = format!("sip:{user}@example.com");
        let watcher = info.lists[0].watchers.iter().find(|watcher| watcher.uri == uri);
        watcher.unwrap_or_else(|| panic!("no {uri}: {text}")).display_name.clone().unwrap_or_default()
    };
    assert_eq!(shown("w"), "a\u{fffd}b");
    assert_eq!(shown("&'"), "<&>]]>\"'");
    let listed = stage.site.command("pa.watchers", json!({ "uid": "sip:bob@example.com" })).0.unwrap();
    assert!(listed.to_string().contains("sip:w@"), "{listed}");
}
