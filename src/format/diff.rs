//! Comparing two values.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;

use super::structure;
use super::terminal::{escape, escape_lines};
use crate::crypto::SecretBytes;

const CONTEXT_LINES: usize = 3;
const LONGEST: Duration = Duration::from_millis(500);
const MASK: &str = "********";

/// How one field of a structured value changed; its texts are parts of the values.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field: `a.b`, `a[0]`.
    pub field: String,
    /// Before; none when it was added.
    pub old: Option<String>,
    /// After; none when it was removed.
    pub new: Option<String>,
}

/// How two values differ. All but [`ValueDiff::Equal`] hold parts of them, until rendered masked.
#[derive(Clone, PartialEq, Eq)]
pub enum ValueDiff {
    /// Not at all.
    Equal,
    /// Field by field: JSON, YAML and dotenv values.
    Fields(Vec<FieldChange>),
    /// Line by line.
    Text {
        /// The old text.
        old: String,
        /// The new text.
        new: String,
    },
    /// Values that are not text: their sizes in bytes.
    Binary {
        /// Before.
        old: usize,
        /// After.
        new: usize,
    },
}

impl fmt::Debug for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldChange(redacted)")
    }
}

impl fmt::Debug for ValueDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_change() { "ValueDiff(redacted)" } else { "ValueDiff(equal)" })
    }
}

/// Compares two values: field by field when both are structured alike, else line by line, else by size.
#[must_use]
pub fn compare(old: &SecretBytes, new: &SecretBytes) -> ValueDiff {
    if old.same_as(new) {
        return ValueDiff::Equal;
    }
    let texts = (std::str::from_utf8(old.as_bytes()), std::str::from_utf8(new.as_bytes()));
    let (Ok(old_text), Ok(new_text)) = texts else { return ValueDiff::Binary { old: old.len(), new: new.len() } };
    if old_text.contains('\0') || new_text.contains('\0') {
        return ValueDiff::Binary { old: old.len(), new: new.len() };
    }
    let fields = match (structure::parts(old_text), structure::parts(new_text)) {
        (Some((a, old)), Some((b, new))) if a == b => changed_fields(&old, &new),
        _ => Vec::new(),
    };
    // Texts that differ only in layout have no changed field, and are shown as they are.
    if fields.is_empty() {
        return ValueDiff::Text { old: old_text.to_owned(), new: new_text.to_owned() };
    }
    ValueDiff::Fields(fields)
}

fn changed_fields(old: &Value, new: &Value) -> Vec<FieldChange> {
    let (old, new) = (flattened(old), flattened(new));
    let mut all: Vec<&String> = old.keys().chain(new.keys()).collect();
    all.sort_unstable();
    all.dedup();
    let changed = all.into_iter().filter(|field| old.get(*field) != new.get(*field));
    changed.map(|field| field_change(field, old.get(field).copied(), new.get(field).copied())).collect()
}

fn field_change(field: &str, old: Option<&Value>, new: Option<&Value>) -> FieldChange {
    // `5` and `"5"` differ, and have to look so.
    let alike = old.map(structure::as_text) == new.map(structure::as_text);
    let show = |value: &Value| if alike { value.to_string() } else { structure::as_text(value) };
    FieldChange { field: field.to_owned(), old: old.map(show), new: new.map(show) }
}

fn flattened(value: &Value) -> BTreeMap<String, &Value> {
    let mut leaves = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((name, value)) = open.pop() {
        match value {
            Value::Object(map) if !map.is_empty() => {
                open.extend(map.iter().map(|(key, value)| (format!("{name}{}", step(key, name.is_empty())), value)));
            }
            Value::Array(list) if !list.is_empty() => {
                open.extend(list.iter().enumerate().map(|(index, value)| (format!("{name}[{index}]"), value)));
            }
            leaf => drop(leaves.insert(name, leaf)),
        }
    }
    leaves
}

/// A key as a step of a field's name, in the way that it is picked by.
fn step(key: &str, first: bool) -> String {
    if key.is_empty() || key.contains(['.', '[', ']', '"']) {
        return format!("[\"{key}\"]");
    }
    if first { key.to_owned() } else { format!(".{key}") }
}

/// Lines compared, in bounded time: where it runs out, what is shown is right, but longer than need be.
fn lines<'a>(old: &'a str, new: &'a str) -> TextDiff<'a, 'a, 'a, str> {
    TextDiff::configure().timeout(LONGEST).diff_lines(old, new)
}

impl ValueDiff {
    /// Whether the values differ.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::Equal)
    }

    /// The difference for people, safe for a terminal. Masked, it holds no part of a value but the names of fields, and no length.
    #[must_use]
    pub fn render(&self, mask: bool, old_label: &str, new_label: &str) -> String {
        match self {
            Self::Equal => String::new(),
            Self::Fields(fields) => fields.iter().map(|field| render_field(field, mask)).collect(),
            Self::Text { old, new } if mask => {
                let (removed, added) = changed_lines(old, new);
                format!("the value changed (lines: {removed} removed, {added} added)\n")
            }
            Self::Text { old, new } => {
                let diff = lines(old, new);
                let mut unified = diff.unified_diff();
                // Most values end without a line end; that is worth a word only where it differs.
                let hint = old.ends_with('\n') != new.ends_with('\n');
                unified.context_radius(CONTEXT_LINES).header(old_label, new_label).missing_newline_hint(hint);
                escape_lines(&unified.to_string()).into_owned()
            }
            Self::Binary { .. } if mask => "the value changed (not text)\n".to_owned(),
            Self::Binary { old, new } => format!("the value changed (not text): {old} bytes, now {new} bytes\n"),
        }
    }
}

fn render_field(change: &FieldChange, mask: bool) -> String {
    let show = |text: &String| if mask { MASK.to_owned() } else { escape(text).into_owned() };
    let field = escape(&change.field);
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("~ {field}: {} -> {}\n", show(old), show(new)),
        (Some(old), None) => format!("- {field}: {}\n", show(old)),
        (None, Some(new)) => format!("+ {field}: {}\n", show(new)),
        (None, None) => String::new(),
    }
}

fn changed_lines(old: &str, new: &str) -> (usize, usize) {
    let diff = lines(old, new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    (count(similar::ChangeTag::Delete), count(similar::ChangeTag::Insert))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn diff(old: &str, new: &str) -> ValueDiff {
        compare(&SecretBytes::new(old.into()), &SecretBytes::new(new.into()))
    }

    #[test]
    fn structured_values_are_compared_field_by_field() {
        let shown =
            diff(r#"{"a":{"b":1,"c":2},"d":[1]}"#, r#"{"a":{"b":1,"c":3},"d":[1,5]}"#).render(false, "v1", "v2");
        assert_eq!(shown, "~ a.c: 2 -> 3\n+ d[1]: 5\n");
        let shown = diff("A=1\nB=2\n", "A=1\nC=2\n").render(false, "v1", "v2");
        assert_eq!(shown, "- B: 2\n+ C: 2\n");
        let shown = diff(r#"{"a.b":1,"a":{"b":5}}"#, r#"{"a.b":2,"a":{"b":"5"}}"#).render(false, "v1", "v2");
        assert_eq!(shown, "~ [\"a.b\"]: 1 -> 2\n~ a.b: 5 -> \"5\"\n");
        let shown = diff("a: 1\nb: x\n", "a: 1\nb: y\n").render(true, "v1", "v2");
        assert_eq!(shown, "~ b: ******** -> ********\n");
    }

    #[test]
    fn other_texts_are_compared_line_by_line() {
        let shown = diff("postgresql://a\n", "postgresql://b\n").render(false, "A v1", "A v2");
        assert_eq!(shown, "--- A v1\n+++ A v2\n@@ -1 +1 @@\n-postgresql://a\n+postgresql://b\n");
        assert_eq!(diff("a", "a").render(false, "", ""), "");
        assert!(!diff("a", "a").is_change());
        assert!(diff("{\"a\":1}", "{ \"a\": 1 }").is_change(), "layout is part of a value");
        assert!(diff("a\u{1b}[2J\n", "b\n").render(false, "", "").contains("\\u{1b}[2J"));
    }

    #[test]
    fn binary_values_show_their_sizes_and_masked_nothing() {
        let binary = compare(&SecretBytes::new(vec![0, 255]), &SecretBytes::new(vec![1, 2, 254]));
        assert_eq!(binary, ValueDiff::Binary { old: 2, new: 3 });
        assert_eq!(binary.render(true, "", ""), "the value changed (not text)\n");
    }

    proptest! {
        #[test]
        fn a_masked_difference_holds_no_value(old in "[QXZ]{9,30}", new in "[QXZ]{9,30}", key in "[a-m]{1,8}") {
            prop_assume!(old != new);
            for (a, b) in [(old.clone(), new.clone()),
                (format!("{{\"{key}\":\"{old}\"}}"), format!("{{\"{key}\":\"{new}\"}}")),
                (format!("x: 1\n{key}: {old}\n"), format!("x: 1\n{key}: {new}\n"))] {
                let shown = diff(&a, &b).render(true, "v1", "v2");
                prop_assert!(!shown.contains(&old) && !shown.contains(&new), "{}", shown);
            }
        }
    }
}
