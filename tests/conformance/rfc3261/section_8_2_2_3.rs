//! §8.2.2.3, Require, for scripts that answer by themselves.

use signalbox_sip::header::HeaderName;

use crate::wire::{Proxy, only, request, summaries};

const REQUIRE: [&str; 2] = ["Require: foo, bar", "Require: baz"];

/// "If a UAS does not understand an option-tag listed in a Require header field, it MUST respond by generating a response with status code 420
/// (Bad Extension). The UAS MUST add an Unsupported header field, and list in it those options it does not understand".
#[test]
fn a_2xx_by_a_script_becomes_420_if_an_extension_is_required() {
    for answer in ["sl_send_reply(200)", "sl_reply(202)", "t_reply(200)", "t_newtran() sl_send_reply(200)"] {
        for method in ["MESSAGE", "OPTIONS", "INVITE", "INFO"] {
            let mut proxy = Proxy::new(&format!("append_to_reply('Allow: OPTIONS') {answer}"));
            let answer = only(proxy.send(&request(method, "sip:bob@example.com", &REQUIRE)));
            assert_eq!(answer.message.status(), 420, "{method}");
            assert_eq!(answer.items(HeaderName::Unsupported), ["foo", "bar", "baz"]);
            assert!(!answer.message.has(HeaderName::Allow), "that was for the 200");
        }
    }
}

#[test]
fn a_refusal_by_the_script_keeps_its_status() {
    let mut proxy = Proxy::new("sl_send_reply(404)");
    assert_eq!(summaries(&proxy.send(&request("MESSAGE", "sip:bob@example.com", &REQUIRE))), ["404 192.0.2.1:5060"]);
}

/// "Note that Require and Proxy-Require MUST NOT be used in a SIP CANCEL request, or in an ACK request sent for a non-2xx response. These header
/// fields MUST be ignored if they are present in these requests."
#[test]
fn require_in_a_cancel_is_ignored() {
    let mut proxy = Proxy::new("sl_send_reply(200)");
    let cancel = request("CANCEL", "sip:bob@example.com", &REQUIRE);
    assert_eq!(summaries(&proxy.send(&cancel)), ["200 192.0.2.1:5060"]);
}

#[test]
fn a_script_that_supports_the_extension_removes_require() {
    let mut proxy = Proxy::new("msg.headers:remove('Require') sl_send_reply(200)");
    assert_eq!(summaries(&proxy.send(&request("MESSAGE", "sip:bob@example.com", &REQUIRE))), ["200 192.0.2.1:5060"]);
}

#[test]
fn the_answer_to_an_absurd_list_is_no_larger_than_the_request() {
    let many = format!("Require: {}", vec!["a"; 20_000].join(","));
    let distinct = format!("Proxy-Require: {}", (0..9000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    for (route, line) in [
        ("sl_send_reply(200)", &many),
        ("save('location')", &many),
        ("if not t_relay() then sl_reply_error() end", &distinct),
    ] {
        let mut proxy = Proxy::new(route);
        let contact = "Contact: <sip:bob@192.0.2.1>";
        let answer = only(proxy.send(&request("REGISTER", "sip:192.0.2.100", &[line, contact])));
        assert_eq!(answer.message.status(), 420);
        assert!((1..1000).contains(&answer.text().len()), "{}", answer.text().len());
    }
}
