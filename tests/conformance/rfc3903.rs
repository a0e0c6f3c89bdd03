//! RFC 3903: PUBLISH, as the steps of §6 take it, at a real event state compositor over the virtual network.

use crate::presence::{EVENT, notified, play, play_with, published, subscribed, subscribes};

/// Bob sends a PUBLISH with these header lines and no body, and receives this.
fn publish(headers: &str, answer: &str) -> String {
    format!(
        "
bob sends
  PUBLISH sip:bob@example.com
{headers}
bob receives
{answer}
"
    )
}

/// Alice asks once, and receives this body.
fn fetched(call_id: &str, body: &str) -> String {
    let fetch = subscribes(&format!("  Call-ID: {call_id}\n{EVENT}  Expires: 0\n"), "  200 OK");
    [fetch, notified(&format!("\n  {body}\n"))].concat()
}

/// Step 2: "If the Event header field is missing or contains an event package which the ESC does not support, the ESC MUST
/// respond to the PUBLISH request with a 489 (Bad Event) response".
#[test]
fn step_2_event() {
    let refused = "  489 Bad Event\n  Allow-Events: presence...";
    play(&[publish("", refused), publish("  Event: conference\n", refused)].concat());
}

/// Step 3: "checks whether the header field contains a single entity-tag. If not, […] 400"; "If no match is found, […] 412".
#[test]
fn step_3_entity_tags() {
    play(
        &[
            published("tag", "", "sip:bob@192.0.2.2"),
            publish(&format!("{EVENT}  SIP-If-Match: {{tag}}, other\n"), "  400"),
            publish(&format!("{EVENT}  SIP-If-Match: unheard-of\n"), "  412 Conditional Request Failed"),
            publish(&format!("{EVENT}  SIP-If-Match: {{tag}}\n"), "  200 OK"),
        ]
        .concat(),
    );
}

/// Step 3: a tag is one of "this resource and event package".
#[test]
fn step_3_a_tag_is_of_its_resource() {
    let carols = "
bob sends
  PUBLISH sip:carol@example.com
  Event: presence
  SIP-If-Match: {tag}

bob receives 412 Conditional Request Failed
";
    play_with(&["pa.publishers: presence *"], &[&published("tag", "", "sip:bob@192.0.2.2"), carols].concat());
}

/// Step 4: "The ESC MAY choose an expiration less than the requested"; one below the minimum is 423 with Min-Expires; none
/// is the default.
#[test]
fn step_4_expires() {
    let refused = "  423 Interval Too Brief\n  Min-Expires: 60";
    play(
        &[
            publish(&format!("{EVENT}  SIP-If-Match: x\n  Expires: 0\n"), "  412"),
            published("tag", "  Expires: 600\n", "sip:bob@192.0.2.2"),
            publish(&format!("{EVENT}  SIP-If-Match: {{tag}}\n  Expires: 59\n"), refused),
            publish(
                &format!("{EVENT}  SIP-If-Match: {{tag}}\n  Expires: 60\n"),
                "  200 OK\n  Expires: 60\n  SIP-ETag: {next}",
            ),
            publish(&format!("{EVENT}  SIP-If-Match: {{next}}\n"), "  200 OK\n  Expires: 3600"),
        ]
        .concat(),
    );
}

/// Step 5: a type that is not of the package is 415; without body and entity tag there is nothing to publish: 400.
#[test]
fn step_5_the_body() {
    let text = "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  Content-Type: text/plain

  here

bob receives
  415 Unsupported Media Type
  Accept: ...application/pidf+xml...
";
    play(&[text, &publish(EVENT, "  400")].concat());
}

/// Step 5: "the event state identified by the entity-tag is refreshed", "updating any existing event state for that
/// entity-tag", and a publication of its own stands beside it.
#[test]
fn step_5_refresh_modify_and_another() {
    play(
        &[
            published("one", "  Expires: 100\n", "sip:one@192.0.2.2"),
            "\ntime passes 90s\n".to_owned(),
            publish(&format!("{EVENT}  SIP-If-Match: {{one}}\n  Expires: 100\n"), "  200 OK\n  SIP-ETag: {two}"),
            "\ntime passes 90s\n".to_owned(),
            fetched("refreshed", "...sip:one@192.0.2.2..."),
            published("three", "  SIP-If-Match: {two}\n  Expires: 100\n", "sip:three@192.0.2.2"),
            fetched("modified", "...sip:three@192.0.2.2..."),
            publish(&format!("{EVENT}  SIP-If-Match: {{two}}\n"), "  412"),
        ]
        .concat(),
    );
}

/// Step 5: "If the chosen expiration interval has a special value of "0", the event state identified by the entity-tag MUST
/// be immediately removed", and watchers hear of it (RFC 3856 §6.8).
#[test]
fn step_5_removal() {
    let heard =
        |body: &str| format!("\nalice receives\n  NOTIFY sip:alice@{{alice}}\n\n  {body}\n\nalice answers 200 OK\n");
    play(
        &[
            subscribed(EVENT),
            published("mine", "", "sip:bob@192.0.2.2"),
            heard("...<basic>open</basic>..."),
            publish(&format!("{EVENT}  SIP-If-Match: {{mine}}\n  Expires: 0\n"), "  200 OK\n  Expires: 0"),
            heard("...<basic>closed</basic>..."),
            publish(&format!("{EVENT}  SIP-If-Match: {{mine}}\n"), "  412"),
        ]
        .concat(),
    );
}

/// §4.5, §6 step 5: what is not refreshed ends with its time.
#[test]
fn what_is_not_refreshed_expires() {
    play(
        &[
            published("tag", "  Expires: 100\n", "sip:bob@192.0.2.2"),
            "\ntime passes 99s\n".to_owned(),
            fetched("before", "...<basic>open</basic>..."),
            "\ntime passes 2s\n".to_owned(),
            fetched("after", "...<basic>closed</basic>..."),
            publish(&format!("{EVENT}  SIP-If-Match: {{tag}}\n"), "  412"),
        ]
        .concat(),
    );
}

/// Step 6: "The ESC MUST generate a new entity-tag for each successful publication, replacing any previous entity-tag".
#[test]
fn step_6_each_success_has_a_new_tag() {
    let refresh = |old: &str, new: &str| {
        publish(
            &format!("{EVENT}  SIP-If-Match: {{{old}}}\n"),
            &format!("  200 OK\n  Expires: 3600\n  SIP-ETag: {{{new}}}"),
        )
    };
    play(
        &[
            published("a", "", "sip:bob@192.0.2.2"),
            refresh("a", "b"),
            refresh("b", "c"),
            publish(&format!("{EVENT}  SIP-If-Match: {{a}}\n"), "  412"),
            publish(&format!("{EVENT}  SIP-If-Match: {{b}}\n"), "  412"),
        ]
        .concat(),
    );
}

/// §6: the answer is given again to a repetition, which publishes nothing anew.
#[test]
fn a_repetition_gets_the_same_tag() {
    let repeated = "
network loses 1 packet to bob

bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  SIP-If-Match: {tag}

bob receives nothing

bob repeats

bob receives
  200 OK
  SIP-ETag: {second}
";
    play(
        &[
            &published("tag", "", "sip:bob@192.0.2.2"),
            repeated,
            &publish(&format!("{EVENT}  SIP-If-Match: {{second}}\n"), "  200 OK"),
        ]
        .concat(),
    );
}

/// §6: "The processing of the PUBLISH request MUST be atomic": what a 200 has promised outlives a power failure.
#[test]
fn what_was_accepted_is_there_after_a_crash() {
    play(
        &[
            published("tag", "", "sip:bob@192.0.2.2"),
            "\nserver crashes\n".to_owned(),
            fetched("after", "...sip:bob@192.0.2.2..."),
            publish(&format!("{EVENT}  SIP-If-Match: {{tag}}\n"), "  200 OK"),
        ]
        .concat(),
    );
}

/// §6 step 3: the tag of another resource, or of another package, is unknown.
#[test]
fn section_6_step_3_tags_belong_to_resource_and_package() {
    let other = "
bob sends
  PUBLISH sip:carol@example.com
  Event: presence
  SIP-If-Match: {one}

bob receives 412 Conditional Request Failed

bob sends
  PUBLISH sip:bob@example.com
  Event: ua-profile
  SIP-If-Match: {one}

bob receives 412 Conditional Request Failed
";
    play_with(
        &["pa.events: ua-profile", "pa.publishers: presence *"],
        &[&published("one", "", "sip:bob@there"), other].concat(),
    );
}

/// §6 step 5: a type that isn't understood gets 415 with the ones that are, what isn't valid 400 with the reason.
#[test]
fn section_6_step_5_body() {
    let with = |headers: &str, body: &str, answer: &str| publish(&format!("{EVENT}{headers}\n  {body}\n"), answer);
    let pidf = "  Content-Type: application/pidf+xml\n";
    let unsupported = "  415 Unsupported Media Type\n  Accept: application/pidf+xml...\n";
    for steps in [
        with("  Content-Type: text/plain\n", "hello", unsupported),
        with("", "hello", unsupported),
        with(
            &format!("{pidf}  Content-Encoding: gzip\n"),
            "xxx",
            "  415 Unsupported Media Type\n  Accept-Encoding: identity\n",
        ),
        with(pidf, "<presence", "  400 Bad Document...\n"),
        with(
            pidf,
            "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>",
            "  400 Bad Document: <presence> has no entity\n",
        ),
        publish(EVENT, "  400 No Entity Tag And No Body\n"),
    ] {
        play(&steps);
    }
}

/// §6 step 5: with zero "The ESC MUST NOT store any event state as a result of such a request".
#[test]
fn section_6_step_5_an_initial_publication_of_no_time_is_not_stored() {
    let steps = [
        &*subscribed(EVENT),
        &published("one", "  Expires: 0\n", "sip:bob@there"),
        "\nalice receives nothing\n",
        &publish("  Event: presence\n  SIP-If-Match: {one}\n", "  412 Conditional Request Failed\n"),
    ];
    play(&steps.concat());
}

/// §6: Contact and Record-Route of a PUBLISH are ignored, and no response has a Record-Route.
#[test]
fn section_6_no_dialog_comes_of_it() {
    let headers = "  Record-Route: <sip:proxy.example.com;lr>\n  Contact: <sip:bob@{bob}>\n";
    let publish = published("one", headers, "sip:bob@there").replace("  200 OK\n", "  200 OK\n  !Record-Route\n");
    play(&publish);
}

/// §9: limits are refused clearly: the body's size, and how many publications one presentity has.
#[test]
fn section_9_limits() {
    let huge = "x".repeat(70_000);
    let body = format!("{EVENT}  Content-Type: application/pidf+xml\n\n  {huge}\n");
    play(&publish(&body, "  413 Request Entity Too Large\n"));
    let many: String = (0..64).map(|i| published(&format!("p{i}"), "", "sip:bob@there")).collect();
    let one_more =
        published("last", "", "sip:bob@there").replace("  200 OK\n  SIP-ETag: {last}\n", "  403 Limit Reached\n");
    play(&[many, one_more].concat());
}

/// §6 step 4: "a locally-configured default value", which may be another for publications than for subscriptions.
#[test]
fn section_6_step_4_the_default() {
    let steps = published("one", "", "sip:bob@there").replace("  200 OK\n", "  200 OK\n  Expires: 900\n");
    play_with(&["pa.default_publish_expiration: 900"], &steps);
}
