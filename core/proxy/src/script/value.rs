//! Values between Lua and functions.
//!
//! Lua's strings are octets. A script sees a text of a message as it is on the wire, and returns it like that.
//! Everywhere else it is text, in which characters [carry](signalbox_sip::message) the octets that are not UTF-8.

use mlua::{Error, FromLua, Function, Lua, LuaString, Result};
use signalbox_sip::message::{octets_of, text_of};

use crate::module::Value;

/// Tables nested deeper than this are refused: no function takes such, and cycles end here.
const MAX_DEPTH: usize = 16;

/// A name that a script gives: a string or a number.
pub(super) struct Name(pub(super) String);

impl FromLua for Name {
    fn from_lua(value: mlua::Value, lua: &Lua) -> Result<Self> {
        let from = value.type_name();
        let name = lua.coerce_string(value)?;
        let problem = || Error::FromLuaConversionError { from, to: "string".to_owned(), message: None };
        name.map(|name| Self(text(&name))).ok_or_else(problem)
    }
}

/// A string of Lua as text.
pub(super) fn text(string: &LuaString) -> String {
    text_of(&string.as_bytes()).into_owned()
}

/// What Lua's `tostring` makes of a value, as text.
pub(super) fn shown(lua: &Lua, value: &mlua::Value) -> Result<String> {
    match value {
        mlua::Value::String(string) => Ok(text(string)),
        mlua::Value::Table(_) | mlua::Value::UserData(_) => {
            let tostring: Function = lua.globals().raw_get("tostring")?;
            tostring.call::<LuaString>(value).map(|string| text(&string))
        }
        value => value.to_string(),
    }
}

/// A text of a message as a string of Lua.
pub(super) fn string(lua: &Lua, text: &str) -> Result<LuaString> {
    lua.create_string(octets_of(text))
}

/// A Lua value as functions see it; `None` for what has no meaning outside Lua (functions, userdata, cycles).
pub(super) fn from_lua(value: &mlua::Value) -> Option<Value> {
    nested(value, MAX_DEPTH)
}

fn nested(value: &mlua::Value, depth: usize) -> Option<Value> {
    Some(match value {
        mlua::Value::Nil => Value::Nil,
        mlua::Value::Boolean(value) => Value::Boolean(*value),
        mlua::Value::Integer(value) => Value::Integer(*value),
        mlua::Value::Number(value) => Value::Number(*value),
        mlua::Value::String(string) => Value::String(text(string)),
        mlua::Value::Table(table) => from_table(table, depth.checked_sub(1)?)?,
        _ => return None,
    })
}

fn from_table(table: &mlua::Table, depth: usize) -> Option<Value> {
    let length = table.raw_len();
    if length > 0 {
        let items = table.sequence_values::<mlua::Value>().map(|item| nested(&item.ok()?, depth));
        return items.collect::<Option<Vec<_>>>().map(Value::List);
    }
    let mut fields = Vec::new();
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let (key, value) = pair.ok()?;
        let mlua::Value::String(key) = key else { return None };
        fields.push((text(&key), nested(&value, depth)?));
    }
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some(Value::Table(fields))
}

/// A function's value as Lua sees it.
pub(super) fn into_lua(lua: &Lua, value: &Value) -> Result<mlua::Value> {
    Ok(match value {
        Value::Nil => mlua::Value::Nil,
        Value::Boolean(value) => mlua::Value::Boolean(*value),
        Value::Integer(value) => mlua::Value::Integer(*value),
        Value::Number(value) => mlua::Value::Number(*value),
        Value::String(text) => mlua::Value::String(string(lua, text)?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(into_lua(lua, item)?)?;
            }
            mlua::Value::Table(table)
        }
        Value::Table(fields) => {
            let table = lua.create_table_with_capacity(0, fields.len())?;
            for (name, item) in fields {
                table.raw_set(string(lua, name)?, into_lua(lua, item)?)?;
            }
            mlua::Value::Table(table)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_from_lua_as_they_went_in() {
        let lua = Lua::new();
        let value = Value::Table(vec![
            ("a".into(), Value::List(vec![Value::Integer(1), Value::String("x".into()), Value::Boolean(false)])),
            ("b".into(), Value::Number(1.5)),
        ]);
        assert_eq!(from_lua(&into_lua(&lua, &value).unwrap()), Some(value));
    }

    #[test]
    fn any_octets_of_lua_come_back_as_they_were() {
        let lua = Lua::new();
        for octets in [&b"caf\xe9"[..], b"\xf4\x8f\xbf\xa9", "caf\u{e9}".as_bytes(), &[0x80, 0xff, b'a', 0xc3]] {
            let value = from_lua(&mlua::Value::String(lua.create_string(octets).unwrap())).unwrap();
            let mlua::Value::String(again) = into_lua(&lua, &value).unwrap() else { panic!("a string is a string") };
            assert_eq!(again.as_bytes(), octets);
        }
    }

    #[test]
    fn a_table_that_contains_itself_has_no_value() {
        let lua = Lua::new();
        let table = lua.create_table().unwrap();
        table.set("me", &table).unwrap();
        assert_eq!(from_lua(&mlua::Value::Table(table)), None);
    }
}
