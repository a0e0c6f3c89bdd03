//! Which server transaction a request belongs to (RFC 3261 §17.2.3), as a number to look it up by.
//!
//! The number is a keyed digest of 128 bits over what the clause compares, so a table of transactions needs neither
//! strings nor protection against peers that choose colliding branches.

use siphasher::sip128::SipHasher13;

use crate::header::{HeaderError, HeaderName, Via, is_magic};
use crate::message::Message;
use crate::method::Method;
use crate::uri::Host;

/// Stands for the branch, sent-by and method of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionKey(pub u128);

/// Computes keys. The secret is random per process.
#[derive(Clone)]
pub struct TransactionKeys {
    hasher: SipHasher13,
}

impl TransactionKeys {
    pub fn new(secret: (u64, u64)) -> Self {
        Self { hasher: SipHasher13::new_with_keys(secret.0, secret.1) }
    }

    /// The transaction that the request belongs to or starts; an ACK belongs to its INVITE. An error when the top
    /// Via can't be read.
    pub fn of_request(&self, request: &Message) -> Result<TransactionKey, HeaderError> {
        match request.method() {
            Method::Ack => self.of_method(request, &Method::Invite),
            method => self.of_method(request, method),
        }
    }

    /// The INVITE transaction that a CANCEL is about (§9.2). Of other requests what tells them, with their CANCEL, from all others.
    pub fn of_cancel(&self, cancel: &Message) -> Result<TransactionKey, HeaderError> {
        self.of_method(cancel, &Method::Invite)
    }

    /// The same of a request that is neither ACK nor CANCEL, by its topmost Via alone; `None` where that is not enough, since the sender
    /// follows RFC 2543.
    pub fn of_branch(&self, via: &Via<'_>, method: &str) -> Option<TransactionKey> {
        let branch = via.branch().filter(|branch| is_magic(branch))?;
        let mut fields = Fields::default();
        fields.push_branch(branch, via, method);
        Some(TransactionKey(self.hasher.hash(&fields.0).as_u128()))
    }

    fn of_method(&self, request: &Message, method: &Method) -> Result<TransactionKey, HeaderError> {
        let via = request.top_via()?;
        let mut fields = Fields::default();
        match via.branch() {
            Some(branch) if is_magic(branch) => fields.push_branch(branch, &via, method.as_str()),
            _ => fields.push_rfc2543(request, method),
        }
        Ok(TransactionKey(self.hasher.hash(&fields.0).as_u128()))
    }
}

/// Stands for a sent-by without port, which is not the same as one with 5060: a client writes it alike in
/// each request of a transaction.
const NO_PORT: u32 = u32::MAX;

/// Room for all but the branch: lengths, a host of usual length, port and method, in octets.
const FIXED_LENGTH: usize = 96;

/// What is compared, each with its length in front so that no two lists of fields look alike.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn push_branch(&mut self, branch: &str, via: &Via<'_>, method: &str) {
        self.0.reserve(branch.len() + FIXED_LENGTH);
        // §7.3.1: parameter values and host names are compared without regard to case.
        self.push_lower(branch);
        match via.sent_by.host {
            Host::Name(name) => self.push_lower(name),
            Host::V4(address) => self.0.extend_from_slice(&address.octets()),
            Host::V6(address) => self.0.extend_from_slice(&address.octets()),
        }
        self.0.extend_from_slice(&via.sent_by.port.map_or(NO_PORT, u32::from).to_be_bytes());
        self.push(method);
    }

    /// §17.2.3 for clients that follow RFC 2543. The To tag is compared as well, except for INVITE: its ACK has the
    /// tag of the response, the INVITE mostly none.
    fn push_rfc2543(&mut self, request: &Message, method: &Method) {
        let to_tag = request.to_tag().filter(|_| *method != Method::Invite);
        self.push(request.request_uri());
        self.push(to_tag.unwrap_or_default());
        self.push(request.from_tag().unwrap_or_default());
        self.push(request.call_id());
        self.0.extend_from_slice(&request.cseq().to_be_bytes());
        self.push(request.items(HeaderName::Via).next().unwrap_or_default());
        self.push(method.as_str());
    }

    fn push_lower(&mut self, field: &str) {
        let start = self.0.len();
        self.push(field);
        self.0[start..].make_ascii_lowercase();
    }

    fn push(&mut self, field: &str) {
        // A head is never longer than `MAX_HEAD`, so neither is a field, and the length fits.
        self.0.extend_from_slice(&(field.len() as u32).to_be_bytes());
        self.0.extend_from_slice(field.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TransactionKeys {
        TransactionKeys::new((1, 2))
    }

    fn request(method: &str, uri: &str, via: &str, to_tag: &str) -> Message {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@example.com>;tag=1\r\n\
             To: <sip:b@example.com>{to_tag}\r\nCall-ID: 1@example.com\r\nCSeq: 7 {method}\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    fn key(method: &str, via: &str) -> TransactionKey {
        keys().of_request(&request(method, "sip:b@example.com", via, "")).unwrap()
    }

    #[test]
    fn branch_sent_by_and_method_make_the_transaction() {
        let first = key("INVITE", "pc.example.com;branch=z9hG4bK1");
        assert_eq!(first, key("INVITE", "pc.example.com;rport;branch=z9hG4bK1"));
        assert_ne!(first, key("INVITE", "pc.example.com;branch=z9hG4bK2"));
        assert_ne!(first, key("INVITE", "pc2.example.com;branch=z9hG4bK1"));
        assert_ne!(first, key("INVITE", "pc.example.com:5070;branch=z9hG4bK1"));
        assert_ne!(first, key("MESSAGE", "pc.example.com;branch=z9hG4bK1"));
    }

    #[test]
    fn the_top_via_alone_makes_the_same_key_where_the_branch_is_magic() {
        for (branch, is_enough) in [(";branch=z9hG4bK1", true), (";branch=1", false), ("", false)] {
            let request = request("INVITE", "sip:b@example.com", &format!("pc.example.com{branch}"), "");
            let key = keys().of_branch(&request.top_via().unwrap(), "INVITE");
            assert_eq!(key, keys().of_request(&request).ok().filter(|_| is_enough), "{branch}");
        }
    }

    #[test]
    fn branch_and_sent_by_are_compared_without_regard_to_case() {
        let first = key("INVITE", "pc.example.com;branch=z9hG4bKabc");
        assert_eq!(first, key("INVITE", "PC.example.COM;branch=Z9HG4BKABC"));
    }

    #[test]
    fn addresses_are_compared_by_value() {
        let first = key("INVITE", "[2001:db8::1]:5060;branch=z9hG4bK1");
        assert_eq!(first, key("INVITE", "[2001:DB8:0::1]:5060;branch=z9hG4bK1"));
    }

    #[test]
    fn an_ack_belongs_to_its_invite_and_a_cancel_to_itself_but_means_its_invite() {
        let via = "pc.example.com;branch=z9hG4bK1";
        let invite = key("INVITE", via);
        assert_eq!(key("ACK", via), invite);
        assert_ne!(key("CANCEL", via), invite);
        let cancel = request("CANCEL", "sip:b@example.com", via, "");
        assert_eq!(keys().of_cancel(&cancel).unwrap(), invite);
    }

    #[test]
    fn the_secret_changes_all_keys() {
        let message = request("INVITE", "sip:b@example.com", "pc.example.com;branch=z9hG4bK1", "");
        let other = TransactionKeys::new((3, 4));
        assert_ne!(keys().of_request(&message).unwrap(), other.of_request(&message).unwrap());
    }

    #[test]
    fn without_the_magic_cookie_the_fields_of_rfc_2543_are_compared() {
        for via in ["pc.example.com", "pc.example.com;branch=1"] {
            let invite = key("INVITE", via);
            assert_eq!(invite, key("INVITE", via));
            let other_uri = request("INVITE", "sip:c@example.com", via, "");
            assert_ne!(invite, keys().of_request(&other_uri).unwrap());
            let ack = request("ACK", "sip:b@example.com", via, ";tag=response");
            assert_eq!(invite, keys().of_request(&ack).unwrap());
            assert_eq!(invite, keys().of_cancel(&request("CANCEL", "sip:b@example.com", via, "")).unwrap());
            let in_dialog = request("BYE", "sip:b@example.com", via, ";tag=2");
            assert_ne!(key("BYE", via), keys().of_request(&in_dialog).unwrap());
        }
        assert_ne!(key("INVITE", "pc.example.com"), key("INVITE", "pc2.example.com"));
    }
}
