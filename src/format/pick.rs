//! Picking one part of a structured value.

use super::structure;
use crate::crypto::SecretBytes;

/// Why a part can't be picked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// The value has no parts.
    #[error("the value is not JSON, YAML or dotenv with fields")]
    NotStructured,
    /// No such part.
    #[error("the value has no field `{field}`")]
    NotThere {
        /// As far as it was followed, and one step more.
        field: String,
    },
    /// Not a field's name.
    #[error("a field is written a.b, a[0].b or a[\"x.y\"].b")]
    Syntax,
}

enum Step {
    Key(String),
    Index(usize),
}

/// The part `field` of `value`: strings as they are, numbers and truth values as text, containers as compact JSON.
///
/// # Errors
/// [`PickError`]; no part of the value is repeated in it.
pub fn pick(value: &SecretBytes, field: &str) -> Result<SecretBytes, PickError> {
    let steps = steps(field)?;
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| PickError::NotStructured)?;
    let whole = structure::parts_asked_for(text).ok_or(PickError::NotStructured)?;
    let mut part = &whole;
    let mut followed = String::new();
    for step in &steps {
        let next = match step {
            Step::Key(key) => {
                followed.push_str(if followed.is_empty() { "" } else { "." });
                followed.push_str(key);
                part.get(key)
            }
            Step::Index(index) => {
                followed.push_str(&format!("[{index}]"));
                part.get(index)
            }
        };
        part = next.ok_or_else(|| PickError::NotThere { field: followed.clone() })?;
    }
    Ok(SecretBytes::new(structure::as_text(part).into_bytes()))
}

fn steps(field: &str) -> Result<Vec<Step>, PickError> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let (inside, tail) = match bracket.strip_prefix('"') {
                Some(quoted) => quoted.split_once("\"]").map(|(key, tail)| (Step::Key(key.to_owned()), tail)),
                None => bracket
                    .split_once(']')
                    .and_then(|(index, tail)| index.parse().ok().map(|index| (Step::Index(index), tail))),
            }
            .ok_or(PickError::Syntax)?;
            steps.push(inside);
            rest = tail;
        } else {
            rest = if steps.is_empty() { rest } else { rest.strip_prefix('.').ok_or(PickError::Syntax)? };
            let (key, tail) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            if key.is_empty() {
                return Err(PickError::Syntax);
            }
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
        }
    }
    if steps.is_empty() { Err(PickError::Syntax) } else { Ok(steps) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(value: &str, field: &str) -> Result<String, PickError> {
        let value = pick(&SecretBytes::new(value.as_bytes().to_vec()), field)?;
        Ok(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn parts_are_picked_from_each_format() {
        let json = r#"{"a":{"b":"x","n":5,"l":[1,{"c":true}],"x.y":"dot"}}"#;
        for (field, expected) in
            [("a.b", "x"), ("a.n", "5"), ("a.l[1].c", "true"), ("a.l", r#"[1,{"c":true}]"#), ("a[\"x.y\"]", "dot")]
        {
            assert_eq!(picked(json, field).as_deref(), Ok(expected), "{field}");
        }
        assert_eq!(picked("a:\n  b: x\n", "a.b").as_deref(), Ok("x"));
        assert_eq!(picked("a: {b: x}", "a.b").as_deref(), Ok("x"));
        assert_eq!(picked("{a: {b: x}}\n", "a.b").as_deref(), Ok("x"));
        assert_eq!(picked("A=1\nB=\"two words\"\n", "B").as_deref(), Ok("two words"));
    }

    #[test]
    fn numbers_keep_their_spelling() {
        assert_eq!(picked(r#"{"a":1.10,"b":1234567890123456789012345}"#, "a").as_deref(), Ok("1.10"));
        assert_eq!(picked(r#"{"b":1234567890123456789012345}"#, "b").as_deref(), Ok("1234567890123456789012345"));
        assert_eq!(picked("a: 0755\nb: yes\nc: 1_000\n", "a").as_deref(), Ok("0755"));
        assert_eq!(picked("a: 0755\nb: yes\nc: 1_000\n", "b").as_deref(), Ok("yes"));
        assert_eq!(picked("a: 0755\nb: yes\nc: 1_000\n", "c").as_deref(), Ok("1_000"));
    }

    #[test]
    fn what_is_not_there_is_named_without_the_value() {
        let json = r#"{"a":{"b":"hunter2"}}"#;
        assert_eq!(picked(json, "a.c.d"), Err(PickError::NotThere { field: "a.c".into() }));
        assert_eq!(picked(json, "a.b.c"), Err(PickError::NotThere { field: "a.b.c".into() }));
        assert_eq!(picked("hunter2", "a"), Err(PickError::NotStructured));
        for field in ["", ".", "a.", "a..b", "a[", "a[x]", "a]b[0]x", "a[0]b"] {
            assert!(picked(json, field).is_err(), "{field}");
        }
    }
}
