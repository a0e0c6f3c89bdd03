//! The measured table, in markdown.

use crate::cases::{Case, Kind};
use crate::measure::Figures;

/// What all rounds of one case showed, server by server; a server that isn't installed has none.
pub(crate) struct Row<'a> {
    pub(crate) case: &'a Case,
    pub(crate) signalbox: Vec<Figures>,
    pub(crate) kamailio: Vec<Figures>,
}

pub(crate) const HEAD: &str = "| workload | Kamailio | Signalbox | ratio | goal | per second | p50 / p99 ms | faults | other cores |\n\
                               |---|---|---|---|---|---|---|---|---|";

impl Row<'_> {
    pub(crate) fn print(&self) -> String {
        let signalbox = median(&self.signalbox, |figures| figures.value);
        let kamailio = median(&self.kamailio, |figures| figures.value);
        let (ratio, holds, sign) = match self.case.kind {
            Kind::Overload => (signalbox, signalbox >= self.case.goal, '≥'),
            Kind::Sustained => (signalbox / kamailio, signalbox / kamailio >= self.case.goal, '≥'),
            Kind::Cpu { .. } | Kind::Phase { .. } | Kind::Notify { .. } | Kind::Memory { .. } | Kind::Held { .. } => {
                let ratio = self.paired_ratio().unwrap_or(f64::NAN);
                (ratio, ratio <= self.case.goal, '≤')
            }
        };
        let ratio = if ratio.is_finite() {
            format!("{ratio:.2}{}", if holds { "" } else { " **missed**" })
        } else {
            "–".to_owned()
        };
        let both = |show: fn(&Figures) -> String| match (middle(&self.kamailio), middle(&self.signalbox)) {
            (None, Some(signalbox)) => show(signalbox),
            (Some(kamailio), None) => show(kamailio),
            (Some(kamailio), Some(signalbox)) => format!("{} → {}", show(kamailio), show(signalbox)),
            (None, None) => "–".to_owned(),
        };
        let remark = self.signalbox.last().map_or("", |figures| figures.remark.as_str());
        format!(
            "| {}{} | {} | {} | {ratio} | {sign} {} | {} | {} | {} | {} |",
            self.case.title,
            if remark.is_empty() { String::new() } else { format!(" ({remark})") },
            self.value(kamailio),
            self.value(signalbox),
            self.case.goal,
            both(|figures| format!("{:.0}", figures.per_second)),
            both(|figures| format!("{:.2} / {:.2}", figures.p50_us / 1000.0, figures.p99_us / 1000.0)),
            both(|figures| format!("{:.0}", figures.faults)),
            both(|figures| format!("{:.2}", figures.noise)),
        )
    }

    /// The median of the ratios of runs that followed each other: the machine's mood changes from minute to minute.
    fn paired_ratio(&self) -> Option<f64> {
        let ratios = self.signalbox.iter().zip(&self.kamailio).map(|(own, other)| own.value / other.value);
        middle_of(ratios.collect())
    }

    fn value(&self, value: f64) -> String {
        if value.is_nan() {
            return "–".to_owned();
        }
        match self.case.kind {
            Kind::Cpu { .. } | Kind::Phase { .. } | Kind::Notify { .. } => format!("{value:.1} µs"),
            Kind::Sustained => format!("{value:.0}/s"),
            Kind::Memory { .. } | Kind::Held { .. } => format!("{value:.0} B"),
            Kind::Overload => format!("{:.0} %", value * 100.0),
        }
    }
}

fn median(all: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    middle_of(all.iter().map(figure).collect()).unwrap_or(f64::NAN)
}

fn middle_of(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The run whose value is the median.
fn middle(all: &[Figures]) -> Option<&Figures> {
    let mut sorted: Vec<&Figures> = all.iter().collect();
    sorted.sort_by(|one, other| one.value.total_cmp(&other.value));
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CASES;

    fn figures(value: f64) -> Figures {
        Figures { value, ..Figures::default() }
    }

    #[test]
    fn a_ratio_is_taken_between_neighbouring_runs() {
        let row = Row {
            case: &CASES[0],
            signalbox: vec![figures(10.0), figures(20.0), figures(30.0)],
            kamailio: vec![figures(40.0), figures(50.0), figures(100.0)],
        };
        assert_eq!(row.paired_ratio(), Some(0.3));
    }

    #[test]
    fn a_missed_goal_says_so() {
        let row = |value| Row { case: &CASES[0], signalbox: vec![figures(value)], kamailio: vec![figures(40.0)] };
        assert!(row(39.0).print().contains("missed"));
        assert!(!row(10.0).print().contains("missed"));
    }

    #[test]
    fn a_server_that_is_not_installed_leaves_a_dash() {
        let row = Row { case: &CASES[0], signalbox: vec![figures(10.0)], kamailio: Vec::new() };
        assert!(row.print().contains("| – | 10.0 µs | – |"), "{}", row.print());
    }
}
