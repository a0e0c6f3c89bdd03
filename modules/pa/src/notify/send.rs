//! Sending NOTIFYs and hearing their answers.

use std::sync::Arc;

use signalbox::transactions::{LocalOutcome, OutgoingRequest};
use signalbox::transport::Flow;
use signalbox_sip::dialog::rate::Rates;
use signalbox_sip::header::{Event, RetryAfter};
use signalbox_sip::message::Message;

use super::destination::Destination;
use crate::state::State;
use crate::subscription::{Answer, Notify};
use crate::token::Token;

/// Sends a NOTIFY and reports its answer to the agent.
pub(crate) fn send(state: &Arc<State>, notify: Notify<Destination>) {
    state.counters.notifies.increment();
    match &*notify.way {
        Destination::Dialog(way) => {
            let (flow, message) = (way.flow.as_deref().copied(), way.message(&notify));
            send_by_sip(state, notify, flow, message);
        }
        Destination::Internal(internal) => {
            internal.show(&notify);
            let answer = Some(Answer::of(200));
            state.perform(|agent, now, effects| agent.notified(notify.id, answer, now, effects));
        }
    }
}

fn send_by_sip(state: &Arc<State>, notify: Notify<Destination>, flow: Option<Flow>, message: Message) {
    let (reporting, id) = (state.clone(), notify.id);
    let Some(flow) = flow else {
        let on_final = Box::new(move |outcome| report(&reporting, id, &outcome));
        return state.host.request(OutgoingRequest { message, flow: None, on_final });
    };
    let on_final = Box::new(move |outcome| match (outcome, notify.way.way()) {
        // The connection is gone; the Contact may still be reached.
        (LocalOutcome::NotSent(_), Some(way)) => {
            let (host, message) = (reporting.host.clone(), way.message(&notify));
            let on_final = Box::new(move |outcome| report(&reporting, id, &outcome));
            host.request(OutgoingRequest { message, flow: None, on_final });
        }
        (outcome, _) => report(&reporting, id, &outcome),
    });
    state.host.request(OutgoingRequest { message, flow: Some(flow), on_final });
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
        LocalOutcome::NotSent(error) => {
            tracing::info!(%error, subscription = %id, "a NOTIFY could not be sent");
            None
        }
    };
    state.perform(|agent, now, effects| agent.notified(id, answer, now, effects));
}
