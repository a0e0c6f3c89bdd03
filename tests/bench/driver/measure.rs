//! One case on one server: what to run, and the figures that come out.

use anyhow::{Result, bail};

use crate::cases::{Case, Kind};
use crate::load::{self, Measured};
use crate::server::{Server, Subject};

/// MESSAGEs a second at which the search for the sustained rate begins, its step, and where it ends.
const FIRST_RATE: u32 = 10_000;
const RATE_STEP: u32 = 2_500;
const LAST_RATE: u32 = 80_000;

#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Seconds of each step of the search for the sustained rate and of the overload.
    pub(crate) step_seconds: u32,
    /// Divides the operations of the other cases.
    pub(crate) divisor: u64,
}

/// What one run of a case showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The figure that the case is about: µs, MESSAGEs a second, bytes, or a share.
    pub(crate) value: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) faults: f64,
    /// Cores that everything else on the machine used meanwhile.
    pub(crate) noise: f64,
    pub(crate) remark: String,
}

impl Figures {
    fn of(measured: &Measured, value: f64) -> Self {
        Self {
            value,
            per_second: measured.number("/ops_per_s"),
            p50_us: measured.number("/latency/p50_us"),
            p99_us: measured.number("/latency/p99_us"),
            faults: measured.faults(),
            noise: measured.number("/other_cores"),
            remark: String::new(),
        }
    }
}

pub(crate) fn run(case: &Case, subject: Subject, pace: Pace) -> Result<Figures> {
    let label = format!("{}-{}", case.name, subject.name());
    let start = || Server::start(subject, case.setup);
    match case.kind {
        Kind::Cpu { warm_up, load } => {
            let server = start()?;
            load::run(&server, &scaled(warm_up, pace.divisor), &format!("{label}-warm-up"))?;
            let measured = load::run(&server, &scaled(load, pace.divisor), &label)?;
            Ok(Figures::of(&measured, measured.cpu_us()))
        }
        Kind::Memory { load } => {
            let measured = load::run(&start()?, load, &label)?;
            Ok(Figures::of(&measured, measured.bytes_per_operation()))
        }
        Kind::Phase { load, phase } => {
            let measured = load::phase(&start()?, &scaled(load, pace.divisor), &label, phase)?;
            Ok(Figures::of(&measured, measured.cpu_us()))
        }
        Kind::Notify { load } => {
            let measured = load::run(&start()?, &scaled(load, pace.divisor), &label)?;
            Ok(Figures::of(&measured, measured.number("/server_cpu_us_per_notify")))
        }
        Kind::Held { load } => held(&start()?, load, &label),
        Kind::Sustained => {
            let (rate, measured) = sustained(&start()?, pace, &label)?;
            Ok(Figures::of(&measured, f64::from(rate)))
        }
        Kind::Overload => {
            let (rate, _) = sustained(&start()?, pace, &format!("{label}-sustained"))?;
            overload(&start()?, rate, pace, &label)
        }
    }
}

/// What a server has grown by once it holds a second lot of subscriptions: the memory that transactions need while they
/// last is there from the first lot.
fn held(server: &Server, load: &str, label: &str) -> Result<Figures> {
    load::run(server, load, &format!("{label}-warm-up"))?;
    let phases = load::phases(server, load, label)?;
    let [made, held] = phases.as_slice() else { bail!("{label}: loadgen held nothing") };
    let gained = held.number("/pss_kb") - made.number("/server/pss_kb_before");
    Ok(Figures::of(made, gained * 1024.0 / held.number("/subscriptions").max(1.0)))
}

/// The highest rate at which nothing is lost, retransmitted or refused. Each rate gets two tries: one hiccup of
/// the machine is not the server's limit.
fn sustained(server: &Server, pace: Pace, label: &str) -> Result<(u32, Measured)> {
    load::run(server, "message --count 30000", &format!("{label}-warm-up"))?;
    let mut best = None;
    for rate in (FIRST_RATE..=LAST_RATE).step_by(RATE_STEP as usize) {
        let mut held = None;
        for _ in 0..2 {
            let measured = load::run(server, &open_loop(rate, pace), label)?;
            let offered = measured.number("/offered_per_s") / f64::from(rate);
            if measured.faults() == 0.0 && offered > 0.98 {
                held = Some(measured);
                break;
            }
        }
        match held {
            Some(measured) => best = Some((rate, measured)),
            None => break,
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("{label}: not even {FIRST_RATE} MESSAGEs a second are sustained"))
}

fn overload(server: &Server, sustained: u32, pace: Pace, label: &str) -> Result<Figures> {
    load::run(server, "message --count 30000", &format!("{label}-warm-up"))?;
    let measured = load::run(server, &format!("{} --refusals", open_loop(2 * sustained, pace)), label)?;
    let offered_rate = measured.number("/offered_per_s");
    let seconds = measured.number("/offered") / offered_rate;
    let accepted_rate = measured.number("/ops") / seconds;
    let mut figures = Figures::of(&measured, accepted_rate / f64::from(sustained));
    figures.per_second = accepted_rate;
    figures.faults = measured.number("/failed") + measured.number("/refused_without_retry_after");
    figures.remark = format!(
        "{:.0}/s offered, {sustained}/s sustained, {:.0}/s accepted, {:.0}/s refused (p99 {:.1} ms), {:.0} lost",
        offered_rate,
        accepted_rate,
        measured.number("/refused") / seconds,
        measured.number("/refusal_latency/p99_us") / 1000.0,
        measured.number("/failed"),
    );
    Ok(figures)
}

fn open_loop(rate: u32, pace: Pace) -> String {
    format!("message --rate {rate} --window 1000000 --count {}", rate * pace.step_seconds)
}

/// The same load with its `--count` divided.
fn scaled(load: &str, divisor: u64) -> String {
    let words: Vec<&str> = load.split_whitespace().collect();
    let counts = words.iter().enumerate().map(|(index, word)| {
        let is_count = index > 0 && words[index - 1] == "--count";
        let count = word.parse::<u64>().ok().filter(|_| is_count);
        count.map_or_else(|| (*word).to_owned(), |count| (count / divisor).to_string())
    });
    counts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_divides_the_count_and_nothing_else() {
        assert_eq!(scaled("message --users 1000 --count 40000", 4), "message --users 1000 --count 10000");
    }
}
