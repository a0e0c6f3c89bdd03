//! Crashes between any two writes: an agent, a database that takes one write after the other, watchers and publishers, all driven by a
//! seed. `SIGNALBOX_CRASH_SEEDS=100000` plays more of them than the usual ones; a failure names its seed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::Limits;

use super::quota::Payer;
use super::*;
use crate::composition::Part;
use crate::documents::{DocumentType, Form};
use crate::packages::{Authorization, PRESENCE, Packages};
use crate::presentity::Domain;
use crate::publication::{Content, Publication, Publish};
use crate::settings::Settings;
use crate::subscription::{Accepted, Answer, Identity, Notify, Status, Subscribe, Wishes};
use crate::token::Token;

const SEEDS: u64 = 3000;
const STEPS: usize = 120;
const ALICE: Target<'static> =
    Target { package: PRESENCE, domain: Domain::Registrar, uid: "sip:alice@example.com", aor: "sip:alice@example.com" };
const WATCHERS: [&str; 4] = ["bob", "carol", "dave", "erin"];

type Notification = Notify<&'static str>;

/// The rows, and the writes that are not yet among them.
#[derive(Default)]
struct Database {
    subscriptions: BTreeMap<u64, (Accepted, Instant, usize)>,
    marks: HashMap<u64, u32>,
    publications: BTreeMap<u64, (Token, Instant, Arc<Content>, Instant)>,
    queue: VecDeque<(Row, Then)>,
}

enum Row {
    Subscription(Accepted, Instant, usize),
    SubscriptionGone(Token),
    Mark(Token, u32),
    Publication(u64, Token, Instant, Arc<Content>, Instant),
    PublicationGone(u64),
}

/// What waits for a commit.
enum Then {
    Subscribed(Accepted, usize),
    Published(Box<AcceptedPublish>, usize),
    Reserved(Token, u32),
    Nothing,
}

/// What a watcher knows.
#[derive(Default)]
struct Phone {
    id: Option<Token>,
    cseq: u32,
    /// Until when the last 200 has promised the subscription.
    promised: Option<Instant>,
    asking: bool,
    heard: u32,
    body: Option<String>,
    ended: bool,
}

/// What a publisher knows.
#[derive(Default)]
struct Publisher {
    tag: Option<Token>,
    /// The note that the last 200 has promised to show, and until when.
    note: Option<(String, Instant)>,
    asking: bool,
}

struct World {
    seed: u64,
    random: u64,
    now: Instant,
    lives: u8,
    notes: u32,
    agent: Agent<&'static str>,
    effects: Effects<&'static str>,
    database: Database,
    on_the_way: Vec<Notification>,
    phones: Vec<Phone>,
    publishers: Vec<Publisher>,
}

fn agent(life: u8) -> Agent<&'static str> {
    let settings = Settings { authorization: Authorization::Everybody, durable: true, ..Settings::default() };
    let packages = Packages::of(&settings);
    Agent::new(settings, packages, [life; 16])
}

fn identity(watcher: usize) -> Identity<'static> {
    Identity { call_id: WATCHERS[watcher], remote_tag: "tag", event: "presence", event_id: "" }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            now: Instant::now(),
            lives: 1,
            notes: 0,
            agent: agent(1),
            effects: Effects::default(),
            database: Database::default(),
            on_the_way: Vec::new(),
            phones: (0..WATCHERS.len()).map(|_| Phone::default()).collect(),
            publishers: (0..2).map(|_| Publisher::default()).collect(),
        }
    }

    fn dice(&mut self, sides: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize % sides
    }

    fn step(&mut self) {
        match self.dice(20) {
            0..=3 => self.ask_for_subscription(),
            4..=7 => self.ask_to_publish(),
            8..=12 => self.commit(),
            13..=16 => self.deliver(),
            17 if self.database.queue.is_empty() => {
                let seconds = [1, 30, 400, 1900][self.dice(4)];
                self.now += Duration::from_secs(seconds);
                self.agent.tick(self.now, &mut self.effects);
            }
            18 => self.fail(),
            19 if self.dice(3) == 0 => self.crash(),
            _ => {}
        }
        self.follow_up();
    }

    /// What the module does with effects.
    fn follow_up(&mut self) {
        let effects = std::mem::take(&mut self.effects);
        for notify in effects.notifies {
            self.check_truth(&notify);
            self.on_the_way.push(notify);
        }
        for record in effects.records {
            self.database.queue.push_back(match record {
                Record::SubscriptionGone(id) => (Row::SubscriptionGone(id), Then::Nothing),
                Record::PublicationGone(id) => (Row::PublicationGone(id), Then::Nothing),
                Record::Reserve { id, mark } => (Row::Mark(id, mark), Then::Reserved(id, mark)),
                Record::Decided(_) | Record::Proved(_) | Record::WatcherTold(_) => continue,
            });
        }
    }

    /// A NOTIFY shows what was promised to its publisher; of one who is being answered nothing is sure.
    fn check_truth(&self, notify: &Notification) {
        let Some(body) = &notify.body else { return };
        let body = String::from_utf8_lossy(&body.bytes);
        for publisher in self.publishers.iter().filter(|publisher| !publisher.asking) {
            match &publisher.note {
                Some((note, until)) if *until > self.now => {
                    assert!(body.contains(note.as_str()), "seed {}: {note} is missing in {body}", self.seed);
                }
                _ => {}
            }
        }
    }

    fn ask_for_subscription(&mut self) {
        let watcher = self.dice(WATCHERS.len());
        let (expires, over) = ([600, 3600][self.dice(2)], self.dice(5) == 0);
        let phone = &mut self.phones[watcher];
        if phone.asking {
            return;
        }
        phone.cseq += 1;
        let mut request = Subscribe {
            identity: identity(watcher),
            cseq: phone.cseq,
            expires: Some(Duration::from_secs(expires)),
            watcher: WATCHERS[watcher],
            to: ALICE.aor,
            wishes: Wishes::of(Form::Made(DocumentType::Pidf)),
            payer: Payer { source: None, octets: 0 },
        };
        let accepted = match phone.id {
            Some(id) => {
                if over {
                    request.expires = Some(Duration::ZERO);
                }
                match self.agent.resubscribe(id, &request) {
                    Ok(accepted) => accepted,
                    Err(rejection) => {
                        let promised = phone.promised.is_some_and(|until| until > self.now) && !phone.ended;
                        assert!(!promised, "seed {}: {} refused with {rejection}", self.seed, WATCHERS[watcher]);
                        *phone = Phone { cseq: phone.cseq, ..Phone::default() };
                        return;
                    }
                }
            }
            None => self.agent.subscribe(&ALICE, &request, |_| Arc::new(WATCHERS[watcher]), self.now).expect("room"),
        };
        phone.asking = true;
        let row = if accepted.expires.is_zero() {
            Row::SubscriptionGone(accepted.id)
        } else {
            Row::Subscription(accepted.clone(), self.now + accepted.expires, watcher)
        };
        self.database.queue.push_back((row, Then::Subscribed(accepted, watcher)));
    }

    fn ask_to_publish(&mut self) {
        let number = self.dice(2);
        let kind = self.dice(5);
        if self.publishers[number].asking {
            return;
        }
        let tag = self.publishers[number].tag;
        let (expires, with_body) = match (tag, kind) {
            (None, _) => (3600, true),
            (Some(_), 0) => (0, false),
            (Some(_), 1) => (3600, false),
            (Some(_), _) => (600, true),
        };
        self.notes += 1;
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:alice@example.com'><tuple id='t'><status><basic>open\
             </basic></status></tuple><note>note-{}.</note></presence>",
            self.notes
        );
        let pidf = Pidf::parse(text.as_bytes(), &Limits::default()).expect("valid");
        let spelt = tag.map(|tag| tag.to_string());
        let request = Publish { if_match: spelt.as_deref(), expires: Some(Duration::from_secs(expires)) };
        let published = self.agent.publish(&ALICE, request, self.now, |id| {
            let part = Part::of_publication(&pidf, id);
            let content_type = "application/pidf+xml".into();
            Ok(with_body.then(|| Content {
                content_type,
                body: Bytes::from(text),
                part,
                dialogs: Box::default(),
                room: None,
            }))
        });
        let publisher = &mut self.publishers[number];
        let accepted = match published {
            Ok(accepted) => accepted,
            Err(rejection) => {
                let promised = publisher.note.as_ref().is_some_and(|(_, until)| *until > self.now);
                assert!(!promised, "seed {}: publisher {number} refused with {rejection}", self.seed);
                *publisher = Publisher::default();
                return;
            }
        };
        publisher.asking = true;
        let published = &accepted.published;
        let row = match &published.content {
            Some(content) => Row::Publication(
                published.id,
                published.entity_tag,
                self.now + published.expires,
                content.clone(),
                published.modified,
            ),
            None => Row::PublicationGone(published.id),
        };
        self.database.queue.push_back((row, Then::Published(Box::new(accepted), number)));
    }

    /// The database takes the next write, and who waits for it learns of it.
    fn commit(&mut self) {
        if let Some((row, then)) = self.database.queue.pop_front() {
            self.database.store(row);
            self.confirm(then);
        }
    }

    fn confirm(&mut self, then: Then) {
        match then {
            Then::Subscribed(accepted, watcher) => {
                let phone = &mut self.phones[watcher];
                phone.asking = false;
                if phone.id != Some(accepted.id) {
                    let cseq = phone.cseq;
                    *phone = Phone { id: Some(accepted.id), cseq, ..Phone::default() };
                }
                phone.promised = (!accepted.expires.is_zero()).then(|| self.now + accepted.expires);
                self.agent.confirm_subscribe(&accepted, None, self.now, &mut self.effects);
            }
            Then::Published(accepted, number) => {
                let publisher = &mut self.publishers[number];
                publisher.asking = false;
                let published = &accepted.published;
                let note = published.content.as_ref().map(|content| {
                    let text = String::from_utf8_lossy(&content.body);
                    let (_, rest) = text.split_once("<note>").expect("a note");
                    (rest.split('<').next().unwrap_or_default().to_owned(), self.now + published.expires)
                });
                publisher.tag = note.is_some().then_some(published.entity_tag);
                publisher.note = note;
                self.agent.confirm_publish(&accepted, self.now, &mut self.effects);
            }
            Then::Reserved(id, mark) => self.agent.reserved(id, Some(mark), self.now, &mut self.effects),
            Then::Nothing => {}
        }
    }

    /// The database refuses the next write.
    fn fail(&mut self) {
        match self.database.queue.pop_front() {
            Some((_, Then::Subscribed(accepted, watcher))) => {
                self.phones[watcher].asking = false;
                self.agent.withdraw_subscribe(&accepted);
            }
            Some((_, Then::Published(accepted, number))) => {
                self.publishers[number].asking = false;
                self.agent.withdraw_publish(*accepted, self.now, &mut self.effects);
            }
            Some((_, Then::Reserved(id, _))) => self.agent.reserved(id, None, self.now, &mut self.effects),
            // Nobody waits for these. A row too many ends by itself after a restart.
            Some((_, Then::Nothing)) | None => {}
        }
    }

    /// A NOTIFY reaches its watcher.
    fn deliver(&mut self) {
        if self.on_the_way.is_empty() {
            return;
        }
        let next = self.dice(self.on_the_way.len());
        let notify = self.on_the_way.swap_remove(next);
        let status = self.hear(&notify);
        self.agent.notified(notify.id, Some(Answer::of(status)), self.now, &mut self.effects);
    }

    fn hear(&mut self, notify: &Notification) -> u16 {
        let seed = self.seed;
        let Some(phone) = self.phones.iter_mut().find(|phone| phone.id == Some(notify.id)) else {
            return 481; // Of a SUBSCRIBE whose 200 never came.
        };
        assert!(notify.cseq > phone.heard, "seed {seed}: CSeq {} after {}", notify.cseq, phone.heard);
        phone.heard = notify.cseq;
        phone.body = notify.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
        phone.ended |= notify.notification.state.is_terminated();
        200
    }

    /// All that is only in memory is lost, perhaps just after a commit that nobody heard of.
    fn crash(&mut self) {
        if self.dice(2) == 0
            && let Some((row, then)) = self.database.queue.pop_front()
        {
            self.database.store(row);
            self.forget(then);
        }
        for (_, then) in std::mem::take(&mut self.database.queue) {
            self.forget(then);
        }
        for notify in std::mem::take(&mut self.on_the_way) {
            if self.dice(2) == 0 {
                self.hear(&notify);
            }
        }
        self.effects = Effects::default();
        self.lives += 1;
        self.agent = agent(self.lives);
        self.restore();
    }

    /// A request gets no answer: whoever sent it doesn't know what became of it, and starts anew.
    fn forget(&mut self, then: Then) {
        match then {
            Then::Subscribed(accepted, watcher) => {
                let phone = &mut self.phones[watcher];
                phone.asking = false;
                // It may have been made shorter, or ended, without the watcher knowing.
                let promised = phone.promised.filter(|_| !accepted.expires.is_zero());
                phone.promised = promised.map(|until| until.min(self.now + accepted.expires));
            }
            Then::Published(_, number) => self.publishers[number] = Publisher::default(),
            Then::Reserved(..) | Then::Nothing => {}
        }
    }

    fn restore(&mut self) {
        for (&id, (entity_tag, expires_at, content, modified)) in &self.database.publications {
            let publication = Publication {
                id,
                entity_tag: *entity_tag,
                expires_at: *expires_at,
                modified: *modified,
                content: content.clone(),
            };
            self.agent.restore_publication(&ALICE, publication, self.now).expect("within the limits");
        }
        for (id, (accepted, expires_at, watcher)) in &self.database.subscriptions {
            let restored = RestoredSubscription {
                id: accepted.id,
                target: ALICE,
                remote_cseq: accepted.cseq,
                mark: accepted.mark.max(self.database.marks.get(id).copied().unwrap_or(0)),
                wishes: accepted.wishes.clone(),
                since: accepted.since,
                status: Status::Active,
                expires: expires_at.saturating_duration_since(self.now),
                way: WATCHERS[*watcher],
                octets: 0,
            };
            let identity = identity(*watcher);
            self.agent.restore_subscription(restored, |_| Some(identity), self.now, &mut self.effects);
        }
        self.agent.tell_everybody_again(self.now);
    }

    /// Lets everything come to rest: what is queued is committed, what is on the way arrives.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.follow_up();
            if !self.database.queue.is_empty() {
                self.commit();
            } else if !self.on_the_way.is_empty() {
                self.deliver();
            } else if self.agent.next_deadline().is_some_and(|at| at <= self.now + Duration::from_secs(1)) {
                self.now += Duration::from_secs(1);
                self.agent.tick(self.now, &mut self.effects);
            } else {
                return;
            }
        }
        panic!("seed {}: it never comes to rest", self.seed);
    }

    /// Each watcher that was promised a subscription has it and knows the newest state.
    fn check_watchers(&self) {
        for (phone, name) in self.phones.iter().zip(WATCHERS) {
            if phone.promised.is_none_or(|until| until <= self.now + Duration::from_secs(2)) || phone.ended {
                continue;
            }
            let body = phone.body.as_deref().unwrap_or_default();
            for (note, until) in self.publishers.iter().filter_map(|publisher| publisher.note.as_ref()) {
                let shown = body.contains(note.as_str()) || *until <= self.now + Duration::from_secs(2);
                assert!(shown, "seed {}: {name} has not heard of {note}: {body}", self.seed);
            }
        }
    }

    /// In the end everything ends, with a last NOTIFY, and leaves nothing behind.
    fn check_end(&mut self) {
        for _ in 0..3 {
            self.now += Duration::from_secs(7200);
            self.agent.tick(self.now, &mut self.effects);
            self.settle();
        }
        for (phone, name) in self.phones.iter().zip(WATCHERS) {
            assert!(phone.promised.is_none() || phone.ended, "seed {}: {name} was told no end", self.seed);
        }
        let mut left = 0;
        self.agent.for_each_presentity(|_| left += 1);
        assert_eq!(left, 0, "seed {}", self.seed);
    }
}

impl Database {
    fn store(&mut self, row: Row) {
        match row {
            Row::Subscription(accepted, expires_at, watcher) => {
                self.subscriptions.insert(accepted.id.0, (accepted, expires_at, watcher));
            }
            Row::SubscriptionGone(id) => {
                self.subscriptions.remove(&id.0);
                self.marks.remove(&id.0);
            }
            Row::Mark(id, mark) => _ = self.marks.insert(id.0, mark),
            Row::Publication(id, tag, expires_at, content, modified) => {
                self.publications.insert(id, (tag, expires_at, content, modified));
            }
            Row::PublicationGone(id) => _ = self.publications.remove(&id),
        }
    }
}

#[test]
fn a_crash_between_any_two_writes_loses_nothing_acknowledged_and_repeats_no_cseq() {
    let seeds = std::env::var("SIGNALBOX_CRASH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.crash();
        world.settle();
        world.check_watchers();
        world.check_end();
    }
}

#[test]
fn after_a_crash_watchers_are_told_the_state_once_and_a_few_hundred_at_a_time() {
    let mut world = World::new(7);
    let ask = |world: &mut World| {
        let request = Subscribe {
            identity: identity(0),
            cseq: 1,
            expires: Some(Duration::from_secs(3600)),
            watcher: WATCHERS[0],
            to: ALICE.aor,
            wishes: Wishes::of(Form::Made(DocumentType::Pidf)),
            payer: Payer { source: None, octets: 0 },
        };
        let accepted = world.agent.subscribe(&ALICE, &request, |_| Arc::new(WATCHERS[0]), world.now).expect("room");
        let row = Row::Subscription(accepted, world.now + Duration::from_secs(3600), 0);
        world.database.store(row);
    };
    (0..1200).for_each(|_| ask(&mut world));
    world.crash();
    let mut told = Vec::new();
    for _ in 0..4 {
        world.agent.tick(world.now, &mut world.effects);
        for record in std::mem::take(&mut world.effects).records {
            let Record::Reserve { id, mark } = record else { panic!("{record:?}") };
            world.agent.reserved(id, Some(mark), world.now, &mut world.effects);
        }
        told.push(world.effects.notifies.len());
        for notify in std::mem::take(&mut world.effects.notifies) {
            world.agent.notified(notify.id, Some(Answer::of(200)), world.now, &mut world.effects);
        }
        assert_eq!(world.agent.has_told_everybody(), told.len() >= 3);
        world.now += Duration::from_millis(200);
    }
    assert_eq!(told, [500, 500, 200, 0]);
}
