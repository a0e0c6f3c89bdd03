//! What `0.0.0.0` and `[::]` stand for: the addresses of this machine.
//!
//! Others must be told an address that they can reach, in Via, Record-Route and Contact; and an answer must leave from
//! the address that the question came to. So each address gets a listener of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::LazyLock;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use super::Listener;

/// An address of this machine, and the length of the prefix that it shares with its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    pub address: IpAddr,
    pub prefix: u8,
}

/// The addresses that this machine has at present, that of the default route first and loopback ones last. None where the
/// system doesn't tell.
pub fn interfaces() -> Vec<Interface> {
    let addresses = getifaddrs().into_iter().flatten().filter(|found| found.flags.contains(InterfaceFlags::IFF_UP));
    let mut interfaces: Vec<Interface> = addresses
        .filter_map(|found| {
            let address = ip(&found.address?)?;
            let prefix = found.netmask.as_ref().and_then(ip).map_or(0, prefix);
            Some(Interface { address, prefix })
        })
        .filter(|interface| !is_link_local(interface.address))
        .collect();
    let towards_default = [towards(Ipv4Addr::UNSPECIFIED.into()), towards(Ipv6Addr::UNSPECIFIED.into())];
    interfaces.sort_by_key(|interface| {
        (interface.address.is_loopback(), !towards_default.contains(&Some(interface.address)))
    });
    interfaces
}

/// Whether the machine had this address when this was first called, which is about the start of the server.
pub(crate) fn is_own_address(address: IpAddr) -> bool {
    static OWN: LazyLock<Vec<IpAddr>> =
        LazyLock::new(|| interfaces().iter().map(|interface| interface.address).collect());
    OWN.contains(&address)
}

/// Puts a listener for each address in the place of those that listen on all, and tells all which networks they are in.
pub fn expand(listeners: &[Listener], interfaces: &[Interface]) -> Vec<Listener> {
    let mut expanded: Vec<Listener> = Vec::new();
    for listener in listeners {
        let same_family = |interface: &&Interface| interface.address.is_ipv4() == listener.address.is_ipv4();
        let meant = |interface: &&Interface| {
            interface.address == listener.address.ip() || listener.address.ip().is_unspecified()
        };
        let concrete = interfaces.iter().filter(same_family).filter(meant).map(|interface| Listener {
            address: SocketAddr::new(interface.address, listener.address.port()),
            prefix: Some(interface.prefix),
            ..listener.clone()
        });
        let mut concrete: Vec<Listener> = concrete.collect();
        if concrete.is_empty() {
            // The start tells of an address that no interface has.
            concrete.push(listener.clone());
        }
        for listener in concrete {
            if !expanded.contains(&listener) {
                expanded.push(listener);
            }
        }
    }
    expanded
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn prefix(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(0)
}

/// Good only together with the name of an interface, which no SIP header can carry.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The address that packets to the world leave from. Connecting a datagram socket sends nothing.
fn towards(unspecified: IpAddr) -> Option<IpAddr> {
    // Addresses for documentation: routed nowhere but by default.
    let world: IpAddr = match unspecified {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect((world, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Protocol;

    const MACHINE: [Interface; 4] = [
        Interface { address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5)), prefix: 24 },
        Interface { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), prefix: 8 },
        Interface { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix: 8 },
        Interface { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
    ];

    fn listener(address: &str) -> Listener {
        Listener { protocol: Protocol::Udp, address: address.parse().unwrap(), advertise: None, prefix: None }
    }

    fn expanded(addresses: &[&str]) -> Vec<(String, Option<u8>)> {
        let listeners: Vec<_> = addresses.iter().map(|address| listener(address)).collect();
        expand(&listeners, &MACHINE).iter().map(|one| (one.address.to_string(), one.prefix)).collect()
    }

    #[test]
    fn a_listener_on_all_addresses_becomes_one_for_each_of_its_family() {
        let v4 = [("203.0.113.5:5060", 24), ("10.0.0.2:5060", 8), ("127.0.0.1:5060", 8)];
        assert_eq!(expanded(&["0.0.0.0:5060"]), v4.map(|(address, prefix)| (address.to_owned(), Some(prefix))));
        assert_eq!(expanded(&["[::]:5070"]), [("[::1]:5070".to_owned(), Some(128))]);
    }

    #[test]
    fn an_address_that_is_named_twice_is_listened_on_once() {
        assert_eq!(expanded(&["127.0.0.1:5060", "0.0.0.0:5060", "127.0.0.1:5060"]).len(), 3);
        assert_eq!(expanded(&["127.0.0.1:5060", "127.0.0.1:5070"]).len(), 2);
    }

    #[test]
    fn an_address_that_no_interface_has_stays_for_the_start_to_refuse() {
        assert_eq!(expanded(&["192.0.2.77:5060"]), [("192.0.2.77:5060".to_owned(), None)]);
    }

    #[test]
    fn this_machine_has_a_loopback_address_and_it_comes_last() {
        let interfaces = interfaces();
        let first = interfaces.iter().position(|interface| interface.address.is_loopback()).unwrap();
        assert!(interfaces[first..].iter().all(|interface| interface.address.is_loopback()), "{interfaces:?}");
    }
}
