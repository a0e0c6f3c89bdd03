//! How often a subscriber wants to be notified (RFC 6446): at most, at least, and at least on average.
//!
//! The three are parameters of Event in a SUBSCRIBE (or in the 2xx to a NOTIFY), and what the notifier makes of them stands in the
//! Subscription-State of each NOTIFY.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use super::subscription::later;
use crate::lex::Params;

/// What a subscriber asks for, or a notifier grants. Prints as the parameters, each with its semicolon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// `max-rate` (§5).
    pub max: Option<Rate>,
    /// `min-rate` (§6).
    pub min: Option<Rate>,
    /// `adaptive-min-rate` (§7).
    pub adaptive: Option<Rate>,
}

/// Notifications per second: more than zero, less than a hundred (§9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// A rate that the grammar of §9.2 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number above 0 and below 100")]
pub struct BadRate;

/// Keeps a subscription to its rates.
#[derive(Clone, Debug)]
pub struct RateControl {
    rates: Rates,
    /// When the last notifications were sent, oldest first, as far as the period of the adaptive rate goes back.
    sent: VecDeque<Instant>,
    last: Option<Instant>,
}

/// `Rate` counts in these parts of one notification per second: the grammar has ten decimals.
const PARTS: u64 = 10_000_000_000;
/// Nanoseconds between two notifications at the lowest rate.
const LONGEST: u64 = PARTS * 1_000_000_000;
/// No subscriber is sent more than one notification per second as long as nothing changes, whatever it asks for.
pub const MOST_MIN_RATE: Rate = Rate(PARTS);
/// The period over which the adaptive rate is averaged, in notifications at that rate (§7.4: "several times larger than reciprocal value").
const PERIOD: u32 = 8;
/// Notifications that are remembered within that period; with more the timeout gets no longer.
const MAX_SENT: usize = 64;

impl Rates {
    /// Reads the parameters of Event. Those that aren't there are None.
    pub fn parse(params: Params<'_>) -> Result<Self, BadRate> {
        let read = |name| params.value(name).map(Rate::parse).transpose();
        Ok(Self { max: read("max-rate")?, min: read("min-rate")?, adaptive: read("adaptive-min-rate")? })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a notifier grants for a subscription with that time left, when its own policy is `least` between two notifications.
    pub fn granted(self, remaining: Duration, least: Duration) -> Self {
        // §5.3: a rate without any notification before the end is raised.
        let lowest = Rate::every(remaining);
        let highest = (!least.is_zero()).then(|| Rate::every(least));
        let max = self.max.map(|rate| rate.max(lowest)).map(|rate| highest.map_or(rate, |highest| rate.min(highest)));
        let bounded = |rate: Rate| max.map_or(rate, |max| rate.min(max)).min(MOST_MIN_RATE);
        Self { max, min: self.min.map(bounded), adaptive: self.adaptive.map(bounded) }
    }
}

impl Rate {
    /// Reads `1*2DIGIT [ "." 1*10DIGIT ]`.
    pub fn parse(text: &str) -> Result<Self, BadRate> {
        let (whole, decimals) = text.split_once('.').map_or((text, "0"), |(whole, decimals)| (whole, decimals));
        let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 2) || !digits(decimals, 10) {
            return Err(BadRate);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| BadRate);
        let scale = 10u64.pow(10 - decimals.len() as u32);
        match number(whole)? * PARTS + number(decimals)? * scale {
            0 => Err(BadRate),
            parts => Ok(Self(parts)),
        }
    }

    /// One notification in that time, as near as rates go.
    pub fn every(interval: Duration) -> Self {
        let nanoseconds = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self(LONGEST.div_ceil(nanoseconds).clamp(1, 100 * PARTS - 1))
    }

    /// The time between two notifications.
    pub fn interval(self) -> Duration {
        Duration::from_nanos(LONGEST / self.0)
    }
}

impl RateControl {
    pub fn new(rates: Rates, now: Instant) -> Self {
        let mut control = Self { rates, sent: VecDeque::new(), last: None };
        control.begin_history(now);
        control
    }

    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// Goes on with other rates.
    pub fn set(&mut self, rates: Rates, now: Instant) {
        if rates != self.rates {
            self.rates = rates;
            self.begin_history(now);
        }
    }

    /// Least time between two notifications about changes.
    pub fn min_interval(&self) -> Duration {
        self.rates.max.map_or(Duration::ZERO, Rate::interval)
    }

    /// A notification was sent.
    pub fn on_sent(&mut self, now: Instant) {
        self.last = Some(now);
        if let Some(period) = self.period() {
            while self.sent.front().is_some_and(|&at| now.saturating_duration_since(at) >= period)
                || self.sent.len() >= MAX_SENT
            {
                self.sent.pop_front();
            }
            self.sent.push_back(now);
        }
    }

    /// When a notification is due although nothing has changed (§6.2, §7.2).
    pub fn deadline(&self) -> Option<Instant> {
        let last = self.last?;
        let timeout = self.rates.min.map(Rate::interval).into_iter().chain(self.adaptive_timeout()).min()?;
        Some(later(last, timeout))
    }

    /// §7.2: "initialized to contain a history of having sent a 'period * adaptive-min-rate' number of notifications".
    fn begin_history(&mut self, now: Instant) {
        self.sent.clear();
        if let Some(rate) = self.rates.adaptive {
            let earlier = |i: u32| now.checked_sub(rate.interval().saturating_mul(i));
            self.sent.extend((1..PERIOD).rev().filter_map(earlier));
        }
    }

    fn period(&self) -> Option<Duration> {
        self.rates.adaptive.map(|rate| rate.interval().saturating_mul(PERIOD))
    }

    /// §7.4, equation (2). `count` is at least one, as the last notification lies within the period.
    fn adaptive_timeout(&self) -> Option<Duration> {
        let rate = self.rates.adaptive?;
        let count = u32::try_from(self.sent.len()).unwrap_or(u32::MAX).max(1);
        // count / (rate² × period), where period × rate is PERIOD.
        Some((rate.interval().saturating_mul(count) / PERIOD).max(self.min_interval()))
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, rate) in [("max-rate", self.max), ("min-rate", self.min), ("adaptive-min-rate", self.adaptive)] {
            if let Some(rate) = rate {
                write!(f, ";{name}={rate}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / PARTS)?;
        let decimals = format!("{:010}", self.0 % PARTS);
        match decimals.trim_end_matches('0') {
            "" => Ok(()),
            decimals => write!(f, ".{decimals}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn rates_are_read_and_written_by_the_grammar() {
        for text in ["1", "0.5", "99.9999999999", "0.0000000001", "0.0166666667"] {
            assert_eq!(rate(text).to_string(), text);
        }
        assert_eq!(rate("01.50").to_string(), "1.5");
        for text in ["", "0", "0.0", "100", "1.", ".5", "1.00000000001", "-1", "1e3", "1,5"] {
            assert_eq!(Rate::parse(text), Err(BadRate), "{text}");
        }
    }

    #[test]
    fn the_interval_is_the_reciprocal() {
        assert_eq!(rate("0.5").interval(), 2 * SECOND);
        assert_eq!(Rate::every(4 * SECOND), rate("0.25"));
        assert!(Rate::every(Duration::MAX).interval() > SECOND && Rate::every(Duration::ZERO) == rate("99.9999999999"));
    }

    #[test]
    fn parameters_of_event_are_read_and_reflected() {
        let rates = Rates::parse(Params::new(";id=1;max-rate=0.1;adaptive-min-rate=0.02")).unwrap();
        assert_eq!(rates.to_string(), ";max-rate=0.1;adaptive-min-rate=0.02");
        assert!(Rates::parse(Params::new(";id=1")).unwrap().is_empty());
        assert_eq!(Rates::parse(Params::new(";min-rate=0")), Err(BadRate));
    }

    #[test]
    fn a_rate_that_would_let_nothing_through_is_raised_and_one_above_the_policy_cut_down() {
        let asked = Rates { max: Some(rate("0.001")), ..Rates::default() };
        assert_eq!(asked.granted(100 * SECOND, Duration::ZERO).max, Some(rate("0.01")));
        let asked = Rates { max: Some(rate("2")), min: Some(rate("50")), adaptive: Some(rate("1")) };
        let granted = asked.granted(100 * SECOND, 2 * SECOND);
        assert_eq!(granted, Rates { max: Some(rate("0.5")), min: Some(rate("0.5")), adaptive: Some(rate("0.5")) });
        assert_eq!(asked.granted(100 * SECOND, Duration::ZERO).min, Some(MOST_MIN_RATE));
    }

    #[test]
    fn the_adaptive_timeout_grows_with_what_was_sent_of_late_and_shrinks_again() {
        let mut now = Instant::now() + 1000 * SECOND;
        let rates = Rates { adaptive: Some(rate("0.1")), ..Rates::default() };
        let mut control = RateControl::new(rates, now);
        assert_eq!(control.deadline(), None, "nothing was sent yet");
        control.on_sent(now);
        assert_eq!(control.deadline(), Some(now + 10 * SECOND), "as if the rate had been kept all along");
        for _ in 0..8 {
            now += SECOND;
            control.on_sent(now);
        }
        let busy = control.deadline().unwrap() - now;
        assert!(busy > 15 * SECOND, "{busy:?}");
        now += 80 * SECOND;
        control.on_sent(now);
        assert_eq!(control.deadline().unwrap() - now, 10 * SECOND / 8);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let now = Instant::now();
        let rates = Rates { adaptive: Some(rate("0.0000000001")), ..Rates::default() };
        let mut control = RateControl::new(rates, now);
        (0..1000).for_each(|_| control.on_sent(now));
        assert!(control.sent.len() <= MAX_SENT);
        assert!(control.deadline().is_some());
    }
}
