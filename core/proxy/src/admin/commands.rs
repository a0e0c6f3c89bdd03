//! The core's own commands.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json, json};

use super::registry::{Entry, Registry};
use crate::logging::{Logging, OTHER_TARGETS};
use crate::module::command::{CommandError, CommandParameter, Usage};
use crate::module::export::Tables;

/// What the commands need of a running server.
pub trait Operations: Send + Sync + 'static {
    /// Asks all workers.
    fn status(&self) -> BoxFuture<'static, Status>;
    fn started(&self) -> SystemTime;
    /// Counters by name.
    fn counters(&self) -> Vec<(&'static str, u64)>;
    /// The tables of the loaded modules, in the order of loading.
    fn modules(&self) -> Vec<Tables>;
    /// Loads the routing script again, in all workers or in none.
    fn reload(&self) -> BoxFuture<'static, Result<(), CommandError>>;
    /// Begins to drain and stop; returns at once.
    fn stop(&self);
}

/// A running server in a few figures.
#[derive(Debug, Clone)]
pub struct Status {
    /// `udp:192.0.2.1:5060`
    pub listeners: Vec<String>,
    /// The file of the routing script.
    pub script: String,
    pub workers: Vec<WorkerStatus>,
}

/// One worker in a few figures.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkerStatus {
    pub transactions: usize,
    pub connections: usize,
    /// Memory of the worker's Lua state, in bytes.
    pub script_bytes: usize,
}

/// Adds the core's commands. Comes after those of the modules, which `core.commands` lists too.
pub fn add(registry: &mut Registry, operations: &Arc<dyn Operations>, logging: &Logging) {
    add_core(registry, operations);
    add_module(registry, operations);
    add_log(registry, operations, logging);
    let own = Usage { name: "commands", doc: "Lists all commands.", parameters: Vec::new() };
    registry.add("core", Entry::new(own.clone(), |_| async { Ok(Json::Null) }));
    let list: Json = registry.iter().map(|(name, entry)| describe(name, &entry.usage)).collect();
    registry.add("core", Entry::new(own, move |_| std::future::ready(Ok(list.clone()))));
}

fn add_core(registry: &mut Registry, operations: &Arc<dyn Operations>) {
    let server = operations.clone();
    waiting(registry, "status", "What the server is, since when it runs and what it holds.", move || {
        let (asked, modules, uptime) = (server.status(), server.modules(), uptime(&*server));
        async move { Ok(status(&asked.await, &modules, uptime)) }
    });
    let server = operations.clone();
    waiting(registry, "workers", "Transactions, connections and script memory of each worker.", move || {
        let asked = server.status();
        async move { Ok(asked.await.workers.iter().enumerate().map(worker).collect()) }
    });
    let server = operations.clone();
    waiting(
        registry,
        "reload",
        "Loads the routing script again; one with an error is refused and the old one stays.",
        move || {
            let reloaded = server.reload();
            async move { reloaded.await.map(|()| json!("reloaded")) }
        },
    );
    let server = operations.clone();
    plain(registry, "core", "uptime", "Seconds since the start.", move || json!(uptime(&*server)));
    let server = operations.clone();
    plain(registry, "core", "counters", "All counters.", move || {
        server.counters().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>().into()
    });
    let server = operations.clone();
    plain(registry, "core", "stop", "Drains and stops the server.", move || {
        server.stop();
        json!("stopping")
    });
}

fn add_module(registry: &mut Registry, operations: &Arc<dyn Operations>) {
    let server = operations.clone();
    plain(registry, "module", "list", "The loaded modules.", move || {
        server.modules().iter().map(|module| json!({ "module": module.name, "summary": module.summary })).collect()
    });
    let server = operations.clone();
    let usage = Usage {
        name: "doc",
        doc: "Parameters, functions and commands of a module.",
        parameters: vec![CommandParameter { name: "module", doc: "its name", required: true }],
    };
    registry.add(
        "module",
        Entry::new(usage, move |parameters| {
            let found = text(&parameters, "module").and_then(|name| {
                let module = server.modules().into_iter().find(|module| module.name == name);
                module.map(|module| tables(&module)).ok_or_else(|| CommandError::NotFound(format!("module {name:?}")))
            });
            std::future::ready(found)
        }),
    );
}

fn add_log(registry: &mut Registry, operations: &Arc<dyn Operations>, logging: &Logging) {
    let server = operations.clone();
    let log = logging.clone();
    plain(registry, "log", "show", "The log level, and that of modules that have their own.", move || {
        log.levels().into_iter().map(|(module, level)| json!({ "module": module, "level": level })).collect()
    });
    let log = logging.clone();
    let usage = Usage {
        name: "set",
        doc: "Sets the log level of all modules, or of one.",
        parameters: vec![
            CommandParameter { name: "level", doc: "off, error, warn, info, debug or trace", required: true },
            CommandParameter {
                name: "module",
                doc: "core, sip, documents, script or a module's name; all when left out",
                required: false,
            },
        ],
    };
    registry.add(
        "log",
        Entry::new(usage, move |parameters| {
            let set = || {
                let level = text(&parameters, "level")?;
                let module = parameters.get("module").map(|_| text(&parameters, "module")).transpose()?;
                let loaded: Vec<_> = server.modules().iter().map(|module| module.name).collect();
                if module.is_some_and(|module| !loaded.contains(&module) && !OTHER_TARGETS.contains(&module)) {
                    let names: Vec<_> = OTHER_TARGETS.into_iter().chain(loaded).collect();
                    let problem = format!("is one of {}", names.join(", "));
                    return Err(CommandError::Parameter { parameter: "module", problem });
                }
                log.set(module, level)
                    .map_err(|error| CommandError::Parameter { parameter: "level", problem: error.to_string() })?;
                Ok(json!(format!("{} logs {level}", module.unwrap_or("everything"))))
            };
            std::future::ready(set())
        }),
    );
}

/// A command of the core that waits for workers.
fn waiting<F>(
    registry: &mut Registry,
    name: &'static str,
    doc: &'static str,
    run: impl Fn() -> F + Send + Sync + 'static,
) where
    F: Future<Output = Result<Json, CommandError>> + Send + 'static,
{
    registry.add("core", Entry::new(Usage { name, doc, parameters: Vec::new() }, move |_| run()));
}

fn plain(
    registry: &mut Registry,
    group: &str,
    name: &'static str,
    doc: &'static str,
    run: impl Fn() -> Json + Send + Sync + 'static,
) {
    let usage = Usage { name, doc, parameters: Vec::new() };
    registry.add(group, Entry::new(usage, move |_| std::future::ready(Ok(run()))));
}

fn text<'a>(parameters: &'a Json, name: &'static str) -> Result<&'a str, CommandError> {
    parameters
        .get(name)
        .and_then(Json::as_str)
        .ok_or_else(|| CommandError::Parameter { parameter: name, problem: "text is needed".to_owned() })
}

fn uptime(server: &dyn Operations) -> u64 {
    SystemTime::now().duration_since(server.started()).unwrap_or_default().as_secs()
}

fn status(status: &Status, modules: &[Tables], uptime: u64) -> Json {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime": uptime,
        "listeners": status.listeners,
        "script": status.script,
        "modules": modules.iter().map(|module| module.name).collect::<Vec<_>>(),
        "workers": status.workers.len(),
        "transactions": status.workers.iter().map(|worker| worker.transactions).sum::<usize>(),
        "connections": status.workers.iter().map(|worker| worker.connections).sum::<usize>(),
    })
}

fn worker((number, worker): (usize, &WorkerStatus)) -> Json {
    json!({
        "worker": number,
        "transactions": worker.transactions,
        "connections": worker.connections,
        "script_bytes": worker.script_bytes,
    })
}

fn describe(name: &str, usage: &Usage) -> Json {
    let parameters: Json = usage
        .parameters
        .iter()
        .map(|row| json!({ "parameter": row.name, "required": row.required, "doc": row.doc }))
        .collect();
    json!({ "command": name, "doc": usage.doc, "parameters": parameters })
}

fn tables(module: &Tables) -> Json {
    let parameters = module.parameters.iter().map(|parameter| {
        json!({
            "parameter": parameter.name,
            "type": parameter.shape.describe(),
            "default": parameter.shape.default_text(),
            "doc": parameter.doc,
        })
    });
    let functions = module.functions.iter().map(|function| {
        let arguments = function.arguments.iter().map(|argument| {
            json!({ "argument": argument.name, "type": argument.kind.name(), "required": argument.required, "doc": argument.doc })
        });
        json!({
            "function": function.name,
            "doc": function.doc,
            "arguments": arguments.collect::<Json>(),
            "result": function.result,
            "routes": function.routes.names().collect::<Vec<_>>(),
        })
    });
    json!({
        "module": module.name,
        "summary": module.summary,
        "parameters": parameters.collect::<Json>(),
        "functions": functions.collect::<Json>(),
        "commands": module.commands.iter().map(|usage| describe(usage.name, usage)).collect::<Json>(),
    })
}
