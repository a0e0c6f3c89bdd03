//! Reading scenario files.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use signalbox::transport::Protocol;

/// A scenario, as read.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The comment at the top.
    pub title: String,
    /// `name: value` lines of the server block.
    pub server: Vec<(String, String)>,
    pub parties: Vec<PartySetup>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub struct PartySetup {
    pub name: String,
    pub aor: String,
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub password: String,
}

/// One step, with the line it stands on.
#[derive(Clone, Debug)]
pub struct Step {
    pub line: usize,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Action {
    Send {
        party: String,
        message: Block,
    },
    Receive {
        party: String,
        expected: Block,
    },
    ReceiveNothing {
        party: String,
    },
    Answer {
        party: String,
        status: String,
        message: Block,
    },
    Repeat {
        party: String,
    },
    AnswerChallenge {
        party: String,
    },
    Pass(Duration),
    Lose {
        party: String,
        towards_party: bool,
        count: u32,
    },
    LoseAtRandom {
        percent: u32,
        seed: u64,
    },
    /// A command of the server, its parameters, and its answer as JSON.
    Command {
        name: String,
        block: Block,
    },
    Restart,
    Crash,
}

/// The indented lines of a step.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub first: String,
    /// A line without a value is an absent header: `!Name`.
    pub headers: Vec<(String, Option<String>)>,
    pub body: Option<String>,
}

/// Reads a scenario.
pub fn parse(text: &str) -> Result<Scenario> {
    let mut scenario = Scenario { title: String::new(), server: Vec::new(), parties: Vec::new(), steps: Vec::new() };
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let (number, line) = (at + 1, lines[at]);
        at += 1;
        if line.starts_with('#') {
            if scenario.steps.is_empty() && scenario.server.is_empty() {
                scenario.title.push_str(line.trim_start_matches('#'));
            }
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let start = at;
        while at < lines.len() && (lines[at].starts_with("  ") || lines[at].trim().is_empty()) {
            at += 1;
        }
        let block = &lines[start..at];
        read(&mut scenario, number, line.trim_end(), block).with_context(|| format!("line {number}: {line:?}"))?;
    }
    Ok(scenario)
}

fn read(scenario: &mut Scenario, number: usize, line: &str, block: &[&str]) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let action = match words.as_slice() {
        ["server"] => {
            for setting in block.iter().filter(|line| !line.trim().is_empty()) {
                let (name, value) = setting.split_once(':').context("a setting reads name: value")?;
                scenario.server.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            return Ok(());
        }
        ["phone", name, aor, "at", address, rest @ ..] => {
            scenario.parties.push(party(name, aor, address, rest)?);
            return Ok(());
        }
        ["time", "passes", time] => Action::Pass(duration(time)?),
        ["network", "loses", count, "packet" | "packets", direction @ ("to" | "from"), party] => {
            Action::Lose { party: (*party).to_owned(), towards_party: *direction == "to", count: count.parse()? }
        }
        ["network", "loses", percent, "of", "packets,", "seed", seed] => {
            Action::LoseAtRandom { percent: percent.trim_end_matches('%').parse()?, seed: seed.parse()? }
        }
        ["ctl", name] => Action::Command { name: (*name).to_owned(), block: indented(block, false)? },
        ["server", "restarts"] => Action::Restart,
        ["server", "crashes"] => Action::Crash,
        [party, "sends"] => Action::Send { party: (*party).to_owned(), message: indented(block, true)? },
        [party, "receives", "nothing"] => Action::ReceiveNothing { party: (*party).to_owned() },
        [party, "receives"] => Action::Receive { party: (*party).to_owned(), expected: indented(block, true)? },
        [party, "receives", first @ ..] => {
            let mut expected = indented(block, false)?;
            expected.first = first.join(" ");
            Action::Receive { party: (*party).to_owned(), expected }
        }
        [party, "repeats"] => Action::Repeat { party: (*party).to_owned() },
        [party, "answers", "the", "challenge"] => Action::AnswerChallenge { party: (*party).to_owned() },
        [party, "answers", status @ ..] => {
            let message = indented(block, false)?;
            Action::Answer { party: (*party).to_owned(), status: status.join(" "), message }
        }
        _ => bail!("not a step that is known"),
    };
    scenario.steps.push(Step { line: number, action });
    Ok(())
}

fn party(name: &str, aor: &str, address: &str, rest: &[&str]) -> Result<PartySetup> {
    let aor = aor.strip_prefix('<').and_then(|aor| aor.strip_suffix('>')).context("an address of record is <sip:…>")?;
    let mut party = PartySetup {
        name: name.to_owned(),
        aor: aor.to_owned(),
        address: address.parse()?,
        protocol: Protocol::Udp,
        password: String::new(),
    };
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let value = rest.next().context("something is missing at the end")?;
        match *word {
            "over" => party.protocol = Protocol::parse(value).context("over udp or over tcp")?,
            "password" => party.password = (*value).to_owned(),
            _ => bail!("{word:?} is not known of a phone"),
        }
    }
    Ok(party)
}

fn indented(block: &[&str], with_first: bool) -> Result<Block> {
    let mut lines = block.iter().map(|line| line.strip_prefix("  ").unwrap_or_else(|| line.trim_end()));
    let mut read = Block::default();
    if with_first {
        read.first = lines.next().filter(|line| !line.is_empty()).context("the message is missing below")?.to_owned();
    }
    for line in lines.by_ref() {
        if line.trim().is_empty() {
            break;
        }
        match line.strip_prefix('!') {
            Some(name) => read.headers.push((name.trim().to_owned(), None)),
            None => {
                let (name, value) = line.split_once(':').ok_or_else(|| anyhow!("{line:?} is no header line"))?;
                read.headers.push((name.trim().to_owned(), Some(value.trim().to_owned())));
            }
        }
    }
    let body: Vec<&str> = lines.collect();
    let body = body.join("\n").trim_end().to_owned();
    read.body = (!body.is_empty()).then_some(body);
    Ok(read)
}

fn duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse()?;
    Ok(match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        unit => bail!("{unit:?} is not ms, s, m or h"),
    })
}
