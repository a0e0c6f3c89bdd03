//! Changes that could not be made durable, taken back. They fail in no particular order, and one may stand on another: a
//! refresh on the registration before it, a new registration on the removal before it.

use std::sync::Arc;
use std::time::Instant;

use crate::binding::Record;
use crate::location::same_contact;
use crate::shard::{Change, Records};

/// What is to be known of changes that were taken back while later ones stand on them. Nearly always empty.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// Bindings that are no longer true although a later change would bring them back, and what is true instead.
    gone: Vec<(Arc<Record>, Option<Arc<Record>>)>,
    /// Bindings of contacts that were removed before, and what comes back in their place, since the removal failed.
    beneath: Vec<(Arc<Record>, Arc<Record>)>,
}

impl Undone {
    /// Takes `change` back from the bindings of its address of record.
    pub(crate) fn take_back(&mut self, records: &mut Records, change: &Change, now: Instant) {
        let before = change.before.as_ref().and_then(|before| self.truth(before));
        match (&change.after, before) {
            (Some(after), before) => self.replace(records, after, before, now),
            (None, Some(before)) => {
                match records.iter().find(|record| same_contact(record.contact(), before.contact())) {
                    Some(newer) => self.beneath.push((newer.clone(), before)),
                    None if before.expires_at > now => records.push(before),
                    None => {}
                }
            }
            (None, None) => {}
        }
        // A key that only this list knows can't come up again.
        self.gone.retain(|(record, _)| Arc::strong_count(record) > 1);
        self.beneath.retain(|(record, lower)| Arc::strong_count(record) > 1 && lower.expires_at > now);
    }

    /// `after` is not true; `before` is, or what lies beneath.
    fn replace(&mut self, records: &mut Records, after: &Arc<Record>, before: Option<Arc<Record>>, now: Instant) {
        let truth = before.or_else(|| self.take_beneath(after));
        if let Some(truth) = &truth {
            for (key, _) in &mut self.beneath {
                if Arc::ptr_eq(key, after) {
                    *key = truth.clone();
                }
            }
        }
        match (records.iter().position(|record| Arc::ptr_eq(record, after)), truth) {
            (Some(index), Some(truth)) if truth.expires_at > now => records[index] = truth,
            (Some(index), _) => drop(records.remove(index)),
            (None, truth) => self.gone.push((after.clone(), truth)),
        }
    }

    /// The newest of what lies beneath `record` and is true.
    fn take_beneath(&mut self, record: &Arc<Record>) -> Option<Arc<Record>> {
        loop {
            let lower = self.beneath.iter().enumerate().filter(|(_, (key, _))| Arc::ptr_eq(key, record));
            let (index, _) = lower.max_by_key(|(_, (_, lower))| lower.id)?;
            let (_, lower) = self.beneath.swap_remove(index);
            if let Some(truth) = self.truth(&lower) {
                return Some(truth);
            }
        }
    }

    /// The binding that stands for `record` after all that was taken back.
    fn truth(&self, record: &Arc<Record>) -> Option<Arc<Record>> {
        let mut truth = record.clone();
        while let Some((_, instead)) = self.gone.iter().find(|(gone, _)| Arc::ptr_eq(gone, &truth)) {
            truth = instead.clone()?;
        }
        Some(truth)
    }
}
