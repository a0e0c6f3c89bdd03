//! Limits and time-outs of TCP connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use signalbox_sip::framing::{Frame, Framer};
use signalbox_sip::message::Message;
use socket2::{Domain, Socket, Type};

use crate::support::place::{DOMAIN, Place};
use crate::support::server::{self, Server, run_signalbox};
use crate::support::wait::{PATIENCE, wait_for};

/// Answers everything, in the words of the sender.
const ANSWER: &str = "function route(msg) sl_send_reply(200, 'OK') end";

fn start<'a>(place: &'a Place, limits: &str, script: &str) -> Server<'a> {
    start_with_workers(place, 1, limits, script)
}

fn start_with_workers<'a>(place: &'a Place, workers: u32, limits: &str, script: &str) -> Server<'a> {
    let address = place.server();
    let listen =
        format!("listen {{ \"udp:{address}\", \"tcp:{address}\" }}\nalias {{ \"{DOMAIN}\" }}\nworkers({workers})\n");
    server::write_settings(place, &format!("{listen}limits {{ {limits} }}\nroute_script \"route.lua\"\n"));
    place.write("route.lua", script);
    Server::start_again(place)
}

fn connect(place: &Place) -> TcpStream {
    let stream = TcpStream::connect(place.server()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

/// A request whose From tag is so many octets long.
fn request(protocol: &str, uri: &str, number: u32, tag_length: usize) -> String {
    let tag = "x".repeat(tag_length);
    format!(
        "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/{protocol} 127.0.0.1:9;rport;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{DOMAIN}>;tag={tag}\r\nTo: <sip:b@{DOMAIN}>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn options(number: u32) -> String {
    request("TCP", &format!("sip:{DOMAIN}"), number, 1)
}

/// Sends OPTIONS and tells whether it was answered; otherwise the connection has been closed.
fn is_answered(stream: &mut TcpStream, number: u32) -> bool {
    // Writing to a connection that is being closed may fail or not.
    let _ = stream.write_all(options(number).as_bytes());
    let mut answer = [0; 12];
    match stream.read_exact(&mut answer) {
        Ok(()) => answer == *b"SIP/2.0 200 ",
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("neither answered nor closed"),
        Err(_) => false,
    }
}

/// Reads to the end of the connection, and tells how long that took.
fn closed_after(mut stream: TcpStream) -> Duration {
    let begin = Instant::now();
    // A reset is an end as well.
    let end = stream.read_to_end(&mut Vec::new());
    assert!(end.is_ok() || end.is_err_and(|error| error.kind() != ErrorKind::WouldBlock), "never closed");
    begin.elapsed()
}

#[test]
fn a_silent_connection_is_closed_after_its_idle_time() {
    let place = Place::on_loopback();
    let _server = start(&place, "idle_timeout = '1s'", ANSWER);
    let mut stream = connect(&place);
    assert!(is_answered(&mut stream, 1));
    let closed = closed_after(stream);
    assert!(closed >= Duration::from_millis(900), "{closed:?}");
}

#[test]
fn a_connection_without_a_message_is_closed_whatever_else_comes() {
    let place = Place::on_loopback();
    let _server = start(&place, "first_message_timeout = '1s'", ANSWER);
    let mut stream = connect(&place);
    stream.write_all(b"\r\n\r\n").expect("a keep-alive");
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).expect("its answer");
    assert_eq!(answer, *b"\r\n");
    stream.write_all(&options(1).as_bytes()[..40]).expect("half a message");
    closed_after(stream);
    // One with a message stays.
    let mut stream = connect(&place);
    assert!(is_answered(&mut stream, 2));
    stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("a time-out");
    assert!(stream.read_to_end(&mut Vec::new()).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
}

#[test]
fn one_peer_has_no_more_connections_than_the_limit() {
    let place = Place::on_loopback();
    let _server = start(&place, "connections_per_peer = 2", ANSWER);
    let (mut first, mut second) = (connect(&place), connect(&place));
    assert!(is_answered(&mut first, 1) && is_answered(&mut second, 2));
    assert!(!is_answered(&mut connect(&place), 3));
    drop(first);
    wait_for("a place is free again", || is_answered(&mut connect(&place), 4).then_some(()));
}

/// A peer whose connections nobody accepts, as one behind a firewall: the request fails in the time that is set, not when its transaction
/// ends.
#[test]
fn a_connection_that_cannot_be_made_in_time_fails_its_request() {
    let place = Place::on_loopback();
    let _server = start(&place, "connect_timeout = '1s'", "function route(msg) t_relay() end");
    let (full, _waiting) = full_listener(&place);
    let target = format!("sip:b@{};transport=tcp", full.local_addr().expect("its address"));
    let socket = UdpSocket::bind((place.address, 0)).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let begin = Instant::now();
    socket.send_to(request("UDP", &target, 1, 1).as_bytes(), place.server()).expect("sent");
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("an answer");
    // §16.9: "as if […] a 503 (Service Unavailable)", which is passed on as 500 (§16.7 step 6).
    assert!(buffer[..length].starts_with(b"SIP/2.0 500 "), "{}", String::from_utf8_lossy(&buffer[..length]));
    assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&begin.elapsed()));
}

/// A listener that takes no connection any more, and the connections that fill it.
fn full_listener(place: &Place) -> (TcpListener, Vec<Socket>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((place.address, 0)).into()).expect("a free port");
    socket.listen(0).expect("listening");
    let address = socket.local_addr().expect("its address");
    let waiting = (0..4).map(|_| {
        let one = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        one.set_nonblocking(true).expect("not to wait");
        // Under way, or waiting for ever.
        let _ = one.connect(&address);
        one
    });
    let waiting = waiting.collect();
    (socket.into(), waiting)
}

/// Each answer is as long as its request. A peer that sends and does not read is closed after `write_timeout`;
/// all others are still served.
#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    let place = Place::on_loopback();
    let server = start(&place, "write_timeout = '1s'", ANSWER);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Else the kernel would hold 32 MB for it.
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&place.server().parse::<SocketAddr>().expect("an address").into()).expect("a connection");
    let mut deaf = TcpStream::from(socket);
    deaf.set_write_timeout(Some(PATIENCE)).expect("a time-out");
    let uri = format!("sip:{DOMAIN}");
    // Fails where the server has given up already.
    let _ = (0..500).try_for_each(|number| deaf.write_all(request("TCP", &uri, number, 30_000).as_bytes()));
    wait_for("it is given up", || (connections(&place) == 0).then_some(()));
    assert_eq!(server.reason_of_options().as_deref(), Some("OK"));
    assert!(is_answered(&mut connect(&place), 1));
}

/// Messages to a slow reader: 12 MESSAGEs of 500 kB, of which only some have room.
#[test]
fn a_slow_reader_gets_what_had_room_and_stays_connected() {
    let place = Place::on_loopback();
    let script = "function route(msg) if msg.method == 'OPTIONS' then sl_send_reply(200, 'OK') else t_relay() end end";
    let _server = start(&place, "", script);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&place.server().parse::<SocketAddr>().expect("an address").into()).expect("a connection");
    let mut slow = TcpStream::from(socket);
    slow.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    assert!(is_answered(&mut slow, 1));
    let mut rest = [0; 4096];
    let _ = slow.read(&mut rest).expect("the rest of the answer");
    let target = format!("sip:b@{};transport=tcp", slow.local_addr().expect("its address"));

    let mut sender = connect(&place);
    let body = "x".repeat(500_000);
    for number in 0..12 {
        let message = request("TCP", &target, 100 + number, 1).replace("OPTIONS", "MESSAGE");
        let message = message.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: 500000\r\n\r\n{body}"));
        sender.write_all(message.as_bytes()).expect("sent");
    }
    // Messages without room fail at once, each by itself.
    let refused = read_responses(&mut sender, 8);
    assert!(refused.iter().all(|response| response.status() == 500), "{refused:?}");
    let got = read_messages(&mut slow, 2);
    assert!(got.iter().all(|message| message.body().len() == 500_000));
    // Some are still being sent; the connection goes on.
    assert_eq!(connections(&place), 2);
}

/// Reads until this many final responses have come.
fn read_responses(stream: &mut TcpStream, count: usize) -> Vec<Message> {
    read_until(stream, count, |message| !message.is_request() && message.status() >= 200)
}

fn read_messages(stream: &mut TcpStream, count: usize) -> Vec<Message> {
    read_until(stream, count, Message::is_request)
}

fn read_until(stream: &mut TcpStream, count: usize, is_wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
    let (mut framer, mut found, mut buffer) = (Framer::new(), Vec::new(), vec![0; 65_536]);
    while found.len() < count {
        let length = stream.read(&mut buffer).expect("a message");
        assert!(length > 0, "closed after {} messages", found.len());
        framer.push(&buffer[..length]);
        while let Some(frame) = framer.next() {
            let Ok(Frame::Message(message)) = frame else { continue };
            found.extend(Some(message).filter(&is_wanted));
        }
    }
    found
}

/// A phone's Contact is its own end of a connection that it made, and any worker may have accepted that. ACK and BYE go
/// without a transaction or with one; NOTIFY, OPTIONS and INVITE too.
#[test]
fn requests_to_a_phone_on_tcp_go_over_its_connection_whichever_worker_accepted_it() {
    let place = Place::on_loopback();
    let script = "function route(msg)
           if not msg.ruri.user then sl_send_reply(200, 'OK') else t_relay() end
         end";
    let _server = start_with_workers(&place, 3, "", script);
    let mut phones: Vec<TcpStream> = (0..4).map(|_| connect(&place)).collect();
    for (phone, number) in phones.iter_mut().zip(0..) {
        phone.write_all(options(number).as_bytes()).expect("sent");
        assert_eq!(read_responses(phone, 1)[0].status(), 200);
    }
    for sender in 0..6 {
        let socket = UdpSocket::bind((place.address, 0)).expect("a free port");
        for (phone, method) in phones.iter_mut().zip(["ACK", "BYE", "NOTIFY", "INVITE"]) {
            let target = format!("sip:b@{};transport=tcp", phone.local_addr().expect("its address"));
            let text = request("UDP", &target, 1000 + sender, 1).replace("OPTIONS", method);
            let text = text.replace(";tag=x\r\nTo", &format!(";tag={method}\r\nTo"));
            socket.send_to(text.as_bytes(), place.server()).expect("sent");
            let got = read_messages(phone, 1);
            assert_eq!((got[0].method().as_str(), got[0].from_tag()), (method, Some(method)));
        }
    }
    assert_eq!(connections(&place), 4, "no connection was made");
}

/// The workers share the connection that the first of them makes.
#[test]
fn workers_that_reach_one_peer_at_once_share_a_connection() {
    let place = Place::on_loopback();
    let _server = start_with_workers(&place, 3, "", "function route(msg) t_relay() end");
    let peer = TcpListener::bind((place.address, 0)).expect("a free port");
    let target = format!("sip:b@{};transport=tcp", peer.local_addr().expect("its address"));
    let sockets: Vec<_> = (0..12).map(|_| UdpSocket::bind((place.address, 0)).expect("a free port")).collect();
    for (socket, number) in sockets.iter().zip(0..) {
        let text = request("UDP", &target, number, 1).replace("OPTIONS", "MESSAGE");
        socket.send_to(text.as_bytes(), place.server()).expect("sent");
    }
    let (mut stream, _) = peer.accept().expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    assert_eq!(read_messages(&mut stream, 12).len(), 12);
    assert_eq!(connections(&place), 1);
}

#[test]
fn a_connection_that_cannot_be_made_fails_the_requests_of_all_workers() {
    let place = Place::on_loopback();
    let _server = start_with_workers(&place, 3, "connect_timeout = '1s'", "function route(msg) t_relay() end");
    let (full, _waiting) = full_listener(&place);
    let target = format!("sip:b@{};transport=tcp", full.local_addr().expect("its address"));
    let sockets: Vec<_> = (0..8).map(|_| UdpSocket::bind((place.address, 0)).expect("a free port")).collect();
    for (socket, number) in sockets.iter().zip(0..) {
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        socket.send_to(request("UDP", &target, number, 1).as_bytes(), place.server()).expect("sent");
    }
    for socket in &sockets {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("an answer");
        assert!(buffer[..length].starts_with(b"SIP/2.0 500 "));
    }
}

/// §18.1.1: a request that is too large for a datagram is sent as one only if no connection can be made.
#[test]
fn a_request_without_room_on_a_connection_does_not_go_by_a_datagram() {
    const REQUESTS: u32 = 150;
    const BODY: usize = 30_000;
    let place = Place::on_loopback();
    let listener = TcpListener::bind((place.address, 0)).expect("a free port");
    let at = listener.local_addr().expect("its address");
    let datagrams = UdpSocket::bind(at).expect("the same port");
    datagrams.set_nonblocking(true).expect("not to wait");
    for workers in [1, 3] {
        let answer = "if msg.ruri.user ~= 'b' then return sl_send_reply(200) end";
        let script =
            format!("function route(msg) {answer} if not t_relay_to('sip:{at}') then sl_reply_error() end end");
        let _server = start_with_workers(&place, workers, "write_timeout = '30s'", &script);
        let mut stream = connect(&place);
        let mut refused = stream.try_clone().expect("its other half");
        let reading = std::thread::spawn(move || read_responses(&mut refused, 20));
        for number in 0..REQUESTS {
            let head = request("TCP", &format!("sip:b@{DOMAIN}"), number, 1);
            let head = head.replace("Content-Length: 0", &format!("Content-Length: {BODY}"));
            stream.write_all(&[head.as_bytes(), &[b'x'; BODY]].concat()).expect("sent");
        }
        let refused = reading.join().expect("those that had no room");
        assert!(refused.iter().all(|response| response.status() == 500), "{:?}", refused[0].status());
        assert_eq!(datagrams.recv(&mut [0; 65_536]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    }
}

/// Copies of the body would take 15 MB, besides the 9 MB that reading it takes at the most.
#[test]
fn a_large_body_for_many_targets_is_held_once() {
    const TARGETS: usize = 30;
    const BODY: usize = 500_000;
    let place = Place::on_loopback();
    let full: Vec<_> = (0..TARGETS).map(|_| full_listener(&place)).collect();
    let targets = full
        .iter()
        .map(|(full, _)| format!("append_branch('sip:b@{};transport=tcp') ", full.local_addr().expect("its address")));
    let script = format!(
        "function route(msg) if msg.ruri.user ~= 'b' then return sl_send_reply(200) end {} t_relay() end",
        targets.collect::<String>()
    );
    let server = start(&place, "connect_timeout = '20s'", &script);
    let mut stream = connect(&place);
    let before = resident(&server);
    let head = request("TCP", &format!("sip:b@{DOMAIN}"), 1, 1)
        .replace("Content-Length: 0", &format!("Content-Length: {BODY}"));
    stream.write_all(&[head.as_bytes(), &vec![b'x'; BODY]].concat()).expect("sent");
    wait_for("all branches have been sent", || (counter(&place, "requests_sent") == TARGETS as u64).then_some(()));
    let more = resident(&server).saturating_sub(before);
    assert!(more < 24 * BODY as u64, "{more} octets");
}

/// Octets of memory that a server has.
fn resident(server: &Server<'_>) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).expect("a running process");
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
    kilobytes.and_then(|text| text.trim().parse::<u64>().ok()).expect("kB") * 1024
}

#[test]
fn a_bad_message_is_answered_and_its_connection_stays() {
    let place = Place::on_loopback();
    let _server = start(&place, "", ANSWER);
    let mut stream = connect(&place);
    let bad = |number, from: &str, to: &str| options(number).replacen(from, to, 1);
    for (text, status) in [
        (bad(1, "SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505),
        (bad(2, "CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), 400),
        (bad(3, "Content-Length: 0\r\n\r\n", &format!("Content-Length: 600000\r\n\r\n{}", "z".repeat(600_000))), 413),
        (options(4), 200),
    ] {
        stream.write_all(text.as_bytes()).expect("sent");
        assert_eq!(read_responses(&mut stream, 1)[0].status(), status);
    }
    // After this message the beginning of the next one is unknown.
    stream.write_all(bad(5, "Content-Length: 0", "Content-Length: 0\r\nl: 7").as_bytes()).expect("sent");
    closed_after(stream);
}

#[test]
fn each_message_has_a_time_not_only_the_first() {
    let place = Place::on_loopback();
    let _server = start(&place, "message_timeout = '1s'", ANSWER);
    for cut in [40, options(2).len() - 10] {
        let mut stream = connect(&place);
        assert!(is_answered(&mut stream, 1));
        let mut half = options(2);
        half.truncate(cut);
        stream.write_all(half.as_bytes()).expect("half a message");
        closed_after(stream);
    }
    let mut stream = connect(&place);
    assert!(is_answered(&mut stream, 3));
    let body = request("TCP", &format!("sip:{DOMAIN}"), 4, 1).replace("Content-Length: 0", "Content-Length: 9");
    stream.write_all(format!("{body}half").as_bytes()).expect("half a body");
    closed_after(stream);
    wait_for("they are counted", || (counter(&place, "connections_given_up") == 3).then_some(()));
}

#[test]
fn octets_of_unfinished_messages_are_limited_for_one_peer_at_all_workers() {
    let place = Place::on_loopback();
    let _server = start_with_workers(&place, 3, "octets_per_peer = 1048576", ANSWER);
    let head = options(1).replace("Content-Length: 0", "Content-Length: 500000");
    let half = format!("{head}{}", "z".repeat(300_000));
    let mut streams: Vec<TcpStream> = (0..8).map(|_| connect(&place)).collect();
    for stream in &mut streams {
        // Fails if the server has closed the connection already.
        let _ = stream.write_all(half.as_bytes());
    }
    wait_for("only three have room", || (connections(&place) <= 3).then_some(()));
    drop(streams);
    wait_for("their place is free", || is_answered(&mut connect(&place), 2).then_some(()));
}

fn counter(place: &Place, name: &str) -> u64 {
    let output = run_signalbox(place, &["ctl", "--json", "core", "counters"]);
    let counters: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    counters[name].as_u64().unwrap_or_else(|| panic!("{counters}"))
}

/// §18.2.2 of RFC 3261: the sender is at another port now, and listens where its Via says.
#[test]
fn an_answer_whose_connection_is_gone_comes_over_a_new_one() {
    let place = Place::on_loopback();
    let _server = start(&place, "", "function route(msg) t_relay() end");
    // The address that connections to loopback addresses come from.
    let (listener, bob) = (TcpListener::bind(("127.0.0.1", 0)), UdpSocket::bind((place.address, 0)));
    let (listener, bob) = (listener.expect("a free port"), bob.expect("a free port"));
    bob.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let uri = format!("sip:bob@{}", bob.local_addr().expect("its address"));
    let via = listener.local_addr().expect("its address").to_string();
    let mut stream = connect(&place);
    stream.write_all(request("TCP", &uri, 1, 1).replace("127.0.0.1:9", &via).as_bytes()).expect("sent");
    let mut buffer = [0; 4096];
    let length = bob.recv(&mut buffer).expect("the request");
    drop(stream);
    wait_for("the server has noticed", || (connections(&place) == 0).then_some(()));

    let request = Message::parse(&buffer[..length]).expect("a request");
    bob.send_to(&request.reply(200, "Late").to_bytes(), place.server()).expect("sent");
    listener.set_nonblocking(true).expect("not to wait for ever");
    let (mut stream, _) = wait_for("a new connection", || listener.accept().ok());
    stream.set_nonblocking(false).expect("to wait for the answer");
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).expect("the answer");
    assert_eq!(answer, *b"SIP/2.0 200 Late");
}

/// How many there are, by the server's own account.
fn connections(place: &Place) -> u64 {
    let output = run_signalbox(place, &["ctl", "--json", "core", "status"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    status["connections"].as_u64().unwrap_or_else(|| panic!("{status}"))
}
