//! Crashes between any two writes: a location service, a database that takes one write after the other or fails all that wait,
//! and phones, all driven by a seed. `SIGNALBOX_CRASH_SEEDS=100000` plays more of them than the usual ones; a failure names its seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use signalbox::services::bindings::BindingChange;

use crate::binding::{Numbers, Record, Texts};
use crate::location::{Limits, Location, same_contact};
use crate::registration::{ContactUpdate, Contacts, Registration};
use crate::rejection::Rejection;
use crate::shard::Changes;

const SEEDS: u64 = 5000;
const STEPS: usize = 150;
const AORS: [&str; 2] = ["sip:alice@example.com", "sip:bob@example.com"];
/// The first two are Alice's.
const PHONES: [Phone; 3] = [
    Phone { aor: 0, call_id: "one", contacts: ["sip:a@one", "sip:b@one"] },
    Phone { aor: 0, call_id: "two", contacts: ["sip:a@two", "sip:a@one"] },
    Phone { aor: 1, call_id: "three", contacts: ["sip:a@three", "sip:b@three"] },
];

/// A contact of the second phone is one of the first phone's as well: they take it from each other.
struct Phone {
    aor: usize,
    call_id: &'static str,
    contacts: [&'static str; 2],
}

/// What a binding is, to compare memory, database and promise: contact, Call-ID, CSeq and end.
type Told = (String, String, u32, Instant);

struct World {
    seed: u64,
    random: u64,
    now: Instant,
    location: Location,
    /// By id: the address of record and the binding.
    rows: BTreeMap<u64, (usize, Arc<Record>)>,
    /// Writes that are not among the rows yet, in their order.
    queue: VecDeque<Write>,
    cseqs: [u32; PHONES.len()],
}

struct Write {
    aor: usize,
    changes: Changes,
    /// Nobody waits for the deletion of what has expired.
    awaited: bool,
}

fn location() -> Location {
    Location::new(
        Limits { contacts: 2, aors: 10, replaces_oldest: true, replaces_instance: true },
        Arc::new(AtomicU64::new(1)),
    )
}

fn told(record: &Record) -> Told {
    (record.contact().to_owned(), record.call_id().to_owned(), record.cseq, record.expires_at)
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            now: Instant::now(),
            location: location(),
            rows: BTreeMap::new(),
            queue: VecDeque::new(),
            cseqs: [0; PHONES.len()],
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
            0..=8 => self.register(),
            9..=14 => self.commit(),
            15 => self.late(),
            // No write waits for as long as the shortest binding lasts.
            16 if self.queue.is_empty() => self.pass(),
            17 => self.fail(),
            18 if self.dice(3) == 0 => self.crash(),
            _ => {}
        }
        if self.queue.is_empty() {
            self.check();
        }
    }

    /// A phone registers a contact or both, refreshes, or takes one or all away.
    fn register(&mut self) {
        let number = self.dice(PHONES.len());
        let (phone, kind) = (&PHONES[number], self.dice(8));
        let lifetime = Duration::from_secs([60, 600, 3600][self.dice(3)]);
        let first = phone.contacts[self.dice(2)];
        let contacts = match kind {
            0 => Contacts::RemoveAll,
            1 | 2 => Contacts::Each(vec![contact(first, Duration::ZERO)]),
            3 => Contacts::Each(phone.contacts.map(|uri| contact(uri, lifetime)).into()),
            _ => Contacts::Each(vec![contact(first, lifetime)]),
        };
        self.cseqs[number] += 1;
        let answer = self.send(phone, self.cseqs[number], contacts);
        assert!(answer.is_ok(), "seed {}: {answer:?}", self.seed);
    }

    /// A request that was overtaken: it changes nothing where a later one of the same phone is in force.
    fn late(&mut self) {
        let number = self.dice(PHONES.len());
        let phone = &PHONES[number];
        let uri = phone.contacts[self.dice(2)];
        let records = self.location.records(AORS[phone.aor], self.now);
        let stored =
            records.iter().find(|record| same_contact(record.contact(), uri) && record.call_id() == phone.call_id);
        let Some(cseq) = stored.map(|record| record.cseq) else { return };
        let lifetime = Duration::from_secs(7200 * self.dice(2) as u64);
        let answer = self.send(phone, cseq - 1, Contacts::Each(vec![contact(uri, lifetime)]));
        assert_eq!(answer, Err(Rejection::OutOfOrder { cseq: cseq - 1, stored: cseq }), "seed {}", self.seed);
        assert_eq!(self.location.records(AORS[phone.aor], self.now), records, "seed {}", self.seed);
    }

    fn send(&mut self, phone: &Phone, cseq: u32, contacts: Contacts<'_>) -> Result<(), Rejection> {
        let registration =
            Registration { call_id: phone.call_id.into(), cseq, path: "".into(), user_agent: "".into(), contacts };
        let (changes, _) = self.location.register(AORS[phone.aor], &registration, self.now, |_| ())?;
        if !changes.is_empty() {
            self.queue.push_back(Write { aor: phone.aor, changes, awaited: true });
        }
        Ok(())
    }

    /// The database takes the next write.
    fn commit(&mut self) {
        let Some(write) = self.queue.pop_front() else { return };
        for change in &write.changes {
            match (&change.before, &change.after) {
                (_, Some(after)) => _ = self.rows.insert(after.id, (write.aor, after.clone())),
                (Some(before), None) => _ = self.rows.remove(&before.id),
                (None, None) => {}
            }
        }
    }

    fn pass(&mut self) {
        let seconds = [1, 30, 400, 1900][self.dice(4)];
        self.now += Duration::from_secs(seconds);
        let queue = &mut self.queue;
        self.location.expire(self.now, |expired| {
            for (aor, changes) in expired {
                assert!(changes.iter().all(|change| change.kind == BindingChange::Expired));
                let aor = AORS.iter().position(|known| **known == *aor).expect("one of them");
                queue.push_back(Write { aor, changes, awaited: false });
            }
        });
    }

    /// The database is gone: all that wait for it are refused, and hear so in any order.
    fn fail(&mut self) {
        let mut failed: Vec<Write> = self.queue.drain(..).filter(|write| write.awaited).collect();
        while !failed.is_empty() {
            let next = self.dice(failed.len());
            let write = failed.swap_remove(next);
            self.location.take_back(AORS[write.aor], &write.changes, self.now);
        }
    }

    /// The process dies and is started again on what the database has. The last write may have been committed without anybody
    /// hearing of it.
    fn crash(&mut self) {
        if self.dice(2) == 0 {
            self.commit();
        }
        self.queue.clear();
        self.location = location();
        let seconds = [0, 10, 500][self.dice(3)];
        self.now += Duration::from_secs(seconds);
        let now = self.now;
        self.rows.retain(|_, (_, record)| record.expires_at > now);
        for (aor, record) in self.rows.values() {
            let (contact, call_id, instance) = (record.contact(), record.call_id(), record.instance());
            let texts = Texts { contact, call_id, instance, ..Texts::default() };
            let Record { id, expires_at, cseq, reg_id, q, .. } = **record;
            let numbers = Numbers { id, expires_at, cseq, reg_id, q, flow: None, proved: true };
            self.location.restore(AORS[*aor], numbers, &texts).expect("room");
        }
    }

    /// When nothing is under way, memory is what the database has: all that was acknowledged and is not over, and nothing else.
    fn check(&self) {
        for (number, aor) in AORS.iter().enumerate() {
            let mut shown: Vec<Told> = self.location.records(aor, self.now).iter().map(|record| told(record)).collect();
            let rows = self.rows.values().filter(|(aor, record)| *aor == number && record.expires_at > self.now);
            let mut stored: Vec<Told> = rows.map(|(_, record)| told(record)).collect();
            shown.sort();
            stored.sort();
            assert_eq!(shown, stored, "seed {}: memory and database of {aor}", self.seed);
            let twice = shown.windows(2).any(|pair| same_contact(&pair[0].0, &pair[1].0));
            assert!(!twice, "seed {}: a contact of {aor} is bound twice: {shown:?}", self.seed);
        }
    }

    /// Everything is over in the end, in memory and in the database.
    fn end(&mut self) {
        while !self.queue.is_empty() {
            self.commit();
        }
        self.check();
        self.now += Duration::from_secs(3600);
        self.pass();
        while !self.queue.is_empty() {
            self.commit();
        }
        assert_eq!(self.location.len(), 0, "seed {}", self.seed);
        self.crash();
        assert_eq!(self.location.len(), 0, "seed {}", self.seed);
    }
}

fn contact(uri: &str, lifetime: Duration) -> ContactUpdate<'_> {
    ContactUpdate {
        uri: uri.into(),
        q: 1000,
        lifetime,
        instance: instance_of(uri).into(),
        reg_id: None,
        methods: "".into(),
        flow: None,
        proved: true,
    }
}

/// Two of the contacts belong to one device, which moves between them.
fn instance_of(uri: &str) -> &'static str {
    if matches!(uri, "sip:b@one" | "sip:a@two") { "urn:uuid:1" } else { "" }
}

#[test]
fn no_crash_and_no_outage_loses_what_was_acknowledged() {
    let seeds = std::env::var("SIGNALBOX_CRASH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in 1..=seeds {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.end();
    }
}
