//! What waits for its commit when the script is replaced, or when the script itself does not wait for it.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use signalbox::module::export;
use signalbox::transport::network::Sent;
use signalbox::transport::{Flow, Protocol};
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_sip::message::Message;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use tempfile::TempDir;

/// Begins what it is asked for in a coroutine that nobody goes on with.
const CARELESS: &str = "
function route(msg)
  t_newtran()
  local begun = coroutine.create(msg.method == 'PUBLISH' and handle_publish or handle_subscription)
  coroutine.resume(begun, 'registrar')
end
";

/// A site with a registrar and a presence agent that keep all they have in a database.
fn site(script: &Path, folder: &TempDir) -> Site {
    let mut setup = Setup::new(script, "example.com");
    let database = format!("sqlite:{}", folder.path().join("site.db").display());
    let database = database.as_str();
    setup.modules = vec![
        configured(export::entry::<Registrar>(), &[("db_url", database.into())]).unwrap(),
        configured(export::entry::<PresenceAgent>(), &[("db_url", database.into()), ("auth", "none".into())]).unwrap(),
    ];
    Site::start(setup).unwrap()
}

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scripts/presence.lua")
}

fn flow() -> Flow {
    flow_from("192.0.2.1:5060".parse().unwrap(), Protocol::Udp)
}

fn request(method: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@example.com>;tag=f\r\nTo: <sip:bob@example.com>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:bob@192.0.2.1>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn publish() -> Vec<u8> {
    let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:bob@example.com\"><tuple id=\"t\"><status>\
                <basic>open</basic></status></tuple></presence>";
    request("PUBLISH", "Event: presence\r\nExpires: 600\r\nContent-Type: application/pidf+xml\r\n", body)
}

fn subscribe() -> Vec<u8> {
    request("SUBSCRIBE", "Event: presence\r\nExpires: 600\r\n", "")
}

fn statuses(sent: &[Sent]) -> Vec<u16> {
    let messages = sent.iter().map(|(_, bytes)| Message::parse(bytes).unwrap());
    messages.filter(|message| !message.is_request()).map(|message| message.status()).collect()
}

/// What is known of Bob once nothing holds any more.
fn known_after_an_hour(site: &mut Site) -> String {
    site.pass_until(site.now() + Duration::from_secs(3700));
    match site.command("pa.show", json!({ "uid": "sip:bob@example.com" })).0 {
        Ok(shown) => shown.to_string(),
        Err(error) => error.to_string(),
    }
}

const NOTHING: &str = "there is no presentity sip:bob@example.com";

#[test]
fn requests_that_wait_while_the_script_is_replaced_are_answered_and_end_in_time() {
    for message in [publish(), subscribe(), request("REGISTER", "Expires: 600\r\n", "")] {
        let folder = tempfile::tempdir().unwrap();
        let mut site = site(&shipped(), &folder);
        let sent = site.deliver_and_reload(&message, flow()).unwrap();
        assert_eq!(statuses(&sent), [200], "{}", String::from_utf8_lossy(&message));
        assert_eq!(known_after_an_hour(&mut site), NOTHING);
    }
}

#[test]
fn what_a_script_begins_and_forgets_ends_in_time_all_the_same() {
    for message in [publish(), subscribe()] {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("careless.lua");
        std::fs::write(&script, CARELESS).unwrap();
        let mut site = site(&script, &folder);
        // The old script goes, and with it the coroutine.
        let sent = site.deliver_and_reload(&message, flow()).unwrap();
        // A commit that is over before the coroutine first waits is answered at once.
        assert!([500, 200].map(|status| vec![status]).contains(&statuses(&sent)), "{:?}", statuses(&sent));
        assert_eq!(known_after_an_hour(&mut site), NOTHING, "{}", String::from_utf8_lossy(&message));
    }
}
