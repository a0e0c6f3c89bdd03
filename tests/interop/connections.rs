//! Limits and time-outs of TCP connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use signalbox_sip::message::Message;
use socket2::{Domain, Socket, Type};

use crate::support::place::{DOMAIN, Place};
use crate::support::server::{self, Server, run_signalbox};
use crate::support::wait::{PATIENCE, wait_for};

/// Answers everything, in the words of the sender.
const ANSWER: &str = "function route(msg) sl_send_reply(200, 'OK') end";

fn start<'a>(place: &'a Place, limits: &str, script: &str) -> Server<'a> {
    let address = place.server();
    let listen = format!("listen {{ \"udp:{address}\", \"tcp:{address}\" }}\nalias {{ \"{DOMAIN}\" }}\nworkers(1)\n");
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

/// Each answer is as long as its request. Who sends and doesn't read is given up when the kernel's buffers and ours are full;
/// everybody else is served on.
#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    let place = Place::on_loopback();
    let server = start(&place, "", ANSWER);
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
