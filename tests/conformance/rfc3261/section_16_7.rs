//! §16.7, §16.8 and §16.9: what a forking proxy makes of responses, time-outs and transport errors; first of the machine, then
//! over the wire.

use std::time::Duration;

use signalbox_sip::fork::{Outcome, Step};
use signalbox_sip::header::HeaderName;

use super::forks::{A, B, C, D, fork};
use crate::wire::{ALICE, Out, Proxy, RELAY, only, request, summaries};

/// Step 5: "Until a final response has been sent on the server transaction, the following responses MUST be forwarded
/// immediately": "Any provisional response other than 100 (Trying)" and "Any 2xx response".
#[test]
fn step_5_what_is_forwarded_at_once() {
    let mut fork = fork(true, &[1000, 1000]);
    assert!(fork.on_response(A, 100).is_empty());
    assert_eq!(fork.on_response(A, 180)[..], [Step::Forward(A)]);
    assert_eq!(fork.on_response(B, 199)[..], [Step::Forward(B)]);
    assert_eq!(fork.on_response(A, 200)[0], Step::Forward(A));
}

/// Step 5: "After a final response has been sent on the server transaction, the following responses MUST be forwarded
/// immediately": "Any 2xx response to an INVITE request", and no other.
#[test]
fn step_5_what_is_forwarded_after_a_final_response() {
    let mut fork = fork(true, &[1000, 1000, 1000]);
    fork.on_response(A, 200);
    assert!(fork.on_response(B, 183).is_empty());
    assert!(fork.on_response(B, 404).is_empty());
    assert_eq!(fork.on_response(C, 200)[0], Step::Forward(C));
}

/// Step 5: "a stateful proxy will forward exactly one final response to a non-INVITE request".
#[test]
fn step_5_one_final_response_to_a_non_invite() {
    let mut fork = fork(false, &[1000, 1000]);
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A)]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Done]);
}

/// Step 5: "If a 6xx response is received, it is not immediately forwarded, but the stateful proxy SHOULD cancel all
/// client pending transactions […], and it MUST NOT create any new branches in this context."
#[test]
fn step_5_a_6xx_cancels_and_waits() {
    let mut fork = fork(true, &[1000, 1000, 500]);
    assert_eq!(fork.on_response(A, 600)[..], [Step::Keep(A), Step::Cancel(B)]);
    assert_eq!(fork.on_response(B, 487)[..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// Step 5: "a 2xx response could arrive on another branch, in which case the proxy would have to forward the 2xx".
#[test]
fn step_5_a_2xx_after_a_6xx_is_the_only_final_response() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 603);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Done]);
}

/// Step 6: "A stateful proxy MUST send a final response […] if no final responses have been immediately forwarded by the
/// above rules and all client transactions in this response context have been terminated."
#[test]
fn step_6_the_choice_waits_for_all_branches() {
    let mut fork = fork(true, &[1000, 1000]);
    assert_eq!(fork.on_response(A, 404)[..], [Step::Keep(A)]);
    assert_eq!(fork.on_response(B, 500)[..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// Step 6: "If there are no final responses in the context, the proxy MUST send a 408 (Request Timeout) response".
#[test]
fn step_6_408_when_nobody_answers() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_timeout(A);
    assert_eq!(fork.on_timeout(B)[..], [Step::Final(Outcome::Own(408)), Step::Done]);
}

/// Step 6: "For example, if a proxy forwarded a request to 4 locations, and received 503, 407, 501, and 404 responses, it
/// may choose to forward the 407 (Proxy Authentication Required) response."
#[test]
fn step_6_the_example() {
    let mut fork = fork(true, &[1000; 4]);
    fork.on_response(A, 503);
    fork.on_response(B, 407);
    fork.on_response(C, 501);
    assert_eq!(fork.on_response(D, 404)[..], [Step::Final(Outcome::Kept(B)), Step::Done]);
}

/// Step 6: "It MUST choose from the 6xx class responses if any exist in the context."
#[test]
fn step_6_6xx_is_chosen_over_all() {
    let mut fork = fork(true, &[1000; 3]);
    fork.on_response(A, 302);
    fork.on_response(B, 401);
    assert_eq!(fork.on_response(C, 600)[..], [Step::Keep(C), Step::Final(Outcome::Kept(C)), Step::Done]);
}

/// Step 6: "If the only response that was received is a 503, the proxy SHOULD generate a 500 response and forward that
/// upstream."
#[test]
fn step_6_a_503_is_not_passed_on() {
    for invite in [true, false] {
        let mut fork = fork(invite, &[1000]);
        assert_eq!(fork.on_response(A, 503)[..], [Step::Keep(A), Step::Final(Outcome::Own(500)), Step::Done]);
    }
}

/// Step 7: "the proxy MUST collect any WWW-Authenticate and Proxy-Authenticate header field values from all other 401 […]
/// and 407 […] responses received so far in this response context and add them to this response".
#[test]
fn step_7_challenges_are_collected() {
    let mut fork = fork(false, &[1000; 3]);
    assert_eq!(fork.on_response(A, 407)[..], [Step::Keep(A)]);
    assert_eq!(fork.on_response(B, 404)[..], []);
    let steps = fork.on_response(C, 401);
    assert_eq!(steps[..], [Step::Challenge(C), Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// Step 10: "If the forwarded response was a final response, the proxy MUST generate a CANCEL request for all pending
/// client transactions", each once.
#[test]
fn step_10_the_others_are_cancelled_once() {
    let mut fork = fork(true, &[1000; 3]);
    assert_eq!(fork.on_response(B, 200)[..], [Step::Forward(B), Step::Cancel(A), Step::Cancel(C)]);
    assert_eq!(fork.on_response(A, 200)[..], [Step::Forward(A)]);
}

/// §16.8: "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL request […] If
/// [it] has not received a provisional response, the proxy MUST behave as if the transaction received a 408".
#[test]
fn timer_c() {
    let mut fork = fork(true, &[1000, 1000]);
    fork.on_response(A, 180);
    assert_eq!(fork.on_timer_c(A)[..], [Step::Cancel(A)]);
    assert!(fork.on_timer_c(B).is_empty());
    assert_eq!(fork.on_response(A, 487)[1..], [Step::Final(Outcome::Kept(A)), Step::Done]);
}

/// §16.9: "the proxy MUST behave as if the forwarded request received a 503".
#[test]
fn a_transport_error_counts_as_503() {
    let mut fork = fork(true, &[1000, 500]);
    assert_eq!(fork.on_response(A, 503)[..], [Step::Keep(A), Step::Launch(B)]);
    assert_eq!(fork.on_response(B, 503)[..], [Step::Final(Outcome::Own(500)), Step::Done]);
}

/// A proxy that sends to three places at once.
fn forking() -> (Proxy, Vec<Out>) {
    let mut proxy = Proxy::new(
        "for host = 11, 13 do append_branch('sip:bob@192.0.2.' .. host .. ':50' .. host) end
         if not t_relay() then sl_reply_error() end",
    );
    let branches = proxy.send(&request("INVITE", "sip:bob@example.com", &[]));
    assert_eq!(branches.len(), 3);
    (proxy, branches)
}

/// Steps 3, 5 and 9: without our Via, to where the next Via says, all provisional responses but 100.
#[test]
fn steps_3_to_9_provisional_responses_of_all_branches_pass() {
    let (mut proxy, branches) = forking();
    assert!(proxy.answer(&branches[0], 100, &[]).is_empty());
    for branch in &branches {
        let ringing = only(proxy.answer(branch, 180, &["X-Kept: yes", "Record-Route: <sip:192.0.2.30;lr>"]));
        assert_eq!(ringing.summary(), "180 192.0.2.1:5060");
        assert_eq!(ringing.items(HeaderName::Via), ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKalice"]);
        assert_eq!(ringing.items(HeaderName::RecordRoute), ["<sip:192.0.2.30;lr>"]);
        assert_eq!(ringing.message.value_of("X-Kept"), Some("yes"));
    }
}

/// Steps 5 and 10: the first 2xx is forwarded and the others are cancelled; each further 2xx is forwarded as well.
#[test]
fn step_10_the_losers_are_cancelled() {
    let (mut proxy, branches) = forking();
    proxy.answer(&branches[0], 180, &[]);
    let sent = proxy.answer(&branches[1], 200, &[]);
    // §9.1: no CANCEL before a provisional response.
    assert_eq!(summaries(&sent), ["200 192.0.2.1:5060", "CANCEL 192.0.2.11:5011"]);
    assert_eq!(sent[1].branch(), branches[0].branch(), "§9.1: by the branch the INVITE is found");
    assert_eq!(summaries(&proxy.answer(&branches[2], 183, &[])), ["CANCEL 192.0.2.13:5013"]);
    assert_eq!(summaries(&proxy.answer(&branches[2], 200, &[])), ["200 192.0.2.1:5060"]);
    // The CANCEL's own response and the 487 stay here; the 487 is acknowledged.
    assert!(proxy.answer(&sent[1], 200, &[]).is_empty());
    assert_eq!(summaries(&proxy.answer(&branches[0], 487, &[])), ["ACK 192.0.2.11:5011"]);
}

/// Step 6: the best of the failures, 6xx before all, is sent once all branches have ended; each gets its ACK.
#[test]
fn step_6_the_best_failure_is_chosen() {
    for (statuses, chosen) in [
        ([404, 486, 480], 404),
        ([503, 500, 408], 408),
        ([302, 404, 500], 302),
        ([600, 302, 404], 600),
        ([503, 503, 503], 500),
    ] {
        let (mut proxy, branches) = forking();
        let mut last = Vec::new();
        for (branch, status) in branches.iter().zip(statuses) {
            last = proxy.answer(branch, status, &[]);
            assert_eq!(last[0].summary(), format!("ACK {}", branch.remote()));
        }
        assert_eq!(summaries(&last[1..]), [format!("{chosen} 192.0.2.1:5060")], "{statuses:?}");
    }
}

/// Step 7: the challenges of all branches are in the one response.
#[test]
fn step_7_challenges_of_all_branches_are_passed_on() {
    let (mut proxy, branches) = forking();
    proxy.answer(&branches[0], 401, &["WWW-Authenticate: Digest realm=\"one\", nonce=\"1\""]);
    proxy.answer(&branches[1], 407, &["Proxy-Authenticate: Digest realm=\"two\", nonce=\"2\""]);
    let last = proxy.answer(&branches[2], 401, &["WWW-Authenticate: Digest realm=\"three\", nonce=\"3\""]);
    let challenge = &last[1].message;
    assert_eq!(challenge.values(HeaderName::WwwAuthenticate).count(), 2);
    assert_eq!(challenge.values(HeaderName::ProxyAuthenticate).count(), 1);
}

/// Step 6: "If there are no final responses in the context, the proxy MUST send a 408". RFC 4320 §4.2: for other requests
/// than INVITE nothing is sent.
#[test]
fn step_6_silence_is_408() {
    let (mut proxy, _) = forking();
    let sent = proxy.pass(Duration::from_secs(33));
    let answers: Vec<String> = summaries(&sent).into_iter().filter(|out| out.ends_with(ALICE)).collect();
    assert_eq!(answers[0], format!("100 {ALICE}"));
    assert!(answers[1..].iter().all(|answer| *answer == format!("408 {ALICE}")) && answers.len() > 1, "{answers:?}");
    let mut proxy = Proxy::new(RELAY);
    only(proxy.send(&request("MESSAGE", "sip:bob@192.0.2.11", &[])));
    let sent = proxy.pass(Duration::from_secs(64));
    assert!(sent.iter().all(|out| !out.summary().starts_with("408")), "{:?}", summaries(&sent));
}

/// §16.8: timer C, more than 3 minutes, begins again with each provisional response; then the branch is cancelled.
#[test]
fn timer_c_over_the_wire() {
    let mut proxy = Proxy::new(RELAY);
    let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for _ in 0..3 {
        proxy.answer(&invite, 180, &[]);
        assert_eq!(summaries(&proxy.pass(minutes(2))), [""; 0]);
    }
    // Timer C is 180 seconds and some; 64·T1 later the branch is given up.
    let sent = proxy.pass(Duration::from_secs(75));
    assert_eq!(sent[0].summary(), "CANCEL 192.0.2.11:5060");
    assert_eq!(summaries(&proxy.answer(&invite, 487, &[])), ["ACK 192.0.2.11:5060", "487 192.0.2.1:5060"]);
}

/// §16.9: "the proxy MUST behave as if the forwarded request received a 503": the next target gets its turn.
#[test]
fn a_transport_error_leads_to_the_next_target() {
    let route = "append_branch('sip:bob@192.0.2.11', 900) append_branch('sip:bob@192.0.2.12', 500) t_relay()";
    let mut proxy = Proxy::new(route);
    proxy.site().cut_off("192.0.2.11:5060".parse().unwrap());
    assert_eq!(only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[]))).summary(), "MESSAGE 192.0.2.12:5060");
    let mut proxy = Proxy::new(route);
    proxy.site().cut_off("192.0.2.11:5060".parse().unwrap());
    proxy.site().cut_off("192.0.2.12:5060".parse().unwrap());
    assert_eq!(only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[]))).message.status(), 500);
}

/// Step 4: "A stateful proxy MAY choose to "recurse" on any 3xx responses it receives […] by adding" their contacts "to the
/// target set". Here the script does, in its failure route.
#[test]
fn step_4_a_script_may_follow_redirections() {
    let mut proxy = Proxy::with_script(
        "function route(msg)
           t_on_failure('redirected')
           if not t_relay() then sl_reply_error() end
         end
         function failure_route.redirected(msg)
           if msg.response.status ~= 302 then return end
           for _, contact in ipairs(msg.response.headers:all('Contact')) do append_branch(contact:match('<(.-)>')) end
           t_relay()
         end",
    );
    let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
    let sent = proxy.answer(&invite, 302, &["Contact: <sip:bob@192.0.2.12>, <sip:bob@192.0.2.13;method=BYE>"]);
    assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060", "INVITE 192.0.2.12:5060", "INVITE 192.0.2.13:5060"]);
    assert_eq!(sent[2].message.request_uri(), "sip:bob@192.0.2.13");
    assert!(sent[1..].iter().all(|out| out.items(HeaderName::Via).len() == 2));
    assert_eq!(summaries(&proxy.answer(&sent[1], 486, &[])), ["ACK 192.0.2.12:5060"]);
    assert_eq!(summaries(&proxy.answer(&sent[2], 200, &[])), [format!("200 {ALICE}")]);
}

/// "If a proxy chooses to recurse on any contacts in a 3xx response by adding them to the target set, it MUST remove them from
/// the response before adding the response to the response context."
#[test]
fn step_4_contacts_that_were_tried_are_not_passed_on() {
    const FOLLOW: &str = "function route(msg) t_on_failure('redirected') t_relay() end
        function failure_route.redirected(msg) if append_redirects() then t_relay() end end";
    let redirect = |contacts: &str| {
        let mut proxy = Proxy::with_script(FOLLOW);
        let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
        let sent = proxy.answer(&invite, 302, &[&format!("Contact: {contacts}")]);
        (proxy, sent)
    };
    let (mut proxy, sent) = redirect("<sip:bob@192.0.2.13>;q=0.5, <sip:bob@192.0.2.12>");
    assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060", "INVITE 192.0.2.12:5060"]);
    let next = proxy.answer(&sent[1], 486, &[]);
    assert_eq!(summaries(&next), ["ACK 192.0.2.12:5060", "INVITE 192.0.2.13:5060"]);
    let last = proxy.answer(&next[1], 404, &[]);
    // The 302 is no candidate any more: the best is one of its targets'.
    assert_eq!(summaries(&last), ["ACK 192.0.2.13:5060".to_owned(), format!("486 {ALICE}")]);

    let (mut proxy, sent) = redirect("<sip:bob@192.0.2.12>, <https://example.com/bob>");
    let last = proxy.answer(&sent[1], 486, &[]);
    assert_eq!(last[1].summary(), format!("302 {ALICE}"));
    assert_eq!(last[1].items(HeaderName::Contact), ["<https://example.com/bob>"]);

    let (_, sent) = redirect("<https://example.com/bob>");
    assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060".to_owned(), format!("302 {ALICE}")]);
}

/// Without such a script the sender hears of the redirection.
#[test]
fn step_6_a_redirection_is_passed_on() {
    let mut proxy = Proxy::new(RELAY);
    let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
    let sent = proxy.answer(&invite, 302, &["Contact: <sip:bob@192.0.2.12>"]);
    assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060".to_owned(), format!("302 {ALICE}")]);
    assert_eq!(sent[1].items(HeaderName::Contact), ["<sip:bob@192.0.2.12>"]);
}

/// Step 6: the sender gets 500 instead of a next hop's 503. The failure route sees the next hop's status, and 503 for a
/// failure that counts as one (§16.9).
#[test]
fn step_6_the_failure_route_sees_the_503_that_the_sender_does_not() {
    const SCRIPT: &str = "function route(msg) t_on_failure('down') t_relay() end
        function failure_route.down(msg)
          local from = msg.response.source
          append_to_reply('X-Seen: ' .. msg.response.status .. ' ' .. (from and from.ip or 'nowhere'))
          if msg.ruri.user == 'quiet' then return end
          t_reply(486)
        end";
    let seen = |answer: &Out| answer.message.values_of("X-Seen").next().unwrap_or_default().to_owned();
    let mut proxy = Proxy::with_script(SCRIPT);
    let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11", &[])));
    let sent = proxy.answer(&invite, 503, &[]);
    assert_eq!(seen(&sent[1]), "503 192.0.2.11");
    let mut proxy = Proxy::with_script(SCRIPT);
    proxy.site().cut_off("192.0.2.11:5060".parse().unwrap());
    assert_eq!(seen(&only(proxy.send(&request("MESSAGE", "sip:bob@192.0.2.11", &[])))), "503 nowhere");
    let mut proxy = Proxy::with_script(SCRIPT);
    let invite = only(proxy.send(&request("INVITE", "sip:quiet@192.0.2.11", &[])));
    let sent = proxy.answer(&invite, 503, &[]);
    assert_eq!(summaries(&sent), ["ACK 192.0.2.11:5060".to_owned(), format!("500 {ALICE}")]);
}

/// In a reply route `msg` is the response and `msg.source` its source, which differs from the source of the request.
#[test]
fn a_reply_route_knows_where_the_response_came_from() {
    let mut proxy = Proxy::with_script(
        "function route(msg) t_on_reply('back') t_relay() end
        function reply_route.back(msg)
          msg.headers:add('X-Seen', msg.source.ip .. ' ' .. msg.source.port .. ' ' .. msg.transport)
        end",
    );
    let invite = only(proxy.send(&request("INVITE", "sip:bob@192.0.2.11:5070", &[])));
    for status in [180, 200] {
        let answer = only(proxy.answer(&invite, status, &[]));
        assert_eq!(answer.message.values_of("X-Seen").collect::<Vec<_>>(), ["192.0.2.11 5070 udp"]);
    }
}
