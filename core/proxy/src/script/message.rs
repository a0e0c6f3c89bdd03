//! `msg`: the message that is being routed, as the script sees it.
//!
//! There is one `msg` per Lua state. It holds nothing: each access looks at the request that the running code belongs to.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Error, Lua, LuaString, MetaMethod, Result, UserData, UserDataFields, UserDataMethods, Value};
use signalbox_sip::header::{Event, HeaderName};
use signalbox_sip::lex;
use signalbox_sip::message::{Message, readable};
use signalbox_sip::method::Method;
use signalbox_sip::uri::Uri;

use super::address::{Address, RequestUri};
use super::current::Current;
use super::headers::Headers;
use super::value::{shown, string};
use crate::module::Routes;
use crate::settings::nearest::nearest;
use crate::transport::Flow;

/// `msg`, and `msg.response`.
pub(super) struct Msg {
    pub(super) current: Rc<Current>,
    pub(super) which: Which,
    pub(super) methods: Rc<MethodNames>,
}

/// The names of methods as strings of Lua, once they were asked for: to make one anew, within the limit of memory, costs more
/// than most scripts do with it.
#[derive(Default)]
pub(super) struct MethodNames(RefCell<Vec<(Method, LuaString)>>);

/// Which message of the current request is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that the route is about: in a reply route the response, else the request.
    Routed,
    /// In a reply or failure route the response.
    Response,
}

/// A field of `msg`, for messages and editor stubs.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// LuaCATS.
    pub(super) kind: &'static str,
    pub(super) doc: &'static str,
}

/// All fields of `msg`.
pub(super) const FIELDS: [Field; 21] = [
    Field { name: "method", kind: "string", doc: "The method; of a response, that of its CSeq." },
    Field { name: "ruri", kind: "RequestUri", doc: "The Request-URI; assign a string to rewrite it." },
    Field { name: "status", kind: "integer?", doc: "The status code of a response." },
    Field { name: "reason", kind: "string?", doc: "The reason phrase of a response." },
    Field { name: "from", kind: "Address", doc: "From." },
    Field { name: "to", kind: "Address", doc: "To." },
    Field { name: "contact", kind: "Address?", doc: "The first Contact." },
    Field { name: "from_tag", kind: "string?", doc: "The tag of From." },
    Field { name: "to_tag", kind: "string?", doc: "The tag of To: a request that has one belongs to a dialog." },
    Field { name: "call_id", kind: "string", doc: "Call-ID." },
    Field { name: "cseq", kind: "integer", doc: "The number of CSeq." },
    Field {
        name: "event",
        kind: "string?",
        doc: "The event package of Event, without parameters: `presence`, `presence.winfo`.",
    },
    Field { name: "expires", kind: "integer?", doc: "Expires in seconds; nil if missing or malformed." },
    Field { name: "max_forwards", kind: "integer?", doc: "Max-Forwards; nil if missing or malformed." },
    Field { name: "user_agent", kind: "string?", doc: "User-Agent." },
    Field { name: "content_type", kind: "string?", doc: "Content-Type." },
    Field { name: "body", kind: "string", doc: "The body; assign a string to replace it, the Content-Type stays." },
    Field { name: "headers", kind: "Headers", doc: "All headers, by name." },
    Field {
        name: "source",
        kind: "Source",
        doc: "Where the message came from: in a reply route the response, else the request; `nil` for a response that was made here.",
    },
    Field { name: "transport", kind: "string", doc: "The transport that the message came by: `udp` or `tcp`." },
    Field {
        name: "response",
        kind: "Msg?",
        doc: "In reply and failure routes the response: the best one in a failure route.",
    },
];

impl Msg {
    fn read<T>(&self, read: impl FnOnce(&Message) -> Result<T>) -> Result<T> {
        self.which.read(&self.current, read)
    }

    /// The way that the message came; nothing for a response that was made here.
    fn source(&self) -> Result<Option<Flow>> {
        let source = self.current.with(|context, _| match self.which {
            Which::Response => context.response_source().copied(),
            Which::Routed if context.kind() == Routes::REPLY => context.response_source().copied(),
            Which::Routed => Some(*context.source()),
        });
        source.ok_or_else(outside)
    }
}

impl MethodNames {
    fn of(&self, lua: &Lua, method: &Method) -> Result<LuaString> {
        let mut names = self.0.borrow_mut();
        if let Some((_, name)) = names.iter().find(|(known, _)| known == method) {
            return Ok(name.clone());
        }
        let name = lua.create_string(method.as_str())?;
        // There are few of these, and any number of others.
        if !matches!(method, Method::Other(_)) {
            names.push((method.clone(), name.clone()));
        }
        Ok(name)
    }
}

impl Which {
    /// Looks at the message.
    pub(super) fn read<T>(self, current: &Current, read: impl FnOnce(&Message) -> Result<T>) -> Result<T> {
        let found = current.with(|context, _| match self {
            Self::Routed => Some(read(&context.message())),
            Self::Response => context.response().map(|response| read(&response)),
        });
        found.ok_or_else(outside)?.ok_or_else(|| Error::runtime("there is no response in this route"))?
    }

    /// Changes the message.
    pub(super) fn write<T>(self, current: &Current, write: impl FnOnce(&mut Message) -> Result<T>) -> Result<T> {
        let found = current.with(|context, _| match self {
            Self::Routed => Some(write(&mut context.message_mut())),
            Self::Response => context.response_mut().map(|mut response| write(&mut response)),
        });
        found.ok_or_else(outside)?.ok_or_else(|| Error::runtime("there is no response in this route"))?
    }
}

/// The error of code that looks at a message while there is none.
pub(super) fn outside() -> Error {
    Error::runtime("there is no message here: only routes have one")
}

/// The error of a name that does not exist on a view.
pub(super) fn unknown<'a>(view: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let hint = nearest(name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Error::runtime(format!("{view} has no field {name}{hint}"))
}

/// What a script writes into a message stays on its line: line breaks would make headers of their own.
pub(super) fn one_line(text: &str) -> Result<&str> {
    match text.contains(['\r', '\n', '\0']) {
        true => Err(Error::runtime("a value in a message has no line breaks")),
        false => Ok(text),
    }
}

impl UserData for Msg {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        add_start_line(fields);
        add_addresses(fields);
        add_values(fields);
        add_parts(fields);
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, _, name: String| -> Result<Value> {
            Err(unknown("msg", &name, FIELDS.iter().map(|field| field.name)))
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, (name, _): (String, Value)| -> Result<()> {
            let known = FIELDS.iter().any(|field| field.name == name);
            Err(match known {
                true => Error::runtime(format!("msg.{name} can't be assigned to; of msg only ruri and body can")),
                false => unknown("msg", &name, FIELDS.iter().map(|field| field.name)),
            })
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| {
            this.read(|message| match message.is_request() {
                true => string(lua, &format!("{} {}", message.method(), message.request_uri())),
                false => string(lua, &format!("{} {}", message.status(), message.reason())),
            })
        });
    }
}

fn add_start_line<F: UserDataFields<Msg>>(fields: &mut F) {
    fields.add_field_method_get("method", |lua, this| this.read(|message| this.methods.of(lua, message.method())));
    fields.add_field_method_get("status", |_, this| {
        this.read(|message| Ok((!message.is_request()).then(|| message.status())))
    });
    fields.add_field_method_get("reason", |lua, this| {
        this.read(|message| (!message.is_request()).then(|| string(lua, message.reason())).transpose())
    });
    fields.add_field_method_get("ruri", |_, this| Ok(RequestUri(this.current.clone())));
    fields.add_field_method_set("ruri", |lua, this, uri: Value| {
        let uri = shown(lua, &uri)?;
        Uri::parse(&uri).map_err(|error| Error::runtime(format!("\"{}\" is no URI: {error}", readable(&uri))))?;
        this.which.write(&this.current, |message| match message.is_request() {
            true => {
                message.set_request_uri(&uri);
                Ok(())
            }
            false => Err(Error::runtime("a response has no Request-URI")),
        })
    });
}

fn add_addresses<F: UserDataFields<Msg>>(fields: &mut F) {
    for (field, name) in [("from", HeaderName::From), ("to", HeaderName::To), ("contact", HeaderName::Contact)] {
        fields.add_field_method_get(field, move |_, this| {
            let there = this.read(|message| Ok(message.has(name)))?;
            Ok(there.then(|| Address { current: this.current.clone(), which: this.which, name }))
        });
    }
    fields.add_field_method_get("from_tag", |lua, this| text(lua, this, |message| message.from_tag()));
    fields.add_field_method_get("to_tag", |lua, this| text(lua, this, |message| message.to_tag()));
}

fn add_values<F: UserDataFields<Msg>>(fields: &mut F) {
    fields.add_field_method_get("call_id", |lua, this| this.read(|message| string(lua, message.call_id())));
    fields.add_field_method_get("cseq", |_, this| this.read(|message| Ok(message.cseq())));
    fields.add_field_method_get("event", |lua, this| {
        this.read(|message| {
            let event = message.header::<Event<'_>>().and_then(std::result::Result::ok);
            event.map(|event| string(lua, event.package)).transpose()
        })
    });
    for (field, name) in [("expires", HeaderName::Expires), ("max_forwards", HeaderName::MaxForwards)] {
        fields.add_field_method_get(field, move |_, this| {
            this.read(|message| Ok(message.value(name).and_then(lex::decimal)))
        });
    }
    for (field, name) in [("user_agent", HeaderName::UserAgent), ("content_type", HeaderName::ContentType)] {
        fields.add_field_method_get(field, move |lua, this| text(lua, this, |message| message.value(name)));
    }
}

fn add_parts<F: UserDataFields<Msg>>(fields: &mut F) {
    fields.add_field_method_get("body", |lua, this| this.read(|message| lua.create_string(message.body())));
    fields.add_field_method_set("body", |_, this, body: LuaString| {
        let bytes = body.as_bytes().to_vec();
        this.which.write(&this.current, |message| {
            let kind = message.value(HeaderName::ContentType).map(str::to_owned);
            message.set_body(kind.as_deref(), bytes.into());
            Ok(())
        })
    });
    fields.add_field_method_get("headers", |_, this| Ok(Headers { current: this.current.clone(), which: this.which }));
    fields.add_field_method_get("transport", |_, this| Ok(this.source()?.map(|flow| flow.protocol.parameter())));
    fields.add_field_method_get("source", |lua, this| {
        let Some(flow) = this.source()? else { return Ok(None) };
        let source = lua.create_table()?;
        source.raw_set("ip", flow.remote.ip().to_string())?;
        source.raw_set("port", flow.remote.port())?;
        source.raw_set("transport", flow.protocol.parameter())?;
        Ok(Some(source))
    });
    fields.add_field_method_get("response", |_, this| {
        let there = this.current.with(|context, _| context.response().is_some()).ok_or_else(outside)?;
        Ok(there.then(|| Msg { current: this.current.clone(), which: Which::Response, methods: this.methods.clone() }))
    });
}

fn text(lua: &Lua, msg: &Msg, of: impl FnOnce(&Message) -> Option<&str>) -> Result<Option<LuaString>> {
    msg.read(|message| of(message).map(|text| string(lua, text)).transpose())
}
