//! What an administrator, or the presentity's user, decides about subscriptions that there are.

use std::time::{Duration, Instant};

use signalbox_sip::dialog::subscription::Reason;
use signalbox_sip::uri::Aor;

use super::effects::Effects;
use super::shard::KeyRef;
use super::shards::Agent;
use super::target::Target;
use crate::packages::Cause;
use crate::presentity::Presentity;
use crate::subscription::{Status, Watcher};
use crate::token::Token;

/// What becomes of subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The watcher may see the state, or has to wait.
    Status(Status),
    /// It is over, and the watcher may try again after that time where the reason allows for one (RFC 6665 §4.1.3).
    End(Reason, Option<Duration>),
    /// It is told the state once more.
    Refresh,
}

impl Verdict {
    /// What ends the state "waiting" of RFC 3857 §4.7.1. The others say something about subscriptions only.
    fn ends_waiting(self) -> Option<Cause> {
        match self {
            Self::Status(Status::Active) => Some(Cause::Approved),
            Self::End(Reason::Rejected, _) => Some(Cause::Rejected),
            Self::End(Reason::GiveUp, _) => Some(Cause::GiveUp),
            Self::End(Reason::NoResource, _) => Some(Cause::NoResource),
            Self::Status(Status::Pending) | Self::End(..) | Self::Refresh => None,
        }
    }
}

/// Which subscriptions to a presentity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen<'a> {
    All,
    /// Those of a watcher: a URI, compared as an address of record.
    Watcher(&'a str),
    One(Token),
}

impl<W: Watcher> Agent<W> {
    /// Carries out a verdict, and gives the subscriptions that it hit.
    pub fn decide(
        &self,
        target: &Target<'_>,
        chosen: Chosen<'_>,
        verdict: Verdict,
        now: Instant,
        effects: &mut Effects<W>,
    ) -> Vec<Token> {
        let wanted = match chosen {
            Chosen::Watcher(uri) => Aor::parse(uri),
            _ => None,
        };
        let is_chosen = |id: Token, watcher: &str| match chosen {
            Chosen::All => true,
            Chosen::One(one) => id == one,
            Chosen::Watcher(uri) => watcher == uri || wanted.is_some() && Aor::parse(watcher) == wanted,
        };
        let mut hit: Vec<Token> = self
            .look(target, |_, watchers| {
                let standing = watchers.filter(|subscription| !subscription.state().is_terminated());
                let chosen = standing.filter(|subscription| is_chosen(subscription.id, subscription.way.uri()));
                chosen.map(|subscription| subscription.id).collect()
            })
            .unwrap_or_default();
        let mut shard = self.lock(self.shard_of(target.uid));
        for &id in &hit {
            if let Some(subscription) = shard.subscription(id) {
                match verdict {
                    Verdict::Status(status) => subscription.set_status(status),
                    Verdict::End(reason, retry_after) => subscription.terminate(reason, retry_after),
                    Verdict::Refresh => subscription.tell_again(),
                }
            }
            shard.advance(id, &self.rules, now, effects);
        }
        drop(shard);
        hit.extend(self.decide_waiting(target, &is_chosen, verdict, now, effects));
        hit
    }

    /// The same about those whose subscriptions ended before anybody had decided (RFC 3857 §4.7.1: "waiting").
    fn decide_waiting(
        &self,
        target: &Target<'_>,
        is_chosen: &dyn Fn(Token, &str) -> bool,
        verdict: Verdict,
        now: Instant,
        effects: &mut Effects<W>,
    ) -> Vec<Token> {
        let (Some(package), Some(cause)) = (self.packages().observer_of(target.package), verdict.ends_waiting()) else {
            return Vec::new();
        };
        let mut shard = self.lock(self.shard_of(target.uid));
        let key = KeyRef { package, domain: target.domain, uid: target.uid };
        let Some(at) = shard.find(key) else {
            return Vec::new();
        };
        let observer = shard.presentity(at).and_then(Presentity::observer);
        let hit = observer.map(|observer| observer.decide(is_chosen, cause, now)).unwrap_or_default();
        if !hit.is_empty() {
            shard.tell_watchers(at, &self.rules, now, effects);
            shard.schedule_presentity(at, now);
            shard.remove_if_idle(at);
        }
        hit
    }
}
