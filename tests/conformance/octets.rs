//! Octets of messages that are not UTF-8. RFC 3261 §25.1 does not allow them, but some phones send them. They are
//! forwarded as they came. Elsewhere a URI has them as escapes (§19.1.4), and other text has U+FFFD. The server's
//! internal form of them is never visible.

use serde_json::{Value as Json, json};
use signalbox::module::export;
use signalbox::storage::{Column, Table, Value};
use signalbox::transport::Protocol;
use signalbox::transport::network::Sent;
use signalbox_documents::watcherinfo::WatcherInfo;
use signalbox_documents::xml::Limits;
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use tempfile::TempDir;

use crate::bombs::OFFLINE_WINFO;
use crate::published_documents::store_rows;

const SCRIPT: &str = r#"
function route(msg)
  if msg.method == "REGISTER" then return save("location") end
  if msg.method == "SUBSCRIBE" then
    if msg.event == "ua-profile" then avp.uid = "user " .. msg.ruri.user end
    if t_newtran() and handle_subscription("registrar") and not msg.to_tag and msg.event == "presence" then
      store_winfo("registrar")
    end
    return
  end
  if msg.method == "PUBLISH" then
    if t_newtran() then handle_publish("registrar") end
    return
  end
  -- Each way in which a script can get a text of a message.
  avp[msg.from.display] = msg.from.display
  local user = msg.ruri.user
  msg.ruri.user = user
  msg.headers:set("X-Set", msg.headers:get("Subject"))
  msg.headers:add("X-All", msg.headers:all("Subject")[1])
  msg.headers:set("X-Avp", avp[msg.from.display])
  msg.headers:set("X-From", msg.from)
  msg.headers:set("X-Joined", "from " .. msg.from .. " to " .. msg.ruri)
  msg.headers:set("X-Param", msg.from.params.x)
  msg.headers:set("X-Octets", string.format("%d %d", #user, string.byte(user, #user)))
  msg.headers:set("X-Text", tostring(msg))
  log.info("from", msg.from, msg.from.display, msg.headers:get("Subject"), user, msg)
  print(msg.ruri, user)
  local ok, problem = pcall(function() msg.ruri = "no uri " .. user end)
  msg.headers:set("X-Problem", tostring(problem):gsub("\n.*", ""))
  if not lookup("location") then return sl_send_reply(404, "No " .. msg.from.display) end
  if not t_relay() then sl_reply_error() end
end
"#;

/// A server with its database in a folder.
struct Stage {
    site: Site,
    requests: u32,
}

impl Stage {
    fn new(folder: &TempDir) -> Self {
        let script = folder.path().join("route.lua");
        std::fs::write(&script, SCRIPT).unwrap();
        let mut setup = Setup::new(&script, "example.com");
        let database = format!("sqlite:{}", folder.path().join("site.db").display());
        let db_url = ("db_url", database.as_str().into());
        let pa = [
            db_url.clone(),
            ("auth", "none".into()),
            ("winfo_auth", "none".into()),
            ("use_offline_winfo", 1.into()),
            ("events", "ua-profile".into()),
        ];
        setup.modules = vec![
            configured(export::entry::<Registrar>(), &[db_url]).unwrap(),
            configured(export::entry::<PresenceAgent>(), &pa).unwrap(),
        ];
        Self { site: Site::start(setup).unwrap(), requests: 0 }
    }

    /// Sends a request in ISO 8859-1 with the usual headers and the given From and To.
    fn send(&mut self, start: &str, lines: &str, body: &str) -> Vec<Sent> {
        self.requests += 1;
        let (number, method) = (self.requests, start.split(' ').next().unwrap());
        let call_id = if lines.contains("Call-ID:") { String::new() } else { format!("Call-ID: {number}\r\n") };
        let message = format!(
            "{start} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n{call_id}\
             CSeq: {number} {method}\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.site.deliver(&latin1(&message), flow_from("192.0.2.1:5060".parse().unwrap(), Protocol::Udp))
    }

    fn register(&mut self) -> Vec<Sent> {
        let lines = "From: <sip:caf\u{e9}@example.com>;tag=f\r\nTo: <sip:caf\u{e9}@example.com>\r\nPath: <sip:p\u{e9}@192.0.2.9;lr>\r\n\
                     Contact: <sip:caf\u{e9}@192.0.2.7;x=\u{e9}>;+sip.instance=\"<\u{e9}>\";methods=\"\u{e9}\"\r\n\
                     User-Agent: Caf\u{e9}\r\nSupported: path\r\nExpires: 600\r\n";
        self.send("REGISTER sip:example.com", lines, "")
    }

    /// A watcher subscribes whose From, Contact and proxies have such octets.
    fn subscribe(&mut self, event: &str) -> Vec<Sent> {
        let lines = format!(
            "From: \"w\u{e9}\" <sip:w\u{e9}@example.com>;tag=w{event}\r\nTo: <sip:caf\u{e9}@example.com>\r\nEvent: {event}\r\n\
             Record-Route: <sip:r\u{e9}@192.0.2.1;lr>\r\nContact: <sip:w\u{e9}@192.0.2.1>\r\nExpires: 600\r\n"
        );
        self.send("SUBSCRIBE sip:caf\u{e9}@example.com", &lines, "")
    }

    fn command(&mut self, name: &str, parameters: Json) -> String {
        self.site.command(name, parameters).0.unwrap().to_string()
    }
}

/// The text with each character as one octet.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Whether there is a character that carries an octet: U+10FF80 to U+10FFFF, as UTF-8 or as escapes of it.
fn has_carriers(octets: &[u8]) -> bool {
    let escaped = |text: &str| contains(&octets.to_ascii_lowercase(), text.as_bytes());
    contains(octets, b"\xf4\x8f\xbe") || contains(octets, b"\xf4\x8f\xbf") || escaped("%f4%8f%b") || escaped("u{10ff")
}

fn requests(sent: &[Sent]) -> Vec<Message> {
    sent.iter().map(|(_, octets)| Message::parse(octets).unwrap()).filter(Message::is_request).collect()
}

fn status(sent: &[Sent]) -> u16 {
    let answers = sent.iter().map(|(_, octets)| Message::parse(octets).unwrap());
    answers.filter(|message| !message.is_request()).map(|answer| answer.status()).next_back().unwrap()
}

/// §19.1.4: "Characters other than those in the "reserved" set are equivalent to their encoding."
#[test]
fn an_octet_in_a_user_and_its_escape_are_one_address_of_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(&folder);
    assert_eq!(status(&stage.register()), 200);
    for user in ["caf\u{e9}", "caf%E9", "c%61f%e9"] {
        let lines =
            format!("From: \"a\" <sip:a@example.com>;tag=a;x=y\r\nTo: <sip:{user}@example.com>\r\nSubject: s\r\n");
        let sent = stage.send(&format!("MESSAGE sip:{user}@example.com"), &lines, "");
        let relayed = requests(&sent);
        assert_eq!(relayed[0].request_uri(), "sip:caf%E9@192.0.2.7;x=%E9", "{user}");
    }
}

#[test]
fn scripts_see_octets_and_give_them_back_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(&folder);
    stage.register();
    let lines = "From: \"w\u{e9}\" <sip:w\u{e9}@example.com>;tag=a;x=\"p\u{e9}\"\r\nTo: <sip:b@example.com>\r\nSubject: s\u{e9}\r\n";
    let sent = stage.send("MESSAGE sip:caf%e9@example.com", lines, "");
    let relayed = &sent.iter().find(|(_, octets)| octets.starts_with(b"MESSAGE")).expect("it is relayed").1;
    let from = "\"w\u{e9}\" <sip:w\u{e9}@example.com>;tag=a;x=\"p\u{e9}\"";
    for line in [
        "X-Set: s\u{e9}".to_owned(),
        "X-All: s\u{e9}".to_owned(),
        "X-Avp: w\u{e9}".to_owned(),
        format!("X-From: {from}"),
        format!("X-Joined: from {from} to sip:caf%E9@example.com"),
        "X-Param: p\u{e9}".to_owned(),
        "X-Octets: 4 233".to_owned(),
        "X-Text: MESSAGE sip:caf%E9@example.com".to_owned(),
        format!("From: {from}"),
    ] {
        let line = latin1(&format!("\r\n{line}\r\n"));
        assert!(contains(relayed, &line), "{line:?}: {}", String::from_utf8_lossy(relayed));
    }
    assert!(contains(relayed, "X-Problem: ".as_bytes()) && !has_carriers(relayed));
    // A reason phrase that a script takes from a text is sent as that text.
    let refused = stage.send("MESSAGE sip:nobody@example.com", lines, "");
    assert!(
        contains(&refused[0].1, &latin1("SIP/2.0 404 No w\u{e9}\r\n")),
        "{}",
        String::from_utf8_lossy(&refused[0].1)
    );
}

#[test]
fn documents_commands_and_the_database_have_what_stands_for_octets() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(&folder);
    let mut sent = stage.register();
    sent.extend(stage.subscribe("presence"));
    let document =
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:bob@example.com'><note>n</note></presence>";
    let from = "From: <sip:caf\u{e9}@example.com>;tag=p\r\nTo: <sip:caf\u{e9}@example.com>\r\n";
    for (event, content_type) in
        [("presence", "application/pidf+xml;x=\"\u{e9}\""), ("ua-profile", "text/\u{e9};x=\"\u{e9}\"")]
    {
        let lines = format!("{from}Event: {event}\r\nContent-Type: {content_type}\r\n");
        let answer = stage.send("PUBLISH sip:caf\u{e9}@example.com", &lines, document);
        assert_eq!(status(&answer), 200, "{event}");
        sent.extend(answer);
    }
    let all = stage.send(
        "SUBSCRIBE sip:caf\u{e9}@example.com",
        &format!("{from}Event: ua-profile\r\nAccept: text/*;x=\"\u{e9}\"\r\nContact: <sip:w\u{e9}@192.0.2.1>\r\n")
            .replace("tag=p", "tag=u"),
        "",
    );
    sent.extend(all);
    let winfo = stage.subscribe("presence.winfo");
    let told = requests(&winfo).pop().unwrap();
    let info = WatcherInfo::parse(told.body(), &Limits::default()).unwrap();
    let watcher = &info.lists[0].watchers[0];
    assert_eq!((&*watcher.uri, watcher.display_name.as_deref()), ("sip:w%E9@example.com", Some("w\u{fffd}")));
    assert_eq!(info.lists[0].resource, "sip:caf%E9@example.com");
    sent.extend(winfo);
    // The presence document of a registered contact.
    let notified = requests(&sent);
    let body = |part: &str| notified.iter().any(|notify| contains(notify.body(), part.as_bytes()));
    assert!(body("sip:caf%E9@192.0.2.7;x=%E9") && body("entity=\"pres:caf%E9@example.com\""));
    for (_, octets) in &sent {
        assert!(!has_carriers(octets), "{}", String::from_utf8_lossy(octets));
    }
    let shown = [
        stage.command("registrar.list", json!({})),
        stage.command("registrar.show", json!({ "aor": "sip:caf%E9@example.com" })),
        stage.command("pa.presentities", json!({})),
        stage.command("pa.show", json!({ "uid": "sip:caf%E9@example.com" })),
        stage.command("pa.watchers", json!({ "uid": "user caf%E9", "event": "ua-profile" })),
        stage.command("pa.watchers", json!({ "uid": "sip:caf%E9@example.com" })),
    ];
    assert!(shown.iter().all(|shown| !has_carriers(shown.as_bytes())), "{shown:?}");
    assert!(shown[1].contains("sip:caf%E9@192.0.2.7;x=%E9") && shown[1].contains("Caf\u{fffd}"), "{}", shown[1]);
    assert!(shown[5].contains("sip:w%E9@example.com") && shown[5].contains("stored"), "{}", shown[5]);
    stage.site.stop();
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let stored: Vec<u8> =
        files.filter(|file| !file.ends_with("route.lua")).flat_map(|file| std::fs::read(file).unwrap()).collect();
    assert!(
        !has_carriers(&stored)
            && contains(&stored, b"sip:w%E9@192.0.2.1")
            && contains(&stored, b"sip:caf%E9@192.0.2.7")
    );
}

#[test]
fn a_subscription_with_such_octets_goes_the_same_way_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(&folder);
    stage.register();
    let before = requests(&stage.subscribe("presence")).pop().unwrap();
    stage.site.crash();
    let mut stage = Stage::new(&folder);
    let now = stage.site.now();
    let sent = stage.site.pass_until(now + std::time::Duration::from_secs(1));
    let after = requests(&sent).pop().expect("the watcher is told again after a crash");
    let way = |notify: &Message| {
        let names = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::Route];
        let values = names.map(|name| notify.value(name).unwrap_or_default().to_owned());
        (notify.request_uri().to_owned(), values)
    };
    assert_eq!(way(&after), way(&before));
    assert_eq!(after.request_uri(), "sip:w%E9@192.0.2.1");
    assert_eq!(after.value(HeaderName::Route), Some("<sip:r%E9@192.0.2.1;lr>"));
}

static LOCATION: Table = Table {
    name: "location",
    columns: &[
        Column::integer("id"),
        Column::text("location"),
        Column::text("aor"),
        Column::text("contact"),
        Column::integer("q"),
        Column::integer("expires"),
        Column::text("call_id"),
        Column::integer("cseq"),
        Column::text("path"),
        Column::text("instance"),
        Column::text("user_agent"),
    ],
    key: 1,
};

/// Programs before this one wrote the characters that carry octets into the database.
#[test]
fn what_an_older_version_has_stored_is_told_with_what_stands_for_octets() {
    let folder = tempfile::tempdir().unwrap();
    Stage::new(&folder).site.stop();
    let (aor, carried) = ("sip:bob@example.com", "\u{10ffe9}");
    let text = |start: &str| Value::from([start, carried].concat());
    let late = Value::from(1i64 << 45);
    let location = [Value::from(1i64), "location".into(), aor.into(), Value::from(format!("sip:c{carried}@192.0.2.1"))];
    let rest = [1000i64.into(), late.clone(), text("c"), 1i64.into(), text("<sip:p"), text("i"), text("u")];
    store_rows(&folder, &LOCATION, [location.into_iter().chain(rest).collect()]);
    let watched = [Value::from(1i64), aor.into(), "registrar".into(), "presence".into()];
    let visitor = [Value::from(format!("sip:w{carried}@example.com")), text("w"), "pending".into(), 0i64.into(), late];
    store_rows(&folder, &OFFLINE_WINFO, [watched.into_iter().chain(visitor).collect()]);
    let mut stage = Stage::new(&folder);
    let contact = stage.command("registrar.show", json!({ "aor": aor }));
    assert!(contact.contains("sip:c%E9@192.0.2.1") && contact.contains("u\u{fffd}"), "{contact}");
    let watcher = stage.command("pa.watchers", json!({ "uid": aor }));
    assert!(watcher.contains("sip:w%E9@example.com") && watcher.contains("w\u{fffd}"), "{watcher}");
    assert!(!has_carriers(contact.as_bytes()) && !has_carriers(watcher.as_bytes()));
}

/// §25.1: Call-IDs, tags and the parameters of Event are ASCII, and have no escapes for other octets.
#[test]
fn a_dialog_that_is_named_by_such_octets_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(&folder);
    for (call_id, tag, event) in
        [("c\u{e9}", "t", "presence"), ("c", "t\u{e9}", "presence"), ("c", "t", "presence;id=\u{e9}")]
    {
        let lines = format!(
            "Call-ID: {call_id}\r\nFrom: <sip:a@example.com>;tag={tag}\r\nTo: <sip:b@example.com>\r\nEvent: {event}\r\n\
             Contact: <sip:a@192.0.2.1>\r\n"
        );
        let answer = stage.send("SUBSCRIBE sip:b@example.com", &lines, "");
        assert_eq!(status(&answer), 400, "{call_id} {tag} {event}");
    }
}
