//! What of Lua's library a script gets: no files, no processes, no code from elsewhere; limits on time and memory.

use std::rc::Rc;

use mlua::{Error, Lua, LuaOptions, Result, StdLib, Table, Variadic};
use signalbox_sip::message::readable;

use super::current::Current;
use super::value::shown;
use super::watch::Watch;
use super::{Limits, library};

/// Finished coroutines that are kept for the next requests.
const THREAD_POOL: usize = 256;

/// Functions of Lua's base library that reach files or make code.
const REMOVED: [&str; 5] = ["dofile", "loadfile", "load", "collectgarbage", "warn"];

/// The functions of `os` that only read clocks.
const KEPT_OF_OS: [&str; 4] = ["time", "date", "clock", "difftime"];

/// A Lua state for scripts, limited and without dangerous functions.
pub(super) fn state(limits: Limits) -> Result<Lua> {
    let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::OS;
    // With this option `pcall` stays Lua's own, through which a function can wait; panics are caught before they get here.
    let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(true).thread_pool_size(THREAD_POOL))?;
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_remove(name)?;
    }
    let os: Table = globals.get("os")?;
    let kept = lua.create_table()?;
    for name in KEPT_OF_OS {
        kept.set(name, os.get::<mlua::Value>(name)?)?;
    }
    globals.set("os", kept)?;
    let string: Table = globals.get("string")?;
    string.raw_remove("dump")?;
    globals.set("print", lua.create_function(print)?)?;
    globals.set("log", log_table(&lua)?)?;
    lua.set_memory_limit(limits.memory)?;
    Ok(lua)
}

/// Stops code that has used up its instructions, also in functions of the library and in operations on long texts.
pub(super) fn limit_instructions(lua: &Lua, current: &Rc<Current>, limits: Limits) -> Result<()> {
    Watch::install(lua, current, limits)?;
    library::install(lua, current, limits)
}

/// What is said of a script that has used up its instructions.
pub(super) fn stop_message(limits: Limits) -> String {
    format!("stopped after {} instructions: an endless loop? (limits {{ instructions = … }})", limits.instructions)
}

fn print(lua: &Lua, values: Variadic<mlua::Value>) -> Result<()> {
    tracing::info!(target: "script", "{}", joined(lua, &values)?);
    Ok(())
}

/// `log.info("…", value)`, and the same for each level; `log("info", "…")` too.
fn log_table(lua: &Lua) -> Result<Table> {
    let log = lua.create_table()?;
    for level in ["error", "warn", "info", "debug", "trace"] {
        let write = lua.create_function(move |lua, values: Variadic<mlua::Value>| write_log(lua, level, &values))?;
        log.set(level, write)?;
    }
    let call = lua.create_function(|lua, (_, level, values): (Table, String, Variadic<mlua::Value>)| {
        write_log(lua, &level, &values)
    })?;
    let meta = lua.create_table()?;
    meta.set("__call", call)?;
    log.set_metatable(Some(meta))?;
    Ok(log)
}

fn write_log(lua: &Lua, level: &str, values: &[mlua::Value]) -> Result<()> {
    match level {
        "error" => tracing::error!(target: "script", "{}", joined(lua, values)?),
        "warn" => tracing::warn!(target: "script", "{}", joined(lua, values)?),
        "info" => tracing::info!(target: "script", "{}", joined(lua, values)?),
        "debug" if tracing::enabled!(target: "script", tracing::Level::DEBUG) => {
            tracing::debug!(target: "script", "{}", joined(lua, values)?);
        }
        "trace" if tracing::enabled!(target: "script", tracing::Level::TRACE) => {
            tracing::trace!(target: "script", "{}", joined(lua, values)?);
        }
        "debug" | "trace" => {}
        other => return Err(Error::runtime(format!("log level is error, warn, info, debug or trace, not {other}"))),
    }
    Ok(())
}

fn joined(lua: &Lua, values: &[mlua::Value]) -> Result<String> {
    let mut line = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&readable(&shown(lua, value)?));
    }
    Ok(line)
}
