//! Requests within a dialog by a sender other than its watcher.

use super::*;

/// Alice subscribes to Bob; her 200.
fn subscribed(server: &mut Server) -> Sent {
    let request = Request::subscribe("sip:alice@192.0.2.1").from("alice", "a");
    let mut all = server.send_from("192.0.2.1:5060", &request.text());
    let notify = all.iter().position(Sent::is_request).unwrap();
    server.answer(&all[notify], 200);
    all.remove(0)
}

/// A SUBSCRIBE with the identifiers of Alice's dialog.
fn meddling(response: &Sent, cseq: u32) -> Request {
    Request::subscribe("sip:mallory@192.0.2.66").from("alice", "a").within(response, cseq)
}

#[test]
fn a_subscribe_with_another_from_or_to_does_not_touch_a_subscription() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    let response = subscribed(&mut server);
    let foreign = meddling(&response, 2).from("mallory", "a").line("Expires: 0");
    assert_eq!(status(&server.send(&foreign.text())), 403);
    let mut other = meddling(&response, 3).line("Expires: 0");
    other.to = other.to.replace("bob@", "carol@");
    assert_eq!(status(&server.send(&other.text())), 403);
    let mut elsewhere = meddling(&response, 4);
    elsewhere.from = "<sip:alice@elsewhere.example>;tag=a".to_owned();
    assert_eq!(status(&server.send(&elsewhere.text())), 403);
    let told = server.publish("p1", 10);
    let notify = told.iter().find(|sent| sent.is_request()).unwrap();
    assert!(notify.is_to("192.0.2.1"), "Alice is told as before");
    assert!(notify.message.value(HeaderName::SubscriptionState).unwrap().starts_with("active"));
}

#[test]
fn the_watcher_itself_may_write_its_uri_in_another_way() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    let response = subscribed(&mut server);
    let mut refresh = Request::subscribe("sip:alice@192.0.2.1").within(&response, 2);
    refresh.from = "\"Alice\" <sips:alice@EXAMPLE.com:5061>;tag=a".to_owned();
    assert_eq!(status(&server.send_from("192.0.2.1:5060", &refresh.text())), 200);
}

#[test]
fn a_refused_subscribe_leaves_the_numbers_of_the_dialog_alone() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    let response = subscribed(&mut server);
    assert_eq!(status(&server.send(&meddling(&response, 4_000_000).from("mallory", "a").text())), 403);
    let refresh = Request::subscribe("sip:alice@192.0.2.1").from("alice", "a").within(&response, 2);
    assert_eq!(status(&server.send_from("192.0.2.1:5060", &refresh.text())), 200);
}
