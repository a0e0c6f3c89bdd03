//! Playing a scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value as Json;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;

use super::credentials;
use super::parse::{Action, Block, PartySetup, Scenario, Step};
use super::pattern::{Names, fill, matches};
use crate::network::{Loss, Network, Real, Virtual};

/// What a scenario needs that only some networks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Any server will do.
    AnyServer,
    /// Time that can be moved, packets that can be lost, or a server that can be restarted.
    VirtualNetwork,
}

impl Scenario {
    pub fn needs(&self) -> Needs {
        let any_server = self.steps.iter().all(|step| {
            matches!(
                step.action,
                Action::Send { .. }
                    | Action::Receive { .. }
                    | Action::ReceiveNothing { .. }
                    | Action::Answer { .. }
                    | Action::Repeat { .. }
                    | Action::AnswerChallenge { .. }
            )
        });
        let datagrams = self.parties.iter().all(|party| !party.protocol.is_reliable());
        if any_server && datagrams { Needs::AnyServer } else { Needs::VirtualNetwork }
    }
}

/// What a stage can do beyond carrying messages.
pub trait Stage: Network {
    fn lose(&mut self, _: Loss) -> Result<()> {
        bail!("packets of a real network are not lost on request")
    }
    fn lose_at_random(&mut self, _: u32, _: u64) -> Result<()> {
        bail!("packets of a real network are not lost on request")
    }
    fn command(&mut self, _: &str, _: Json) -> Result<Json> {
        bail!("another's server is not commanded")
    }
}

impl Stage for Virtual {
    fn command(&mut self, name: &str, parameters: Json) -> Result<Json> {
        Self::command(self, name, parameters)
    }

    fn lose(&mut self, loss: Loss) -> Result<()> {
        Self::lose(self, loss);
        Ok(())
    }

    fn lose_at_random(&mut self, percent: u32, seed: u64) -> Result<()> {
        Self::lose_at_random(self, percent, seed);
        Ok(())
    }
}

impl Stage for Real {}

/// Plays a scenario. `restart` ends the server, in order or as by a power failure (`true`), and starts it again.
pub fn play<S: Stage>(
    scenario: &Scenario,
    stage: &mut S,
    restart: &mut dyn FnMut(&mut S, bool) -> Result<()>,
) -> Result<()> {
    let mut cast = Cast::join(scenario, stage)?;
    for Step { line, action } in &scenario.steps {
        let done = match action {
            Action::Restart => restart(stage, false),
            Action::Crash => restart(stage, true),
            action => cast.act(stage, action),
        };
        done.with_context(|| format!("line {line}"))?;
    }
    for party in cast.parties.values_mut() {
        if let Some(message) = party.next_message(stage)? {
            bail!("{} has a message left at the end:\n{}", party.setup.name, text(&message));
        }
    }
    Ok(())
}

struct Cast {
    names: Names,
    parties: BTreeMap<String, Party>,
}

struct Party {
    setup: PartySetup,
    address: SocketAddr,
    sent: Option<Message>,
    sent_invite: Option<Message>,
    count: u32,
    request: Option<Message>,
    response: Option<Message>,
    /// What came already: a repetition says nothing new where real time passes.
    seen: BTreeSet<Vec<u8>>,
    real: bool,
}

impl Cast {
    fn join(scenario: &Scenario, stage: &mut dyn Network) -> Result<Self> {
        let mut names = Names::new();
        names.insert("server".into(), stage.server().to_string());
        let mut parties = BTreeMap::new();
        for setup in &scenario.parties {
            let address = stage.join(setup.address, setup.protocol)?;
            names.insert(setup.name.clone(), address.to_string());
            let party = Party {
                setup: setup.clone(),
                address,
                sent: None,
                sent_invite: None,
                count: 0,
                request: None,
                response: None,
                seen: BTreeSet::new(),
                real: address != setup.address,
            };
            parties.insert(setup.name.clone(), party);
        }
        Ok(Self { names, parties })
    }

    fn party(&mut self, name: &str) -> Result<&mut Party> {
        self.parties.get_mut(name).with_context(|| format!("there is no phone {name}"))
    }

    fn act<S: Stage>(&mut self, stage: &mut S, action: &Action) -> Result<()> {
        match action {
            Action::Send { party, message } => {
                let names = self.names.clone();
                let party = self.party(party)?;
                let message = party.compose(message, &names)?;
                party.send(stage, message)
            }
            Action::Answer { party, status, message } => {
                let names = self.names.clone();
                let party = self.party(party)?;
                let message = party.answer(status, message, &names)?;
                stage.send(party.address, party.setup.protocol, message.to_bytes())
            }
            Action::Repeat { party } => {
                let party = self.party(party)?;
                let message = party.sent.clone().context("nothing was sent yet")?;
                stage.send(party.address, party.setup.protocol, message.to_bytes())
            }
            Action::AnswerChallenge { party } => {
                let party = self.party(party)?;
                let message = party.with_credentials()?;
                party.send(stage, message)
            }
            Action::ReceiveNothing { party } => {
                let party = self.party(party)?;
                match party.next_message(stage)? {
                    None => Ok(()),
                    Some(message) => bail!("{} received\n{}", party.setup.name, text(&message)),
                }
            }
            Action::Receive { party, expected } => self.receive(stage, party, expected),
            Action::Pass(time) => stage.pass(*time),
            Action::Lose { party, towards_party, count } => {
                let party = self.party(party)?.address;
                stage.lose(Loss { party, towards_party: *towards_party, count: *count })
            }
            Action::LoseAtRandom { percent, seed } => stage.lose_at_random(*percent, *seed),
            Action::Command { name, block } => self.command(stage, name, block),
            Action::Restart | Action::Crash => Ok(()),
        }
    }

    fn command(&mut self, stage: &mut dyn Stage, name: &str, block: &Block) -> Result<()> {
        let value = |value: &Option<String>| fill(value.as_deref().unwrap_or_default(), &self.names).into();
        let parameters = block.headers.iter().map(|(name, text)| (name.clone(), value(text)));
        let parameters: serde_json::Map<String, Json> = parameters.collect();
        let answer = stage.command(name, parameters.into());
        let shown = match &answer {
            Ok(answer) => answer.to_string(),
            Err(error) => format!("error: {error:#}"),
        };
        let is_expected = match &block.body {
            Some(pattern) => matches(pattern, &shown, &mut self.names),
            None => answer.is_ok(),
        };
        ensure!(is_expected, "ctl {name} answered otherwise than expected: {shown}");
        Ok(())
    }

    fn receive(&mut self, stage: &mut dyn Network, name: &str, expected: &Block) -> Result<()> {
        let party = self.party(name)?;
        let mut message = party.next_message(stage)?;
        // Where real time passes a 100 comes when it likes.
        while party.real && is_trying(message.as_ref()) && !expected.first.starts_with("100") {
            message = party.next_message(stage)?;
        }
        let message = message.with_context(|| format!("{name} received nothing, not {:?}", expected.first))?;
        if message.is_request() {
            party.request = Some(message.clone());
        } else {
            party.response = Some(message.clone());
        }
        check(&message, expected, &mut self.names)
            .map_err(|problem| anyhow!("{name} received something else than expected: {problem}\n{}", text(&message)))
    }
}

fn is_trying(message: Option<&Message>) -> bool {
    message.is_some_and(|message| !message.is_request() && message.status() == 100)
}

impl Party {
    fn next_message(&mut self, stage: &mut dyn Network) -> Result<Option<Message>> {
        loop {
            let Some(bytes) = stage.receive(self.address)? else { return Ok(None) };
            if self.real && !self.seen.insert(bytes.clone()) {
                continue;
            }
            let message = Message::parse(&bytes);
            return message.map(Some).map_err(|error| anyhow!("{error}:\n{}", String::from_utf8_lossy(&bytes)));
        }
    }

    fn send(&mut self, stage: &mut dyn Network, message: Message) -> Result<()> {
        if *message.method() == Method::Invite {
            self.sent_invite = Some(message.clone());
        }
        let bytes = message.to_bytes();
        self.sent = Some(message);
        stage.send(self.address, self.setup.protocol, bytes)
    }

    fn compose(&mut self, block: &Block, names: &Names) -> Result<Message> {
        let first = fill(&block.first, names);
        let (method, uri) = first.split_once(' ').context("a request begins with method and Request-URI")?;
        let method = Method::parse(method).with_context(|| format!("{method:?} is no method"))?;
        let mut message = Message::request(&method, uri);
        match (&method, &self.sent_invite) {
            (Method::Ack | Method::Cancel, Some(invite)) => self.follow_up(&mut message, invite, &method)?,
            _ => self.fill_in(&mut message, &method, uri),
        }
        apply(&mut message, block, names)?;
        Ok(message)
    }

    fn fill_in(&mut self, message: &mut Message, method: &Method, uri: &str) {
        self.count += 1;
        let (name, count, aor) = (&self.setup.name, self.count, &self.setup.aor);
        message.push(HeaderName::Via, &self.via(&format!("{name}{count}")));
        message.push(HeaderName::MaxForwards, "70");
        message.push(HeaderName::From, &format!("<{aor}>;tag={name}-{count}"));
        let to = if *method == Method::Register { aor.as_str() } else { uri };
        message.push(HeaderName::To, &format!("<{to}>"));
        message.push(HeaderName::CallId, &format!("{name}-{count}@{}", self.address));
        message.push(HeaderName::CSeq, &format!("{count} {method}"));
    }

    fn via(&self, branch: &str) -> String {
        // On a real network no other run and no other scenario must look like this one.
        let (run, place) = if self.real { (std::process::id(), self.address.port()) } else { (0, 0) };
        let protocol = self.setup.protocol.as_str();
        format!("SIP/2.0/{protocol} {};branch=z9hG4bK-{run}-{place}-{branch};rport", self.address)
    }

    /// §9.1, §17.1.1.3: identifiers of the INVITE; an ACK has the To of the response, and a branch of its own for a 2xx.
    fn follow_up(&self, message: &mut Message, invite: &Message, method: &Method) -> Result<()> {
        let success = self.response.as_ref().is_some_and(|response| response.status() < 300);
        if *method == Method::Ack && success {
            message.push(HeaderName::Via, &self.via(&format!("{}-ack{}", self.setup.name, self.count)));
        } else {
            message.push(HeaderName::Via, invite.value(HeaderName::Via).context("the INVITE had a Via")?);
        }
        message.push(HeaderName::MaxForwards, "70");
        message.push(HeaderName::From, invite.value(HeaderName::From).context("the INVITE had a From")?);
        let source = if *method == Method::Ack { self.response.as_ref().unwrap_or(invite) } else { invite };
        message.push(HeaderName::To, source.value(HeaderName::To).context("there is a To")?);
        message.push(HeaderName::CallId, invite.call_id());
        message.push(HeaderName::CSeq, &format!("{} {method}", invite.cseq()));
        Ok(())
    }

    fn answer(&self, status: &str, block: &Block, names: &Names) -> Result<Message> {
        let request = self.request.as_ref().context("no request was received")?;
        let (code, reason) = status.split_once(' ').unwrap_or((status, ""));
        let mut response = request.reply(code.parse()?, reason);
        if request.to_tag().is_none() && code != "100" {
            response.set_to_tag(&format!("{}-tag", self.setup.name));
        }
        for value in request.values(HeaderName::RecordRoute) {
            response.push(HeaderName::RecordRoute, value);
        }
        apply(&mut response, block, names)?;
        Ok(response)
    }

    fn with_credentials(&mut self) -> Result<Message> {
        let response = self.response.clone().context("no challenge was received")?;
        let mut request = self.sent.clone().context("nothing was sent")?;
        self.count += 1;
        credentials::add(&mut request, &response, &self.setup.aor, &self.setup.password)?;
        let method = request.method().clone();
        request.replace_first_item(HeaderName::Via, &self.via(&format!("{}{}", self.setup.name, self.count)));
        request.set(HeaderName::CSeq, &format!("{} {method}", self.count));
        Ok(request)
    }
}

fn apply(message: &mut Message, block: &Block, names: &Names) -> Result<()> {
    let mut replaced = BTreeSet::new();
    for (name, value) in &block.headers {
        let key = name.to_ascii_lowercase();
        match value {
            None => drop(message.remove_of(name)),
            Some(value) if replaced.insert(key) => message.set_of(name, &fill(value, names))?,
            Some(value) => message.push_of(name, &fill(value, names))?,
        }
    }
    if let Some(body) = &block.body {
        let body = fill(body, names).replace('\n', "\r\n");
        let content_type = message.value(HeaderName::ContentType).map(str::to_owned);
        message.set_body(content_type.as_deref().or(Some("text/plain")), body.into_bytes().into());
    }
    Ok(())
}

fn check(message: &Message, expected: &Block, names: &mut Names) -> Result<()> {
    let first = if message.is_request() {
        format!("{} {}", message.method(), message.request_uri())
    } else {
        format!("{} {}", message.status(), message.reason())
    };
    let shown = fill(&expected.first, names);
    let whole = matches(&expected.first, &first, names) || matches(&format!("{} ...", expected.first), &first, names);
    ensure!(whole, "the first line is {first:?}, not {shown:?}");
    for (name, pattern) in &expected.headers {
        let values: Vec<&str> = message.values_of(name).collect();
        match pattern {
            None => ensure!(values.is_empty(), "there is a {name}: {values:?}"),
            Some(pattern) => {
                let found = values.iter().any(|value| matches(pattern, value, names));
                let found = found || message.items_of(name).any(|item| matches(pattern, item, names));
                ensure!(found, "{name} is {values:?}, not {:?}", fill(pattern, names));
            }
        }
    }
    if let Some(body) = &expected.body {
        let received = String::from_utf8_lossy(message.body()).replace("\r\n", "\n");
        ensure!(matches(body, received.trim_end(), names), "the body is\n{received}\nnot\n{}", fill(body, names));
    }
    Ok(())
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.to_bytes()).into_owned()
}
