//! Refusing new requests under overload (RFC 3261 §21.5.4): with 503, and as early as can be.

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::{Glance, Message};

use super::Worker;
use super::handover::Receiver;
use crate::forward;
use crate::transport::Flow;

/// What `Retry-After` tells senders whose requests are refused because of overload, in seconds.
const RETRY_AFTER: &str = "5";
/// The same as a line.
const RETRY_AFTER_LINE: &str = "Retry-After: 5\r\n";

impl Worker {
    /// Whether requests that nothing has been done for yet are to be refused: they have waited for too long already, or the
    /// server is stopping.
    pub(super) fn refuses_new_requests(&self) -> bool {
        let limit = self.options().overload_delay;
        self.draining().get()
            || self.waited_since().get().is_some_and(|since| self.now().saturating_duration_since(since) > limit)
    }

    pub(super) fn refuse_overload(&self, request: &Message, reply_to: &Flow) {
        self.counters().overload_refused.increment();
        let mut response = request.reply(503, "Service Unavailable");
        self.tag(&mut response, request);
        response.push(HeaderName::RetryAfter, RETRY_AFTER);
        // Not worth more effort: that is the point.
        let _ = self.send_response(&response, reply_to);
    }

    /// Refuses a datagram that would have to wait for too long, with the octets that it would get after waiting for too long. False where that
    /// cannot be told so quickly, or it isn't a new request: then it has to wait.
    pub fn refuse_at_a_glance(&self, datagram: &[u8], source: &Flow) -> bool {
        let Some(glance) = Glance::at(datagram) else { return false };
        let Some(key) = self.transaction_keys().of_branch(&glance.top_via, glance.method) else { return false };
        if self.receiver_of(glance.call_id) != Receiver::Here
            || self.table().server_by_key(&key).is_some()
            || self.is_held(key)
        {
            return false;
        }
        let counters = self.counters();
        counters.requests_received.increment();
        counters.overload_refused.increment();
        counters.responses_sent.increment();
        let (reply_to, is_noted) = forward::received(&glance.top_via, source);
        let tag = self.local_tag_of(glance.call_id, glance.from_tag, glance.cseq);
        let noted = is_noted.then_some(source.remote);
        let mut response = self.scratch();
        response.head.clear();
        response.body = None;
        glance.write_reply(&mut response.head, "503 Service Unavailable", (noted, &tag), RETRY_AFTER_LINE);
        if self.network().send(&reply_to, response.as_octets(), None).is_err() {
            counters.messages_lost.increment();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Clock;
    use crate::module::Host;
    use crate::transport::network::{Outbox, Sent};
    use crate::transport::{Network, Protocol};
    use crate::worker::Workers;
    use crate::worker::state::{Parts, Secrets};

    /// A worker without a script that is asked for more than it can do.
    struct Busy {
        worker: Worker,
        clock: Clock,
        outbox: Outbox,
        source: Flow,
        _runtime: tokio::runtime::Runtime,
    }

    impl Busy {
        fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (host, clock) = (Host::new(runtime.handle().clone()), Clock::manual(SystemTime::UNIX_EPOCH));
            let (workers, outbox) = (Workers::alone(&host), Outbox::default());
            let network = Network::Virtual(outbox.clone());
            let (options, secrets) = (Arc::default(), Secrets::seeded(1));
            let worker =
                Worker::new(Parts { index: 0, options, host, clock: clock.clone(), workers, network, secrets });
            let (local, remote) = (([192, 0, 2, 9], 5060).into(), ([192, 0, 2, 1], 40_000).into());
            let source = Flow { protocol: Protocol::Udp, local, remote, connection: None };
            Self { worker, clock, outbox, source, _runtime: runtime }
        }

        fn refuses_at_a_glance(&self, request: &str) -> Option<Vec<Sent>> {
            let refused = self.worker.refuse_at_a_glance(request.as_bytes(), &self.source);
            let sent = self.outbox.take();
            assert_eq!(refused, !sent.is_empty());
            refused.then_some(sent)
        }

        /// What becomes of a request that has waited for too long.
        fn receives_late(&self, request: &str) -> Vec<Sent> {
            self.worker.set_waited_since(Some(self.clock.now()));
            self.clock.advance(self.worker.options().overload_delay * 2);
            self.worker.receive_datagram(request.as_bytes(), self.source);
            self.worker.set_waited_since(None);
            self.outbox.take()
        }
    }

    fn request(method: &str, via: &str) -> String {
        format!(
            "{method} sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nVia: SIP/2.0/TCP d, SIP/2.0/TCP e\r\nMax-Forwards: 70\r\n\
             From: \"A\" <sip:a@x>;tag=f\r\nt: <sip:b@x>\r\nCall-ID: i@a\r\nCSeq: 7 {method}\r\nContent-Length: 2\r\n\r\nhi"
        )
    }

    #[test]
    fn at_a_glance_the_refusal_is_the_same_as_after_reading() {
        let busy = Busy::new();
        for via in [
            "192.0.2.1;branch=z9hG4bK1",
            "192.0.2.1:5070;branch=z9hG4bK1",
            "192.0.2.7;branch=z9hG4bK1;x=y",
            "192.0.2.1;rport;branch=z9hG4bK1",
            "192.0.2.1;received=192.0.2.2;branch=z9hG4bK1",
            "pc.example.com;branch=z9hG4bK1;maddr=192.0.2.3",
            "[2001:db8::1]:5070;branch=z9hG4bK1",
        ] {
            for method in ["MESSAGE", "INVITE", "X-NEW"] {
                let request = request(method, via);
                let refusals = busy.refuses_at_a_glance(&request).unwrap();
                let [(flow, refusal)] = &refusals[..] else { panic!("{refusals:?}") };
                let late = busy.receives_late(&request);
                let [(late_flow, late)] = &late[..] else { panic!("{late:?}") };
                assert_eq!(String::from_utf8_lossy(refusal), String::from_utf8_lossy(late));
                assert_eq!(flow, late_flow);
            }
        }
        let counters = busy.worker.counters();
        let counts = [&counters.requests_received, &counters.responses_sent, &counters.overload_refused];
        assert_eq!(counts.map(|counter| counter.value()), [2 * 7 * 3; 3]);
    }

    #[test]
    fn what_a_glance_cannot_tell_to_be_new_is_not_refused_by_it() {
        let busy = Busy::new();
        assert!(busy.refuses_at_a_glance(&request("MESSAGE", "192.0.2.1;branch=1")).is_none(), "a client of RFC 2543");
        assert!(busy.refuses_at_a_glance(&request("ACK", "192.0.2.1;branch=z9hG4bK1")).is_none());
        assert!(busy.refuses_at_a_glance("\r\n\r\n").is_none());
    }
}
