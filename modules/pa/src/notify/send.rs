//! Sending NOTIFYs and hearing their answers.

use std::sync::Arc;

use signalbox::error::Error;
use signalbox::transactions::{Allowance, LocalOutcome, OutgoingRequest};
use signalbox::transport::Flow;
use signalbox_sip::dialog::rate::Rates;
use signalbox_sip::header::{Event, RetryAfter};
use signalbox_sip::message::Message;

use super::destination::Destination;
use super::path::Path;
use crate::state::State;
use crate::subscription::{Answer, Notify};
use crate::token::Token;

/// Sends a NOTIFY and reports its answer to the agent.
pub(crate) fn send(state: &Arc<State>, notify: Notify<Destination>) {
    state.counters.notifies.increment();
    match &*notify.way {
        Destination::Dialog(way) => {
            let (message, path) = (way.message(&notify), way.path.as_deref().cloned());
            match path {
                Some(Path::Flow(flow)) => send_on_flow(state, flow, message, notify),
                Some(Path::Unproved(allowance)) => send_to_contact(state, notify.id, message, Some(allowance)),
                None => send_to_contact(state, notify.id, message, None),
            }
        }
        Destination::Internal(internal) => {
            internal.show(&notify);
            let answer = Some(Answer::of(200));
            state.perform(|agent, now, effects| agent.notified(notify.id, answer, now, effects));
        }
    }
}

fn send_to_contact(state: &Arc<State>, id: Token, message: Message, allowance: Option<Arc<Allowance>>) {
    let reporting = state.clone();
    let on_final = Box::new(move |outcome| report(&reporting, id, &outcome));
    state.host.request(OutgoingRequest { message, flow: None, allowance, on_final });
}

fn send_on_flow(state: &Arc<State>, flow: Flow, message: Message, notify: Notify<Destination>) {
    let (reporting, id) = (state.clone(), notify.id);
    let on_final = Box::new(move |outcome| match (outcome, notify.way.way()) {
        // The connection is gone; the Contact may still be reached.
        (LocalOutcome::NotSent(error), Some(way)) if !matches!(error, Error::Stopping) => {
            let message = way.message(&notify);
            let allowance = Path::without_flow(&flow, &message);
            send_to_contact(&reporting, id, message, allowance);
        }
        (outcome, _) => report(&reporting, id, &outcome),
    });
    state.host.request(OutgoingRequest { message, flow: Some(flow), allowance: None, on_final });
}

fn report(state: &Arc<State>, id: Token, outcome: &LocalOutcome) {
    let answer = match outcome {
        LocalOutcome::Response(response) => Some(Answer {
            status: response.status(),
            retry_after: response.header::<RetryAfter<'_>>().and_then(Result::ok).map(|header| header.delay),
            rates: response
                .header::<Event<'_>>()
                .and_then(Result::ok)
                .and_then(|event| Rates::parse(event.params).ok()),
        }),
        LocalOutcome::Timeout => None,
        // The state of the watcher is unknown: the subscription continues after the next start.
        LocalOutcome::NotSent(Error::Stopping) => return,
        LocalOutcome::NotSent(error) => {
            tracing::info!(%error, subscription = %id, "a NOTIFY could not be sent");
            None
        }
    };
    state.perform(|agent, now, effects| agent.notified(id, answer, now, effects));
}
