//! What the conformance tests of the presence agent have in common: a server with the module `pa`, and phones around it.

use signalbox_tests::scenario::run_text;

/// A server, the presentity `bob` and the watcher `alice`.
const STAGE: &str = "
server
  script: tests/scenarios/scripts/presence.lua
  load: registrar pa
  registrar.use_db: 0
  pa.db_url: {db}
  pa.auth: none
";

const PHONES: &str = "
phone alice <sip:alice@example.com> at 192.0.2.1:5060
phone bob <sip:bob@example.com> at 192.0.2.2:5060
";

pub(crate) const EVENT: &str = "  Event: presence\n";

/// Parameters by which nobody sees anything before it is decided.
pub(crate) const IMPLICIT: &[&str] = &["pa.auth: implicit"];

/// Plays the steps at a server with these further parameters of `pa`, such as `pa.composition: newest`.
#[track_caller]
pub(crate) fn play_with(parameters: &[&str], steps: &str) {
    let parameters: String = parameters.iter().map(|line| format!("  {line}\n")).collect();
    run_text(&[STAGE, &parameters, PHONES, steps].concat());
}

/// Plays the steps at a server that lets everybody watch.
#[track_caller]
pub(crate) fn play(steps: &str) {
    play_with(&[], steps);
}

/// Alice sends a SUBSCRIBE outside of any dialog with these header lines, and receives this.
pub(crate) fn subscribes(headers: &str, answer: &str) -> String {
    format!(
        "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{{alice}}>
{headers}
alice receives
{answer}
"
    )
}

/// A NOTIFY for Alice with these lines, and her 200.
pub(crate) fn notified(lines: &str) -> String {
    notified_and_answered(lines, "200 OK")
}

/// A NOTIFY for Alice with these lines, and what she says to it.
pub(crate) fn notified_and_answered(lines: &str, answer: &str) -> String {
    format!("\nalice receives\n  NOTIFY sip:alice@{{alice}}\n{lines}\nalice answers {answer}\n")
}

/// Bob is told this of those who watch him.
pub(crate) fn told_who_watches(document: &str) -> String {
    format!(
        "\nbob receives\n  NOTIFY sip:bob@{{bob}}\n  Event: presence.winfo\n  Content-Type: application/watcherinfo+xml\n\n  ...{document}...\n\nbob answers 200 OK\n"
    )
}

/// Alice subscribes to Bob's presence with these header lines, and hears that nobody is there.
pub(crate) fn subscribed(headers: &str) -> String {
    format!(
        "
alice sends
  SUBSCRIBE sip:bob@example.com
  To: <sip:bob@example.com>
  From: <sip:alice@example.com>;tag=alice
  Call-ID: watching
  CSeq: 1 SUBSCRIBE
  Contact: <sip:alice@{{alice}}>
{headers}
alice receives
  200 OK
  To: <sip:bob@example.com>;tag={{tag}}

alice receives
  NOTIFY sip:alice@{{alice}}
  SIP-ETag: {{etag}}

alice answers 200 OK
"
    )
}

/// Another SUBSCRIBE of the same subscription.
pub(crate) fn resubscribe(cseq: u32, headers: &str) -> String {
    format!(
        "
alice sends
  SUBSCRIBE sip:bob@example.com
  To: <sip:bob@example.com>;tag={{tag}}
  From: <sip:alice@example.com>;tag=alice
  Call-ID: watching
  CSeq: {cseq} SUBSCRIBE
  Contact: <sip:alice@{{alice}}>
{headers}"
    )
}

/// Bob publishes that he can be reached, with these header lines; the entity tag is `{name}`.
pub(crate) fn published(name: &str, headers: &str, contact: &str) -> String {
    format!(
        "
bob sends
  PUBLISH sip:bob@example.com
  Event: presence
{headers}  Content-Type: application/pidf+xml

  <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:bob@example.com\">
  <tuple id=\"t\"><status><basic>open</basic></status><contact>{contact}</contact></tuple></presence>

bob receives
  200 OK
  SIP-ETag: {{{name}}}
"
    )
}
