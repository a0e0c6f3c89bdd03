//! Several workers, and one peer that has more for them than one can do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::iter;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use signalbox_sip::framing::{Frame, Framer};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;

use crate::support::place::{DOMAIN, Place};
use crate::support::server::{self, Server, run_signalbox};
use crate::support::sipp::{self, Sipp};
use crate::support::wait::wait_for;

const WORKERS: u32 = 3;
/// Requests that are sent at once: some tenths of a second of work.
const BURST: usize = 120;

/// Each request takes some milliseconds, and its answer tells which run of the script it was. Calls go to BOB.
const SCRIPT: &str = "
local count, state = 0, tostring({})
function route(msg)
  if msg.method == 'ACK' then return end
  count = count + 1
  local run = state .. ' ' .. count
  for i = 1, 100000 do run = run .. '' end
  if msg.method == 'INVITE' then
    t_relay_to('sip:BOB')
  else
    t_reply(200, run)
  end
end";

fn start<'a>(place: &'a Place, bob: &str) -> Server<'a> {
    start_with(place, &SCRIPT.replace("BOB", bob))
}

fn start_with<'a>(place: &'a Place, script: &str) -> Server<'a> {
    let address = place.server();
    let listen = format!("listen {{ \"udp:{address}\", \"tcp:{address}\" }}\nalias {{ \"{DOMAIN}\" }}\n");
    let settings =
        format!("{listen}workers({WORKERS})\nlimits {{ overload_delay = '30s' }}\nroute_script \"route.lua\"\n");
    server::write_settings(place, &settings);
    place.write("route.lua", script);
    Server::start_again(place)
}

/// A peer with one address and port.
struct Peer<'a> {
    place: &'a Place,
    socket: UdpSocket,
}

impl<'a> Peer<'a> {
    fn new(place: &'a Place) -> Self {
        let socket = UdpSocket::bind((place.address, 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        Self { place, socket }
    }

    fn send(&self, method: &str, call: usize) {
        self.send_as(self, method, call);
    }

    /// Sends what `other` might send.
    fn send_as(&self, other: &Self, method: &str, call: usize) {
        self.socket.send_to(other.request(method, call).as_bytes(), self.place.server()).expect("sent");
    }

    fn request(&self, method: &str, call: usize) -> String {
        let local = self.socket.local_addr().expect("its address");
        let cseq = if method == "CANCEL" { "INVITE" } else { method };
        let branch = format!("z9hG4bK{cseq}{call}");
        format!(
            "{method} sip:bob@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@{DOMAIN}>;tag={call}\r\nTo: <sip:b@{DOMAIN}>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    /// Waits for a request of this method, and answers the INVITE of the call.
    fn answer(&self, method: &str, call: usize, status: u16) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).expect("a request");
            let mut request = Message::parse(&buffer[..length]).expect("a request");
            if request.method().as_str() != method || request.from_tag() != Some(&call.to_string()) {
                continue;
            }
            let send = |response: Message| {
                self.socket.send_to(&response.to_bytes(), self.place.server()).expect("sent");
            };
            if method == "CANCEL" {
                send(request.reply(200, "OK"));
                request.set(HeaderName::CSeq, "1 INVITE");
            }
            let mut response = request.reply(status, "");
            response.set_to_tag("bob");
            return send(response);
        }
    }

    /// Waits for a request of this method, and gives the branch of its topmost Via.
    fn branch_of(&self, method: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).expect("a request");
            let request = Message::parse(&buffer[..length]).expect("a request");
            if request.method().as_str() == method {
                return request.top_via().expect("a Via").branch().expect("its branch").to_owned();
            }
        }
    }

    fn hears_of_cancelled(&self, call: usize) {
        // Those to earlier calls come again: nobody acknowledges them.
        let next = || iter::repeat_with(|| self.receive()).find(|(of, ..)| *of == call).expect("one of this call");
        let mut answers = [next(), next()];
        answers.sort();
        let expected = [("CANCEL", "OK"), ("INVITE", "Request Terminated")];
        assert_eq!(answers, expected.map(|(method, reason)| (call, method.to_owned(), reason.to_owned())));
    }

    /// The next final response: its Call-ID, method and reason.
    fn receive(&self) -> (usize, String, String) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).expect("an answer");
            let response = Message::parse(&buffer[..length]).expect("a response");
            if response.status() >= 200 {
                let call = response.call_id().parse().expect("a Call-ID of ours");
                return (call, response.method().to_string(), response.reason().to_owned());
            }
        }
    }
}

fn counter(place: &Place, name: &str) -> u64 {
    let output = run_signalbox(place, &["ctl", "--json", "core", "counters"]);
    let counters: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    counters[name].as_u64().unwrap_or_else(|| panic!("{counters}"))
}

#[test]
fn all_workers_serve_one_busy_peer_and_each_request_once() {
    let place = Place::on_loopback();
    let _server = start(&place, "");
    let peer = Peer::new(&place);
    (0..BURST).for_each(|call| peer.send("OPTIONS", call));
    let mut answers = BTreeMap::new();
    while answers.len() < BURST {
        let (call, _, run) = peer.receive();
        answers.insert(call, run);
    }
    assert!(counter(&place, "requests_handed_over") > 0);
    // What comes again meets the same transaction, wherever that is.
    for (call, run) in answers {
        peer.send("OPTIONS", call);
        assert_eq!(peer.receive(), (call, "OPTIONS".to_owned(), run));
    }
    assert_eq!(counter(&place, "repeated_requests"), BURST as u64);
}

/// A connection belongs to one worker; what comes over it does not, and the answers of all workers go back over it.
#[test]
fn all_workers_serve_one_busy_connection() {
    let place = Place::on_loopback();
    let _server = start(&place, "");
    let mut stream = TcpStream::connect(place.server()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let peer = Peer::new(&place);
    let requests: String = (0..BURST).map(|call| peer.request("OPTIONS", call).replace("/UDP", "/TCP")).collect();
    stream.write_all(requests.as_bytes()).expect("sent");
    let (mut framer, mut buffer, mut answered) = (Framer::new(), [0; 4096], BTreeSet::new());
    while answered.len() < BURST {
        let length = stream.read(&mut buffer).expect("an answer");
        assert!(length > 0, "the connection is closed after {} answers", answered.len());
        framer.push(&buffer[..length]);
        while let Some(frame) = framer.next() {
            let Ok(Frame::Message(response)) = frame else { panic!("{frame:?}") };
            assert_eq!(response.status(), 200);
            assert!(answered.insert(response.call_id().to_owned()), "answered twice");
        }
    }
    assert!(counter(&place, "requests_handed_over") > 0);
}

/// RFC 3261 §18.4: ICMP reports to any worker that the port is closed.
#[test]
fn a_closed_port_fails_a_branch_at_once_and_the_next_is_tried() {
    let place = Place::on_loopback();
    let peers: Vec<_> = (0..12).map(|_| Peer::new(&place)).collect();
    let bob = Peer::new(&place);
    // The kernel chooses the worker that gets each report.
    let closed: Vec<_> = (0..12).map(|_| Peer::new(&place).socket.local_addr().expect("its address")).collect();
    let script = closed.iter().map(|address| format!("append_branch('sip:bob@{address}') ")).collect::<String>();
    let bob_at = bob.socket.local_addr().expect("its address");
    let answer = "if msg.method == 'OPTIONS' then return sl_send_reply(200) end";
    let script = format!("function route(msg) {answer} {script} append_branch('sip:bob@{bob_at}', 100) t_relay() end");
    let _server = start_with(&place, &script);
    let began = std::time::Instant::now();
    for (peer, call) in peers.iter().zip(0..) {
        peer.send("MESSAGE", call);
        bob.answer("MESSAGE", call, 200);
        assert_eq!(peer.receive().0, call);
    }
    // A retransmission would take half a second.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_cancel_finds_its_invite_at_whatever_worker_that_is() {
    let place = Place::on_loopback();
    let (peer, bob) = (Peer::new(&place), Peer::new(&place));
    let _server = start(&place, &bob.socket.local_addr().expect("its address").to_string());
    (0..BURST).for_each(|call| peer.send("OPTIONS", call));
    (0..BURST).for_each(|_| drop(peer.receive()));
    wait_for("requests are handed over", || (counter(&place, "requests_handed_over") > 0).then_some(()));
    for call in 1000..1012 {
        peer.send("INVITE", call);
        bob.answer("INVITE", call, 180);
        peer.send("CANCEL", call);
        bob.answer("CANCEL", call, 487);
        peer.hears_of_cancelled(call);
    }
}

/// Through another connection, or after a NAT has forgotten the sender: the branch alone says which INVITE is meant (§9.1).
#[test]
fn a_cancel_finds_its_invite_whichever_way_it_comes() {
    let place = Place::on_loopback();
    let (peer, bob) = (Peer::new(&place), Peer::new(&place));
    let _server = start(&place, &bob.socket.local_addr().expect("its address").to_string());
    for call in 0..8 {
        peer.send("INVITE", call);
        bob.answer("INVITE", call, 180);
        // Its Via is that of the INVITE, and so responses go to who sent that.
        Peer::new(&place).send_as(&peer, "CANCEL", call);
        bob.answer("CANCEL", call, 487);
        peer.hears_of_cancelled(call);
    }
}

#[test]
fn all_workers_have_the_new_script_when_a_reload_is_done() {
    let place = Place::on_loopback();
    let _server = start(&place, "");
    for version in 0..4 {
        place.write("route.lua", &format!("function route(msg) t_reply(200, 'version {version}') end"));
        assert!(run_signalbox(&place, &["ctl", "core", "reload"]).status.success());
        let peers: Vec<_> = (0..12).map(|_| Peer::new(&place)).collect();
        for (peer, call) in peers.iter().zip(version * 100..) {
            peer.send("OPTIONS", call);
            assert_eq!(peer.receive(), (call, "OPTIONS".to_owned(), format!("version {version}")));
        }
    }
}

/// §16.11: a CANCEL of what was forwarded without a transaction is forwarded with the branch of that.
#[test]
fn a_stateless_proxy_sends_a_cancel_after_its_invite() {
    let place = Place::on_loopback();
    let bob = Peer::new(&place);
    let _server = start(&place, "");
    let target = bob.socket.local_addr().expect("its address");
    place.write("route.lua", &format!("function route(msg) forward('sip:{target}') end"));
    assert!(run_signalbox(&place, &["ctl", "core", "reload"]).status.success());
    for call in 0..8 {
        // Each at another worker.
        let peer = Peer::new(&place);
        peer.send("INVITE", call);
        let invite = bob.branch_of("INVITE");
        peer.send("CANCEL", call);
        assert_eq!(bob.branch_of("CANCEL"), invite);
    }
}

#[test]
fn phones_register_and_exchange_messages_with_several_workers() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start_with(&place, &format!("workers({WORKERS})\n"));
    for round in 0..2 {
        let (bob, alice) = (5071 + round * 10, 5080 + round * 10);
        Sipp::new(&place, "register", "bob", bob).with("expires", 600).play();
        let receiver = Sipp::new(&place, "message_receive", "bob", bob).with("text", "hello").start();
        let sender = Sipp::new(&place, "message_send", "alice", alice).with("to", "bob").with("text", "hello");
        sender.with("status", 200).play();
        receiver.succeeds();
        Sipp::new(&place, "unregister", "bob", bob).play();
    }
}
