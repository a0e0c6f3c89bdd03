//! Scripts that run against a worker without a network.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use signalbox_sip::message::Message;
use signalbox_sip::transaction::TransactionKey;

use super::{Begun, Limits, Route, ScriptEngine, ScriptError, ScriptSource};
use crate::clock::Clock;
use crate::context::Context;
use crate::functions;
use crate::module::event::EventName;
use crate::module::export::{Exports, bind_functions};
use crate::module::{Function, Host, Kind, Refusal, Routes, Value};
use crate::transport::network::Outbox;
use crate::transport::{Flow, Network, Protocol};
use crate::worker::state::{Parts, Secrets};
use crate::worker::{Worker, Workers};

const MESSAGE: &str = "MESSAGE sip:bob:secret@example.com:5070;x=1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: \"A. Lice\" <sip:alice@example.com>;tag=a1\r\n\
    To: <sip:bob@example.com>\r\nCall-ID: call@192.0.2.1\r\nCSeq: 7 MESSAGE\r\nEvent: presence;id=2\r\nExpires: 60\r\n\
    Subject: one\r\nX-Note: 1\r\nX-Note: 2\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// A worker, and functions for its scripts beside those of the core.
struct Stage {
    host: Host,
    worker: Worker,
    _runtime: tokio::runtime::Runtime,
}

struct Extra;

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let host = Host::new(runtime.handle().clone());
        let worker = Worker::new(Parts {
            index: 0,
            options: Arc::default(),
            host: host.clone(),
            clock: Clock::real(),
            workers: Workers::alone(&host),
            network: Network::Virtual(Outbox::default()),
            secrets: Secrets::seeded(1),
        });
        Self { host, worker, _runtime: runtime }
    }

    fn load(&self, script: &str) -> Result<ScriptEngine, ScriptError> {
        self.load_with(script, Limits::default())
    }

    fn load_with(&self, script: &str, limits: Limits) -> Result<ScriptEngine, ScriptError> {
        let mut functions = functions::exports();
        functions.extend(bind_functions(&Arc::new(Extra), extra()));
        let events = ["added", "expired"].map(|event| EventName { module: "registrar", event }).to_vec();
        let exports = Exports { functions, events };
        ScriptEngine::new(&ScriptSource::new("r.lua", script), &exports, limits, &self.host.counter("panics"))
    }

    fn request(&self) -> Context {
        let flow = Flow {
            protocol: Protocol::Udp,
            local: ([192, 0, 2, 9], 5060).into(),
            remote: ([192, 0, 2, 1], 5060).into(),
            connection: None,
        };
        Context::for_request(&self.worker, Message::parse(MESSAGE.as_bytes()).unwrap(), flow, flow, TransactionKey(1))
    }

    /// Runs `body` as the route of a request, and gives what it left behind.
    fn run(&self, body: &str) -> Context {
        let engine = self.load(&format!("function route(msg) {body} end")).unwrap();
        let context = self.request();
        ended(engine.call(Route::Request, context.clone()).begin()).unwrap();
        context
    }

    /// The error of a route.
    fn fails(&self, body: &str) -> String {
        let engine = self.load(&format!("function route(msg)\n{body}\nend")).unwrap();
        ended(engine.call(Route::Request, self.request()).begin()).unwrap_err().to_string()
    }
}

fn extra() -> Vec<Function<Extra>> {
    vec![
        Function::new("explode").plain(|_: &Extra, _, _| panic!("as asked")),
        Function::new("refuse").plain(|_: &Extra, _, _| Err(Refusal::no("not today"))),
        Function::new("echo")
            .argument("value", Kind::Any, "")
            .plain(|_: &Extra, _, arguments| Ok(arguments.value(0).clone())),
        Function::new("on_timer").routes(Routes::TIMER).plain(|_: &Extra, _, _| Ok(Value::Nil)),
        Function::new("at_once").waiting(|_: Arc<Extra>, _, _| async { Ok("now".into()) }),
        Function::new("later").argument("value", Kind::String, "").waiting(|_: Arc<Extra>, _, arguments| async move {
            pending().await;
            Ok(arguments.required(0).into())
        }),
        Function::new("explode_later").waiting(|_: Arc<Extra>, _, _| async {
            pending().await;
            panic!("as asked")
        }),
    ]
}

/// Is ready at the third poll: a call is polled twice before its request is suspended.
async fn pending() {
    let polls = Cell::new(0);
    std::future::poll_fn(|_| {
        polls.set(polls.get() + 1);
        if polls.get() < 3 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
}

fn ended(begun: Begun) -> Result<(), ScriptError> {
    match begun {
        Begun::Ended(result) => result,
        Begun::Waits(_) => panic!("the route waits"),
    }
}

fn waits(begun: Begun) -> super::Run {
    match begun {
        Begun::Waits(run) => run,
        Begun::Ended(result) => panic!("the route has ended: {result:?}"),
    }
}

fn avp(context: &Context, name: &str) -> Value {
    context.avp().get(name).cloned().unwrap_or_default()
}

#[test]
fn a_route_reads_every_part_of_the_message() {
    let stage = Stage::new();
    for (expression, value) in [
        ("msg.method", Value::from("MESSAGE")),
        ("msg.ruri.user", "bob".into()),
        ("msg.ruri.host", "example.com".into()),
        ("msg.ruri.port", 5070.into()),
        ("msg.ruri.params.x", "1".into()),
        ("'<' .. msg.ruri .. '>'", "<sip:bob:secret@example.com:5070;x=1>".into()),
        ("msg.from.display", "A. Lice".into()),
        ("msg.from.uri", "sip:alice@example.com".into()),
        ("msg.from.user", "alice".into()),
        ("msg.from_tag", "a1".into()),
        ("msg.to_tag", Value::Nil),
        ("msg.contact", Value::Nil),
        ("msg.event", "presence".into()),
        ("msg.expires", 60.into()),
        ("msg.call_id", "call@192.0.2.1".into()),
        ("msg.cseq", 7.into()),
        ("msg.body", "hello".into()),
        ("msg.status", Value::Nil),
        ("msg.headers:get('subject')", "one".into()),
        ("#msg.headers:all('X-Note')", 2.into()),
        ("msg.source.ip", "192.0.2.1".into()),
        ("msg.transport", "udp".into()),
        ("tostring(msg)", "MESSAGE sip:bob:secret@example.com:5070;x=1".into()),
    ] {
        assert_eq!(avp(&stage.run(&format!("avp.result = {expression}")), "result"), value, "{expression}");
    }
}

#[test]
fn every_field_that_the_stubs_name_can_be_read() {
    let stage = Stage::new();
    for field in super::message::FIELDS {
        stage.run(&format!("local value = msg.{}", field.name));
    }
    for (field, ..) in super::address::URI_FIELDS {
        stage.run(&format!("local value = msg.ruri.{field}"));
    }
    for (field, ..) in super::address::ADDRESS_FIELDS {
        stage.run(&format!("local value = msg.to.{field}"));
    }
}

#[test]
fn a_route_changes_the_message() {
    let stage = Stage::new();
    let request = |body: &str| stage.run(body).request().clone();
    assert_eq!(request("msg.ruri = 'sip:carol@example.net'").request_uri(), "sip:carol@example.net");
    assert_eq!(request("msg.ruri.user = 'c d'").request_uri(), "sip:c%20d@example.com:5070;x=1");
    assert_eq!(
        request("msg.ruri.host = 'example.net' msg.ruri.port = nil").request_uri(),
        "sip:bob:secret@example.net;x=1"
    );
    assert_eq!(request("msg.headers:set('Subject', 'three')").values_of("Subject").collect::<Vec<_>>(), ["three"]);
    assert_eq!(request("msg.headers:add('X-New', 5)").value_of("X-New"), Some("5"));
    assert_eq!(request("msg.headers:remove('s')").value_of("Subject"), None);
    assert_eq!(&request("msg.body = 'bye'").body()[..], b"bye");
}

#[test]
fn a_script_can_write_no_header_of_its_own_into_a_value() {
    let stage = Stage::new();
    assert!(stage.fails("msg.headers:set('Subject', 'a\\r\\nRoute: <sip:evil>')").contains("no line breaks"));
    assert!(stage.fails("msg.ruri = 'sip:a@b c'").contains("is no URI"));
    assert!(stage.fails("msg.ruri.host = 'a>b'").contains("is no URI"));
}

#[test]
fn a_wrong_call_is_an_error_with_its_line_and_what_would_be_right() {
    let stage = Stage::new();
    for (body, error) in [
        ("sl_send_reply()", "r.lua:2: bad argument 1 to sl_send_reply (status): integer is missing"),
        ("sl_send_reply('x')", "r.lua:2: bad argument 1 to sl_send_reply (status): integer expected, got \"x\""),
        ("sl_send_reply(99)", "must lie between 100 and 699, not 99"),
        ("t_newtran(1)", "r.lua:2: t_newtran takes at most 0 argument(s), 1 were given"),
        ("on_timer()", "r.lua:2: on_timer may not be called in a request route, only in: timer"),
        ("if not t_rely then t_rely() end", "there is no function t_rely; did you mean t_relay?"),
        ("local x = msg.metod", "msg has no field metod; did you mean method?"),
        ("msg.method = 'ACK'", "msg.method can't be assigned to"),
        ("t_on_failure('voicemal')", "there is no function failure_route.voicemal"),
    ] {
        let found = stage.fails(body);
        assert!(found.contains(error), "{body}: {found}");
    }
}

#[test]
fn what_one_function_answers_can_be_the_last_argument_of_another() {
    let stage = Stage::new();
    // `is_myself` returns false without a reason.
    for body in ["record_route('', is_myself('elsewhere.example'))", "t_newtran(nil)", "t_newtran(nil, nil)"] {
        let error = stage.fails(&format!("{body} error('went on')"));
        assert!(error.contains("went on"), "{body}: {error}");
    }
    assert!(stage.fails("t_newtran(nil, 1)").contains("t_newtran takes at most 0 argument(s), 2 were given"));
}

#[test]
fn what_waits_when_the_script_is_replaced_is_carried_to_its_end() {
    let stage = Stage::new();
    let engine = stage.load("function route(msg) avp.result = later('x') end").unwrap();
    let context = stage.request();
    let run = waits(engine.call(Route::Request, context.clone()).begin());
    drop(engine);
    ended(run.begin()).unwrap();
    assert_eq!(avp(&context, "result"), "x".into());
}

#[test]
fn a_script_that_calls_what_there_is_not_is_not_loaded() {
    let stage = Stage::new();
    let error = stage.load("function route(msg)\n  if false then t_rely() end\n  voicemail()\nend").err().unwrap();
    assert_eq!(
        error.to_string(),
        "r.lua:2: there is no function t_rely; did you mean t_relay?\n\
         r.lua:3: there is no function voicemail; is the module that exports it loaded?"
    );
}

#[test]
fn an_endless_loop_outside_of_routes_is_told_with_its_line() {
    let error = Stage::new().load("function route(msg) end\nwhile true do end").err().unwrap();
    assert!(error.to_string().starts_with("r.lua:2: stopped after"), "{error}");
}

#[test]
fn every_wants_a_time_and_a_function() {
    for text in ["every('30s')", "every('often', route)", "every(0, route)"] {
        let error = Stage::new().load(&format!("function route(msg) end\n{text}")).err().unwrap();
        assert!(error.to_string().starts_with("r.lua:2: every takes seconds or text"), "{error}");
    }
}

#[test]
fn a_refusal_is_false_and_a_reason_and_the_script_goes_on() {
    let context = Stage::new().run("local done, why = refuse() avp.done, avp.why = done, why");
    assert_eq!((avp(&context, "done"), avp(&context, "why")), (Value::Boolean(false), "not today".into()));
}

#[test]
fn a_panic_in_a_function_fails_that_request_and_is_counted() {
    let stage = Stage::new();
    assert!(stage.fails("explode()").contains("r.lua:2: explode panicked: as asked"));
    let engine = stage.load("function route(msg) if avp.bad then explode_later() end end").unwrap();
    let context = stage.request();
    context.avp().insert("bad".into(), true.into());
    let run = waits(engine.call(Route::Request, context).begin());
    assert!(ended(run.begin()).unwrap_err().to_string().contains("explode_later panicked: as asked"));
    assert_eq!(stage.host.counters().iter().find(|(name, _)| *name == "panics"), Some(&("panics", 2)));
    ended(engine.call(Route::Request, stage.request()).begin()).unwrap();
}

#[test]
fn what_is_ready_does_not_suspend_the_request() {
    assert_eq!(avp(&Stage::new().run("avp.result = at_once()"), "result"), "now".into());
}

#[test]
fn a_function_may_wait_inside_pcall() {
    let stage = Stage::new();
    let engine = stage.load("function route(msg) local _, result = pcall(later, 'x') avp.result = result end").unwrap();
    let context = stage.request();
    let run = waits(engine.call(Route::Request, context.clone()).begin());
    ended(run.begin()).unwrap();
    assert_eq!(avp(&context, "result"), "x".into());
}

#[test]
fn two_suspended_requests_do_not_see_each_other() {
    let stage = Stage::new();
    let script = "function route(msg)
        local mine = msg.headers:get('Subject')
        avp.before = mine
        local result = later(mine)
        avp.after, avp.result = msg.headers:get('Subject'), result
    end";
    let engine = stage.load(script).unwrap();
    let contexts = ["first", "second"].map(|subject| {
        let context = stage.request();
        context.request_mut().set_of("Subject", subject).unwrap();
        context
    });
    let [first, second] = contexts.clone().map(|context| waits(engine.call(Route::Request, context).begin()));
    ended(second.begin()).unwrap();
    ended(first.begin()).unwrap();
    for (context, subject) in contexts.iter().zip(["first", "second"]) {
        for name in ["before", "after", "result"] {
            assert_eq!(avp(context, name), subject.into(), "{name} of {subject}");
        }
    }
}

#[test]
fn named_routes_events_timers_and_the_start_are_found() {
    let stage = Stage::new();
    let script = "
        function route(msg) t_on_failure('busy') end
        function failure_route.busy(msg) avp.failure = true end
        function event_route.registrar.expired(event) avp.event = event.name .. event.aor end
        function on_start() avp.started = true end
        every('30s', function() on_timer() avp.timer = true end)";
    let engine = Rc::new(stage.load(script).unwrap());
    stage.worker.set_engine(engine.clone());
    assert_eq!(engine.timers().collect::<Vec<_>>(), [Duration::from_secs(30)]);
    let fields = [("aor".to_owned(), Value::from(" sip:a@b"))];
    let context = stage.request();
    for route in [
        Route::Request,
        Route::Failure("busy"),
        Route::Event("registrar.expired", &fields),
        Route::Start,
        Route::Timer(0),
    ] {
        ended(engine.call(route, context.clone()).begin()).unwrap();
    }
    for name in ["failure", "started", "timer"] {
        assert_eq!(avp(&context, name), Value::Boolean(true), "{name}");
    }
    assert_eq!(avp(&context, "event"), "registrar.expired sip:a@b".into());
    let error = ended(engine.call(Route::Failure("bsy"), context).begin()).unwrap_err();
    assert_eq!(error.to_string(), "r.lua: there is no failure_route \"bsy\"; did you mean \"busy\"?");
}

#[test]
fn a_script_with_a_mistake_is_not_loaded() {
    let stage = Stage::new();
    for (script, error) in [
        ("function route(msg)\n  if x\nend", "r.lua:3: "),
        ("x = 1", "there is no function \"route\""),
        ("function route() end\nfailure_route.busy = 5", "r.lua: failure_route.busy must be a function"),
        ("t_relay()", "t_relay may not be called while the script is being loaded"),
        (
            "function route() end\nfunction event_route.registrar.expierd(event) end",
            "r.lua:2: there is no event registrar.expierd; did you mean registrar.expired?",
        ),
        (
            "function route() end\nfunction event_route.registar.expired(event) end",
            "r.lua:2: no loaded module registar raises events; did you mean event_route.registrar?",
        ),
        (
            "function route() end\nevent_route.registrar.added = 5",
            "r.lua:2: event_route.registrar.added must be a function, not a integer",
        ),
        ("function route() end\nfunction event_route(event) end", "r.lua: event_route must be filled, not replaced"),
        ("function route() end\nevery('soon', route)", "r.lua:2: every takes seconds"),
    ] {
        let found = stage.load(script).err().unwrap().to_string();
        assert!(found.contains(error), "{script}: {found}");
    }
}

#[test]
fn a_loop_ends_at_its_limit_and_harms_no_other_request() {
    let stage = Stage::new();
    let script = "function route(msg) while avp.loop do pcall(function() while true do end end) end end";
    let engine = stage.load_with(script, Limits { instructions: 100_000, ..Limits::default() }).unwrap();
    for _ in 0..3 {
        let context = stage.request();
        context.avp().insert("loop".into(), true.into());
        let error = ended(engine.call(Route::Request, context).begin()).unwrap_err().to_string();
        assert!(error.contains("stopped after 100000 instructions"), "{error}");
        ended(engine.call(Route::Request, stage.request()).begin()).unwrap();
    }
}

#[test]
fn memory_ends_at_its_limit_and_harms_no_other_request() {
    let stage = Stage::new();
    let script = "function route(msg) if avp.big then local t = string.rep('x', 1 << 26) end end";
    let engine = stage.load_with(script, Limits { memory: 1 << 23, ..Limits::default() }).unwrap();
    let context = stage.request();
    context.avp().insert("big".into(), true.into());
    assert!(ended(engine.call(Route::Request, context).begin()).unwrap_err().to_string().contains("more memory"));
    ended(engine.call(Route::Request, stage.request()).begin()).unwrap();
}

#[test]
fn a_script_reaches_no_files_processes_or_code_from_elsewhere() {
    let stage = Stage::new();
    for name in [
        "io",
        "package",
        "require",
        "debug",
        "load",
        "loadfile",
        "dofile",
        "os.execute",
        "os.getenv",
        "os.exit",
        "string.dump",
    ] {
        assert_eq!(avp(&stage.run(&format!("avp.there = {name} ~= nil")), "there"), Value::Boolean(false), "{name}");
    }
    for name in ["os.time", "os.date", "os.clock", "string.format", "table.concat", "math.floor", "utf8.char", "pcall"]
    {
        assert_eq!(avp(&stage.run(&format!("avp.there = {name} ~= nil")), "there"), Value::Boolean(true), "{name}");
    }
}

/// A bound wide enough for a busy machine and a build without optimisation; tests/bench measures the real figure.
#[test]
fn a_route_with_four_calls_takes_microseconds() {
    let stage = Stage::new();
    let engine = stage.load("function route(msg) echo(1) echo(2) echo(3) return echo(4) end").unwrap();
    let context = stage.request();
    let started = std::time::Instant::now();
    const RUNS: u32 = 20_000;
    for _ in 0..RUNS {
        ended(engine.call(Route::Request, context.clone()).begin()).unwrap();
    }
    let each = started.elapsed() / RUNS;
    println!("{each:?} per request");
    assert!(each < Duration::from_micros(200), "{each:?}");
}

/// The work that a stranger's message can cause in a script is limited, also in library functions that are not Lua.
#[test]
fn functions_of_the_library_are_stopped_like_loops() {
    let stage = Stage::new();
    let long = "local s = ('x'):rep(60000);";
    for body in [
        "local s = 'a' .. (' '):rep(60000) .. 'b' s:match('^%s*(.-)%s*$')  s = (' '):rep(60000) .. 'b' for _ = 1, 9 do s:find('%s*x') end",
        "local s = ('a'):rep(40) s:match(('a?'):rep(40) .. ('a'):rep(40))",
        "local s = ('('):rep(60000) for _ in s:gmatch('%b()') do end",
        "local s = (' '):rep(60000) s:gsub('%s*x', '')",
        "local s = (' '):rep(60000) s:gsub('%s', function() while true do end end)",
        "while true do ('x'):gsub('x', { x = ('y'):rep(100) }) end",
        "table.move({}, 1, 1e12 // 1 | 0, 2)",
        "while true do ('x'):rep(1000000) end",
        "while true do string.format('%s%s', ('x'):rep(1000000), 1) end",
        "table.concat(setmetatable({}, { __len = function() return 1 << 40 end, __index = function() return '' end }))",
        "table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = function() return 1 end }))",
        "local t = {} for i = 1, 10000 do table.insert(t, 1, i) end while true do table.insert(t, 1, 1) end",
        "coroutine.wrap(function() while true do end end)()",
        "local c = coroutine.create(function() while true do end end) coroutine.resume(c)",
        "while true do coroutine.wrap(function() for i = 1, 900 do end end)() end",
        "pcall(function() while true do end end)",
        "while true do pcall(string.rep, 'x', 1000000) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "('x'):gsub('x', function() xpcall(function() while true do end end, function() while true do end end) end)",
        "table.sort({ 3, 2, 1 }, function() while true do end end)",
        "local _ <close> = setmetatable({}, { __close = function() while true do end end })",
        "local t = setmetatable({}, { __index = function(t, k) while true do end end }) return t.x",
        "local t = setmetatable({}, { __tostring = function() while true do end end }) tostring(t)",
        "while true do utf8.len(('x'):rep(100000)) end",
        // Lua takes strings and floats for integers (§3.4.3 of its manual).
        "while true do string.rep('', '1000000000') end",
        "while true do string.rep('x', '30000000') end",
        "while true do string.rep('x', 3e7) end",
        "while true do string.rep('', ' 0x10000000 ') end",
        "while true do pcall(table.move, {}, '1', '1000000000', 2) end",
        "while true do pcall(table.concat, setmetatable({}, { __index = function() return '' end }), '', '1', '1e9') end",
    ] {
        let script = format!("function route(msg) {long} {body} end");
        let engine = stage.load_with(&script, Limits { instructions: 1_000_000, ..Limits::default() }).unwrap();
        let error = ended(engine.call(Route::Request, stage.request()).begin()).unwrap_err().to_string();
        assert!(error.contains("stopped after 1000000 instructions"), "{body}: {error}");
        let engine = stage.load("function route(msg) sl_send_reply(200, 'OK') end").unwrap();
        ended(engine.call(Route::Request, stage.request()).begin()).unwrap();
    }
}

#[test]
fn finalizers_and_too_many_results_are_refused() {
    let stage = Stage::new();
    let error = stage.fails("setmetatable({}, { __gc = function() while true do end end })");
    assert!(error.contains("__gc"), "{error}");
    for body in
        ["table.unpack({}, 1, 1e6 // 1 | 0)", "(('x'):rep(60000)):byte(1, -1)", "(('x'):rep(60000)):byte(1, 60000)"]
    {
        assert!(stage.fails(body).contains("too many results"), "{body}");
    }
}

#[test]
fn ordinary_uses_of_the_library_work_as_in_lua() {
    Stage::new().run(
        r##"
        assert(("  a b "):match("^%s*(.-)%s*$") == "a b")
        assert(("x=1, y=2"):gsub("(%w+)=(%w+)", "%2=%1") == "1=x, 2=y")
        assert(select(2, ("abc"):gsub("", "-")) == 4)
        assert(("abc"):find("b", 1, true) == 2 and ("a.c"):find(".", 2, true) == 2)
        local words = {} for word in ("one two"):gmatch("%a+") do words[#words + 1] = word end
        assert(table.concat(words, "+") == "one+two")
        assert(("x"):rep(3, ",") == "x,x,x" and ("abc"):byte(-1) == 99 and ("%d"):format(3) == "3")
        assert(select("#", table.unpack({ 1, nil, 3 }, 1, 3)) == 3 and table.pack(1, 2).n == 2)
        local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) assert(t[1] == 3 and t[3] == 1)
        local ok, why = xpcall(function(x) error({ code = x }) end, function(e) return e.code end, 7)
        assert(not ok and why == 7 and select(3, xpcall(function() return 1, 2 end, print)) == 2)
        local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
        assert(co(1) == 2 and co(21) == 42)
        assert(not pcall(string.find, "a", "[a") and not pcall(string.gsub, "a", "a", "%2"))
        for _, c in utf8.codes("é") do assert(c == 233) end
        "##,
    );
}

/// A script takes no longer than its instructions allow, however much data each of them reads.
#[test]
fn an_instruction_that_takes_long_counts_as_many() {
    let stage = Stage::new();
    let long = "local s = 'x' for _ = 1, 23 do s = s .. s end local t = 'a' .. s:sub(2) local u = 'a' .. s:sub(2)";
    for body in [
        "local s = '' while true do s = s .. 'x' end",
        &format!("{long} while true do local x = s .. t end"),
        &format!("{long} while true do local x = u == t end"),
        &format!("{long} while true do local x = u < t end"),
        &format!("{long} while true do table.concat({{ s, t }}) end"),
        "local s = ('x'):rep(60000) while true do s:find('[yz]') end",
        "while true do ('x'):rep(1000000) end",
        "while true do msg.body = 'x' end",
        "local t = {} while true do pcall(function() for _ = 1, 1e7 do t[#t + 1] = {} end end) end",
        "local t = {} for i = 1, 1e6 do t[i] = i end for i = 1, 1e6 do t[i] = nil end while true do next(t) end",
        "local s, t = ('x'):rep(60000), {} for i = 1, 100000 do t[i] = s end table.sort(t)",
        "while true do os.date(('%c'):rep(100000)) end",
    ] {
        let engine = stage.load(&format!("function route(msg) {body} end")).unwrap();
        let before = cpu_time();
        let error = ended(engine.call(Route::Request, stage.request()).begin()).unwrap_err().to_string();
        let held = cpu_time() - before;
        println!("{held:?} {body}");
        assert!(error.contains("stopped after 10000000 instructions"), "{body}: {error}");
        // A quarter of a second, plus the time before the second check. Tests may be built without optimisation.
        assert!(held < Duration::from_secs(3), "{held:?}: {body}");
    }
}

/// How long this thread has run.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    Duration::from_micros((usage.user_time() + usage.system_time()).num_microseconds().unsigned_abs())
}
