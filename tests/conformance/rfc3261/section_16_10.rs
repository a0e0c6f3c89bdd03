//! §16.10: a CANCEL for a request that is being proxied; first of the machine, then over the wire.

use signalbox_sip::fork::{Outcome, Step};
use signalbox_sip::header::HeaderName;

use super::forks::{A, B, fork};
use crate::wire::{ALICE, FORWARD, Proxy, RELAY, only, request, summaries};

/// "the element MUST generate CANCEL requests for all pending client transactions in the context".
#[test]
fn all_pending_branches_are_cancelled() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 180);
    assert_eq!(fork.cancel()[..], [Step::Cancel(A), Step::Cancel(B)]);
}

#[test]
fn targets_not_yet_tried_are_not_tried_any_more() {
    let mut fork = fork(true, &[1000, 500]);
    fork.cancel();
    let steps = fork.on_response(A, 487);
    assert_eq!(steps[..], [Step::Keep(A), Step::Final(Outcome::Kept(A)), Step::Done]);
    assert!(!fork.reopen());
}

/// The caller's 487 comes from the branches; the CANCEL's own 200 is given before, by its own server transaction.
#[test]
fn a_487_is_preferred_once_the_request_is_cancelled() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 486);
    fork.cancel();
    let steps = fork.on_response(B, 487);
    assert_eq!(steps[..], [Step::Keep(B), Step::Final(Outcome::Kept(B)), Step::Done]);
}

/// The race: the callee answers while the CANCEL is on its way.
#[test]
fn a_2xx_that_crosses_the_cancel_is_forwarded() {
    let mut fork = fork(true, &[1000]);
    fork.cancel();
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A), Step::Done]);
}

/// §9.2: "A CANCEL request has no impact on the processing of transactions with any other method".
#[test]
fn other_requests_are_not_cancelled() {
    let mut fork = fork(false, &[1000]);
    assert!(fork.cancel().is_empty());
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A), Step::Done]);
}

const BOB: &str = "sip:bob@192.0.2.11";

/// §9.2: the CANCEL is answered with 200; §16.10: the pending branches are cancelled, by hop: with the identifiers of the
/// INVITE that went there, its Route included, and only when a provisional response has come.
#[test]
fn a_cancel_is_answered_and_done_again_downstream() {
    let mut proxy = Proxy::new(RELAY);
    let route = "Route: <sip:192.0.2.30;lr>";
    let invite = only(proxy.send(&request("INVITE", BOB, &[route])));
    let ok = only(proxy.send(&request("CANCEL", BOB, &[route])));
    assert_eq!((ok.summary(), ok.message.method().as_str()), (format!("200 {ALICE}"), "CANCEL"));
    let sent = proxy.answer(&invite, 180, &[]);
    assert_eq!(summaries(&sent), ["CANCEL 192.0.2.30:5060".to_owned(), format!("180 {ALICE}")]);
    let cancel = &sent[0];
    assert_eq!(cancel.branch(), invite.branch());
    assert_eq!(cancel.message.request_uri(), invite.message.request_uri());
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::Route] {
        assert_eq!(cancel.items(name), invite.items(name));
    }
    assert_eq!(cancel.items(HeaderName::Via).len(), 1);
    assert_eq!((cancel.message.cseq(), cancel.items(HeaderName::CSeq)), (1, vec!["1 CANCEL"]));
    assert!(proxy.answer(cancel, 200, &[]).is_empty());
    let sent = proxy.answer(&invite, 487, &[]);
    assert_eq!(summaries(&sent), ["ACK 192.0.2.30:5060".to_owned(), format!("487 {ALICE}")]);
}

/// §9.2: a CANCEL that comes again, or after the final response, is answered again and changes nothing.
#[test]
fn a_cancel_that_comes_late_changes_nothing() {
    let mut proxy = Proxy::new(RELAY);
    let invite = only(proxy.send(&request("INVITE", BOB, &[])));
    proxy.answer(&invite, 180, &[]);
    assert_eq!(proxy.send(&request("CANCEL", BOB, &[])).len(), 2);
    assert_eq!(summaries(&proxy.send(&request("CANCEL", BOB, &[]))), [format!("200 {ALICE}")]);
    assert_eq!(summaries(&proxy.answer(&invite, 200, &[])), [format!("200 {ALICE}")]);
    assert_eq!(summaries(&proxy.send(&request("CANCEL", BOB, &[]))), [format!("200 {ALICE}")]);
}

/// "If a response context is not found, the element does not have any knowledge of the request to apply the CANCEL to. It
/// MUST statelessly forward the CANCEL request".
#[test]
fn a_cancel_of_nothing_known_is_forwarded_without_a_transaction() {
    for route in [RELAY, FORWARD] {
        let mut proxy = Proxy::new(route);
        let cancel = only(proxy.send(&request("CANCEL", BOB, &[])));
        assert_eq!(cancel.summary(), "CANCEL 192.0.2.11:5060");
        assert_eq!(only(proxy.answer(&cancel, 481, &[])).summary(), format!("481 {ALICE}"));
    }
}
