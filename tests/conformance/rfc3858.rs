//! RFC 3858: the document of watcher information, by its sections: what is sent over the wire, and what a recipient makes of it.

use signalbox_documents::watcherinfo::{Applied, Event, State, Status, Table, WatcherInfo, WatcherInfoError};
use signalbox_documents::xml::Limits;

use crate::presence::{IMPLICIT, play, play_with, told_who_watches as told};

/// A user asks to see Bob's presence, pending.
fn watches(user: &str, display_name: &str) -> String {
    format!(
        "
{user} sends
  SUBSCRIBE sip:bob@example.com
  From: {display_name}<sip:{user}@example.com>;tag={user}
  Contact: <sip:{user}@{{{user}}}>
  Event: presence
  Expires: 600

{user} receives 200 OK

{user} receives
  NOTIFY sip:{user}@{{{user}}}
  Subscription-State: pending...

{user} answers 200 OK
"
    )
}

/// Bob asks who watches him.
const ASKS: &str = "
bob sends
  SUBSCRIBE sip:bob@example.com
  From: <sip:bob@example.com>;tag=b
  Contact: <sip:bob@{bob}>
  Event: presence.winfo

bob receives 200 OK
";

fn decides(user: &str, status: &str, state: &str) -> String {
    format!(
        "
ctl pa.authorize
  uid: sip:bob@example.com
  watcher: sip:{user}@example.com
  status: {status}

  ...subscriptions...

{user} receives
  NOTIFY sip:{user}@{{{user}}}
  Subscription-State: {state}...

{user} answers 200 OK
"
    )
}

const CAROL: &str = "\nphone carol <sip:carol@example.com> at 192.0.2.3:5060\n";

/// A document with these lists.
fn document(version: u32, state: &str, lists: &str) -> WatcherInfo {
    let text = format!(
        "<?xml version=\"1.0\"?><watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"{version}\" state=\"{state}\">{lists}</watcherinfo>"
    );
    WatcherInfo::parse(text.as_bytes(), &Limits::default()).expect("a document")
}

fn list(resource: &str, watchers: &[(&str, &str)]) -> String {
    let watcher = |(id, status): &(&str, &str)| {
        format!("<watcher id=\"{id}\" status=\"{status}\" event=\"subscribe\">sip:{id}@example.com</watcher>")
    };
    let watchers: String = watchers.iter().map(watcher).collect();
    format!("<watcher-list resource=\"{resource}\" package=\"presence\">{watchers}</watcher-list>")
}

/// What a table has of each list: the resource, then its rows.
fn rows(table: &Table) -> Vec<(&str, Vec<(&str, Status)>)> {
    let row = |list| -> (_, Vec<_>) {
        let list: &signalbox_documents::watcherinfo::WatcherList = list;
        (list.resource.as_str(), list.watchers.iter().map(|watcher| (watcher.id.as_str(), watcher.status)).collect())
    };
    table.lists().iter().map(row).collect()
}

/// §3: the document is XML 1.0 in UTF-8; its root is "watcherinfo" of "urn:ietf:params:xml:ns:watcherinfo".
#[test]
fn section_3_the_root_and_its_namespace() {
    let root = "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"0\" state=\"full\">";
    let document = told(root).replace(
        &format!("  ...{root}..."),
        &format!(
            "  <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  {root}<watcher-list resource=\"sip:bob@example.com\" package=\"presence\"></watcher-list></watcherinfo>"
        ),
    );
    play(&[ASKS, &document].concat());
}

/// §3: "Versions start at 0, and increment by one for each new document sent"; "state": first all, then what has changed.
#[test]
fn section_3_version_and_state() {
    let steps = [
        ASKS,
        &told("version=\"0\" state=\"full\""),
        &watches("alice", ""),
        &told("version=\"1\" state=\"partial\"...status=\"pending\""),
        &decides("alice", "active", "active"),
        &told("version=\"2\" state=\"partial\"...status=\"active\""),
        &decides("alice", "rejected", "terminated"),
        &told("version=\"3\" state=\"partial\"...status=\"terminated\""),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §3: "Versions are scoped within a watcherinfo subscription".
#[test]
fn section_3_each_subscription_counts_its_own_versions() {
    let second = ASKS.replace("tag=b", "tag=second");
    let steps = [
        ASKS,
        &told("version=\"0\" state=\"full\""),
        &watches("alice", ""),
        &told("version=\"1\" state=\"partial\""),
        &second,
        &told("version=\"0\" state=\"full\"...sip:alice@example.com"),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §3: "resource" and "package" of a list are mandatory; "id", "status" and "event" of a watcher, whose value is its URI: "usually be an
/// address-of-record". Of those that are optional we give the display name, where there is one, and both times.
#[test]
fn section_3_the_attributes() {
    let steps = [
        ASKS,
        &told("state=\"full\"><watcher-list resource=\"sip:bob@example.com\" package=\"presence\"></watcher-list>"),
        &watches("alice", "\"Alice <&> Co\" "),
        &told(
            "<watcher status=\"pending\" id=\"{id}\" event=\"subscribe\" display-name=\"Alice &lt;&amp;&gt; Co\" expiration=\"600\" duration-subscribed=\"0\">sip:alice@example.com</watcher>",
        ),
        "\ntime passes 100s\n",
        &decides("alice", "active", "active"),
        &told(
            "<watcher status=\"active\" id=\"{id}\" event=\"approved\" display-name=\"Alice &lt;&amp;&gt; Co\" expiration=\"500\" duration-subscribed=\"100\">sip:alice@example.com</watcher>",
        ),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §3: the id "MUST be unique across all other watchers reported" in one subscription: two subscriptions of one user have two.
#[test]
fn section_3_ids_tell_the_subscriptions_of_one_user_apart() {
    let steps = [
        &*watches("alice", ""),
        &watches("alice", "").replace("tag=alice", "tag=other").replace("Event: presence", "Event: presence;id=2"),
        ASKS,
        &told(
            "id=\"{first}\" event=\"subscribe\"...sip:alice@example.com<...id=\"{second}\" event=\"subscribe\"...sip:alice@example.com<",
        ),
        "\nctl pa.terminate\n  uid: sip:bob@example.com\n  id: {second}\n\n  ...\"{second}\"...\n",
        "\nalice receives\n  NOTIFY sip:alice@{alice}\n  Event: presence;id=2\n  Subscription-State: terminated...\n\nalice answers 200 OK\n",
        &told("state=\"partial\"...status=\"terminated\" id=\"{second}\" event=\"deactivated\""),
    ];
    play_with(IMPLICIT, &steps.concat());
}

/// §3: a partial document has "only information on those watchers which have changed since the previous document".
#[test]
fn section_3_a_partial_document_leaves_out_who_has_not_changed() {
    let carol = watches("carol", "");
    let only_carol = told(
        "state=\"partial\"><watcher-list resource=\"sip:bob@example.com\" package=\"presence\"><watcher status=\"pending\" id=\"{id}\" event=\"subscribe\" expiration=\"600\" duration-subscribed=\"0\">sip:carol@example.com</watcher></watcher-list>",
    );
    let steps =
        [CAROL, &watches("alice", ""), ASKS, &told("state=\"full\"...sip:alice@example.com"), &carol, &only_carol];
    play_with(IMPLICIT, &steps.concat());
}

/// §3: "elements or attributes from unknown namespaces MUST be ignored".
#[test]
fn section_3_unknown_namespaces_are_ignored() {
    let extended = "<x:mood xmlns:x=\"urn:x\" version=\"9\">good</x:mood>";
    let lists = list("sip:b@example.com", &[("a", "active")]);
    let with = lists.replace("<watcher ", &format!("{extended}<watcher xmlns:x=\"urn:x\" x:status=\"pending\" "));
    assert_eq!(document(0, "full", &[extended, &with].concat()), document(0, "full", &lists));
}

/// §3: the version MUST fit 32 bits, and what is mandatory MUST be there.
#[test]
fn section_3_what_is_mandatory() {
    let text = |root: &str, watcher: &str| {
        format!(
            "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" {root}><watcher-list resource=\"sip:b@x\" package=\"presence\"><watcher {watcher}>sip:a@x</watcher></watcher-list></watcherinfo>"
        )
    };
    let read = |text: String| WatcherInfo::parse(text.as_bytes(), &Limits::default());
    let (root, watcher) = ("version=\"0\" state=\"full\"", "id=\"a\" status=\"active\" event=\"approved\"");
    assert!(read(text(root, watcher)).is_ok());
    for (root, watcher, element, attribute) in [
        ("state=\"full\"", watcher, "watcherinfo", "version"),
        ("version=\"0\"", watcher, "watcherinfo", "state"),
        ("version=\"4294967296\" state=\"full\"", watcher, "watcherinfo", "version"),
        (root, "status=\"active\" event=\"approved\"", "watcher", "id"),
        (root, "id=\"a\" event=\"approved\"", "watcher", "status"),
        (root, "id=\"a\" status=\"active\"", "watcher", "event"),
    ] {
        assert_eq!(read(text(root, watcher)), Err(WatcherInfoError::Attribute { element, attribute }));
    }
}

/// §4: "If the value in the new document is one higher than the local version number, […] the document is processed"; more than one
/// higher: it is processed, and a refresh is due; less: "discarded without processing".
#[test]
fn section_4_versions() {
    let alone = |status| list("sip:b@example.com", &[("a", status)]);
    let mut table = Table::default();
    assert_eq!(table.apply(document(7, "full", &alone("pending"))), Applied::Known, "the first sets the version");
    assert_eq!(table.apply(document(8, "partial", &alone("active"))), Applied::Known);
    assert_eq!(table.apply(document(7, "partial", &alone("pending"))), Applied::Stale);
    assert_eq!(rows(&table), [("sip:b@example.com", vec![("a", Status::Active)])]);
    assert_eq!(table.apply(document(11, "partial", &alone("waiting"))), Applied::Gap, "9 and 10 are lost");
    assert_eq!(rows(&table), [("sip:b@example.com", vec![("a", Status::Waiting)])]);
    assert_eq!(table.apply(document(12, "partial", &alone("active"))), Applied::Known, "the count goes on from there");
}

/// §4: full state: "the contents of all tables […] are flushed. They are re-populated from the document."
#[test]
fn section_4_full_state() {
    let mut table = Table::default();
    let two = [list("sip:b@example.com", &[("a", "active")]), list("sip:c@example.com", &[("d", "active")])].concat();
    table.apply(document(0, "full", &two));
    assert_eq!(rows(&table).len(), 2);
    table.apply(document(1, "full", &list("sip:c@example.com", &[("e", "pending")])));
    assert_eq!(rows(&table), [("sip:c@example.com", vec![("e", Status::Pending)])]);
}

/// §4: partial state: a table or row that doesn't exist is created, one that does is updated; a terminated one may be removed.
#[test]
fn section_4_partial_state() {
    let mut table = Table::default();
    table.apply(document(0, "full", &list("sip:b@example.com", &[("a", "pending"), ("b", "active")])));
    table.apply(document(1, "partial", &list("sip:c@example.com", &[("d", "active")])));
    table.apply(document(
        2,
        "partial",
        &list("sip:b@example.com", &[("a", "active"), ("c", "waiting"), ("b", "terminated")]),
    ));
    let (b, c) = (vec![("a", Status::Active), ("c", Status::Waiting)], vec![("d", Status::Active)]);
    assert_eq!(rows(&table), [("sip:b@example.com", b), ("sip:c@example.com", c)]);
}

/// §5: the example.
#[test]
fn section_5_the_example() {
    let text = r#"<?xml version="1.0"?>
<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo"
             version="0" state="full">
  <watcher-list resource="sip:professor@example.net" package="presence">
    <watcher status="active"
             id="8ajksjda7s"
             duration-subscribed="509"
             event="approved" >sip:userA@example.net</watcher>
    <watcher status="pending"
             id="hh8juja87s997-ass7"
             display-name="Mr. Subscriber"
             event="subscribe">sip:userB@example.org</watcher>
  </watcher-list>
</watcherinfo>"#;
    let info = WatcherInfo::parse(text.as_bytes(), &Limits::default()).expect("the example");
    assert_eq!((info.version, info.state), (0, State::Full));
    let seen: Vec<_> = info.lists[0].watchers.iter().map(|one| (one.uri.as_str(), one.status, one.event)).collect();
    let a = ("sip:userA@example.net", Status::Active, Event::Approved);
    assert_eq!(seen, [a, ("sip:userB@example.org", Status::Pending, Event::Subscribe)]);
    let mut printed = String::new();
    info.write(&mut printed);
    assert_eq!(WatcherInfo::parse(printed.as_bytes(), &Limits::default()), Ok(info));
}

/// §6: every status and event of the schema.
#[test]
fn section_6_every_status_and_event() {
    for status in ["pending", "active", "waiting", "terminated"] {
        for event in
            ["subscribe", "approved", "deactivated", "probation", "rejected", "timeout", "giveup", "noresource"]
        {
            let watcher = format!("<watcher id=\"a\" status=\"{status}\" event=\"{event}\">sip:a@x</watcher>");
            let lists = format!("<watcher-list resource=\"sip:b@x\" package=\"presence\">{watcher}</watcher-list>");
            let read = &document(0, "full", &lists).lists[0].watchers[0];
            assert_eq!((read.status.as_str(), read.event.as_str()), (status, event));
        }
    }
}
