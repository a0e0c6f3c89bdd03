//! §9.2: how a server handles a CANCEL.

use std::time::Duration;

use crate::wire::{ALICE, Proxy, RELAY, request, summaries};

const BOB: &str = "sip:bob@192.0.2.11";

/// A caller that does not wait for a provisional response (§9.1), and gets another port from its NAT in between. A busy
/// worker hands the INVITE over. While the INVITE waits at one worker, the CANCEL arrives at another.
#[test]
fn a_cancel_finds_an_invite_that_waits_at_another_worker() {
    let mut handed_over = 0;
    for (seed, port) in (1..=5).flat_map(|seed| (5060..=5064).map(move |port| (seed, port))) {
        for call in 0..4 {
            let mut proxy = Proxy::with_workers(RELAY, 3, seed);
            proxy.site().keep_busy(ALICE.parse().unwrap());
            proxy.pass(Duration::from_secs(1));
            let [invite, cancel] = ["INVITE", "CANCEL"].map(|method| {
                let via = "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKalice";
                request(method, BOB, &[via, &format!("Call-ID: {call}")])
            });
            let mut sent = proxy.send_at_once(&[(ALICE, &invite), (&format!("192.0.2.1:{port}"), &cancel)]);
            sent.sort_by_key(|out| !out.message.is_request());
            let expected = ["INVITE 192.0.2.11:5060".to_owned(), format!("200 192.0.2.1:{port}")];
            assert_eq!(summaries(&sent), expected, "seed {seed}");
            let sent = proxy.answer(&sent[0], 180, &[]);
            assert_eq!(summaries(&sent), ["CANCEL 192.0.2.11:5060".to_owned(), format!("180 {ALICE}")], "seed {seed}");
            handed_over += proxy.site().host().counter("requests_handed_over").value();
        }
    }
    assert!(handed_over > 100, "{handed_over}");
}
