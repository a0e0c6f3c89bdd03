//! The dialogs of one user, and what each watcher has been told of them.
//!
//! Every change gets the next number. A watcher's mark is the number of the last change that it has been told; a
//! partial document holds the later ones. A dialog that no publication contains any more, because its publisher removed
//! it or the publication expired, is told as terminated, unless more dialogs have ended than are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use signalbox_documents::dialog_info::{self, CONTENT_TYPE, Dialog, DialogState, State};

use super::merge::{self, Claim};
use crate::documents::{Body, ContentType};
use crate::packages::teller::{Teller, Told};
use crate::publication::{Publications, Room, Space};

/// How long the end of a dialog can be told in a partial document. A watcher that is told later gets the full state.
const TOLD_FOR: Duration = Duration::from_secs(300);
/// Most ended dialogs of one user that can still be told in a partial document. Beyond that the oldest is forgotten.
pub const MAX_ENDED: usize = 256;

/// The limit of ended dialogs that are kept, in octets of their documents. Beyond it watchers get the full state
/// instead.
#[derive(Debug, Clone)]
pub struct EndedLimits {
    /// For one user.
    pub of_user: usize,
    /// For all users together.
    pub of_all: Space,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Dialogs {
    limits: EndedLimits,
    /// Dialogs by the number of their last change.
    rows: BTreeMap<u64, Row>,
    /// That number, by the id under which the dialog is told.
    changed: HashMap<Box<str>, u64>,
    /// When ended dialogs are forgotten.
    deadlines: BTreeSet<(Instant, u64)>,
    /// Octets of the ended dialogs.
    ended: usize,
    last: u64,
    /// The number of the last change whose ended dialog was forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Row {
    /// The id under which it is told: its publisher's, unless another dialog has that.
    id: Box<str>,
    says: Says,
}

#[derive(Debug)]
enum Says {
    Published(Claim),
    /// No publication contains it any more.
    Ended(Box<Dialog>, Room),
}

impl Row {
    fn dialog(&self) -> &Dialog {
        match &self.says {
            Says::Published(claim) => claim.dialog(),
            Says::Ended(dialog, _) => dialog,
        }
    }

    fn is_published(&self) -> bool {
        matches!(self.says, Says::Published(_))
    }

    /// Octets kept of it if it has ended.
    fn ended(&self) -> usize {
        match &self.says {
            Says::Published(_) => 0,
            Says::Ended(_, room) => room.octets(),
        }
    }

    fn write(&self, out: &mut String, now: Instant) {
        let duration = match &self.says {
            // Its age at the time of its publication.
            Says::Published(claim) if claim.dialog().state != DialogState::Terminated => {
                claim.dialog().duration.map(|age| age + now.saturating_duration_since(claim.modified))
            }
            _ => self.dialog().duration,
        };
        self.dialog().write_as(out, &self.id, duration);
    }
}

impl Dialogs {
    pub fn new(limits: EndedLimits) -> Self {
        Self {
            limits,
            rows: BTreeMap::new(),
            changed: HashMap::new(),
            deadlines: BTreeSet::new(),
            ended: 0,
            last: 0,
            forgotten: 0,
        }
    }

    fn put(&mut self, row: Row) {
        if let Some(&before) = self.changed.get(&row.id) {
            self.take(before);
        }
        self.last += 1;
        self.changed.insert(row.id.clone(), self.last);
        self.rows.insert(self.last, row);
    }

    fn take(&mut self, number: u64) -> Option<Row> {
        let row = self.rows.remove(&number)?;
        self.ended -= row.ended();
        Some(row)
    }

    /// The id under which each of these is told: the id it already has, else its own, else one that also contains its
    /// publisher.
    fn named(&self, merged: Vec<Claim>) -> Vec<(Box<str>, Claim)> {
        let mut known: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in self.rows.values().filter(|row| row.is_published()) {
            known.entry(&row.dialog().id).or_default().push(row);
        }
        let mut taken: HashSet<Box<str>> = HashSet::new();
        let mut names: Vec<Option<Box<str>>> = Vec::with_capacity(merged.len());
        for claim in &merged {
            let dialog = claim.dialog();
            let mut same = known.get(&*dialog.id).into_iter().flatten();
            let before = same.find(|row| merge::are_one(row.dialog(), dialog) && !taken.contains(&row.id));
            let before = before.map(|row| row.id.clone());
            taken.extend(before.clone());
            names.push(before);
        }
        let name = |(claim, name): (Claim, Option<Box<str>>)| {
            let (own, publication) = (&claim.dialog().id, claim.publication);
            let further = (2..).map(|n| format!("p{publication:x}.{n}-{own}"));
            let names = [own.clone(), format!("p{publication:x}-{own}")].into_iter().chain(further);
            let free = || names.map(Box::from).find(|name| !taken.contains(name));
            let name = name.or_else(free).unwrap_or_default();
            taken.insert(name.clone());
            (name, claim)
        };
        merged.into_iter().zip(names).map(name).collect()
    }

    /// Takes in a published dialog. True if it changes what watchers see.
    fn take_in(&mut self, id: Box<str>, claim: Claim) -> bool {
        let known = self.changed.get(&id).and_then(|number| self.rows.get_mut(number));
        if let Some(row) = known
            && row.is_published()
            && is_told_the_same(row.dialog(), claim.dialog())
        {
            row.says = Says::Published(claim);
            return false;
        }
        self.put(Row { id, says: Says::Published(claim) });
        true
    }

    /// No publication contains the dialog of this number any more. True if that changes what watchers see.
    fn end(&mut self, number: u64, now: Instant) -> bool {
        let Some(row) = self.take(number) else {
            return false;
        };
        let was_over = row.dialog().state == DialogState::Terminated;
        let dialog = if was_over { row.dialog().clone() } else { row.dialog().ended() };
        let mut text = String::new();
        dialog.write_as(&mut text, &row.id, dialog.duration);
        let room = self.limits.of_all.take(text.len()).ok().filter(|room| room.octets() <= self.limits.of_user);
        let told_as = if was_over { number } else { self.last + 1 };
        self.last = self.last.max(told_as);
        match room {
            Some(room) => {
                let row = Row { says: Says::Ended(dialog.into(), room), ..row };
                self.ended += row.ended();
                self.changed.insert(row.id.clone(), told_as);
                self.rows.insert(told_as, row);
                self.deadlines.insert((now + TOLD_FOR, told_as));
            }
            None => {
                self.changed.remove(&row.id);
                self.forgotten = self.forgotten.max(told_as);
            }
        }
        !was_over
    }

    /// Forgets the ended dialog of this number, unless it has changed since.
    fn forget(&mut self, number: u64) {
        if self.rows.get(&number).is_some_and(|row| !row.is_published())
            && let Some(row) = self.take(number)
        {
            self.changed.remove(&row.id);
            self.forgotten = self.forgotten.max(number);
        }
    }
}

/// Whether the two differ only in their age.
fn is_told_the_same(one: &Dialog, other: &Dialog) -> bool {
    one == other || one == &Dialog { duration: one.duration, ..other.clone() }
}

impl Teller for Dialogs {
    fn body(&self, told: Told<'_>, now: Instant) -> Body {
        let known = told.seen.replace(self.last);
        // §3.3: in answer to a SUBSCRIBE, and without any change to tell of, a document holds "the complete view of dialog state".
        let known = known.filter(|seen| *seen >= self.forgotten && *seen < self.last);
        let (state, from) = known.map_or((State::Full, 0), |seen| (State::Partial, seen + 1));
        // The first document has no ended dialogs to tell.
        let with_ended = told.version > 0;
        let mut text = String::with_capacity(512);
        dialog_info::write_head(&mut text, told.version, state, told.aor);
        let rows = self.rows.range(from..).map(|(_, row)| row);
        rows.filter(|row| with_ended || row.is_published()).for_each(|row| row.write(&mut text, now));
        dialog_info::write_tail(&mut text);
        Body { content_type: ContentType::Known(CONTENT_TYPE), bytes: Bytes::from(text), tag: None }
    }

    fn published(&mut self, publications: &Publications, now: Instant) -> bool {
        let named = self.named(merge::merged(publications));
        let ids: HashSet<Box<str>> = named.iter().map(|(id, _)| id.clone()).collect();
        let gone = self.rows.iter().filter(|(_, row)| row.is_published() && !ids.contains(&row.id));
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        let mut has_news = false;
        for number in gone {
            has_news |= self.end(number, now);
        }
        for (id, claim) in named {
            has_news |= self.take_in(id, claim);
        }
        while (self.deadlines.len() > MAX_ENDED || self.ended > self.limits.of_user)
            && let Some((_, oldest)) = self.deadlines.pop_first()
        {
            self.forget(oldest);
        }
        has_news
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn tick(&mut self, now: Instant) -> bool {
        while let Some((at, number)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, number));
            self.forget(number);
        }
        false
    }

    /// Without watchers, ended dialogs need not be kept.
    fn is_idle(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
