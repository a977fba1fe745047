//! Values that have parts: JSON, YAML, dotenv. Parsed with limits, into one shape.

use serde_json::Value;

/// What a value's parts are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Yaml,
    Dotenv,
}

/// The value's parts, when it is a mapping or a list in one of the formats known. A bare word or number has none.
pub(super) fn parts(text: &str) -> Option<(Kind, Value)> {
    json(text).map(|value| (Kind::Json, value)).or_else(|| {
        let dotenv = dotenv(text).map(|value| (Kind::Dotenv, value));
        dotenv.or_else(|| yaml(text).map(|value| (Kind::Yaml, value)))
    })
}

/// As [`parts`], for somebody who says that there are parts: YAML on a single line and in brackets counts too.
pub(super) fn parts_asked_for(text: &str) -> Option<Value> {
    parts(text).map(|(_, value)| value).or_else(|| any_yaml(text))
}

fn container(value: Value) -> Option<Value> {
    (value.is_object() || value.is_array()).then_some(value)
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().and_then(container)
}

fn yaml(text: &str) -> Option<Value> {
    // A scalar on one line is a value of its own, whatever YAML would make of it: `https://host`, `a: b` in a password. So is text in
    // brackets that is not JSON.
    if !text.trim_end().contains('\n') || text.trim_start().starts_with(['{', '[', '"', '\'']) {
        return None;
    }
    any_yaml(text)
}

pub(super) fn any_yaml(text: &str) -> Option<Value> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0, max_depth: 32, flow_nesting_limit: 32, max_documents: 1 },
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Value>(text, options).ok().and_then(container)
}

/// `KEY=VALUE` lines: at least two lines, every one of them an assignment, blank or a comment.
fn dotenv(text: &str) -> Option<Value> {
    let mut map = serde_json::Map::new();
    let mut lines = 0;
    for line in text.lines() {
        lines += 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let (key, value) = (key.trim_end(), value.trim());
        // Two lines of base64 end in `=` as well, and their letters are no names.
        let padding = value.is_empty() || value == "=";
        if padding && !key.bytes().all(|c| c.is_ascii_uppercase() || c == b'_') {
            return None;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if key.is_empty() || !key.chars().all(word) || key.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        map.insert(key.to_owned(), Value::from(unquoted(value)));
    }
    (lines > 1 && !map.is_empty()).then_some(Value::Object(map))
}

fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

/// A part as text: strings as they are, everything else as compact JSON.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_have_parts() {
        assert_eq!(parts("{\"a\":1}").map(|(kind, _)| kind), Some(Kind::Json));
        assert_eq!(parts("a: 1\nb: [2]\n").map(|(kind, _)| kind), Some(Kind::Yaml));
        assert_eq!(parts("A=1\nexport B='x y'\n# c\n").map(|(kind, _)| kind), Some(Kind::Dotenv));
        for plain in [
            "sk_live_1",
            "5",
            "\"a\"",
            "postgres://u:p@h/db?x=y",
            "a: b",
            "two\nlines",
            "a=b",
            "",
            "A=1\n=\n",
            "{hunter2\n}",
            "aGVsbG8=\nd29ybGQ=\n",
        ] {
            assert_eq!(parts(plain), None, "{plain}");
        }
    }

    #[test]
    fn hostile_yaml_has_no_parts_and_costs_no_time() {
        let start = std::time::Instant::now();
        assert_eq!(parts(&format!("a:\n - {}", "[".repeat(100_000))), None);
        assert_eq!(parts("a: &x 1\nb: *x\n"), None);
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }
}
