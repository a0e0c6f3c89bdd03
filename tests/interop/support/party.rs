//! Many watchers and publishers on one UDP socket: asks, answers each NOTIFY, and keeps what it was told last.

use std::collections::{HashMap, VecDeque};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use signalbox_sip::digest::{Answer, Challenge, Ha1};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;

use super::place::{DOMAIN, Place};
use super::sipp::password_of;
use super::wait::PATIENCE;

/// Requests that are out at a time.
const WINDOW: usize = 64;
/// After so long without an answer a request is sent again (RFC 3261 §17.1.2).
const REPEAT: Duration = Duration::from_millis(500);

/// A subscription as its watcher sees it.
pub(crate) struct Watch {
    watcher: String,
    presentity: String,
    event: &'static str,
    cseq: u32,
    remote_tag: Option<String>,
}

impl Watch {
    pub(crate) fn new(watcher: &str, presentity: &str) -> Self {
        Self::of("presence", watcher, presentity)
    }

    /// Of another event package.
    pub(crate) fn of(event: &'static str, watcher: &str, presentity: &str) -> Self {
        Self { watcher: watcher.to_owned(), presentity: presentity.to_owned(), event, cseq: 0, remote_tag: None }
    }
}

/// The last NOTIFY of a dialog.
struct Told {
    cseq: u32,
    branch: String,
    body: String,
    ended: bool,
}

pub(crate) struct Party<'a> {
    place: &'a Place,
    socket: UdpSocket,
    /// By Call-ID.
    told: HashMap<String, Told>,
    responses: HashMap<(String, u32), Message>,
    publishing: u32,
}

impl<'a> Party<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        let socket = UdpSocket::bind((place.address, 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        Self { place, socket, told: HashMap::new(), responses: HashMap::new(), publishing: 0 }
    }

    /// Subscribes or refreshes all of them; each must be accepted.
    #[track_caller]
    pub(crate) fn subscribe_all(&mut self, watches: &mut [Watch], expires: u32) {
        for some in watches.chunks_mut(WINDOW) {
            let asked: Vec<_> = some.iter_mut().map(|watch| self.ask_to_subscribe(watch, expires)).collect();
            let answers = self.answers(asked);
            for (watch, answer) in some.iter_mut().zip(answers) {
                assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.to_bytes()));
                watch.remote_tag = answer.to_tag().map(str::to_owned);
            }
        }
        let watchers: Vec<String> = watches.iter().map(|watch| watch.watcher.clone()).collect();
        self.until("each has had its NOTIFY", |party| watchers.iter().all(|watcher| party.told.contains_key(watcher)));
    }

    pub(crate) fn subscribe(&mut self, watch: &mut Watch, expires: u32) -> Message {
        let asked = self.ask_to_subscribe(watch, expires);
        let answer = self.answers(vec![asked]).remove(0);
        if answer.status() == 200 {
            watch.remote_tag = answer.to_tag().map(str::to_owned);
        }
        answer
    }

    fn ask_to_subscribe(&mut self, watch: &mut Watch, expires: u32) -> (String, u32, String) {
        watch.cseq += 1;
        let (watcher, presentity, event, local) = (&watch.watcher, &watch.presentity, watch.event, self.local());
        let tag = watch.remote_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let lines = format!(
            "From: <sip:{watcher}@{DOMAIN}>;tag={watcher}\r\nTo: <sip:{presentity}@{DOMAIN}>{tag}\r\n\
             Contact: <sip:{watcher}@{local}>\r\nEvent: {event}\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
        );
        self.request("SUBSCRIBE", presentity, (watcher, watch.cseq), &lines)
    }

    /// Publishes, with a note or without a body; the entity tag, or the response that refuses it.
    pub(crate) fn publish(
        &mut self,
        presentity: &str,
        tag: Option<&str>,
        note: Option<&str>,
        expires: u32,
    ) -> Result<String, Box<Message>> {
        self.publishing += 1;
        let body = note.map(|note| {
            format!(
                "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:{presentity}@{DOMAIN}\"><tuple id=\"t\"><status>\
                 <basic>open</basic></status></tuple><note>{note}</note></presence>"
            )
        });
        let body = body.unwrap_or_default();
        let content_type = if body.is_empty() { "" } else { "Content-Type: application/pidf+xml\r\n" };
        let condition = tag.map(|tag| format!("SIP-If-Match: {tag}\r\n")).unwrap_or_default();
        let lines = format!(
            "From: <sip:{presentity}@{DOMAIN}>;tag=p\r\nTo: <sip:{presentity}@{DOMAIN}>\r\nEvent: presence\r\nExpires: {expires}\r\n\
             {condition}{content_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let asked = self.request("PUBLISH", presentity, ("publish", self.publishing), &lines);
        let answer = self.answers(vec![asked]).remove(0);
        match answer.value(HeaderName::SipEtag) {
            Some(tag) if answer.status() == 200 => Ok(tag.to_owned()),
            _ => Err(Box::new(answer)),
        }
    }

    /// Sends a REGISTER of a user with an account, answers the challenge, and returns the final answer.
    pub(crate) fn prove(&mut self, user: &str) -> Message {
        let challenged = self.register_with(user, 600, "");
        let Some(value) = challenged.value(HeaderName::WwwAuthenticate).filter(|_| challenged.status() == 401) else {
            return challenged;
        };
        let challenge = Challenge::parse(value).expect("a challenge");
        let algorithm = challenge.algorithm.expect("an algorithm that is known here");
        let ha1 = Ha1::of(algorithm, user, &challenge.realm, &password_of(user));
        let uri = format!("sip:{DOMAIN}");
        let answer = Answer { username: user, method: "REGISTER", uri: &uri, cnonce: "c", count: 1 };
        let credentials = answer.to(&challenge, &ha1).expect("credentials");
        self.register_with(user, 600, &format!("Authorization: {credentials}\r\n"))
    }

    pub(crate) fn register(&mut self, user: &str, expires: u32) -> Message {
        self.register_with(user, expires, "")
    }

    fn register_with(&mut self, user: &str, expires: u32, more: &str) -> Message {
        self.publishing += 1;
        let local = self.local();
        let lines = format!(
            "From: <sip:{user}@{DOMAIN}>;tag=r\r\nTo: <sip:{user}@{DOMAIN}>\r\nContact: <sip:{user}@{local}>\r\n\
             Expires: {expires}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        let asked = self.request("REGISTER", "", ("register", self.publishing), &lines);
        self.answers(vec![asked]).remove(0)
    }

    /// Whether a response says when to ask again.
    pub(crate) fn retry_after(response: &Message) -> bool {
        response.has(HeaderName::RetryAfter)
    }

    /// How many were last told something with these words in it.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.told.values().filter(|told| told.body.contains(words)).count()
    }

    /// How many were told that their subscription is over.
    pub(crate) fn ended(&self) -> usize {
        self.told.values().filter(|told| told.ended).count()
    }

    /// Answers NOTIFYs until it is so.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            self.hear();
        }
    }

    /// Asks again until it is accepted.
    #[track_caller]
    pub(crate) fn until_accepted(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !ask(self) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            self.hear();
        }
    }

    fn local(&self) -> String {
        self.socket.local_addr().expect("its address").to_string()
    }

    /// The Call-ID is the name of who asks, as each has one dialog.
    fn request(&mut self, method: &str, user: &str, (name, cseq): (&str, u32), lines: &str) -> (String, u32, String) {
        let (at, local) = (if user.is_empty() { "" } else { "@" }, self.local());
        let text = format!(
            "{method} sip:{user}{at}{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{name}{method}{cseq}\r\n\
             Max-Forwards: 70\r\nCall-ID: {name}\r\nCSeq: {cseq} {method}\r\n{lines}"
        );
        (name.to_owned(), cseq, text)
    }

    /// Sends requests, and again while they have no answer.
    #[track_caller]
    fn answers(&mut self, asked: Vec<(String, u32, String)>) -> Vec<Message> {
        let deadline = Instant::now() + PATIENCE;
        let mut waiting: VecDeque<_> = asked.iter().collect();
        while !waiting.is_empty() {
            assert!(Instant::now() < deadline, "no answer to {} requests", waiting.len());
            for (_, _, text) in &waiting {
                // Refused while the server is down: it is sent again.
                let _ = self.socket.send_to(text.as_bytes(), self.place.server());
            }
            let repeat = Instant::now() + REPEAT;
            while Instant::now() < repeat && !waiting.is_empty() {
                self.hear();
                waiting.retain(|(name, cseq, _)| !self.responses.contains_key(&(name.clone(), *cseq)));
            }
        }
        asked.into_iter().map(|(name, cseq, _)| self.responses.remove(&(name, cseq)).expect("it was there")).collect()
    }

    /// Takes what has come, if anything has.
    #[track_caller]
    fn hear(&mut self) {
        let mut buffer = [0; 65_536];
        // An error says that nothing has come, or that the server is down.
        let Ok(length) = self.socket.recv(&mut buffer) else { return };
        let message = Message::parse(&buffer[..length]).expect("a message");
        if !message.is_request() {
            if message.status() >= 200 {
                self.responses.insert((message.call_id().to_owned(), message.cseq()), message);
            }
            return;
        }
        assert_eq!(*message.method(), Method::Notify);
        let _ = self.socket.send_to(&message.reply(200, "OK").to_bytes(), self.place.server());
        let branch = message.value(HeaderName::Via).unwrap_or_default().to_owned();
        let told = Told {
            cseq: message.cseq(),
            body: String::from_utf8_lossy(message.body()).into_owned(),
            ended: message.value(HeaderName::SubscriptionState).is_some_and(|state| state.starts_with("terminated")),
            branch,
        };
        let name = message.call_id();
        match self.told.get(name) {
            Some(before) if before.cseq == told.cseq && before.branch == told.branch => {}
            Some(before) => {
                assert!(told.cseq > before.cseq, "{name}: CSeq {} after {}", told.cseq, before.cseq);
                self.told.insert(name.to_owned(), told);
            }
            None => _ = self.told.insert(name.to_owned(), told),
        }
    }
}
