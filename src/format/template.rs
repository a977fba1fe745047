//! Texts with references to secrets in them: `{{ vsecure "production/API_KEY" }}` and `vsecure://production/API_KEY`.

use crate::crypto::SecretBytes;

const SCHEME: &[u8] = b"vsecure://";
const OPEN: &[u8] = b"{{";
const WORD: &[u8] = b"vsecure";

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// In the place of a secret's value.
    Reference {
        /// Its name or path, as it is written.
        name: String,
        /// The line that it is in, from 1.
        line: usize,
    },
}

/// Why a text is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: a reference is written {{{{ vsecure \"production/API_KEY\" }}}} or vsecure://production/API_KEY")]
pub struct TemplateError {
    /// Where, from 1.
    pub line: usize,
}

/// The pieces of a template, in order. Braces that say nothing of vsecure are text: they are somebody else's.
///
/// # Errors
/// [`TemplateError`] for a reference that is none.
pub fn pieces(template: &[u8]) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut line = 1;
    let mut rest = template;
    while let Some((first, tail)) = rest.split_first() {
        let found = match rest {
            _ if rest.starts_with(OPEN) => braces(rest),
            _ if rest.starts_with(SCHEME) => Some(url(rest)),
            _ => None,
        };
        let Some(found) = found else {
            line += usize::from(*first == b'\n');
            text.push(*first);
            rest = tail;
            continue;
        };
        let (name, behind) = found.ok_or(TemplateError { line })?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Reference { name, line });
        let taken = rest.get(..rest.len() - behind.len()).unwrap_or_default();
        line += taken.iter().filter(|byte| **byte == b'\n').count();
        rest = behind;
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

type Found<'a> = Option<(String, &'a [u8])>;

/// None where the braces are not about vsecure; an inner none where they are, and wrong.
fn braces(text: &[u8]) -> Option<Found<'_>> {
    let inside = text.strip_prefix(OPEN)?.trim_ascii_start().strip_prefix(WORD)?;
    if inside.first().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b':' | b'.' | b'-')) {
        return None;
    }
    let quoted = || {
        let quoted = inside.trim_ascii_start().strip_prefix(b"\"")?;
        let end = quoted.iter().position(|c| *c == b'"')?;
        let (name, behind) = quoted.split_at_checked(end)?;
        let behind = behind.get(1..)?.trim_ascii_start().strip_prefix(b"}}")?;
        Some((String::from_utf8(name.to_vec()).ok()?, behind))
    };
    Some(quoted())
}

fn url(text: &[u8]) -> Found<'_> {
    let path = text.strip_prefix(SCHEME)?;
    let part = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-' | b'/');
    let mut end = path.iter().position(|c| !part(c)).unwrap_or(path.len());
    // No name ends in a dot or a slash; a sentence or an address may go on with one.
    while path.get(..end).is_some_and(|path| path.ends_with(b".") || path.ends_with(b"/")) {
        end -= 1;
    }
    let (name, behind) = path.split_at_checked(end)?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    name.contains('/').then_some((name, behind))
}

/// The text of `pieces`, with what `value` gives in the place of each reference.
///
/// # Errors
/// What `value` refuses.
pub fn filled<E>(pieces: &[Piece], mut value: impl FnMut(&str) -> Result<SecretBytes, E>) -> Result<SecretBytes, E> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Reference { name, .. } => out.extend_from_slice(value(name)?.as_bytes()),
        }
    }
    Ok(SecretBytes::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &str) -> Result<String, TemplateError> {
        let pieces = pieces(template.as_bytes())?;
        let bytes = filled(&pieces, |name| Ok::<_, TemplateError>(SecretBytes::new(format!("<{name}>").into_bytes())))?;
        Ok(String::from_utf8(bytes.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn references_are_replaced_and_all_else_stays() {
        for (template, expected) in [
            ("a {{ vsecure \"production/K\" }} b", "a <production/K> b"),
            ("{{vsecure\"K\"}}{{ vsecure\t\"a/b\"\n}}", "<K><a/b>"),
            ("url: vsecure://production/user-api/K.\n", "url: <production/user-api/K>.\n"),
            ("vsecure://production/K/", "<production/K>/"),
            ("\"vsecure://production/K\"", "\"<production/K>\""),
            (
                "{{ .Values.x }} {{ vsecurely }} {{vsecure-x}} { { }} {{",
                "{{ .Values.x }} {{ vsecurely }} {{vsecure-x}} { { }} {{",
            ),
            ("", ""),
        ] {
            assert_eq!(shown(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn malformed_references_are_named_by_their_line() {
        for (template, line) in [
            ("\n{{ vsecure K }}", 2),
            ("{{ vsecure \"K }}", 1),
            ("{{ vsecure \"K\" | json }}", 1),
            ("{{ vsecure }}", 1),
            ("{{ vsecure \"a\"\n}}\nvsecure://", 3),
            ("vsecure://K", 1),
        ] {
            assert_eq!(shown(template), Err(TemplateError { line }), "{template}");
        }
    }
}
