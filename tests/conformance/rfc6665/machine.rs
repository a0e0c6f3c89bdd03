//! Both sides of a subscription, as machines without a network.

use std::time::{Duration, Instant};

use signalbox_sip::dialog::notifier::{Delivery, Notification, Policy};
use signalbox_sip::dialog::subscriber::{Reported, Step, SubscriberState};
use signalbox_sip::dialog::subscription::{Reason, Resubscribe, State};
use signalbox_sip::dialog::{Notifier, Subscriber};

const HOUR: Duration = Duration::from_secs(3600);
const TIMER_N: Duration = Duration::from_secs(32);
const POLICY: Policy = Policy { min_interval: Duration::ZERO, keep_on_timeout: false, end_on_challenge: false };

fn said(notification: Option<Notification>) -> String {
    notification.map(|notification| notification.to_string()).unwrap_or_default()
}

/// A subscription whose first NOTIFY is answered.
fn established(state: State, now: Instant) -> Notifier {
    let mut notifier = Notifier::new(state, HOUR, now);
    assert!(notifier.poll(&POLICY, now).is_some());
    assert_eq!(notifier.on_response(200, None, &POLICY, now), Delivery::Delivered);
    notifier
}

fn subscribed(now: Instant) -> Subscriber {
    let mut subscriber = Subscriber::new(TIMER_N, now);
    assert_eq!(subscriber.on_response(200, Some(HOUR), now), None);
    assert_eq!(subscriber.on_notify(Reported::Active { expires: Some(HOUR) }, now), None);
    subscriber
}

/// §4.1.2.2: "If a SUBSCRIBE request to refresh a subscription receives a 404, 405, 410, 416, 480-485, 489, 501, or 604
/// response, the subscriber MUST consider the subscription terminated."
#[test]
fn section_4_1_2_2_refusals_that_end_a_subscription() {
    let now = Instant::now();
    for status in 300..700 {
        let mut subscriber = subscribed(now);
        subscriber.on_sent(false, TIMER_N, now);
        let ended = subscriber.on_response(status, None, now).is_some();
        let listed = matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604);
        assert_eq!(ended, listed, "{status}");
    }
}

/// §4.1.2.2: "the original subscription is still considered valid for the duration of the most recently known 'Expires'
/// value".
#[test]
fn section_4_1_2_2_other_refusals_leave_it_until_it_expires() {
    let now = Instant::now();
    let mut subscriber = subscribed(now);
    subscriber.on_sent(false, TIMER_N, now + HOUR / 2);
    subscriber.on_response(500, None, now + HOUR / 2);
    assert_eq!(subscriber.poll(now + HOUR / 2 + TIMER_N), None);
    assert_eq!(subscriber.expires(), Some(now + HOUR));
}

/// §4.1.2.2: "If this Timer N expires prior to the receipt of a NOTIFY request, the subscriber considers the subscription
/// terminated."
#[test]
fn section_4_1_2_2_a_refresh_without_notify_ends_it() {
    let now = Instant::now();
    let mut subscriber = subscribed(now);
    subscriber.on_sent(false, TIMER_N, now);
    assert_eq!(subscriber.on_response(200, Some(HOUR), now), None);
    assert_eq!(subscriber.poll(now + TIMER_N), Some(Step::Ended(Resubscribe::AnyTime)));
}

/// §4.1.2.2: "a success response […] that indicates that no NOTIFY request will be generated -- such as the 204 […] MUST
/// cancel Timer N."
#[test]
fn section_4_1_2_2_a_204_cancels_timer_n() {
    let now = Instant::now();
    let mut subscriber = subscribed(now);
    subscriber.on_sent(false, TIMER_N, now);
    subscriber.on_response(204, Some(HOUR), now);
    assert_eq!(subscriber.poll(now + TIMER_N), None);
}

/// §4.1.2.4: "If this Timer N expires prior to the receipt of a NOTIFY request, the subscriber considers the subscription
/// failed".
#[test]
fn section_4_1_2_4_a_subscription_without_notify_fails() {
    let now = Instant::now();
    let mut subscriber = Subscriber::new(TIMER_N, now);
    assert_eq!(subscriber.deadline(), Some(now + TIMER_N));
    assert_eq!(subscriber.poll(now + TIMER_N), Some(Step::Ended(Resubscribe::AnyTime)));
}

/// §4.1.2.4: "the subscriber MUST be prepared to receive NOTIFY requests before the SUBSCRIBE transaction has completed."
#[test]
fn section_4_1_2_4_notify_before_the_200() {
    let now = Instant::now();
    let mut subscriber = Subscriber::new(TIMER_N, now);
    subscriber.on_notify(Reported::Pending { expires: Some(HOUR) }, now);
    assert_eq!(subscriber.state(), SubscriberState::Pending);
    assert_eq!(subscriber.on_response(200, Some(HOUR), now), None);
    assert_eq!(subscriber.poll(now + TIMER_N), None);
}

/// §4.1.2.4: each NOTIFY from another destination "establishes a new dialog usage and a new subscription".
#[test]
fn section_4_1_2_4_forks_are_subscriptions_of_their_own() {
    let now = Instant::now();
    let waiting = Subscriber::new(TIMER_N, now);
    let (mut first, mut second) = (waiting, waiting);
    first.on_notify(Reported::Active { expires: Some(HOUR) }, now);
    second.on_notify(Reported::Terminated { reason: Some(Reason::NoResource), retry_after: None }, now);
    assert_eq!((first.state(), second.state()), (SubscriberState::Active, SubscriberState::Terminated));
}

/// §4.1.3: "If the header field also contains an 'expires' parameter, the subscriber SHOULD take it as the authoritative
/// subscription duration".
#[test]
fn section_4_1_3_the_notify_says_how_long() {
    let now = Instant::now();
    let mut subscriber = subscribed(now);
    subscriber.on_notify(Reported::Active { expires: Some(HOUR / 2) }, now);
    assert_eq!(subscriber.expires(), Some(now + HOUR / 2));
}

/// §4.1.3: what each reason means for a new subscription.
#[test]
fn section_4_1_3_reasons() {
    let (minute, now) = (Duration::from_secs(60), Instant::now());
    for (reason, expected) in [
        (Reason::Deactivated, Resubscribe::Now),
        (Reason::Probation, Resubscribe::After(minute)),
        (Reason::Rejected, Resubscribe::Never),
        (Reason::Timeout, Resubscribe::AnyTime),
        (Reason::GiveUp, Resubscribe::After(minute)),
        (Reason::NoResource, Resubscribe::Never),
        (Reason::Invariant, Resubscribe::Never),
    ] {
        let reported = Reported::Terminated { reason: Some(reason), retry_after: Some(minute) };
        assert_eq!(subscribed(now).on_notify(reported, now), Some(Step::Ended(expected)), "{reason}");
    }
}

/// §4.2.1.2: "Upon successfully accepting or refreshing a subscription, notifiers MUST send a NOTIFY request immediately
/// […] regardless of whether the subscription has already been authorized."
#[test]
fn section_4_2_1_2_a_notify_at_once() {
    let now = Instant::now();
    let mut notifier = Notifier::new(State::Pending, HOUR, now);
    assert_eq!(said(notifier.poll(&POLICY, now)), "pending;expires=3600");
    assert_eq!(notifier.on_response(200, None, &POLICY, now), Delivery::Delivered);
    assert!(notifier.on_subscribe(HOUR, now + HOUR / 2));
    assert_eq!(said(notifier.poll(&POLICY, now + HOUR / 2)), "pending;expires=3600");
}

/// §4.2.1.3: delayed authorization that is declined: "terminated" with "rejected".
#[test]
fn section_4_2_1_3_rejected_later() {
    let now = Instant::now();
    let mut notifier = established(State::Pending, now);
    notifier.terminate(Reason::Rejected, None);
    assert_eq!(said(notifier.poll(&POLICY, now)), "terminated;reason=rejected");
}

/// §4.2.1.4: "If no refresh for a notification address is received before its expiration time, the subscription is
/// removed. […] the notifier SHOULD send a NOTIFY request with […] 'terminated' […] 'reason=timeout'".
#[test]
fn section_4_2_1_4_expiry() {
    let now = Instant::now();
    let mut notifier = established(State::Active, now);
    assert_eq!(notifier.deadline(), Some(now + HOUR));
    assert_eq!(notifier.poll(&POLICY, now + HOUR - Duration::from_millis(1)), None);
    assert_eq!(said(notifier.poll(&POLICY, now + HOUR)), "terminated;reason=timeout");
    assert!(!notifier.on_subscribe(HOUR, now + HOUR), "a refresh after that is for no subscription: 481");
}

/// §4.2.1.4: "Clients can cause a subscription to be terminated immediately by sending a SUBSCRIBE request with an
/// 'Expires' header field set to '0'."
#[test]
fn section_4_2_1_4_unsubscribing() {
    let now = Instant::now();
    let mut notifier = established(State::Active, now);
    assert!(notifier.on_subscribe(Duration::ZERO, now));
    assert_eq!(said(notifier.poll(&POLICY, now)), "terminated;reason=timeout");
    assert_eq!(notifier.on_response(200, None, &POLICY, now), Delivery::Delivered);
    assert!(notifier.is_over());
}

/// §4.2.2: "If the NOTIFY request fails due to expiration of SIP Timer F […], the notifier SHOULD remove the
/// subscription."
#[test]
fn section_4_2_2_a_subscriber_that_does_not_answer_is_removed() {
    let now = Instant::now();
    let mut notifier = established(State::Active, now);
    notifier.on_change();
    assert!(notifier.poll(&POLICY, now).is_some());
    assert_eq!(notifier.on_timeout(&POLICY), Delivery::Removed);
    assert_eq!((notifier.is_over(), notifier.deadline()), (true, None));
}

/// §4.2.2: "a 404, 405, 410, 416, 480-485, 489, 501, or 604 response to the NOTIFY request, the notifier MUST remove the
/// corresponding subscription"; appendix B.15: 5xx "terminates a subscription, but should not".
#[test]
fn section_4_2_2_responses_that_remove_it() {
    let now = Instant::now();
    for status in (300..700).filter(|status| *status != 408) {
        let mut notifier = established(State::Active, now);
        notifier.on_change();
        assert!(notifier.poll(&POLICY, now).is_some());
        let removed = notifier.on_response(status, None, &POLICY, now) == Delivery::Removed;
        let listed = matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604);
        assert_eq!(removed, listed, "{status}");
    }
}

/// §4.2.2: "the notifier MUST also include […] an 'expires' parameter that indicates the time remaining".
#[test]
fn section_4_2_2_the_remaining_time_is_told() {
    let now = Instant::now();
    let mut notifier = established(State::Active, now);
    notifier.on_change();
    assert_eq!(said(notifier.poll(&POLICY, now + Duration::from_secs(100))), "active;expires=3500");
}

/// §4.4.1: "the subscription is not considered terminated until the NOTIFY transaction with a 'Subscription-State' of
/// 'terminated' completes."
#[test]
fn section_4_4_1_over_when_the_last_notify_is_answered() {
    let now = Instant::now();
    for status in [200, 481, 500] {
        let mut notifier = established(State::Active, now);
        notifier.terminate(Reason::NoResource, None);
        assert!(notifier.poll(&POLICY, now).is_some());
        assert!(!notifier.is_over());
        let _ = notifier.on_response(status, None, &POLICY, now);
        assert!(notifier.is_over(), "{status}");
    }
}

/// §4.4.3: "the NOTIFY requests triggered by SUBSCRIBE requests with 'Expires' header fields of 0 will contain a
/// 'Subscription-State' value of 'terminated' and a 'reason' parameter of 'timeout'."
#[test]
fn section_4_4_3_a_fetch() {
    let now = Instant::now();
    let mut notifier = Notifier::new(State::Active, Duration::ZERO, now);
    assert_eq!(said(notifier.poll(&POLICY, now)), "terminated;reason=timeout");
    assert_eq!(notifier.poll(&POLICY, now), None);
}
