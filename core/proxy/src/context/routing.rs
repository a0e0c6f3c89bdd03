//! Max-Forwards, Record-Route, `is_myself`.

use signalbox_sip::message::Message;
use signalbox_sip::uri::{Host, HostPort, NameAddr, Uri};

use super::Context;
use crate::error::Error;
use crate::forward;
use crate::transport::Protocol;
use crate::transport::network::listener_for;

/// Max-Forwards of requests that came without (RFC 3261 §16.6 step 3).
pub(crate) const DEFAULT_MAX_FORWARDS: u32 = 70;

impl Context {
    /// Takes one hop off Max-Forwards, which becomes `limit` where there was none.
    ///
    /// # Errors
    /// [`Error::TooManyHops`] when no hop is left: the request is to be answered 483.
    pub fn process_max_forwards(&self, limit: u32) -> Result<(), Error> {
        if self.routing().max_forwards_done.get() {
            return Ok(());
        }
        // Max-Forwards does not affect the route, so the loop digest, which `request_mut` would compute, is not needed.
        let result = forward::count_hop(&mut self.routing().request.borrow_mut(), limit);
        self.routing().max_forwards_done.set(result.is_ok());
        self.note(result)
    }

    /// Has the server stay on the way of the dialog that this request makes (§16.6 step 4): each branch gets a
    /// Record-Route with the address and transport that it uses, and with the token that [`Context::loose_route`] wants
    /// to see. `parameters` such as `;nat=yes` are added to it. `caller_is_ours` says that the sender has proved to be
    /// a user of ours: later requests in the dialog reach it over the flow of this request.
    pub fn record_route(&self, parameters: &str, caller_is_ours: bool) {
        let mut state = self.routing().state.borrow_mut();
        let wanted = state.record_route.get_or_insert_default();
        wanted.parameters.push_str(parameters);
        wanted.caller_is_ours |= caller_is_ours;
    }

    /// §16.4: "If the Request-URI has a maddr parameter with a value the proxy is responsible for, and the request was
    /// received using the port and transport indicated […] in the Request-URI, the proxy MUST strip the maddr and any
    /// non-default port or transport parameter".
    pub(super) fn strip_own_maddr(&self, request: &mut Message) {
        let Ok(uri) = Uri::parse(request.request_uri()) else { return };
        let (Some(maddr), Some(host)) = (uri.params.value("maddr"), &uri.host) else { return };
        let protocol = uri.transport().map_or(Some(Protocol::Udp), Protocol::parse);
        let (source, port) = (self.source(), host.port.unwrap_or_else(|| Protocol::Udp.default_port()));
        let came_so = protocol == Some(source.protocol) && port == source.local.port();
        if came_so
            && Host::parse(maddr).is_ok_and(|host| self.is_own_host(&HostPort { host, port: Some(port) }, Some(port)))
        {
            let without = uri.without_maddr();
            request.set_request_uri(&without);
        }
    }

    /// Whether a URI, a `host` or a `host:port` names this server: one of its addresses or aliases.
    pub fn is_myself(&self, text: &str) -> bool {
        // A bare URI is tried first: read as a header value, it would end at a semicolon, which a user part may
        // contain.
        let uri = Uri::parse(text).ok().filter(|uri| uri.host.is_some());
        match uri.or_else(|| NameAddr::parse(text).ok().and_then(|address| address.uri().ok())) {
            Some(uri) if uri.host.is_some() => self.names_us(&uri),
            // A host alone means no port: it is ours whatever port we listen on.
            _ => HostPort::parse(text).is_ok_and(|host| self.is_own_host(&host, host.port)),
        }
    }

    pub(super) fn names_us(&self, uri: &Uri<'_>) -> bool {
        uri.host.as_ref().is_some_and(|host| self.is_own_host(host, Some(host.port.unwrap_or(5060))))
    }

    /// `port` is the one that a listener must have, if any.
    fn is_own_host(&self, host: &HostPort<'_>, port: Option<u16>) -> bool {
        let worker = self.worker();
        let options = worker.options();
        let matches = |own: &str| {
            HostPort::parse(own).is_ok_and(|own| {
                own.host == host.host && host.port.is_none_or(|port| own.port.is_none_or(|own| own == port))
            })
        };
        options.aliases.iter().any(|alias| matches(alias))
            || options.listeners.iter().any(|listener| {
                let address = listener.address;
                let same = host.host.address().is_some_and(|host| host == address.ip());
                (same && port.is_none_or(|port| port == address.port()))
                    || listener.advertise.as_deref().is_some_and(matches)
            })
    }

    /// The URI by which the sender of the request reaches this server: the Contact of dialogs that end here.
    pub fn own_uri(&self) -> String {
        let (worker, source) = (self.worker(), self.source());
        let listener = listener_for(worker.listeners(), source.protocol, source.remote, Some(source.local));
        let sent_by = listener.map_or("localhost", |listener| worker.sent_by(listener));
        match source.protocol {
            Protocol::Udp => ["sip:", sent_by].concat(),
            other => ["sip:", sent_by, ";transport=", other.parameter()].concat(),
        }
    }

    /// Has responses go back to where the request came from, as if its Via had asked for it by `rport` (RFC 3581).
    pub fn force_rport(&self) {
        let mut reply_to = self.routing().reply_to.get();
        reply_to.remote = self.source().remote;
        self.routing().reply_to.set(reply_to);
        self.routing().rport_forced.set(true);
    }
}
