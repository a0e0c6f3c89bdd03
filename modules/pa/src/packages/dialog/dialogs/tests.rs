use signalbox_documents::dialog_info::{Applied, DialogInfo, Table};
use signalbox_documents::xml::Limits;

use super::*;
use crate::packages::dialog::DialogPackage;
use crate::packages::{Authorization, EventPackage};
use crate::publication::Publication;
use crate::token::Token;

const SECOND: Duration = Duration::from_secs(1);

/// One user's dialogs, some publishers, and one watcher with the state it has been told.
struct Story {
    dialogs: Dialogs,
    publications: Vec<Publication>,
    now: Instant,
    seen: Option<u64>,
    version: u32,
    table: Table,
}

fn dialog(id: &str, call_id: &str, state: &str) -> String {
    let call_id = if call_id.is_empty() { String::new() } else { format!("call-id='{call_id}'") };
    format!("<dialog id='{id}' {call_id}><state>{state}</state><duration>10</duration></dialog>")
}

fn limits(of_user: usize) -> EndedLimits {
    EndedLimits { of_user, of_all: Space::new(usize::MAX) }
}

impl Story {
    fn new() -> Self {
        Self::with(limits(usize::MAX))
    }

    fn with(limits: EndedLimits) -> Self {
        let (dialogs, table) = (Dialogs::new(limits), Table::default());
        Self { dialogs, publications: Vec::new(), now: Instant::now(), seen: None, version: 0, table }
    }

    /// A publisher publishes exactly these dialogs; without dialogs it removes its publication. True if watchers must
    /// be told.
    fn publish(&mut self, publisher: u64, dialogs: &[String]) -> bool {
        self.now += SECOND;
        self.publications.retain(|publication| publication.id != publisher);
        if !dialogs.is_empty() {
            let text = format!(
                "<dialog-info xmlns='{}' version='0' state='full' entity='sip:a@x'>{}</dialog-info>",
                dialog_info::NAMESPACE,
                dialogs.concat()
            );
            let package = DialogPackage::new(Authorization::Everybody, limits(usize::MAX));
            let content = package.read(CONTENT_TYPE, text.into(), publisher).unwrap();
            let (entity_tag, expires_at, modified) = (Token(1), self.now + 600 * SECOND, self.now);
            let publication = Publication { id: publisher, entity_tag, expires_at, modified, content: content.into() };
            self.publications.push(publication);
        }
        self.look()
    }

    fn look(&mut self) -> bool {
        let mut publications = Publications::default();
        for publication in &self.publications {
            publications.restore(publication.clone(), usize::MAX).unwrap();
        }
        self.dialogs.published(&publications, self.now)
    }

    /// Restarts: a new process has read the publications; versions go on above those that were used.
    fn crash(&mut self) {
        (self.dialogs, self.seen) = (Dialogs::new(self.dialogs.limits.clone()), None);
        self.version += 200;
        self.look();
    }

    /// The last publication of each dialog that has not ended: its Call-ID and state.
    fn truth(&self) -> Vec<(String, DialogState)> {
        let mut truth: BTreeMap<String, (Instant, DialogState)> = BTreeMap::new();
        for publication in &self.publications {
            for dialog in &publication.content.dialogs {
                let known =
                    truth.entry(dialog.call_id.clone().unwrap()).or_insert((publication.modified, dialog.state));
                if known.0 <= publication.modified {
                    *known = (publication.modified, dialog.state);
                }
            }
        }
        let going_on = truth.into_iter().filter(|(_, (_, state))| *state != DialogState::Terminated);
        going_on.map(|(call_id, (_, state))| (call_id, state)).collect()
    }

    /// The same as the watcher has been told it.
    fn known(&self) -> Vec<(String, DialogState)> {
        let dialogs = self.table.dialogs().iter();
        let mut known: Vec<_> = dialogs.map(|dialog| (dialog.call_id.clone().unwrap(), dialog.state)).collect();
        known.sort_by(|one, other| one.0.cmp(&other.0));
        known
    }

    fn told(&mut self) -> DialogInfo {
        let told = Told { aor: "sip:alice@example.com", version: self.version, seen: &mut self.seen };
        let body = self.dialogs.body(told, self.now);
        self.version += 1;
        let info = DialogInfo::parse(&body.bytes, &Limits::default()).unwrap();
        assert_eq!(self.table.apply(info.clone()), Applied::Known);
        info
    }

    /// The same in short.
    fn news(&mut self) -> (u32, State, Vec<String>) {
        let info = self.told();
        let short = |dialog: &Dialog| format!("{} {}", dialog.id, dialog.state.as_str());
        (info.version, info.state, info.dialogs.iter().map(short).collect())
    }
}

#[test]
fn the_first_document_is_full_and_those_after_it_tell_what_changed() {
    let mut story = Story::new();
    assert!(story.publish(1, &[dialog("a", "1", "early")]));
    assert_eq!(story.news(), (0, State::Full, vec!["a early".to_owned()]));
    assert!(story.publish(2, &[dialog("b", "2", "trying")]));
    assert_eq!(story.news(), (1, State::Partial, vec!["b trying".to_owned()]));
    assert!(story.publish(1, &[dialog("a", "1", "confirmed"), dialog("c", "3", "early")]));
    assert_eq!(story.news(), (2, State::Partial, vec!["a confirmed".to_owned(), "c early".to_owned()]));
    let all = vec!["b trying".to_owned(), "a confirmed".to_owned(), "c early".to_owned()];
    assert_eq!(story.news(), (3, State::Full, all), "without a change the whole state is told");
}

#[test]
fn what_is_published_again_is_no_news_though_time_has_passed() {
    let mut story = Story::new();
    story.publish(1, &[dialog("a", "1", "confirmed")]);
    story.news();
    assert!(!story.publish(1, &[dialog("a", "1", "confirmed").replace("10", "11")]));
    story.now += 9 * SECOND;
    story.seen = None;
    assert_eq!(story.told().dialogs[0].duration, Some(20 * SECOND));
}

#[test]
fn a_dialog_that_no_publication_speaks_of_any_more_is_told_as_terminated() {
    let mut story = Story::new();
    story.publish(1, &[dialog("a", "1", "confirmed"), dialog("b", "2", "confirmed")]);
    story.news();
    assert!(story.publish(1, &[dialog("b", "2", "confirmed")]));
    assert_eq!(story.news(), (1, State::Partial, vec!["a terminated".to_owned()]));
    assert!(story.publish(1, &[]));
    assert_eq!(story.news(), (2, State::Partial, vec!["b terminated".to_owned()]));
    assert!(story.table.dialogs().is_empty());
    let mut fresh = None;
    let told = Told { aor: "sip:alice@example.com", version: 0, seen: &mut fresh };
    let first = story.dialogs.body(told, story.now);
    assert!(DialogInfo::parse(&first.bytes, &Limits::default()).unwrap().dialogs.is_empty());
}

#[test]
fn what_was_published_as_terminated_ends_without_further_news() {
    let mut story = Story::new();
    story.publish(1, &[dialog("a", "1", "confirmed")]);
    story.news();
    assert!(story.publish(1, &[dialog("a", "1", "terminated")]));
    assert_eq!(story.news().2, ["a terminated"]);
    assert!(!story.publish(1, &[]));
}

#[test]
fn a_phone_and_its_pbx_speak_of_one_dialog_and_the_last_word_counts() {
    let mut story = Story::new();
    story.publish(2, &[dialog("a", "1", "early")]);
    story.publish(1, &[dialog("a", "1", "confirmed")]);
    assert_eq!(story.news().2, ["a confirmed"]);
    assert!(!story.publish(2, &[dialog("a", "", "confirmed").replace("id='a' ", "id='a' call-id='1' ")]));
    assert!(story.publish(2, &[dialog("a", "1", "terminated")]));
    assert_eq!(story.news().2, ["a terminated"]);
    assert!(story.publish(2, &[]), "the phone still says that it goes on");
    assert_eq!(story.news().2, ["a confirmed"]);
}

#[test]
fn two_phones_may_choose_the_same_id_for_different_dialogs() {
    let mut story = Story::new();
    story.publish(2, &[dialog("1", "second", "early")]);
    assert_eq!(story.news().2, ["1 early"]);
    assert!(story.publish(1, &[dialog("1", "first", "confirmed")]));
    assert_eq!(story.news().2, ["p1-1 confirmed"], "what was told under an id keeps it");
    story.publish(2, &[]);
    assert_eq!(story.news().2, ["1 terminated"]);
    assert!(!story.publish(1, &[dialog("1", "first", "confirmed")]));
    assert_eq!(story.table.dialogs().len(), 1);
    story.publish(1, &[]);
    assert_eq!(story.news().2, ["p1-1 terminated"]);
}

#[test]
fn an_id_can_be_used_again() {
    let mut story = Story::new();
    story.publish(1, &[dialog("1", "x", "confirmed")]);
    story.news();
    story.publish(1, &[]);
    story.publish(1, &[dialog("1", "y", "early")]);
    assert_eq!(story.news().2, ["1 early"]);
    story.now += TOLD_FOR;
    story.dialogs.tick(story.now);
    assert_eq!(story.news(), (2, State::Full, vec!["1 early".to_owned()]));
}

#[test]
fn a_watcher_that_missed_what_is_forgotten_is_told_everything() {
    let mut story = Story::new();
    story.publish(1, &[dialog("a", "1", "confirmed"), dialog("b", "2", "confirmed")]);
    story.news();
    story.publish(1, &[dialog("b", "2", "confirmed")]);
    story.now += TOLD_FOR;
    assert!(!story.dialogs.tick(story.now));
    assert_eq!(story.news(), (1, State::Full, vec!["b confirmed".to_owned()]));
    assert_eq!(story.dialogs.next_deadline(), None);
}

#[test]
fn a_watcher_whose_notify_was_lost_is_told_everything_and_what_has_ended() {
    let mut story = Story::new();
    story.publish(1, &[dialog("a", "1", "confirmed")]);
    story.news();
    story.publish(1, &[]);
    story.seen = None;
    assert_eq!(story.news(), (1, State::Full, vec!["a terminated".to_owned()]));
}

#[test]
fn what_is_kept_of_dialogs_that_are_over_is_bounded() {
    let mut story = Story::new();
    for n in 0..MAX_ENDED as u32 + 10 {
        story.publish(1, &[dialog(&n.to_string(), "", "confirmed")]);
    }
    story.publish(1, &[]);
    assert_eq!((story.dialogs.rows.len(), story.dialogs.changed.len()), (MAX_ENDED, MAX_ENDED));
    assert_eq!(story.dialogs.deadlines.len(), MAX_ENDED);
}

/// Dialogs of 10,000 octets, ever new ones.
fn large(n: u32) -> String {
    dialog(&n.to_string(), &"c".repeat(10_000), "confirmed")
}

#[test]
fn what_is_kept_of_large_dialogs_that_are_over_is_bounded_in_octets() {
    let mut story = Story::with(limits(50_000));
    for n in 0..100 {
        story.publish(1, &[large(n)]);
        story.told();
        assert_eq!(story.known(), story.truth());
    }
    story.seen = None;
    let whole = story.told();
    assert_eq!((whole.state, whole.dialogs.len()), (State::Full, 5), "one that goes on and four that are over");
    // A watcher that has missed the end of more than these is told everything.
    story.publish(1, &(100..104).map(large).collect::<Vec<_>>());
    story.publish(1, &[]);
    assert_eq!(story.told().state, State::Full);
    assert!(story.known().is_empty() && story.dialogs.ended <= 50_000);
    story.now += TOLD_FOR;
    story.dialogs.tick(story.now);
    assert_eq!((story.dialogs.ended, story.dialogs.rows.len()), (0, 0));
}

#[test]
fn what_is_kept_for_all_users_is_bounded_in_octets() {
    let of_all = Space::new(30_000);
    let mut stories = [(); 5].map(|()| Story::with(EndedLimits { of_user: 20_000, of_all: of_all.clone() }));
    for n in 0..10 {
        for story in &mut stories {
            story.publish(1, &[large(n)]);
            story.told();
            assert_eq!(story.known(), story.truth());
            assert!(of_all.taken() <= 30_000);
        }
    }
    assert!(of_all.taken() > 20_000);
    drop(stories);
    assert_eq!(of_all.taken(), 0);
}

#[test]
fn session_descriptions_are_told_to_nobody() {
    let mut story = Story::new();
    let local = "<local><session-description type='application/sdp'>v=0</session-description></local></dialog>";
    story.publish(1, &[dialog("a", "1", "confirmed").replace("</dialog>", local)]);
    assert_eq!(story.told().dialogs[0].local.as_ref().unwrap().session_description, None);
}

#[test]
fn whatever_is_lost_and_whenever_the_server_crashes_a_watcher_that_is_told_knows_the_dialogs_there_are() {
    for seed in 1..=500_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut dice = |sides: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 33) % sides
        };
        // With room for all ended dialogs, for few, and for none.
        let mut story = Story::with(limits([usize::MAX, 250, 0][dice(3) as usize]));
        for _ in 0..80 {
            match dice(10) {
                0..=4 => {
                    let publisher = 1 + dice(3);
                    let mut dialogs = Vec::new();
                    for id in 1..=2 {
                        // Each publisher may publish its own call, or the one that all share.
                        let call = [0, publisher][dice(2) as usize];
                        let state = ["early", "confirmed", "terminated"][dice(3) as usize];
                        if dice(3) > 0 {
                            dialogs.push(dialog(&id.to_string(), &format!("{id}-{call}"), state));
                        }
                    }
                    story.publish(publisher, &dialogs);
                }
                // A NOTIFY that is lost.
                5 => {
                    let told = Told { aor: "sip:alice@example.com", version: story.version, seen: &mut story.seen };
                    story.dialogs.body(told, story.now);
                    (story.version, story.seen) = (story.version + 1, None);
                }
                6 => story.crash(),
                7 => {
                    story.now += TOLD_FOR;
                    story.dialogs.tick(story.now);
                }
                _ => {
                    story.told();
                    assert_eq!(story.known(), story.truth(), "seed {seed}");
                }
            }
        }
    }
}
