//! Calls of functions that there are not: a typing error, or a module that is not loaded. Lua would tell only when the line runs.
//!
//! A name counts as unknown when no global of that name exists once the script's top level has run, and when the script only
//! ever calls it: whoever assigns it, takes it as a parameter or looks whether it is there mentions it in another way.

use std::collections::{BTreeMap, BTreeSet};

/// A call that cannot succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCall {
    pub name: String,
    /// The first line that calls it.
    pub line: u32,
    /// A function that may have been meant.
    pub nearest: Option<String>,
}

/// The names that `text` only calls and that `exists` doesn't know, each with the line of its first call.
pub(super) fn unknown_calls(text: &str, exists: impl Fn(&str) -> bool) -> Vec<(&str, u32)> {
    let tokens = tokens(text);
    let mut called: BTreeMap<&str, u32> = BTreeMap::new();
    let mut mentioned: BTreeSet<&str> = BTreeSet::new();
    for (at, (token, line)) in tokens.iter().enumerate() {
        let Token::Name(name) = token else { continue };
        let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|(token, _)| *token);
        let after = tokens.get(at + 1).map(|(token, _)| *token);
        if KEYWORDS.contains(name) || matches!(before, Some(Token::Mark('.' | ':'))) {
            continue;
        }
        let is_called = matches!(after, Some(Token::Mark('(' | '{') | Token::Text));
        if is_called && before != Some(Token::Name("function")) {
            called.entry(name).or_insert(*line);
        } else {
            mentioned.insert(name);
        }
    }
    let unknown = called.into_iter().filter(|(name, _)| !mentioned.contains(name) && !exists(name));
    let mut unknown: Vec<_> = unknown.collect();
    unknown.sort_by_key(|(_, line)| *line);
    unknown
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A name or keyword.
    Name(&'a str),
    /// A string.
    Text,
    /// Anything else; of `..` and `...` the last point is a comma instead, since no field follows.
    Mark(char),
}

const KEYWORDS: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// The tokens of Lua's grammar, each with its line, as far as they matter here.
fn tokens(text: &str) -> Vec<(Token<'_>, u32)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '-' if rest.starts_with("--") => (None, comment(rest)),
            '"' | '\'' => (Some(Token::Text), quoted(rest, first)),
            '[' => match long(rest) {
                Some(length) => (Some(Token::Text), length),
                None => (Some(Token::Mark('[')), 1),
            },
            '.' if rest.starts_with("..") => (Some(Token::Mark(',')), rest.len() - rest.trim_start_matches('.').len()),
            _ if first == '_' || first.is_ascii_alphabetic() => {
                let length = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                (Some(Token::Name(&rest[..length])), length)
            }
            // A number takes its letters along: 0xff, 1e5.
            _ if first.is_ascii_digit() => {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                (Some(Token::Mark('0')), length)
            }
            _ if first.is_whitespace() => (None, first.len_utf8()),
            _ => (Some(Token::Mark(first)), first.len_utf8()),
        };
        tokens.extend(token.map(|token| (token, line)));
        let (passed, left) = rest.split_at(length);
        line += passed.bytes().filter(|byte| *byte == b'\n').count() as u32;
        rest = left;
    }
    tokens
}

/// The length of the comment that the text begins with.
fn comment(text: &str) -> usize {
    match text.get(2..).and_then(long) {
        Some(length) => 2 + length,
        None => text.find('\n').unwrap_or(text.len()),
    }
}

/// The length of the quoted string that the text begins with.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the string in long brackets that the text begins with, if it does: `[[…]]`, `[==[…]==]`.
fn long(text: &str) -> Option<usize> {
    let level = text.strip_prefix('[')?.bytes().take_while(|byte| *byte == b'=').count();
    let inside = text.get(level + 1..)?.strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(level + 2 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(text: &str) -> Vec<(&str, u32)> {
        unknown_calls(text, |name| ["t_relay", "log", "pcall", "lookup"].contains(&name))
    }

    #[test]
    fn a_call_of_nothing_is_found_with_its_line() {
        let text = "function route(msg)\n  if not lokup('location') then\n    return t_rely()\n  end\n  t_relay()\nend";
        assert_eq!(unknown(text), [("lokup", 2), ("t_rely", 3)]);
        assert_eq!(unknown("lokup 'x' tell { 1 } tell [[x]]"), [("lokup", 1), ("tell", 1)]);
        assert_eq!(unknown("x = 'a'..lokup()"), [("lokup", 1)], "a concatenation is no field");
    }

    #[test]
    fn what_the_script_defines_or_asks_for_is_known() {
        for text in [
            "local function relay() t_relay() end relay()",
            "function a() b() end function b() end a()",
            "local f = function(g) g() end f(f)",
            "for name, f in pairs0 do f() end",
            "if t_other then t_other() end",
            "pcall(t_other) t_other()",
            "msg:remove_header('x') log.info('x') local t = { go = 1 } t.go()",
        ] {
            assert_eq!(unknown(text), [], "{text}");
        }
    }

    #[test]
    fn comments_and_strings_call_nothing() {
        for text in
            ["-- a()", "--[[ a()\n b() ]] c = 1", "--[==[ ]] a() ]==]", "x = 'a() \\' b()' y = \"c()\" z = [=[ d() ]=]"]
        {
            assert_eq!(unknown(text), [], "{text}");
        }
        assert_eq!(unknown("--[[\n\n]] a()"), [("a", 3)]);
        assert_eq!(unknown("--[ a()\nb()"), [("b", 2)]);
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_read_to_its_end() {
        let text = "x = 'é\\' --[==[ ü ]==] [[ a ]] 0x1F..f() ... \"\\\"";
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            unknown(&text[..end]);
        }
    }
}
