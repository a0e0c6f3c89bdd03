//! Entity tags and dialog tags: numbers that don't repeat and that nobody can guess, and their spelling.

use std::fmt;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher13;

/// Bits of a token that nobody can guess: with those that tell a subscription's shard taken off still the 32 that
/// RFC 3261 §19.3 asks of a tag. The bits above them count, so that rows with new tokens for keys lie side by side in their
/// table: at random places each would cost the commit a page of its own.
const HASHED_BITS: u32 = 38;

/// A source of tokens: a counter, and that counter under a keyed hash.
pub struct Tokens {
    key: [u8; 16],
    counter: AtomicU64,
}

impl Tokens {
    /// The key must come from the operating system's random source, and anew at every start.
    pub fn new(key: [u8; 16]) -> Self {
        // Where it begins says nothing about how many there were, and differs from the last start's beginning.
        Self { key, counter: AtomicU64::new(hash(&key, u64::MAX)) }
    }

    pub fn token(&self) -> Token {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let hashed = hash(&self.key, count) & ((1 << HASHED_BITS) - 1);
        Token(count << HASHED_BITS | hashed)
    }
}

fn hash(key: &[u8; 16], number: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write_u64(number);
    hasher.finish()
}

/// 64 bits, spelled with 13 letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 13;

impl Token {
    /// Reads what [`Display`](fmt::Display) wrote; nothing else is a token.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        text.bytes()
            .try_fold(0u64, |sum, b| {
                let digit = ALPHABET.iter().position(|&letter| letter == b)? as u64;
                sum.checked_mul(32)?.checked_add(digit)
            })
            .map(Self)
    }

    /// The spelling.
    pub fn spell(self) -> Spelled {
        let mut letters = [b'0'; LENGTH];
        let mut rest = self.0;
        for letter in letters.iter_mut().rev() {
            *letter = ALPHABET[(rest % 32) as usize];
            rest /= 32;
        }
        Spelled(letters)
    }
}

/// A token as text, without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct Spelled([u8; LENGTH]);

impl Spelled {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spell().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_as_it_was_spelled() {
        for number in [0, 1, 31, 32, 0xdead_beef, u64::MAX] {
            assert_eq!(Token::parse(&Token(number).to_string()), Some(Token(number)));
        }
    }

    #[test]
    fn what_was_never_spelled_is_no_token() {
        for text in ["", "0", "00000000000000", "000000000000u", "zzzzzzzzzzzzz", "000000000000A", "00000000000é"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_taken_one_after_the_other_are_neighbours_as_keys() {
        let tokens = Tokens::new([1; 16]);
        let (first, second) = (tokens.token(), tokens.token());
        assert_eq!(second.0 >> HASHED_BITS, (first.0 >> HASHED_BITS) + 1);
        assert_ne!(second.0.wrapping_sub(first.0), 1 << HASHED_BITS);
    }

    #[test]
    fn tokens_differ_from_each_other_and_by_key() {
        let tokens = Tokens::new([1; 16]);
        let (first, second) = (tokens.token(), tokens.token());
        assert_ne!(first, second);
        assert_ne!(first, Tokens::new([2; 16]).token());
    }
}
