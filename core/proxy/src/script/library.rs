//! Functions of Lua's library. In Lua they are C code, which the instruction limit does not see. Here their work is
//! charged to the request's instructions, by the size of their arguments. Patterns are matched in Rust (see
//! [`pattern`](super::pattern)).

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Error, Function, IntoLuaMulti, Lua, LuaString, MultiValue, Result, Table, Value};

use super::Limits;
use super::current::Current;
use super::pattern::{Capture, Matcher, PatternError};
use super::sandbox::stop_message;
use super::watch::INTERVAL;

/// Octets copied or compared that count as one instruction.
const OCTETS: u64 = 8;
/// The cost of [`OCTETS`] octets of a format for `os.date`.
const DATES: u64 = 100;
/// From this cost on a call may take long, and the time is checked.
const LARGE: u64 = 10_000;
/// Most results of `table.unpack` and `string.byte`. Later instructions copy all results and count as one each.
const MAX_RESULTS: i64 = 8000;

/// The running request and its limits.
#[derive(Clone)]
struct Meter {
    current: Rc<Current>,
    limits: Limits,
}

/// The cost of a call, computed before the call.
type Cost = fn(&Lua, &MultiValue) -> Result<u64>;

/// Puts the functions of this file in place of Lua's.
pub(super) fn install(lua: &Lua, current: &Rc<Current>, limits: Limits) -> Result<()> {
    let meter = Meter { current: current.clone(), limits };
    let globals = lua.globals();
    let [string, table, utf8, coroutine]: [Table; 4] =
        [globals.get("string")?, globals.get("table")?, globals.get("utf8")?, globals.get("coroutine")?];
    for name in ["find", "match"] {
        let (meter, find) = (meter.clone(), name == "find");
        string.set(name, lua.create_function(move |lua, arguments| meter.search(lua, find, arguments))?)?;
    }
    let own = meter.clone();
    string.set("gmatch", lua.create_function(move |lua, arguments| own.gmatch(lua, arguments))?)?;
    let own = meter.clone();
    string.set("gsub", lua.create_function(move |lua, arguments| own.gsub(lua, arguments))?)?;
    for name in ["lower", "upper", "reverse", "sub", "pack", "unpack", "format"] {
        meter.charge_for(lua, &string, name, octets)?;
    }
    meter.charge_for(lua, &string, "rep", repetition)?;
    meter.charge_for(lua, &string, "byte", reading)?;
    meter.charge_for(lua, &string, "char", |_, arguments| Ok(arguments.len() as u64))?;
    for name in ["len", "codepoint", "offset", "char", "codes"] {
        meter.charge_for(lua, &utf8, name, octets)?;
    }
    meter.charge_for(lua, &table, "concat", concatenation)?;
    meter.charge_for(lua, &table, "sort", sorting)?;
    for name in ["insert", "remove"] {
        meter.charge_for(lua, &table, name, length)?;
    }
    meter
        .charge_for(lua, &table, "move", |lua, arguments| range(lua, arguments, integer(lua, arguments.get(2))?, 1))?;
    meter.charge_for(lua, &table, "pack", |_, arguments| Ok(arguments.len() as u64))?;
    meter.charge_for(lua, &table, "unpack", unpacking)?;
    // A new coroutine starts its own instruction count, so the instructions that the limit cannot see are charged at
    // once.
    for name in ["create", "wrap"] {
        meter.charge_for(lua, &coroutine, name, |_, _| Ok(u64::from(INTERVAL)))?;
    }
    // A few octets of a format become a date.
    meter.charge_for(lua, &globals.get("os")?, "date", |lua, arguments| {
        Ok(octets(lua, arguments)?.saturating_mul(DATES))
    })?;
    for name in ["tostring", "tonumber"] {
        meter.charge_for(lua, &globals, name, octets)?;
    }
    globals.set("setmetatable", set_metatable(lua, globals.get("setmetatable")?)?)?;
    // Lua runs the handler of xpcall within the error, where no limit can stop it. Here it runs after the error.
    lua.load(XPCALL).set_name("=xpcall").exec()
}

const XPCALL: &str = "local pcall = pcall
    local function finish(handler, done, ...)
      if done then return true, ... end
      return false, handler(...)
    end
    function xpcall(f, handler, ...) return finish(handler, pcall(f, ...)) end";

/// Refuses finalizers, which Lua runs where no instruction is counted.
fn set_metatable(lua: &Lua, original: Function) -> Result<Function> {
    lua.create_function(move |_, (table, meta): (Value, Value)| {
        if let Value::Table(meta) = &meta
            && meta.raw_get::<Value>("__gc")? != Value::Nil
        {
            return Err(Error::runtime("a metatable of a script has no __gc: finalizers are not run"));
        }
        original.call::<Value>((table, meta))
    })
}

impl Meter {
    /// Wraps a function of `library` so that `cost` is charged before each call.
    fn charge_for(&self, lua: &Lua, library: &Table, name: &str, cost: Cost) -> Result<()> {
        let (meter, original): (_, Function) = (self.clone(), library.raw_get(name)?);
        let charged = lua.create_function(move |lua, arguments: MultiValue| {
            meter.spend(lua, cost(lua, &arguments)?)?;
            original.call::<MultiValue>(arguments)
        })?;
        library.raw_set(name, charged)
    }

    fn spend(&self, lua: &Lua, cost: u64) -> Result<()> {
        if cost == 0 || self.current.spend(cost) && (cost < LARGE || self.current.is_in_time()) {
            return Ok(());
        }
        let place = lua.inspect_stack(1, |frame| {
            let file = frame.source().short_src.as_deref().unwrap_or_default().to_owned();
            format!("{file}:{}", frame.current_line().unwrap_or_default())
        });
        let place = place.unwrap_or_default();
        let error = Error::runtime(format!("{place}: {}", stop_message(self.limits)));
        // The route may catch the error. The note ends the route nevertheless.
        self.current.stop(place);
        Err(error)
    }

    /// Runs `matching` with the remaining steps and subtracts the steps that it used.
    fn matching<T>(
        &self,
        lua: &Lua,
        (subject, pattern): (&[u8], &[u8]),
        matching: impl FnOnce(&mut Matcher<'_>) -> std::result::Result<T, PatternError>,
    ) -> Result<T> {
        let steps = self.current.budget();
        let mut matcher = Matcher::new(subject, pattern, steps);
        let matched = matching(&mut matcher);
        let used = steps - matcher.steps();
        self.spend(lua, if matches!(matched, Err(PatternError::Exhausted)) { u64::MAX } else { used })?;
        matched.map_err(Error::external)
    }

    /// `string.find` and `string.match`.
    fn search(&self, lua: &Lua, find: bool, arguments: Search) -> Result<MultiValue> {
        let (subject, pattern, init, plain) = arguments;
        let (text, pattern) = (subject.as_bytes(), pattern.as_bytes());
        let Some(start) = start(init, text.len()) else { return Value::Nil.into_lua_multi(lua) };
        if find
            && (plain.is_some_and(|plain| plain != Value::Nil && plain != Value::Boolean(false)) || is_plain(&pattern))
        {
            self.spend(lua, (text.len() - start) as u64 / OCTETS)?;
            let Some(at) = memchr::memmem::find(&text[start..], &pattern) else {
                return Value::Nil.into_lua_multi(lua);
            };
            return (start + at + 1, start + at + pattern.len()).into_lua_multi(lua);
        }
        let (anchored, pattern) = anchor(&pattern);
        let found = self.matching(lua, (&text, pattern), |matcher| {
            let last = if anchored { start } else { text.len() };
            for from in start..=last {
                if let Some(end) = matcher.match_at(from)? {
                    return Ok(Some((from, end, captures(matcher, (from, end), !find)?)));
                }
            }
            Ok(None)
        })?;
        let Some((from, end, captures)) = found else { return Value::Nil.into_lua_multi(lua) };
        let mut results = MultiValue::new();
        if find {
            results.extend([Value::Integer(from as i64 + 1), Value::Integer(end as i64)]);
        }
        for capture in captures {
            results.push_back(value(lua, &text, capture)?);
        }
        Ok(results)
    }

    /// `string.gmatch`: each match, one after the other.
    fn gmatch(&self, lua: &Lua, arguments: (LuaString, LuaString, Option<i64>)) -> Result<Function> {
        let (subject, pattern, init) = arguments;
        let length = subject.as_bytes().len();
        let next = Cell::new(start(init, length).unwrap_or(length + 1));
        let (last, meter) = (Cell::new(None), self.clone());
        lua.create_function(move |lua, ()| {
            let (text, pattern) = (subject.as_bytes(), pattern.as_bytes());
            let found = meter.matching(lua, (&text, &pattern), |matcher| {
                for from in next.get()..=text.len() {
                    if let Some(end) = matcher.match_at(from)?.filter(|end| Some(*end) != last.get()) {
                        next.set(end);
                        last.set(Some(end));
                        return captures(matcher, (from, end), true);
                    }
                }
                next.set(text.len() + 1);
                Ok(Vec::new())
            })?;
            if found.is_empty() {
                return Value::Nil.into_lua_multi(lua);
            }
            found.into_iter().map(|capture| value(lua, &text, capture)).collect()
        })
    }

    /// `string.gsub`.
    fn gsub(&self, lua: &Lua, arguments: (LuaString, LuaString, Value, Option<i64>)) -> Result<(LuaString, i64)> {
        let (subject, pattern, replacement, most) = arguments;
        let (text, pattern) = (subject.as_bytes(), pattern.as_bytes());
        let replacement = match replacement {
            Value::Integer(_) | Value::Number(_) => {
                Value::String(lua.coerce_string(replacement)?.ok_or_else(|| bad_replacement("number"))?)
            }
            Value::String(_) | Value::Table(_) | Value::Function(_) => replacement,
            other => return Err(bad_replacement(other.type_name())),
        };
        let (anchored, pattern) = anchor(&pattern);
        let most = most.unwrap_or(i64::MAX);
        let (mut out, mut count, mut from, mut last) = (Vec::new(), 0, 0, None);
        while count < most {
            // Text that does not match is copied in the same call, so that steps are counted rarely.
            let (found, began) = self.matching(lua, (&text, pattern), |matcher| {
                let began = from;
                loop {
                    if let Some(end) = matcher.match_at(from)?.filter(|end| Some(*end) != last) {
                        return Ok((Some((end, attempted(matcher, (from, end)))), began));
                    }
                    if anchored || from >= text.len() {
                        return Ok((None, began));
                    }
                    from += 1;
                }
            })?;
            out.extend_from_slice(&text[began..from]);
            let Some((end, captures)) = found else { break };
            count += 1;
            let length = out.len();
            self.replace(lua, &mut out, &text, (&replacement, from, end, &captures))?;
            self.spend(lua, (out.len() - length) as u64 / OCTETS + 1)?;
            self.check_memory(out.len())?;
            (from, last) = (end, Some(end));
            if anchored {
                break;
            }
        }
        out.extend_from_slice(&text[from.min(text.len())..]);
        Ok((lua.create_string(&out)?, count))
    }

    /// Appends the replacement of one match.
    fn replace(
        &self,
        lua: &Lua,
        out: &mut Vec<u8>,
        text: &[u8],
        (replacement, from, end, captures): (&Value, usize, usize, &[Captured]),
    ) -> Result<()> {
        let replaced = match replacement {
            Value::String(template) => return fill(out, text, &template.as_bytes(), (from, end, captures)),
            Value::Table(table) => table.get::<Value>(value(lua, text, taken(&captures[0])?)?)?,
            Value::Function(function) => {
                let captures: Result<MultiValue> =
                    captures.iter().map(|capture| value(lua, text, taken(capture)?)).collect();
                function.call::<Value>(captures?)?
            }
            _ => Value::Nil,
        };
        match replaced {
            Value::Nil | Value::Boolean(false) => out.extend_from_slice(&text[from..end]),
            Value::String(string) => out.extend_from_slice(&string.as_bytes()),
            number @ (Value::Integer(_) | Value::Number(_)) => {
                out.extend_from_slice(number.to_string()?.as_bytes());
            }
            other => return Err(Error::runtime(format!("invalid replacement value (a {})", other.type_name()))),
        }
        Ok(())
    }

    /// The result is gathered outside of Lua's memory; Lua's memory limit applies to it too.
    fn check_memory(&self, octets: usize) -> Result<()> {
        if octets <= self.limits.memory { Ok(()) } else { Err(Error::MemoryError("not enough memory".to_owned())) }
    }
}

type Search = (LuaString, LuaString, Option<i64>, Option<Value>);

/// Fills the captures into `%0` to `%9` of a replacement.
fn fill(
    out: &mut Vec<u8>,
    text: &[u8],
    template: &[u8],
    (from, end, captures): (usize, usize, &[Captured]),
) -> Result<()> {
    let mut octets = template.iter();
    while let Some(octet) = octets.next() {
        if *octet != b'%' {
            out.push(*octet);
            continue;
        }
        match octets.next() {
            Some(b'%') => out.push(b'%'),
            Some(b'0') => out.extend_from_slice(&text[from..end]),
            Some(digit @ b'1'..=b'9') => match captures.get(usize::from(digit - b'1')).map(taken).transpose()? {
                Some(Capture::Text(from, end)) => out.extend_from_slice(&text[from..end]),
                Some(Capture::Position(at)) => out.extend_from_slice((at + 1).to_string().as_bytes()),
                None => {
                    let index = digit - b'0';
                    return Err(Error::runtime(format!("invalid capture index %{index} in replacement string")));
                }
            },
            _ => return Err(Error::runtime("invalid use of '%' in replacement string")),
        }
    }
    Ok(())
}

fn bad_replacement(kind: &str) -> Error {
    Error::runtime(format!("bad argument #3 to 'gsub' (string/function/table expected, got {kind})"))
}

/// All captures of a match. `whole` says whether a pattern without captures has the whole match as one.
fn captures(
    matcher: &Matcher<'_>,
    found: (usize, usize),
    whole: bool,
) -> std::result::Result<Vec<Capture>, PatternError> {
    let count = if matcher.count() == 0 && whole { 1 } else { matcher.count() };
    (0..count).map(|index| matcher.capture(index, found)).collect()
}

/// A capture that is an error only if the replacement uses it, as in Lua.
type Captured = std::result::Result<Capture, PatternError>;

fn attempted(matcher: &Matcher<'_>, found: (usize, usize)) -> Vec<Captured> {
    (0..matcher.count().max(1)).map(|index| matcher.capture(index, found)).collect()
}

fn taken(captured: &Captured) -> Result<Capture> {
    captured.clone().map_err(Error::external)
}

fn value(lua: &Lua, text: &[u8], capture: Capture) -> Result<Value> {
    Ok(match capture {
        Capture::Text(from, end) => Value::String(lua.create_string(&text[from..end])?),
        Capture::Position(at) => Value::Integer(at as i64 + 1),
    })
}

fn anchor(pattern: &[u8]) -> (bool, &[u8]) {
    pattern.strip_prefix(b"^").map_or((false, pattern), |rest| (true, rest))
}

fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|octet| b"^$*+?.([%-".contains(octet))
}

/// The offset at which a search from `init` begins; `init` counts from 1 or from the end. `None` if it is after the
/// end.
fn start(init: Option<i64>, length: usize) -> Option<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let start = match init.unwrap_or(1) {
        init @ 1.. => init - 1,
        0 => 0,
        init => (length + init.max(-length)).max(0),
    };
    usize::try_from(start).ok().filter(|_| start <= length)
}

/// The cost of functions that read all of their text arguments.
fn octets(_: &Lua, arguments: &MultiValue) -> Result<u64> {
    let length = |value: &Value| if let Value::String(text) = value { text.as_bytes().len() as u64 } else { 0 };
    Ok(arguments.iter().map(length).sum::<u64>() / OCTETS)
}

/// The argument as Lua's functions read it: strings and floats that stand for an integer are taken for it (Lua 5.4 §3.4.3).
fn integer(lua: &Lua, value: Option<&Value>) -> Result<Option<i64>> {
    match value {
        Some(value @ (Value::Integer(_) | Value::Number(_) | Value::String(_))) => lua.coerce_integer(value.clone()),
        _ => Ok(None),
    }
}

fn repetition(lua: &Lua, arguments: &MultiValue) -> Result<u64> {
    let text = |index: usize| match arguments.get(index) {
        Some(Value::String(text)) => text.as_bytes().len() as u64,
        _ => 8,
    };
    let separator = if arguments.len() > 2 { text(2) } else { 0 };
    let times = u64::try_from(integer(lua, arguments.get(1))?.unwrap_or(0)).unwrap_or(0);
    Ok((text(0) + separator).max(1).saturating_mul(times) / OCTETS)
}

/// The length of the table that is the first argument.
fn length(_: &Lua, arguments: &MultiValue) -> Result<u64> {
    match arguments.front() {
        Some(Value::Table(table)) => Ok(u64::try_from(table.len()?).unwrap_or(0)),
        _ => Ok(0),
    }
}

/// The size of the range from the argument `first` to `last`.
fn range(lua: &Lua, arguments: &MultiValue, last: Option<i64>, first: usize) -> Result<u64> {
    let from = integer(lua, arguments.get(first))?.unwrap_or(1);
    Ok(last.map_or(1, |to| u64::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(0)))
}

fn concatenation(lua: &Lua, arguments: &MultiValue) -> Result<u64> {
    let Some(Value::Table(table)) = arguments.front() else { return Ok(0) };
    let (from, to) = (integer(lua, arguments.get(2))?.unwrap_or(1), integer(lua, arguments.get(3))?);
    let to = to.map_or_else(|| table.len(), Ok)?;
    let count = u64::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(0);
    // The texts are copied once. Making them has already been charged as instructions.
    Ok(count.saturating_add(octets(lua, arguments)?.saturating_mul(count)))
}

/// Each value is compared some times, and a text as far as it is like others.
fn sorting(lua: &Lua, arguments: &MultiValue) -> Result<u64> {
    let count = length(lua, arguments)?;
    let mut cost = count.saturating_mul(4);
    if let Some(Value::Table(table)) = arguments.front() {
        for index in 1..=u64::try_from(table.raw_len()).unwrap_or(0) {
            if let Value::String(text) = table.raw_get(index)? {
                cost = cost.saturating_add(text.as_bytes().len() as u64 / OCTETS);
            }
        }
    }
    Ok(cost.saturating_mul(u64::from(count.max(2).ilog2() + 1)))
}

fn unpacking(lua: &Lua, arguments: &MultiValue) -> Result<u64> {
    let to = match integer(lua, arguments.get(2))? {
        Some(to) => to,
        None => i64::try_from(length(lua, arguments)?).unwrap_or(i64::MAX),
    };
    few(range(lua, arguments, Some(to), 1)?)
}

/// `string.byte`: positions may count from the end.
fn reading(lua: &Lua, arguments: &MultiValue) -> Result<u64> {
    let length = octets(lua, arguments)?.saturating_mul(OCTETS).saturating_add(OCTETS);
    match integer(lua, arguments.get(2))? {
        None => Ok(1),
        Some(..0) => few(length),
        last => few(range(lua, arguments, last, 1)?.min(length)),
    }
}

/// Not too many results.
fn few(count: u64) -> Result<u64> {
    match i64::try_from(count) {
        Ok(..=MAX_RESULTS) => Ok(count),
        _ => Err(Error::runtime(format!("too many results: {MAX_RESULTS} are possible"))),
    }
}
