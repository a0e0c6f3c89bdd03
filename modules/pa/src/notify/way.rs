//! NOTIFY requests: the way to a watcher, kept ready in its subscription, and the sending.

use std::borrow::Cow;
use std::fmt::Write;

use signalbox::transport::Flow;
use signalbox_sip::dialog::Dialog;
use signalbox_sip::header::{Contact, Event, HeaderName};
use signalbox_sip::message::{Message, readable};
use signalbox_sip::method::Method;
use signalbox_sip::uri::{Aor, NameAddr, escape_octets};

use super::path::Path;
use crate::subscription::{Identity, Notify, Watcher};
use crate::token::Token;

/// How to get to a watcher.
#[derive(Debug, Clone)]
pub struct Way {
    /// A NOTIFY of the dialog, complete but for CSeq, Subscription-State and body.
    template: Message,
    /// Boxed, as most subscriptions have none.
    pub(super) path: Option<Box<Path>>,
}

impl Way {
    /// The way back to the sender of a SUBSCRIBE, along the dialog that it makes when it is answered with `tag`. `contact` is our
    /// own URI in it.
    pub fn of_subscribe(request: &Message, mut dialog: Dialog, tag: Token, contact: &str, source: &Flow) -> Self {
        dialog.id.local_tag = tag.spell().as_str().into();
        let mut template = dialog.request(&Method::Notify, 1);
        template.push(HeaderName::Event, &event_of(request));
        template.push(HeaderName::Contact, &["<", contact, ">"].concat());
        // A display name is told on to those who want to know who watches.
        let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
        if let (Some(display), Some(to)) = (from.and_then(|from| from.display), template.value(HeaderName::To)) {
            let to = [&readable(display), " ", to].concat();
            template.set(HeaderName::To, &to);
            template = read_template(&print_template(&template)).unwrap_or(template);
        }
        // Kept as long as the subscription, and not edited: its copies are.
        template.shrink_to_fit();
        let path = Path::of(request, &template, source).map(Box::new);
        Self { template, path }
    }

    /// The way after a SUBSCRIBE within the dialog, which may bring a new Contact (§12.2.2) or come on another connection. Nothing
    /// where all is as before.
    pub fn refreshed(&self, request: &Message, source: &Flow) -> Option<Self> {
        let target = request.header::<Contact<'_>>().and_then(Result::ok).map(|contact| contact.0.uri);
        let target = &*target.map_or_else(|| self.target().into(), escape_octets);
        if target == self.target() {
            let path = Path::again(self.path.as_deref(), request, &self.template, source);
            let is_known = path.as_ref() == self.path.as_deref();
            return (!is_known).then(|| Self { template: self.template.clone(), path: path.map(Box::new) });
        }
        let mut way = Self { template: self.template.clone(), path: None };
        way.set_target(target);
        way.path = Path::of(request, &way.template, source).map(Box::new);
        Some(way)
    }

    /// The watcher's Contact. A strict router in front of it has pushed it into the last Route (§12.2.1.1).
    fn target(&self) -> &str {
        match self.strict_route() {
            Some(last) => NameAddr::parse(last).map_or(last, |route| route.uri),
            None => self.template.request_uri(),
        }
    }

    fn set_target(&mut self, target: &str) {
        if self.strict_route().is_none() {
            return self.template.set_request_uri(target);
        }
        let routes: Vec<String> = self.template.items(HeaderName::Route).map(str::to_owned).collect();
        let kept = routes.split_last().map_or(&[][..], |(_, kept)| kept);
        let value = kept.iter().cloned().chain([["<", target, ">"].concat()]).collect::<Vec<_>>().join(", ");
        self.template.set(HeaderName::Route, &value);
    }

    fn strict_route(&self) -> Option<&str> {
        let loose = |route: &str| {
            NameAddr::parse(route).ok().and_then(|route| route.uri().ok()).is_some_and(|uri| uri.params.flag("lr"))
        };
        let mut routes = self.template.items(HeaderName::Route);
        routes.clone().next().filter(|first| !loose(first))?;
        routes.by_ref().last()
    }

    /// What tells the subscription from others.
    pub fn identity(&self) -> Option<Identity<'_>> {
        let event = self.template.header::<Event<'_>>()?.ok()?;
        Some(Identity {
            call_id: self.template.call_id(),
            remote_tag: self.template.to_tag().unwrap_or_default(),
            event: event.package,
            event_id: event.id().unwrap_or_default(),
        })
    }

    /// The dialog as text, for the database.
    pub fn notify_text(&self) -> String {
        print_template(&self.template)
    }

    /// The path as text, for the database.
    pub fn flow_text(&self) -> Option<String> {
        self.path.as_ref()?.text(&self.template)
    }

    /// Octets needed to keep it.
    pub fn octets(&self) -> usize {
        self.template.octets()
    }

    /// Reads what [`Self::notify_text`] and [`Self::flow_text`] gave.
    pub fn read(notify: &str, flow: Option<&str>) -> Option<Self> {
        Some(Self { template: read_template(notify)?, path: flow.and_then(Path::read).map(Box::new) })
    }

    pub(super) fn message<W>(&self, notify: &Notify<W>) -> Message {
        let mut message = self.template.clone();
        let mut value = String::with_capacity(32);
        // Writing to a String can't fail.
        let _ = write!(value, "{} NOTIFY", notify.cseq);
        message.set(HeaderName::CSeq, &value);
        value.clear();
        let _ = write!(value, "{}", notify.notification);
        if !notify.rates.is_empty() {
            let _ = write!(value, "{}", notify.rates);
        }
        message.push(HeaderName::SubscriptionState, &value);
        if let Some(tag) = notify.tag {
            message.push(HeaderName::SipEtag, tag.spell().as_str());
        }
        if let Some(body) = &notify.body {
            message.set_body(Some(body.content_type.as_str()), body.bytes.clone());
        }
        message
    }
}

impl Watcher for Way {
    fn uri(&self) -> &str {
        let to = self.template.value(HeaderName::To).unwrap_or_default();
        NameAddr::parse(to).map_or(to, |to| to.uri)
    }

    fn display_name(&self) -> Cow<'_, str> {
        let to = self.template.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok());
        to.map_or_else(|| "".into(), |to| to.display_name())
    }

    fn is_proved(&self) -> bool {
        self.path.as_ref().is_none_or(|path| path.is_proved())
    }

    fn is_dialog_of(&self, from: &str, to: &str) -> bool {
        let own = self.template.value(HeaderName::From).unwrap_or_default();
        let own = NameAddr::parse(own).map_or(own, |own| own.uri);
        names_the_same(self.uri(), from) && names_the_same(own, to)
    }
}

/// Whether both are the same address of record in any spelling.
fn names_the_same(one: &str, other: &str) -> bool {
    one == other || Aor::parse(one).is_some_and(|one| Aor::parse(other) == Some(one))
}

fn print_template(template: &Message) -> String {
    String::from_utf8(template.to_bytes())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A message without Via is none that could be read. Whoever sends the NOTIFY puts its own in.
const PLACEHOLDER: &str = "\r\nVia: SIP/2.0/UDP localhost;branch=z9hG4bK0";

fn read_template(text: &str) -> Option<Message> {
    let (start, rest) = text.split_at(text.find("\r\n")?);
    let mut template = Message::parse([start, PLACEHOLDER, rest].concat().as_bytes()).ok()?;
    template.remove(HeaderName::Via);
    Some(template)
}

/// The package and its `id`: what tells subscriptions apart (RFC 6665 §8.2.1). Other parameters speak to the notifier only.
fn event_of(request: &Message) -> String {
    let Some(Ok(event)) = request.header::<Event<'_>>() else {
        return String::new();
    };
    match event.id() {
        Some(id) => [event.package, ";id=", id].concat(),
        None => event.package.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use signalbox::transport::Protocol;
    use signalbox_sip::dialog::state::Phase;

    use super::*;

    const SUBSCRIBE: &str = "SUBSCRIBE sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK1\r\nFrom: <sip:bob@example.com>;tag=b\r\n\
        To: <sip:alice@example.com>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence;id=7\r\nContact: <sip:bob@1.2.3.4>\r\nContent-Length: 0\r\n\r\n";

    fn flow(protocol: Protocol) -> Flow {
        let address = |text: &str| text.parse().unwrap();
        Flow { protocol, local: address("9.9.9.9:5060"), remote: address("1.2.3.4:5060"), connection: None }
    }

    fn way(text: &str, protocol: Protocol) -> Way {
        let request = Message::parse(text.as_bytes()).unwrap();
        let dialog = Dialog::of_request(&request, "", Phase::Confirmed, false).unwrap();
        Way::of_subscribe(&request, dialog, Token(1), "sip:9.9.9.9", &flow(protocol))
    }

    fn with(header: &str) -> String {
        SUBSCRIBE.replace("Event:", &format!("{header}\r\nEvent:"))
    }

    #[test]
    fn a_notify_goes_to_the_contact_within_the_dialog() {
        let way = way(SUBSCRIBE, Protocol::Udp);
        assert_eq!(way.template.request_uri(), "sip:bob@1.2.3.4");
        assert_eq!(way.template.value(HeaderName::From), Some("<sip:alice@example.com>;tag=0000000000001"));
        assert_eq!(way.template.value(HeaderName::To), Some("<sip:bob@example.com>;tag=b"));
        assert_eq!((way.uri(), way.path.as_deref()), ("sip:bob@example.com", None));
        let identity = way.identity().unwrap();
        assert_eq!(
            (identity.call_id, identity.remote_tag, identity.event, identity.event_id),
            ("c", "b", "presence", "7")
        );
    }

    #[test]
    fn a_way_is_read_as_it_was_written() {
        let before = way(&SUBSCRIBE.replace("branch", "received=5.6.7.8;branch"), Protocol::Udp);
        let after = Way::read(&before.notify_text(), before.flow_text().as_deref()).unwrap();
        assert_eq!((after.notify_text(), after.path), (before.notify_text(), before.path));
    }

    #[test]
    fn a_refresh_with_another_contact_moves_the_target_also_behind_a_strict_router() {
        for (header, uri, route) in [
            ("Subject: x", "sip:bob@5.6.7.8", None),
            ("Record-Route: <sip:p;lr>", "sip:bob@5.6.7.8", Some("<sip:p;lr>")),
            ("Record-Route: <sip:p>", "sip:p", Some("<sip:bob@5.6.7.8>")),
        ] {
            let text = with(header);
            let way = way(&text, Protocol::Udp);
            let refresh = |text: &str| way.refreshed(&Message::parse(text.as_bytes()).unwrap(), &flow(Protocol::Udp));
            assert!(refresh(&text).is_none());
            let moved = refresh(&text.replace("<sip:bob@1.2.3.4>", "<sip:bob@5.6.7.8>")).unwrap();
            assert_eq!((moved.template.request_uri(), moved.template.value(HeaderName::Route)), (uri, route));
        }
    }
}
