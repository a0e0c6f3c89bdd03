//! loadgen: a SIP load generator for any server reachable over UDP or TCP on IPv4.
//! tests/bench/README.md tells the modes and the meaning of each output field.

mod auth;
mod engine;
mod message;
mod net;
mod options;
mod presence;
mod probe;
mod register;
mod report;
mod sip;
mod users;

use std::net::SocketAddrV4;

use clap::Parser;
use serde_json::json;

use engine::{App, Engine, Plan};
use message::Message;
use net::Net;
use options::{Common, Mode, Options};
use presence::{Phase, Presence};
use register::Register;
use report::Report;
use users::Users;

/// The first UDP port of the users who are called.
const CALLED_PORT: u16 = 22_060;

fn main() {
    match Options::parse().mode {
        Mode::Register { common, prime } => register(&common, prime),
        Mode::Message { common, body, refusals } => message(&common, body, refusals),
        Mode::Subscribe { common, watchers, presentities, refresh, unsubscribe, hold } => {
            let (mut run, sockets) = Run::new("subscribe", &common, common.users);
            let app =
                Presence::new(sockets, common.sockets, presentities.unwrap_or(watchers), watchers, common.expires);
            subscribe(&mut run, &common, app, Later { refresh, unsubscribe, hold });
        }
        Mode::Fanout { common, watchers, presentities, pad } => {
            let (mut run, sockets) = Run::new("fanout", &common, common.users);
            let total = watchers * presentities;
            let mut app = Presence::new(sockets, common.sockets, presentities, total, common.expires);
            app.pad = pad;
            fanout(&mut run, &common, app, presentities);
        }
    }
}

struct Run {
    engine: Engine,
    report: Report,
}

impl Run {
    /// Returns the index of the first of the opened sockets too.
    fn new(mode: &'static str, common: &Common, users: u32) -> (Self, usize) {
        let users = Users::new(common, users);
        let mut engine = Engine::new(Net::new(common.server), users, common.auth, (common.timeout * 1e9) as u64);
        let first = engine.net.open(SocketAddrV4::new(common.bind, 0), common.sockets, common.tcp);
        let report = Report { label: common.label.clone(), mode, pids: common.server_pid.clone() };
        (Self { engine, report }, first)
    }

    /// An unmeasured phase that must succeed.
    fn set_up<A: App>(&mut self, what: &str, app: &mut A, plan: &Plan) {
        let secs = self.engine.drive(app, plan);
        let (done, failed) = (self.engine.done, self.engine.failed);
        eprintln!("loadgen: {what}: {done} ok, {failed} failed, {secs:.2} s ({:.0}/s)", done as f64 / secs);
        if failed > plan.count / 100 {
            eprintln!("loadgen: set-up failed ({})", self.engine.c.last_bad);
            std::process::exit(4);
        }
    }
}

fn register(common: &Common, prime: u64) {
    let (mut run, sockets) = Run::new("register", common, common.users);
    let users = run.engine.users.count;
    let mut app = Register::new(sockets, common.sockets, users, common.expires);
    if prime > 0 {
        run.set_up("register", &mut app, &common.setup_plan(prime * u64::from(users)));
        run.engine.linger(&mut app, common.settle);
    }
    run.report.measure("register", (&mut run.engine, &mut app), &common.plan(u64::from(users)), |_, _| json!({}));
}

fn message(common: &Common, body: usize, refusals: bool) {
    let (mut run, callers) = Run::new("message", common, common.users);
    let users = run.engine.users.count;
    // Over UDP always the same ports, so that a later run refreshes the bindings of an earlier one: left over, they would
    // have the server send each MESSAGE to ports where nobody is any more.
    let port = if common.tcp { 0 } else { CALLED_PORT };
    let called = run.engine.net.open(SocketAddrV4::new(common.bind, port), common.sockets, common.tcp);
    let mut registrations = Register::new(called, common.sockets, users, common.expires);
    run.set_up("register", &mut registrations, &common.setup_plan(u64::from(users)));
    run.engine.linger(&mut registrations, common.settle);
    let mut app = Message::new(callers, called, common.sockets, users, body);
    app.refusals = refusals;
    run.report.measure(
        "message",
        (&mut run.engine, &mut app),
        &common.plan(100_000),
        |app, _| json!({ "delivered": app.delivered, "refused_without_retry_after": app.refused_without_retry_after }),
    );
}

struct Later {
    refresh: bool,
    unsubscribe: bool,
    hold: f64,
}

fn subscribe(run: &mut Run, common: &Common, mut app: Presence, later: Later) {
    let watchers = app.watchers();
    let plan = Plan { count: u64::from(watchers), ..common.plan(0) };
    let Run { engine, report } = run;
    report.measure("subscribe", (engine, &mut app), &plan, |app, _| json!({ "notifies": app.notifies }));
    engine.linger(&mut app, common.settle);
    if later.hold > 0.0 {
        engine.linger(&mut app, later.hold);
        report.held(watchers);
    }
    if later.refresh {
        app.begin(Phase::Refresh);
        report.measure("refresh", (engine, &mut app), &plan, |app, _| json!({ "notifies": app.notifies }));
        engine.linger(&mut app, common.settle);
    }
    if later.unsubscribe {
        app.begin(Phase::Unsubscribe);
        report.measure(
            "unsubscribe",
            (engine, &mut app),
            &plan,
            |app, _| json!({ "notifies": app.notifies, "terminated": app.terminated }),
        );
    }
}

fn fanout(run: &mut Run, common: &Common, mut app: Presence, presentities: u32) {
    let presentities = u64::from(presentities);
    let watchers = u64::from(app.watchers());
    if watchers > 0 {
        run.set_up("subscribe", &mut app, &common.setup_plan(watchers));
    }
    app.begin(Phase::Publish);
    let first = Plan { window: common.window.min(presentities), ..common.setup_plan(presentities) };
    run.set_up("first publish", &mut app, &first);
    run.engine.linger(&mut app, common.settle);
    app.begin(Phase::Publish);
    run.report.measure("fanout", (&mut run.engine, &mut app), &common.plan(1000), |app, server_us| {
        json!({
            "notifies": app.notifies, "notifies_matched": app.notifies_matched,
            "cseq_out_of_order": app.cseq_out_of_order, "notify_latency": report::latency(&mut app.notify_latencies),
            "server_cpu_us_per_notify": server_us / app.notifies_matched.max(1) as f64,
        })
    });
    run.engine.linger(&mut app, 0.3);
}
