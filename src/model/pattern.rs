//! Patterns of paths, as policy rules and lists use them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::name::{MAX_PATH_BYTES, SecretPath};

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is a path whose parts may hold `*`; `**` may only be the whole last part")]
pub struct PatternError;

/// A pattern of paths: segments with `/` between them, in which `*` stands for any characters of one segment. A last segment
/// `*` or `**` matches everything beneath.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern that matches every path: `**`.
    #[must_use]
    pub fn everything() -> Self {
        Self("**".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path`, a text with `/` between its segments, matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let mut patterns = self.0.split('/').peekable();
        while let Some(pattern) = patterns.next() {
            let Some(segment) = segments.next() else { return false };
            let last = patterns.peek().is_none();
            if last && matches!(pattern, "*" | "**") {
                return true;
            }
            if !glob(pattern.as_bytes(), segment.as_bytes()) {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// Whether `path` is meant where people select secrets: the pattern matches it, or its name alone.
    #[must_use]
    pub fn selects(&self, path: &SecretPath) -> bool {
        self.matches(path.name().as_str()) || self.matches(&path.to_string())
    }

    /// Whether two patterns are equally specific and have a path in common: neither would decide about it.
    #[must_use]
    pub fn ties_with(&self, other: &Self) -> bool {
        let meet = |(a, b): (&str, &str)| {
            matches!(a, "*" | "**") || matches!(b, "*" | "**") || globs_meet(a.as_bytes(), b.as_bytes())
        };
        self != other
            && self.specificity(other) == Ordering::Equal
            && self.0.split('/').zip(other.0.split('/')).all(meet)
    }

    /// Which of two patterns is more specific (greater): segments compared left to right, literal before glob before `*` before
    /// `**`; then the longer one.
    #[must_use]
    pub fn specificity(&self, other: &Self) -> Ordering {
        let ranks = |pattern: &Self| pattern.0.split('/').map(rank).collect::<Vec<_>>();
        ranks(self).cmp(&ranks(other))
    }
}

fn rank(segment: &str) -> u8 {
    match segment {
        "**" => 0,
        "*" => 1,
        _ if segment.contains('*') => 2,
        _ => 3,
    }
}

/// Whether some text matches both globs. Quadratic in their lengths, which names bound.
fn globs_meet(a: &[u8], b: &[u8]) -> bool {
    // `below[j]`: whether the rests of `a` behind its present byte, and of `b` from its j-th byte on, meet.
    let mut below: Vec<bool> = Vec::new();
    for i in (0..=a.len()).rev() {
        let x = a.get(i);
        let mut row = vec![false; b.len() + 2];
        for j in (0..=b.len()).rev() {
            let at = |row: &[bool], j: usize| row.get(j).copied().unwrap_or_default();
            let meets = match (x, b.get(j)) {
                (None, None) => true,
                (Some(b'*'), _) => at(&below, j) || (j < b.len() && at(&row, j + 1)),
                (_, Some(b'*')) => at(&row, j + 1) || at(&below, j),
                (Some(x), Some(y)) => x == y && at(&below, j + 1),
                _ => false,
            };
            if let Some(place) = row.get_mut(j) {
                *place = meets;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or_default()
}

/// `*` matches any bytes; linear but for one step back to the last star.
fn glob(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            (Some((p, pattern_rest)), Some((t, text_rest))) if p == t => {
                (pattern, text) = (pattern_rest, text_rest);
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = retry else { return false };
                let Some((_, shorter)) = from.split_first() else { return false };
                retry = Some((after_star, shorter));
                (pattern, text) = (after_star, shorter);
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let character = |c: u8| c.is_ascii_alphanumeric() || b"_.-*".contains(&c);
        let segments: Vec<&str> = text.split('/').collect();
        let fits = text.len() <= MAX_PATH_BYTES
            && segments.iter().all(|s| !s.is_empty() && s.bytes().all(character) && !s.starts_with(['.', '-']))
            && segments.iter().rev().skip(1).all(|s| !s.contains("**"))
            && segments.last().is_some_and(|s| *s == "**" || !s.contains("**"));
        if fits { Ok(Self(text.to_owned())) } else { Err(PatternError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn patterns_match_as_designed() {
        for (text, path, expected) in [
            ("**", "production/A", true),
            ("production/*", "production/A", true),
            ("production/*", "production/a/B", true),
            ("production/**", "production/a/B", true),
            ("production/*", "staging/A", false),
            ("*/A", "staging/A", true),
            ("*/A", "staging/a/A", false),
            ("production/*_KEY", "production/API_KEY", true),
            ("production/*_KEY", "production/API_KEYS", false),
            ("production/*_KEY", "production/x/API_KEY", false),
            ("production/A", "production/A", true),
            ("production/A", "production/A/B", false),
            ("production", "production/A", false),
            ("*a*b*", "xaxbx", true),
            ("*a*b*", "xbxax", false),
        ] {
            assert_eq!(pattern(text).matches(path), expected, "{text} {path}");
        }
    }

    #[test]
    fn literal_before_glob_before_star_before_double_star() {
        let order = ["**", "*/A", "*prod/A", "production/**", "production/*", "production/*_KEY", "production/API_KEY"];
        for pair in order.windows(2) {
            assert_eq!(pattern(pair[0]).specificity(&pattern(pair[1])), Ordering::Less, "{pair:?}");
        }
        assert_eq!(pattern("production/A*").specificity(&pattern("production/*A")), Ordering::Equal);
    }

    #[test]
    fn patterns_that_decide_about_one_path_alike_tie() {
        for (a, b, ties) in [
            ("production/A*", "production/*A", true),
            ("production/A*C", "production/A*B", false),
            ("production/*", "production/**", false),
            ("production/*", "staging/*", false),
            ("p*/A", "*n/A", true),
            ("p*/A", "*n/B", false),
            ("p*/*", "*n/*", true),
            ("production/*", "production/*", false),
        ] {
            assert_eq!(pattern(a).ties_with(&pattern(b)), ties, "{a} {b}");
            assert_eq!(pattern(b).ties_with(&pattern(a)), ties, "{b} {a}");
        }
    }

    #[test]
    fn other_texts_are_no_patterns() {
        for text in ["", "/a", "a//b", "**/a", "a**", "a/../b", "a b", "é", "-x"] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn globs_that_match_one_text_meet(a in "[ab*]{0,4}", b in "[ab*]{0,4}") {
            // Globs of four letters between them need no longer text than eight letters.
            let texts = (0..=8usize).flat_map(|length| (0..1usize << length).map(move |bits| {
                (0..length).map(|at| if bits >> at & 1 == 0 { b'a' } else { b'b' }).collect::<Vec<u8>>()
            }));
            let common = texts.into_iter().any(|text| glob(a.as_bytes(), &text) && glob(b.as_bytes(), &text));
            prop_assert_eq!(globs_meet(a.as_bytes(), b.as_bytes()), common);
        }

        #[test]
        fn a_glob_agrees_with_a_slow_one(text in "[ab]{0,8}", glob_text in "[ab*]{0,8}") {
            fn slow(p: &[u8], t: &[u8]) -> bool {
                match (p, t) {
                    ([], []) => true,
                    ([b'*', rest @ ..], _) => slow(rest, t) || (!t.is_empty() && slow(p, &t[1..])),
                    ([a, p @ ..], [b, t @ ..]) if a == b => slow(p, t),
                    _ => false,
                }
            }
            prop_assert_eq!(glob(glob_text.as_bytes(), text.as_bytes()), slow(glob_text.as_bytes(), text.as_bytes()));
        }
    }
}
