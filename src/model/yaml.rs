//! The canonical YAML of documents: our emitter, and the only place where a document's YAML is parsed.
//!
//! Canonical form: block style, two spaces, LF; fields in the order of the format; maps of free keys sorted by bytes; every
//! string, and every free key, quoted as JSON quotes it, but for the words of the format and times; empty lists as `[]`, empty maps as
//! `{}`, nothing as `null`. Signatures are over these bytes, so the emitter is ours and must never change for format 1.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::canonical;

/// Why the body of a document is refused, after its signature was found right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum DocumentError {
    /// Over the limit of its kind, in bytes.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The format number is one that this program does not know.
    #[error("the document says `{found}`, and this program knows `{known}`: a newer vsecure wrote it")]
    UnknownFormat {
        /// What the first line says, cut to 64 characters.
        found: String,
        /// What it would have to say.
        known: &'static str,
    },
    /// Not a document of this kind: no first line `vsecure: …`.
    #[error("the document does not begin with `vsecure: {known}`")]
    NoFormat {
        /// What it would have to say.
        known: &'static str,
    },
    /// Not the strict YAML that documents are written in. The parser's text is left out: it may repeat the document.
    #[error("the document is not valid: line {line}, column {column}")]
    Malformed {
        /// Line of the body, from 1; 0 when unknown.
        line: u64,
        /// Column, from 1; 0 when unknown.
        column: u64,
    },
    /// Right content, other bytes.
    #[error("the document was changed by a formatter or an editor: its content is right, its bytes are not")]
    NotCanonical,
    /// The fields contradict each other.
    #[error("the document contradicts itself: {0}")]
    Inconsistent(&'static str),
}

/// A document's content on its way to canonical bytes.
#[derive(Debug)]
pub enum Node {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(u64),
    /// A word of the format, or a time: not quoted.
    Word(String),
    /// A free string: quoted as in JSON.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map with the format's own fields, in their order.
    Fields(Vec<(&'static str, Node)>),
    /// A map with free keys; the caller hands them in sorted.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn text(value: impl Display) -> Self {
        Self::Text(value.to_string())
    }

    pub(super) fn word(value: impl Display) -> Self {
        Self::Word(value.to_string())
    }

    pub(super) fn option<'a, T>(value: Option<&'a T>, node: impl FnOnce(&'a T) -> Self) -> Self {
        value.map_or(Self::Null, node)
    }

    pub(super) fn list<'a, T: 'a>(values: impl IntoIterator<Item = &'a T>, node: impl FnMut(&'a T) -> Self) -> Self {
        Self::List(values.into_iter().map(node).collect())
    }
}

/// A document's body: how it is parsed, strictly, and the one way in which it is written.
pub trait Document: Sized {
    /// The fields as they are written.
    type Wire: DeserializeOwned;
    /// What its first line says behind `vsecure: `.
    const FORMAT: &'static str;
    /// The largest body, in bytes.
    const MAX_BYTES: usize;

    /// The document with these fields.
    fn from_wire(wire: Self::Wire) -> Self;

    /// That its fields don't contradict each other.
    ///
    /// # Errors
    /// [`DocumentError::Inconsistent`].
    fn check(&self) -> Result<(), DocumentError>;

    /// The fields behind the first line, in their order.
    fn fields(&self) -> Vec<(&'static str, Node)>;

    /// The canonical body: what is signed.
    fn body(&self) -> Vec<u8> {
        let first = [("vsecure", Node::word(Self::FORMAT))];
        emit(first.into_iter().chain(self.fields()).collect()).into_bytes()
    }

    /// Parses a body whose signature was verified.
    ///
    /// # Errors
    /// [`DocumentError`] when it is too large, newer, malformed, not in canonical bytes or inconsistent.
    fn parse(body: &[u8]) -> Result<Self, DocumentError> {
        check_format(body, Self::FORMAT, Self::MAX_BYTES)?;
        let quick = canonical::read(body).map(Self::from_wire).filter(|document| document.body() == body);
        let document = match quick {
            Some(document) => document,
            None => Self::strictly_parsed(body)?,
        };
        document.check()?;
        Ok(document)
    }

    /// The document in a body that was parsed before and kept where nobody else writes: nothing is checked. None also for some that are
    /// right.
    fn of_known(body: &[u8]) -> Option<Self> {
        canonical::read(body).map(Self::from_wire)
    }

    /// As [`Document::parse`], by the strict parser alone: it says what is wrong.
    ///
    /// # Errors
    /// [`DocumentError`].
    fn strictly_parsed(body: &[u8]) -> Result<Self, DocumentError> {
        let document = Self::from_wire(parse(body, Self::FORMAT, Self::MAX_BYTES)?);
        if document.body() == body { Ok(document) } else { Err(DocumentError::NotCanonical) }
    }

    /// The canonical bytes of what `body` says, whatever its layout: to tell a formatter's change from a forgery.
    ///
    /// # Errors
    /// [`DocumentError`] as for [`Document::parse`], except for the layout.
    fn canonical_of(body: &[u8]) -> Result<Vec<u8>, DocumentError> {
        Ok(Self::from_wire(parse(body, Self::FORMAT, Self::MAX_BYTES)?).body())
    }
}

/// The canonical bytes of a document whose fields are `fields`.
pub(super) fn emit(fields: Vec<(&'static str, Node)>) -> String {
    let mut out = String::with_capacity(1024);
    emit_fields(&mut out, fields, 0, false);
    out
}

fn quote(out: &mut String, text: &str) {
    // The common case by itself: a list emits a hundred thousand strings.
    if text.bytes().all(|c| matches!(c, b' '..=b'~') && !matches!(c, b'"' | b'\\')) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

fn indent(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn emit_fields(out: &mut String, fields: Vec<(&'static str, Node)>, depth: usize, mut inline: bool) {
    for (key, node) in fields {
        if !std::mem::take(&mut inline) {
            indent(out, depth);
        }
        out.push_str(key);
        out.push(':');
        emit_value(out, node, depth);
    }
}

/// Emits what follows `key:`, with its line end.
fn emit_value(out: &mut String, node: Node, depth: usize) {
    let scalar = match node {
        Node::Null => "null",
        Node::Bool(true) => "true",
        Node::Bool(false) => "false",
        Node::Number(value) => &value.to_string(),
        Node::Word(ref word) => word,
        Node::Text(text) => {
            out.push(' ');
            quote(out, &text);
            return out.push('\n');
        }
        Node::List(items) if items.is_empty() => "[]",
        Node::Fields(fields) if fields.is_empty() => "{}",
        Node::Map(entries) if entries.is_empty() => "{}",
        Node::List(items) => {
            out.push('\n');
            return items.into_iter().for_each(|item| emit_item(out, item, depth + 1));
        }
        Node::Fields(fields) => {
            out.push('\n');
            return emit_fields(out, fields, depth + 1, false);
        }
        Node::Map(entries) => {
            out.push('\n');
            for (key, node) in entries {
                indent(out, depth + 1);
                quote(out, &key);
                out.push(':');
                emit_value(out, node, depth + 1);
            }
            return;
        }
    };
    out.push(' ');
    out.push_str(scalar);
    out.push('\n');
}

fn emit_item(out: &mut String, item: Node, depth: usize) {
    indent(out, depth);
    out.push('-');
    if let Node::Fields(fields) = item {
        out.push(' ');
        emit_fields(out, fields, depth + 1, true);
    } else {
        emit_value(out, item, depth);
    }
}

/// What YAML has to be like, whoever wrote it: no anchors, aliases, tags, duplicate keys, merge keys or second document, and shallow.
fn strict() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: 8,
            flow_nesting_limit: 8,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Why a text that a person wrote is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TextError {
    /// What is wrong, and where.
    message: String,
}

/// Reads what a person wrote, in YAML or in JSON, which is YAML too: as strict as for documents, but for its layout.
///
/// # Errors
/// [`TextError`], with the parser's words: nothing secret is written this way.
pub(crate) fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, TextError> {
    serde_saphyr::from_str_with_options(text, strict()).map_err(|error| TextError { message: error.to_string() })
}

/// Parses a document strictly: `vsecure: <known>` on its first line, no anchors, aliases, tags, duplicate keys, merge keys,
/// unknown fields or second document, and shallow.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8], known: &'static str, limit: usize) -> Result<T, DocumentError> {
    check_format(body, known, limit)?;
    let text = std::str::from_utf8(body).map_err(|_| DocumentError::Malformed { line: 0, column: 0 })?;
    serde_saphyr::from_str_with_options(text, strict()).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        DocumentError::Malformed { line, column }
    })
}

/// Looks at the size and the first line only, so that a newer format is named as such and never guessed at.
fn check_format(body: &[u8], known: &'static str, limit: usize) -> Result<(), DocumentError> {
    if body.len() > limit {
        return Err(DocumentError::TooLarge { limit });
    }
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let found = line.strip_prefix(b"vsecure: ").ok_or(DocumentError::NoFormat { known })?;
    if found == known.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(found).chars().take(64).collect();
    Err(DocumentError::UnknownFormat { found, known })
}

/// Deserializes a string through its type's own parser; for `#[serde(deserialize_with)]` and the types below.
pub(super) fn from_text<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(|_| E::custom("not valid here"))
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

macro_rules! deserialize_as_text {
    ($($name:ty),+ $(,)?) => {
        $(impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        })+
    };
}

deserialize_as_text!(
    super::Digest,
    super::StoreId,
    super::Fingerprint,
    super::Environment,
    super::SecretPath,
    super::MemberName,
    super::RoleName,
    super::Principal,
    super::HookPath,
    super::Pattern,
    super::Email,
    super::GrantId,
    super::Tag,
    super::MetadataKey,
    super::MetadataValue,
    super::Span,
    super::Timestamp,
);

macro_rules! serialize_as_text {
    ($($name:ty),+ $(,)?) => {
        $(impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })+
    };
}

// What is kept on this machine is JSON; documents have an emitter of their own.
serialize_as_text!(super::Digest, super::StoreId, super::MemberName, super::SecretPath, super::HookPath);

macro_rules! deserialize_as_counter {
    ($($name:ty),+ $(,)?) => {
        $(impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = u64::deserialize(deserializer)?;
                Self::new(number).ok_or_else(|| D::Error::custom("0 is not a number here"))
            }
        })+
    };
}

deserialize_as_counter!(super::Version, super::Revision, super::Epoch);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Small {
        #[expect(dead_code, reason = "only its presence matters")]
        vsecure: String,
        a: u64,
    }

    fn small(rest: &str) -> Result<u64, DocumentError> {
        parse::<Small>(format!("vsecure: small/1\n{rest}").as_bytes(), "small/1", 65_536).map(|small| small.a)
    }

    #[test]
    fn only_strict_yaml_is_parsed() {
        assert_eq!(small("a: 1\n"), Ok(1));
        let deep = format!("a: {}\n", "[".repeat(60_000));
        for (what, body) in [
            ("alias", "x: &x 1\na: *x\n"),
            ("anchor", "a: &x 1\n"),
            ("tag", "a: !foo 1\n"),
            ("duplicate key", "a: 1\na: 2\n"),
            ("unknown field", "a: 1\nb: 2\n"),
            ("missing field", ""),
            ("merge key", "<<: {a: 1}\n"),
            ("second document", "a: 1\n---\na: 2\n"),
            ("depth", &deep),
            ("not UTF-8 after all", "a: \u{0}\n"),
        ] {
            assert!(matches!(small(body), Err(DocumentError::Malformed { .. })), "{what}: {:?}", small(body));
        }
        assert_eq!(
            parse::<Small>(b"vsecure: small/1\na: \xff\n", "small/1", 100).map(|s| s.a),
            Err(DocumentError::Malformed { line: 0, column: 0 })
        );
    }

    #[test]
    fn a_newer_format_is_named() {
        let newer = parse::<Small>(b"vsecure: small/2\na: 1\n", "small/1", 100).map(|s| s.a);
        assert_eq!(newer, Err(DocumentError::UnknownFormat { found: "small/2".into(), known: "small/1" }));
        assert!(matches!(parse::<Small>(b"a: 1\n", "small/1", 100), Err(DocumentError::NoFormat { .. })));
        assert!(matches!(parse::<Small>(&[b'x'; 101], "small/1", 100), Err(DocumentError::TooLarge { limit: 100 })));
    }

    #[test]
    fn the_emitter_writes_what_formatters_leave_alone() {
        let text = emit(vec![
            ("vsecure", Node::word("small/1")),
            ("none", Node::Null),
            (
                "list",
                Node::List(vec![
                    Node::text("a\"b\n"),
                    Node::Fields(vec![("x", Node::Number(1)), ("y", Node::Bool(true))]),
                ]),
            ),
            ("empty", Node::List(vec![])),
            ("map", Node::Map(vec![("k y".into(), Node::Map(vec![])), ("z".into(), Node::text("é"))])),
        ]);
        let expected = "vsecure: small/1\nnone: null\nlist:\n  - \"a\\\"b\\n\"\n  - x: 1\n    y: true\nempty: []\nmap:\n  \"k y\": {}\n  \"z\": \"é\"\n";
        assert_eq!(text, expected);
    }
}
