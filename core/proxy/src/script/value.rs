//! Values between Lua and functions.

use mlua::{Lua, Result};

use crate::module::Value;

/// Tables nested deeper than this are refused: no function takes such, and cycles end here.
const MAX_DEPTH: usize = 16;

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
        mlua::Value::String(text) => Value::String(text.to_string_lossy()),
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
        fields.push((key.to_string_lossy(), nested(&value, depth)?));
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
        Value::String(text) => mlua::Value::String(lua.create_string(text)?),
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
                table.raw_set(name.as_str(), into_lua(lua, item)?)?;
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
    fn a_table_that_contains_itself_has_no_value() {
        let lua = Lua::new();
        let table = lua.create_table().unwrap();
        table.set("me", &table).unwrap();
        assert_eq!(from_lua(&mlua::Value::Table(table)), None);
    }
}
