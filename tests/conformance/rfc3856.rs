//! RFC 3856: the event package `presence`.

use crate::presence::{play, play_with, published, resubscribe, subscribed};

const EVENT: &str = "  Event: presence\n";

fn fetch(uri: &str, headers: &str, answer: &str) -> String {
    format!(
        "
alice sends
  SUBSCRIBE {uri}
  Contact: <sip:alice@{{alice}}>
  Event: presence
  Expires: 0
{headers}
alice receives
{answer}"
    )
}

fn told(body: &str) -> String {
    format!("\nalice receives\n  NOTIFY sip:alice@{{alice}}\n{body}\nalice answers 200 OK\n")
}

/// §5: a presentity is named by a `pres:` URI, or by its SIP URI: it is the same one.
#[test]
fn section_5_presentities_are_named_by_pres_or_sip() {
    for uri in ["pres:bob@example.com", "sip:bob@example.com", "sips:bob@example.com", "sip:bob@EXAMPLE.COM;x=y"] {
        let open = told(
            "  Content-Type: application/pidf+xml\n\n  ...\n  ...entity=\"pres:bob@example.com\"...sip:bob@there...\n",
        );
        play(&[&*published("p", "", "sip:bob@there"), &fetch(uri, "", "  200 OK\n"), &open].concat());
    }
}

/// §6.4: subscriptions last an hour unless something else is said.
#[test]
fn section_6_4_the_default_duration_is_an_hour() {
    play(&subscribed(EVENT).replace("  200 OK\n", "  200 OK\n  Expires: 3600\n"));
}

/// §6.5: without Accept it is PIDF; nothing else than what Accept names is sent.
#[test]
fn section_6_5_documents_by_accept() {
    let pidf = told("  Content-Type: application/pidf+xml\n");
    for accept in
        ["", "  Accept: application/pidf+xml\n", "  Accept: application/*;q=0.1, text/html\n", "  Accept: */*\n"]
    {
        play(&[fetch("sip:bob@example.com", accept, "  200 OK\n"), pidf.clone()].concat());
    }
    for (accept, chosen) in [
        ("application/pidf+xml;q=0.5, application/cpim-pidf+xml", "application/cpim-pidf+xml"),
        ("application/*;q=0.5, application/xpidf+xml;q=0.6", "application/xpidf+xml"),
        ("text/*", "text/lpidf"),
        ("application/lpidf+xml", "application/lpidf+xml"),
        ("application/pidf+xml;q=0, application/rpid+xml;q=0.1", "application/rpid+xml"),
        ("*/*, application/pidf+xml;q=0.9", "application/cpim-pidf+xml"),
    ] {
        let told = told(&format!("  Content-Type: {chosen}\n"));
        play(&[fetch("sip:bob@example.com", &format!("  Accept: {accept}\n"), "  200 OK\n"), told].concat());
    }
    for accept in ["  Accept: text/html\n", "  Accept: */*, application/*;q=0, text/*;q=0\n", "  Accept:\n"] {
        play(&fetch("sip:bob@example.com", accept, "  406 Not Acceptable\n"));
    }
}

/// §6.6.1, §6.7: before anybody has decided, NOTIFYs tell nothing of the presentity, not even that it is offline.
#[test]
fn section_6_6_pending_watchers_see_nothing() {
    let subscribe = "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{alice}>
  Event: presence

alice receives 200 OK
";
    let pending = told("  Subscription-State: pending;expires=3600\n  Content-Length: 0\n  !Content-Type\n");
    let steps = [subscribe, &pending, &published("p", "", "sip:bob@there"), "\nalice receives nothing\n"];
    play_with(&["pa.auth: implicit"], &steps.concat());
}

/// §6.6.2: an authorization that is given later is told at once, and one that is taken back ends the subscription.
#[test]
fn section_6_6_2_authorization_changes() {
    let subscribe = "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{alice}>
  Event: presence

alice receives 200 OK
";
    let decide = |status: &str| {
        format!(
            "\nctl pa.authorize\n  uid: sip:bob@example.com\n  watcher: sip:alice@example.com\n  status: {status}\n"
        )
    };
    let steps = [
        subscribe,
        &told("  Subscription-State: pending...\n"),
        &decide("active"),
        &told("  Subscription-State: active...\n  Content-Type: application/pidf+xml\n"),
        &decide("pending"),
        &told("  Subscription-State: pending...\n  !Content-Type\n"),
        &decide("rejected"),
        &told("  Subscription-State: terminated;reason=rejected\n  !Content-Type\n"),
    ];
    play_with(&["pa.auth: implicit"], &steps.concat());
}

/// §6.7: each change is told with the full state; what is registered counts as presence (§7.1).
#[test]
fn section_7_1_registrations_are_presence() {
    let register = |expires: u32| {
        format!(
            "\nbob sends\n  REGISTER sip:example.com\n  Contact: <sip:bob@{{bob}}>;q=0.7;expires={expires}\n\nbob receives 200 OK\n"
        )
    };
    let steps = [
        &*subscribed(EVENT),
        &register(600),
        &told("\n  ...\n  ...<basic>open</basic>...priority=\"0.7\">sip:bob@...\n"),
        &register(600),
        "\nalice receives nothing\n",
        &register(0),
        &told("\n  ...\n  ...<basic>closed</basic>...priority=\"0.7\">sip:bob@...\n"),
        "\ntime passes 19s\n\nalice receives nothing\n\ntime passes 400ms\n",
        &told("\n  ...\n  ...<tuple id=\"none\"><status><basic>closed</basic>...\n"),
    ];
    play(&steps.concat());
}

/// §6.10: notifications are held back by `notify_min_interval`; the newest state is told when it is over.
#[test]
fn section_6_10_rate_of_notifications() {
    let steps = [
        &*subscribed(EVENT),
        &published("p", "", "sip:bob@there"),
        &published("q", "  SIP-If-Match: {p}\n", "sip:bob@elsewhere"),
        "\nalice receives nothing\n\ntime passes 4s\n\nalice receives nothing\n",
        &told("\n  ...\n  ...sip:bob@elsewhere...\n"),
    ];
    play_with(&["pa.notify_min_interval: 5"], &steps.concat());
}

/// §6.9 and RFC 6665 §4.2.1.4: a watcher that refreshes is told the state.
#[test]
fn section_6_7_a_refresh_is_answered_with_the_state() {
    let steps = [
        &*subscribed(EVENT),
        &resubscribe(2, EVENT),
        "\nalice receives 200 OK\n",
        &told("  Content-Type: application/pidf+xml\n"),
    ];
    play(&steps.concat());
}
