//! The agent as its users see it: whole stories, with the time as an argument.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use signalbox::services::bindings::{self, Binding, BindingChange, BindingEvent, Bindings};
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::Limits;

use super::*;
use crate::agent::quota::Payer;
use crate::composition::{Composition, Part};
use crate::documents::{Body, ContentType, DocumentType, Form};
use crate::packages::presence::Presence;
use crate::packages::teller::{Teller, Told};
use crate::packages::{
    Authorization, Cause, Change, EventPackage, Notified, Observer, PRESENCE, Packages, Published, Terms,
};
use crate::presentity::{Domain, Presentity};
use crate::publication::{Content, Publish};
use crate::rejection::Rejection;
use crate::settings::Settings;
use crate::subscription::{Accepted, Answer, Identity, Notify, Status, Subscribe, Watcher, Wishes};
use crate::token::Token;

const ALICE: Target<'static> =
    Target { package: PRESENCE, domain: Domain::Registrar, uid: "sip:alice@example.com", aor: "sip:alice@example.com" };
const HOUR: Duration = Duration::from_secs(3600);

/// A location service in which alice is registered at one contact.
struct Registered;

impl Bindings for Registered {
    fn visit(&self, aor: &str, _now: Instant, visit: &mut dyn FnMut(&Binding<'_>)) {
        if aor == ALICE.aor {
            visit(&binding("sip:alice@1.2.3.4"));
        }
    }

    fn watch(&self, _watcher: bindings::Watcher) {}
}

fn binding(contact: &str) -> Binding<'_> {
    Binding {
        contact,
        q: 1000,
        expires_at: Instant::now() + HOUR,
        call_id: "",
        cseq: 1,
        path: "",
        instance: "",
        reg_id: None,
        methods: "",
        user_agent: "",
        flow: None,
    }
}

impl Watcher for &'static str {
    fn uri(&self) -> &str {
        self
    }

    fn display_name(&self) -> Cow<'_, str> {
        "".into()
    }

    fn is_dialog_of(&self, from: &str, to: &str) -> bool {
        *self == from && to == ALICE.aor
    }
}

struct Story {
    agent: Agent<&'static str>,
    now: Instant,
    effects: Effects<&'static str>,
}

impl Story {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(change, Packages::of)
    }

    fn with(change: impl FnOnce(&mut Settings), packages: impl FnOnce(&Settings) -> Packages) -> Self {
        let mut settings = Settings { authorization: Authorization::Everybody, durable: true, ..Settings::default() };
        change(&mut settings);
        Self {
            agent: Agent::new(settings.clone(), packages(&settings), [3; 16]),
            now: Instant::now(),
            effects: Effects::default(),
        }
    }

    fn request(&self, watcher: &'static str, cseq: u32, expires: u64) -> Subscribe<'static> {
        let identity = Identity { call_id: watcher, remote_tag: "tag", event: "presence", event_id: "" };
        Subscribe {
            identity,
            cseq,
            expires: Some(Duration::from_secs(expires)),
            watcher,
            to: ALICE.aor,
            wishes: Wishes::of(Form::Made(DocumentType::Pidf)),
            payer: Payer { source: None, octets: 0 },
        }
    }

    fn prepare(&self, watcher: &'static str, expires: u64) -> Accepted {
        self.agent.subscribe(&ALICE, &self.request(watcher, 1, expires), |_| Arc::new(watcher), self.now).unwrap()
    }

    fn confirm(&mut self, accepted: &Accepted) {
        self.agent.confirm_subscribe(accepted, None, self.now, &mut self.effects);
    }

    fn subscribe(&mut self, watcher: &'static str, expires: u64) -> Token {
        let accepted = self.prepare(watcher, expires);
        self.confirm(&accepted);
        accepted.id
    }

    fn refresh(&mut self, id: Token, watcher: &'static str, cseq: u32, expires: u64) -> Result<Accepted, Rejection> {
        let accepted = self.agent.resubscribe(id, &self.request(watcher, cseq, expires))?;
        self.confirm(&accepted);
        Ok(accepted)
    }

    fn publish(&mut self, if_match: Option<&str>, expires: u64, body: bool) -> Result<String, Rejection> {
        let accepted = self.try_publish(if_match, expires, body)?;
        self.agent.confirm_publish(&accepted, self.now, &mut self.effects);
        Ok(accepted.published.entity_tag.to_string())
    }

    fn try_publish(&mut self, if_match: Option<&str>, expires: u64, body: bool) -> Result<AcceptedPublish, Rejection> {
        let request = Publish { if_match, expires: Some(Duration::from_secs(expires)) };
        let text = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:alice@example.com'><tuple id='t'><status><basic>open</basic></status></tuple></presence>";
        let pidf = Pidf::parse(text.as_bytes(), &Limits::default()).unwrap();
        self.agent.publish(&ALICE, request, self.now, |id| {
            let part = Part::of_publication(&pidf, id);
            Ok(body.then(|| Content {
                content_type: "application/pidf+xml".into(),
                body: Bytes::from_static(text.as_bytes()),
                part,
                dialogs: Box::default(),
                room: None,
            }))
        })
    }

    /// The NOTIFYs since the last look: watcher, CSeq, Subscription-State, and whether the body says open.
    fn notifies(&mut self) -> Vec<(&'static str, u32, String, Option<bool>)> {
        let told = |notify: &Notify<&'static str>| {
            let open = notify.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).contains("<basic>open"));
            (*notify.way, notify.cseq, notify.notification.to_string(), open)
        };
        std::mem::take(&mut self.effects.notifies).iter().map(told).collect()
    }

    fn answer(&mut self, id: Token, status: u16) {
        self.agent.notified(id, Some(Answer::of(status)), self.now, &mut self.effects);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.agent.tick(self.now, &mut self.effects);
    }

    fn binding_changed(&mut self, change: BindingChange, contact: &str) {
        let event = BindingEvent { aor: ALICE.aor, change, binding: binding(contact) };
        self.agent.binding_changed(&event, self.now, &mut self.effects);
    }

    fn presentities(&self) -> usize {
        let mut count = 0;
        self.agent.for_each_presentity(|_| count += 1);
        count
    }
}

#[test]
fn a_watcher_is_told_at_once_and_when_the_presentity_publishes_changes_and_removes() {
    let mut story = Story::new(|_| {});
    let bob = story.subscribe("bob", 3600);
    assert_eq!(story.notifies(), [("bob", 1, "active;expires=3600".into(), Some(false))]);
    story.answer(bob, 200);
    let tag = story.publish(None, 3600, true).unwrap();
    assert_eq!(story.notifies(), [("bob", 2, "active;expires=3600".into(), Some(true))]);
    story.answer(bob, 200);
    let tag = story.publish(Some(&tag), 3600, false).unwrap();
    assert_eq!(story.notifies(), [], "a refresh changes nothing");
    story.publish(Some(&tag), 0, false).unwrap();
    assert_eq!(story.notifies(), [("bob", 3, "active;expires=3600".into(), Some(false))]);
}

#[test]
fn nothing_is_told_before_the_commit_and_what_is_not_committed_never_was() {
    let mut story = Story::new(|_| {});
    let accepted = story.prepare("bob", 3600);
    story.publish(None, 3600, true).unwrap();
    assert_eq!(story.notifies(), []);
    story.confirm(&accepted);
    assert_eq!(story.notifies(), [("bob", 1, "active;expires=3600".into(), Some(true))]);
    let carol = story.prepare("carol", 3600);
    story.agent.withdraw_subscribe(&carol);
    let refused = story.refresh(carol.id, "carol", 2, 3600);
    assert_eq!(refused, Err(Rejection::NoSubscription));
}

#[test]
fn a_publication_that_could_not_be_committed_is_taken_back() {
    let mut story = Story::new(|_| {});
    let accepted = story.try_publish(None, 3600, true).unwrap();
    let tag = accepted.published.entity_tag.to_string();
    story.agent.withdraw_publish(accepted, story.now, &mut story.effects);
    assert_eq!(story.publish(Some(&tag), 3600, false), Err(Rejection::UnknownEntityTag));
    assert_eq!(story.presentities(), 0);
}

#[test]
fn nobody_waits_while_a_published_body_is_read() {
    let mut story = Story::new(|_| {});
    let tag = story.publish(None, 3600, true).unwrap();
    let request = |expires| Publish { if_match: Some(&tag), expires: Some(Duration::from_secs(expires)) };
    let removed = story.agent.publish(&ALICE, request(600), story.now, |_| {
        // Another PUBLISH is faster.
        story.agent.publish(&ALICE, request(0), story.now, |_| Ok(None)).map(|_| None)
    });
    assert_eq!(removed.unwrap_err(), Rejection::UnknownEntityTag);
}

#[test]
fn the_precondition_of_a_publish_comes_first_then_its_interval_then_its_body() {
    let story = Story::new(|_| {});
    let publish = |if_match, expires| {
        let request = Publish { if_match, expires: Some(Duration::from_secs(expires)) };
        story.agent.publish(&ALICE, request, story.now, |_| Err(Rejection::TooLarge)).unwrap_err()
    };
    assert_eq!(publish(Some("nosuchtag"), 59), Rejection::UnknownEntityTag);
    assert_eq!(publish(Some("a, b"), 59), Rejection::Malformed("Not A Single Entity Tag".into()));
    assert_eq!(publish(None, 59), Rejection::TooBrief { minimum: Duration::from_secs(60) });
    assert_eq!(publish(None, 60), Rejection::TooLarge);
    assert_eq!(story.presentities(), 0);
}

#[test]
fn a_fetch_gets_the_state_once() {
    let mut story = Story::new(|_| {});
    story.publish(None, 3600, true).unwrap();
    let bob = story.subscribe("bob", 0);
    assert_eq!(story.notifies(), [("bob", 1, "terminated;reason=timeout".into(), Some(true))]);
    assert_eq!(story.refresh(bob, "bob", 2, 3600), Err(Rejection::NoSubscription));
    story.answer(bob, 200);
    story.publish(None, 3600, true).unwrap();
    assert_eq!(story.notifies(), []);
}

#[test]
fn a_refresh_must_match_its_dialog_and_go_forward() {
    let mut story = Story::new(|_| {});
    let bob = story.subscribe("bob", 3600);
    story.answer(bob, 200);
    story.notifies();
    assert_eq!(story.refresh(Token(bob.0 ^ 64), "bob", 2, 3600), Err(Rejection::NoSubscription));
    assert_eq!(story.refresh(bob, "carol", 2, 3600), Err(Rejection::NoSubscription));
    assert_eq!(story.refresh(bob, "bob", 5, 30), Err(Rejection::TooBrief { minimum: Duration::from_secs(60) }));
    assert_eq!(story.refresh(bob, "bob", 5, 600).unwrap().expires, Duration::from_secs(600));
    assert_eq!(story.notifies(), [("bob", 2, "active;expires=600".into(), Some(false))]);
    assert_eq!(story.refresh(bob, "bob", 4, 600), Err(Rejection::CSeq));
}

#[test]
fn unsubscribing_ends_with_terminated() {
    let mut story = Story::new(|_| {});
    let bob = story.subscribe("bob", 3600);
    story.answer(bob, 200);
    story.notifies();
    story.refresh(bob, "bob", 2, 0).unwrap();
    assert_eq!(story.notifies(), [("bob", 2, "terminated;reason=timeout".into(), Some(false))]);
    assert_eq!(story.effects.records, []);
    story.answer(bob, 200);
    assert_eq!(story.effects.records, [Record::SubscriptionGone(bob)]);
    assert_eq!(story.presentities(), 0);
}

#[test]
fn subscriptions_that_are_not_refreshed_end_on_time() {
    let mut story = Story::new(|_| {});
    let bob = story.subscribe("bob", 60);
    story.answer(bob, 200);
    story.notifies();
    story.wait(Duration::from_secs(30));
    story.refresh(bob, "bob", 2, 60).unwrap();
    story.answer(bob, 200);
    story.notifies();
    story.wait(Duration::from_secs(59));
    assert_eq!(story.notifies(), []);
    assert_eq!(story.agent.next_deadline(), Some(story.now + Duration::from_secs(1)));
    story.wait(Duration::from_secs(1));
    assert_eq!(story.notifies(), [("bob", 3, "terminated;reason=timeout".into(), Some(false))]);
    assert_eq!(story.effects.records, [], "after a crash it is told again");
    story.answer(bob, 200);
    assert_eq!(story.effects.records, [Record::SubscriptionGone(bob)]);
}

#[test]
fn a_watcher_that_is_gone_is_dropped() {
    let mut story = Story::new(|_| {});
    for (status, expected) in [(481, 0), (500, 1)] {
        let bob = story.subscribe("bob", 3600);
        story.answer(bob, status);
        assert_eq!(story.presentities(), expected, "{status}");
    }
    assert_eq!(story.effects.records.len(), 1);
}

#[test]
fn who_is_not_answered_for_is_pending_and_sees_nothing() {
    let mut story = Story::new(|settings| settings.authorization = Authorization::Pending);
    let accepted = story.prepare("bob", 3600);
    assert_eq!(accepted.status, Status::Pending);
    story.confirm(&accepted);
    assert_eq!(story.notifies(), [("bob", 1, "pending;expires=3600".into(), None)]);
    story.answer(accepted.id, 200);
    story.publish(None, 3600, true).unwrap();
    assert_eq!(story.notifies(), []);
}

#[test]
fn registrations_show_and_a_contact_that_goes_is_closed_for_a_while() {
    let mut story = Story::new(|_| {});
    story.agent.follow(Arc::new(Registered), story.now);
    assert!(story.agent.is_online(&ALICE, story.now), "also when nobody watches");
    let bob = story.subscribe("bob", 3600);
    assert_eq!(story.notifies(), [("bob", 1, "active;expires=3600".into(), Some(true))]);
    story.answer(bob, 200);
    story.binding_changed(BindingChange::Refreshed, "sip:alice@1.2.3.4");
    assert_eq!(story.notifies(), []);
    story.binding_changed(BindingChange::Expired, "sip:alice@1.2.3.4");
    let closed = story.effects.notifies[0].body.clone().unwrap().bytes;
    assert!(String::from_utf8_lossy(&closed).contains("sip:alice@1.2.3.4"));
    assert_eq!(story.notifies(), [("bob", 2, "active;expires=3600".into(), Some(false))]);
    assert!(!story.agent.is_online(&ALICE, story.now));
    story.answer(bob, 200);
    story.wait(Duration::from_secs(20));
    assert_eq!(story.notifies(), [("bob", 3, "active;expires=3580".into(), Some(false))]);
    story.answer(bob, 200);
    story.binding_changed(BindingChange::Added, "sip:alice@5.6.7.8");
    assert_eq!(story.notifies(), [("bob", 4, "active;expires=3580".into(), Some(true))]);
}

#[test]
fn an_alias_finds_its_user() {
    let mut story = Story::new(|_| {});
    let target = Target { uid: "alice", ..ALICE };
    let accepted =
        story.agent.subscribe(&target, &story.request("bob", 1, 3600), |_| Arc::new("bob"), story.now).unwrap();
    story.confirm(&accepted);
    story.answer(accepted.id, 200);
    story.notifies();
    story.binding_changed(BindingChange::Added, "sip:alice@5.6.7.8");
    assert_eq!(story.notifies(), [("bob", 2, "active;expires=3600".into(), Some(true))]);
}

#[test]
fn publications_that_are_not_refreshed_vanish_with_a_notify() {
    let mut story = Story::new(|_| {});
    story.publish(None, 60, true).unwrap();
    let bob = story.subscribe("bob", 3600);
    story.answer(bob, 200);
    story.notifies();
    story.wait(Duration::from_secs(60));
    assert_eq!(story.notifies(), [("bob", 2, "active;expires=3540".into(), Some(false))]);
    assert!(matches!(story.effects.records[..], [Record::PublicationGone(_)]));
}

#[test]
fn a_presentity_that_nobody_knows_or_watches_takes_no_memory() {
    let mut story = Story::new(|_| {});
    let tag = story.publish(None, 60, true).unwrap();
    assert_eq!(story.presentities(), 1);
    story.publish(Some(&tag), 0, false).unwrap();
    assert!(story.publish(Some("nonsense"), 60, true).is_err());
    story.publish(None, 60, true).unwrap();
    story.wait(Duration::from_secs(60));
    assert_eq!(story.presentities(), 0);
}

#[test]
fn after_a_restart_refreshes_are_accepted_and_numbers_go_on_above_the_mark() {
    let story = Story::new(|_| {});
    let before = story.prepare("bob", 3600);
    let mut after = Story::new(|_| {});
    for (id, expires) in [(before.id, Duration::from_secs(1800)), (Token(before.id.0 ^ 64), Duration::ZERO)] {
        let identity = Identity { call_id: "bob", remote_tag: "tag", event: "presence", event_id: "" };
        let restored = RestoredSubscription {
            id,
            target: ALICE,
            remote_cseq: 1,
            mark: before.mark,
            wishes: Wishes::of(Form::Made(DocumentType::Pidf)),
            since: story.now,
            status: Status::Active,
            expires,
            way: "bob",
            octets: 0,
        };
        assert!(after.agent.restore_subscription(restored, |_| Some(identity), after.now, &mut after.effects));
    }
    assert_eq!(after.notifies(), [], "numbers must be committed first, even for the one that is over");
    let Some(&Record::Reserve { id, mark }) = after.effects.records.first() else { panic!("nothing is reserved") };
    after.agent.reserved(id, Some(mark), after.now, &mut after.effects);
    assert_eq!(after.notifies(), [("bob", before.mark + 1, "terminated;reason=timeout".into(), Some(false))]);
    after.refresh(before.id, "bob", 2, 3600).unwrap();
    assert_eq!(after.notifies(), [("bob", before.mark + 1, "active;expires=3600".into(), Some(false))]);
}

#[test]
fn changes_reach_a_thousand_watchers_with_one_body() {
    let mut story = Story::new(|_| {});
    let ids: Vec<_> = (0..1000).map(|_| story.subscribe("bob", 3600)).collect();
    ids.iter().for_each(|&id| story.answer(id, 200));
    story.notifies();
    story.publish(None, 3600, true).unwrap();
    let bodies: Vec<_> =
        story.effects.notifies.iter().map(|notify| notify.body.as_ref().unwrap().bytes.as_ptr()).collect();
    assert_eq!(bodies.len(), 1000);
    assert!(bodies.iter().all(|&body| body == bodies[0]));
}

/// An observer that writes down what it is shown.
#[derive(Debug, Default)]
struct Diary(Vec<String>);

impl Observer for Diary {
    fn observe(&mut self, change: &Change<'_>, _now: Instant) -> bool {
        if change.cause == Cause::Refresh {
            return false;
        }
        let name = if change.state.is_terminated() { "terminated" } else { change.state.as_str() };
        self.0.push(format!("{} {name} {}", change.watcher, change.cause.as_str()));
        true
    }
}

impl Teller for Diary {
    fn observer(&mut self) -> Option<&mut dyn Observer> {
        Some(self)
    }

    fn body(&self, told: Told<'_>, _now: Instant) -> Body {
        let seen = told.seen.replace(self.0.len() as u64).unwrap_or(0);
        let news = self.0[seen as usize..].join(", ");
        Body::new(ContentType::Known("text/plain"), news.into())
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn tick(&mut self, _now: Instant) -> bool {
        false
    }

    fn is_idle(&self) -> bool {
        true
    }
}

/// A package of diaries about `presence`.
struct Diaries(Terms);

impl EventPackage for Diaries {
    fn terms(&self) -> &Terms {
        &self.0
    }

    fn read(&self, _type: &str, _body: Bytes, _publisher: u64) -> Result<Content, Rejection> {
        Err(Rejection::NothingPublished)
    }

    fn compose(&self, _presentity: &Presentity, _form: &Form) -> Option<Body> {
        None
    }

    fn teller(&self) -> Option<Box<dyn Teller>> {
        Some(Box::new(Diary::default()))
    }
}

fn with_diary() -> Story {
    let terms = Terms {
        name: "presence.diary".into(),
        notified: Notified::AsPublished,
        published: Published::Nothing,
        authorization: Authorization::Everybody,
        observes: Some("presence".into()),
    };
    let packages = |_: &Settings| {
        Packages::new(vec![
            Box::new(Presence::new(Authorization::Pending, Composition::Union)),
            Box::new(Diaries(terms)),
        ])
    };
    Story::with(|_| {}, packages)
}

#[test]
fn a_package_that_observes_another_is_shown_its_subscriptions_and_tells_what_each_watcher_has_not_seen() {
    let mut story = with_diary();
    let bob = story.subscribe("bob", 600);
    story.answer(bob, 200);
    let diary = Target { package: story.agent.packages().find("presence.diary").unwrap(), ..ALICE };
    let accepted =
        story.agent.subscribe(&diary, &story.request("alice", 1, 3600), |_| Arc::new("alice"), story.now).unwrap();
    story.confirm(&accepted);
    let told = |story: &mut Story| -> Vec<String> {
        let alices: Vec<_> =
            std::mem::take(&mut story.effects.notifies).into_iter().filter(|notify| *notify.way == "alice").collect();
        story.answer(accepted.id, 200);
        alices.iter().map(|n| String::from_utf8_lossy(&n.body.as_ref().unwrap().bytes).into_owned()).collect()
    };
    assert_eq!(told(&mut story), ["bob pending subscribe"], "what was there before");
    let carol = story.subscribe("carol", 3600);
    story.answer(carol, 200);
    assert_eq!(told(&mut story), ["carol pending subscribe"]);
    story.refresh(carol, "carol", 2, 1800).unwrap();
    assert_eq!(told(&mut story), Vec::<String>::new(), "a refresh changes nothing but the time");
    story.answer(carol, 200);
    story.wait(Duration::from_secs(600));
    assert_eq!(told(&mut story), ["bob terminated timeout"]);
}

#[test]
fn a_watcher_for_whom_nobody_has_decided_is_shown_although_nobody_observes() {
    let mut story = with_diary();
    let bob = story.subscribe("bob", 0);
    assert_eq!(story.presentities(), 1, "the idle diary has gone again");
    story.answer(bob, 200);
    assert_eq!(story.presentities(), 0);
}

#[test]
fn an_opaque_package_tells_the_newest_document_as_it_was_published_to_those_who_take_it() {
    let mut story = Story::new(|settings| settings.events = vec!["ua-profile".into()]);
    let profile = Target { package: story.agent.packages().find("ua-profile").unwrap(), ..ALICE };
    let watchers = [("bob", None), ("carol", Some("text/*"))].map(|(name, ranges): (_, Option<&str>)| {
        let form = Form::AsPublished(ranges.map(Into::into));
        let request = Subscribe { wishes: Wishes::of(form), ..story.request(name, 1, 3600) };
        let accepted = story.agent.subscribe(&profile, &request, |_| Arc::new(name), story.now).unwrap();
        story.confirm(&accepted);
        story.answer(accepted.id, 200);
        accepted.id
    });
    assert_eq!(
        story.notifies(),
        [("bob", 1, "active;expires=3600".into(), None), ("carol", 1, "active;expires=3600".into(), None),]
    );
    let mut tags = Vec::new();
    for (content_type, expected) in [("text/plain", [true, true]), ("application/x", [true, false])] {
        story.wait(Duration::from_secs(1));
        let request = Publish { if_match: None, expires: None };
        let read = |id| {
            let package = story.agent.packages().package(profile.package);
            package.read(content_type, Bytes::from_static(b"state"), id).map(Some)
        };
        let accepted = story.agent.publish(&profile, request, story.now, read).unwrap();
        story.agent.confirm_publish(&accepted, story.now, &mut story.effects);
        tags.push(accepted.published.entity_tag.to_string());
        let told: Vec<_> = std::mem::take(&mut story.effects.notifies).iter().map(|n| n.body.is_some()).collect();
        assert_eq!(told, expected, "{content_type}");
        watchers.iter().for_each(|&id| story.answer(id, 200));
    }
    let request = Publish { if_match: Some(&tags[1]), expires: Some(Duration::ZERO) };
    let removed = story.agent.publish(&profile, request, story.now, |_| Ok(None)).unwrap();
    story.agent.confirm_publish(&removed, story.now, &mut story.effects);
    let types: Vec<_> =
        story.effects.notifies.iter().map(|n| n.body.as_ref().unwrap().content_type.as_str().to_owned()).collect();
    assert_eq!(types, ["text/plain", "text/plain"], "the next to newest counts again");
}

#[test]
fn of_many_watchers_any_may_leave_and_the_others_are_still_told() {
    let mut story = Story::new(|_| {});
    let names = ["a", "b", "c", "d", "e"];
    let ids = names.map(|name| story.subscribe(name, 3600));
    ids.iter().for_each(|&id| story.answer(id, 200));
    for (gone, name) in [(1, "b"), (4, "e"), (0, "a")] {
        story.refresh(ids[gone], name, 2, 0).unwrap();
        story.answer(ids[gone], 200);
    }
    story.notifies();
    story.publish(None, 3600, true).unwrap();
    let mut told: Vec<_> = story.notifies().into_iter().map(|(watcher, ..)| watcher).collect();
    told.sort_unstable();
    assert_eq!(told, ["c", "d"]);
}

#[test]
fn what_looks_the_same_is_not_told() {
    let mut story = Story::with(
        |_| {},
        |_| Packages::new(vec![Box::new(Presence::new(Authorization::Everybody, Composition::Newest))]),
    );
    let first = story.publish(None, 3600, true).unwrap();
    let bob = story.subscribe("bob", 3600);
    story.answer(bob, 200);
    story.notifies();
    story.wait(Duration::from_secs(1));
    story.publish(None, 3600, true).unwrap();
    assert_eq!(story.notifies().len(), 1, "another publisher is the newest now");
    story.answer(bob, 200);
    story.publish(Some(&first), 0, false).unwrap();
    assert_eq!(story.notifies(), [], "the older one does not count");
}

#[test]
fn who_was_told_what_could_not_be_committed_is_told_that_it_is_not_so() {
    let mut story = Story::new(|_| {});
    let bob = story.subscribe("bob", 3600);
    story.answer(bob, 200);
    story.notifies();
    let accepted = story.try_publish(None, 3600, true).unwrap();
    story.refresh(bob, "bob", 2, 3600).unwrap();
    assert_eq!(story.notifies(), [("bob", 2, "active;expires=3600".into(), Some(true))]);
    story.answer(bob, 200);
    story.agent.withdraw_publish(accepted, story.now, &mut story.effects);
    assert_eq!(story.notifies(), [("bob", 3, "active;expires=3600".into(), Some(false))]);
}
