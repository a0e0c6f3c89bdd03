//! An outgoing message. A large body is shared by all holders: branches, copies kept for retransmission, connections
//! with slow peers.

use bytes::Bytes;

/// Bodies of this many octets or more are shared. Copying a smaller one costs less than sharing it.
pub(crate) const SHARED_BODY: usize = 4096;

/// The octets of a message: in one piece, or as a head and a shared body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octets<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) body: Option<&'a Bytes>,
}

impl Octets<'_> {
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.map_or(0, Bytes::len)
    }

    pub(crate) fn is_response(&self) -> bool {
        self.head.starts_with(b"SIP/2.0 ")
    }

    /// A copy in one piece.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        [self.head, self.body.map_or(&[][..], |body| body)].concat()
    }

    /// A copy that shares the body.
    pub(crate) fn to_packet(self) -> Packet {
        Packet { head: self.head.to_vec(), body: self.body.cloned() }
    }
}

impl<'a> From<&'a [u8]> for Octets<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self { head: octets, body: None }
    }
}

/// The same, owned. A clone shares the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Option<Bytes>,
}

impl Packet {
    pub(crate) fn as_octets(&self) -> Octets<'_> {
        Octets { head: &self.head, body: self.body.as_ref() }
    }
}
