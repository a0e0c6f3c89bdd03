//! Flow-Timer: how often a client must send keep-alives for its flow to be kept (RFC 5626 §4.4.1, §5.4).

use super::shapes::seconds_header;

seconds_header! {
    /// A flow without keep-alive for this long (and some slack) counts as dead.
    FlowTimer
}
