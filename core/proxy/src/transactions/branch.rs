//! The branch parameter of the Via that we add (RFC 3261 §8.1.1.7): `z9hG4bK.worker.slot.token.loop`, all in
//! hexadecimal.
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
    /// `None` for a request that was forwarded without a transaction.
    pub(crate) client: Option<ClientId>,
    pub(crate) loop_hash: u32,
}

impl BranchToken {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(PREFIX);
        lex::push_hex(out, self.worker.into());
        for part in [self.client.map(|id| id.slot), self.client.map(|id| id.token), Some(self.loop_hash)] {
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
        let (slot, token) = (parts.next()?, parts.next()?);
        let client = match (slot, token) {
            ("", "") => None,
            _ => Some(ClientId {
                slot: u32::from_str_radix(slot, 16).ok()?,
                token: u32::from_str_radix(token, 16).ok()?,
            }),
        };
        let loop_hash = u32::from_str_radix(parts.next()?, 16).ok()?;
        parts.next().is_none().then_some(Self { worker, client, loop_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_read_back_as_they_were_written() {
        let id = ClientId { slot: 0x12ab, token: u32::MAX };
        for client in [Some(id), None] {
            let branch = BranchToken { worker: 3, client, loop_hash: 0xdead_beef };
            let mut text = String::new();
            branch.write(&mut text);
            assert!(text.starts_with("z9hG4bK"));
            assert_eq!(BranchToken::parse(&text), Some(branch));
        }
    }

    #[test]
    fn branches_of_others_are_not_taken_for_ours() {
        for text in
            ["", "z9hG4bK", "z9hG4bK.", "z9hG4bK776asdhds", "z9hG4bK.1.2.3", "z9hG4bK.1.2.3.4.5", "z9hG4bK.1..3.4"]
        {
            assert_eq!(BranchToken::parse(text), None, "{text}");
        }
    }
}
