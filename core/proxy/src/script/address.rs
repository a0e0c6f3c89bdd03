//! URIs and addresses of the message: `msg.ruri`, `msg.from`, `msg.to`, `msg.contact`.

use std::fmt::Write;
use std::rc::Rc;

use mlua::{Error, Lua, LuaString, MetaMethod, Result, Table, UserData, UserDataMethods, Value};
use signalbox_sip::header::HeaderName;
use signalbox_sip::lex::{Params, unquote};
use signalbox_sip::message::readable;
use signalbox_sip::uri::{NameAddr, Uri, escape_user, unescape_octets};

use super::current::Current;
use super::message::{Which, outside, unknown};
use super::value::{shown, string};

/// `msg.ruri`: parts of it are read and assigned by name; `tostring` gives all of it.
pub(super) struct RequestUri(pub(super) Rc<Current>);

/// `msg.from`, `msg.to`, `msg.contact`: parts of it are read by name; `tostring` gives the header's value.
pub(super) struct Address {
    pub(super) current: Rc<Current>,
    pub(super) which: Which,
    pub(super) name: HeaderName,
}

/// The parts of `msg.ruri`: name, LuaCATS type, doc.
pub(super) const URI_FIELDS: [(&str, &str, &str); 7] = [
    ("text", "string", "The whole URI."),
    ("scheme", "string", "`sip`, `sips`, `tel` …"),
    ("user", "string?", "The user, with its escapes undone; can be assigned."),
    ("host", "string?", "The host; can be assigned."),
    ("port", "integer?", "The port, if one is written; can be assigned."),
    ("params", "table<string, string|true>", "The URI's parameters; true for one without a value."),
    ("aor", "string?", "The address of record: scheme, user and host (RFC 3261 §10.3)."),
];

/// The parts of an address: name, LuaCATS type, doc.
pub(super) const ADDRESS_FIELDS: [(&str, &str, &str); 9] = [
    ("text", "string", "The header's value as it came."),
    ("uri", "string?", "The URI; nil if the header is malformed."),
    ("display", "string?", "The display name, without quotes."),
    ("user", "string?", "The user of the URI, with its escapes undone."),
    ("host", "string?", "The host of the URI."),
    ("port", "integer?", "The port of the URI, if one is written."),
    ("tag", "string?", "The tag."),
    ("params", "table<string, string|true>", "The header's parameters; true for one without a value."),
    ("aor", "string?", "The address of record: scheme, user and host (RFC 3261 §10.3)."),
];

impl RequestUri {
    fn with<T>(&self, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        self.0.with(|context, _| read(context.request().request_uri())).ok_or_else(outside)?
    }

    fn set(&self, part: Part<'_>) -> Result<()> {
        let changed = self.with(|text| {
            let uri = Uri::parse(text)
                .map_err(|error| Error::runtime(format!("the Request-URI can't be changed: {error}")))?;
            changed(&uri, part)
        })?;
        self.0.with(|context, _| context.request_mut().set_request_uri(&changed)).ok_or_else(outside)
    }
}

/// A part of a URI to replace.
enum Part<'a> {
    User(Option<&'a [u8]>),
    Host(&'a str),
    Port(Option<u16>),
}

/// The URI with one part replaced.
fn changed(uri: &Uri<'_>, part: Part<'_>) -> Result<String> {
    let Some(host) = &uri.host else {
        return Err(Error::runtime(format!(
            "a {} URI has no parts to assign; assign all of msg.ruri",
            uri.scheme_text
        )));
    };
    let mut text = format!("{}:", uri.scheme_text);
    let mut escaped = String::new();
    let user = match part {
        Part::User(None | Some([])) => None,
        Part::User(Some(user)) => {
            escape_user(user, &mut escaped);
            Some(escaped.as_str())
        }
        _ => uri.user,
    };
    if let Some(user) = user {
        text.push_str(user);
        if let (Some(password), false) = (uri.password, matches!(part, Part::User(_))) {
            text.push(':');
            text.push_str(password);
        }
        text.push('@');
    }
    match part {
        Part::Host(host) => text.push_str(host),
        _ => write!(text, "{}", host.host).map_err(Error::external)?,
    }
    let port = if let Part::Port(port) = part { port } else { host.port };
    if let Some(port) = port {
        write!(text, ":{port}").map_err(Error::external)?;
    }
    text.push_str(uri.params.as_str());
    if !uri.headers.is_empty() {
        text.push('?');
        text.push_str(uri.headers);
    }
    Uri::parse(&text).map_err(|error| Error::runtime(format!("\"{}\" is no URI: {error}", readable(&text))))?;
    Ok(text)
}

/// The parts that every URI has.
fn uri_part(lua: &Lua, uri: &Uri<'_>, name: &str) -> Result<Option<Value>> {
    let text = |text: &str| lua.create_string(text).map(Value::String);
    Ok(Some(match name {
        "user" => match uri.user {
            Some(user) => Value::String(lua.create_string(unescape_octets(user))?),
            None => Value::Nil,
        },
        "host" => uri.host.as_ref().map_or(Ok(Value::Nil), |host| text(&host.host.to_string()))?,
        "port" => {
            let port = uri.host.as_ref().and_then(|host| host.port);
            port.map_or(Value::Nil, |port| Value::Integer(port.into()))
        }
        "aor" => signalbox_sip::uri::Aor::of(uri).map_or(Ok(Value::Nil), |aor| text(aor.as_str()))?,
        _ => return Ok(None),
    }))
}

fn params(lua: &Lua, params: Params<'_>) -> Result<Value> {
    let table: Table = lua.create_table()?;
    for (written, value) in params.iter() {
        let name = |lua| string(lua, &written.to_ascii_lowercase());
        match value {
            Some(value) => table.raw_set(name(lua)?, string(lua, &unquote(value))?)?,
            None => table.raw_set(name(lua)?, true)?,
        }
    }
    Ok(Value::Table(table))
}

/// `..` with an address on either side.
fn concatenated(lua: &Lua, (a, b): (Value, Value)) -> Result<LuaString> {
    string(lua, &(shown(lua, &a)? + &shown(lua, &b)?))
}

impl UserData for RequestUri {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, name: String| {
            this.with(|text| {
                if name == "text" {
                    return string(lua, text).map(Value::String);
                }
                let Ok(uri) = Uri::parse(text) else { return Ok(Value::Nil) };
                match name.as_str() {
                    "scheme" => lua.create_string(uri.scheme_text.to_ascii_lowercase()).map(Value::String),
                    "params" => params(lua, uri.params),
                    _ => uri_part(lua, &uri, &name)?
                        .ok_or_else(|| unknown("msg.ruri", &name, URI_FIELDS.iter().map(|(name, ..)| *name))),
                }
            })
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, this, (name, value): (String, Value)| {
            let wrong = || Error::runtime(format!("msg.ruri.{name} can't be set to a {}", value.type_name()));
            match (name.as_str(), &value) {
                ("user", Value::Nil) => this.set(Part::User(None)),
                ("user", Value::String(user)) => this.set(Part::User(Some(&user.as_bytes()))),
                ("host", Value::String(host)) => this.set(Part::Host(&super::value::text(host))),
                ("port", Value::Nil) => this.set(Part::Port(None)),
                ("port", Value::Integer(port)) => {
                    this.set(Part::Port(Some(u16::try_from(*port).map_err(|_| wrong())?)))
                }
                ("user" | "host" | "port", _) => Err(wrong()),
                _ => Err(Error::runtime(format!("of msg.ruri only user, host and port can be assigned, not {name}"))),
            }
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| this.with(|text| string(lua, text)));
        methods.add_meta_function(MetaMethod::Concat, concatenated);
    }
}

impl UserData for Address {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, name: String| {
            this.which.read(&this.current, |message| {
                let Some(value) = message.items(this.name).next() else { return Ok(Value::Nil) };
                if name == "text" {
                    return string(lua, value).map(Value::String);
                }
                if !ADDRESS_FIELDS.iter().any(|(known, ..)| *known == name) {
                    return Err(unknown("an address", &name, ADDRESS_FIELDS.iter().map(|(name, ..)| *name)));
                }
                let Ok(address) = NameAddr::parse(value) else { return Ok(Value::Nil) };
                let text =
                    |text: Option<&str>| text.map_or(Ok(Value::Nil), |text| string(lua, text).map(Value::String));
                match name.as_str() {
                    "uri" => text(Some(address.uri)),
                    "display" => text(address.display.is_some().then_some(&*address.display_name())),
                    "tag" => text(address.tag()),
                    "params" => params(lua, address.params),
                    _ => match address.uri() {
                        Ok(uri) => Ok(uri_part(lua, &uri, &name)?.unwrap_or(Value::Nil)),
                        Err(_) => Ok(Value::Nil),
                    },
                }
            })
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| {
            this.which.read(&this.current, |message| string(lua, message.items(this.name).next().unwrap_or_default()))
        });
        methods.add_meta_function(MetaMethod::Concat, concatenated);
    }
}
