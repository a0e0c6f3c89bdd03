//! RFC 3857: the event package of watcher information, by its sections, over the wire.

use crate::presence::{EVENT, IMPLICIT, notified, play, play_with, subscribes, told_who_watches as told};

/// Alice asks to see Bob's presence; the subscription is in the given state.
fn watches(state: &str) -> String {
    format!(
        "
alice sends
  SUBSCRIBE sip:bob@example.com
  From: \"Alice\" <sip:alice@example.com>;tag=a
  To: <sip:bob@example.com>
  Call-ID: watching
  CSeq: 1 SUBSCRIBE
  Contact: <sip:alice@{{alice}}>
  Event: presence
  Expires: 600

alice receives
  200 OK
  To: <sip:bob@example.com>;tag={{tag}}

alice receives
  NOTIFY sip:alice@{{alice}}
  Subscription-State: {state};expires=600

alice answers 200 OK
"
    )
}

/// Alice asks once for Bob's presence, and gets a NOTIFY with these lines.
fn fetches(lines: &str) -> String {
    let ended = notified(&format!("  Subscription-State: terminated...\n{lines}"));
    [subscribes(&[EVENT, "  Expires: 0\n"].concat(), "  200 OK"), ended].concat()
}

/// The time of Alice's subscription runs out.
fn expires() -> String {
    ["\ntime passes 600s\n", &notified("  Subscription-State: terminated;reason=timeout\n")].concat()
}

/// The administrator decides about Alice, with these further parameters.
fn decides(parameters: &str) -> String {
    format!(
        "\nctl pa.authorize\n  uid: sip:bob@example.com\n  watcher: sip:alice@example.com\n{parameters}\n  ...subscriptions...\n"
    )
}

/// Bob asks who watches him, with these header lines.
fn asks(headers: &str) -> String {
    format!(
        "
bob sends
  SUBSCRIBE sip:bob@example.com
  To: <sip:bob@example.com>
  From: <sip:bob@example.com>;tag=b
  Call-ID: asking
  CSeq: 1 SUBSCRIBE
  Contact: <sip:bob@{{bob}}>
  Event: presence.winfo
{headers}
bob receives
  200 OK
  To: <sip:bob@example.com>;tag={{winfo}}
"
    )
}

/// §4.4: "We arbitrarily choose one hour".
#[test]
fn section_4_4_the_default_duration_is_an_hour() {
    let asks = asks("").replace("  200 OK\n", "  200 OK\n  Expires: 3600\n");
    play(&[&*asks, &told("state=\"full\"")].concat());
}

/// §4.5: "MUST support the application/watcherinfo+xml format"; without Accept it is what they get, and another type is not to be had.
#[test]
fn section_4_5_the_document_is_watcherinfo() {
    for accept in ["", "  Accept: application/watcherinfo+xml\n"] {
        play(&[&*asks(accept), &told("<watcherinfo ")].concat());
    }
    play(
        "
bob sends
  SUBSCRIBE sip:bob@example.com
  From: <sip:bob@example.com>;tag=b
  Contact: <sip:bob@{bob}>
  Event: presence.winfo
  Accept: application/pidf+xml

bob receives 406 Not Acceptable
",
    );
}

/// §4.7.2: notifications "triggered as a result of a fetch operation (a SUBSCRIBE with Expires of 0) SHOULD result in the full state".
#[test]
fn section_4_7_2_a_fetch_gets_the_full_state_once() {
    let fetch = asks("  Expires: 0\n");
    let all = told(
        "state=\"full\"><watcher-list resource=\"sip:bob@example.com\" package=\"presence\"><watcher status=\"active\"",
    );
    play(&[&*watches("active"), &fetch, &all, "\nbob receives nothing\n"].concat());
}

/// §4.6: the presentity itself is authorized to see its watchers, and by default nobody else.
#[test]
fn section_4_6_others_are_refused() {
    play(
        "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{alice}>
  Event: presence.winfo

alice receives 403 Forbidden
",
    );
}

/// §4.7.1: subscribe, no policy → pending; approved → active; timeout of an active one → terminated.
#[test]
fn section_4_7_1_pending_approved_terminated() {
    let steps = [
        &*asks(""),
        &told("version=\"0\" state=\"full\""),
        &watches("pending"),
        &told(
            "version=\"1\" state=\"partial\"...status=\"pending\"...event=\"subscribe\" display-name=\"Alice\" expiration=\"600\" duration-subscribed=\"0\">sip:alice@example.com<",
        ),
        &decides(""),
        &notified("  Subscription-State: active...\n"),
        &told("version=\"2\" state=\"partial\"...status=\"active\"...event=\"approved\""),
        &expires(),
        &told("version=\"3\" state=\"partial\"...status=\"terminated\"...event=\"timeout\""),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §4.7.1: rejected → terminated.
#[test]
fn section_4_7_1_rejected() {
    let steps = [
        &*asks(""),
        &told("state=\"full\""),
        &watches("pending"),
        &told("status=\"pending\""),
        &decides("  status: rejected\n"),
        &notified("  Subscription-State: terminated;reason=rejected...\n"),
        &told("status=\"terminated\"...event=\"rejected\""),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §4.7.1: a pending one that times out waits; a new subscription makes that redundant; after the giveup timer it is terminated.
#[test]
fn section_4_7_1_waiting_and_giveup() {
    let steps = [
        &*watches("pending"),
        &expires(),
        &asks(""),
        &told("state=\"full\"...status=\"waiting\"...event=\"timeout\""),
        &watches("pending").replace("Call-ID: watching", "Call-ID: again").replace("{tag}", "{second}"),
        &told(
            "state=\"partial\"...status=\"terminated\"...event=\"giveup\"...status=\"pending\"...event=\"subscribe\"",
        ),
        &expires(),
        &told("status=\"waiting\"...event=\"timeout\""),
        "\ntime passes 1200s\n",
        &told("status=\"terminated\"...event=\"giveup\""),
    ];
    play_with(&["pa.auth: implicit", "pa.winfo_waiting_expiration: 1200"], &steps.concat());
}

/// §4.7.1: "if the subscription is approved or denied", one that waits is terminated, whereupon it is no more.
#[test]
fn section_4_7_1_waiting_ends_with_a_decision() {
    for (status, event) in [("active", "approved"), ("rejected", "rejected")] {
        let decide = format!(
            "\nctl pa.authorize\n  uid: sip:bob@example.com\n  watcher: sips:alice@EXAMPLE.com\n  status: {status}\n\n  ...\"subscriptions\":[\"...\"]...\n"
        );
        let again = decide.replace("  ...\"subscriptions\":[\"...\"]...", "  error: there is no such subscription");
        let steps = [
            &*watches("pending"),
            &expires(),
            &asks(""),
            &told("status=\"waiting\""),
            &decide,
            &told(&format!("state=\"partial\"...status=\"terminated\"...event=\"{event}\"")),
            &again,
        ];
        play_with(IMPLICIT, &steps.concat());
    }
}

/// §4.7.2: "watcherinfo notifications SHOULD NOT be sent for any transient states": an authorized fetch is not told.
#[test]
fn section_4_7_2_an_authorized_fetch_is_not_told() {
    play(&[&*asks(""), &told("state=\"full\""), &fetches(""), "\nbob receives nothing\n"].concat());
}

/// §4.8 and RFC 3858 §4: after a refresh everything is told, and versions go on, also behind a restart.
#[test]
fn section_4_8_versions_go_on_behind_a_refresh_and_a_restart() {
    let refresh = |cseq: u32| {
        format!(
            "
bob sends
  SUBSCRIBE sip:bob@example.com
  To: <sip:bob@example.com>;tag={{winfo}}
  From: <sip:bob@example.com>;tag=b
  Call-ID: asking
  CSeq: {cseq} SUBSCRIBE
  Contact: <sip:bob@{{bob}}>
  Event: presence.winfo

bob receives 200 OK
"
        )
    };
    let steps = [
        &*watches("active"),
        &asks(""),
        &told("version=\"0\" state=\"full\"...status=\"active\""),
        &refresh(2),
        &told("version=\"1\" state=\"full\"...status=\"active\""),
        "\nserver crashes\n",
        &notified(""),
        &told("state=\"full\"...status=\"active\"...sip:alice@example.com"),
        &refresh(3),
        &told("state=\"full\"...status=\"active\"...sip:alice@example.com"),
    ];
    play(&steps.concat());
}

/// §3: nothing tells of the watchers of watcher information here; 489 says what there is.
#[test]
fn section_3_there_is_no_recursion() {
    play(
        "
bob sends
  SUBSCRIBE sip:bob@example.com
  From: <sip:bob@example.com>;tag=b
  Contact: <sip:bob@{bob}>
  Event: presence.winfo.winfo

bob receives
  489 Bad Event
  Allow-Events: presence, presence.winfo
",
    );
}

/// §4.7.1: the server deactivates a subscription, puts it on probation, gives it up, or its resource is gone: terminated, with that event.
#[test]
fn section_4_7_1_ended_by_the_server() {
    for reason in ["deactivated", "probation", "giveup", "noresource"] {
        let end = format!(
            "
ctl pa.terminate
  uid: sip:bob@example.com
  watcher: sip:alice@example.com
  reason: {reason}

  ...subscriptions...
"
        );
        let left = notified(&format!("  Subscription-State: terminated;reason={reason}...\n"));
        let ended = told(&format!("state=\"partial\"...status=\"terminated\"...event=\"{reason}\""));
        play_with(
            IMPLICIT,
            &[asks(""), told("state=\"full\""), watches("pending"), told("status=\"pending\""), end, left, ended]
                .concat(),
        );
    }
}

/// §4.7.1: with a policy that accepts, init → active at once; what follows from it is told as "subscribe".
#[test]
fn section_4_7_1_accepted_at_once() {
    let steps =
        [&*asks(""), &told("state=\"full\""), &watches("active"), &told("status=\"active\"...event=\"subscribe\"")];
    play(&steps.concat());
}

/// §4.7.1: "a user can fetch watcherinfo state at any time, and learn of any subscriptions that arrived previously": also of a fetch,
/// which "expires immediately".
#[test]
fn section_4_7_1_an_undecided_fetch_waits() {
    let waiting = told("state=\"full\"...status=\"waiting\"...event=\"timeout\"");
    play_with(IMPLICIT, &[fetches("  !Content-Type\n"), asks("  Expires: 0\n"), waiting].concat());
}

/// §4.10: the rate of notifications is bounded by `notify_min_interval` (RECOMMENDED: 5 s): what changes meanwhile is told together.
#[test]
fn section_4_10_rate_of_notifications() {
    let second = watches("pending")
        .replace("Call-ID: watching", "Call-ID: again")
        .replace("\"Alice\" <sip:alice@", "\"Other\" <sip:other@")
        .replace("{tag}", "{second}");
    let steps = [
        &*asks(""),
        &told("version=\"0\" state=\"full\""),
        &watches("pending"),
        &second,
        "\nbob receives nothing\n\ntime passes 5s\n",
        &told("version=\"1\" state=\"partial\"...sip:alice@example.com...sip:other@example.com"),
    ];
    play_with(&["pa.auth: implicit", "pa.notify_min_interval: 5"], &steps.concat());
}
