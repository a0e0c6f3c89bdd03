//! What each function of a settings file does with its arguments.

use std::fmt;
use std::time::Duration;

use signalbox_sip::transaction::Timers;

use super::core::{MAX_PREALLOCATED, MAX_WORKERS};
use super::nearest::nearest;
use super::{CoreSettings, LogSettings, RouteKeySettings, ServerLimits, Settings, parse};
use crate::functions;
use crate::logging::{Format, OTHER_TARGETS};
use crate::module::{self, Configured, Loader, ModuleError, Parameter, Value};
use crate::script::Limits;
use crate::transport::tcp::TcpLimits;

/// A function of the settings file: one row.
#[derive(Clone, Copy)]
pub(crate) struct SettingFunction {
    pub(crate) name: &'static str,
    /// How it is written.
    pub(crate) usage: &'static str,
    pub(crate) apply: fn(&mut Reading, &[Value]) -> Result<(), String>,
}

/// All functions of a settings file.
pub(crate) const FUNCTIONS: [SettingFunction; 15] = [
    SettingFunction {
        name: "listen",
        usage: "listen { \"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\" }",
        apply: |reading, values| {
            for text in strings(values)? {
                reading.core.listen.push(parse::listener(text)?);
            }
            Ok(())
        },
    },
    SettingFunction {
        name: "alias",
        usage: "alias { \"example.com\" }",
        apply: |reading, values| {
            for text in strings(values)? {
                reading.core.aliases.push(parse::host_port(text)?);
            }
            Ok(())
        },
    },
    SettingFunction {
        name: "advertise",
        usage: "advertise \"203.0.113.5\"",
        apply: |reading, values| {
            reading.advertise = Some(parse::host_port(string(values)?)?);
            Ok(())
        },
    },
    SettingFunction { name: "workers", usage: "workers(4)", apply: workers },
    SettingFunction { name: "preallocate", usage: "preallocate(512)", apply: preallocate },
    SettingFunction {
        name: "admin_socket",
        usage: "admin_socket \"var/signalbox.sock\"",
        apply: |reading, values| {
            reading.core.admin_socket = path(values)?.into();
            Ok(())
        },
    },
    SettingFunction { name: "log", usage: "log { level = \"info\" }", apply: log },
    SettingFunction { name: "limits", usage: "limits { connections = 10000 }", apply: limits },
    SettingFunction { name: "route_key", usage: "route_key { file = \"var/route.key\" }", apply: route_key },
    SettingFunction { name: "timers", usage: "timers { t1 = \"500ms\", t2 = \"4s\" }", apply: timers },
    SettingFunction {
        name: "server_header",
        usage: "server_header \"Signalbox\"",
        apply: |reading, values| {
            reading.core.server_header = string(values)?.to_owned();
            match reading.core.server_header.contains(['\r', '\n']) {
                true => Err("a header value has no line breaks".into()),
                false => Ok(()),
            }
        },
    },
    SettingFunction {
        name: "module_path",
        usage: "module_path { \"/usr/lib/signalbox\" }",
        apply: |reading, values| {
            for text in strings(values)?.into_iter().rev() {
                reading.loader.search_first(text);
            }
            Ok(())
        },
    },
    SettingFunction { name: "loadmodule", usage: "loadmodule \"registrar\"", apply: loadmodule },
    SettingFunction { name: "modparam", usage: "modparam(\"registrar\", \"default_expires\", 3600)", apply: modparam },
    SettingFunction {
        name: "route_script",
        usage: "route_script \"scripts/presence.lua\"",
        apply: |reading, values| {
            reading.core.route_script = path(values)?.into();
            Ok(())
        },
    },
];

/// One mistake in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line`.
    pub place: String,
    pub problem: String,
}

/// What has been read so far.
pub(crate) struct Reading {
    core: CoreSettings,
    modules: Vec<Configured>,
    /// Where parameters were set: module, parameter, place.
    places: Vec<(&'static str, String, String)>,
    /// The line that is being read.
    place: String,
    /// Modules that could not be loaded: their parameters are no further mistakes.
    failed: Vec<String>,
    advertise: Option<String>,
    loader: Loader,
    mistakes: Vec<Mistake>,
}

impl Reading {
    pub(crate) fn new(loader: Loader) -> Self {
        Self {
            core: CoreSettings::default(),
            modules: Vec::new(),
            places: Vec::new(),
            place: String::new(),
            failed: Vec::new(),
            advertise: None,
            loader,
            mistakes: Vec::new(),
        }
    }

    /// Carries out one line, at `place`.
    pub(crate) fn apply(&mut self, function: SettingFunction, place: String, values: &[Value]) {
        self.place = place;
        if let Err(problem) = (function.apply)(self, values) {
            let place = self.place.clone();
            self.mistake(place, problem);
        }
    }

    pub(crate) fn mistake(&mut self, place: String, problem: String) {
        self.mistakes.push(Mistake { place, problem });
    }

    /// What the modules say to their parameters.
    fn check_modules(&mut self, file: &str) {
        for module in &self.modules {
            let name = module.tables.name;
            let Err(error) = module.entry.check(&module.settings) else { continue };
            let place = match &error {
                ModuleError::Parameter { parameter, .. } => self.place_of(name, parameter),
                _ => None,
            };
            let place = place.unwrap_or(file).to_owned();
            self.mistakes.push(Mistake { place, problem: format!("module {name}: {error}") });
        }
    }

    fn place_of(&self, module: &str, parameter: &str) -> Option<&str> {
        let mut places = self.places.iter().rev();
        let (_, _, place) = places.find(|(of, name, _)| *of == module && name == parameter)?;
        Some(place)
    }

    /// Modules whose log levels are set but that there are not.
    fn check_log(&mut self, file: &str) {
        let names = self.modules.iter().map(|module| module.tables.name);
        let known: Vec<&str> = names.chain(self.failed.iter().map(String::as_str)).chain(OTHER_TARGETS).collect();
        let unknown = self.core.log.modules.keys().filter(|name| !known.contains(&name.as_str()));
        let problems = unknown.map(|name| {
            let meant = nearest(name, known.iter().copied()).map(|near| format!("; did you mean \"{near}\"?"));
            format!("log: no module \"{name}\" is loaded{}", meant.unwrap_or_default())
        });
        let mistakes = problems.map(|problem| Mistake { place: file.to_owned(), problem });
        self.mistakes.extend(mistakes.collect::<Vec<_>>());
    }

    /// Looks for what is missing, and hands out what was read.
    pub(crate) fn finish(&mut self, file: &str) -> Result<Settings, Vec<Mistake>> {
        if self.core.listen.is_empty() {
            let problem = format!("there is nothing to listen on; add: {}", usage("listen"));
            self.mistake(file.to_owned(), problem);
        }
        if self.core.route_script.as_os_str().is_empty() {
            let problem = format!("there is no routing script; add: {}", usage("route_script"));
            self.mistake(file.to_owned(), problem);
        }
        self.check_modules(file);
        self.check_log(file);
        if !self.mistakes.is_empty() {
            return Err(std::mem::take(&mut self.mistakes));
        }
        for listener in &mut self.core.listen {
            listener.advertise = self.advertise.as_deref().map(|host| parse::with_port(host, listener.address.port()));
        }
        Ok(Settings { core: std::mem::take(&mut self.core), modules: std::mem::take(&mut self.modules) })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

fn usage(name: &str) -> &'static str {
    FUNCTIONS.iter().find(|function| function.name == name).map_or("", |function| function.usage)
}

fn workers(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    let count = match values {
        [Value::Integer(count)] => usize::try_from(*count).ok().filter(|count| (1..=MAX_WORKERS).contains(count)),
        _ => None,
    };
    let wrong =
        || format!("workers takes a number from 1 to {MAX_WORKERS}: workers(4); leave it out for one per processor");
    reading.core.workers = Some(count.ok_or_else(wrong)?);
    Ok(())
}

fn preallocate(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    let megabytes = match values {
        [Value::Integer(megabytes)] => usize::try_from(*megabytes).ok().filter(|count| *count <= MAX_PREALLOCATED),
        _ => None,
    };
    let wrong = || format!("preallocate takes a number of megabytes from 0 to {MAX_PREALLOCATED}: preallocate(512)");
    reading.core.preallocate = megabytes.ok_or_else(wrong)? * (1 << 20);
    Ok(())
}

fn log(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let rows = [Parameter::choice("level", "info", LEVELS), Parameter::choice("format", "human", &["human", "json"])];
    let (modules, rest): (Vec<_>, Vec<_>) = record(values)?.iter().partition(|(name, _)| name == "modules");
    let settings = checked(&rows, rest)?;
    let format = if settings.string("format") == "json" { Format::Json } else { Format::Human };
    let mut log = LogSettings { level: settings.string("level").to_owned(), format, ..LogSettings::default() };
    for (_, levels) in modules {
        let Value::Table(levels) = levels else {
            return Err("modules is a table of levels: log { modules = { registrar = \"debug\" } }".into());
        };
        for (module, level) in levels {
            let Some(level) = level.as_str().filter(|level| LEVELS.contains(level)) else {
                return Err(format!("the level of {module} is one of {}", LEVELS.join(", ")));
            };
            log.modules.insert(module.clone(), level.to_owned());
        }
    }
    reading.core.log = log;
    Ok(())
}

fn limits(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    let default = ServerLimits::default();
    let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let instructions = i64::try_from(default.script.instructions).unwrap_or(i64::MAX);
    let rows = [
        Parameter::integer("instructions", instructions).range(10_000..=i64::MAX),
        Parameter::integer("memory", number(default.script.memory)).range(1 << 20..=1 << 40),
        Parameter::integer("connections", number(default.tcp.max_connections)).range(1..=10_000_000),
        Parameter::integer("connections_per_peer", number(default.tcp.max_per_peer)).range(1..=10_000_000),
        Parameter::duration("connect_timeout", default.tcp.connect_timeout).range(1..=3600),
        Parameter::duration("idle_timeout", default.tcp.idle_timeout).range(1..=86_400),
        Parameter::duration("first_message_timeout", default.tcp.first_message_timeout).range(1..=3600),
        Parameter::duration("message_timeout", default.tcp.message_timeout).range(1..=3600),
        Parameter::duration("write_timeout", default.tcp.write_timeout).range(1..=3600),
        Parameter::integer("octets_per_peer", number(default.tcp.max_octets_per_peer)).range(1 << 20..=1 << 40),
        Parameter::integer("octets", number(default.tcp.max_octets)).range(1 << 20..=1 << 40),
        Parameter::duration("drain_timeout", default.drain_timeout).range(0..=3600),
        Parameter::duration("overload_delay", default.overload_delay).range(0..=60),
        Parameter::integer("wakeups", default.wakeups.into()).range(100..=1_000_000),
    ];
    let settings = checked(&rows, record(values)?)?;
    // The ranges above leave room for no loss.
    let size = |name: &str| usize::try_from(settings.integer(name)).unwrap_or(usize::MAX);
    reading.core.limits = ServerLimits {
        script: Limits { instructions: settings.integer("instructions").unsigned_abs(), memory: size("memory") },
        tcp: TcpLimits {
            max_connections: size("connections"),
            max_per_peer: size("connections_per_peer"),
            connect_timeout: settings.duration("connect_timeout"),
            idle_timeout: settings.duration("idle_timeout"),
            first_message_timeout: settings.duration("first_message_timeout"),
            message_timeout: settings.duration("message_timeout"),
            write_timeout: settings.duration("write_timeout"),
            max_octets_per_peer: size("octets_per_peer"),
            max_octets: size("octets"),
        },
        drain_timeout: settings.duration("drain_timeout"),
        overload_delay: settings.duration("overload_delay"),
        wakeups: u32::try_from(settings.integer("wakeups")).unwrap_or(u32::MAX),
    };
    Ok(())
}

fn route_key(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    let rows =
        [Parameter::string("file", "var/route.key"), Parameter::list("accept"), Parameter::boolean("unsigned", false)];
    let settings = checked(&rows, record(values)?)?;
    if settings.string("file").is_empty() {
        return Err("the path of the file is empty".into());
    }
    reading.core.route_key = RouteKeySettings {
        file: settings.string("file").into(),
        accept: settings.list("accept").iter().map(Into::into).collect(),
        unsigned: settings.boolean("unsigned"),
    };
    Ok(())
}

fn timers(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    let default = Timers::default();
    let rows = [
        Parameter::duration("t1", default.t1).range(0..=60),
        Parameter::duration("t2", default.t2).range(0..=600),
        Parameter::duration("t4", default.t4).range(0..=600),
        // RFC 3261 §16.6 step 11: "The timer MUST be larger than 3 minutes."
        Parameter::duration("c", default.c).range(181..=86_400),
        // Zero: 64·T1.
        Parameter::duration("fr", Duration::ZERO).range(0..=3600),
    ];
    let settings = checked(&rows, record(values)?)?;
    let of = |name: &str| settings.duration(name);
    reading.core.timers =
        Timers { t1: of("t1"), t2: of("t2"), t4: of("t4"), c: of("c"), fr: Some(of("fr")).filter(|fr| !fr.is_zero()) };
    match of("t1").is_zero() || of("t2") < of("t1") {
        true => Err("t1 is more than 0, and t2 at least t1 (RFC 3261 §17.1.1.1)".into()),
        false => Ok(()),
    }
}

fn loadmodule(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    // Carried over from SER: "/usr/lib/ser/modules/pa.so" means pa.
    let given = string(values)?;
    let name = given.rsplit('/').next().unwrap_or(given).trim_end_matches(".so");
    if reading.modules.iter().any(|module| module.tables.name == name) {
        return Err(format!("module \"{name}\" is loaded already"));
    }
    let entry = reading.loader.load(name).map_err(|error| {
        reading.failed.push(name.to_owned());
        error.to_string()
    })?;
    let module = Configured::new(entry);
    for function in &module.tables.functions {
        if functions::is_core(function.name) {
            return Err(format!("module \"{name}\" exports {}, which is a function of the core", function.name));
        }
        let others =
            reading.modules.iter().find(|other| other.tables.functions.iter().any(|f| f.name == function.name));
        if let Some(other) = others {
            return Err(format!(
                "modules \"{name}\" and \"{}\" both export {}; load one of them",
                other.tables.name, function.name
            ));
        }
    }
    reading.modules.push(module);
    Ok(())
}

fn modparam(reading: &mut Reading, values: &[Value]) -> Result<(), String> {
    let [Value::String(names), Value::String(parameter), value] = values else {
        return Err(format!("modparam takes a module, a parameter and a value: {}", usage("modparam")));
    };
    // SER's way to set one parameter of several modules: "usrloc|registrar".
    for name in names.split('|') {
        if reading.failed.iter().any(|failed| failed == name) {
            continue;
        }
        let loaded = reading.modules.iter().map(|module| module.tables.name);
        let Some(at) = loaded.clone().position(|loaded| loaded == name) else {
            return Err(match nearest(name, loaded) {
                Some(near) => format!("module \"{name}\" is not loaded; did you mean \"{near}\"?"),
                None => format!("module \"{name}\" is not loaded; add before: loadmodule \"{name}\""),
            });
        };
        let module = &mut reading.modules[at];
        let set = module.settings.set(&module.tables.parameters, parameter, value);
        set.map_err(|error| format!("module {name}: {error}"))?;
        reading.places.push((module.tables.name, parameter.clone(), reading.place.clone()));
    }
    Ok(())
}

/// Reads named values against rows.
fn checked<'a>(
    rows: &[Parameter],
    fields: impl IntoIterator<Item = &'a (String, Value)>,
) -> Result<module::Settings, String> {
    let mut settings = module::Settings::defaults(rows);
    for (name, value) in fields {
        settings.set(rows, name, value).map_err(|error| error.to_string())?;
    }
    Ok(settings)
}

fn record(values: &[Value]) -> Result<&[(String, Value)], String> {
    match values {
        [Value::Table(fields)] => Ok(fields),
        _ => Err("a table of names and values is expected: { name = value }".into()),
    }
}

fn string(values: &[Value]) -> Result<&str, String> {
    match values {
        [Value::String(text)] => Ok(text),
        _ => Err("one string is expected".into()),
    }
}

fn path(values: &[Value]) -> Result<&str, String> {
    let path = string(values)?;
    if path.is_empty() { Err("the path is empty".into()) } else { Ok(path) }
}

/// A list of strings, or one.
fn strings(values: &[Value]) -> Result<Vec<&str>, String> {
    let wrong = || "a list of strings is expected: { \"…\", \"…\" }".to_owned();
    match values {
        [Value::String(text)] => Ok(vec![text]),
        [Value::List(items)] => items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect(),
        [Value::Table(fields)] if fields.is_empty() => Ok(Vec::new()),
        _ => Err(wrong()),
    }
}
