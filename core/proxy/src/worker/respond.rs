//! Responses out: where each goes, and where else when the connection that its request came by is gone (RFC 3261 §18.2.2).

use std::net::{IpAddr, SocketAddr};

use signalbox_sip::header::Via;
use signalbox_sip::message::Message;

use super::Worker;
use crate::forward::{is_unicast, sent_by_port};
use crate::transport::network::listener_for;
use crate::transport::{Flow, Protocol, SendError};

impl Worker {
    /// Sends a response to where responses to its request go.
    pub(crate) fn send_response(&self, response: &Message, reply_to: &Flow) -> Result<(), SendError> {
        self.print(response);
        self.counters().responses_sent.increment();
        let sent = self.send_printed_response(reply_to, &self.printed().head);
        if sent.is_err() {
            self.counters().messages_lost.increment();
        }
        sent
    }

    /// Sends or retransmits a response, which is in one piece.
    pub(crate) fn send_printed_response(&self, reply_to: &Flow, response: &[u8]) -> Result<(), SendError> {
        match self.transmit(reply_to, response.into(), None) {
            Err(SendError::ConnectionGone { .. }) => self.send_over_new_connection(response),
            result => result,
        }
    }

    /// §18.2.2: "If that connection is no longer open, the server SHOULD open a connection to the IP address in the "received"
    /// parameter, if present, using the port in the "sent-by" value, or the default port for that transport".
    ///
    /// What would come after that, the host of sent-by, is not tried: anybody could have us connect to anything.
    pub(crate) fn send_over_new_connection(&self, response: &[u8]) -> Result<(), SendError> {
        let message = Message::parse(response).ok();
        let flow = message.as_ref().and_then(|message| self.new_flow(&message.top_via().ok()?));
        match flow {
            Some(flow) => self.network().send(&flow, response.into(), None),
            None => Err(SendError::NoWay),
        }
    }

    /// Sends a response to where its topmost Via says, our own being off it already (§16.11, §18.2.2).
    pub(crate) fn forward_statelessly(&self, response: Message) {
        let target = response.top_via().ok().and_then(|via| self.via_target(&via));
        match target {
            Some(flow) => {
                if let Err(error) = self.send_response(&response, &flow) {
                    tracing::info!(%error, call_id = response.call_id(), "a response could not be sent");
                }
            }
            None => self.counters().stray_responses.increment(),
        }
    }

    fn via_target(&self, via: &Via<'_>) -> Option<Flow> {
        let protocol = Protocol::parse(via.transport)?;
        if protocol.is_reliable() {
            // The connection that the request came by, if we know its port and it is still there.
            let known = via.rport().flatten().and_then(|port| self.flow_back(protocol, source(via)?, port));
            return known.filter(|flow| self.network().is_connected(flow.remote)).or_else(|| self.new_flow(via));
        }
        let port = via.rport().flatten().unwrap_or_else(|| sent_by_port(via, protocol));
        self.flow_back(protocol, source(via)?, port)
    }

    /// Where a connection to the sender of a request is to be made.
    fn new_flow(&self, via: &Via<'_>) -> Option<Flow> {
        let protocol = Protocol::parse(via.transport).filter(|protocol| protocol.is_reliable())?;
        self.flow_back(protocol, source(via)?, sent_by_port(via, protocol))
    }

    fn flow_back(&self, protocol: Protocol, address: IpAddr, port: u16) -> Option<Flow> {
        if !is_unicast(address) {
            return None;
        }
        let remote = SocketAddr::new(address, port);
        let listener = listener_for(self.listeners(), protocol, remote, None).ok()?;
        Some(Flow { protocol, local: listener.address, remote, connection: None })
    }
}

/// The address that the request came from: `received`, without it that of sent-by.
fn source(via: &Via<'_>) -> Option<IpAddr> {
    via.received().or_else(|| via.sent_by.host.address())
}
