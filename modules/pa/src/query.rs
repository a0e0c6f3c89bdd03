//! The Query Status API: subscriptions of other modules in this process.

use std::sync::{Arc, Weak};

use signalbox::services::presence::{Presence, Query, QueryError, Status, StatusStream, SubscriptionState};
use signalbox_sip::header::{Accept, Header};
use signalbox_sip::lex::split_list;
use signalbox_sip::uri::Aor;
use tokio::sync::watch;

use crate::agent::Target;
use crate::agent::quota::Payer;
use crate::notify::{Destination, Internal};
use crate::presentity::Domain;
use crate::rejection::Rejection;
use crate::state::State;
use crate::subscription::{Identity, Subscribe, Wishes};
use crate::token::Token;

/// What other modules find as [`Presence`].
pub(crate) struct Queries(pub(crate) Weak<State>);

/// Ends its subscription when it is dropped.
struct Membership {
    state: Weak<State>,
    id: Token,
}

impl Presence for Queries {
    fn subscribe(&self, query: &Query<'_>) -> Result<StatusStream, QueryError> {
        let unknown = || QueryError::Package { package: query.package.to_owned() };
        let state = self.0.upgrade().ok_or_else(unknown)?;
        let package = state.agent.packages().find(query.package).map_err(|_| unknown())?;
        let aor = Aor::parse(query.presentity).ok_or(QueryError::Presentity)?;
        let uid = query.uid.unwrap_or(aor.as_str());
        let target = Target { package, domain: Domain::Registrar, uid, aor: aor.as_str() };
        let ranges: Option<Vec<_>> =
            query.accept.map(|list| split_list(list).filter_map(|range| Accept::parse(range).ok()).collect());
        let form = state.agent.packages().package(package).terms().choose_form(ranges.as_deref());
        let request = Subscribe {
            identity: Identity { call_id: "", remote_tag: "", event: query.package, event_id: "" },
            cseq: 0,
            expires: None,
            watcher: query.watcher,
            to: query.presentity,
            wishes: Wishes::of(form.map_err(|_| QueryError::NotAcceptable)?),
            payer: Payer { source: None, octets: 0 },
        };
        let (sender, receiver) = watch::channel(Status { state: SubscriptionState::Pending, document: None });
        let destination =
            |_| Arc::new(Destination::Internal(Internal { watcher: query.watcher.into(), statuses: sender }));
        let joined = state.agent.join(&target, &request, destination, state.clock.now());
        let accepted = joined.map_err(|rejection| match rejection {
            Rejection::TooMany(_) | Rejection::Full => QueryError::TooMany,
            _ => QueryError::Forbidden,
        })?;
        state.perform(|agent, now, effects| agent.confirm_subscribe(&accepted, None, now, effects));
        let membership = Membership { state: Arc::downgrade(&state), id: accepted.id };
        Ok(StatusStream::new(receiver, Box::new(membership)))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            state.perform(|agent, now, effects| agent.leave(self.id, now, effects));
        }
    }
}
