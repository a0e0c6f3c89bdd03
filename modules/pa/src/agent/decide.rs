//! What an administrator, or the presentity's user, decides about subscriptions that there are.

use std::time::{Duration, Instant};

use signalbox_sip::dialog::subscription::Reason;
use signalbox_sip::uri::Aor;

use super::effects::Effects;
use super::shards::Agent;
use super::target::Target;
use crate::subscription::{Status, Subscription, Watcher};
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
        let is_chosen = |subscription: &Subscription<W>| match chosen {
            Chosen::All => true,
            Chosen::One(id) => subscription.id == id,
            Chosen::Watcher(uri) => {
                subscription.way.uri() == uri || wanted.is_some() && Aor::parse(subscription.way.uri()) == wanted
            }
        };
        let hit: Vec<Token> = self
            .look(target, |_, watchers| {
                let standing = watchers.filter(|subscription| !subscription.state().is_terminated());
                standing.filter(|subscription| is_chosen(subscription)).map(|subscription| subscription.id).collect()
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
        hit
    }
}
