//! Reports of the network about datagrams that did not arrive (ICMP, RFC 792, RFC 4443). The kernel keeps the beginning
//! of each datagram, which identifies the request.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use socket2::Socket;

use super::incoming::address;

/// Octets that are read of each reported datagram. A router returns at most 548 for IPv4 (RFC 1812 §4.3.2.3) and 1232
/// for IPv6 (RFC 4443 §2.4).
const QUOTED: usize = 1280;
/// Reports that are read at a time.
const MAX_AT_ONCE: usize = 64;
/// Types of ICMP (RFC 792) and ICMPv6 (RFC 4443).
const ICMP_UNREACHABLE: u8 = 3;
const ICMP6_UNREACHABLE: u8 = 1;

/// Makes the kernel keep the network's reports about the datagrams of a socket.
pub(super) fn ask_for(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Removes and returns the reports: the beginning of each datagram that cannot be delivered, its destination, and the
/// reason.
pub(crate) fn take(socket: &UdpSocket, mut tell: impl FnMut(&[u8], SocketAddr, ErrorKind)) {
    let mut quoted = [0; QUOTED];
    let mut control = nix::cmsg_space!([u8; 128]);
    for _ in 0..MAX_AT_ONCE {
        let mut slices = [IoSliceMut::new(&mut quoted)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        // An error means that there are no more reports.
        let Ok(report) = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) else {
            return;
        };
        let remote = report.address.as_ref().and_then(address);
        let errors = report.cmsgs().into_iter().flatten();
        let kind = errors.filter_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                unreachable(&error)
            }
            _ => None,
        });
        let (kind, octets) = (kind.last(), report.bytes);
        if let (Some(remote), Some(kind)) = (remote, kind) {
            tell(quoted.get(..octets).unwrap_or_default(), remote, kind);
        }
    }
}

/// "Host, network, port or protocol unreachable errors […] SHOULD cause the transport layer to inform the transport user of a failure in
/// sending. Source quench and TTL exceeded ICMP errors SHOULD be ignored" (RFC 3261 §18.4).
fn unreachable(error: &libc::sock_extended_err) -> Option<ErrorKind> {
    let is_unreachable = matches!(
        (error.ee_origin, error.ee_type),
        (libc::SO_EE_ORIGIN_ICMP, ICMP_UNREACHABLE) | (libc::SO_EE_ORIGIN_ICMP6, ICMP6_UNREACHABLE)
    );
    let number = error.ee_errno.cast_signed();
    // The network requires smaller packets. The kernel makes them next time.
    let is_size = number == libc::EMSGSIZE;
    (is_unreachable && !is_size).then(|| io::Error::from_raw_os_error(number).kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reports_of_unreachable_hosts_fail_a_request() {
        let report = |(origin, kind), number: i32| {
            unreachable(&libc::sock_extended_err {
                ee_errno: number.cast_unsigned(),
                ee_origin: origin,
                ee_type: kind,
                ee_code: 0,
                ee_pad: 0,
                ee_info: 0,
                ee_data: 0,
            })
        };
        let (v4, v6) = (libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6);
        assert_eq!(report((v4, 3), libc::ECONNREFUSED), Some(ErrorKind::ConnectionRefused));
        assert_eq!(report((v6, 1), libc::EHOSTUNREACH), Some(ErrorKind::HostUnreachable));
        assert_eq!(report((v4, 11), libc::EHOSTUNREACH), None, "the time to live is over");
        assert_eq!(report((v6, 3), libc::EHOSTUNREACH), None, "likewise");
        assert_eq!(report((v4, 3), libc::EMSGSIZE), None, "too large a packet");
        assert_eq!(report((libc::SO_EE_ORIGIN_LOCAL, 3), libc::EHOSTUNREACH), None, "no report of the network");
    }

    #[test]
    fn a_closed_port_is_reported_with_the_beginning_of_the_datagram() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let socket: UdpSocket = super::super::bind(host.parse().unwrap()).unwrap();
            let gone = UdpSocket::bind(host).unwrap().local_addr().unwrap();
            socket.send_to(b"MESSAGE", gone).unwrap();
            let mut reports = Vec::new();
            take(&socket, |octets, remote, kind| reports.push((octets.to_vec(), remote, kind)));
            assert_eq!(reports, [(b"MESSAGE".to_vec(), gone, ErrorKind::ConnectionRefused)]);
            take(&socket, |_, _, _| panic!("it is told once"));
        }
    }
}
