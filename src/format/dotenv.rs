//! One dialect of dotenv: what Node's `dotenv` package reads, to the byte. docs/programs.md describes it.
//!
//! The grammar is that package's regular expression (lib/main.js of version 16, `LINE`), with its two peculiarities kept: an escape in double
//! quotes is `\n` or `\r` and nothing else, and a quoted value may follow on the next line. What the package skips in silence is an error here.

use std::sync::LazyLock;

use regex::Regex;

use crate::crypto::SecretBytes;

/// White space as JavaScript's `\s` has it.
const S: &str = r"[\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}]";

/// An assignment of a file in which every line ends with LF.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and every test of this file compiles it")]
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(
        r#"(?m)^{S}*(?:export{S}+)?([A-Za-z0-9_.-]+)(?:{S}*={S}*?|:{S}+?)({S}*'(?:\\'|[^'])*'|{S}*"(?:\\"|[^"])*"|{S}*`(?:\\`|[^`])*`|[^#\r\n]+)?{S}*(?:#.*)?$"#
    );
    Regex::new(&pattern).expect("a valid pattern")
});

/// Why a text is no dotenv file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DotenvError {
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A line that is neither an assignment nor a comment.
    #[error("line {line} is neither an assignment (NAME=value) nor a comment")]
    Malformed {
        /// Its number, from 1.
        line: usize,
    },
}

/// The assignments of a dotenv file, in order. A name may come more than once; the last one counts.
///
/// # Errors
/// [`DotenvError`], which holds nothing of the text.
pub fn read_dotenv(bytes: &[u8]) -> Result<Vec<(String, SecretBytes)>, DotenvError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DotenvError::NotText)?;
    let text = zeroize::Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
    let mut found = Vec::new();
    let mut read_to = 0;
    for captures in LINE.captures_iter(&text) {
        let (Some(whole), Some(name)) = (captures.get(0), captures.get(1)) else { continue };
        demand_nothing(&text, read_to, whole.start())?;
        let value = captures.get(2).map_or("", |value| value.as_str());
        found.push((name.as_str().to_owned(), SecretBytes::new(value_of(value).into_bytes())));
        read_to = whole.end();
    }
    demand_nothing(&text, read_to, text.len())?;
    Ok(found)
}

/// That there are only comments and blank lines between two places of `text`.
fn demand_nothing(text: &str, from: usize, to: usize) -> Result<(), DotenvError> {
    let before = text.get(..from).unwrap_or_default().matches('\n').count();
    let between = text.get(from..to).unwrap_or_default();
    let blank = |line: &str| matches!(trim(line).chars().next(), None | Some('#'));
    match between.split('\n').position(|line| !blank(line)) {
        Some(lines) => Err(DotenvError::Malformed { line: before + lines + 1 }),
        None => Ok(()),
    }
}

/// Without JavaScript's white space at both ends.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}')
}

fn value_of(text: &str) -> String {
    let text = trim(text);
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
    let inside = quote.and_then(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text);
    if quote == Some('"') { inside.replace("\\n", "\n").replace("\\r", "\r") } else { inside.to_owned() }
}

/// `value` as it is written behind `NAME=`, so that [`read_dotenv`], and the package, read the same bytes; or what in it can't be written.
///
/// # Errors
/// What can't be written, in words.
pub(super) fn dotenv_value(value: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "bytes that are no UTF-8 text")?;
    if text.contains('\0') {
        return Err("a NUL byte");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    // A backslash at the end would take the closing quote for its own.
    let fits = |quote: char| !text.contains(quote) && !text.contains('\r') && !text.ends_with('\\');
    if fits('\'') {
        return Ok(format!("'{text}'"));
    }
    if fits('"') && !text.contains(['\\', '$']) {
        return Ok(format!("\"{text}\""));
    }
    if fits('`') {
        return Ok(format!("`{text}`"));
    }
    if !text.contains('"') && !text.ends_with('\\') && !text.contains("\\n") && !text.contains("\\r") {
        return Ok(format!("\"{}\"", text.replace('\r', "\\r")));
    }
    let bare = |c: char| !matches!(c, '#' | '\r' | '\n') && (c == ' ' || !c.is_whitespace());
    let starts_quoted = text.starts_with(['\'', '"', '`', ' ']);
    if text.chars().all(bare) && !starts_quoted && !text.ends_with(' ') && !text.contains('\u{feff}') {
        return Ok(text.to_owned());
    }
    Err("a mixture of quotes, line ends and backslashes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, DotenvError> {
        let all = read_dotenv(text.as_bytes())?;
        Ok(all.into_iter().map(|(name, value)| (name, String::from_utf8(value.as_bytes().to_vec()).unwrap())).collect())
    }

    #[test]
    fn malformed_lines_are_named() {
        for (text, line) in
            [("A=1\nnonsense\n", 2), ("=x\n", 1), ("A='x\nmore\n", 2), ("\n# c\n\nA B=1", 4), ("A=1\r\nB", 2)]
        {
            assert_eq!(read(text), Err(DotenvError::Malformed { line }), "{text:?}");
        }
        assert!(matches!(read_dotenv(b"A=\xff"), Err(DotenvError::NotText)));
        assert_eq!(read("# only\n\n").unwrap(), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(values in prop::collection::vec("[ -~\n\r\t'\"`\\\\#$é\u{2028}]{0,12}", 1..5)) {
            let mut text = String::new();
            let mut expected = Vec::new();
            for (number, value) in values.iter().enumerate() {
                if let Ok(written) = dotenv_value(value.as_bytes()) {
                    text.push_str(&format!("K{number}={written}\n"));
                    expected.push((format!("K{number}"), value.clone()));
                }
            }
            prop_assert_eq!(read(&text).unwrap(), expected, "{}", text);
        }
    }
}
