//! Editor stubs: what an editor with a Lua language server is told of `msg`, `avp` and all functions (LuaCATS).
//!
//! They are made of the same rows that calls are checked against, so they can't say anything else.

use std::fmt::Write;

use super::address::{ADDRESS_FIELDS, URI_FIELDS};
use super::headers::HEADER_METHODS;
use super::message::FIELDS;
use crate::module::export::Tables;
use crate::module::{Event, Kind, Signature};

/// The first lines of every stub file.
const HEAD: &str = "---@meta\n-- Generated from the tables in the code; `make stubs` writes it anew.\n";

/// What every routing script has without any module, apart from the functions of the core.
const ALWAYS: &str = r#"
---Where a message came from.
---@class Source
---@field ip string
---@field port integer
---@field transport string

---Something that happened inside the server.
---@class Event
---@field name string The module and the event: `registrar.expired`.

---Values that the script and functions leave for each other. They live as long as the request.
---@type table<string, any>
avp = {}

---Routes each request that belongs to no transaction. Every script defines it: `function route(msg) … end`.
---@type fun(msg: Msg)
route = nil

---Run once, in one worker, when the server has started; not when the script is reloaded.
---@type fun()?
on_start = nil

---Routes armed by `t_on_failure`: `function failure_route.name(msg) … end`.
---@type table<string, fun(msg: Msg)>
failure_route = {}

---Routes armed by `t_on_reply`: `function reply_route.name(msg) … end`.
---@type table<string, fun(msg: Msg)>
reply_route = {}

---Routes armed by `t_on_branch`: `function branch_route.name(msg) … end`.
---@type table<string, fun(msg: Msg)>
branch_route = {}

---Run for events of modules: `function event_route.registrar.expired(event) … end`.
event_route = {}

---Runs a function again and again, in one worker, as long as the script is loaded.
---@param interval string|integer seconds, or text such as `"30s"`, `"5m"`
---@param run fun()
function every(interval, run) end

---The log: `log.info("user", name)`, or `log("info", "user", name)`.
---@class Log
---@overload fun(level: "error"|"warn"|"info"|"debug"|"trace", ...: any)
log = {}
---@param ... any
function log.error(...) end
---@param ... any
function log.warn(...) end
---@param ... any
function log.info(...) end
---@param ... any
function log.debug(...) end
---@param ... any
function log.trace(...) end
"#;

/// The stub of the core: `msg`, `avp` and the core's functions.
pub fn core(functions: &[Signature]) -> String {
    let mut text = HEAD.to_owned();
    class(
        &mut text,
        "Msg",
        "The message that is being routed.",
        FIELDS.iter().map(|field| (field.name, field.kind, field.doc)),
    );
    class(&mut text, "RequestUri", "The Request-URI and its parts.", URI_FIELDS);
    class(&mut text, "Address", "An address: From, To, Contact.", ADDRESS_FIELDS);
    text.push_str("\n---Headers by name, full or compact, in any case.\n---@class Headers\nlocal Headers = {}\n");
    for (signature, annotations, doc) in HEADER_METHODS {
        push(&mut text, format_args!("---{doc}\n{}\nfunction Headers:{signature} end\n", annotations.join("\n")));
    }
    text.push_str(ALWAYS);
    functions.iter().for_each(|signature| function(&mut text, signature));
    text
}

/// The stub of a module.
pub fn module(tables: &Tables) -> String {
    let mut text = HEAD.to_owned();
    push(&mut text, format_args!("-- {}: {}\n", tables.name, tables.summary));
    tables.functions.iter().for_each(|signature| function(&mut text, signature));
    if !tables.events.is_empty() {
        push(&mut text, format_args!("\nevent_route.{} = {{}}\n", tables.name));
    }
    tables.events.iter().for_each(|one| event(&mut text, tables.name, one));
    text
}

fn event(text: &mut String, module: &str, event: &Event) {
    let Event { name, doc, fields } = event;
    push(text, format_args!("\n---@class {module}.{name}: Event\n"));
    for (field, kind, doc) in fields {
        push(text, format_args!("---@field {field} {kind} {doc}\n"));
    }
    push(
        text,
        format_args!("---{doc}\n---@param event {module}.{name}\nfunction event_route.{module}.{name}(event) end\n"),
    );
}

fn class<'a>(text: &mut String, name: &str, doc: &str, fields: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) {
    push(text, format_args!("\n---{doc}\n---@class {name}\n"));
    for (field, kind, doc) in fields {
        push(text, format_args!("---@field {field} {kind} {doc}\n"));
    }
}

fn function(text: &mut String, signature: &Signature) {
    text.push('\n');
    for line in signature.doc.lines() {
        push(text, format_args!("---{line}\n"));
    }
    push(text, format_args!("---Callable in: {}.\n", signature.routes));
    for argument in &signature.arguments {
        let mark = if argument.required { "" } else { "?" };
        let kind = match argument.kind {
            // What the check of arguments takes beside the type itself.
            Kind::Integer => "integer|string",
            kind => kind.name(),
        };
        push(text, format_args!("---@param {}{mark} {kind} {}\n", argument.name, argument.doc));
    }
    if !signature.result.is_empty() {
        let (kind, meaning) = signature.result.split_once(':').unwrap_or(("any", signature.result));
        push(text, format_args!("---@return {kind} result {}\n---@return string? reason why not\n", meaning.trim()));
    }
    let names: Vec<_> = signature.arguments.iter().map(|argument| argument.name).collect();
    push(text, format_args!("function {}({}) end\n", signature.name, names.join(", ")));
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = text.write_fmt(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions;

    #[test]
    fn a_stub_is_lua_and_declares_every_function() {
        let signatures: Vec<Signature> =
            functions::signatures().iter().map(|signature| (**signature).clone()).collect();
        let stub = core(&signatures);
        let lua = mlua::Lua::new();
        lua.load(&stub).exec().unwrap();
        for signature in &signatures {
            assert!(lua.globals().get::<mlua::Value>(signature.name).unwrap().is_function(), "{}", signature.name);
        }
        assert!(stub.contains("---@param status integer|string Status code, 100 to 699.\n"), "{stub}");
    }
}
