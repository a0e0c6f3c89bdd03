//! The branch parameter of the Via that we add (RFC 3261 §8.1.1.7): `z9hG4bK.worker.slot.token.loop`, all in
//! hexadecimal; `z9hG4bK.worker..digest.loop` for a request that is forwarded without a transaction (§16.11).
//!
//! Worker and slot find the client transaction without a search, by whatever worker the response comes in; the token
//! cannot be guessed; the loop hash tells a request that comes back unchanged from one that was retargeted
//! (§16.6 step 8, RFC 5393 §4.2).

use signalbox_sip::lex;

use super::ClientId;

/// What RFC 3261 branches begin with (§8.1.1.7), and ours go on with.
const PREFIX: &str = "z9hG4bK.";

/// A branch of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BranchToken {
    pub(crate) worker: u16,
    pub(crate) sender: Sender,
    pub(crate) loop_hash: u32,
}

/// What sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client(ClientId),
    /// No transaction. The digest is the same for a request, its repetitions, ACK and CANCEL, and no other.
    Stateless(u32),
}

impl BranchToken {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(PREFIX);
        lex::push_hex(out, self.worker.into());
        let (slot, token) = match self.sender {
            Sender::Client(id) => (Some(id.slot), id.token),
            Sender::Stateless(digest) => (None, digest),
        };
        for part in [slot, Some(token), Some(self.loop_hash)] {
            out.push('.');
            if let Some(number) = part {
                lex::push_hex(out, number);
            }
        }
    }

    /// `None` for branches that others made.
    pub(crate) fn parse(branch: &str) -> Option<Self> {
        let mut parts = branch.strip_prefix(PREFIX)?.split('.');
        let worker = u16::from_str_radix(parts.next()?, 16).ok()?;
        let (slot, token) = (parts.next()?, u32::from_str_radix(parts.next()?, 16).ok()?);
        let sender = match slot {
            "" => Sender::Stateless(token),
            slot => Sender::Client(ClientId { slot: u32::from_str_radix(slot, 16).ok()?, token }),
        };
        let loop_hash = u32::from_str_radix(parts.next()?, 16).ok()?;
        parts.next().is_none().then_some(Self { worker, sender, loop_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_read_back_as_they_were_written() {
        let id = ClientId { slot: 0x12ab, token: u32::MAX };
        for sender in [Sender::Client(id), Sender::Stateless(0), Sender::Stateless(u32::MAX)] {
            let branch = BranchToken { worker: 3, sender, loop_hash: 0xdead_beef };
            let mut text = String::new();
            branch.write(&mut text);
            assert!(text.starts_with("z9hG4bK"));
            assert_eq!(BranchToken::parse(&text), Some(branch));
        }
    }

    #[test]
    fn branches_of_others_are_not_taken_for_ours() {
        for text in [
            "",
            "z9hG4bK",
            "z9hG4bK.",
            "z9hG4bK776asdhds",
            "z9hG4bK.1.2.3",
            "z9hG4bK.1.2.3.4.5",
            "z9hG4bK.1.2..4",
            "z9hG4bK.1...4",
        ] {
            assert_eq!(BranchToken::parse(text), None, "{text}");
        }
    }
}
