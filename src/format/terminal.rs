//! Text that a terminal can't be deceived by.

use std::borrow::Cow;

/// Whether a character is shown as itself: not a control, and none of Unicode's invisible or direction-changing ones.
const fn is_plain(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}')
}

fn escape_but(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|c| is_plain(c) || keep(c)) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_plain(c) || keep(c) { c.to_string() } else { c.escape_unicode().to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// `text` on one line: control, escape, bidirectional and invisible characters as `\u{…}`.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_but(text, |_| false)
}

/// As [`escape`], but line feeds and tabs stay.
#[must_use]
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_but(text, |c| c == '\n' || c == '\t')
}

/// JSON that says the same and is safe for a terminal: what JSON leaves as it is within strings, and a terminal doesn't, as `\\uXXXX`.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let keep = |c: char| is_plain(c) || c == '\n';
    if json.chars().all(keep) {
        return Cow::Borrowed(json);
    }
    let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    Cow::Owned(json.chars().map(|c| if keep(c) { c.to_string() } else { escaped(c) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_moves_a_terminal_is_shown_and_not_done() {
        assert_eq!(escape("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\u{202e}b\u{200d}c\u{9b}d\r\n"), "a\\u{202e}b\\u{200d}c\\u{9b}d\\u{d}\\u{a}");
        assert_eq!(escape_lines("a\n\tb\u{7}"), "a\n\tb\\u{7}");
        assert!(matches!(escape("übung – 秘密 🔑"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_says_the_same() {
        let text = "a\u{1b}\u{9b}\u{202e}b\u{200d}\u{feff}\u{e0041}\n\t\"\\é🔑";
        let json = format!("{:#}", serde_json::json!({ text: [text] }));
        let safe = escape_json(&json);
        assert!(safe.chars().all(|c| is_plain(c) || c == '\n'), "{safe}");
        assert!(safe.contains("\\u202eb\\u200d\\ufeff\\udb40\\udc41"), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), serde_json::json!({ text: [text] }));
        assert!(matches!(escape_json("{\n  \"é\": 1\n}"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_escaped_needs_escaping(text in "\\PC*|.*") {
            prop_assert!(escape(&text).chars().all(is_plain));
        }
    }
}
