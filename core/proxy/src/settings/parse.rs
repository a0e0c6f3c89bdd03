//! Addresses and names as people write them in settings.

use std::net::{IpAddr, SocketAddr};

use crate::transport::{Listener, Protocol};

/// Reads `udp:0.0.0.0:5060`, `tcp:[::]:5060`, or either without its port, which then is the default one. The error says
/// what would be right.
pub fn listener(text: &str) -> Result<Listener, String> {
    let right = "write protocol:address:port, such as \"udp:0.0.0.0:5060\" or \"tcp:[::]:5060\"";
    let (protocol, address) = text.split_once(':').ok_or_else(|| format!("\"{text}\" names no protocol; {right}"))?;
    let protocol = Protocol::parse(protocol)
        .ok_or_else(|| format!("\"{protocol}\" in \"{text}\" is no transport spoken here (udp, tcp); {right}"))?;
    let address = socket_address(address, protocol.default_port())
        .ok_or_else(|| format!("\"{address}\" is no IP address to listen on; {right}"))?;
    Ok(Listener { protocol, address, advertise: None, prefix: None })
}

/// Reads `host` or `host:port` with a host name or an address. Gives it in lower case.
pub fn host_port(text: &str) -> Result<String, String> {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            port.parse::<u16>().map_err(|_| format!("\"{port}\" in \"{text}\" is no port"))?;
            host
        }
        _ => text,
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = literal.unwrap_or(host).parse::<IpAddr>().is_ok() && literal.is_some() == text.starts_with('[');
    let is_name =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if is_address || is_name {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!(
            "\"{text}\" is no host name or address; write such as \"example.com\", \"192.0.2.1:5060\" or \"[2001:db8::1]\""
        ))
    }
}

/// Adds a port to what [`host_port`] gave, unless it has one.
pub fn with_port(host: &str, port: u16) -> String {
    match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') || name.ends_with(']') => host.to_owned(),
        _ => format!("{host}:{port}"),
    }
}

fn socket_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, default_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_protocol_address_and_port() {
        for (text, read) in [
            ("udp:0.0.0.0:5062", "udp:0.0.0.0:5062"),
            ("TCP:[::]:5060", "tcp:[::]:5060"),
            ("udp:192.0.2.1", "udp:192.0.2.1:5060"),
            ("tcp:[2001:db8::1]", "tcp:[2001:db8::1]:5060"),
        ] {
            assert_eq!(listener(text).unwrap().to_string(), read);
        }
        for text in ["0.0.0.0:5060", "udp", "sctp:0.0.0.0:5060", "udp:example.com:5060", "udp:0.0.0.0:65536", "udp:"] {
            assert!(listener(text).unwrap_err().contains("udp:0.0.0.0:5060"), "{text}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for text in ["Example.com", "example.com:5070", "192.0.2.1", "192.0.2.1:5060", "[2001:DB8::1]", "[::1]:5060"] {
            assert_eq!(host_port(text), Ok(text.to_ascii_lowercase()));
        }
        for text in ["", "exa mple.com", "sip:example.com", "example.com:sip", "[example.com]", "[::1", "a@b"] {
            assert!(host_port(text).is_err(), "{text}");
        }
    }
}
