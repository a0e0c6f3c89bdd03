//! RFC 5630, the use of the sips scheme, without TLS: no request that requires TLS is sent over another transport.

use signalbox::transport::Protocol;
use signalbox_sip::header::HeaderName;

use crate::wire::{Out, Proxy, only, request};

/// The ways in which a script forwards a request.
const WAYS: [&str; 4] = ["t_relay()", "forward()", "t_relay_to('sip:192.0.2.30')", "forward('sip:192.0.2.30')"];

fn refused(answer: &Out, warning: &str) {
    assert_eq!(answer.summary(), "480 192.0.2.1:5060");
    assert_eq!(answer.items(HeaderName::Warning), [warning]);
}

/// §5.3: "when a proxy receives a request with a SIPS Request-URI, the proxy MUST only forward or retarget the request to a SIPS
/// Request-URI".
#[test]
fn a_request_for_a_sips_uri_does_not_leave_by_plain_transports() {
    for way in WAYS {
        for (before, lines) in
            [("", vec![]), ("", vec!["Route: <sip:192.0.2.30;lr>"]), ("append_branch('sip:bob@192.0.2.11')", vec![])]
        {
            for method in ["MESSAGE", "INVITE", "SUBSCRIBE"] {
                for uri in ["sips:bob@192.0.2.11", "SIPS:bob@192.0.2.11"] {
                    let mut proxy = Proxy::new(&format!("{before} if not {way} then sl_reply_error() end"));
                    let answer = only(proxy.send(&request(method, uri, &lines)));
                    refused(&answer, "380 signalbox \"SIPS Not Allowed\"");
                }
            }
        }
    }
}

/// §5.3: "The proxy MUST use TLS to forward the request to the UAS. […] because it is not capable of establishing a TLS connection, the proxy MAY
/// reject it with a 480 (Temporarily Unavailable) response with a Warning header with warn-code 381".
#[test]
fn a_target_that_wants_tls_gets_nothing_without() {
    for way in ["t_relay()", "forward()"] {
        let mut proxy = Proxy::new(&format!(
            "if msg.method == 'REGISTER' then return save('location') end
             lookup('location') if not {way} then sl_reply_error() end"
        ));
        let lines =
            ["Contact: <sips:bob@192.0.2.11:5061>", "To: <sip:bob@example.com>", "From: <sip:bob@example.com>;tag=b"];
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            let mut register = request("REGISTER", "sips:example.com", &lines);
            if protocol == Protocol::Tcp {
                register = register.replace("SIP/2.0/UDP", "SIP/2.0/TCP").replace("Call-ID: call", "Call-ID: other");
            }
            let answer = only(proxy.send_from("192.0.2.11:5061", protocol, &register));
            assert_eq!(answer.message.status(), 200);
            let uri = "sip:bob@example.com";
            let via = format!("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{protocol}");
            let answer = only(proxy.send(&request("MESSAGE", uri, &[&via])));
            refused(&answer, "381 signalbox \"SIPS Required\"");
        }
    }
}

/// A target that requires TLS does not prevent another one.
#[test]
fn other_targets_are_tried() {
    let script = "function route(msg) append_branch('sip:a@192.0.2.11', 900) append_branch('sip:b@192.0.2.12', 500) t_on_branch('secure') t_relay() end
      branch_route.secure = function(msg) if msg.ruri.user == 'a' then msg.ruri = 'sips:a@192.0.2.11' end end";
    let mut proxy = Proxy::with_script(script);
    assert_eq!(only(proxy.send(&request("MESSAGE", "sip:bob@example.com", &[]))).summary(), "MESSAGE 192.0.2.12:5060");
}
