//! How much strangers can have stored, shown and published.

use super::*;

/// A subscription of its own dialog, to this user.
fn numbered(number: usize, presentity: &str) -> Request {
    let mut request = Request::subscribe("sip:m@192.0.2.66").branch(&format!("n{number}"));
    request.call_id = format!("call{number}");
    request.uri = format!("sip:{presentity}@example.com");
    request.to = format!("<sip:{presentity}@example.com>");
    request
}

fn watcher(number: usize) -> Request {
    let mut request = numbered(number, "bob");
    request.from = format!("<sip:w{number}@elsewhere.example>;tag=w");
    request
}

/// Answers the NOTIFY among these with 200.
fn answered(server: &mut Server, all: &[Sent]) {
    for notify in all.iter().filter(|sent| sent.is_request()) {
        server.answer(notify, 200);
    }
}

#[test]
fn a_subscribe_whose_texts_are_too_long_to_be_kept_is_refused() {
    let long = "x".repeat(3000);
    let of = |change: &dyn Fn(&mut Request)| {
        let mut request = Request::subscribe("sip:m@192.0.2.66");
        change(&mut request);
        request.text()
    };
    let requests = [
        of(&|request| request.call_id = long.clone()),
        of(&|request| request.from = format!("<sip:{long}@elsewhere.example>;tag=m")),
        of(&|request| request.from = format!("\"{long}\" <sip:mallory@elsewhere.example>;tag=m")),
        of(&|request| request.from = format!("<sip:mallory@elsewhere.example>;tag={long}")),
        of(&|request| request.to = format!("<sip:bob@example.com;x={long}>")),
        of(&|request| request.uri = format!("sip:{long}@example.com")),
        of(&|request| request.lines[1] = format!("Contact: <sip:m@192.0.2.66;x={long}>")),
        of(&|request| request.lines.push(format!("Record-Route: <sip:192.0.2.66;lr;x={long}>"))),
        of(&|request| request.lines[0] = format!("Event: presence;id={long}")),
    ];
    let mut server = Server::new(&[("use_db", 0.into())]);
    for (number, request) in requests.iter().enumerate() {
        let request = request.replace("z9hG4bKm1", &format!("z9hG4bKl{number}"));
        let all = server.send(&request.replace("CSeq: 1 ", &format!("CSeq: {} ", number + 1)));
        assert_eq!((all.len(), status(&all)), (1, 413), "{request}");
    }
    assert_eq!(server.counter("pa_over_limit"), requests.len() as u64);
    // A refresh may not bring longer texts either.
    let all = server.send(&Request::subscribe("sip:m@192.0.2.66").text());
    answered(&mut server, &all);
    let refresh = Request::subscribe(&format!("sip:m@192.0.2.66;x={long}")).within(&all[0], 2);
    assert_eq!(status(&server.send(&refresh.text())), 413);
}

#[test]
fn an_address_a_watcher_and_a_presentity_have_so_many_subscriptions_at_a_time() {
    for limit in ["max_subscriptions_per_source", "max_subscriptions_per_watcher", "max_subscriptions_per_presentity"] {
        let mut server = Server::new(&[("use_db", 0.into()), (limit, 3.into())]);
        let mut first = None;
        for number in 0..3 {
            let all = server.send(&numbered(number, "bob").text());
            assert_eq!(status(&all), 200, "{limit}");
            answered(&mut server, &all);
            first = first.or_else(|| all.into_iter().next());
        }
        assert_eq!(status(&server.send(&numbered(4, "bob").text())), 403, "{limit}");
        assert_eq!(
            status(&server.send(&numbered(5, "bob").line("Expires: 0").text())),
            403,
            "{limit}: a fetch is kept for a moment"
        );
        let mut end = numbered(0, "bob").line("Expires: 0").within(&first.unwrap(), 2);
        end.call_id = "call0".to_owned();
        let all = server.send(&end.text());
        assert_eq!(status(&all), 200, "{limit}: who is there goes on");
        answered(&mut server, &all);
        assert_eq!(status(&server.send(&numbered(6, "bob").text())), 200, "{limit}: one has ended");
    }
}

#[test]
fn octets_are_limited_for_each_and_for_all_strangers() {
    for (limit, refusal) in [
        ("max_octets_per_source", 403),
        ("max_octets_per_watcher", 403),
        ("max_octets_per_presentity", 403),
        ("max_unauthenticated_octets", 503),
    ] {
        let mut server = Server::new(&[("use_db", 0.into()), (limit, 5000.into())]);
        let answers: Vec<_> = (0..5).map(|number| status(&server.send(&numbered(number, "bob").text()))).collect();
        assert_eq!((answers[0], answers[4]), (200, refusal), "{limit}: {answers:?}");
    }
}

#[test]
fn what_is_in_the_database_and_over_the_limits_is_left_out_at_the_start() {
    let mut server = Server::new(&[]);
    let mut responses = Vec::new();
    for number in 0..3 {
        let mut all = server.send(&numbered(number, "bob").text());
        answered(&mut server, &all);
        responses.push(all.remove(0));
    }
    server.parameters.push(("max_subscriptions_per_watcher", 1.into()));
    server.crash();
    let answers: Vec<_> = responses
        .iter()
        .enumerate()
        .map(|(number, response)| {
            let mut refresh = numbered(number, "bob").within(response, 2).branch(&format!("r{number}"));
            refresh.call_id = format!("call{number}");
            status(&server.send(&refresh.text()))
        })
        .collect();
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!((count(200), count(481)), (1, 2), "{answers:?}");
}

#[test]
fn a_user_with_many_watchers_is_told_of_as_many_as_one_message_may_carry() {
    let mut server = Server::new(&[("use_db", 0.into()), ("auth", "implicit".into())]);
    for number in 0..700 {
        let mut request = watcher(number);
        request.from = format!("\"{}\" <sip:w{number}@elsewhere.example;x={}>;tag=w", "&".repeat(200), "y".repeat(400));
        let all = server.send(&request.text());
        assert_eq!(status(&all), 200);
        answered(&mut server, &all);
    }
    let mut request = Request::subscribe("sip:bob@192.0.2.2").from("bob", "b").branch("winfo");
    request.lines[0] = "Event: presence.winfo".to_owned();
    let all = server.send_from("192.0.2.2:5060", &request.text());
    let notify = all.iter().find(|sent| sent.is_request()).unwrap();
    let body = std::str::from_utf8(notify.message.body()).unwrap();
    assert!((10_000..300_000).contains(&body.len()), "{}", body.len());
    assert!(body.contains("sip:w699@"), "the newest are shown");
}

#[test]
fn nobody_publishes_for_a_user_of_the_same_name_in_another_domain() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:bob@example.com\"/>";
    for (number, (uri, from, to, expected)) in [
        ("sip:bob@example.com", "sip:bob@localhost", "sip:bob@example.com", 403),
        ("sip:bob@example.com", "sip:bob@example.com:5070", "sip:bob@example.com", 403),
        ("pres:bob@example.com", "sip:bob@localhost", "sip:bob@localhost", 403),
        ("sip:example.com", "sip:bob@localhost", "sip:bob@example.com", 403),
        ("sip:example.com", "sip:bob@localhost", "pres:bob@example.com", 403),
        ("sip:bob@example.com", "sip:alice@example.com", "sip:alice@example.com", 403),
        ("sip:bob@EXAMPLE.com", "sips:bob@example.com", "sip:bob@example.com", 200),
        ("pres:bob@example.com", "sip:bob@example.com", "sip:x@y", 200),
        ("sip:example.com", "sip:bob@example.com", "sip:bob@example.com", 200),
    ]
    .into_iter()
    .enumerate()
    {
        let mut request =
            Request::new("PUBLISH").line("Content-Type: application/pidf+xml").branch(&format!("p{number}"));
        request.call_id = format!("call{number}");
        (request.uri, request.from, request.to) = (uri.to_owned(), format!("<{from}>;tag=p"), format!("<{to}>"));
        let text = request.text().replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
        assert_eq!(status(&server.send(&format!("{text}{body}"))), expected, "{uri} {from} {to}");
    }
}

#[test]
fn two_of_a_header_that_may_come_once_are_refused() {
    let mut server = Server::new(&[("use_db", 0.into())]);
    for (number, line) in [
        "Event: presence",
        "o: dialog",
        "Contact: <sip:a@192.0.2.66>",
        "m: <sip:a@192.0.2.66>",
        "Max-Forwards: 1",
        "To: <sip:carol@example.com>",
        "Expires: 60\r\nExpires: 3600",
        "Expires: 60, 3600",
        "Suppress-If-Match: a\r\nSuppress-If-Match: *",
    ]
    .iter()
    .enumerate()
    {
        let request = Request::subscribe("sip:m@192.0.2.66").line(line).branch(&format!("h{number}"));
        let all = server.send(&request.text());
        assert_eq!((all.len(), status(&all)), (1, 400), "{line}");
    }
    let request = Request::new("PUBLISH").from("bob", "p").line("SIP-If-Match: a\r\nSIP-If-Match: b").branch("h");
    assert_eq!(status(&server.send(&request.text())), 400);
    let twice = "Contact: <sip:bob@192.0.2.2>\r\nContact: <sip:bob@192.0.2.3>";
    let register = Request::new("REGISTER").from("bob", "r").line(twice).branch("r");
    assert_eq!(status(&server.send(&register.text())), 200, "a REGISTER has a list of contacts");
    let register = register.line("Expires: 60\r\nExpires: 3600").branch("s");
    assert_eq!(status(&server.send(&register.text())), 400);
}
