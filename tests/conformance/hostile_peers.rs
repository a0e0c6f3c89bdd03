//! Strangers against a whole server with the shipped script and three workers: see `signalbox_tests::hostile`.
//!
//! `HOSTILE_STORIES=10000 HOSTILE_SEED=7` plays more and other stories. The fuzz target `server` (tests/fuzz) searches
//! for failing ones.

use signalbox_tests::hostile::{Played, play};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Octets of one story, enough for some thirty acts.
fn story(state: &mut u64) -> Vec<u8> {
    let octet = |_| {
        // xorshift64: any sequence that repeats will do.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 32) as u8
    };
    (0..700).map(octet).collect()
}

#[test]
fn strangers_get_nowhere_whatever_they_send() {
    let mut state = number("HOSTILE_SEED", 1) | 1;
    let stories: Vec<Vec<u8>> = (0..number("HOSTILE_STORIES", 100)).map(|_| story(&mut state)).collect();
    let played: Vec<Played> = stories.iter().map(|story| play(story, &|| 0)).collect();
    // Otherwise the test would show nothing.
    assert!(played.iter().map(|played| played.responses).sum::<usize>() > 10 * stories.len());
    assert!(played.iter().map(|played| played.reached).sum::<usize>() > stories.len() / 2);
}
