//! Patterns of expected text, and the names that they remember.

use std::collections::BTreeMap;

/// Texts by name.
pub(super) type Names = BTreeMap<String, String>;

/// Puts known names in: `{bob}` becomes bob's address. Unknown ones stay.
pub(super) fn fill(text: &str, names: &Names) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else { break };
        let name = &rest[open + 1..open + length];
        filled.push_str(&rest[..open]);
        match names.get(name) {
            Some(value) => filled.push_str(value),
            None => filled.push_str(&rest[open..=open + length]),
        }
        rest = &rest[open + length + 1..];
    }
    filled.push_str(rest);
    filled
}

/// Whether `text` is what the pattern says; remembers what its unknown names stand for if so.
pub(super) fn matches(pattern: &str, text: &str, names: &mut Names) -> bool {
    let filled = fill(pattern, names);
    let mut found = Names::new();
    if !matches_from(&filled, text, &mut found) {
        return false;
    }
    names.extend(found);
    true
}

fn matches_from(pattern: &str, text: &str, found: &mut Names) -> bool {
    let (literal, hole) = next_hole(pattern);
    let Some(rest) = text.strip_prefix(literal) else { return false };
    let Some((name, after)) = hole else { return rest.is_empty() };
    // The shortest text that lets the rest of the pattern match.
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    for end in ends {
        let known = found.get(name).cloned();
        if known.is_some_and(|known| known != rest[..end]) {
            continue;
        }
        let mut tried = found.clone();
        if !name.is_empty() {
            tried.insert(name.to_owned(), rest[..end].to_owned());
        }
        if matches_from(after, &rest[end..], &mut tried) {
            *found = tried;
            return true;
        }
    }
    false
}

/// What stands before the first hole, the hole's name (none for `...`) and what follows it.
fn next_hole(pattern: &str) -> (&str, Option<(&str, &str)>) {
    let dots = pattern.find("...");
    let brace = pattern.find('{').and_then(|open| Some((open, open + pattern[open..].find('}')?)));
    match (dots, brace) {
        (Some(dots), brace) if brace.is_none_or(|(open, _)| dots < open) => {
            (&pattern[..dots], Some(("", &pattern[dots + 3..])))
        }
        (_, Some((open, close))) => (&pattern[..open], Some((&pattern[open + 1..close], &pattern[close + 1..]))),
        _ => (pattern, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_anything_and_names_remember() {
        let mut names = Names::new();
        assert!(matches("<sip:{user}@{host}>;expires=...", "<sip:bob@192.0.2.2:5060>;expires=3600", &mut names));
        assert_eq!((names["user"].as_str(), names["host"].as_str()), ("bob", "192.0.2.2:5060"));
        assert!(matches("sip:{user}", "sip:bob", &mut names));
        assert!(!matches("sip:{user}", "sip:carol", &mut names));
    }

    #[test]
    fn text_must_match_to_its_end() {
        let mut names = Names::new();
        assert!(!matches("OK", "OK then", &mut names));
        assert!(matches("OK...", "OK then", &mut names));
        assert!(!matches("{a} {a}", "x y", &mut names));
        assert!(matches("{a} {a}", "x x", &mut names));
    }
}
