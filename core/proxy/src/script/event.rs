//! The table `event_route`: what the script does with events of modules.
//!
//! It holds a table for each module that has events. A route for an event that no loaded module raises would never run: defining one is an
//! error of the script, at its line.

use std::collections::BTreeMap;

use mlua::{Error, Function, Lua, Result, Table};

use crate::module::event::EventName;
use crate::settings::nearest::nearest;

/// See the [module](self).
pub(super) struct EventRoutes {
    table: Table,
    modules: Vec<(&'static str, Table)>,
}

impl EventRoutes {
    pub(super) fn new(lua: &Lua, events: &[EventName]) -> Result<Self> {
        let mut modules: Vec<(&'static str, Table)> = Vec::new();
        let table = lua.create_table()?;
        for EventName { module, .. } in events {
            if modules.iter().any(|(known, _)| known == module) {
                continue;
            }
            let own = events.iter().filter(|event| event.module == *module).map(|event| event.event).collect();
            let routes = module_table(lua, module, own)?;
            table.raw_set(*module, &routes)?;
            modules.push((module, routes));
        }
        let known: Vec<&str> = modules.iter().map(|(module, _)| *module).collect();
        let unknown = move |_: &Lua, (_, name, _): (mlua::Value, String, mlua::Value)| -> Result<()> {
            Err(Error::runtime(match nearest(&name, known.iter().copied()) {
                Some(near) => format!("no loaded module {name} raises events; did you mean event_route.{near}?"),
                None if known.is_empty() => format!("no loaded module {name} raises events, nor does any other"),
                None => format!("no loaded module {name} raises events; those that do: {}", known.join(", ")),
            }))
        };
        let unknown = lua.create_function(unknown)?;
        let meta = lua.create_table_from([("__index", unknown.clone()), ("__newindex", unknown)])?;
        table.set_metatable(Some(meta))?;
        Ok(Self { table, modules })
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The routes that the script has defined, by the full names of their events.
    pub(super) fn collect(&self) -> Result<BTreeMap<String, Function>> {
        let mut routes = BTreeMap::new();
        for (module, table) in &self.modules {
            for pair in table.pairs::<String, Function>() {
                let (event, function) = pair?;
                routes.insert(format!("{module}.{event}"), function);
            }
        }
        Ok(routes)
    }
}

/// `event_route.module`, which takes functions under the names of the module's events.
fn module_table(lua: &Lua, module: &'static str, events: Vec<&'static str>) -> Result<Table> {
    let define = move |_: &Lua, (table, name, route): (Table, String, mlua::Value)| {
        if !events.contains(&name.as_str()) {
            return Err(Error::runtime(match nearest(&name, events.iter().copied()) {
                Some(near) => format!("there is no event {module}.{name}; did you mean {module}.{near}?"),
                None => format!("there is no event {module}.{name}; {module} raises: {}", events.join(", ")),
            }));
        }
        let mlua::Value::Function(route) = route else {
            let kind = route.type_name();
            return Err(Error::runtime(format!("event_route.{module}.{name} must be a function, not a {kind}")));
        };
        table.raw_set(name, route)
    };
    let table = lua.create_table()?;
    table.set_metatable(Some(lua.create_table_from([("__newindex", lua.create_function(define)?)])?))?;
    Ok(table)
}
