//! §12: dialogs.

use signalbox_sip::dialog::route_set::copy_record_route;
use signalbox_sip::dialog::state::ends_dialog;
use signalbox_sip::dialog::{Dialog, DialogError, DialogId, Phase, RouteSet};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;

fn parse(lines: &[&str]) -> Message {
    Message::parse(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).unwrap()
}

fn invite(more: &[&str]) -> Message {
    let mut lines = vec![
        "INVITE sip:bob@biloxi.example SIP/2.0",
        "Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bKnashds8",
        "To: Bob <sip:bob@biloxi.example>",
        "From: Alice <sip:alice@atlanta.example>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE",
        "Contact: <sip:alice@pc33.atlanta.example>",
    ];
    lines.extend(more);
    parse(&lines)
}

fn answer(request: &Message, status: u16, record_route: &str) -> Message {
    let mut response = request.reply(status, "");
    response.set_to_tag("a6c85cf");
    response.push(HeaderName::Contact, "<sip:bob@192.0.2.4>");
    if !record_route.is_empty() {
        response.push(HeaderName::RecordRoute, record_route);
    }
    response
}

fn in_dialog(method: &str, cseq: u32) -> Message {
    let cseq = format!("CSeq: {cseq} {method}");
    parse(&[
        &format!("{method} sip:bob@192.0.2.4 SIP/2.0"),
        "Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bKnashds9",
        "To: <sip:bob@biloxi.example>;tag=a6c85cf",
        "From: <sip:alice@atlanta.example>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        &cseq,
        "Contact: <sip:alice@192.0.2.9>",
    ])
}

/// §12.1.1: what the UAS makes of the request.
#[test]
fn section_12_1_1_the_state_at_the_uas() {
    let request = invite(&["Record-Route: <sip:p2;lr>", "Record-Route: <sip:p1;lr;x=1>"]);
    let dialog = Dialog::of_request(&request, "a6c85cf", Phase::Early, false).unwrap();
    // "taken in order and preserving all URI parameters"
    assert_eq!(dialog.route_set.as_str(), "<sip:p2;lr>, <sip:p1;lr;x=1>");
    assert_eq!(&*dialog.remote_target, "sip:alice@pc33.atlanta.example");
    // "The remote sequence number MUST be set to […] the CSeq […] of the request. The local sequence number MUST be empty."
    assert_eq!((dialog.remote_cseq, dialog.local_cseq.last()), (Some(314159), 0));
    assert_eq!(dialog.id, DialogId::new("a84b4c76e66710", "a6c85cf", "1928301774"));
    assert_eq!((&*dialog.local_uri, &*dialog.remote_uri), ("sip:bob@biloxi.example", "sip:alice@atlanta.example"));
}

/// §12.1.1: "the UAS MUST copy all Record-Route header field values from the request into the response […] and MUST
/// maintain the order of those values."
#[test]
fn section_12_1_1_record_route_is_copied() {
    let request = invite(&["Record-Route: <sip:p2;lr>, <sip:p1;lr>", "Record-Route: <sip:p0;lr;unknown>"]);
    let mut response = request.reply(200, "OK");
    copy_record_route(&request, &mut response);
    let copied: Vec<_> = response.items(HeaderName::RecordRoute).collect();
    assert_eq!(copied, ["<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr;unknown>"]);
}

/// §12.1.2: what the UAC makes of the response.
#[test]
fn section_12_1_2_the_state_at_the_uac() {
    let request = invite(&[]);
    let response = answer(&request, 200, "<sip:p2;lr>, <sip:p1;lr>");
    let dialog = Dialog::of_response(&request, &response, false).unwrap();
    // "taken in reverse order"
    assert_eq!(dialog.route_set.as_str(), "<sip:p1;lr>, <sip:p2;lr>");
    assert_eq!((dialog.remote_cseq, dialog.local_cseq.last()), (None, 314159));
    assert_eq!(dialog.id, DialogId::new("a84b4c76e66710", "1928301774", "a6c85cf"));
    assert_eq!((dialog.phase, &*dialog.remote_target), (Phase::Confirmed, "sip:bob@192.0.2.4"));
}

/// §12.1.1: "A UAS MUST be prepared to receive a request without a tag in the From field"; §12.1.2 likewise for To.
#[test]
fn section_12_1_tags_may_be_null() {
    let text = String::from_utf8(invite(&[]).to_bytes()).unwrap().replace(";tag=1928301774", "");
    let request = Message::parse(text.as_bytes()).unwrap();
    let dialog = Dialog::of_request(&request, "a6c85cf", Phase::Confirmed, false).unwrap();
    // §12.2.1.1: "If the value of the remote or local tags is null, the tag parameter MUST be omitted".
    assert_eq!(dialog.request(&Method::Bye, 1).value(HeaderName::To), Some("<sip:alice@atlanta.example>"));
}

/// §12.2.1.1: To, From, Call-ID, CSeq of a request within the dialog.
#[test]
fn section_12_2_1_1_the_request_is_made_of_the_state() {
    let request = invite(&[]);
    let mut dialog = Dialog::of_response(&request, &answer(&request, 200, ""), false).unwrap();
    let cseq = dialog.local_cseq.take().unwrap();
    let bye = dialog.request(&Method::Bye, cseq);
    assert_eq!(bye.request_uri(), "sip:bob@192.0.2.4");
    assert_eq!(bye.value(HeaderName::To), Some("<sip:bob@biloxi.example>;tag=a6c85cf"));
    assert_eq!(bye.value(HeaderName::From), Some("<sip:alice@atlanta.example>;tag=1928301774"));
    assert_eq!(bye.value(HeaderName::CallId), Some("a84b4c76e66710"));
    // "the value of the local sequence number MUST be incremented by one"
    assert_eq!(bye.value(HeaderName::CSeq), Some("314160 BYE"));
    // "The UAC MUST NOT add a Route header field to the request."
    assert!(!bye.has(HeaderName::Route));
}

/// §12.2.1.1: the example of a route set that starts with a strict router.
#[test]
fn section_12_2_1_1_the_example_of_a_strict_router() {
    let set = RouteSet::parse("<sip:proxy1>,<sip:proxy2>,<sip:proxy3;lr>,<sip:proxy4>").unwrap();
    let routing = set.routing("sip:user@remoteua");
    assert_eq!(routing.request_uri, "sip:proxy1");
    assert_eq!(routing.route, "<sip:proxy2>, <sip:proxy3;lr>, <sip:proxy4>, <sip:user@remoteua>");
}

/// §12.2.1.1: "the UAC MUST place the remote target URI into the Request-URI and MUST include a Route header field
/// containing the route set values in order, including all parameters."
#[test]
fn section_12_2_1_1_a_loose_router_keeps_the_target() {
    let request = invite(&["Record-Route: <sip:p1;lr;x=1>, <sip:p2>"]);
    let dialog = Dialog::of_request(&request, "1", Phase::Confirmed, false).unwrap();
    let bye = dialog.request(&Method::Bye, 1);
    assert_eq!(bye.request_uri(), "sip:alice@pc33.atlanta.example");
    assert_eq!(bye.value(HeaderName::Route), Some("<sip:p1;lr;x=1>, <sip:p2>"));
    assert_eq!(dialog.next_hop(), "sip:p1;lr;x=1");
}

/// §12.2.1.2: "When a UAC receives a 2xx response to a target refresh request, it MUST replace the dialog's remote target
/// URI with the URI from the Contact header field in that response, if present."
#[test]
fn section_12_2_1_2_a_2xx_moves_the_target() {
    let request = invite(&[]);
    let mut dialog = Dialog::of_response(&request, &answer(&request, 200, ""), false).unwrap();
    let mut response = request.reply(200, "OK");
    assert!(!dialog.refresh_target(&response));
    response.push(HeaderName::Contact, "<sip:bob@192.0.2.5>");
    assert!(dialog.refresh_target(&response));
    assert_eq!(&*dialog.remote_target, "sip:bob@192.0.2.5");
}

/// §12.2.1.2: "If the response for a request within a dialog is a 481 […] or a 408 […], the UAC SHOULD terminate the
/// dialog."
#[test]
fn section_12_2_1_2_responses_that_end_it() {
    let ending: Vec<u16> = (100..700).filter(|&status| ends_dialog(status)).collect();
    assert_eq!(ending, [408, 481]);
}

/// §12.2.2: "If the remote sequence number was not empty, but the sequence number of the request is lower than the remote
/// sequence number, the request is out of order and MUST be rejected with a 500".
#[test]
fn section_12_2_2_lower_cseq_is_rejected_with_500() {
    let mut dialog = Dialog::of_request(&invite(&[]), "a6c85cf", Phase::Confirmed, false).unwrap();
    let refused = dialog.on_request(&in_dialog("BYE", 314158)).unwrap_err();
    assert_eq!(refused, DialogError::OutOfOrder { received: 314158, newest: 314159 });
    assert_eq!(refused.status(), 500);
    // "It is possible for the CSeq sequence number to be higher than the remote sequence number by more than one. This is
    // not an error condition".
    assert_eq!(dialog.on_request(&in_dialog("BYE", 400_000)), Ok(()));
    assert_eq!(dialog.remote_cseq, Some(400_000));
}

/// §12.2.2: "When a UAS receives a target refresh request, it MUST replace the dialog's remote target URI"; §12.2: "these
/// requests do not cause the dialog's route set to be modified".
#[test]
fn section_12_2_2_a_target_refresh_moves_the_target_and_nothing_else() {
    let mut dialog = Dialog::of_request(&invite(&[]), "a6c85cf", Phase::Confirmed, false).unwrap();
    let mut refresh = in_dialog("INVITE", 314160);
    refresh.push(HeaderName::RecordRoute, "<sip:late;lr>");
    assert!(dialog.refresh_target(&refresh));
    assert_eq!(&*dialog.remote_target, "sip:alice@192.0.2.9");
    assert!(dialog.route_set.is_empty());
    let mut dialog = Dialog::of_request(&invite(&[]), "a6c85cf", Phase::Confirmed, false).unwrap();
    assert!(!dialog.refresh_target(&in_dialog("INFO", 314160)));
}
