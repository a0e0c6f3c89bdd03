//! The route set of a dialog and what it makes of a request (RFC 3261 §12.1 and §12.2.1.1).

use std::borrow::Cow;

use super::DialogError;
use crate::header::HeaderName;
use crate::lex::{self, List};
use crate::message::Message;
use crate::uri::{NameAddr, Uri, escape_octets};

/// Most proxies that may record themselves in one dialog.
pub const MAX_ROUTES: usize = 64;

/// The proxies that every request of a dialog passes, nearest first. Kept as the text of a Route header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteSet(Box<str>);

/// Request-URI and Route of a request that goes along a route set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing<'a> {
    pub request_uri: Cow<'a, str>,
    /// The value of Route; empty where there is to be none.
    pub route: Cow<'a, str>,
}

impl RouteSet {
    /// At the side that received the request: its Record-Route values in order (§12.1.1).
    pub fn of_request(request: &Message) -> Result<Self, DialogError> {
        Self::collect(request.items(HeaderName::RecordRoute))
    }

    /// At the side that received the response: its Record-Route values in reverse order (§12.1.2).
    pub fn of_response(response: &Message) -> Result<Self, DialogError> {
        let mut values: Vec<&str> = response.items(HeaderName::RecordRoute).take(MAX_ROUTES + 1).collect();
        values.reverse();
        Self::collect(values.into_iter())
    }

    /// A route set from storage, as [`RouteSet::as_str`] gave it out.
    pub fn parse(text: &str) -> Result<Self, DialogError> {
        Self::collect(lex::split_list(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each value, as it stood in Record-Route.
    pub fn iter(&self) -> List<'_> {
        lex::split_list(&self.0)
    }

    /// The URI of the nearest proxy: where requests are sent.
    pub fn next_hop(&self) -> Option<&str> {
        self.iter().next().and_then(|value| NameAddr::parse(value).ok()).map(|route| route.uri)
    }

    /// How a request to `remote_target` is addressed (§12.2.1.1).
    pub fn routing<'a>(&'a self, remote_target: &'a str) -> Routing<'a> {
        let Some(first) = self.next_hop().and_then(|uri| Uri::parse(uri).ok()) else {
            return Routing { request_uri: remote_target.into(), route: "".into() };
        };
        if first.is_loose_router() {
            return Routing { request_uri: remote_target.into(), route: self.as_str().into() };
        }
        // A strict router (RFC 2543): its URI becomes the Request-URI, the target the last Route.
        let mut values = self.iter();
        values.next();
        let mut route = String::with_capacity(self.0.len() + remote_target.len() + 4);
        for value in values {
            route.push_str(value);
            route.push_str(", ");
        }
        route.push('<');
        route.push_str(remote_target);
        route.push('>');
        Routing { request_uri: first.as_request_uri(), route: route.into() }
    }

    fn collect<'a>(values: impl Iterator<Item = &'a str>) -> Result<Self, DialogError> {
        let mut text = String::new();
        for (index, value) in values.enumerate() {
            let route = NameAddr::parse(value).map_err(|_| DialogError::RecordRoute)?;
            if index >= MAX_ROUTES || !route.uri().is_ok_and(|uri| uri.is_sip()) {
                return Err(DialogError::RecordRoute);
            }
            if index > 0 {
                text.push_str(", ");
            }
            text.push_str(&escape_octets(value));
        }
        Ok(Self(text.into_boxed_str()))
    }
}

/// Copies all Record-Route values of a request into the response that creates a dialog (§12.1.1).
pub fn copy_record_route(request: &Message, response: &mut Message) {
    for value in request.values(HeaderName::RecordRoute) {
        response.push(HeaderName::RecordRoute, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(record_routes: &[&str]) -> Message {
        let mut text = String::from("SUBSCRIBE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP pc;branch=z9hG4bK1\r\n");
        for value in record_routes {
            text.push_str(&format!("Record-Route: {value}\r\n"));
        }
        text.push_str("From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: 1\r\n");
        text.push_str("CSeq: 1 SUBSCRIBE\r\n\r\n");
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn requests_give_it_in_order_and_responses_in_reverse() {
        let message = message(&["<sip:p1;lr>, <sip:p2;lr>", "<sip:p3;lr>;x=1"]);
        let set = RouteSet::of_request(&message).unwrap();
        assert_eq!(set.as_str(), "<sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>;x=1");
        let set = RouteSet::of_response(&message).unwrap();
        assert_eq!(set.as_str(), "<sip:p3;lr>;x=1, <sip:p2;lr>, <sip:p1;lr>");
        assert_eq!(set.next_hop(), Some("sip:p3;lr"));
    }

    #[test]
    fn an_empty_set_leaves_the_target_alone() {
        let set = RouteSet::of_request(&message(&[])).unwrap();
        assert!(set.is_empty());
        let routing = set.routing("sip:user@remoteua");
        assert_eq!((&*routing.request_uri, &*routing.route), ("sip:user@remoteua", ""));
    }

    #[test]
    fn a_loose_router_gets_the_whole_set() {
        let set = RouteSet::parse("<sip:p1;lr>, <sip:p2>").unwrap();
        let routing = set.routing("sip:user@remoteua");
        assert_eq!((&*routing.request_uri, &*routing.route), ("sip:user@remoteua", "<sip:p1;lr>, <sip:p2>"));
    }

    #[test]
    fn a_strict_router_gets_its_uri_without_what_a_request_uri_must_not_have() {
        for (first, expected) in [
            ("<sip:p1;method=INVITE;transport=tcp?subject=x>", "sip:p1;transport=tcp"),
            ("<sip:p1?subject=x>", "sip:p1"),
            ("<sip:p1;maddr=192.0.2.1>", "sip:p1;maddr=192.0.2.1"),
        ] {
            let set = RouteSet::parse(first).unwrap();
            let routing = set.routing("sip:user@remoteua");
            assert_eq!((&*routing.request_uri, &*routing.route), (expected, "<sip:user@remoteua>"));
        }
    }

    #[test]
    fn it_is_restored_as_it_was_stored() {
        let set = RouteSet::of_request(&message(&["\"P, 1\" <sip:p1;lr>,<sip:p2;lr>"])).unwrap();
        assert_eq!(RouteSet::parse(set.as_str()), Ok(set.clone()));
        assert_eq!(set.iter().count(), 2);
    }

    #[test]
    fn what_is_no_list_of_sip_uris_or_too_long_is_refused() {
        for value in ["<tel:+4930123>", "<sip:p1", "<http://p1>"] {
            assert_eq!(RouteSet::parse(value), Err(DialogError::RecordRoute), "{value}");
        }
        let long = vec!["<sip:p;lr>"; MAX_ROUTES + 1].join(",");
        assert_eq!(RouteSet::parse(&long), Err(DialogError::RecordRoute));
        assert_eq!(RouteSet::of_response(&message(&[&long])), Err(DialogError::RecordRoute));
    }

    #[test]
    fn all_record_routes_are_copied_into_a_response() {
        let request = message(&["<sip:p1;lr>, <sip:p2;lr>", "<sip:p3;lr>"]);
        let mut response = request.reply(200, "OK");
        copy_record_route(&request, &mut response);
        assert!(response.values(HeaderName::RecordRoute).eq(request.values(HeaderName::RecordRoute)));
    }
}
