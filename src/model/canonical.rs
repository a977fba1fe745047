//! A quick reader for documents in canonical bytes, which is what all documents are that nobody tampered with.
//!
//! It turns the canonical YAML into JSON, line by line, and is not strict at all: what it makes counts only if it comes out, emitted
//! again, as the very bytes that went in. Everything else goes to the strict parser, which says what is wrong. It takes a fifth of that
//! parser's time, and reading a list of secrets is mostly parsing.

use std::iter::Peekable;
use std::str::Lines;

use serde::de::DeserializeOwned;

/// Deeper than any document of ours.
const MAX_DEPTH: usize = 8;

/// The fields of `body`, if it looks canonical. What YAML makes of characters beyond ASCII is for the strict parser to say.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if !body.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let mut json = String::with_capacity(text.len() + text.len() / 4);
    let mut lines = text.lines().peekable();
    map(&mut lines, None, 0, &mut json)?;
    if lines.next().is_some() {
        return None;
    }
    serde_json::from_str(&json).ok()
}

/// What a line at this depth says; none when the line is at another one.
fn at_depth(line: &str, depth: usize) -> Option<&str> {
    let (blanks, content) = line.split_at_checked(2 * depth)?;
    (blanks.bytes().all(|c| c == b' ') && !content.starts_with(' ')).then_some(content)
}

/// A block beneath a key: a list or a map.
fn block(lines: &mut Peekable<Lines<'_>>, depth: usize, json: &mut String) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let is_list = at_depth(lines.peek()?, depth)?.starts_with("- ");
    if is_list { list(lines, depth, json) } else { map(lines, None, depth, json) }
}

fn list(lines: &mut Peekable<Lines<'_>>, depth: usize, json: &mut String) -> Option<()> {
    let mut opening = '[';
    while let Some(item) = lines.peek().and_then(|line| at_depth(line, depth)?.strip_prefix("- ")) {
        lines.next();
        json.push(opening);
        opening = ',';
        if item.starts_with('"') { scalar(item, json) } else { map(lines, Some(item), depth + 1, json)? }
    }
    json.push(']');
    Some(())
}

/// A map, whose first line may stand behind the dash of a list.
fn map(lines: &mut Peekable<Lines<'_>>, mut first: Option<&str>, depth: usize, json: &mut String) -> Option<()> {
    let mut opening = '{';
    loop {
        let line = match first.take() {
            Some(line) => line,
            None => match lines.peek().and_then(|line| at_depth(line, depth)) {
                Some(line) => {
                    lines.next();
                    line
                }
                None => break,
            },
        };
        json.push(opening);
        opening = ',';
        let end = if line.starts_with('"') { end_of_string(line)? } else { line.find(':')? };
        let (key, rest) = line.split_at_checked(end)?;
        scalar(key, json);
        json.push(':');
        match rest.strip_prefix(':')? {
            "" => block(lines, depth + 1, json)?,
            value => scalar(value.strip_prefix(' ')?, json),
        }
    }
    json.push('}');
    Some(())
}

/// Where the JSON string that `line` begins with ends.
fn end_of_string(line: &str) -> Option<usize> {
    let mut escaped = false;
    let closing = line.bytes().skip(1).position(|c| {
        let closes = c == b'"' && !escaped;
        escaped = c == b'\\' && !escaped;
        closes
    });
    closing.map(|at| at + 2)
}

/// A scalar: strings, numbers and empty containers are JSON already; words and times become strings.
fn scalar(text: &str, json: &mut String) {
    let is_json = text.starts_with('"')
        || matches!(text, "null" | "true" | "false" | "[]" | "{}")
        || (!text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()));
    if is_json {
        json.push_str(text);
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml::{Document, Node};
    use proptest::prelude::*;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        x: u64,
        y: Option<String>,
        z: Vec<String>,
    }

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "vsecure")]
        format: String,
        list: Vec<Inner>,
        map: std::collections::BTreeMap<String, Vec<String>>,
        yes: bool,
    }

    impl Document for Outer {
        type Wire = Self;
        const FORMAT: &'static str = "outer/1";
        const MAX_BYTES: usize = 65_536;

        fn from_wire(wire: Self) -> Self {
            wire
        }

        fn check(&self) -> Result<(), crate::model::DocumentError> {
            Ok(())
        }

        fn fields(&self) -> Vec<(&'static str, Node)> {
            let inner = |it: &Inner| {
                Node::Fields(vec![
                    ("x", Node::Number(it.x)),
                    ("y", Node::option(it.y.as_ref(), Node::text)),
                    ("z", Node::list(&it.z, Node::text)),
                ])
            };
            let map = self.map.iter().map(|(key, list)| (key.clone(), Node::list(list, Node::text))).collect();
            vec![("list", Node::list(&self.list, inner)), ("map", Node::Map(map)), ("yes", Node::Bool(self.yes))]
        }
    }

    proptest! {
        #[test]
        fn canonical_bytes_are_read_as_the_strict_parser_reads_them(
            list in prop::collection::vec((any::<u64>(), prop::option::of("[ -~\n\t]{0,9}"), prop::collection::vec("[a-b\"\\\\: \n]{0,9}", 0..3)), 0..3),
            map in prop::collection::btree_map("[a-z\"\\\\: -]{0,6}", prop::collection::vec("[a-z:\"-]{0,6}", 0..3), 0..3),
            yes in any::<bool>(),
        ) {
            let list = list.into_iter().map(|(x, y, z)| Inner { x, y, z }).collect();
            let document = Outer { format: "outer/1".to_owned(), list, map, yes };
            let body = document.body();
            prop_assert_eq!(read::<Outer>(&body), Some(Outer::strictly_parsed(&body).unwrap()));
        }

        #[test]
        fn other_bytes_never_pass(at in any::<prop::sample::Index>(), with in "[ \n\"-:{},x0]{0,2}") {
            let inner = Inner { x: 1, y: None, z: vec!["a".to_owned(), "b".to_owned()] };
            let map = [("k".to_owned(), vec!["v".to_owned()])].into();
            let document = Outer { format: "outer/1".to_owned(), list: vec![inner], map, yes: true };
            let body = document.body();
            let mut other = String::from_utf8(body.clone()).unwrap();
            let at = at.index(other.len());
            other.replace_range(at..at + 1, &with);
            let same = |a: Result<Outer, _>, b: Result<Outer, _>| a == b;
            prop_assert!(same(Outer::parse(other.as_bytes()), Outer::strictly_parsed(other.as_bytes())), "{}", other);
        }
    }
}
