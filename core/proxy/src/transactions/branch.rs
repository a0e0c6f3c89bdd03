//! The branch parameter of the Via that we add (RFC 3261 §8.1.1.7): `z9hG4bK.worker.slot.token.loop.spread`, all in
//! hexadecimal; `z9hG4bK.worker..digest.loop.spread` for a request that is forwarded without a transaction (§16.11).
//!
//! Worker and slot find the client transaction without a search, by whatever worker the response comes in; the token
//! cannot be guessed; the loop hash tells a request that comes back unchanged from one that was retargeted
//! (§16.6 step 8, RFC 5393 §4.2); the spread says how many requests may still be made of it if it comes back.

use memchr::memmem;
use signalbox_sip::lex;

use super::ClientId;

/// A branch of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BranchToken {
    pub(crate) worker: u16,
    pub(crate) sender: Sender,
    pub(crate) passage: Passage,
}

/// Most requests that are made of one request, over all its passes through this server. Loop detection alone does not
/// limit them: accounts that point at each other multiply a request each time it comes back (RFC 5393 §3).
pub(crate) const MAX_SPREAD: u8 = 128;

/// The data in a branch that recognises a request which comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// A digest of what decided its route (RFC 5393 §4.2.1); 0 for requests that begin here.
    pub(crate) loop_hash: u32,
    /// The number of requests that may still be made of it, up to [`MAX_SPREAD`].
    pub(crate) spread: u8,
}

impl Passage {
    /// The passage of a request that begins here: it may come back once by each path.
    pub(crate) const OWN: Self = Self { loop_hash: 0, spread: MAX_SPREAD };
}

/// What sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client(ClientId),
    /// No transaction. The digest is the same for a request, its repetitions, ACK and CANCEL, and no other.
    Stateless(u32),
}

impl BranchToken {
    /// The prefix of RFC 3261 branches (§8.1.1.7), and the next octet of ours.
    pub(crate) const PREFIX: &str = "z9hG4bK.";

    /// Where a branch of ours may begin in a Via. A substring search that prepares itself first costs more here.
    pub(crate) fn position(text: &[u8]) -> Option<usize> {
        memchr::memchr_iter(b'z', text).find(|at| text[*at..].starts_with(Self::PREFIX.as_bytes()))
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(Self::PREFIX);
        lex::push_hex(out, self.worker.into());
        let (slot, token) = match self.sender {
            Sender::Client(id) => (Some(id.slot), id.token),
            Sender::Stateless(digest) => (None, digest),
        };
        let Passage { loop_hash, spread } = self.passage;
        for part in [slot, Some(token), Some(loop_hash), Some(spread.into())] {
            out.push('.');
            if let Some(number) = part {
                lex::push_hex(out, number);
            }
        }
    }

    /// The branch of the topmost Via in the beginning of a request, even if the rest is missing.
    pub(crate) fn quoted(request: &[u8]) -> Option<Self> {
        let via = request.get(memmem::find(request, b"\r\nVia: ")?..)?;
        let branch = via.get(Self::position(via)?..)?;
        // A branch without an end may have been cut off.
        let end = branch.iter().position(|octet| matches!(octet, b';' | b',' | b' ' | b'\r'))?;
        Self::parse(std::str::from_utf8(branch.get(..end)?).ok()?)
    }

    /// `None` for branches that others made.
    pub(crate) fn parse(branch: &str) -> Option<Self> {
        let mut parts = branch.strip_prefix(Self::PREFIX)?.split('.');
        let worker = u16::from_str_radix(parts.next()?, 16).ok()?;
        let (slot, token) = (parts.next()?, u32::from_str_radix(parts.next()?, 16).ok()?);
        let sender = match slot {
            "" => Sender::Stateless(token),
            slot => Sender::Client(ClientId { slot: u32::from_str_radix(slot, 16).ok()?, token }),
        };
        let loop_hash = u32::from_str_radix(parts.next()?, 16).ok()?;
        let spread = u8::from_str_radix(parts.next()?, 16).ok()?.min(MAX_SPREAD);
        parts.next().is_none().then_some(Self { worker, sender, passage: Passage { loop_hash, spread } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_read_back_as_they_were_written() {
        let id = ClientId { slot: 0x12ab, token: u32::MAX };
        for sender in [Sender::Client(id), Sender::Stateless(0), Sender::Stateless(u32::MAX)] {
            let branch = BranchToken { worker: 3, sender, passage: Passage { loop_hash: 0xdead_beef, spread: 100 } };
            let mut text = String::new();
            branch.write(&mut text);
            assert!(text.starts_with("z9hG4bK"));
            assert_eq!(BranchToken::parse(&text), Some(branch));
        }
    }

    #[test]
    fn a_branch_is_found_in_the_beginning_of_a_request_if_all_of_it_is_there() {
        let branch = "z9hG4bK.1.2.3.4.5";
        let text =
            format!("MESSAGE sip:{branch}@x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch={branch}\r\nVia: SIP/2.0/UDP b");
        for end in 0..=text.len() {
            let is_there = text.find(&format!("={branch}")).is_some_and(|at| end > at + 1 + branch.len());
            assert_eq!(BranchToken::quoted(&text.as_bytes()[..end]), BranchToken::parse(branch).filter(|_| is_there));
        }
        assert_eq!(BranchToken::quoted(b"\xff\r\nVia: z9hG4bK.\xff\r\n"), None);
    }

    #[test]
    fn branches_of_others_are_not_taken_for_ours() {
        for text in [
            "",
            "z9hG4bK",
            "z9hG4bK.",
            "z9hG4bK776asdhds",
            "z9hG4bK.1.2.3",
            "z9hG4bK.1.2.3.4",
            "z9hG4bK.1.2.3.4.5.6",
            "z9hG4bK.1.2.3.4.100",
            "z9hG4bK.1.2..4.5",
            "z9hG4bK.1...4.5",
        ] {
            assert_eq!(BranchToken::parse(text), None, "{text}");
        }
    }
}
