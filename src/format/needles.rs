//! Finding values in what other programs wrote, also in the disguises of everyday: base64, hex, URL and JSON escapes. One pass for all.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::crypto::SecretBytes;

/// Shorter values are found everywhere by chance.
pub const MIN_NEEDLE_BYTES: usize = 8;

/// How a value is written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Disguise {
    /// As it is.
    Raw,
    /// In base64 of either alphabet, alone or as a part of something longer.
    Base64,
    /// In hexadecimal digits.
    Hex,
    /// With percent signs.
    Url,
    /// With JSON's backslashes.
    Json,
}

/// Where a value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The line, from 1.
    pub line: usize,
    /// Which of the values, by its place among those given.
    pub value: usize,
    /// How it is written.
    pub disguise: Disguise,
}

/// What one pattern is: values, and how each is written so.
type Meanings = BTreeMap<usize, Disguise>;

/// Values to look for.
pub struct Needles {
    automaton: AhoCorasick,
    /// What each pattern of the automaton is.
    meaning: Vec<Meanings>,
}

impl Needles {
    /// Looks for `values`; those shorter than [`MIN_NEEDLE_BYTES`] are never found. White space at the end of a value need not be there. None
    /// when they are too many for memory.
    #[must_use]
    pub fn new(values: &[&SecretBytes]) -> Option<Self> {
        let mut patterns: BTreeMap<Vec<u8>, Meanings> = BTreeMap::new();
        for (number, value) in values.iter().enumerate() {
            let value = value.as_bytes().trim_ascii_end();
            if value.len() < MIN_NEEDLE_BYTES {
                continue;
            }
            for (disguise, pattern) in disguises(value) {
                // Of two ways to write a value that look the same, the first one.
                patterns.entry(pattern).or_default().entry(number).or_insert(disguise);
            }
        }
        let automaton = AhoCorasick::new(patterns.keys()).ok()?;
        Some(Self { automaton, meaning: patterns.into_values().collect() })
    }

    /// Everything found in `text`, by line: each value once a line and way of writing.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        let (mut line, mut counted) = (1, 0);
        for found in self.automaton.find_overlapping_iter(text) {
            // Matches come by their ends, which never fall.
            let between = text.get(counted..found.end()).unwrap_or_default();
            line += between.iter().filter(|byte| **byte == b'\n').count();
            counted = found.end();
            let inside = text.get(found.range()).unwrap_or_default();
            let begun = line - inside.iter().filter(|byte| **byte == b'\n').count();
            let meanings = self.meaning.get(found.pattern().as_usize()).into_iter().flatten();
            hits.extend(meanings.map(|(value, disguise)| Hit { line: begun, value: *value, disguise: *disguise }));
        }
        hits.sort_unstable();
        hits.dedup();
        hits
    }
}

fn disguises(value: &[u8]) -> Vec<(Disguise, Vec<u8>)> {
    let mut all = vec![(Disguise::Raw, value.to_vec())];
    for before in 0..3 {
        all.push((Disguise::Base64, base64_part(value, before, &STANDARD_NO_PAD)));
        all.push((Disguise::Base64, base64_part(value, before, &URL_SAFE_NO_PAD)));
    }
    let hex = |upper: bool| {
        let digits = value.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>().into_bytes()
    };
    all.extend([(Disguise::Hex, hex(false)), (Disguise::Hex, hex(true))]);
    let url = |blank: &str, upper: bool| {
        let escaped = value.iter().map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
            b' ' => blank.to_owned(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        });
        escaped.collect::<String>().into_bytes()
    };
    all.extend([("%20", true), ("%20", false), ("+", true)].map(|(blank, upper)| (Disguise::Url, url(blank, upper))));
    if let Ok(text) = std::str::from_utf8(value) {
        let quoted = serde_json::Value::from(text).to_string();
        let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let ascii: String = inside.chars().map(ascii_escape).collect();
        let slashes = inside.replace('/', "\\/");
        all.extend([inside.to_owned(), ascii, slashes].map(|text| (Disguise::Json, text.into_bytes())));
    }
    all
}

fn ascii_escape(c: char) -> String {
    if c.is_ascii() {
        return c.to_string();
    }
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// The digits that `value` has in base64 behind `before` other bytes (of which only the number modulo 3 counts), whatever is around it.
fn base64_part(value: &[u8], before: usize, alphabet: &impl Engine) -> Vec<u8> {
    let mut padded = vec![0; before];
    padded.extend_from_slice(value);
    let digits = alphabet.encode(&padded).into_bytes();
    // Digits that depend on a neighbour's bits are left out, at both ends.
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    digits.get(first..last).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    fn hits(values: &[&[u8]], text: &[u8]) -> Vec<(usize, usize, String)> {
        let values: Vec<SecretBytes> = values.iter().map(|value| SecretBytes::new(value.to_vec())).collect();
        let needles = Needles::new(&values.iter().collect::<Vec<_>>()).unwrap();
        needles.find(text).into_iter().map(|hit| (hit.line, hit.value, hit.disguise.to_string())).collect()
    }

    #[test]
    fn values_are_found_in_every_disguise() {
        let value = "s3cr3t/\"käse\" +?>~".as_bytes();
        for (text, disguise) in [
            ("a\nb s3cr3t/\"käse\" +?>~ c".to_owned(), "raw"),
            (format!("\n{}", STANDARD.encode(value)), "base64"),
            (format!("\n{}", URL_SAFE.encode(value)), "base64"),
            (format!("\n{}", STANDARD.encode([b"user:", value, b"!"].concat())), "base64"),
            (format!("\n{}", STANDARD.encode([b"x", value, b"yz"].concat())), "base64"),
            (format!("\n{}", value.iter().map(|byte| format!("{byte:02X}")).collect::<String>()), "hex"),
            ("\ns3cr3t%2F%22k%C3%A4se%22%20%2B%3F%3E~".to_owned(), "url"),
            ("\ns3cr3t%2F%22k%C3%A4se%22+%2B%3F%3E~".to_owned(), "url"),
            ("\n\"s3cr3t/\\\"käse\\\" +?>~\"".to_owned(), "json"),
            ("\n\"s3cr3t/\\\"k\\u00e4se\\\" +?>~\"".to_owned(), "json"),
            ("\n\"s3cr3t\\/\\\"käse\\\" +?>~\"".to_owned(), "json"),
        ] {
            assert_eq!(hits(&[b"otherwise", value], text.as_bytes()), [(2, 1, disguise.to_owned())], "{text}");
        }
    }

    #[test]
    fn short_values_are_not_looked_for_and_nested_ones_are_told_apart() {
        assert_eq!(hits(&[b"short"], b"short shorter"), []);
        let found = hits(&[b"password", b"password-long\n"], b"x\npassword-long\npassword password");
        let raw = |line, value| (line, value, "raw".to_owned());
        assert_eq!(found, [raw(2, 0), raw(2, 1), raw(3, 0)]);
        assert_eq!(hits(&[b"line one\nline two"], b"a\nline one\nline two\n"), [raw(2, 0)]);
        assert_eq!(hits(&[], b"anything"), []);
    }

    proptest! {
        #[test]
        fn base64_is_found_wherever_a_value_lies_in_it(
            value in prop::collection::vec(any::<u8>(), 8..40),
            before in prop::collection::vec(any::<u8>(), 0..5),
            after in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            let value = [&value[..], b"x"].concat();
            let text = STANDARD.encode([&before[..], &value, &after].concat());
            prop_assert!(!hits(&[&value], text.as_bytes()).is_empty(), "{}", text);
        }
    }
}
