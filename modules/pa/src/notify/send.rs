//! Sending NOTIFYs and hearing their answers.

use std::sync::Arc;

use signalbox::transactions::{LocalOutcome, OutgoingRequest};
use signalbox_sip::dialog::rate::Rates;
use signalbox_sip::header::{Event, RetryAfter};

use super::way::Way;
use crate::state::State;
use crate::subscription::{Answer, Notify};
use crate::token::Token;

/// Sends a NOTIFY and reports its answer to the agent.
pub(crate) fn send(state: &Arc<State>, notify: Notify<Way>) {
    state.counters.notifies.increment();
    let (flow, id, message) = (notify.way.flow, notify.id, notify.way.message(&notify));
    let reporting = state.clone();
    let Some(flow) = flow else {
        let on_final = Box::new(move |outcome| report(&reporting, id, &outcome));
        return state.host.request(OutgoingRequest { message, flow: None, on_final });
    };
    let on_final = Box::new(move |outcome| match outcome {
        // The connection is gone; the Contact may still be reached.
        LocalOutcome::NotSent(_) => {
            let (host, message) = (reporting.host.clone(), notify.way.message(&notify));
            let on_final = Box::new(move |outcome| report(&reporting, id, &outcome));
            host.request(OutgoingRequest { message, flow: None, on_final });
        }
        outcome => report(&reporting, id, &outcome),
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
