//! What workers count.

use crate::module::Host;
use crate::module::host::Counter;

/// Counters that all workers of a server share, by the names under which `signalbox ctl core counters` shows them.
#[derive(Clone)]
pub struct Counters {
    pub requests_received: Counter,
    pub responses_received: Counter,
    pub requests_sent: Counter,
    pub responses_sent: Counter,
    pub retransmissions: Counter,
    pub repeated_requests: Counter,
    pub absorbed_acks: Counter,
    pub stray_responses: Counter,
    /// Could not be sent, and nothing sends them again.
    pub messages_lost: Counter,
    /// Requests that were not sent, because their address is unproved.
    pub unproved: Counter,
    pub unparsable: Counter,
    pub connections_refused: Counter,
    /// Connections closed because their peer was too slow, did not read, or had too many octets held for it.
    pub connections_given_up: Counter,
    pub overload_refused: Counter,
    /// Messages dropped because the worker that they are for has no room for more, or no time to refuse them.
    pub overload_dropped: Counter,
    pub script_errors: Counter,
    pub unanswered: Counter,
    /// Requests that looped: they came back and would have taken the same route again.
    pub loops_detected: Counter,
    /// Targets left out because a request had spread to too many already, over all its passes.
    pub targets_cut: Counter,
    /// Responses that came in at another worker than that of their transaction.
    pub handed_over: Counter,
    /// New requests given to workers with less to do.
    pub requests_handed_over: Counter,
    /// Requests refused with 482, because a copy had arrived by another path.
    pub merged_requests: Counter,
}

impl Counters {
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            requests_received: host.counter("requests_received"),
            responses_received: host.counter("responses_received"),
            requests_sent: host.counter("requests_sent"),
            responses_sent: host.counter("responses_sent"),
            retransmissions: host.counter("retransmissions"),
            repeated_requests: host.counter("repeated_requests"),
            absorbed_acks: host.counter("absorbed_acks"),
            messages_lost: host.counter("messages_lost"),
            unproved: host.counter("unproved"),
            stray_responses: host.counter("stray_responses"),
            connections_refused: host.counter("connections_refused"),
            connections_given_up: host.counter("connections_given_up"),
            unparsable: host.counter("unparsable"),
            overload_refused: host.counter("overload_refused"),
            overload_dropped: host.counter("overload_dropped"),
            script_errors: host.counter("script_errors"),
            unanswered: host.counter("unanswered"),
            loops_detected: host.counter("loops_detected"),
            targets_cut: host.counter("targets_cut"),
            merged_requests: host.counter("merged_requests"),
            requests_handed_over: host.counter("requests_handed_over"),
            handed_over: host.counter("handed_over"),
        }
    }
}
