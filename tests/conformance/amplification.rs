//! What one request can cause: how many requests (RFC 5393 §3), and how many octets to an unproved address.

use std::collections::BTreeSet;
use std::time::Duration;

use signalbox::transport::Protocol;
use signalbox_tests::site::{server_address, worker_of};

use crate::wire::{ALICE, Out, Proxy, only, request};

/// A registrar that sends requests on to the contacts of its users.
const REGISTRAR: &str = "if msg.method == 'REGISTER' then return save('location') end
  loose_route()
  if is_myself() and not lookup('location') then return sl_send_reply(404, 'Not Found') end
  if not t_relay() then sl_reply_error() end";

/// The most requests that one request causes, over all its passes.
const MOST: usize = 128;

/// The number of workers of a proxy, and the seed that assigns Alice, the phones and the proxy's requests to itself to
/// them.
const DEALS: [(u16, u64); 4] = [(1, 1), (3, 1), (3, 4), (3, 5)];

/// One proxy per assignment: the result does not depend on which workers handle the requests.
fn proxies(route: &str) -> impl Iterator<Item = Proxy> {
    proxies_with_script(format!("function route(msg)\n{route}\nend\n"))
}

fn proxies_with_script(script: impl Into<String>) -> impl Iterator<Item = Proxy> {
    let script = script.into();
    DEALS.into_iter().map(move |(workers, seed)| {
        let proxy = Proxy::with_script_and_workers(&script, workers, seed);
        for name in ["example.com", "example.com."] {
            proxy.site().add_host(name, "192.0.2.100".parse().unwrap());
        }
        proxy
    })
}

/// The address that a user registers from: one host with a port per user, so that the phones belong to different
/// workers.
fn phone(user: &str) -> String {
    format!("192.0.2.9:{}", 5060 + user.bytes().map(u16::from).sum::<u16>() % 50)
}

#[test]
fn the_phones_and_the_proxy_itself_are_at_several_workers() {
    for (workers, seed) in DEALS.into_iter().filter(|(workers, _)| *workers > 1) {
        let users = ["alice", "bob", "carol", "dave", "eve"].map(|user| phone(user).parse().unwrap());
        let all = users.into_iter().chain([ALICE.parse().unwrap(), server_address()]);
        let used: BTreeSet<_> = all.map(|remote| worker_of(server_address(), remote, workers.into(), seed)).collect();
        assert_eq!(used.len(), usize::from(workers), "seed {seed}");
    }
}

/// Registers contacts for a user of example.com, from the address of a phone.
fn register(proxy: &mut Proxy, user: &str, contacts: &[String], lines: &[&str]) {
    let (phone, to) = (phone(user), format!("To: <sip:{user}@example.com>"));
    let contact = format!("Contact: {}", contacts.join(", "));
    let (call, cseq) =
        (format!("Call-ID: {user}{}", lines.concat().len()), format!("CSeq: {} REGISTER", contacts.len()));
    let mut all = vec![to.as_str(), &contact, &call, &cseq];
    all.extend(lines);
    let message = request("REGISTER", "sip:example.com", &all).replace(
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKalice",
        &format!("Via: SIP/2.0/UDP {phone};branch=z9hG4bK{user}{}", lines.concat().len()),
    );
    let answer = only(proxy.send_from(&phone, Protocol::Udp, &message));
    assert_eq!(answer.message.status(), 200, "{}", answer.text());
}

fn ten(contact: impl Fn(usize) -> String) -> Vec<String> {
    (0..10).map(contact).collect()
}

/// A stranger sends one MESSAGE to alice. Returns how many requests the proxy sends to itself because of it, until it
/// is quiet.
fn storm(proxy: &mut Proxy) -> usize {
    let sent = proxy.send(&request("MESSAGE", "sip:alice@example.com", &[]));
    let (mut outside, mut circling) = proxy.circulate(sent);
    for _ in 0..8 {
        let late = proxy.pass(Duration::from_secs(10));
        let (more, again) = proxy.circulate(late);
        outside.extend(more);
        circling += again;
    }
    assert!(
        outside.iter().any(|out| !out.message.is_request() && out.message.status() >= 300),
        "alice's caller is told"
    );
    circling
}

/// RFC 5393 §4.2.1: parameters that the location service does not read do not make a different request.
#[test]
fn an_account_whose_contacts_are_itself_makes_no_storm() {
    let contacts: [fn(usize) -> String; 7] = [
        |n| format!("<sip:alice@example.com;x={n}>"),
        |n| format!("<sip:alice@EXAMPLE.com.;x={n}>"),
        |n| format!("<sip:alice@example.com:5060;x={n}>"),
        |n| format!("<sip:alice@example.com;transport=udp;x={n}>"),
        |n| format!("<sip:%61lice:pass{n}@example.com>"),
        |n| format!("<sip:alice@example.com;maddr=192.0.2.100;x={n}>"),
        |n| format!("<sip:alice@example.com;x={n}>;q=0.{n}"),
    ];
    for contact in contacts {
        for mut proxy in proxies(REGISTRAR) {
            register(&mut proxy, "alice", &ten(contact), &[]);
            assert_eq!(storm(&mut proxy), 10, "{}", contact(0));
        }
    }
}

#[test]
fn accounts_that_point_at_each_other_make_no_storm() {
    for users in [&["alice", "bob"][..], &["alice", "bob", "carol", "dave", "eve"]] {
        for mut proxy in proxies(REGISTRAR) {
            for (user, next) in users.iter().zip(users.iter().cycle().skip(1)) {
                register(&mut proxy, user, &ten(|n| format!("<sip:{next}@example.com;x={n}>;q=0.{n}")), &[]);
            }
            let circling = storm(&mut proxy);
            assert!((10..=MOST).contains(&circling), "{} accounts: {circling}", users.len());
        }
    }
}

#[test]
fn a_path_through_ourselves_makes_no_storm() {
    for mut proxy in proxies(REGISTRAR) {
        for n in 0..10 {
            let path = format!("Path: <sip:192.0.2.100;lr;y={}>", "p".repeat(n));
            let lines = [path.as_str(), "Supported: path"];
            register(&mut proxy, "alice", &[format!("<sip:alice@example.com;x={n}>")], &lines);
        }
        let circling = storm(&mut proxy);
        assert!((10..=MOST).contains(&circling), "{circling}");
    }
}

#[test]
fn names_that_lead_to_ourselves_make_no_storm() {
    for mut proxy in proxies(REGISTRAR) {
        for n in 0..10 {
            proxy.site().add_host(&format!("n{n}.example.org"), "192.0.2.100".parse().unwrap());
        }
        register(&mut proxy, "alice", &ten(|n| format!("<sip:alice@n{n}.example.org>")), &[]);
        let circling = storm(&mut proxy);
        assert!((10..=20).contains(&circling), "{circling}");
    }
}

#[test]
fn failure_routes_and_addresses_of_the_script_make_no_storm() {
    let again = "function route(msg)
        if msg.method == 'REGISTER' then return save('location') end
        lookup('location')
        t_on_failure('again')
        if not t_relay() then sl_reply_error() end
      end
      function failure_route.again(msg)
        for n = 1, 10 do append_branch('sip:alice@example.com;y=' .. n .. math.random(1000000)) end
        t_on_failure('again')
        t_relay()
      end";
    for mut proxy in proxies_with_script(again) {
        register(&mut proxy, "alice", &ten(|n| format!("<sip:bob{n}@example.com>")), &[]);
        let circling = storm(&mut proxy);
        assert!((10..=MOST).contains(&circling), "{circling}");
    }
    for route in ["t_relay_to('sip:192.0.2.100;x=' .. math.random(1000000))", "forward('sip:192.0.2.100')"] {
        for mut proxy in proxies(&format!("if not {route} then sl_reply_error() end")) {
            let circling = storm(&mut proxy);
            assert!((1..=7).contains(&circling), "{route}: {circling}");
        }
    }
}

/// §16.3 step 4: "the request is spiraling, and processing continues".
#[test]
fn an_account_that_forwards_to_another_still_reaches_the_phone() {
    for mut proxy in proxies(REGISTRAR) {
        register(&mut proxy, "alice", &["<sip:bob@example.com>".to_owned()], &[]);
        register(&mut proxy, "bob", &["<sip:bob@192.0.2.9>".to_owned(), "<sip:bob@192.0.2.9:5070>".to_owned()], &[]);
        let sent = proxy.send(&request("MESSAGE", "sip:alice@example.com", &[]));
        let (outside, circling) = proxy.circulate(sent);
        assert_eq!((outside.len(), circling), (2, 1));
        let answered = proxy.answer(&outside[0], 200, &[]);
        let (answered, _) = proxy.circulate(answered);
        assert_eq!(only(answered).summary(), "200 192.0.2.1:5060");
    }
}

/// The octets that a host got.
fn octets_to(sent: &[Out], host: &str) -> usize {
    sent.iter().filter(|out| out.remote().ip().to_string() == host).map(|out| out.text().len()).sum()
}

fn message(lines: &[&str]) -> String {
    request("MESSAGE", "sip:alice@example.com", lines)
}

/// Everything that is sent because of a message to alice, retransmissions included, while nothing is answered.
fn unanswered(proxy: &mut Proxy, message: &str) -> Vec<Out> {
    let sent = proxy.send(message);
    let (mut outside, _) = proxy.circulate(sent);
    let late = proxy.pass(Duration::from_secs(330));
    outside.extend(proxy.circulate(late).0);
    outside
}

/// Via and Max-Breadth are added to each request that is relayed.
const ADDED: usize = 120;

#[test]
fn contacts_at_a_host_that_never_asked_get_one_datagram_for_a_request() {
    let victims: [fn(usize) -> String; 5] = [
        |n| format!("<sip:v{n}@203.0.113.7>"),
        |n| format!("<sip:v@203.0.113.7:{}>", 5060 + n),
        |n| format!("<sip:v{n}@203.0.113.7>;q=0.{n}"),
        |n| format!("<sip:v{n}@phone.example.org;maddr=203.0.113.7>"),
        |n| format!("<sip:v@n{n}.example.org>"),
    ];
    for victim in victims {
        for method in ["MESSAGE", "INVITE"] {
            for mut proxy in proxies(REGISTRAR) {
                for n in 0..10 {
                    proxy.site().add_host(&format!("n{n}.example.org"), "203.0.113.7".parse().unwrap());
                }
                register(&mut proxy, "alice", &ten(victim), &[]);
                let message = request(method, "sip:alice@example.com", &[]);
                let sent = unanswered(&mut proxy, &message);
                let octets = octets_to(&sent, "203.0.113.7");
                assert!((1..=message.len() + ADDED).contains(&octets), "{method} {}: {octets}", victim(0));
            }
        }
    }
}

#[test]
fn accounts_that_forward_to_each_other_send_such_a_host_no_more() {
    for mut proxy in proxies(REGISTRAR) {
        register(&mut proxy, "alice", &ten(|n| format!("<sip:bob{n}@example.com>")), &[]);
        for n in 0..10 {
            register(&mut proxy, &format!("bob{n}"), &ten(|n| format!("<sip:v{n}@203.0.113.7>")), &[]);
        }
        let octets = octets_to(&unanswered(&mut proxy, &message(&[])), "203.0.113.7");
        assert!((1..=message(&[]).len() + 2 * ADDED).contains(&octets), "{octets}, with the Vias of two passes");
    }
}

#[test]
fn a_large_request_for_such_a_host_does_not_fall_back_to_datagrams() {
    for mut proxy in proxies(REGISTRAR) {
        register(&mut proxy, "alice", &ten(|n| format!("<sip:v{n}@203.0.113.7>")), &[]);
        let subject = format!("Subject: {}", "x".repeat(3000));
        proxy.site().cut_off("203.0.113.7:5060".parse().unwrap());
        let sent = unanswered(&mut proxy, &message(&[&subject]));
        assert_eq!(octets_to(&sent, "203.0.113.7"), 0);
    }
}

#[test]
fn a_phone_elsewhere_that_answers_gets_requests_like_any_other() {
    for mut proxy in proxies(REGISTRAR) {
        let contacts = ["<sip:alice@198.51.100.3>".to_owned(), "<sip:alice@198.51.100.3:5070>".to_owned()];
        register(&mut proxy, "alice", &contacts, &[]);
        let call = |number: &str| {
            message(&[
                &format!("Call-ID: {number}"),
                &format!("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number}"),
            ])
        };
        for (number, expected) in [("one", 1), ("two", 2)] {
            let sent = proxy.send(&call(number));
            assert_eq!(sent.len(), expected, "{number}");
            for out in &sent {
                proxy.answer(out, 480, &[]);
            }
        }
        let sent = unanswered(&mut proxy, &call("three"));
        assert_eq!(
            sent.iter().filter(|out| out.message.is_request()).count(),
            22,
            "both, and ten repetitions each (§17.1.2.2)"
        );
    }
}

#[test]
fn a_phone_at_the_address_of_its_register_gets_all_its_branches_at_once() {
    for mut proxy in proxies(REGISTRAR) {
        register(&mut proxy, "alice", &["<sip:a@192.0.2.9>".to_owned(), "<sip:b@192.0.2.9:5070>".to_owned()], &[]);
        assert_eq!(proxy.send(&message(&[])).len(), 2);
        let late = proxy.pass(Duration::from_millis(600));
        assert_eq!(late.len(), 2, "both are repeated");
    }
}
