//! Reading everything back at the start.

use std::collections::HashMap;

use signalbox::storage::{Row, StorageError};
use signalbox_sip::dialog::rate::Rates;
use signalbox_sip::lex::Params;

use super::tables::{PUBLICATION, RESERVATION, STOP, SUBSCRIPTION};
use super::write::{STOPPED, Store, left_out, left_out_because, number};
use crate::agent::{Agent, Effects, Record, RestoredSubscription, Target};
use crate::documents::Form;
use crate::functions::stored::{MAX_DIALOG, MAX_URI};
use crate::notify::{Destination, Way};
use crate::presentity::Domain;
use crate::publication::Publication;
use crate::subscription::{Condition, Status, Wishes};
use crate::token::Token;

impl Store {
    /// Puts everything back into the agent. Returns how many publications and subscriptions that were.
    pub async fn reload(
        &self,
        agent: &Agent<Destination>,
        effects: &mut Effects<Destination>,
    ) -> Result<(usize, usize), StorageError> {
        let (mut publications, mut subscriptions) = (0, 0);
        let mut over = Vec::new();
        let load = |row: Row| {
            let taken = self.restore_publication(&row, agent)?;
            publications += usize::from(taken);
            if !taken && self.left(row.integer("expires")?).is_zero() {
                over.push(row.integer("id")?.cast_unsigned());
            }
            Ok(())
        };
        self.database.load(&PUBLICATION, load).await?;
        // A subscription that was left out cannot be refreshed, so it expires.
        over.into_iter().for_each(|id| drop(self.remove_publication(id)));
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

    /// Whether the last stop was an orderly one, with every watcher told. The next one isn't until it has been.
    pub async fn take_stop(&self) -> Result<bool, StorageError> {
        let stopped = !self.database.find(&STOP, &[]).await?.is_empty();
        if stopped {
            self.database.journal().delete(&STOP, vec![STOPPED]).await?;
        }
        Ok(stopped)
    }

    fn restore_publication(&self, row: &Row, agent: &Agent<Destination>) -> Result<bool, StorageError> {
        let (id, body) = (row.integer("id")?.cast_unsigned(), row.blob("body")?);
        let Some(target) = self.target(row, agent)? else {
            return Ok(left_out(row.text("uid")?));
        };
        let package = agent.packages().package(target.package);
        let content = match package.read(row.text("document")?, body, id) {
            Ok(content) => content,
            Err(rejection) => return Ok(left_out_because(target.uid, &rejection)),
        };
        let now = self.clock.now();
        let publication = Publication {
            id,
            entity_tag: Token(row.integer("etag")?.cast_unsigned()),
            expires_at: now + self.left(row.integer("expires")?),
            modified: self.instant(row.integer("modified")?),
            content: content.into(),
        };
        match agent.restore_publication(&target, publication, now) {
            Ok(()) => Ok(true),
            Err(rejection) => Ok(left_out_because(target.uid, &rejection)),
        }
    }

    fn restore_subscription(
        &self,
        row: &Row,
        marks: &HashMap<i64, u32>,
        agent: &Agent<Destination>,
        effects: &mut Effects<Destination>,
    ) -> Result<bool, StorageError> {
        let id = row.integer("id")?;
        let way = Way::read(row.text("notify")?, row.optional_text("flow")?);
        let parsed =
            (self.target(row, agent)?, Form::parse(row.text("document")?), Status::parse(row.text("status")?), way);
        let (Some(target), Some(form), Some(status), Some(way)) = parsed else {
            return Ok(left_out(row.text("uid")?));
        };
        let (octets, uid, aor) = (way.octets(), row.text("uid")?, row.text("aor")?);
        if octets > MAX_DIALOG || uid.len() > MAX_URI || aor.len() > MAX_URI {
            tracing::warn!(octets, subscription = %Token(id.cast_unsigned()), "a subscription in the database is over today's limits and was removed");
            effects.records.push(Record::SubscriptionGone(Token(id.cast_unsigned())));
            return Ok(false);
        }
        let reserved = marks.get(&id).copied().unwrap_or(0);
        let restored = RestoredSubscription {
            id: Token(id.cast_unsigned()),
            target,
            remote_cseq: number(row.integer("cseq")?),
            mark: reserved.max(number(row.integer("mark")?)),
            wishes: Wishes {
                form,
                condition: row.optional_text("suppress")?.and_then(Condition::parse),
                rates: Rates::parse(Params::new(row.optional_text("rates")?.unwrap_or_default())).unwrap_or_default(),
            },
            status,
            since: self.instant(row.integer("began")?),
            expires: self.left(row.integer("expires")?),
            way: Destination::Dialog(way),
            octets: u32::try_from(octets).unwrap_or(u32::MAX),
        };
        Ok(agent.restore_subscription(restored, Destination::identity, self.clock.now(), effects))
    }

    fn target<'r>(&self, row: &'r Row, agent: &Agent<Destination>) -> Result<Option<Target<'r>>, StorageError> {
        let (package, domain) = (agent.packages().find(row.text("package")?), Domain::parse(row.text("domain")?));
        let (Ok(package), Some(domain)) = (package, domain) else {
            return Ok(None);
        };
        Ok(Some(Target { package, domain, uid: row.text("uid")?, aor: row.text("aor")? }))
    }
}
