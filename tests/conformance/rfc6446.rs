//! RFC 6446: how often a subscriber is notified, at most and at least.

use crate::presence::{
    notified, notified_and_answered, play, play_with, published, resubscribe, subscribed, subscribes,
};

/// §4.2: "The notifier MUST reflect back the possibly adjusted rate control values in a […] Subscription-State header field parameter".
#[test]
fn section_4_2_rates_are_reflected() {
    let rates = "max-rate=0.5;min-rate=0.01;adaptive-min-rate=0.1";
    let steps = [
        &*subscribes(&format!("  Event: presence;{rates}\n"), "  200 OK"),
        &notified(&format!("  Event: presence\n  Subscription-State: active;expires=3600;{rates}\n")),
        "\ntime passes 10s\n",
        &notified(""),
    ];
    play(&steps.concat());
}

/// §9.2: a rate is a number above 0 and below 100.
#[test]
fn section_9_2_grammar() {
    for rate in ["0", "0.0", "100", "-1", "1e2", "fast", "0.00000000001"] {
        play(&subscribes(&format!("  Event: presence;max-rate={rate}\n"), "  400 Bad Rate In Event"));
    }
}

/// §5.2: no notification "if the interval since the most recent notification is less than the reciprocal value of the 'max-rate'"; what comes meanwhile
/// is told by one.
#[test]
fn section_5_2_changes_wait_and_coalesce() {
    let modified = published("q", "  SIP-If-Match: {p}\n", "sip:bob@elsewhere");
    let steps = [
        &subscribed("  Event: presence;max-rate=0.1\n"),
        "\ntime passes 5s\n",
        &published("p", "", "sip:bob@there"),
        &modified,
        "\nalice receives nothing\n\ntime passes 5s\n",
        &notified("  Content-Type: application/pidf+xml\n\n  ...sip:bob@elsewhere...\n"),
        "\ntime passes 60s\n\nalice receives nothing\n",
    ];
    play(&steps.concat());
}

/// §5.2: "except when generating the notification either upon receipt of a SUBSCRIBE request […] or upon termination".
#[test]
fn section_5_2_a_subscribe_is_answered_at_once() {
    let now = &notified("  Subscription-State: active...\n");
    let end = &notified("  Subscription-State: terminated;reason=timeout\n");
    let steps = [
        &subscribed("  Event: presence;max-rate=0.01\n"),
        &resubscribe(2, "  Event: presence;max-rate=0.01\n"),
        "\nalice receives 200 OK\n",
        now,
        &resubscribe(3, "  Event: presence;max-rate=0.01\n  Expires: 0\n"),
        "\nalice receives 200 OK\n",
        end,
    ];
    play(&steps.concat());
}

/// §5.1: "A subscriber that wishes to remove the maximum rate control […] MUST indicate so by not including a 'max-rate'".
#[test]
fn section_5_1_a_refresh_without_the_rate_removes_it() {
    let steps = [
        &subscribed("  Event: presence;max-rate=0.01\n"),
        &resubscribe(2, "  Event: presence\n"),
        "\nalice receives 200 OK\n",
        &notified("  Subscription-State: active;expires=3600\n"),
        &published("p", "", "sip:bob@there"),
        &notified(""),
        &published("q", "  SIP-If-Match: {p}\n", "sip:bob@elsewhere"),
        &notified(""),
    ];
    play(&steps.concat());
}

/// §5.1: a subscriber may change its rate in the 2xx to a NOTIFY.
#[test]
fn section_5_1_the_answer_to_a_notify_changes_the_rate() {
    let steps = [
        &*subscribes("  Event: presence;min-rate=0.01\n", "  200 OK"),
        &notified_and_answered("", "200 OK\n  Event: presence;min-rate=0.1"),
        "\ntime passes 10s\n",
        &notified("  Subscription-State: active;expires=3590;min-rate=0.1\n"),
    ];
    play(&steps.concat());
}

/// §5.3: a rate that "would result in no notification before the subscription expiration" is raised to the reciprocal of what is left.
#[test]
fn section_5_3_a_rate_that_would_let_nothing_through_is_raised() {
    let asked = subscribes("  Event: presence;max-rate=0.001\n  Expires: 100\n", "  200 OK");
    play(&[asked, notified("  Subscription-State: active;expires=100;max-rate=0.01\n")].concat());
}

/// §5.2: "When a local policy dictates a maximum rate for notifications, a notifier will not generate notifications more frequently".
#[test]
fn section_5_2_the_policy_of_the_server_counts_too() {
    let steps = [
        &subscribed("  Event: presence;max-rate=10\n"),
        &published("p", "", "sip:bob@there"),
        "\nalice receives nothing\n\ntime passes 3s\n\nalice receives nothing\n",
        &notified("  Subscription-State: active;expires=3596;max-rate=0.25\n"),
    ];
    play_with(&["pa.notify_min_interval: 4"], &steps.concat());
}

/// §6.2: "MUST generate notifications when […] the time since the most recent notification exceeds the reciprocal value of the 'min-rate'", also after a
/// crash.
#[test]
fn section_6_2_the_state_is_repeated_when_nothing_changes() {
    let steps = [
        &subscribed("  Event: presence;min-rate=0.1\n"),
        "\ntime passes 9s\n\nalice receives nothing\n\ntime passes 1s\n",
        &notified("  Content-Type: application/pidf+xml\n"),
        &published("p", "", "sip:bob@there"),
        &notified("  Content-Type: application/pidf+xml\n"),
        "\ntime passes 10s\n",
        &notified("  Content-Type: application/pidf+xml\n\n  ...open...\n"),
    ];
    play(&steps.concat());
}

/// §6.2: "the complete NOTIFY request or the NOTIFY request body can be suppressed if the state has not changed" (RFC 5839).
#[test]
fn section_6_2_a_watcher_that_knows_the_state_is_not_told_again() {
    let steps = [
        &subscribed("  Event: presence;min-rate=0.1\n"),
        &resubscribe(2, "  Event: presence;min-rate=0.1\n  Suppress-If-Match: {etag}\n"),
        "\nalice receives 204 No Notification\n\ntime passes 30s\n\nalice receives nothing\n",
    ];
    play(&steps.concat());
}

/// §7.4: with a history of having kept the rate the first timeout is its reciprocal; many notifications make the next one longer.
#[test]
fn section_7_4_the_timeout_adapts() {
    let steps = [
        &subscribed("  Event: presence;adaptive-min-rate=0.1\n"),
        "\ntime passes 9s\n\nalice receives nothing\n\ntime passes 1s\n",
        &notified(""),
        &published("p", "", "sip:bob@a"),
        &notified(""),
        &published("q", "  SIP-If-Match: {p}\n", "sip:bob@b"),
        &notified(""),
        "\ntime passes 12s\n\nalice receives nothing\n",
        &notified(""),
    ];
    play(&steps.concat());
}
