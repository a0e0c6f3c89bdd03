//! RFC 4235: the event package `dialog`, by its sections, as a state agent serves it (§3.11). Phones and a PBX publish;
//! watchers of a line are told.

use signalbox_documents::dialog_info::{Applied, DialogInfo, Table};
use signalbox_documents::xml::Limits;
use signalbox_tests::scenario::run_text;

/// A server with the shipped script, where `modparam("pa", "events", "dialog")` is all that was added. Bob has a desk phone and a soft
/// phone; the PBX may speak of him too.
const STAGE: &str = "
server
  script: scripts/presence.lua
  load: registrar auth pa im_auth
  registrar.use_db: 0
  auth.db_url: {db}
  pa.db_url: {db}
  pa.auth: none
  pa.events: dialog
  pa.publishers: dialog 192.0.2.7

phone alice <sip:alice@elsewhere.example> at 192.0.2.1:5060
phone pbx <sip:pbx@pbx.example> at 192.0.2.7:5060
phone soft <sip:soft@pbx.example> at 192.0.2.7:5062
";

#[track_caller]
fn play(steps: &[&str]) {
    run_text(&[&[STAGE], steps].concat().concat());
}

/// Alice subscribes to Bob's calls.
const WATCHES: &str = "
alice sends
  SUBSCRIBE sip:bob@example.com
  Call-ID: watching
  CSeq: 1 SUBSCRIBE
  From: <sip:alice@elsewhere.example>;tag=alice
  To: <sip:bob@example.com>
  Contact: <sip:alice@{alice}>
  Event: dialog

alice receives
  200 OK
  To: <sip:bob@example.com>;tag={tag}
";

fn told(headers: &str, document: &str) -> String {
    format!(
        "
alice receives
  NOTIFY sip:alice@{{alice}}
  Event: dialog
{headers}  Content-Type: application/dialog-info+xml

  ...{document}...

alice answers 200 OK
"
    )
}

/// A document with these attributes and dialogs, to the letter.
fn told_exactly(attributes: &str, dialogs: &str) -> String {
    let document = format!(
        "  <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" {attributes} entity=\"sip:bob@example.com\">{dialogs}</dialog-info>"
    );
    let lines = told("", "");
    lines.replace("  ......", &document)
}

fn dialog(id: &str, state: &str) -> String {
    format!("<dialog id=\"{id}\" call-id=\"call-{id}\" direction=\"recipient\"><state>{state}</state></dialog>")
}

fn publishes(who: &str, headers: &str, dialogs: &str, tag: &str) -> String {
    format!(
        "
{who} sends
  PUBLISH sip:bob@example.com
  Event: dialog
{headers}  Content-Type: application/dialog-info+xml

  <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"7\" state=\"full\" entity=\"sip:bob@example.com\">{dialogs}</dialog-info>

{who} receives
  200 OK
  SIP-ETag: {{{tag}}}
"
    )
}

fn removes(who: &str, tag: &str) -> String {
    format!(
        "
{who} sends
  PUBLISH sip:bob@example.com
  Event: dialog
  SIP-If-Match: {{{tag}}}
  Expires: 0

{who} receives 200 OK
"
    )
}

/// §3.1: the package's name is in Allow-Events.
#[test]
fn section_3_1_the_name_of_the_package() {
    let steps = "
alice sends
  SUBSCRIBE sip:bob@example.com
  Contact: <sip:alice@{alice}>
  Event: presence.nonsense

alice receives 404 Not Found
";
    play(&[steps, WATCHES, &told("", "version=\"0\"")]);
}

/// §3.5: "If no such header field is present, it has a default value of application/dialog-info+xml"; another type alone is not
/// acceptable.
#[test]
fn section_3_5_the_type_of_the_document() {
    let asks = |accept: &str| WATCHES.replace("  Event: dialog\n", &format!("  Event: dialog\n  Accept: {accept}\n"));
    let refused =
        asks("application/pidf+xml").replace("watching", "refused").split("alice receives").next().unwrap().to_owned();
    play(&[
        &refused,
        "alice receives 406 Not Acceptable\n",
        &asks("text/plain, application/dialog-info+xml"),
        &told("", ""),
    ]);
}

/// §3.7, §4.1: the first document is full, later ones hold the changes; "Versions start at 0, and increment by one for
/// each new document sent to a subscriber".
#[test]
fn section_4_1_versions_rise_by_one_and_partial_documents_tell_what_changed() {
    play(&[
        &publishes("pbx", "", &dialog("a", "early"), "one"),
        WATCHES,
        &told_exactly("version=\"0\" state=\"full\"", &dialog("a", "early")),
        &publishes("pbx", "  SIP-If-Match: {one}\n", &dialog("a", "confirmed"), "two"),
        &told_exactly("version=\"1\" state=\"partial\"", &dialog("a", "confirmed")),
        &publishes("soft", "", &dialog("b", "trying"), "three"),
        &told_exactly("version=\"2\" state=\"partial\"", &dialog("b", "trying")),
    ]);
}

/// §4.1: "Versions are scoped within a subscription."
#[test]
fn section_4_1_each_subscription_counts_its_own_versions() {
    let second = WATCHES.replace("watching", "again").replace("tag=alice", "tag=again").replace("{tag}", "{tag2}");
    play(&[
        WATCHES,
        &told("", "version=\"0\" state=\"full\""),
        &publishes("pbx", "", &dialog("a", "early"), "one"),
        &told("", "version=\"1\" state=\"partial\""),
        &second,
        &told_exactly("version=\"0\" state=\"full\"", &dialog("a", "early")),
    ]);
}

/// §3.7: "if a notifier receives a SUBSCRIBE request, the triggered NOTIFY SHOULD contain the state of all dialogs".
#[test]
fn section_3_7_a_refresh_is_told_everything() {
    let refresh = WATCHES
        .replace("1 SUBSCRIBE", "2 SUBSCRIBE")
        .replace("  To: <sip:bob@example.com>\n", "  To: <sip:bob@example.com>;tag={tag}\n");
    play(&[
        &publishes("pbx", "", &dialog("a", "early"), "one"),
        WATCHES,
        &told("", "version=\"0\" state=\"full\""),
        &refresh,
        &told_exactly("version=\"1\" state=\"full\"", &dialog("a", "early")),
    ]);
}

/// The dialogs of a removed publication are told as terminated. Those of other publications stay.
#[test]
fn the_dialogs_of_a_removed_publication_are_told_as_terminated() {
    play(&[
        &publishes("pbx", "", &dialog("a", "confirmed"), "one"),
        &publishes("soft", "", &dialog("b", "confirmed"), "other"),
        WATCHES,
        &told_exactly("version=\"0\" state=\"full\"", &[dialog("a", "confirmed"), dialog("b", "confirmed")].concat()),
        &removes("pbx", "one"),
        &told_exactly("version=\"1\" state=\"partial\"", &dialog("a", "terminated")),
        &removes("soft", "other"),
        &told_exactly("version=\"2\" state=\"partial\"", &dialog("b", "terminated")),
    ]);
}

/// So are the dialogs of a publication that expires.
#[test]
fn the_dialogs_of_an_expired_publication_are_told_as_terminated() {
    play(&[
        &publishes("pbx", "  Expires: 60\n", &dialog("a", "confirmed"), "one"),
        WATCHES,
        &told("", "<state>confirmed</state>"),
        "\ntime passes 60100ms\n",
        &told_exactly("version=\"1\" state=\"partial\"", &dialog("a", "terminated")),
    ]);
}

/// So is a dialog that a modified publication no longer contains.
#[test]
fn a_dialog_that_its_publisher_leaves_out_is_told_as_terminated() {
    play(&[
        &publishes("pbx", "", &[dialog("a", "confirmed"), dialog("b", "early")].concat(), "one"),
        WATCHES,
        &told("", "state=\"full\""),
        &publishes("pbx", "  SIP-If-Match: {one}\n", &dialog("b", "early"), "two"),
        &told_exactly("version=\"1\" state=\"partial\"", &dialog("a", "terminated")),
    ]);
}

/// §4.1.1: an id names one dialog, whichever publisher reports it. The last publication counts.
#[test]
fn section_4_1_1_publishers_that_speak_of_one_dialog_are_merged() {
    play(&[
        &publishes("pbx", "", &dialog("a", "early"), "one"),
        &publishes("soft", "", &dialog("a", "confirmed"), "two"),
        WATCHES,
        &told_exactly("version=\"0\" state=\"full\"", &dialog("a", "confirmed")),
        &removes("pbx", "one"),
        &publishes("soft", "  SIP-If-Match: {two}\n", &dialog("a", "terminated"), "three"),
        &told_exactly("version=\"1\" state=\"partial\"", &dialog("a", "terminated")),
    ]);
}

/// §3.3: "Session descriptions are not included unless explicitly requested and explicitly authorized."
#[test]
fn section_3_3_session_descriptions_are_told_to_nobody() {
    let with = "<dialog id=\"a\"><state>early</state><local><session-description type=\"application/sdp\">v=0</session-description><cseq>3</cseq></local></dialog>";
    let without = "<dialog id=\"a\"><state>early</state><local><cseq>3</cseq></local></dialog>";
    play(&[&publishes("pbx", "", with, "one"), WATCHES, &told_exactly("version=\"0\" state=\"full\"", without)]);
}

/// §4: an invalid document is refused with the reason; another content type is refused with the accepted one.
#[test]
fn section_4_a_document_that_is_not_valid_is_refused() {
    let refused = |content_type: &str, body: &str, answer: &str| {
        format!(
            "
pbx sends
  PUBLISH sip:bob@example.com
  Event: dialog
  Content-Type: {content_type}

  {body}

pbx receives
  {answer}
"
        )
    };
    let document = |dialog: &str| {
        format!(
            "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" entity=\"sip:bob@example.com\">{dialog}</dialog-info>"
        )
    };
    let kind = "application/dialog-info+xml";
    play(&[
        &refused(kind, &document("<dialog id=\"a\"/>"), "400 Bad Document: <dialog> has no valid state"),
        &refused(
            kind,
            &document("<dialog><state>early</state></dialog>"),
            "400 Bad Document: <dialog> has no valid id",
        ),
        &refused("text/plain", "hello", "415 Unsupported Media Type\n  Accept: application/dialog-info+xml"),
    ]);
}

/// After a crash every watcher is told the whole state by a document with a higher version, so that it takes it (§4.3).
#[test]
fn section_4_3_versions_go_on_over_a_crash_and_the_whole_state_is_told() {
    play(&[
        &publishes("pbx", "", &dialog("a", "confirmed"), "one"),
        WATCHES,
        &told("", "version=\"0\" state=\"full\""),
        "\nserver crashes\n",
        &told("", "version=\"255\" state=\"full\"...<state>confirmed</state>").replace("version=\"255\" ", ""),
        &removes("pbx", "one"),
        &told("", "state=\"partial\"...<state>terminated</state>"),
    ]);
}

/// §4.3: how a recipient applies full and partial documents.
#[test]
fn section_4_3_a_table_is_replaced_by_full_documents_and_changed_by_partial_ones() {
    let document = |version: u32, state: &str, dialogs: &str| {
        let text = format!(
            "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='{version}' state='{state}' entity='sip:a@x'>{dialogs}</dialog-info>"
        );
        DialogInfo::parse(text.as_bytes(), &Limits::default()).unwrap()
    };
    let mut table = Table::default();
    assert_eq!(table.apply(document(0, "full", &dialog("a", "early"))), Applied::Known);
    assert_eq!(table.apply(document(1, "partial", &dialog("b", "confirmed"))), Applied::Known);
    assert_eq!(table.apply(document(1, "full", "")), Applied::Stale);
    assert_eq!(table.apply(document(3, "partial", &dialog("a", "terminated"))), Applied::Gap);
    assert_eq!(table.dialogs().len(), 1);
    assert_eq!(table.apply(document(9, "full", "")), Applied::Known);
    assert!(table.dialogs().is_empty());
}

/// Only Bob and the senders in `publishers` may publish Bob's calls.
#[test]
fn a_user_cannot_publish_the_dialogs_of_another_user() {
    let stranger = publishes("alice", "", &dialog("a", "early"), "x");
    let refused = stranger.split("alice receives").next().unwrap();
    play(&[refused, "alice receives 403 This Is Not Your Address\n"]);
}
