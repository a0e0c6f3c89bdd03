//! Loose routing (RFC 3261 §16.4, §16.12): whether a request belongs to a dialog that passes here, and where it goes then.

use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::uri::{NameAddr, Uri};

use super::Context;
use crate::route_token::{RouteToken, Sides, Way};

/// The result of [`Context::loose_route`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// The request belongs to a dialog that passes here. It is to be relayed as it is.
    Dialog,
    /// It belongs to no dialog that passes here.
    Outside,
    /// It belongs to no dialog that passes here, and had a Route that leads elsewhere.
    Preloaded,
    /// It belongs to a dialog that passes here, but neither comes from a user of ours nor goes to one.
    Foreign,
}

/// The Route headers of a request, with the Request-URI of a strict router before them.
struct Routes {
    /// A strict router sent the request: the last Route is the real Request-URI.
    request_uri: Option<String>,
    /// How many Routes at the beginning name this server.
    own: usize,
    /// The remaining Routes.
    rest: Vec<String>,
    /// The contents of our first token and of our last one. A spiral has several.
    sides: Option<(Sides, Sides)>,
}

impl Context {
    /// Routes by the Route header. Removes a Route and a maddr that name this server, and undoes strict routing.
    ///
    /// A request belongs to a dialog if it has a To tag and a Route of ours with the token that `record_route` gave out
    /// for this very dialog. Then the remaining Routes stay, but a request to a user of ours takes the flow that the
    /// token names. Any other request loses all its Routes and follows its Request-URI.
    ///
    /// `is_proved` says that the sender has proved to be a user of ours. Another sender reaches only users of ours,
    /// unless its request comes by the flow that the token has for a user of ours.
    pub fn loose_route(&self, is_proved: bool) -> Routed {
        let mut request = self.request_mut();
        self.strip_own_maddr(&mut request);
        self.routing().state.borrow_mut().ahead = None;
        if !request.has(HeaderName::Route) {
            return Routed::Outside;
        }
        let Routes { request_uri, own, mut rest, sides } = self.read_routes(&request);
        let keys = self.worker().route_keys();
        let unsigned = keys.unsigned && sides.is_none() && own > 0 && request.to_tag().is_some();
        let ahead = sides.and_then(|(_, last)| last.to.way);
        let is_from_ours = sides.is_some_and(|(first, _)| first.from.is_reached_by(self.source()));
        request.remove(HeaderName::Route);
        if !unsigned && (sides.is_none() || (!is_proved && ahead.is_none() && !is_from_ours)) {
            return match (sides.is_some(), rest.is_empty()) {
                (true, _) => Routed::Foreign,
                (false, true) => Routed::Outside,
                (false, false) => Routed::Preloaded,
            };
        }
        if let Some(uri) = request_uri {
            request.set_request_uri(&uri);
        }
        // A Route after our own user can only be that user's proxy.
        if ahead.is_some_and(|Way { has_proxy, .. }| !has_proxy) {
            rest.clear();
        }
        rest.iter().for_each(|route| request.push(HeaderName::Route, route));
        self.routing().state.borrow_mut().ahead = ahead;
        Routed::Dialog
    }

    fn read_routes(&self, request: &Message) -> Routes {
        let mut sides: Option<(Sides, Sides)> = None;
        let mut note = |found: Option<Sides>| {
            if let Some(found) = found {
                sides = Some((sides.map_or(found, |(first, _)| first), found));
            }
            found.is_some()
        };
        let mut routes: Vec<&str> = request.items(HeaderName::Route).collect();
        let mut request_uri = None;
        // §16.4: "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header
        // field […], the proxy MUST replace the Request-URI […] with the last value from the Route header field".
        let strict = Uri::parse(request.request_uri()).ok().filter(|uri| uri.user.is_none() && uri.is_loose_router());
        if let Some(uri) = strict.filter(|uri| self.names_us(uri)) {
            let is_unsigned = self.worker().route_keys().unsigned && request.to_tag().is_some();
            let is_ours = note(self.sides(&uri, request)) || is_unsigned;
            let last = routes.last().and_then(|last| NameAddr::parse(last).ok()).filter(|_| is_ours);
            if let Some(last) = last {
                request_uri = Some(last.uri.to_owned());
                routes.pop();
            }
        }
        let mut own = usize::from(request_uri.is_some());
        let mut taken = 0;
        for route in &routes {
            let uri = NameAddr::parse(route).ok().and_then(|route| route.uri().ok());
            let Some(uri) = uri.filter(|uri| self.names_us(uri)) else { break };
            note(self.sides(&uri, request));
            taken += 1;
        }
        own += taken;
        let rest = routes[taken..].iter().map(|&route| route.to_owned()).collect();
        Routes { request_uri, own, rest, sides }
    }

    fn sides(&self, uri: &Uri<'_>, request: &Message) -> Option<Sides> {
        let worker = self.worker();
        RouteToken::verify(uri, request, worker.route_keys(), worker.life())
    }
}
