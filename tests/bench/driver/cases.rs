//! The workloads. One row here is one line of the table.

/// What the server has to be set up for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Setup {
    pub(crate) tcp: bool,
    /// Bindings, or subscriptions and publications, are committed to SQLite before they are confirmed. Only Signalbox does;
    /// Kamailio keeps them in memory.
    pub(crate) durable: bool,
    /// The presence agent answers, instead of registrar and relay.
    pub(crate) presence: bool,
    /// REGISTER needs digest credentials of an account in SQLite.
    pub(crate) digest: bool,
    /// Memory is what is measured: the servers may not touch memory ahead of use, as they otherwise do, for speed.
    pub(crate) untouched: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Server CPU time for each operation of one loadgen run, after a warm-up run.
    Cpu { warm_up: &'static str, load: &'static str },
    /// Server CPU time for each operation of one phase of a loadgen run against a fresh server.
    Phase { load: &'static str, phase: &'static str },
    /// Server CPU time for each NOTIFY of a `fanout` run against a fresh server, the PUBLISH included.
    Notify { load: &'static str },
    /// Memory for each subscription that is held, once the transactions that made it are over.
    Held { load: &'static str },
    /// The highest open-loop rate of MESSAGEs of which none is lost or retransmitted.
    Sustained,
    /// Memory for each operation of one loadgen run against a fresh server.
    Memory { load: &'static str },
    /// Twice the sustained rate: what gets through, and how fast.
    Overload,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) setup: Setup,
    pub(crate) kind: Kind,
    /// Signalbox ÷ Kamailio has to be at most (`Sustained`: at least) this; for `Overload` it is the share of the sustained
    /// rate that has to get through.
    pub(crate) goal: f64,
}

const PLAIN: Setup = Setup { tcp: false, durable: false, presence: false, digest: false, untouched: false };
const PRESENCE: Setup = Setup { presence: true, durable: true, ..PLAIN };

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "message-udp",
        title: "MESSAGE, stateful relay after `lookup`, UDP, saturated",
        setup: PLAIN,
        kind: Kind::Cpu { warm_up: "message --count 60000", load: "message --count 120000" },
        goal: 0.45,
    },
    Case {
        name: "message-udp-5k",
        title: "the same, open loop at 5,000/s",
        setup: PLAIN,
        kind: Kind::Cpu {
            warm_up: "message --rate 5000 --window 100000 --count 20000",
            load: "message --rate 5000 --window 100000 --count 40000",
        },
        goal: 0.5,
    },
    Case {
        name: "message-tcp",
        title: "MESSAGE over TCP, saturated",
        setup: Setup { tcp: true, ..PLAIN },
        kind: Kind::Cpu { warm_up: "message --tcp --count 60000", load: "message --tcp --count 120000" },
        goal: 0.5,
    },
    Case {
        name: "register",
        title: "REGISTER refresh, 100,000 AORs, in memory only",
        setup: PLAIN,
        kind: Kind::Cpu { warm_up: "register --users 1000", load: "register --users 100000 --prime 1 --count 200000" },
        goal: 0.7,
    },
    Case {
        name: "register-durable",
        title: "the same, Signalbox durable on SQLite",
        setup: Setup { durable: true, ..PLAIN },
        kind: Kind::Cpu { warm_up: "register --users 1000", load: "register --users 100000 --prime 1 --count 200000" },
        goal: 1.5,
    },
    Case {
        name: "register-digest",
        title: "REGISTER with digest, 401 each time, accounts in SQLite",
        setup: Setup { digest: true, ..PLAIN },
        kind: Kind::Cpu {
            warm_up: "register --users 1000 --auth challenge",
            load: "register --users 10000 --auth challenge --prime 1 --count 40000",
        },
        goal: 0.5,
    },
    Case {
        name: "sustained",
        title: "MESSAGEs a second sustained by one core without loss",
        setup: PLAIN,
        kind: Kind::Sustained,
        goal: 2.0,
    },
    Case {
        name: "memory-contact",
        title: "memory of a registered contact",
        setup: Setup { untouched: true, ..PLAIN },
        kind: Kind::Memory { load: "register --users 100000 --count 100000" },
        goal: 0.8,
    },
    Case {
        name: "memory-transaction",
        title: "memory of a finished transaction while its timers run",
        setup: Setup { untouched: true, ..PLAIN },
        kind: Kind::Memory { load: "message --users 100 --rate 8000 --window 100000 --count 36000" },
        goal: 0.1,
    },
    Case {
        name: "overload",
        title: "share of the sustained rate that gets through at twice that load",
        setup: PLAIN,
        kind: Kind::Overload,
        goal: 0.9,
    },
    Case {
        name: "publish",
        title: "PUBLISH without watchers, Signalbox durable on SQLite, as in all rows of presence",
        setup: PRESENCE,
        kind: Kind::Phase { load: "fanout --watchers 0 --presentities 200 --window 64 --count 50000", phase: "fanout" },
        goal: 0.6,
    },
    Case {
        name: "subscribe",
        title: "SUBSCRIBE and its first NOTIFY",
        setup: PRESENCE,
        kind: Kind::Phase { load: "subscribe --watchers 10000 --presentities 10000", phase: "subscribe" },
        goal: 0.7,
    },
    Case {
        name: "refresh",
        title: "refresh with 100,000 subscriptions held, and its NOTIFY",
        setup: PRESENCE,
        kind: Kind::Phase {
            load: "subscribe --watchers 100000 --presentities 10000 --settle 7 --refresh",
            phase: "refresh",
        },
        goal: 0.6,
    },
    Case {
        name: "notify-1",
        title: "NOTIFY, PUBLISH included, 1 watcher",
        setup: PRESENCE,
        kind: Kind::Notify { load: "fanout --watchers 1 --presentities 200 --window 16 --count 10000" },
        goal: 0.5,
    },
    Case {
        name: "notify-10",
        title: "the same, 10 watchers",
        setup: PRESENCE,
        kind: Kind::Notify { load: "fanout --watchers 10 --presentities 50 --window 4 --count 4000" },
        goal: 0.4,
    },
    Case {
        name: "notify-100",
        title: "the same, 100 watchers",
        setup: PRESENCE,
        kind: Kind::Notify { load: "fanout --watchers 100 --presentities 4 --window 1 --count 800" },
        goal: 0.35,
    },
    Case {
        name: "notify-1000",
        title: "the same, 1,000 watchers; p50 / p99 are from PUBLISH to the last NOTIFY",
        setup: PRESENCE,
        kind: Kind::Notify { load: "fanout --watchers 1000 --presentities 1 --window 1 --count 200" },
        goal: 0.3,
    },
    Case {
        name: "memory-subscription",
        title: "memory of a subscription held, 100,000 beside as many",
        setup: Setup { untouched: true, ..PRESENCE },
        kind: Kind::Held {
            load: "subscribe --watchers 100000 --presentities 10000 --rate 4000 --window 50000 --settle 1 --hold 35",
        },
        goal: 1.2,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_share_a_name() {
        let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }
}
