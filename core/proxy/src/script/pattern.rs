//! Lua's patterns (Lua 5.4 manual §6.4.1) with a limit on the work of matching. Lua's own matcher is C code, which the
//! instruction limit does not see. The common trim `^%s*(.-)%s*$` takes it eleven seconds for 60 kB of blanks.
//!
//! The algorithm is that of Lua's `lstrlib.c`: matching with backtracking, one [`step`](Matcher::step) for each octet looked at.

/// Captures of one pattern, as in Lua.
const MAX_CAPTURES: usize = 32;
/// The recursion limit of matching, as in Lua.
const MAX_DEPTH: u32 = 200;
const ESCAPE: u8 = b'%';

/// Why a pattern was not matched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    /// The steps are used up.
    #[error("the pattern takes too many steps")]
    Exhausted,
    #[error("malformed pattern (ends with '%')")]
    EndsWithEscape,
    #[error("malformed pattern (missing ']')")]
    MissingBracket,
    #[error("missing '[' after '%f' in pattern")]
    MissingSet,
    #[error("malformed pattern (missing arguments to '%b')")]
    MissingBalance,
    #[error("invalid pattern capture")]
    BadCapture,
    #[error("invalid capture index %{0}")]
    BadIndex(usize),
    #[error("too many captures")]
    TooManyCaptures,
    #[error("unfinished capture")]
    Unfinished,
    #[error("pattern too complex")]
    TooComplex,
}

/// The match of a parenthesised part of the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// From one offset to another.
    Text(usize, usize),
    /// `()`: an offset.
    Position(usize),
}

#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Unfinished,
    Position,
}

/// Matches one pattern in one subject, from as many places as wanted.
pub(super) struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: [(usize, Length); MAX_CAPTURES],
    level: usize,
    depth: u32,
    /// Steps that are left.
    steps: u64,
}

type Matched = Result<Option<usize>, PatternError>;

impl<'a> Matcher<'a> {
    /// `steps` is the limit for all calls of [`Self::match_at`] together.
    pub(super) fn new(subject: &'a [u8], pattern: &'a [u8], steps: u64) -> Self {
        let captures = [(0, Length::Unfinished); MAX_CAPTURES];
        Self { subject, pattern, captures, level: 0, depth: 0, steps }
    }

    /// Steps that are left.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Matches the pattern, without an anchor, at this offset of the subject, and returns where the match ends.
    pub(super) fn match_at(&mut self, start: usize) -> Matched {
        self.level = 0;
        self.depth = 0;
        self.run(start, 0)
    }

    /// Captures of the last match.
    pub(super) fn count(&self) -> usize {
        self.level
    }

    /// A capture of the last match, which went from `start` to `end`. A pattern without captures has the whole match as its first.
    pub(super) fn capture(&self, index: usize, (start, end): (usize, usize)) -> Result<Capture, PatternError> {
        if index >= self.level {
            return if index == 0 { Ok(Capture::Text(start, end)) } else { Err(PatternError::BadIndex(index + 1)) };
        }
        match self.captures[index] {
            (from, Length::Known(length)) => Ok(Capture::Text(from, from + length)),
            (from, Length::Position) => Ok(Capture::Position(from)),
            (_, Length::Unfinished) => Err(PatternError::Unfinished),
        }
    }

    fn step(&mut self) -> Result<(), PatternError> {
        self.steps = self.steps.checked_sub(1).ok_or(PatternError::Exhausted)?;
        Ok(())
    }

    /// An octet of the pattern. Like C's strings, it ends with a zero.
    fn at(&self, p: usize) -> u8 {
        self.pattern.get(p).copied().unwrap_or(0)
    }

    fn run(&mut self, s: usize, p: usize) -> Matched {
        if self.depth == MAX_DEPTH {
            return Err(PatternError::TooComplex);
        }
        self.depth += 1;
        let matched = self.items(s, p);
        self.depth -= 1;
        matched
    }

    /// Matches the rest of the pattern, item by item.
    fn items(&mut self, mut s: usize, mut p: usize) -> Matched {
        loop {
            self.step()?;
            if p == self.pattern.len() {
                return Ok(Some(s));
            }
            match (self.at(p), self.at(p + 1)) {
                (b'(', b')') => return self.open(s, p + 2, Length::Position),
                (b'(', _) => return self.open(s, p + 1, Length::Unfinished),
                (b')', _) => return self.close(s, p + 1),
                (b'$', _) if p + 1 == self.pattern.len() => return Ok((s == self.subject.len()).then_some(s)),
                (ESCAPE, b'b') => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (ESCAPE, b'f') => {
                    p += 2;
                    if self.at(p) != b'[' {
                        return Err(PatternError::MissingSet);
                    }
                    let end = self.class_end(p)?;
                    let before = s.checked_sub(1).map_or(0, |before| self.subject[before]);
                    let after = self.subject.get(s).copied().unwrap_or(0);
                    if self.is_in_set(before, p, end - 1) || !self.is_in_set(after, p, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (ESCAPE, digit @ b'0'..=b'9') => match self.repeated(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    let fits = self.fits(s, p, end);
                    match (self.at(end), fits) {
                        (b'?', true) => match self.run(s + 1, end + 1)? {
                            Some(matched) => return Ok(Some(matched)),
                            None => p = end + 1,
                        },
                        (b'+', true) => return self.longest(s + 1, p, end),
                        (b'*', true) => return self.longest(s, p, end),
                        (b'-', _) => return self.shortest(s, p, end),
                        (b'*' | b'?', false) => p = end + 1,
                        (_, true) => (s, p) = (s + 1, end),
                        (_, false) => return Ok(None),
                    }
                }
            }
        }
    }

    /// `*` and `+`: as many as possible, then fewer.
    fn longest(&mut self, s: usize, p: usize, end: usize) -> Matched {
        let mut count = 0;
        while self.fits(s + count, p, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if let Some(matched) = self.run(s + count, end + 1)? {
                return Ok(Some(matched));
            }
            match count.checked_sub(1) {
                Some(fewer) => count = fewer,
                None => return Ok(None),
            }
        }
    }

    /// `-`: none, then more.
    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> Matched {
        loop {
            if let Some(matched) = self.run(s, end + 1)? {
                return Ok(Some(matched));
            }
            if !self.fits(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, length: Length) -> Matched {
        if self.level == MAX_CAPTURES {
            return Err(PatternError::TooManyCaptures);
        }
        self.captures[self.level] = (s, length);
        self.level += 1;
        let matched = self.run(s, p)?;
        if matched.is_none() {
            self.level -= 1;
        }
        Ok(matched)
    }

    fn close(&mut self, s: usize, p: usize) -> Matched {
        let open = |(_, length): &(usize, Length)| matches!(length, Length::Unfinished);
        let index = self.captures[..self.level].iter().rposition(open).ok_or(PatternError::BadCapture)?;
        let start = self.captures[index].0;
        self.captures[index].1 = Length::Known(s - start);
        let matched = self.run(s, p)?;
        if matched.is_none() {
            self.captures[index].1 = Length::Unfinished;
        }
        Ok(matched)
    }

    /// `%1` to `%9`: the same text again.
    fn repeated(&mut self, s: usize, digit: u8) -> Matched {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let bad = || PatternError::BadIndex(index.wrapping_add(1));
        let (start, length) = *self.captures[..self.level].get(index).ok_or_else(bad)?;
        let length = match length {
            Length::Known(length) => length,
            Length::Unfinished => return Err(bad()),
            Length::Position => return Ok(None),
        };
        self.steps = self.steps.checked_sub(length as u64 / 8).ok_or(PatternError::Exhausted)?;
        let text = &self.subject[start..start + length];
        Ok(self.subject[s..].starts_with(text).then_some(s + length))
    }

    /// `%bxy`: from an x to the y that closes it.
    fn balance(&mut self, s: usize, p: usize) -> Matched {
        if p + 1 >= self.pattern.len() {
            return Err(PatternError::MissingBalance);
        }
        let (begin, end) = (self.at(p), self.at(p + 1));
        if self.subject.get(s) != Some(&begin) {
            return Ok(None);
        }
        let mut open = 1;
        for at in s + 1..self.subject.len() {
            self.step()?;
            let octet = self.subject[at];
            if octet == end {
                open -= 1;
                if open == 0 {
                    return Ok(Some(at + 1));
                }
            } else if octet == begin {
                open += 1;
            }
        }
        Ok(None)
    }

    /// Where the item at `p` ends, without its `*`, `+`, `-` or `?`.
    fn class_end(&mut self, mut p: usize) -> Result<usize, PatternError> {
        let first = self.at(p);
        p += 1;
        match first {
            ESCAPE if p == self.pattern.len() => Err(PatternError::EndsWithEscape),
            ESCAPE => Ok(p + 1),
            b'[' => {
                if self.at(p) == b'^' {
                    p += 1;
                }
                loop {
                    self.step()?;
                    if p == self.pattern.len() {
                        return Err(PatternError::MissingBracket);
                    }
                    p += if self.at(p) == ESCAPE && p + 1 < self.pattern.len() { 2 } else { 1 };
                    if self.at(p) == b']' {
                        return Ok(p + 1);
                    }
                }
            }
            _ => Ok(p),
        }
    }

    /// Whether the octet at `s` matches the item from `p` to `end`.
    fn fits(&mut self, s: usize, p: usize, end: usize) -> bool {
        let Some(&octet) = self.subject.get(s) else { return false };
        match self.at(p) {
            b'.' => true,
            ESCAPE => is_of_class(octet, self.at(p + 1)),
            b'[' => self.is_in_set(octet, p, end - 1),
            literal => literal == octet,
        }
    }

    /// Whether the set from `[` at `p` to `]` at `end` has this octet.
    fn is_in_set(&mut self, octet: u8, mut p: usize, end: usize) -> bool {
        // A long set costs its length. `step` fails when no steps are left.
        self.steps = self.steps.saturating_sub((end - p) as u64 / 8);
        let mut wanted = true;
        if self.at(p + 1) == b'^' {
            wanted = false;
            p += 1;
        }
        p += 1;
        while p < end {
            if self.at(p) == ESCAPE {
                p += 1;
                if is_of_class(octet, self.at(p)) {
                    return wanted;
                }
            } else if self.at(p + 1) == b'-' && p + 2 < end {
                p += 2;
                if (self.at(p - 2)..=self.at(p)).contains(&octet) {
                    return wanted;
                }
            } else if self.at(p) == octet {
                return wanted;
            }
            p += 1;
        }
        !wanted
    }
}

/// `%a` and the like; `%.` and other escapes stand for themselves.
fn is_of_class(octet: u8, class: u8) -> bool {
    let is = match class.to_ascii_lowercase() {
        b'a' => octet.is_ascii_alphabetic(),
        b'c' => octet.is_ascii_control(),
        b'd' => octet.is_ascii_digit(),
        b'g' => octet.is_ascii_graphic(),
        b'l' => octet.is_ascii_lowercase(),
        b'p' => octet.is_ascii_punctuation(),
        b's' => matches!(octet, b' ' | b'\t'..=b'\r'),
        b'u' => octet.is_ascii_uppercase(),
        b'w' => octet.is_ascii_alphanumeric(),
        b'x' => octet.is_ascii_hexdigit(),
        b'z' => octet == 0,
        _ => return class == octet,
    };
    is != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use mlua::{Function, Lua, MultiValue};
    use proptest::prelude::*;

    use crate::script::Limits;
    use crate::script::current::Current;
    use crate::script::library;

    /// Runs a function of `string` in an ordinary Lua and in ours, and returns the results or the fact of an error.
    const PROBE: &str = "local name, s, p, extra, init = ...
        local function list(...)
          local t = table.pack(...)
          for i = 1, t.n do t[i] = tostring(t[i]) end
          return table.concat(t, '|', 1, t.n)
        end
        local out = {}
        local ok, why = pcall(function()
          if name == 'gmatch' then
            for a, b in string.gmatch(s, p) do out[#out + 1] = list(a, b) end
          elseif name == 'gsub' then
            out[1] = list(string.gsub(s, p, extra, init > 0 and init or nil))
          elseif name == 'gsub function' then
            out[1] = list(string.gsub(s, p, function(a, b) return a and ('<' .. tostring(a) .. tostring(b) .. '>') end))
          else
            out[1] = list(string[name](s, p, init))
          end
        end)
        return ok and table.concat(out, ' / ') or 'error'";

    fn ours() -> Lua {
        let lua = Lua::new();
        let current = Rc::<Current>::default();
        current.set_budget(u64::MAX);
        library::install(&lua, &current, Limits::default()).unwrap();
        lua
    }

    fn outcome(lua: &Lua, call: (&str, &[u8], &[u8], &str, i64)) -> String {
        let probe: Function = lua.load(PROBE).into_function().unwrap();
        let (name, subject, pattern, extra, init) = call;
        let text = |octets: &[u8]| mlua::Value::String(lua.create_string(octets).unwrap());
        let arguments =
            [text(name.as_bytes()), text(subject), text(pattern), text(extra.as_bytes()), mlua::Value::Integer(init)];
        probe.call::<String>(MultiValue::from_iter(arguments)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn patterns_match_as_in_lua(
            subject in "[ab01 ().%\\]\\[-]{0,12}",
            pattern in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b", "0", " ", ".", "%a", "%d", "%s", "%S", "%w", "%p", "%b()", "%f[%w]", "%1", "%2", "%%", "%", "(", ")",
                    "()", "[ab]", "[^a]", "[%a-]", "[a-b0-9]", "[]a]", "[^]]", "[a", "[%", "*", "+", "-", "?", "^", "$", "%f", "%b",
                    "%ba", "\0", "[\0-a]", "%z",
                ]),
                0..7,
            ),
            name in prop::sample::select(vec!["find", "match", "gmatch", "gsub", "gsub function"]),
            replacement in prop::sample::select(vec!["", "x", "%0%0", "%1", "%2", "%%", "%", "%x"]),
            init in -14i64..14,
        ) {
            thread_local! {
                static STATES: (Lua, Lua) = (Lua::new(), ours());
            }
            let pattern = pattern.concat();
            let call = (name, subject.as_bytes(), pattern.as_bytes(), replacement, init);
            let (here, there) = STATES.with(|(lua, ours)| (outcome(ours, call), outcome(lua, call)));
            prop_assert_eq!(here, there, "{:?}", call);
        }
    }

    #[test]
    fn a_pattern_ends_when_its_steps_are_used_up() {
        let subject = vec![b' '; 60_000];
        let mut matcher = super::Matcher::new(&subject, b"%s*x", 1000);
        assert_eq!(matcher.match_at(0), Err(super::PatternError::Exhausted));
        assert_eq!(matcher.steps(), 0);
    }
}
