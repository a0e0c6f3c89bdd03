//! RFC 3842: the event package `message-summary`, by its sections, as a state agent serves it (§3.12). A voicemail
//! server publishes, or sends NOTIFY without a subscription, and phones are told.

use signalbox_tests::scenario::run_text;

/// A server with the shipped script. Three parameters name the package and the senders that may report waiting
/// messages.
const STAGE: &str = "
server
  script: scripts/presence.lua
  load: registrar auth pa im_auth
  registrar.use_db: 0
  auth.db_url: {db}
  pa.db_url: {db}
  pa.auth: none
  pa.events: message-summary
  pa.publishers: message-summary sip:voicemail@example.com
  pa.notifiers: message-summary 192.0.2.7
  account: voicemail secret
  account: bob builder

phone alice <sip:alice@elsewhere.example> at 192.0.2.1:5060
phone bob <sip:bob@example.com> at 192.0.2.2:5060 password builder
phone voicemail <sip:voicemail@example.com> at 192.0.2.6:5060 password secret
phone pbx <sip:asterisk@pbx.example> at 192.0.2.7:5060
phone forger <sip:asterisk@pbx.example> at 192.0.2.9:5060
";

#[track_caller]
fn play(steps: &[&str]) {
    run_text(&[&[STAGE], steps].concat().concat());
}

/// A phone subscribes to Bob's waiting messages.
const WATCHES: &str = "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{alice}>
  Event: message-summary
  Accept: application/simple-message-summary

alice receives 200 OK
";

fn told(body: &str) -> String {
    format!(
        "
alice receives
  NOTIFY sip:alice@{{alice}}
  Event: message-summary
  Subscription-State: active...
  Content-Type: application/simple-message-summary

{body}
alice answers 200 OK
"
    )
}

/// Nothing is known of waiting messages.
const NOTHING: &str = "
alice receives
  NOTIFY sip:alice@{alice}
  Event: message-summary
  !Content-Type

alice answers 200 OK
";

/// A NOTIFY without a subscription.
fn tells(who: &str, headers: &str, body: &str) -> String {
    format!(
        "
{who} sends
  NOTIFY sip:bob@example.com
  Event: message-summary
{headers}
{body}"
    )
}

const SUMMARY: &str = "  Content-Type: application/simple-message-summary\n";
const WAITING: &str = "  Messages-Waiting: yes\n  Voice-Message: 2/8 (0/2)\n";
const NONE: &str = "  Messages-Waiting: no\n";

fn answered(who: &str, answer: &str) -> String {
    format!("\n{who} receives {answer}\n")
}

/// §3.12: a state agent learns the state by PUBLISH. The publisher is named in the settings and authenticates.
#[test]
fn section_3_12_a_voicemail_server_that_is_named_publishes_for_others() {
    let publish =
        format!("\nvoicemail sends\n  PUBLISH sip:bob@example.com\n  Event: message-summary\n{SUMMARY}\n{WAITING}");
    let challenged =
        [&*answered("voicemail", "407 Proxy Authentication Required"), "\nvoicemail answers the challenge\n"].concat();
    play(&[WATCHES, NOTHING, &publish, &challenged, &answered("voicemail", "200 OK"), &told(WAITING)]);
}

/// Others are refused: another user of ours, and the same server for another package.
#[test]
fn section_3_12_a_sender_that_is_not_named_cannot_publish_for_others() {
    let publish = |who: &str, event: &str| {
        format!(
            "\n{who} sends\n  PUBLISH sip:carol@example.com\n  Event: {event}\n{SUMMARY}\n{WAITING}\n{who} receives 407 Proxy Authentication Required\n\n{who} answers the challenge\n\n{who} receives 403 This Is Not Your Address\n"
        )
    };
    play(&[&publish("bob", "message-summary"), &publish("voicemail", "presence")]);
}

/// §3.8: "the Notifier MUST send a NOTIFY with the current message summary information", after a subscription and whenever it changes: here
/// the server is told by a NOTIFY that it has not asked for. Its sender's next one replaces it, and one without a body takes it back.
#[test]
fn section_3_8_an_unasked_notify_of_a_server_that_is_named_is_told_to_the_phones() {
    play(&[
        &tells("pbx", SUMMARY, WAITING),
        &answered("pbx", "200 OK"),
        WATCHES,
        &told(WAITING),
        &tells("pbx", &["  Subscription-State: active;expires=600\n", SUMMARY].concat(), NONE),
        &answered("pbx", "200 OK"),
        &told(NONE),
        &tells("pbx", "", ""),
        &answered("pbx", "200 OK"),
        NOTHING,
    ]);
}

/// It outlives a crash, and its sender's next one still replaces it.
#[test]
fn section_3_8_what_an_unasked_notify_told_outlives_a_crash() {
    play(&[
        WATCHES,
        NOTHING,
        &tells("pbx", SUMMARY, WAITING),
        &answered("pbx", "200 OK"),
        &told(WAITING),
        "\nserver crashes\n",
        &told(WAITING),
        &tells("pbx", SUMMARY, NONE),
        &answered("pbx", "200 OK"),
        &told(NONE),
    ]);
}

/// It lasts as long as its sender says.
#[test]
fn section_3_8_what_an_unasked_notify_told_ends_with_its_time() {
    play(&[
        WATCHES,
        NOTHING,
        &tells("pbx", &["  Subscription-State: active;expires=90\n", SUMMARY].concat(), WAITING),
        &answered("pbx", "200 OK"),
        &told(WAITING),
        "\ntime passes 90100ms\n",
        NOTHING,
    ]);
}

/// From any other sender it is a request for Bob's phone, which does not exist. It is not accepted for another package
/// either.
#[test]
fn section_3_8_an_unasked_notify_of_a_server_that_is_not_named_tells_nothing() {
    let presence = tells("pbx", SUMMARY, WAITING).replace("message-summary\n", "presence\n");
    play(&[
        WATCHES,
        NOTHING,
        &tells("forger", SUMMARY, WAITING),
        &answered("forger", "404 Not Found"),
        &presence,
        &answered("pbx", "404 Not Found"),
        "\nalice receives nothing\n",
    ]);
}

/// A NOTIFY that is refused is answered with the reason.
#[test]
fn section_3_8_an_unasked_notify_that_makes_no_sense_is_refused() {
    play(&[
        &tells("pbx", "  Require: something\n", WAITING),
        &answered("pbx", "420 Bad Extension"),
        &tells("pbx", "  Content-Encoding: gzip\n  Content-Type: application/simple-message-summary\n", WAITING),
        &answered("pbx", "415 Unsupported Media Type"),
    ]);
}
