//! §16.5: determining request targets.

use std::time::Duration;

use crate::wire::{ALICE, Proxy, only, request, summaries};

/// A script that goes on, whenever all have failed, as `failure` says.
fn retrying(failure: &str) -> Proxy {
    Proxy::with_script(&format!(
        "local count = 0
         function route(msg) t_on_failure('again') if not t_relay() then sl_reply_error() end end
         function failure_route.again(msg)
           t_on_failure('again')
           count = count + 1
           {failure}
         end"
    ))
}

/// "If a URI is already present in the set (based on the definition of equality for the URI type), it MUST NOT be added again."
#[test]
fn a_failure_route_does_not_try_the_same_again() {
    for again in ["", "append_branch()", "append_branch('sip:bob@192.0.2.11;Transport=UDP')"] {
        let failure = format!("{again} local relayed, why = t_relay() if relayed then error('tried again') end");
        let mut proxy = retrying(&failure);
        let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11;transport=udp", &[])));
        let sent = proxy.answer(&invite, 486, &[]);
        assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060".to_owned(), format!("486 {ALICE}")], "{again}");
    }
}

#[test]
fn the_same_uri_by_another_way_is_another_target() {
    let mut proxy = retrying("t_relay_to('sip:192.0.2.7' .. count)");
    let message = only(proxy.send(&request("MESSAGE", "sip:bob@192.0.2.11", &[])));
    let second = only(proxy.answer(&message, 503, &[]));
    assert_eq!(second.summary(), "MESSAGE 192.0.2.71:5060");
    assert_eq!(second.message.request_uri(), "sip:bob@192.0.2.11");
    assert_eq!(only(proxy.answer(&second, 503, &[])).summary(), "MESSAGE 192.0.2.72:5060");
}

/// A script that never gives up, and targets that fail at once: there is an end nevertheless.
#[test]
fn there_is_an_end_to_targets() {
    let mut proxy = retrying("append_branch('sip:bob@192.0.2.66:' .. 10000 + count) t_relay()");
    (0..=100).for_each(|port| proxy.site().cut_off(([192, 0, 2, 66], 10_000 + port).into()));
    proxy.site().cut_off(([192, 0, 2, 11], 5060).into());
    let sent = proxy.send(&request("MESSAGE", "sip:bob@192.0.2.11", &[]));
    assert_eq!(summaries(&sent), [format!("500 {ALICE}")]);
    assert!(proxy.pass(Duration::from_secs(1)).is_empty());
}

/// Each of as many targets as there may be is tried and fails at once.
#[test]
fn many_targets_may_fail_at_once() {
    let mut proxy = Proxy::with_script(
        "function route(msg)
           for n = 1, 32 do append_branch('sip:bob@192.0.2.66:' .. 10000 + n, n) end
           t_on_branch('each') t_on_failure('all')
           t_relay()
         end
         function branch_route.each(msg) msg.headers:set('X-Branch', 'yes') end
         function failure_route.all(msg) sl_send_reply(410) end",
    );
    (0..=32).for_each(|port| proxy.site().cut_off(([192, 0, 2, 66], 10_000 + port).into()));
    assert_eq!(summaries(&proxy.send(&request("MESSAGE", "sip:bob@192.0.2.11", &[]))), [format!("410 {ALICE}")]);
}
