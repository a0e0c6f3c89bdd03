//! The watchers of one presentity, and what each recipient has been told of them.
//!
//! Every change gets the next number. A recipient's mark is the number up to which it knows: a partial document holds what came behind
//! it, so changes that come while a NOTIFY is under way are all in the next one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use signalbox_documents::watcherinfo::{CONTENT_TYPE, Event, State, Status, WatcherInfo, WatcherList};
use signalbox_sip::uri::Aor;

use super::row::{self, Row};
use crate::documents::{Body, ContentType};
use crate::packages::observer::{Cause, Change, Observer, Remembered};
use crate::packages::teller::{Teller, Told};
use crate::token::Token;

/// Watchers for whom nobody has decided and who have gone, for one presentity. One more, and the one that has waited for longest
/// is given up (RFC 3857 §4.7.1 asks for such a limit).
pub const MAX_WAITING: usize = 1000;
/// Most watchers in one document, and most octets of them; beyond that only the newest are shown. One NOTIFY must be
/// far smaller than what may wait for a peer.
pub const MAX_SHOWN: usize = 500;
pub const MAX_SHOWN_OCTETS: usize = 128 * 1024;
/// Most ended subscriptions that are still told; beyond that the oldest are forgotten early.
pub const MAX_ENDED: usize = 1000;
/// How long the end of a subscription can be told in a partial document. Who hears of it later is told everything.
const TOLD_FOR: Duration = Duration::from_secs(300);

/// See the [module](self).
#[derive(Debug)]
pub struct Watchers {
    /// The observed package.
    package: Box<str>,
    giveup: Duration,
    /// By the number of their last change.
    rows: BTreeMap<u64, Row>,
    /// That number.
    changed: HashMap<Token, u64>,
    /// The numbers of those who wait, so that nobody has to look for them among all.
    waiting: BTreeSet<u64>,
    /// The numbers of watchers whose subscriptions have ended.
    ended: BTreeSet<u64>,
    /// When those who wait are given up, and those who are terminated are forgotten.
    deadlines: BTreeSet<(Instant, Token)>,
    last: u64,
    /// Up to here the end of some subscription has been forgotten.
    forgotten: u64,
}

impl Watchers {
    pub fn new(package: &str, giveup: Duration) -> Self {
        Self {
            package: package.into(),
            giveup,
            rows: BTreeMap::new(),
            changed: HashMap::new(),
            waiting: BTreeSet::new(),
            ended: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            last: 0,
            forgotten: 0,
        }
    }

    fn row(&self, id: Token) -> Option<&Row> {
        self.rows.get(self.changed.get(&id)?)
    }

    fn take(&mut self, id: Token) -> Option<Row> {
        let number = self.changed.remove(&id)?;
        self.waiting.remove(&number);
        self.ended.remove(&number);
        let row = self.rows.remove(&number)?;
        if let Some(deadline) = row.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(row)
    }

    /// Takes a row in as the newest change.
    fn put(&mut self, mut row: Row, now: Instant) {
        self.take(row.id);
        self.last += 1;
        row.deadline = match row.status {
            Status::Waiting => {
                self.waiting.insert(self.last);
                Some(now + self.giveup)
            }
            Status::Terminated => {
                self.ended.insert(self.last);
                Some(now + TOLD_FOR)
            }
            Status::Pending | Status::Active => None,
        };
        self.deadlines.extend(row.deadline.map(|deadline| (deadline, row.id)));
        self.changed.insert(row.id, self.last);
        self.rows.insert(self.last, row);
    }

    /// Forgets that a subscription has ended. A watcher that has not been told of it gets the full state.
    fn forget(&mut self, id: Token) {
        self.forgotten = self.forgotten.max(self.changed.get(&id).copied().unwrap_or(0));
        self.take(id);
    }

    fn limit_ended(&mut self) {
        if self.ended.len() > MAX_ENDED
            && let Some(first) = self.ended.first().and_then(|number| self.rows.get(number)).map(|row| row.id)
        {
            self.forget(first);
        }
    }

    /// The rows for a document: those from this number on. Ended ones are included only if the document tells changes.
    /// `None` if they are more than one document may show.
    fn shown(&self, from: u64, state: State) -> (Vec<&Row>, bool) {
        let rows = self.rows.range(from..).rev().map(|(_, row)| row);
        let rows = rows.filter(|row| state == State::Partial || row.status != Status::Terminated);
        let (mut shown, mut octets) = (Vec::new(), 0);
        for row in rows {
            octets += row.shown_octets();
            if shown.len() == MAX_SHOWN || octets > MAX_SHOWN_OCTETS {
                return (shown, false);
            }
            shown.push(row);
        }
        (shown, true)
    }

    fn who_waits(&self) -> impl Iterator<Item = &Row> {
        self.waiting.iter().filter_map(|number| self.rows.get(number))
    }

    fn end(&mut self, id: Token, event: Event, now: Instant) {
        if let Some(row) = self.take(id) {
            self.put(Row { status: Status::Terminated, event, expires: None, ..row }, now);
        }
    }

    /// RFC 3857 §4.7.1: a new subscription makes the waiting state of an earlier one of the same watcher redundant.
    fn supersede(&mut self, newer: &Row, now: Instant) -> Option<Token> {
        let who = who(&newer.uri);
        let is_earlier = |row: &&Row| row.id != newer.id && self::who(&row.uri) == who;
        let (earlier, remembered) = self.who_waits().find(is_earlier).map(|row| (row.id, row.remembered))?;
        self.end(earlier, Event::GiveUp, now);
        remembered
    }

    fn limit_waiting(&mut self, now: Instant) {
        let oldest = self.who_waits().next().map(|row| row.id);
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = oldest
        {
            self.end(oldest, Event::GiveUp, now);
        }
    }
}

/// A watcher, however it is written: its address of record, or else its URI as it is.
fn who(uri: &str) -> Box<str> {
    Aor::parse(uri).map_or_else(|| uri.into(), |aor| aor.as_str().into())
}

impl Observer for Watchers {
    fn observe(&mut self, change: &Change<'_>, now: Instant) -> bool {
        let Some(mut row) = Row::of(change, now) else {
            return false;
        };
        let known = self.row(change.id);
        match (known, change.cause) {
            // A refresh is no change of state; that it lives for longer is told with the next change.
            (Some(_), Cause::Refresh) => {
                if let Some(row) = self.changed.get(&change.id).and_then(|number| self.rows.get_mut(number)) {
                    row.expires = Some(change.expires);
                }
                return false;
            }
            (Some(known), _) if known.status == row.status => return false,
            (Some(known), _) => row.remembered = known.remembered,
            // Nobody has heard of it, and it is over.
            (None, _) if row.status == Status::Terminated => return false,
            (None, _) => {}
        }
        row.remembered = self.supersede(&row, now).or(row.remembered);
        self.put(row, now);
        self.limit_waiting(now);
        self.limit_ended();
        true
    }

    fn remember(&mut self, watchers: &[Remembered], now: Instant) {
        // Looked through once: there may be as many as may subscribe.
        let mut known: HashMap<Box<str>, Token> = HashMap::new();
        for row in self.rows.values().filter(|row| row.status != Status::Terminated) {
            known.entry(who(&row.uri)).or_insert(row.id);
        }
        for watcher in watchers {
            let who = who(&watcher.uri);
            let row = known.get(&who).and_then(|id| self.row(*id)).filter(|row| row.status != Status::Terminated);
            let row = match row {
                Some(known) => Row { remembered: Some(watcher.id), ..known.clone() },
                None => Row::remembered(watcher),
            };
            known.insert(who, row.id);
            self.put(row, now);
            self.limit_waiting(now);
        }
    }

    fn decide(&mut self, is_chosen: &dyn Fn(Token, &str) -> bool, cause: Cause, now: Instant) -> Vec<Token> {
        let chosen = self.who_waits().filter(|row| is_chosen(row.id, &row.uri));
        let chosen: Vec<_> = chosen.map(|row| row.id).collect();
        chosen.iter().for_each(|id| self.end(*id, row::event_of(cause), now));
        chosen
    }

    fn delivered(&mut self, seen: u64) -> Vec<Token> {
        self.rows.range_mut(..=seen).filter_map(|(_, row)| row.remembered.take()).collect()
    }
}

impl Teller for Watchers {
    fn body(&self, told: Told<'_>, now: Instant) -> Body {
        let known = told.seen.replace(self.last).filter(|seen| *seen >= self.forgotten);
        let changes = known.map(|seen| self.shown(seen + 1, State::Partial)).filter(|(_, all)| *all);
        let (state, mut rows) = match changes {
            Some((rows, _)) => (State::Partial, rows),
            // Too much has changed for one document: it shows the full state, up to its limit.
            None => (State::Full, self.shown(0, State::Full).0),
        };
        rows.reverse();
        let watchers = rows.into_iter().map(|row| row.told(now)).collect();
        let list = WatcherList { resource: told.aor.to_owned(), package: self.package.to_string(), watchers };
        let info = WatcherInfo { version: told.version, state, lists: vec![list] };
        let mut text = String::with_capacity(256);
        info.write(&mut text);
        Body { content_type: ContentType::Known(CONTENT_TYPE), bytes: Bytes::from(text), tag: None }
    }

    fn observer(&mut self) -> Option<&mut dyn Observer> {
        Some(self)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn tick(&mut self, now: Instant) -> bool {
        let mut changed = false;
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            let status = self.row(id).map(|row| row.status);
            match status {
                Some(Status::Waiting) => {
                    self.end(id, Event::GiveUp, now);
                    changed = true;
                }
                Some(Status::Terminated) => self.forget(id),
                Some(Status::Pending | Status::Active) | None => {}
            }
        }
        changed
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use signalbox_documents::watcherinfo::Table;
    use signalbox_documents::xml::Limits;
    use signalbox_sip::dialog::subscription::{Reason, State as Subscribed};

    use super::*;
    use crate::subscription::Status as Decided;

    const SECOND: Duration = Duration::from_secs(1);
    const GIVEUP: Duration = Duration::from_secs(1000);

    /// A presentity's watchers, and one recipient with what it knows.
    struct Story {
        watchers: Watchers,
        now: Instant,
        seen: Option<u64>,
        version: u32,
        table: Table,
    }

    impl Story {
        fn new() -> Self {
            let watchers = Watchers::new("presence", GIVEUP);
            Self { watchers, now: Instant::now(), seen: None, version: 0, table: Table::default() }
        }

        fn change(&mut self, who: &str, state: Subscribed, cause: Cause, status: Decided) -> bool {
            let uri = format!("sip:{who}@example.com");
            let id = Token(u64::from(who.as_bytes()[0]) << 8 | who.len() as u64);
            let (since, expires) = (self.now, self.now + 600 * SECOND);
            let display_name = who.to_uppercase().into();
            let change = Change { id, watcher: &uri, display_name, state, status, charge: None, cause, since, expires };
            self.watchers.observe(&change, self.now)
        }

        /// A subscription comes for which nobody has decided.
        fn pending(&mut self, who: &str) -> bool {
            self.change(who, Subscribed::Pending, Cause::Subscribe, Decided::Pending)
        }

        fn timeout(&mut self, who: &str, status: Decided) -> bool {
            self.change(who, Subscribed::Terminated(Reason::Timeout), Cause::Timeout, status)
        }

        fn wait(&mut self, span: Duration) -> bool {
            self.now += span;
            self.watchers.tick(self.now)
        }

        /// The document of the next NOTIFY.
        fn told(&mut self) -> WatcherInfo {
            let told = Told { aor: "sip:alice@example.com", version: self.version, seen: &mut self.seen };
            self.version += 1;
            let body = self.watchers.body(told, self.now);
            let info = WatcherInfo::parse(&body.bytes, &Limits::default()).unwrap();
            self.table.apply(info.clone());
            info
        }

        /// The same in short.
        fn news(&mut self) -> (u32, State, Vec<String>) {
            let info = self.told();
            let watchers = info.lists.iter().flat_map(|list| &list.watchers);
            let short = |w: &signalbox_documents::watcherinfo::Watcher| {
                format!("{} {} {}", w.display_name.as_deref().unwrap_or_default(), w.status.as_str(), w.event.as_str())
            };
            (info.version, info.state, watchers.map(short).collect())
        }
    }

    #[test]
    fn the_first_document_is_full_and_those_behind_it_tell_what_changed() {
        let mut story = Story::new();
        assert!(story.pending("bob"));
        assert_eq!(story.news(), (0, State::Full, vec!["BOB pending subscribe".to_owned()]));
        assert!(story.pending("carol"));
        assert!(story.change("bob", Subscribed::Active, Cause::Approved, Decided::Active));
        let both = vec!["CAROL pending subscribe".to_owned(), "BOB active approved".to_owned()];
        assert_eq!(story.news(), (1, State::Partial, both));
        assert_eq!(story.news(), (2, State::Partial, vec![]));
    }

    #[test]
    fn times_are_told_in_seconds_and_a_refresh_is_told_with_the_next_change_only() {
        let mut story = Story::new();
        story.pending("bob");
        story.now += 10 * SECOND;
        let told = story.told();
        let bob = &told.lists[0].watchers[0];
        assert_eq!((bob.expiration, bob.duration_subscribed), (Some(590 * SECOND), Some(10 * SECOND)));
        assert!(!story.change("bob", Subscribed::Pending, Cause::Refresh, Decided::Pending));
        story.seen = None;
        assert_eq!(story.told().lists[0].watchers[0].expiration, Some(600 * SECOND));
    }

    #[test]
    fn who_times_out_undecided_waits_until_the_giveup_and_who_was_active_is_terminated() {
        let mut story = Story::new();
        story.pending("bob");
        story.change("carol", Subscribed::Active, Cause::Subscribe, Decided::Active);
        story.news();
        assert!(story.timeout("bob", Decided::Pending) && story.timeout("carol", Decided::Active));
        let ended = vec!["BOB waiting timeout".to_owned(), "CAROL terminated timeout".to_owned()];
        assert_eq!(story.news().2, ended);
        assert!(!story.watchers.is_idle(), "bob is to be told of");
        assert!(!story.wait(TOLD_FOR));
        assert!(story.wait(GIVEUP));
        assert_eq!(story.news().2, ["BOB terminated giveup"]);
        assert!(story.watchers.is_idle());
        story.wait(TOLD_FOR);
        assert_eq!(story.watchers.next_deadline(), None);
    }

    #[test]
    fn who_waits_is_terminated_by_a_decision() {
        let mut story = Story::new();
        for who in ["bob", "carol"] {
            story.pending(who);
            story.timeout(who, Decided::Pending);
        }
        story.pending("dave");
        story.news();
        let is_bob = |_: Token, uri: &str| uri == "sip:bob@example.com";
        assert_eq!(story.watchers.decide(&is_bob, Cause::Approved, story.now).len(), 1);
        assert_eq!(story.news().2, ["BOB terminated approved"]);
        assert_eq!(
            story.watchers.decide(&|_, _| true, Cause::Rejected, story.now).len(),
            1,
            "dave's is a subscription"
        );
        assert_eq!(story.news().2, ["CAROL terminated rejected"]);
    }

    #[test]
    fn a_new_subscription_makes_the_waiting_one_redundant_however_the_uri_is_written() {
        let mut story = Story::new();
        story.pending("bob");
        story.timeout("bob", Decided::Pending);
        story.news();
        let change = Change {
            id: Token(99),
            watcher: "sips:bob@EXAMPLE.com:5061",
            display_name: "".into(),
            state: Subscribed::Pending,
            status: Decided::Pending,
            charge: None,
            cause: Cause::Subscribe,
            since: story.now,
            expires: story.now + 600 * SECOND,
        };
        assert!(story.watchers.observe(&change, story.now));
        assert_eq!(story.news().2, ["BOB terminated giveup", " pending subscribe"]);
    }

    #[test]
    fn a_fetch_that_is_authorized_is_not_told_and_one_that_is_not_waits() {
        let mut story = Story::new();
        let fetch = |story: &mut Story, state, cause, status| {
            let (id, now) = (Token(7), story.now);
            let change = Change {
                id,
                watcher: "sip:f@x",
                display_name: "F".into(),
                state,
                status,
                charge: None,
                cause,
                since: now,
                expires: now,
            };
            story.watchers.observe(&change, now)
        };
        assert!(!fetch(&mut story, Subscribed::Active, Cause::Subscribe, Decided::Active));
        assert!(!fetch(&mut story, Subscribed::Terminated(Reason::Timeout), Cause::Timeout, Decided::Active));
        assert!(!fetch(&mut story, Subscribed::Pending, Cause::Subscribe, Decided::Pending));
        assert!(fetch(&mut story, Subscribed::Terminated(Reason::Timeout), Cause::Timeout, Decided::Pending));
        assert_eq!(story.news().2, ["F waiting timeout"]);
    }

    #[test]
    fn who_missed_what_is_forgotten_is_told_everything() {
        let mut story = Story::new();
        story.change("bob", Subscribed::Active, Cause::Subscribe, Decided::Active);
        story.change("carol", Subscribed::Active, Cause::Subscribe, Decided::Active);
        story.news();
        story.timeout("bob", Decided::Active);
        story.wait(TOLD_FOR);
        assert_eq!(story.news(), (1, State::Full, vec!["CAROL active subscribe".to_owned()]));
    }

    #[test]
    fn those_who_wait_are_limited() {
        let mut story = Story::new();
        for n in 0..=MAX_WAITING {
            let remembered = Remembered {
                id: Token(n as u64),
                uri: format!("sip:{n}@example.com").into(),
                display_name: "".into(),
                since: story.now,
            };
            story.watchers.remember(&[remembered], story.now);
        }
        let waiting = story.watchers.rows.values().filter(|row| row.status == Status::Waiting).count();
        assert_eq!(waiting, MAX_WAITING);
        assert_eq!(story.watchers.row(Token(0)).map(|row| row.event), Some(Event::GiveUp));
    }

    #[test]
    fn remembered_watchers_are_told_apart_by_their_address_of_record() {
        let mut story = Story::new();
        story.pending("bob");
        let remembered = |(id, uri): (u64, &str)| Remembered {
            id: Token(id),
            uri: uri.into(),
            display_name: "".into(),
            since: story.now,
        };
        let uris =
            ["sip:%62ob@EXAMPLE.com", "sip:dave@example.com", "sips:dave@example.com", "urn:a", "urn:b", "urn:a"];
        let all: Vec<_> = (1..).zip(uris).map(remembered).collect();
        story.watchers.remember(&all, story.now);
        let known: Vec<_> = story.watchers.rows.values().map(|row| (&*row.uri, row.remembered.unwrap().0)).collect();
        let expected = [("sip:bob@example.com", 1), ("sip:dave@example.com", 3), ("urn:b", 5), ("urn:a", 6)];
        assert_eq!(known, expected);
    }

    #[test]
    fn who_was_remembered_is_forgotten_when_that_arrived_and_not_before() {
        let mut story = Story::new();
        story.pending("bob");
        story.news();
        let remember = |story: &mut Story, id, who: &str| {
            let uri = format!("sip:{who}@example.com").into();
            let since = story.now;
            story.watchers.remember(&[Remembered { id: Token(id), uri, display_name: who.into(), since }], since);
        };
        remember(&mut story, 1, "bob");
        remember(&mut story, 2, "dave");
        assert_eq!(story.watchers.delivered(story.seen.unwrap()), [], "they have not been told");
        assert_eq!(story.news().2, ["BOB pending subscribe", "dave waiting subscribe"]);
        remember(&mut story, 3, "erin");
        assert_eq!(story.watchers.delivered(story.seen.unwrap()), [Token(1), Token(2)]);
        assert_eq!(story.watchers.delivered(story.seen.unwrap()), [], "only once");
        story.news();
        assert_eq!(story.watchers.delivered(story.seen.unwrap()), [Token(3)]);
    }
}
