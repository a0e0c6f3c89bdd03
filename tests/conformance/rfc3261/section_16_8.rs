//! §16.8: processing timer C, and the times that a script sets for branches (`t_set_fr`).

use std::time::Duration;

use crate::wire::{Out, Proxy, only, request, summaries};

/// Tries the next gateway after the first has failed.
fn failover(fr: &str) -> Proxy {
    Proxy::with_script(&format!(
        "function route(msg) {fr} t_on_failure('next') t_relay() end
        function failure_route.next(msg) append_branch('sip:bob@192.0.2.12') t_relay() end"
    ))
}

/// Messages that went elsewhere than to the first gateway, without the 100 to the caller.
fn elsewhere(sent: &[Out]) -> Vec<String> {
    let all = summaries(sent);
    all.into_iter().filter(|summary| !summary.ends_with("192.0.2.11:5060") && !summary.starts_with("100 ")).collect()
}

#[test]
fn a_silent_gateway_is_given_up_when_the_script_says() {
    for (method, fr) in [("INVITE", "t_set_fr('30s', '1500ms')"), ("MESSAGE", "t_set_fr('0', 1500)")] {
        let mut proxy = failover(fr);
        only(proxy.send(&request(method, "sip:bob@192.0.2.11", &[])));
        assert_eq!(elsewhere(&proxy.pass(Duration::from_millis(1450))), [""; 0], "{method}");
        assert_eq!(elsewhere(&proxy.pass(Duration::from_millis(100))), [format!("{method} 192.0.2.12:5060")]);
    }
}

/// If the script sets nothing, as always after 64·T1.
#[test]
fn without_a_word_of_the_script_a_silent_gateway_has_32_seconds() {
    for fr in ["", "t_set_fr('0', '0s')"] {
        let mut proxy = failover(fr);
        only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
        assert_eq!(elsewhere(&proxy.pass(Duration::from_millis(31_900))), [""; 0]);
        assert_eq!(elsewhere(&proxy.pass(Duration::from_millis(200))), ["INVITE 192.0.2.12:5060"]);
    }
}

#[test]
fn a_call_that_rings_for_too_long_is_cancelled_when_the_script_says() {
    let mut proxy = failover("t_set_fr('3s')");
    let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
    proxy.pass(Duration::from_millis(400));
    proxy.answer(&invite, 180, &[]);
    assert!(proxy.pass(Duration::from_millis(2900)).is_empty());
    // Each provisional response restarts the time, as for timer C.
    proxy.answer(&invite, 180, &[]);
    assert!(proxy.pass(Duration::from_millis(2900)).is_empty());
    let cancel = only(proxy.pass(Duration::from_millis(200)));
    assert_eq!(cancel.summary(), "CANCEL 192.0.2.11:5060");
    proxy.answer(&cancel, 200, &[]);
    assert_eq!(elsewhere(&proxy.answer(&invite, 487, &[])), ["INVITE 192.0.2.12:5060"]);
}

/// Before it rings, only the time for a first response counts.
#[test]
fn the_time_to_ring_does_not_begin_before_the_first_response() {
    let mut proxy = failover("t_set_fr('1s', '5s')");
    only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
    assert_eq!(elsewhere(&proxy.pass(Duration::from_millis(4900))), [""; 0]);
    assert_eq!(elsewhere(&proxy.pass(Duration::from_millis(200))), ["INVITE 192.0.2.12:5060"]);
}

#[test]
fn what_is_no_span_of_time_is_a_mistake_of_the_script() {
    for span in ["'soon'", "'-1'", "'2d'"] {
        let answer = only(failover(&format!("t_set_fr({span})")).send(&request("MESSAGE", "sip:bob@192.0.2.11", &[])));
        assert_eq!(answer.message.status(), 500, "{span}");
    }
}
