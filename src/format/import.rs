//! Names and values out of the files in which other programs keep them: dotenv, JSON, YAML.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::dotenv::{DotenvError, read_dotenv};
use super::structure::{any_yaml, as_text};
use crate::crypto::SecretBytes;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `.env`.
    Dotenv,
    /// A JSON object.
    Json,
    /// A YAML mapping.
    Yaml,
}

/// Why nothing can be imported from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not what it was said to be.
    #[error(transparent)]
    Dotenv(#[from] DotenvError),
    /// Not a JSON object.
    #[error("it is not a JSON object{}", at_line(*line))]
    Json {
        /// Where it goes wrong; 0 where it is JSON of another kind.
        line: usize,
    },
    /// Not a YAML mapping.
    #[error("it is not a YAML mapping without anchors, tags and further documents")]
    Yaml,
    /// Encrypted by sops.
    #[error("it is encrypted by sops")]
    Sops,
    /// Two of its keys come to one name.
    #[error("two of its keys come to the name `{name}`")]
    Collision {
        /// The name.
        name: String,
    },
    /// Nested keys whose names, each joined of all above it, are too much.
    #[error("the names that its nested keys come to are more than {} MiB", MOST_NAME_BYTES >> 20)]
    TooLong,
    /// Nothing tells what it is written in.
    #[error("neither its name nor its content tells what it is written in")]
    Unknown,
}

/// How much the names may come to in all: a few long keys around many short ones multiply.
const MOST_NAME_BYTES: usize = 64 << 20;

/// What sops adds to a dotenv file, and how its encrypted values begin.
const SOPS_MAC: &str = "sops_mac";
const SOPS_VALUE: &[u8] = b"ENC[";

fn at_line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(" (line {line})") }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Names and values, by name.
    pub values: BTreeMap<String, SecretBytes>,
    /// Names without a value, and what is there instead.
    pub skipped: Vec<(String, &'static str)>,
}

/// What `content` is written in, by the name of its file, else by itself.
///
/// # Errors
/// [`ImportError::Unknown`].
pub fn source_of(path: &Path, content: &[u8]) -> Result<Source, ImportError> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") {
        return Ok(Source::Dotenv);
    }
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => return Ok(Source::Json),
        Some("yaml" | "yml") => return Ok(Source::Yaml),
        _ => {}
    }
    if content.trim_ascii_start().starts_with(b"{") {
        return Ok(Source::Json);
    }
    match read_dotenv(content) {
        Ok(found) if !found.is_empty() => Ok(Source::Dotenv),
        _ => Err(ImportError::Unknown),
    }
}

/// The names and values in `content`. Nested keys are joined: `db.password` becomes `DB_PASSWORD`; a key that is not nested stays as it is.
///
/// # Errors
/// [`ImportError`], which holds nothing of a value.
pub fn import(source: Source, content: &[u8]) -> Result<Found, ImportError> {
    let text = std::str::from_utf8(content).map_err(|_| DotenvError::NotText);
    let tree = match source {
        Source::Dotenv => {
            let values: BTreeMap<String, SecretBytes> = read_dotenv(content)?.into_iter().collect();
            if values.get(SOPS_MAC).is_some_and(|mac| mac.as_bytes().starts_with(SOPS_VALUE)) {
                return Err(ImportError::Sops);
            }
            return Ok(Found { values, skipped: Vec::new() });
        }
        Source::Json => {
            serde_json::from_str::<Value>(text?).map_err(|error| ImportError::Json { line: error.line() })?
        }
        Source::Yaml => any_yaml(text?).ok_or(ImportError::Yaml)?,
    };
    let Value::Object(map) = tree else {
        return Err(if source == Source::Json { ImportError::Json { line: 0 } } else { ImportError::Yaml });
    };
    if map.get("sops").is_some_and(|sops| sops.get("mac").is_some()) {
        return Err(ImportError::Sops);
    }
    let mut found = Found::default();
    let mut left = MOST_NAME_BYTES;
    for (key, value) in &map {
        collect(key.clone(), value, &mut left, &mut found)?;
    }
    Ok(found)
}

/// `left` is what names may still come to.
fn collect(name: String, value: &Value, left: &mut usize, found: &mut Found) -> Result<(), ImportError> {
    *left = left.checked_sub(name.len()).ok_or(ImportError::TooLong)?;
    let below = |key: &str| {
        let joined = format!("{name}_{key}").to_ascii_uppercase();
        joined.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>()
    };
    match value {
        Value::Null => found.skipped.push((name, "null")),
        Value::Object(map) if map.is_empty() => found.skipped.push((name, "an empty mapping")),
        Value::Array(list) if list.is_empty() => found.skipped.push((name, "an empty list")),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| collect(below(key), value, left, found))?,
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            numbered.into_iter().try_for_each(|(at, value)| collect(below(&at.to_string()), value, left, found))?;
        }
        value => {
            let bytes = SecretBytes::new(as_text(value).into_bytes());
            if found.values.insert(name.clone(), bytes).is_some() {
                return Err(ImportError::Collision { name });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: Source, text: &str) -> Result<Vec<String>, ImportError> {
        let found = import(source, text.as_bytes())?;
        let value = |value: &SecretBytes| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        let values = found.values.iter().map(|(name, bytes)| format!("{name}={}", value(bytes)));
        Ok(values.chain(found.skipped.iter().map(|(name, what)| format!("{name}: {what}"))).collect())
    }

    #[test]
    fn nested_keys_are_joined_and_numbers_keep_their_spelling() {
        let json = r#"{"api_key":"x","db":{"password":"p w","port":5432,"tls":true,"max-size":1.10},"hosts":["a","b"],"n":null,"e":{}}"#;
        let expected = [
            "DB_MAX_SIZE=1.10",
            "DB_PASSWORD=p w",
            "DB_PORT=5432",
            "DB_TLS=true",
            "HOSTS_0=a",
            "HOSTS_1=b",
            "api_key=x",
        ];
        let skipped = ["n: null".to_owned(), "e: an empty mapping".to_owned()];
        let found = all(Source::Json, json).unwrap();
        assert_eq!(found[..7], expected);
        assert!(skipped.iter().all(|it| found.contains(it)), "{found:?}");
        assert_eq!(
            all(Source::Yaml, "db:\n  password: |\n    two\n    lines\n  zip: 0123\n").unwrap(),
            ["DB_PASSWORD=two\nlines\n", "DB_ZIP=0123"]
        );
    }

    #[test]
    fn what_cannot_be_imported_is_told_apart() {
        assert_eq!(all(Source::Json, "{\"a\":1,\n\"b\":}"), Err(ImportError::Json { line: 2 }));
        assert_eq!(all(Source::Json, "[1]"), Err(ImportError::Json { line: 0 }));
        assert_eq!(all(Source::Yaml, "a: &x 1\nb: *x\n"), Err(ImportError::Yaml));
        assert_eq!(all(Source::Yaml, "- a\n"), Err(ImportError::Yaml));
        assert_eq!(all(Source::Json, r#"{"a":{"b":1},"A_B":2}"#), Err(ImportError::Collision { name: "A_B".into() }));
        let long = "k".repeat(1 << 20);
        let many = (0..100).map(|key| format!("\"{key}\":1")).collect::<Vec<_>>().join(",");
        assert_eq!(all(Source::Json, &format!("{{\"{long}\":{{{many}}}}}")), Err(ImportError::TooLong));
        assert_eq!(all(Source::Yaml, "a: ENC[x]\nsops:\n  mac: ENC[y]\n"), Err(ImportError::Sops));
        assert_eq!(all(Source::Dotenv, "A=ENC[x]\nsops_mac=ENC[y]\n"), Err(ImportError::Sops));
        assert_eq!(all(Source::Dotenv, "sops_mac=mine\n").unwrap(), ["sops_mac=mine"]);
        assert_eq!(all(Source::Dotenv, "A=1\nx\n"), Err(DotenvError::Malformed { line: 2 }.into()));
    }

    #[test]
    fn the_kind_of_file_is_told_by_name_and_content() {
        for (path, content, expected) in [
            (".env.production", "", Source::Dotenv),
            ("prod.env", "", Source::Dotenv),
            ("x.json", "", Source::Json),
            ("x.YML", "", Source::Yaml),
            ("-", " {\"a\":1}", Source::Json),
            ("secrets", "A=1\n", Source::Dotenv),
        ] {
            assert_eq!(source_of(Path::new(path), content.as_bytes()), Ok(expected), "{path}");
        }
        assert_eq!(source_of(Path::new("x"), b"what"), Err(ImportError::Unknown));
    }
}
