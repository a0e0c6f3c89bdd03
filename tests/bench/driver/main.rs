//! bench: measures Signalbox, and Kamailio where it is installed, on this machine in turn, and prints the table that
//! tests/bench/README.md holds. The server runs on CPU 0, the load generator on CPU 1.

mod accounts;
mod cases;
mod load;
mod measure;
mod presence_tables;
mod server;
mod table;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use cases::{CASES, Case};
use measure::{Figures, Pace};
use server::Subject;
use table::Row;

/// Measures Signalbox against Kamailio.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// Only the cases whose name begins so
    #[arg(long)]
    only: Vec<String>,
    /// One short round
    #[arg(long)]
    quick: bool,
    /// Name the cases and end
    #[arg(long)]
    list: bool,
    /// Rounds of each case; each round runs the servers one right after the other
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only this server
    #[arg(long, value_enum)]
    server: Option<Which>,
    /// Nothing but the table on standard output
    #[arg(long)]
    markdown: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Which {
    Signalbox,
    Kamailio,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let wanted = |case: &&Case| options.only.is_empty() || options.only.iter().any(|name| case.name.starts_with(name));
    let cases: Vec<&Case> = CASES.iter().filter(wanted).collect();
    if options.list {
        for case in cases {
            println!("{:20} {}", case.name, case.title);
        }
        return Ok(());
    }
    if cases.is_empty() {
        bail!("no such case; --list names them");
    }
    let mut rows = Vec::new();
    for case in cases {
        rows.push(measure_case(case, &options)?);
        if !options.markdown {
            println!("{}\n", rows[rows.len() - 1].print());
        }
    }
    println!("{}", table::HEAD);
    for row in &rows {
        println!("{}", row.print());
    }
    Ok(())
}

fn measure_case<'a>(case: &'a Case, options: &Options) -> Result<Row<'a>> {
    let (rounds, pace) = if options.quick {
        (1, Pace { step_seconds: 2, divisor: 4 })
    } else {
        (options.rounds.max(1), Pace { step_seconds: 6, divisor: 1 })
    };
    let mut row = Row { case, signalbox: Vec::new(), kamailio: Vec::new() };
    for round in 0..rounds {
        // Every other round begins with the other server, so that neither always runs on the warmer machine.
        let mut subjects = [Subject::Kamailio, Subject::Signalbox];
        if round % 2 == 1 {
            subjects.reverse();
        }
        for subject in subjects.into_iter().filter(|subject| is_wanted(*subject, options.server)) {
            let figures = measure::run(case, subject, pace)?;
            eprintln!("{}", progress(case, subject, &figures));
            match subject {
                Subject::Signalbox => row.signalbox.push(figures),
                Subject::Kamailio => row.kamailio.push(figures),
            }
        }
    }
    Ok(row)
}

fn is_wanted(subject: Subject, only: Option<Which>) -> bool {
    let wanted = only.is_none_or(|which| (which == Which::Signalbox) == (subject == Subject::Signalbox));
    // Signalbox has to be there; the opponent is measured where it is installed.
    wanted && (subject == Subject::Signalbox || subject.program().is_some())
}

fn progress(case: &Case, subject: Subject, figures: &Figures) -> String {
    format!(
        "{:20} {:10} {:10.2}  {:8.0}/s  p50 {:6.2} ms  p99 {:6.2} ms  faults {}  other cores {:.2}  {}",
        case.name,
        subject.name(),
        figures.value,
        figures.per_second,
        figures.p50_us / 1000.0,
        figures.p99_us / 1000.0,
        figures.faults,
        figures.noise,
        figures.remark
    )
}
