//! `msg.headers` and `avp`.

use std::rc::Rc;

use mlua::{Error, MetaMethod, Result, UserData, UserDataMethods, Value};

use super::current::Current;
use super::message::{Which, one_line, outside};
use super::value::{Name, from_lua, into_lua, shown, string};

/// `msg.headers`: by any name, full or compact, in any case.
pub(super) struct Headers {
    pub(super) current: Rc<Current>,
    pub(super) which: Which,
}

/// `avp`: values that the script and functions leave for each other; they live as long as the request.
pub(super) struct Avp(pub(super) Rc<Current>);

/// The methods of `msg.headers`: signature in LuaCATS, doc.
pub(super) const HEADER_METHODS: [(&str, &[&str], &str); 5] = [
    (
        "get(name)",
        &["---@param name string", "---@return string? value"],
        "The value of the first header of this name.",
    ),
    (
        "all(name)",
        &["---@param name string", "---@return string[] values"],
        "The values of all headers of this name, lists taken apart.",
    ),
    (
        "set(name, value)",
        &["---@param name string", "---@param value string|number"],
        "Replaces all headers of this name by one.",
    ),
    ("add(name, value)", &["---@param name string", "---@param value string|number"], "Adds a header."),
    (
        "remove(name)",
        &["---@param name string", "---@return integer count"],
        "Removes all headers of this name, and tells how many there were.",
    ),
];

impl UserData for Headers {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("get", |lua, this, Name(name): Name| {
            this.which
                .read(&this.current, |message| message.value_of(&name).map(|value| string(lua, value)).transpose())
        });
        methods.add_method("all", |lua, this, Name(name): Name| {
            this.which.read(&this.current, |message| {
                let values = lua.create_table()?;
                message.items_of(&name).try_for_each(|value| values.raw_push(string(lua, value)?))?;
                Ok(values)
            })
        });
        methods.add_method("set", |lua, this, (Name(name), value): (Name, Value)| {
            let value = shown(lua, &value)?;
            let value = one_line(&value)?;
            this.which.write(&this.current, |message| message.set_of(&name, value).map_err(Error::external))
        });
        methods.add_method("add", |lua, this, (Name(name), value): (Name, Value)| {
            let value = shown(lua, &value)?;
            let value = one_line(&value)?;
            this.which.write(&this.current, |message| message.push_of(&name, value).map_err(Error::external))
        });
        methods.add_method("remove", |_, this, Name(name): Name| {
            this.which.write(&this.current, |message| Ok(message.remove_of(&name)))
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, (name, _): (String, Value)| -> Result<()> {
            Err(Error::runtime(format!("headers are set by msg.headers:set(\"{name}\", value)")))
        });
    }
}

impl UserData for Avp {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, Name(name): Name| {
            let value = this.0.with(|context, _| context.avp().get(&name).cloned()).ok_or_else(outside)?;
            value.map_or(Ok(Value::Nil), |value| into_lua(lua, &value))
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, this, (Name(name), value): (Name, Value)| {
            let value =
                from_lua(&value).ok_or_else(|| Error::runtime(format!("an avp can't hold a {}", value.type_name())))?;
            let set = this.0.with(|context, _| match value {
                crate::module::Value::Nil => context.avp().remove(&name),
                value => context.avp().insert(name, value),
            });
            set.map(|_| ()).ok_or_else(outside)
        });
        methods.add_meta_method(MetaMethod::Pairs, |lua, this, ()| {
            let values = this.0.with(|context, _| context.avp().clone()).ok_or_else(outside)?;
            let table = lua.create_table_with_capacity(0, values.len())?;
            for (name, value) in &values {
                table.raw_set(string(lua, name)?, into_lua(lua, value)?)?;
            }
            let next: mlua::Function = lua.globals().get("next")?;
            Ok((next, table, Value::Nil))
        });
    }
}
