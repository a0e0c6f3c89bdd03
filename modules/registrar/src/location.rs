//! The location service of RFC 3261 §10 in memory: from each address of record to its bindings. Never reads a clock.

use std::cmp::Reverse;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use signalbox::services::bindings::BindingChange;
use signalbox_sip::uri::Uri;

use crate::binding::{Numbers, Record, Texts};
use crate::registration::{ContactUpdate, Contacts, Registration};
use crate::rejection::Rejection;
use crate::shard::{Change, Changes, Entry, Records, Shard};

/// Parts of the map that are locked one by one. A power of two.
const SHARDS: usize = 64;

/// How much a location service holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bindings of one address of record.
    pub(crate) contacts: usize,
    /// A contact beyond that limit takes the place of the one that was refreshed least recently.
    pub(crate) replaces_oldest: bool,
    /// A contact takes the place of another of the same device: same `+sip.instance` and `reg-id` (RFC 5626 §6).
    pub(crate) replaces_instance: bool,
    /// Addresses of record.
    pub(crate) aors: usize,
}

/// From addresses of record to bindings.
#[derive(Debug)]
pub(crate) struct Location {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    limits: Limits,
    aors: AtomicUsize,
    /// Ids of records, shared by all location services of the process.
    ids: Arc<AtomicU64>,
}

impl Location {
    pub(crate) fn new(limits: Limits, ids: Arc<AtomicU64>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            limits,
            aors: AtomicUsize::new(0),
            ids,
        }
    }

    /// Carries out a REGISTER, all of it or nothing (§10.3 step 7), and returns what changed and all bindings as they are now. `submit` is called
    /// with the changes while the address of record is locked, so that what it queues is in the order of the changes.
    pub(crate) fn register(
        &self,
        aor: &str,
        registration: &Registration<'_>,
        now: Instant,
        submit: impl FnOnce(&Changes),
    ) -> Result<(Changes, Records), Rejection> {
        let hash = self.hash(aor);
        let mut shard = self.shard(hash);
        let mut changes = Changes::new();
        let mut tentative = shard.valid(hash, aor, now, &mut changes);
        match &registration.contacts {
            Contacts::Fetch => return Ok((Changes::new(), tentative)),
            Contacts::RemoveAll => {
                for record in tentative.drain(..) {
                    // §10.3 step 6: with the same Call-ID only a higher CSeq removes.
                    if record.call_id() == registration.call_id && registration.cseq <= record.cseq {
                        return Err(Rejection::OutOfOrder { cseq: registration.cseq, stored: record.cseq });
                    }
                    changes.push(Change::removed(BindingChange::Removed, record));
                }
            }
            Contacts::Each(contacts) => {
                for contact in contacts {
                    self.update(&mut tentative, registration, contact, now, &mut changes)?;
                }
            }
        }
        self.make_room(&mut tentative, &mut changes)?;
        self.commit(&mut shard, hash, aor, tentative.clone())?;
        submit(&changes);
        Ok((changes, tentative))
    }

    /// Takes back `changes` that could not be made durable. What newer ones made of them stays, unless those are taken back, too.
    pub(crate) fn take_back(&self, aor: &str, changes: &Changes, now: Instant) {
        let hash = self.hash(aor);
        let mut shard = self.shard(hash);
        let mut records = shard.valid(hash, aor, now, &mut Changes::new());
        for change in changes.iter().rev().filter(|change| change.kind != BindingChange::Expired) {
            shard.undone.take_back(&mut records, change, now);
        }
        // What was there before the changes fits.
        let _ = self.commit(&mut shard, hash, aor, records);
    }

    /// The bindings of `aor` that are valid at `now`, highest q first.
    pub(crate) fn records(&self, aor: &str, now: Instant) -> Records {
        let hash = self.hash(aor);
        let shard = self.shard(hash);
        let Some(entry) = shard.entries.find(hash, |entry| *entry.aor == *aor) else { return Records::new() };
        let mut records: Records = entry.records.iter().filter(|record| record.expires_at > now).cloned().collect();
        drop(shard);
        if records.len() > 1 {
            records.sort_by_key(|record| Reverse(record.q));
        }
        records
    }

    /// Removes one contact of `aor`, or all.
    pub(crate) fn remove(
        &self,
        aor: &str,
        contact: Option<&str>,
        now: Instant,
        submit: impl FnOnce(&Changes),
    ) -> Changes {
        let hash = self.hash(aor);
        let mut shard = self.shard(hash);
        let mut changes = Changes::new();
        let mut records = shard.valid(hash, aor, now, &mut changes);
        records.retain(|record| {
            let kept = contact.is_some_and(|contact| !same_contact(contact, record.contact()));
            if !kept {
                changes.push(Change::removed(BindingChange::Removed, record.clone()));
            }
            kept
        });
        // Removing always fits.
        let _ = self.commit(&mut shard, hash, aor, records);
        submit(&changes);
        changes
    }

    /// Removes what has expired at `now` and shows it to `expired`, some addresses of record under one lock.
    pub(crate) fn expire(&self, now: Instant, mut expired: impl FnMut(Vec<(Box<str>, Changes)>)) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.entries.len();
            let gone = shard.expire(now);
            self.aors.fetch_sub(before - shard.entries.len(), Ordering::Relaxed);
            drop(shard);
            if !gone.is_empty() {
                expired(gone);
            }
        }
    }

    /// When [`Self::expire`] may next have something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.shards.iter().filter_map(|shard| lock(shard).deadlines.peek().map(|Reverse((at, _))| *at)).min()
    }

    /// Puts back a binding that was read from the database.
    pub(crate) fn restore(&self, aor: &str, numbers: Numbers, texts: &Texts<'_>) -> Result<(), Rejection> {
        self.ids.fetch_max(numbers.id.saturating_add(1), Ordering::Relaxed);
        let hash = self.hash(aor);
        let mut shard = self.shard(hash);
        let mut records = match shard.entries.find(hash, |entry| *entry.aor == *aor) {
            Some(entry) => entry.records.clone(),
            None => Records::new(),
        };
        if !texts.fit() {
            return Err(Rejection::TooLong);
        }
        // A removal that failed while the contact was registered anew leaves two rows: the newer one counts.
        match records.iter().position(|record| same_contact(record.contact(), texts.contact)) {
            Some(index) if records[index].id > numbers.id => return Ok(()),
            Some(index) => records[index] = Record::new(numbers, texts),
            None if records.len() >= self.limits.contacts => {
                return Err(Rejection::TooManyContacts(self.limits.contacts));
            }
            None => records.push(Record::new(numbers, texts)),
        }
        // The time of the last refresh is not stored. The expiry stands for it, because most bindings last equally
        // long.
        records.sort_by_key(|record| (record.expires_at, record.id));
        self.commit(&mut shard, hash, aor, records)
    }

    /// Addresses of record with bindings, expired ones that were not swept yet included.
    pub(crate) fn len(&self) -> usize {
        self.aors.load(Ordering::Relaxed)
    }

    /// Up to `limit` addresses of record that contain `part`, in no order, with their bindings.
    pub(crate) fn list(&self, part: &str, limit: usize, now: Instant) -> Vec<(Box<str>, Records)> {
        let mut list = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            for entry in shard.entries.iter().filter(|entry| entry.aor.contains(part)) {
                if list.len() == limit {
                    return list;
                }
                let valid: Records = entry.records.iter().filter(|record| record.expires_at > now).cloned().collect();
                if !valid.is_empty() {
                    list.push((entry.aor.clone(), valid));
                }
            }
        }
        list
    }

    /// §10.3 step 7 for one contact.
    fn update(
        &self,
        tentative: &mut Records,
        registration: &Registration<'_>,
        contact: &ContactUpdate<'_>,
        now: Instant,
        changes: &mut Changes,
    ) -> Result<(), Rejection> {
        let index = tentative.iter().position(|record| same_contact(record.contact(), &contact.uri));
        if let Some(index) = index {
            let stored = &tentative[index];
            let removes = contact.lifetime.is_zero();
            // An equal CSeq is the same request once more, sent again while the first was still being stored: it changes nothing and
            // must not fail what succeeds. A removal that arrives again finds no binding.
            let late = registration.cseq < stored.cseq || removes && registration.cseq == stored.cseq;
            if registration.call_id == stored.call_id() && late {
                return Err(Rejection::OutOfOrder { cseq: registration.cseq, stored: stored.cseq });
            }
            if removes {
                changes.push(Change::removed(BindingChange::Removed, tentative.remove(index)));
                return Ok(());
            }
        } else if contact.lifetime.is_zero() {
            return Ok(());
        }
        let id = match index {
            Some(index) => tentative[index].id,
            None => self.ids.fetch_add(1, Ordering::Relaxed),
        };
        let record = pack(id, registration, contact, now)?;
        // The binding that was refreshed last is last.
        let before = index.map(|index| tentative.remove(index));
        let replaced = self.replaced(tentative, registration, contact)?;
        tentative.push(record.clone());
        let kind = if before.is_some() { BindingChange::Refreshed } else { BindingChange::Added };
        changes.push(Change { kind, before, after: Some(record) });
        // After the new contact, so that no watcher is told in between that the user has none.
        changes.extend(replaced.into_iter().map(|record| Change::removed(BindingChange::Removed, record)));
        Ok(())
    }

    /// Removes the bindings that `contact` replaces: those of the same device that this request does not name.
    fn replaced(
        &self,
        tentative: &mut Records,
        registration: &Registration<'_>,
        contact: &ContactUpdate<'_>,
    ) -> Result<Records, Rejection> {
        let mut replaced = Records::new();
        if !self.limits.replaces_instance || contact.instance.is_empty() {
            return Ok(replaced);
        }
        let mut late = None;
        tentative.retain(|record| {
            let same_device =
                record.instance().eq_ignore_ascii_case(&contact.instance) && record.reg_id == contact.reg_id;
            let same_client = record.call_id() == registration.call_id;
            if !same_device || same_client && record.cseq == registration.cseq {
                return true;
            }
            // §10.3 step 7: an old REGISTER that was overtaken must not bring the old contact back.
            if same_client && record.cseq > registration.cseq {
                late = Some(record.cseq);
                return true;
            }
            replaced.push(record.clone());
            false
        });
        match late {
            Some(stored) => Err(Rejection::OutOfOrder { cseq: registration.cseq, stored }),
            None => Ok(replaced),
        }
    }

    /// Removes the oldest contacts beyond the limit, or refuses the request. Contacts that the request names stay.
    fn make_room(&self, tentative: &mut Records, changes: &mut Changes) -> Result<(), Rejection> {
        let over = tentative.len().saturating_sub(self.limits.contacts);
        if over == 0 {
            return Ok(());
        }
        let is_new = |record: &Arc<Record>| {
            let mut named = changes.iter().filter_map(|change| change.after.as_ref());
            named.any(|after| Arc::ptr_eq(after, record))
        };
        if !self.limits.replaces_oldest || tentative.iter().take(over).any(is_new) {
            return Err(Rejection::TooManyContacts(self.limits.contacts));
        }
        changes.extend(tentative.drain(..over).map(|record| Change::removed(BindingChange::Removed, record)));
        Ok(())
    }

    /// Makes `records` the bindings of `aor`.
    fn commit(&self, shard: &mut Shard, hash: u64, aor: &str, records: Records) -> Result<(), Rejection> {
        let first = records.iter().map(|record| record.expires_at).min();
        let entry = shard.entries.find_entry(hash, |entry| *entry.aor == *aor);
        match (entry, first) {
            (Ok(mut entry), Some(first)) => {
                let entry = entry.get_mut();
                entry.records = records;
                if first < entry.queued {
                    entry.queued = first;
                    shard.queue(first, hash);
                }
            }
            (Ok(entry), None) => {
                entry.remove();
                self.aors.fetch_sub(1, Ordering::Relaxed);
            }
            (Err(_), Some(first)) => {
                if self.len() >= self.limits.aors {
                    return Err(Rejection::Full(self.limits.aors));
                }
                let entry = Entry { hash, aor: aor.into(), queued: first, records };
                shard.entries.insert_unique(hash, entry, |entry| entry.hash);
                self.aors.fetch_add(1, Ordering::Relaxed);
                shard.queue(first, hash);
            }
            (Err(_), None) => {}
        }
        Ok(())
    }

    fn hash(&self, aor: &str) -> u64 {
        self.hasher.hash_one(aor)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // hashbrown uses the lowest and the topmost seven bits.
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }
}

/// §10.3 step 7: contacts are compared by the rules for URIs (§19.1.4). Schemes unknown to those are compared as text.
pub(crate) fn same_contact(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (Uri::parse(one), Uri::parse(other)) {
        (Ok(one), Ok(other)) => one.equivalent(&other),
        _ => false,
    }
}

fn pack(
    id: u64,
    registration: &Registration<'_>,
    contact: &ContactUpdate<'_>,
    now: Instant,
) -> Result<Arc<Record>, Rejection> {
    let texts = Texts {
        contact: &contact.uri,
        call_id: &registration.call_id,
        path: &registration.path,
        instance: &contact.instance,
        methods: &contact.methods,
        user_agent: &registration.user_agent,
    };
    if !texts.fit() {
        return Err(Rejection::TooLong);
    }
    let numbers = Numbers {
        id,
        expires_at: now + contact.lifetime,
        cseq: registration.cseq,
        reg_id: contact.reg_id,
        q: contact.q,
        flow: contact.flow.clone(),
        proved: contact.proved,
    };
    Ok(Record::new(numbers, &texts))
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic while the lock was held left the map whole: entries are replaced, never edited halfway.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::shard::STALE_DEADLINES;

    const AOR: &str = "sip:alice@example.com";

    struct Phone {
        location: Location,
        start: Instant,
    }

    fn limits() -> Limits {
        Limits { contacts: 3, aors: 2, replaces_oldest: false, replaces_instance: true }
    }

    fn phone() -> Phone {
        Phone { location: Location::new(limits(), Arc::new(AtomicU64::new(1))), start: Instant::now() }
    }

    impl Phone {
        /// Registers contacts, each with its lifetime in seconds, and returns the kinds of the changes.
        fn register(
            &self,
            at: u64,
            (call_id, cseq): (&str, u32),
            contacts: &[(&str, u64)],
        ) -> Result<Vec<BindingChange>, Rejection> {
            let contacts = contacts.iter().map(|(uri, lifetime)| contact(uri, *lifetime)).collect();
            self.send(at, AOR, (call_id, cseq), Contacts::Each(contacts))
        }

        fn send(
            &self,
            at: u64,
            aor: &str,
            (call_id, cseq): (&str, u32),
            contacts: Contacts<'_>,
        ) -> Result<Vec<BindingChange>, Rejection> {
            let registration =
                Registration { call_id: call_id.into(), cseq, path: "".into(), user_agent: "".into(), contacts };
            let (changes, _) = self.location.register(aor, &registration, self.at(at), |_| ())?;
            Ok(changes.iter().map(|change| change.kind).collect())
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn contacts(&self, at: u64) -> Vec<String> {
            self.location.records(AOR, self.at(at)).iter().map(|record| record.contact().to_owned()).collect()
        }

        fn expire(&self, at: u64) -> Vec<String> {
            let mut gone = Vec::new();
            self.location.expire(self.at(at), |expired| {
                for (_, changes) in expired {
                    gone.extend(changes.iter().filter_map(|change| Some(change.record()?.contact().to_owned())));
                }
            });
            gone
        }
    }

    fn contact(uri: &str, lifetime: u64) -> ContactUpdate<'_> {
        ContactUpdate {
            uri: uri.into(),
            q: 1000,
            lifetime: Duration::from_secs(lifetime),
            instance: "".into(),
            reg_id: None,
            methods: "".into(),
            flow: None,
            proved: true,
        }
    }

    #[test]
    fn a_contact_is_added_refreshed_and_removed() {
        use BindingChange::{Added, Refreshed, Removed};
        let phone = phone();
        assert_eq!(phone.register(0, ("c", 1), &[("sip:a@h", 60)]), Ok(vec![Added]));
        assert_eq!(phone.register(30, ("c", 2), &[("sip:a@h", 60)]), Ok(vec![Refreshed]));
        assert_eq!(phone.contacts(89), ["sip:a@h"]);
        assert_eq!(phone.register(40, ("c", 3), &[("sip:a@h", 0), ("sip:unknown@h", 0)]), Ok(vec![Removed]));
        assert_eq!(phone.contacts(41), [""; 0]);
        assert_eq!(phone.location.len(), 0);
    }

    #[test]
    fn contacts_are_compared_as_uris_not_as_text() {
        let phone = phone();
        phone.register(0, ("c", 1), &[("sip:%61lice@HOST.example;transport=TCP", 60)]).unwrap();
        let again = phone.register(1, ("c", 2), &[("sip:alice@host.example;transport=tcp", 60)]);
        assert_eq!(again, Ok(vec![BindingChange::Refreshed]));
        assert_eq!(phone.contacts(2), ["sip:alice@host.example;transport=tcp"]);
        let other = phone.register(1, ("c", 3), &[("sip:alice@host.example;transport=udp", 60)]);
        assert_eq!(other, Ok(vec![BindingChange::Added]));
    }

    #[test]
    fn a_late_request_of_the_same_call_id_changes_nothing() {
        let phone = phone();
        phone.register(0, ("c", 5), &[("sip:a@h", 60)]).unwrap();
        // The new contact comes first: it must not stay when the second one fails.
        let late = phone.register(1, ("c", 4), &[("sip:b@h", 60), ("sip:a@h", 60)]);
        assert_eq!(late, Err(Rejection::OutOfOrder { cseq: 4, stored: 5 }));
        assert_eq!(phone.contacts(2), ["sip:a@h"]);
        assert!(phone.register(1, ("c", 5), &[("sip:a@h", 0)]).is_err(), "removal needs a higher CSeq");
        assert!(phone.register(1, ("c", 5), &[("sip:a@h", 60)]).is_ok(), "the same request once more");
        assert!(phone.register(1, ("other", 1), &[("sip:a@h", 60)]).is_ok(), "another Call-ID starts anew");
    }

    #[test]
    fn star_removes_all_but_not_with_a_late_cseq() {
        let phone = phone();
        phone.register(0, ("c", 5), &[("sip:a@h", 60), ("sip:b@h", 60)]).unwrap();
        let late = phone.send(1, AOR, ("c", 5), Contacts::RemoveAll);
        assert_eq!(late, Err(Rejection::OutOfOrder { cseq: 5, stored: 5 }));
        assert_eq!(phone.contacts(1).len(), 2);
        let removed = phone.send(1, AOR, ("c", 6), Contacts::RemoveAll);
        assert_eq!(removed, Ok(vec![BindingChange::Removed; 2]));
        assert_eq!(phone.contacts(1).len(), 0);
    }

    #[test]
    fn limits_refuse_the_whole_request() {
        let phone = phone();
        phone.register(0, ("c", 1), &[("sip:a@h", 60), ("sip:b@h", 60)]).unwrap();
        let fourth = phone.register(1, ("c", 2), &[("sip:c@h", 60), ("sip:d@h", 60)]);
        assert_eq!(fourth, Err(Rejection::TooManyContacts(3)));
        assert_eq!(phone.contacts(1).len(), 2);
        let swap = phone.register(1, ("c", 2), &[("sip:c@h", 60), ("sip:d@h", 60), ("sip:a@h", 0)]);
        assert!(swap.is_ok(), "what counts is how many are bound at the end");
        let each = || Contacts::Each(vec![contact("sip:a@h", 60)]);
        phone.send(0, "sip:bob@example.com", ("c", 1), each()).unwrap();
        assert_eq!(phone.send(0, "sip:carol@example.com", ("c", 1), each()), Err(Rejection::Full(2)));
    }

    #[test]
    fn each_binding_expires_at_its_time_however_often_it_was_refreshed() {
        let phone = phone();
        phone.register(0, ("c", 1), &[("sip:a@h", 60), ("sip:b@h", 100)]).unwrap();
        phone.register(50, ("c", 2), &[("sip:a@h", 60)]).unwrap();
        assert_eq!(phone.location.next_expiry(), Some(phone.at(60)), "a refresh leaves the queue alone");
        assert_eq!(phone.expire(60), [""; 0]);
        assert_eq!(phone.location.next_expiry(), Some(phone.at(100)));
        assert_eq!(phone.expire(100), ["sip:b@h"]);
        assert_eq!(phone.expire(109), [""; 0]);
        assert_eq!(phone.expire(110), ["sip:a@h"]);
        assert_eq!((phone.location.len(), phone.location.next_expiry()), (0, None));
    }

    #[test]
    fn a_shorter_expiry_comes_due_at_once() {
        let phone = phone();
        phone.register(0, ("c", 1), &[("sip:a@h", 3600)]).unwrap();
        phone.register(1, ("c", 2), &[("sip:a@h", 60)]).unwrap();
        assert_eq!(phone.expire(61), ["sip:a@h"]);
    }

    #[test]
    fn what_has_expired_but_was_not_swept_counts_as_gone() {
        use BindingChange::{Added, Expired};
        let phone = phone();
        phone.register(0, ("c", 9), &[("sip:a@h", 60)]).unwrap();
        assert_eq!(phone.contacts(60), [""; 0]);
        assert_eq!(phone.register(61, ("c", 1), &[("sip:a@h", 60)]), Ok(vec![Expired, Added]));
    }

    #[test]
    fn registering_and_leaving_over_and_over_does_not_fill_the_queue() {
        let phone = phone();
        for cseq in 0..5000 {
            phone.register(0, ("c", 2 * cseq), &[("sip:a@h", 3600)]).unwrap();
            phone.register(0, ("c", 2 * cseq + 1), &[("sip:a@h", 0)]).unwrap();
        }
        let queued: usize = phone.location.shards.iter().map(|shard| lock(shard).deadlines.len()).sum();
        assert!(queued <= STALE_DEADLINES + 2, "{queued}");
    }

    #[test]
    fn a_change_that_was_not_stored_is_taken_back() {
        let phone = phone();
        phone.register(0, ("c", 1), &[("sip:a@h", 60), ("sip:b@h", 60)]).unwrap();
        let contacts = vec![contact("sip:a@h", 90), contact("sip:b@h", 0), contact("sip:c@h", 60)];
        let contacts = Contacts::Each(contacts);
        let update = Registration { call_id: "c".into(), cseq: 2, path: "".into(), user_agent: "".into(), contacts };
        let (changes, _) = phone.location.register(AOR, &update, phone.at(1), |_| ()).unwrap();
        // Meanwhile one of the contacts was registered again: that stays.
        phone.register(2, ("c", 3), &[("sip:c@h", 70)]).unwrap();
        phone.location.take_back(AOR, &changes, phone.at(3));
        let mut left: Vec<_> =
            phone.location.records(AOR, phone.at(3)).iter().map(|r| (r.contact().to_owned(), r.cseq)).collect();
        left.sort();
        assert_eq!(left, [("sip:a@h".to_owned(), 1), ("sip:b@h".to_owned(), 1), ("sip:c@h".to_owned(), 3)]);
    }

    #[test]
    fn contacts_come_by_preference() {
        let phone = phone();
        let contacts = [("sip:low@h", 200), ("sip:high@h", 1000), ("sip:middle@h", 500)];
        let contacts = contacts.into_iter().map(|(uri, q)| ContactUpdate { q, ..contact(uri, 60) }).collect();
        phone.send(0, AOR, ("c", 1), Contacts::Each(contacts)).unwrap();
        assert_eq!(phone.contacts(1), ["sip:high@h", "sip:middle@h", "sip:low@h"]);
    }

    #[test]
    fn of_two_rows_for_one_contact_the_newer_counts() {
        for ids in [[1, 2], [2, 1]] {
            let phone = phone();
            for id in ids {
                let numbers =
                    Numbers { id, expires_at: phone.at(60), cseq: 1, reg_id: None, q: 1000, flow: None, proved: true };
                let texts = Texts { contact: "sip:a@h", call_id: "c", ..Texts::default() };
                phone.location.restore(AOR, numbers, &texts).unwrap();
            }
            let records = phone.location.records(AOR, phone.at(1));
            assert_eq!(records.iter().map(|record| record.id).collect::<Vec<_>>(), [2]);
        }
    }

    #[test]
    fn ids_go_on_above_those_of_the_database() {
        let phone = phone();
        let numbers =
            Numbers { id: 41, expires_at: phone.at(60), cseq: 1, reg_id: None, q: 1000, flow: None, proved: true };
        let texts = Texts { contact: "sip:a@h", call_id: "c", ..Texts::default() };
        phone.location.restore(AOR, numbers, &texts).unwrap();
        phone.register(1, ("c", 2), &[("sip:a@h", 60), ("sip:b@h", 60)]).unwrap();
        let mut ids: Vec<_> = phone.location.records(AOR, phone.at(2)).iter().map(|record| record.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [41, 42]);
    }

    fn replacing_phone() -> Phone {
        let limits = Limits { replaces_oldest: true, ..limits() };
        Phone { location: Location::new(limits, Arc::new(AtomicU64::new(1))), start: Instant::now() }
    }

    #[test]
    fn the_newest_contact_replaces_the_one_that_was_refreshed_least_recently() {
        use BindingChange::{Added, Removed};
        let phone = replacing_phone();
        for (cseq, uri) in ["sip:a@h", "sip:b@h", "sip:c@h", "sip:a@h"].into_iter().enumerate() {
            phone.register(cseq as u64, ("c", cseq as u32), &[(uri, 600)]).unwrap();
        }
        assert_eq!(phone.register(5, ("d", 1), &[("sip:d@h", 60)]), Ok(vec![Added, Removed]));
        assert_eq!(phone.contacts(6), ["sip:c@h", "sip:a@h", "sip:d@h"]);
        // One request has more contacts than the limit.
        let many = [("sip:1@h", 60), ("sip:2@h", 60), ("sip:3@h", 60), ("sip:4@h", 60)];
        assert_eq!(phone.register(7, ("e", 1), &many), Err(Rejection::TooManyContacts(3)));
        assert_eq!(phone.contacts(8), ["sip:c@h", "sip:a@h", "sip:d@h"], "and nothing was changed");
    }

    #[test]
    fn a_device_that_comes_from_elsewhere_replaces_its_old_contact() {
        use BindingChange::{Added, Removed};
        let phone = phone();
        let device = |uri, instance: &'static str, reg_id| {
            let contact = ContactUpdate { instance: instance.into(), reg_id, ..contact(uri, 600) };
            Contacts::Each(vec![contact])
        };
        phone.send(0, AOR, ("c", 1), device("sip:a@one", "urn:uuid:1A", None)).unwrap();
        phone.send(0, AOR, ("o", 1), device("sip:o@other", "urn:uuid:2", None)).unwrap();
        let moved = phone.send(1, AOR, ("c", 2), device("sip:a@two", "URN:UUID:1a", None));
        assert_eq!(moved, Ok(vec![Added, Removed]));
        assert_eq!(phone.contacts(2), ["sip:o@other", "sip:a@two"]);
        let late = phone.send(3, AOR, ("c", 1), device("sip:a@one", "urn:uuid:1A", None));
        assert_eq!(late, Err(Rejection::OutOfOrder { cseq: 1, stored: 2 }), "an overtaken REGISTER");
        let rebooted = phone.send(4, AOR, ("r", 1), device("sip:a@three", "urn:uuid:1A", None));
        assert_eq!(rebooted, Ok(vec![Added, Removed]));
        // Another flow of the same device is a binding of its own (RFC 5626 §4.2).
        assert_eq!(phone.send(5, AOR, ("r", 2), device("sip:a@four", "urn:uuid:1A", Some(2))), Ok(vec![Added]));
    }

    #[test]
    fn two_contacts_of_one_device_in_one_request_stand_side_by_side() {
        let phone = phone();
        let both = || {
            let of = |uri| ContactUpdate { instance: "urn:uuid:1".into(), ..contact(uri, 600) };
            Contacts::Each(vec![of("sip:a@h"), of("sips:a@h")])
        };
        phone.send(0, AOR, ("c", 1), both()).unwrap();
        phone.send(1, AOR, ("c", 1), both()).unwrap();
        phone.send(2, AOR, ("c", 2), both()).unwrap();
        assert_eq!(phone.contacts(3), ["sip:a@h", "sips:a@h"]);
    }

    #[test]
    fn rows_that_break_the_limits_are_left_out() {
        let phone = phone();
        let restore = |id, texts: &Texts<'_>| {
            let numbers =
                Numbers { id, expires_at: phone.at(60), cseq: 1, reg_id: None, q: 1000, flow: None, proved: true };
            phone.location.restore(AOR, numbers, texts)
        };
        let long = "x".repeat(crate::binding::MAX_TEXT);
        assert_eq!(
            restore(1, &Texts { contact: "sip:a@h", user_agent: &long, ..Texts::default() }),
            Err(Rejection::TooLong)
        );
        for (id, contact) in [(2, "sip:a@h"), (3, "sip:b@h"), (4, "sip:c@h")] {
            assert_eq!(restore(id, &Texts { contact, ..Texts::default() }), Ok(()));
        }
        let more = restore(5, &Texts { contact: "sip:d@h", ..Texts::default() });
        assert_eq!(more, Err(Rejection::TooManyContacts(3)));
        assert_eq!(phone.contacts(1).len(), 3);
    }
}
