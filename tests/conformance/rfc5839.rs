//! RFC 5839: entity tags in notifications, and subscriptions on the condition that something changed.

use crate::presence::{EVENT, IMPLICIT, notified, play, play_with, published, resubscribe, subscribed, subscribes};

fn knowing(tag: &str, more: &str) -> String {
    format!("{EVENT}  Suppress-If-Match: {tag}\n{more}")
}

/// §5.4: a fetch that knows the state gets a NOTIFY without body that mirrors the tag.
#[test]
fn section_5_4_polling() {
    let poll = subscribes(&knowing("{etag}", "  Expires: 0\n"), "  200 OK");
    let told = notified(
        "  Subscription-State: terminated;reason=timeout\n  SIP-ETag: {etag}\n  Content-Length: 0\n  !Content-Type\n",
    );
    play(&[subscribed(&format!("{EVENT}  Expires: 0\n")), poll, told].concat());
}

/// Alice subscribes once more, outside of a dialog.
fn resumes() -> String {
    subscribes(&knowing("{etag}", "  Call-ID: again\n"), "  200 OK")
}

/// §5.5, §6.2: outside of a dialog the NOTIFY comes in any case, without body where the condition holds.
#[test]
fn section_5_5_resuming_a_subscription() {
    let told = notified("  Subscription-State: active...\n  SIP-ETag: {etag}\n  !Content-Type\n");
    play(&[subscribed(&format!("{EVENT}  Expires: 0\n")), resumes(), told].concat());
}

/// §5.5: "Had the entity-tag not been valid any longer, the condition would have evaluated to false, and the NOTIFY would have had a body".
#[test]
fn section_5_5_resuming_with_a_stale_tag() {
    let told = notified("  Content-Type: application/pidf+xml\n\n  ...open...\n");
    let published = published("p", "", "sip:bob@there");
    play(&[subscribed(&format!("{EVENT}  Expires: 0\n")), published, resumes(), told].concat());
}

/// §5.6, §6.3: within the dialog there is a 204 with the new time, and no NOTIFY.
#[test]
fn section_6_3_a_refresh_that_knows_the_state_gets_204() {
    let quiet = "
alice receives
  204 No Notification
  Expires: 900

alice receives nothing

time passes 899s

alice receives nothing

alice receives
  NOTIFY sip:alice@{alice}
  Subscription-State: terminated;reason=timeout

alice answers 200 OK
";
    play(&[&subscribed(EVENT), &resubscribe(2, &knowing("{etag}", "  Expires: 900\n")), quiet].concat());
}

/// §6.3: "As long as the condition remains true"; when the state changes it is no longer, and the change is told with a new tag.
#[test]
fn section_6_3_a_change_is_told_and_ends_the_condition() {
    let quiet = "
alice receives 204 No Notification
";
    let told = "
alice receives
  NOTIFY sip:alice@{alice}
  SIP-ETag: {newer}
  Content-Type: application/pidf+xml

alice answers 200 OK
";
    let back = "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
  SIP-If-Match: {p}
  Expires: 0

bob receives 200 OK

alice receives
  NOTIFY sip:alice@{alice}
  SIP-ETag: {etag}
  Content-Type: application/pidf+xml

alice answers 200 OK
";
    let refresh = resubscribe(2, &knowing("{etag}", ""));
    // In the end the state is the one that the watcher named: but by then it knew another one.
    play(&[&subscribed(EVENT), &refresh, quiet, &published("p", "", "sip:bob@there"), told, back].concat());
}

/// §5.2: "Such a wildcard condition effectively quenches a subscription", until a SUBSCRIBE without it.
#[test]
fn section_5_2_the_star_quenches_a_subscription_also_across_a_crash() {
    let quenched = "
alice receives 204 No Notification
";
    let change = "
alice receives nothing

server crashes
";
    let awake = "
alice receives 200 OK

alice receives
  NOTIFY sip:alice@{alice}
  Content-Type: application/pidf+xml

  ...sip:bob@elsewhere...

alice answers 200 OK
";
    let steps = [
        &subscribed(EVENT),
        &resubscribe(2, &knowing("*", "")),
        quenched,
        &published("p", "", "sip:bob@there"),
        change,
        &published("q", "", "sip:bob@elsewhere"),
        "\nalice receives nothing\n",
        &resubscribe(3, EVENT),
        awake,
    ];
    play(&steps.concat());
}

/// §5.7: an unsubscription that knows the state ends with the 204.
#[test]
fn section_5_7_terminating_a_subscription() {
    let ended = "
alice receives
  204 No Notification
  Expires: 0

alice receives nothing
";
    let gone = "
alice receives 481 Subscription Does Not Exist
";
    let steps = [
        &subscribed(EVENT),
        &resubscribe(2, &knowing("{etag}", "  Expires: 0\n")),
        ended,
        &published("p", "", "sip:bob@there"),
        "\nalice receives nothing\n",
        &resubscribe(3, EVENT),
        gone,
    ];
    play(&steps.concat());
}

/// §6.1: "The notifier MUST remember (or be able to recalculate) the entity-tag of an entity as long as the version of the entity is current."
#[test]
fn section_6_1_a_tag_is_valid_after_a_crash() {
    let quiet = "
alice receives 204 No Notification

alice receives nothing
";
    let published = published("p", "", "sip:bob@there");
    let told = "
alice receives
  NOTIFY sip:alice@{alice}
  SIP-ETag: {current}

alice answers 200 OK

server crashes

alice receives
  NOTIFY sip:alice@{alice}
  SIP-ETag: {current}

alice answers 200 OK
";
    play(&[&subscribed(EVENT), &published, told, &resubscribe(2, &knowing("{current}", "")), quiet].concat());
}

/// §7.1: 204 "is valid only in response to a SUBSCRIBE message sent within an established dialog"; who may see nothing has no tag.
#[test]
fn section_7_1_a_pending_watcher_has_no_tag() {
    let told = notified("  Subscription-State: pending...\n  !SIP-ETag\n");
    play_with(IMPLICIT, &[subscribes(&knowing("*", ""), "  200 OK"), told].concat());
}
