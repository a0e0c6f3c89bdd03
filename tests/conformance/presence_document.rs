//! The document of the presence module that Signalbox carries on: a test for each row of its tables of parameters (§4.4) and functions
//! (§4.5), named after the row.

mod winfo;

use std::path::Path;

use serde_json::json;
use signalbox::module::{Value, export};
use signalbox::services::presence::{Presence, Query, QueryError, SubscriptionState};
use signalbox_documents::rpid::{Activity, Mood};
use signalbox_pa::PresenceAgent;
use signalbox_tests::scenario::run_text;
use signalbox_tests::site::{Setup, Site, configured};

use crate::presence::{EVENT, notified, play, play_with, published, subscribed, subscribes};

/// What the module says about settings that don't fit together.
fn refused(parameters: &[(&str, Value)]) -> String {
    let error = Site::start(setup(parameters)).map(|_| ()).expect_err("the settings are refused");
    format!("{error:#}")
}

fn setup(parameters: &[(&str, Value)]) -> Setup {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/presence.lua");
    let mut setup = Setup::new(&script, "example.com");
    setup
        .modules
        .push(configured(export::entry::<PresenceAgent>(), parameters).unwrap_or_else(|error| panic!("{error}")));
    setup
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn open(name: &str) -> String {
    published(name, "", "sip:bob@there")
}

/// A NOTIFY for alice that contains this text, and her 200.
fn told(text: &str) -> String {
    notified(&format!("\n  ...{text}...\n"))
}

/// §4.1.3: the formats of PUBLISH and of NOTIFY.
#[test]
fn supported_document_formats() {
    let formats = [
        ("application/pidf+xml", "sip:bob@there"),
        ("application/cpim-pidf+xml", "urn:ietf:params:xml:ns:cpim-pidf"),
        ("text/lpidf", "To: sip:bob@example.com"),
        ("application/xpidf+xml", "<status status=\"inuse\"/>"),
        ("application/rpid+xml", "<rp:busy/>"),
    ];
    for (published, namespace) in [
        ("application/pidf+xml", "urn:ietf:params:xml:ns:pidf"),
        ("application/cpim-pidf+xml", "urn:ietf:params:xml:ns:cpim-pidf"),
        ("application/rpid+xml", "urn:ietf:params:xml:ns:pidf"),
    ] {
        for (told, contains) in formats {
            play(&format!(
                "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  Content-Type: {published}

  <presence xmlns=\"{namespace}\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rp=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"pres:bob@example.com\">
  <tuple id=\"t\"><status><basic>open</basic></status><contact>sip:bob@there</contact></tuple>
  <dm:person id=\"p\"><rp:activities><rp:busy/></rp:activities></dm:person></presence>

bob receives 200 OK

alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{{alice}}>
  Event: presence
  Expires: 0
  Accept: {told}

alice receives 200 OK

alice receives
  NOTIFY sip:alice@{{alice}}
  Content-Type: {told}

  ...{contains}...

alice answers 200 OK
"
            ));
        }
    }
}

#[test]
fn default_expires() {
    let publish = "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  Content-Type: application/pidf+xml

  <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:bob@example.com\"/>

bob receives
  200 OK
  Expires: 1200
";
    let subscribe = subscribes(EVENT, "  200 OK\n  Expires: 1200");
    let told = notified("  Subscription-State: active;expires=1200\n");
    play_with(&["pa.default_expires: 1200"], &[&*subscribe, &told, publish].concat());
}

#[test]
fn default_expires_is_3600() {
    let expires = "\nalice receives nothing\n";
    play(&[&subscribed(EVENT).replace("200 OK\n  To", "200 OK\n  Expires: 3600\n  To"), expires].concat());
}

#[test]
fn max_subscription_expiration() {
    let steps = [
        &*subscribes("  Event: presence\n  Expires: 7200\n", "  200 OK\n  Expires: 600"),
        &notified("  Subscription-State: active;expires=600\n"),
        "\ntime passes 600s\n",
        &notified("  Subscription-State: terminated;reason=timeout\n"),
    ];
    play_with(&["pa.max_subscription_expiration: 600"], &steps.concat());
}

#[test]
fn max_publish_expiration() {
    let expired = "\ntime passes 600s\n";
    let publish = open("publication").replace("  SIP-ETag", "  Expires: 600\n  SIP-ETag");
    let publish = publish.replace("  Event: presence\n", "  Event: presence\n  Expires: 7200\n");
    let steps = [&*subscribed(EVENT), &publish, &told("open"), expired, &told("closed")];
    play_with(&["pa.max_publish_expiration: 600"], &steps.concat());
}

#[test]
fn use_db() {
    let crash = "\nserver crashes\n";
    // What was subscribed and published is still there.
    play(
        &[
            &subscribed(EVENT),
            &open("publication"),
            &told("open"),
            crash,
            // Nobody knows whether alice had heard of it.
            &told("open"),
            &published("next", "  SIP-If-Match: {publication}\n", "sip:bob@elsewhere"),
            &told("elsewhere"),
        ]
        .concat(),
    );
    // With 0 nothing is.
    let gone = "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  SIP-If-Match: {publication}

bob receives 412 Conditional Request Failed

alice receives nothing
";
    play_with(&["pa.use_db: 0"], &[&subscribed(EVENT), &open("publication"), &told("open"), crash, gone].concat());
}

#[test]
fn db_url() {
    let error = refused(&[("auth", text("none"))]);
    assert!(error.contains("db_url") && error.contains("use_db is on"), "{error}");
    let error = refused(&[("auth", text("none")), ("db_url", text("nonsense://x"))]);
    assert!(error.contains("nonsense"), "{error}");
}

#[test]
fn use_callbacks() {
    let register = "
bob sends
  REGISTER sip:example.com
  Contact: <sip:bob@{bob}>

bob receives 200 OK
";
    play(&[&subscribed(EVENT), register, &told("open")].concat());
    let nothing = "\nalice receives nothing\n";
    play_with(
        &["pa.use_callbacks: 0"],
        &[&subscribed(EVENT), register, nothing, &open("publication"), &told("open")].concat(),
    );
}

#[test]
fn accept_internal_subscriptions() {
    let parameters = |accept| {
        [
            ("use_db", Value::Integer(0)),
            ("auth", text("none")),
            ("accept_internal_subscriptions", Value::Integer(accept)),
        ]
    };
    let site = Site::start(setup(&parameters(0))).expect("a site");
    assert!(site.host().service::<dyn Presence>().is_none(), "without the parameter there is no such service");

    let mut site = Site::start(setup(&parameters(1))).expect("a site");
    let presence = site.host().service::<dyn Presence>().expect("the service");
    let query = Query {
        package: "presence",
        presentity: "sip:bob@EXAMPLE.com",
        uid: None,
        watcher: "sip:list@example.com",
        accept: None,
    };
    let mut stream = presence.subscribe(&query).expect("a subscription");
    let status = stream.status();
    let body = |status: &signalbox::services::presence::Status| {
        String::from_utf8_lossy(&status.document.as_ref().expect("a document").body).into_owned()
    };
    assert_eq!(status.state, SubscriptionState::Active);
    assert!(body(&status).contains("closed"), "the state is there at once");

    let words =
        json!({ "uid": "sip:bob@example.com", "activity": "on-the-phone", "mood": "happy", "note": "back soon" });
    site.command("pa.publish", words).0.expect("published");
    let status = stream.status();
    assert!(body(&status).contains("open"), "and its changes");
    let said = status.document.and_then(|document| document.presence()).expect("a presence document");
    assert!(said.persons[0].rpid.does(Activity::OnThePhone) && said.persons[0].rpid.moods[0].has(Mood::Happy));
    assert_eq!(said.notes_of(&said.persons[0])[0].text, "back soon");

    let terminate = json!({ "uid": "sip:bob@example.com", "watcher": "sip:list@example.com", "reason": "noresource" });
    site.command("pa.terminate", terminate).0.expect("terminated");
    assert_eq!(stream.status().state, SubscriptionState::Terminated);

    let watchers =
        |site: &mut Site| site.command("pa.watchers", json!({ "uid": "sip:bob@example.com" })).0.expect("watchers");
    let stream = presence.subscribe(&query).expect("another subscription");
    assert_eq!(watchers(&mut site).as_array().map(Vec::len), Some(1));
    drop(stream);
    assert_eq!(watchers(&mut site).as_array().map(Vec::len), Some(0), "dropping it ends it");

    let unknown = presence.subscribe(&Query { package: "dialog", ..query }).map(|_| ());
    assert_eq!(unknown, Err(QueryError::Package { package: "dialog".to_owned() }));
    let unacceptable = presence.subscribe(&Query { accept: Some("text/plain"), ..query }).map(|_| ());
    assert_eq!(unacceptable, Err(QueryError::NotAcceptable));
}

/// How a subscription starts with this `auth`.
fn starts(auth: &str, state: &str) {
    let steps = format!(
        "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{{alice}}>
  Event: presence

alice receives 200 OK

alice receives
  NOTIFY sip:alice@{{alice}}
  Subscription-State: {state}

alice answers 200 OK
"
    );
    run_text(&format!(
        "
server
  script: tests/scenarios/scripts/presence.lua
  load: pa
  pa.use_db: 0
{auth}
phone alice <sip:alice@example.com> at 192.0.2.1:5060
{steps}"
    ));
}

#[test]
fn auth_none() {
    starts("  pa.auth: none\n", "active;expires=3600\n  Content-Type: application/pidf+xml");
}

#[test]
fn auth_implicit() {
    starts("  pa.auth: implicit\n", "pending;expires=3600\n  !Content-Type");
}

#[test]
fn auth_unset_is_implicit() {
    starts("", "pending;expires=3600\n  !Content-Type");
}

#[test]
fn auth_xcap_root() {
    let error = refused(&[("use_db", Value::Integer(0)), ("auth", text("xcap"))]);
    assert!(error.contains("auth_xcap_root"), "{error}");
    starts("  pa.auth: xcap\n  pa.auth_xcap_root: http://localhost/xcap-root\n", "pending;expires=3600");
}

/// `handle_subscription(domain)`: true with `avp.subscription_status` `active` or `pending`, false with `error` or `terminated`. The
/// script of this test says in X-Status what it sees, and answers OPTIONS with it.
#[test]
fn handle_subscription() {
    starts("  pa.auth: none\n", "active;expires=3600");
    let script = tempfile::tempdir().expect("a folder");
    let path = script.path().join("status.lua");
    let lua = "
local last = 'nothing'
function route(msg)
  if msg.method == 'OPTIONS' then return sl_send_reply(200, last) end
  t_newtran()
  local done = handle_subscription('registrar')
  last = tostring(done) .. ' ' .. tostring(avp.subscription_status)
end
";
    std::fs::write(&path, lua).expect("a script");
    let ask = |seen: &str| format!("\nalice sends\n  OPTIONS sip:example.com\n\nalice receives 200 {seen}\n");
    let subscribe = |headers: &str| {
        format!(
            "\nalice sends\n  SUBSCRIBE sip:bob@example.com\n  From: <sip:alice@example.com>;tag=a\n  Call-ID: c\n  Contact: <sip:alice@{{alice}}>\n{headers}"
        )
    };
    let notified = "\nalice receives NOTIFY sip:alice@{alice}\n\nalice answers 200 OK\n";
    let ok = "\nalice receives\n  200 OK\n  To: <sip:bob@example.com>;tag={tag}\n";
    for (auth, status) in [("none", "active"), ("implicit", "pending")] {
        let steps = [
            &subscribe(EVENT),
            ok,
            notified,
            &ask(&format!("true {status}")),
            &subscribe(
                "  To: <sip:bob@example.com>;tag={tag}\n  CSeq: 100 SUBSCRIBE\n  Event: presence\n  Expires: 0\n",
            ),
            "\nalice receives 200 OK\n",
            notified,
            &ask("true terminated"),
            &subscribe("  Event: conference\n"),
            "\nalice receives 489 Bad Event\n",
            &ask("false error"),
        ];
        run_text(&format!(
            "
server
  script: {}
  load: pa
  pa.use_db: 0
  pa.auth: {auth}

phone alice <sip:alice@example.com> at 192.0.2.1:5060
{}",
            path.display(),
            steps.concat()
        ));
    }
}

/// `target_online(domain)`: whether the user is registered or has published that it can be reached.
#[test]
fn target_online() {
    let ask = |answer: &str| format!("\nalice sends\n  OPTIONS sip:bob@example.com\n\nalice receives {answer}\n");
    let register = "
bob sends
  REGISTER sip:example.com
  Contact: <sip:bob@{bob}>

bob receives 200 OK
";
    let (offline, online) = (ask("480 Offline"), ask("200 Online"));
    play(&[&offline, register, &online].concat());
    let remove = "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  SIP-If-Match: {publication}
  Expires: 0

bob receives 200 OK
";
    play(&[&offline, &open("publication"), &online, remove, &offline].concat());
}
