//! NOTIFY to an address that a third party named: before it answers, it gets no more octets than the SUBSCRIBE had.

use super::*;

/// A SUBSCRIBE as phones send it, whose Contact is the victim's address.
fn pointed(uri: &str) -> Request {
    Request::subscribe(uri).padded(150)
}

/// Everything that the server sends because of a SUBSCRIBE, within five minutes without any answer.
fn consequences(server: &mut Server, request: &Request) -> Vec<Sent> {
    let mut all = server.send(&request.text());
    assert_eq!(status(&all), 200);
    all.extend(server.pass(Duration::from_secs(300)));
    all
}

fn notifies(sent: &[Sent]) -> Vec<&Sent> {
    sent.iter().filter(|sent| sent.is_request()).collect()
}

#[test]
fn an_address_that_has_not_answered_gets_no_more_octets_than_the_subscribe_brought() {
    for (uri, line) in [
        ("sip:x@203.0.113.9", "X: y"),
        ("sip:x@203.0.113.9:7777", "X: y"),
        ("sip:x@victim.example", "X: y"),
        ("sip:x@192.0.2.66;maddr=203.0.113.9", "X: y"),
        ("sip:x@192.0.2.66", "Record-Route: <sip:203.0.113.9;lr>"),
        ("sip:x@192.0.2.66", "Record-Route: <sip:203.0.113.9>"),
        ("sip:x@192.0.2.66", "Record-Route: <sip:victim.example;lr>, <sip:192.0.2.66;lr>"),
    ] {
        for (note, expires) in [(10, 3600), (900, 3600), (60_000, 3600), (60_000, 0)] {
            let mut server = Server::new(&[("use_db", 0.into())]);
            server.site().add_host("victim.example", VICTIM.parse().unwrap());
            assert_eq!(status(&server.publish("p1", note)), 200);
            let request = pointed(uri).line(line).line(&format!("Expires: {expires}"));
            let all = consequences(&mut server, &request);
            let octets = datagram_octets(&all, VICTIM);
            assert!((1..=request.text().len()).contains(&octets), "{uri} {line}: {octets} of {}", request.text().len());
            let first = notifies(&all)[0];
            assert!(first.message.body().is_empty(), "{uri} {line}");
        }
    }
}

#[test]
fn what_a_small_subscribe_does_not_pay_for_goes_over_a_connection_or_not_at_all() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    server.publish("p1", 60_000);
    let all = consequences(&mut server, &Request::subscribe("sip:x@203.0.113.9"));
    assert_eq!(datagram_octets(&all, VICTIM), 0);
    assert_eq!(notifies(&all).iter().map(|sent| sent.flow.protocol).collect::<Vec<_>>(), [Protocol::Tcp]);

    let mut server = Server::new(&[("use_db", 0.into())]);
    server.site().cut_off("203.0.113.9:5060".parse().unwrap());
    let all = consequences(&mut server, &Request::subscribe("sip:x@203.0.113.9"));
    assert!(notifies(&all).is_empty());
}

#[test]
fn the_whole_state_follows_once_the_first_notify_is_answered() {
    for (expires, said) in [(3600, "active;expires=3600"), (0, "terminated;reason=timeout")] {
        let mut server = Server::new(&[("use_db", 0.into())]);
        server.publish("p1", 10);
        let all = server.send(&pointed("sip:x@203.0.113.9").line(&format!("Expires: {expires}")).text());
        let first = notifies(&all)[0];
        assert!(first.message.body().is_empty());
        let state = |sent: &Sent| sent.message.value(HeaderName::SubscriptionState).unwrap().to_owned();
        assert!(state(first).starts_with("active;"), "{}", state(first));
        let all = server.answer(first, 200);
        let second = notifies(&all)[0];
        assert!(second.is_to(VICTIM) && !second.message.body().is_empty());
        assert_eq!(state(second), said);
        assert!(server.answer(second, 200).is_empty());
        let changed = server.publish("p2", 20);
        assert_eq!(notifies(&changed).len(), usize::from(expires > 0), "a change is told at once from then on");
    }
}

#[test]
fn a_watcher_that_refuses_a_notify_is_sent_no_state() {
    for status in [401, 403, 407, 500, 503] {
        let mut server = Server::new(&[("use_db", 0.into())]);
        let request = pointed("sip:x@203.0.113.9");
        let all = server.send(&request.text());
        let mut more = server.answer(notifies(&all)[0], status);
        for count in 0..20 {
            more.extend(server.publish(&format!("p{count}"), 100 + count));
        }
        assert!(notifies(&more).iter().all(|sent| sent.message.body().is_empty()), "{status}");
        assert!(datagram_octets(&all, VICTIM) + datagram_octets(&more, VICTIM) <= request.text().len(), "{status}");
    }
}

#[test]
fn a_new_contact_within_the_dialog_proves_itself_anew() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    server.publish("p1", 60_000);
    let all = server.send(&Request::subscribe("sip:m@192.0.2.66").text());
    let (response, notify) = (&all[0], notifies(&all)[0]);
    assert!(notify.is_to("192.0.2.66") && !notify.message.body().is_empty(), "the source is proved");
    server.answer(notify, 200);
    let moved = pointed("sip:x@203.0.113.9").within(response, 2);
    let all = consequences(&mut server, &moved);
    assert!(datagram_octets(&all, VICTIM) <= moved.text().len());
    assert!(notifies(&all).iter().all(|sent| sent.message.body().is_empty()));
}

#[test]
fn a_connection_that_is_gone_leaves_nothing_for_the_contact() {
    for restart in [false, true] {
        let mut server = Server::new(&[]);
        let request = Request::subscribe("sip:x@203.0.113.9");
        let all = server.send_connected("192.0.2.66:40000", &request.text());
        let notify = notifies(&all)[0];
        assert!(notify.is_to("192.0.2.66") && !notify.message.body().is_empty(), "the connection is proved");
        server.answer(notify, 200);
        server.site().disconnect("192.0.2.66:40000".parse().unwrap());
        if restart {
            server.crash();
        }
        let mut all = server.publish("p1", 60_000);
        all.extend(server.pass(Duration::from_secs(300)));
        assert_eq!(datagram_octets(&all, VICTIM), 0);
    }
}

#[test]
fn a_restart_proves_nothing() {
    let mut server = Server::new(&[("ignore_408_on_notify", 1.into())]);
    server.publish("p1", 60_000);
    let request = pointed("sip:x@203.0.113.9");
    let mut all = server.send(&request.text());
    server.crash();
    all.extend(server.pass(Duration::from_secs(300)));
    assert!(notifies(&all).iter().all(|sent| sent.message.body().is_empty()));
    // The server does not know whether it sent anything before the restart.
    assert!(datagram_octets(&all, VICTIM) <= 2 * request.text().len());
}

#[test]
fn what_was_proved_before_a_restart_is_proved_after_it() {
    let mut server = Server::new(&[]);
    server.publish("p1", 10);
    let all = server.send(&pointed("sip:x@203.0.113.9").text());
    let all = server.answer(notifies(&all)[0], 200);
    server.answer(notifies(&all)[0], 200);
    server.crash();
    let all = server.pass(Duration::from_secs(1));
    assert!(notifies(&all).iter().any(|sent| sent.is_to(VICTIM) && !sent.message.body().is_empty()));
}
