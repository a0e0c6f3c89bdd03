//! The notifier, over the wire: what happens to a subscription after its beginning, and dialogs.

use crate::presence::{
    EVENT, IMPLICIT, notified, notified_and_answered, play, play_with, published, resubscribe, subscribed, subscribes,
};

/// §4.2.1.1, RFC 3261 §8.2.2.3: an extension that is required and unknown gets 420.
#[test]
fn section_4_2_1_1_required_extensions() {
    play(&subscribes("  Event: presence\n  Require: a, b\n", "  420 Bad Extension\n  Unsupported: a, b\n"));
}

/// §8.3.1: "MUST NOT generate 202 response codes to SUBSCRIBE or NOTIFY requests": also a pending subscription gets 200, and a NOTIFY at once
/// (§4.2.1.2).
#[test]
fn section_4_2_1_2_always_200_and_a_notify_at_once() {
    let accepted = subscribes(EVENT, "  200 OK\n");
    play_with(IMPLICIT, &[accepted, notified("  Subscription-State: pending;expires=3600\n")].concat());
}

/// §4.2.1.4, RFC 3261 §12.2.2: a refresh whose CSeq goes back gets 500 and changes nothing.
#[test]
fn section_4_2_1_4_a_cseq_that_goes_back() {
    let steps = [
        &*subscribed(EVENT),
        &resubscribe(9, EVENT),
        "\nalice receives 200 OK\n",
        &notified(""),
        &resubscribe(8, "  Event: presence\n  Expires: 0\n"),
        "\nalice receives 500 CSeq Out Of Order\n\nalice receives nothing\n",
        &published("p", "", "sip:bob@there"),
        &notified("  Subscription-State: active...\n"),
    ];
    play(&steps.concat());
}

/// §4.2.1.4: Accept is looked at anew at each refresh.
#[test]
fn section_4_2_1_4_accept_at_a_refresh() {
    let steps = [
        &*subscribed(EVENT),
        &resubscribe(2, "  Event: presence\n  Accept: text/html\n"),
        "\nalice receives 406 Not Acceptable\n\nalice receives nothing\n",
        &resubscribe(3, "  Event: presence\n  Accept: application/*\n"),
        "\nalice receives 200 OK\n",
        &notified("  Content-Type: application/pidf+xml\n"),
    ];
    play(&steps.concat());
}

/// §4.2.1.4: a new Contact in a refresh moves the subscription there (RFC 3261 §12.2.2).
#[test]
fn section_4_2_1_4_a_refresh_moves_the_target() {
    let moved = resubscribe(2, EVENT).replace("Contact: <sip:alice@{alice}>", "Contact: <sip:alice-moved@{alice}>");
    let told = "\nalice receives\n  NOTIFY sip:alice-moved@{alice}\n\nalice answers 200 OK\n";
    play(&[&*subscribed(EVENT), &moved, "\nalice receives 200 OK\n", told].concat());
}

/// §4.2.2: other failures leave it, and a Retry-After is kept to: the state is told again when it is over.
#[test]
fn section_4_2_2_retry_after() {
    let again = |answer: &str, wait: &str| {
        let steps = [
            &*subscribed(EVENT),
            &published("p", "", "sip:bob@there"),
            &notified_and_answered("", answer),
            wait,
            &notified("\n  ...\n  ...sip:bob@there...\n"),
        ];
        play(&steps.concat());
    };
    again("503 Busy\n  Retry-After: 30", "\ntime passes 29s\n\nalice receives nothing\n\ntime passes 600ms\n");
    let steps = [
        &*subscribed(EVENT),
        &published("p", "", "sip:bob@there"),
        &notified_and_answered("", "500 Oops"),
        "\ntime passes 60s\n\nalice receives nothing\n",
    ];
    play(&steps.concat());
}

/// §4.2.2: "If the NOTIFY request fails due to expiration of SIP Timer F" the subscription is removed, unless `ignore_408_on_notify` says otherwise.
#[test]
fn section_4_2_2_timeouts() {
    let silence = "\nnetwork loses 11 packets to alice\n";
    let unanswered =
        [&*subscribed(EVENT), silence, &published("p", "", "sip:bob@there"), "\ntime passes 40s\n"].concat();
    let refresh = resubscribe(2, EVENT);
    play(&[&*unanswered, &refresh, "\nalice receives 481 Subscription Does Not Exist\n"].concat());
    let alive = [&*unanswered, &refresh, "\nalice receives 200 OK\n", &notified("")];
    play_with(&["pa.ignore_408_on_notify: 1"], &alive.concat());
}

/// §4.2.2, by parameter: whether a NOTIFY that is challenged ends the subscription.
#[test]
fn section_4_2_2_challenges() {
    let challenged = [
        &*subscribed(EVENT),
        &published("p", "", "sip:bob@there"),
        &notified_and_answered("", "401 Unauthorized"),
        &resubscribe(2, EVENT),
    ]
    .concat();
    play(&[&*challenged, "\nalice receives 200 OK\n", &notified("")].concat());
    play_with(
        &["pa.ignore_401_on_notify: 0"],
        &[&*challenged, "\nalice receives 481 Subscription Does Not Exist\n"].concat(),
    );
}

/// §4.2.2: NOTIFYs do not overtake each other: what changes while one is on its way is told by one more.
#[test]
fn section_4_2_2_changes_coalesce_while_a_notify_is_on_its_way() {
    let steps = [
        &*subscribed(EVENT),
        &published("p", "", "sip:bob@a"),
        "\nalice receives\n  NOTIFY sip:alice@{alice}\n  CSeq: 2 NOTIFY\n\n  ...\n  ...sip:bob@a...\n",
        &published("q", "  SIP-If-Match: {p}\n", "sip:bob@b"),
        &published("r", "  SIP-If-Match: {q}\n", "sip:bob@c"),
        "\nalice answers 200 OK\n",
        &notified("  CSeq: 3 NOTIFY\n\n  ...\n  ...sip:bob@c...\n"),
        "\nalice receives nothing\n",
    ];
    play(&steps.concat());
}

/// §4.4.1: a dialog that is not known gets 481.
#[test]
fn section_4_4_1_unknown_dialogs() {
    let nonsense = resubscribe(2, EVENT).replace("{tag}", "nonsense");
    play(&[&*nonsense, "\nalice receives 481 Subscription Does Not Exist\n"].concat());
    let another = resubscribe(2, EVENT).replace("Call-ID: watching", "Call-ID: another");
    play(&[&*subscribed(EVENT), &another, "\nalice receives 481 Subscription Does Not Exist\n"].concat());
}

/// §4.1.3, §4.4.2: reasons, with the time after which to try again where that means something.
#[test]
fn section_4_1_3_reasons() {
    for (reason, state) in [
        ("deactivated", "deactivated"),
        ("probation", "probation;retry-after=60"),
        ("rejected", "rejected"),
        ("timeout", "timeout"),
        ("giveup", "giveup;retry-after=60"),
        ("noresource", "noresource"),
    ] {
        let end = format!("\nctl pa.terminate\n  uid: sip:bob@example.com\n  reason: {reason}\n  retry_after: 60\n");
        let told = notified(&format!("  Subscription-State: terminated;reason={state}\n"));
        play(&[&*subscribed(EVENT), &end, &told].concat());
    }
}

/// §4.5.1: our own Contact is a GRUU; §4.5.2: so dialogs are not shared, which a 403 says.
#[test]
fn section_4_5_dialogs_are_not_shared() {
    let steps = [
        &*subscribed(EVENT).replace("  200 OK\n", "  200 OK\n  Contact: <sip:{server};gr>\n"),
        &resubscribe(2, "  Event: dialog\n"),
        "\nalice receives 403 Dialog Sharing Not Supported\n",
        &resubscribe(3, "  Event: presence;id=2\n"),
        "\nalice receives 403 Dialog Sharing Not Supported\n",
    ];
    play_with(&["pa.events: dialog"], &steps.concat());
}

/// §8.2.1: the `id` of Event is that of the SUBSCRIBE in each NOTIFY, and a refresh must have it.
#[test]
fn section_8_2_1_the_id_of_an_event() {
    let steps = [
        &*subscribed("  Event: presence;id=7;x=y\n").replace("  SIP-ETag", "  Event: presence;id=7\n  SIP-ETag"),
        &resubscribe(2, "  Event: presence;id=7\n"),
        "\nalice receives 200 OK\n",
        &notified("  Event: presence;id=7\n"),
    ];
    play(&steps.concat());
}

/// RFC 5626 §5.3: over a connection the NOTIFY comes back by that connection, whatever the Contact says.
#[test]
fn section_4_2_2_notifies_come_back_over_the_connection() {
    signalbox_tests::scenario::run_text(
        "
server
  script: tests/scenarios/scripts/presence.lua
  load: pa
  pa.db_url: {db}
  pa.auth: none

phone alice <sip:alice@example.com> at 192.0.2.1:40000 over tcp

alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@203.0.113.9:5060;transport=tcp>
  Event: presence

alice receives 200 OK

alice receives
  NOTIFY sip:alice@203.0.113.9:5060;transport=tcp

alice answers 200 OK
",
    );
}
