//! RFC 3856: the event package `presence`.

use crate::presence::{EVENT, IMPLICIT, notified, play, play_with, published, resubscribe, subscribed, subscribes};

fn fetch(headers: &str, answer: &str) -> String {
    subscribes(&[EVENT, "  Expires: 0\n", headers].concat(), answer)
}

/// §5: a presentity is named by a `pres:` URI, or by its SIP URI: it is the same one.
#[test]
fn section_5_presentities_are_named_by_pres_or_sip() {
    for uri in ["pres:bob@example.com", "sip:bob@example.com", "sips:bob@example.com", "sip:bob@EXAMPLE.COM;x=y"] {
        let open = notified(
            "  Content-Type: application/pidf+xml\n\n  ...\n  ...entity=\"pres:bob@example.com\"...sip:bob@there...\n",
        );
        let fetch = fetch("", "  200 OK").replace("sip:bob@example.com", uri);
        play(&[&*published("p", "", "sip:bob@there"), &fetch, &open].concat());
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
    let pidf = notified("  Content-Type: application/pidf+xml\n");
    for accept in
        ["", "  Accept: application/pidf+xml\n", "  Accept: application/*;q=0.1, text/html\n", "  Accept: */*\n"]
    {
        play(&[fetch(accept, "  200 OK"), pidf.clone()].concat());
    }
    for (accept, chosen) in [
        ("application/pidf+xml;q=0.5, application/cpim-pidf+xml", "application/cpim-pidf+xml"),
        ("application/*;q=0.5, application/xpidf+xml;q=0.6", "application/xpidf+xml"),
        ("text/*", "text/lpidf"),
        ("application/lpidf+xml", "application/lpidf+xml"),
        ("application/pidf+xml;q=0, application/rpid+xml;q=0.1", "application/rpid+xml"),
        ("*/*, application/pidf+xml;q=0.9", "application/cpim-pidf+xml"),
    ] {
        let told = notified(&format!("  Content-Type: {chosen}\n"));
        play(&[fetch(&format!("  Accept: {accept}\n"), "  200 OK"), told].concat());
    }
    for accept in ["  Accept: text/html\n", "  Accept: */*, application/*;q=0, text/*;q=0\n", "  Accept:\n"] {
        play(&fetch(accept, "  406 Not Acceptable"));
    }
}

/// §6.6.1, §6.7: before anybody has decided, NOTIFYs tell nothing of the presentity, not even that it is offline.
#[test]
fn section_6_6_pending_watchers_see_nothing() {
    let pending = notified("  Subscription-State: pending;expires=3600\n  Content-Length: 0\n  !Content-Type\n");
    let steps =
        [&*subscribes(EVENT, "  200 OK"), &pending, &published("p", "", "sip:bob@there"), "\nalice receives nothing\n"];
    play_with(IMPLICIT, &steps.concat());
}

/// §6.6.2: an authorization that is given later is told at once, and one that is taken back ends the subscription.
#[test]
fn section_6_6_2_authorization_changes() {
    let decide = |status: &str| {
        format!(
            "\nctl pa.authorize\n  uid: sip:bob@example.com\n  watcher: sip:alice@example.com\n  status: {status}\n"
        )
    };
    let steps = [
        &*subscribes(EVENT, "  200 OK"),
        &notified("  Subscription-State: pending...\n"),
        &decide("active"),
        &notified("  Subscription-State: active...\n  Content-Type: application/pidf+xml\n"),
        &decide("pending"),
        &notified("  Subscription-State: pending...\n  !Content-Type\n"),
        &decide("rejected"),
        &notified("  Subscription-State: terminated;reason=rejected\n  !Content-Type\n"),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §6.7: each change is told with the full state; what is registered counts as presence (§7.2).
#[test]
fn section_7_2_registrations_are_presence() {
    let register = |expires: u32| {
        format!(
            "\nbob sends\n  REGISTER sip:example.com\n  Contact: <sip:bob@{{bob}}>;q=0.7;expires={expires}\n\nbob receives 200 OK\n"
        )
    };
    let steps = [
        &*subscribed(EVENT),
        &register(600),
        &notified("\n  ...\n  ...<basic>open</basic>...priority=\"0.7\">sip:bob@...\n"),
        &register(600),
        "\nalice receives nothing\n",
        &register(0),
        &notified("\n  ...\n  ...<basic>closed</basic>...priority=\"0.7\">sip:bob@...\n"),
        "\ntime passes 19s\n\nalice receives nothing\n\ntime passes 400ms\n",
        &notified("\n  ...\n  ...<tuple id=\"none\"><status><basic>closed</basic>...\n"),
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
        &notified("\n  ...\n  ...sip:bob@elsewhere...\n"),
    ];
    play_with(&["pa.notify_min_interval: 5"], &steps.concat());
}

/// §6.7 and RFC 6665 §4.2.1.2: a watcher that refreshes is told the state.
#[test]
fn section_6_7_a_refresh_is_answered_with_the_state() {
    let steps = [
        &*subscribed(EVENT),
        &resubscribe(2, EVENT),
        "\nalice receives 200 OK\n",
        &notified("  Content-Type: application/pidf+xml\n"),
    ];
    play(&steps.concat());
}
