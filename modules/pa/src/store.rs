//! The tables of subscriptions and publications: what outlives the process.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use signalbox::clock::Clock;
use signalbox::storage::{Change, Column, Database, Migration, Row, Sql, StorageError, Table, Value, Write};
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::Limits;

use crate::agent::{Accepted, Agent, RestoredSubscription, Target};
use crate::composition::Part;
use crate::document::DocumentType;
use crate::notify::Way;
use crate::presentity::Domain;
use crate::publication::{Content, Publication, Published};
use crate::shard::Effects;
use crate::token::Token;
use crate::watcher::Status;

static SUBSCRIPTION: Table = Table {
    name: "pa_subscription",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("aor"),
        Column::text("domain"),
        Column::text("package"),
        Column::text("status"),
        Column::text("document"),
        Column::integer("cseq"),
        Column::integer("mark"),
        Column::integer("expires"),
        Column::text("notify"),
        Column::text("flow"),
    ],
    key: 1,
};

/// CSeq marks beyond those that their subscriptions were last written with: a table of its own, as nobody must write a
/// subscription that somebody else is just refreshing.
static RESERVATION: Table =
    Table { name: "pa_reservation", columns: &[Column::integer("id"), Column::integer("mark")], key: 1 };

static PUBLICATION: Table = Table {
    name: "pa_publication",
    columns: &[
        Column::integer("id"),
        Column::text("uid"),
        Column::text("aor"),
        Column::text("domain"),
        Column::text("package"),
        Column::integer("etag"),
        Column::integer("expires"),
        Column::text("document"),
        Column::blob("body"),
    ],
    key: 1,
};

static MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "tables pa_subscription, pa_reservation, pa_publication",
    sql: Sql::All(include_str!("../migrations/1_presence.sql")),
}];

/// The module's tables.
pub struct Store {
    database: Database,
    clock: Clock,
}

impl Store {
    /// Brings the tables about where they are missing.
    pub async fn open(database: Database, clock: Clock) -> Result<Self, StorageError> {
        database.migrate("pa", &MIGRATIONS).await?;
        Ok(Self { database, clock })
    }

    /// Writes a subscription as it is after a SUBSCRIBE; one that has ended is deleted.
    pub fn put_subscription(&self, target: &Target<'_>, package: &str, accepted: &Accepted, way: &Way) -> Write {
        if accepted.expires.is_zero() {
            return self.remove_subscription(accepted.id);
        }
        let row = vec![
            key(accepted.id.0),
            target.uid.into(),
            target.aor.into(),
            target.domain.as_str().into(),
            package.into(),
            accepted.status.as_str().into(),
            accepted.document.content_type().into(),
            accepted.cseq.into(),
            accepted.mark.into(),
            self.unix(accepted.expires).into(),
            way.notify_text().into(),
            way.flow_text().into(),
        ];
        self.database.journal().put(&SUBSCRIPTION, row)
    }

    pub fn remove_subscription(&self, id: Token) -> Write {
        let id = [key(id.0)];
        self.database.journal().write([Change::delete(&SUBSCRIPTION, id.clone()), Change::delete(&RESERVATION, id)])
    }

    pub fn reserve(&self, id: Token, mark: u32) -> Write {
        self.database.journal().put(&RESERVATION, vec![key(id.0), mark.into()])
    }

    /// Writes a publication as it is after a PUBLISH; one that was removed is deleted.
    pub fn put_publication(&self, target: &Target<'_>, package: &str, published: &Published) -> Write {
        let Some(content) = &published.content else {
            return self.remove_publication(published.id);
        };
        let row = vec![
            key(published.id),
            target.uid.into(),
            target.aor.into(),
            target.domain.as_str().into(),
            package.into(),
            key(published.entity_tag.0),
            self.unix(published.expires).into(),
            content.document.content_type().into(),
            content.body.clone().into(),
        ];
        self.database.journal().put(&PUBLICATION, row)
    }

    pub fn remove_publication(&self, id: u64) -> Write {
        self.database.journal().delete(&PUBLICATION, vec![key(id)])
    }

    /// Puts everything back into the agent. Returns how many publications and subscriptions that were.
    pub async fn reload(&self, agent: &Agent<Way>, effects: &mut Effects<Way>) -> Result<(usize, usize), StorageError> {
        let (mut publications, mut subscriptions) = (0, 0);
        let load = |row: Row| {
            publications += usize::from(self.restore_publication(&row, agent)?);
            Ok(())
        };
        self.database.load(&PUBLICATION, load).await?;
        let mut marks = HashMap::new();
        let read = |row: Row| {
            marks.insert(row.integer("id")?, number(row.integer("mark")?));
            Ok(())
        };
        self.database.load(&RESERVATION, read).await?;
        let load = |row: Row| {
            let taken = self.restore_subscription(&row, &marks, agent, effects)?;
            subscriptions += usize::from(taken);
            Ok(())
        };
        self.database.load(&SUBSCRIPTION, load).await?;
        Ok((publications, subscriptions))
    }

    fn restore_publication(&self, row: &Row, agent: &Agent<Way>) -> Result<bool, StorageError> {
        let (id, body) = (row.integer("id")?.cast_unsigned(), row.blob("body")?);
        let document = DocumentType::parse(row.text("document")?);
        let (Some(target), Some(document)) = (self.target(row, agent)?, document) else {
            return Ok(left_out(row.text("uid")?));
        };
        let Ok(pidf) = Pidf::parse(&body, &Limits::default()) else {
            return Ok(left_out(target.uid));
        };
        let now = self.clock.now();
        let publication = Publication {
            id,
            entity_tag: Token(row.integer("etag")?.cast_unsigned()),
            expires_at: now + self.left(row.integer("expires")?),
            content: Content { document, body, part: Part::of_publication(&pidf, id) }.into(),
        };
        agent.restore_publication(&target, publication, now);
        Ok(true)
    }

    fn restore_subscription(
        &self,
        row: &Row,
        marks: &HashMap<i64, u32>,
        agent: &Agent<Way>,
        effects: &mut Effects<Way>,
    ) -> Result<bool, StorageError> {
        let id = row.integer("id")?;
        let way = Way::read(row.text("notify")?, row.optional_text("flow")?);
        let parsed = (
            self.target(row, agent)?,
            DocumentType::parse(row.text("document")?),
            Status::parse(row.text("status")?),
            way,
        );
        let (Some(target), Some(document), Some(status), Some(way)) = parsed else {
            return Ok(left_out(row.text("uid")?));
        };
        let reserved = marks.get(&id).copied().unwrap_or(0);
        let restored = RestoredSubscription {
            id: Token(id.cast_unsigned()),
            target,
            remote_cseq: number(row.integer("cseq")?),
            mark: reserved.max(number(row.integer("mark")?)),
            document,
            status,
            expires: self.left(row.integer("expires")?),
            way,
        };
        Ok(agent.restore_subscription(restored, Way::identity, self.clock.now(), effects))
    }

    fn target<'r>(&self, row: &'r Row, agent: &Agent<Way>) -> Result<Option<Target<'r>>, StorageError> {
        let (package, domain) = (agent.packages.find(row.text("package")?), Domain::parse(row.text("domain")?));
        let (Ok(package), Some(domain)) = (package, domain) else {
            return Ok(None);
        };
        Ok(Some(Target { package, domain, uid: row.text("uid")?, aor: row.text("aor")? }))
    }

    /// The end of an interval that begins now, in milliseconds since 1970.
    fn unix(&self, interval: Duration) -> i64 {
        let end = self.clock.unix(self.clock.now() + interval).duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(end.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
    }

    /// What is left until then.
    fn left(&self, unix: i64) -> Duration {
        let end = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(unix).unwrap_or(0));
        end.duration_since(self.clock.unix(self.clock.now())).unwrap_or_default()
    }
}

fn left_out(uid: &str) -> bool {
    tracing::warn!(uid, "a row in the database makes no sense and was left out");
    false
}

/// Databases count from the middle.
fn key(number: u64) -> Value {
    Value::Integer(number.cast_signed())
}

fn number(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}
