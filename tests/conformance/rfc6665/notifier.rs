//! §4.2: the notifier, over the virtual network.

use crate::presence::{
    EVENT, notified, notified_and_answered, play, play_with, published, resubscribe, subscribed, subscribes,
};

/// §4.2.1.1: an unknown package is 489.
#[test]
fn section_4_2_1_1_event() {
    play(&subscribes("  Event: unheard-of\n", "  489 Bad Event\n  Allow-Events: presence..."));
}

/// §4.2.3: "The \"Event\" header field is considered mandatory". That section would have 489 without it (SHOULD); we answer 400, so that a
/// client can tell a fault of its own from a package that is not to be had.
#[test]
fn section_4_2_3_event_is_mandatory() {
    play(&subscribes("", "  400 Missing Event"));
}

/// §4.2.1.1: 423 "If and only if the expiration interval is greater than zero AND smaller than one hour AND less than a
/// notifier-configured minimum".
#[test]
fn section_4_2_1_1_too_brief() {
    let refused = "  423 Interval Too Brief\n  Min-Expires: 60";
    play(
        &[subscribes("  Event: presence\n  Expires: 59\n", refused), subscribed("  Event: presence\n  Expires: 60\n")]
            .concat(),
    );
    play(&subscribed("  Event: presence\n  Expires: 0\n"));
}

/// §4.2.1.1: "the server MAY shorten the interval but MUST NOT lengthen it".
#[test]
fn section_4_2_1_1_the_time_is_not_lengthened() {
    let answer = |expires: u32| format!("  200 OK\n  Expires: {expires}");
    let first = notified("  Subscription-State: active;expires=60\n");
    play(&[subscribes("  Event: presence\n  Expires: 60\n", &answer(60)), first].concat());
    let first = notified("  Subscription-State: active;expires=120\n");
    play_with(
        &["pa.max_subscription_expiration: 120"],
        &[subscribes("  Event: presence\n  Expires: 6000\n", &answer(120)), first].concat(),
    );
}

/// §4.2.1.2: "notifiers MUST send a NOTIFY request immediately" after accepting and after refreshing, "on the same dialog".
#[test]
fn section_4_2_1_2_each_success_is_followed_by_a_notified() {
    play(
        &[
            subscribed("  Event: presence\n  Expires: 600\n"),
            "\ntime passes 100s\n".to_owned(),
            resubscribe(2, "  Event: presence\n  Expires: 900\n"),
            "\nalice receives\n  200 OK\n  Expires: 900\n".to_owned(),
            notified("  From: <sip:bob@example.com>;tag={tag}\n  To: <sip:alice@example.com>;tag=alice\n  Call-ID: watching\n  CSeq: 2 NOTIFY\n  Subscription-State: active;expires=900\n  Event: presence\n"),
        ]
        .concat(),
    );
}

/// §4.2.1.4: a refresh that is too brief is 423; a subscription that is gone is 481.
#[test]
fn section_4_2_1_4_refreshes_that_are_refused() {
    play(
        &[
            subscribed("  Event: presence\n  Expires: 600\n"),
            resubscribe(2, "  Event: presence\n  Expires: 5\n"),
            "\nalice receives\n  423 Interval Too Brief\n  Min-Expires: 60\n".to_owned(),
            resubscribe(3, "  Event: presence\n  Expires: 0\n"),
            "\nalice receives 200 OK\n".to_owned(),
            notified("  Subscription-State: terminated;reason=timeout\n"),
            resubscribe(4, "  Event: presence\n"),
            "\nalice receives 481\n".to_owned(),
        ]
        .concat(),
    );
}

/// §4.2.1.4: "When removing a subscription, the notifier SHOULD send a NOTIFY request with a "Subscription-State" value of
/// "terminated"", with "reason=timeout"; after it nothing more is told.
#[test]
fn section_4_2_1_4_what_is_not_refreshed_ends() {
    play(
        &[
            subscribed("  Event: presence\n  Expires: 60\n"),
            "\ntime passes 60s\n".to_owned(),
            notified("  Subscription-State: terminated;reason=timeout\n"),
            published("tag2", "", "sip:bob@192.0.2.2"),
            "\nalice receives nothing\n".to_owned(),
        ]
        .concat(),
    );
}

/// §4.2.2: "When a change in the subscribed state occurs, the notifier SHOULD immediately construct and send a NOTIFY".
#[test]
fn section_4_2_2_changes_are_told_with_the_time_that_is_left() {
    play(
        &[
            subscribed("  Event: presence\n  Expires: 600\n"),
            "\ntime passes 100s\n".to_owned(),
            published("tag2", "", "sip:bob@192.0.2.2"),
            notified("  CSeq: 2 NOTIFY\n  Subscription-State: active;expires=500\n  Content-Type: application/pidf+xml\n\n  ...<basic>open</basic>...\n"),
        ]
        .concat(),
    );
}

/// §4.2.2: "If the NOTIFY transaction fails due to the receipt of a 404, 405, 410, 416, 480-485, 489, 501, or 604 response
/// […], the notifier MUST remove the corresponding subscription."
#[test]
fn section_4_2_2_refused_notifies_end_the_subscription() {
    for status in ["404 Not Found", "481 Subscription Does Not Exist", "489 Bad Event", "604 Does Not Exist Anywhere"] {
        let refuses = notified_and_answered("", status);
        play(
            &[
                subscribed(EVENT),
                published("a", "", "sip:a@192.0.2.2"),
                refuses,
                published("b", "  SIP-If-Match: {a}\n", "sip:b@192.0.2.2"),
                "\nalice receives nothing\n".to_owned(),
                resubscribe(2, EVENT),
                "\nalice receives 481\n".to_owned(),
            ]
            .concat(),
        );
    }
}

/// §4.2.2: any other refusal leaves it: the next change is told.
#[test]
fn section_4_2_2_other_refusals_leave_the_subscription() {
    play(
        &[
            subscribed(EVENT),
            published("a", "", "sip:a@192.0.2.2"),
            notified_and_answered("", "500 Server Internal Error"),
            published("b", "  SIP-If-Match: {a}\n", "sip:b@192.0.2.2"),
            notified("  Subscription-State: active...\n"),
        ]
        .concat(),
    );
}

/// §4.2.2: "If the NOTIFY request fails due to expiration of SIP Timer F (transaction timeout), the notifier SHOULD remove
/// the subscription."
#[test]
fn section_4_2_2_a_watcher_that_is_gone_is_given_up() {
    play(
        &[
            subscribed(EVENT),
            // All that are sent of one NOTIFY in 32 seconds.
            "\nnetwork loses 11 packets to alice\n".to_owned(),
            published("a", "", "sip:a@192.0.2.2"),
            "\ntime passes 40s\n".to_owned(),
            published("b", "  SIP-If-Match: {a}\n", "sip:b@192.0.2.2"),
            "\nalice receives nothing\n".to_owned(),
        ]
        .concat(),
    );
}

/// §4.4.3: "polling": a SUBSCRIBE with Expires 0 outside of any dialog gets one NOTIFY, with the state.
#[test]
fn section_4_4_3_polling() {
    play(
        &[
            published("a", "", "sip:a@192.0.2.2"),
            subscribes("  Event: presence\n  Expires: 0\n", "  200 OK\n  Expires: 0"),
            notified("  Subscription-State: terminated;reason=timeout\n\n  ...<basic>open</basic>...\n"),
            published("b", "  SIP-If-Match: {a}\n", "sip:b@192.0.2.2"),
            "\nalice receives nothing\n".to_owned(),
        ]
        .concat(),
    );
}
