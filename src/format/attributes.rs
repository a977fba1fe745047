//! Rules of `.gitattributes` files that would have git change a file's bytes: what somebody added, and whether it is meant for given files.
//!
//! Patterns are read as git reads them, but for bracket expressions, which stand for any character here: a rule too many is shown, none too few.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};

/// What changes bytes, when a file is checked out, added or merged.
const CONCERNED: [&str; 8] = ["text", "eol", "crlf", "filter", "ident", "working-tree-encoding", "merge", "binary"];
/// What most repositories say of all their files, and what the rules of a store, which come last, take back.
const HARMLESS: &str = "text=auto";
/// More are not looked at one by one.
const MOST_RULES: usize = 200;
const MOST_PATTERN_BYTES: usize = 1 << 20;

/// The lines that `new` has and `old` has not, change bytes, and are meant for one of `files`, paths below the folder of the attributes. None where
/// there are too many to tell.
#[must_use]
pub fn added_rules<'a>(old: &str, new: &'a str, files: &[&str]) -> Option<Vec<&'a str>> {
    let known: HashSet<&str> = old.lines().map(str::trim).collect();
    let added = new.lines().map(str::trim).filter(|line| !line.starts_with('#') && !known.contains(line));
    let concerned: Vec<&str> = added.filter(|line| changes_bytes(line)).take(MOST_RULES + 1).collect();
    if concerned.len() > MOST_RULES {
        return None;
    }
    Some(concerned.into_iter().filter(|line| is_meant_for(line, files)).collect())
}

fn changes_bytes(line: &str) -> bool {
    // A macro may stand for anything.
    if line.starts_with("[attr]") {
        return true;
    }
    let (_, attributes) = parts(line);
    attributes.split_whitespace().filter(|attribute| *attribute != HARMLESS).any(|attribute| {
        let name = attribute.trim_start_matches(['-', '!']);
        CONCERNED.contains(&name.split('=').next().unwrap_or_default())
    })
}

/// A line's pattern and its attributes. A quoted pattern is taken without its quotes.
fn parts(line: &str) -> (&str, &str) {
    match line.strip_prefix('"').and_then(|rest| rest.rsplit_once('"')) {
        Some(parts) => parts,
        None => line.split_once([' ', '\t']).unwrap_or((line, "")),
    }
}

fn is_meant_for(line: &str, files: &[&str]) -> bool {
    if line.starts_with("[attr]") {
        return true;
    }
    // What can't be told is meant.
    pattern(parts(line).0).is_none_or(|pattern| files.iter().any(|file| pattern.is_match(file)))
}

fn pattern(text: &str) -> Option<Regex> {
    let anchored = text.trim_end_matches('/').contains('/');
    let mut expression = String::from(if anchored { "^" } else { "^(?:.*/)?" });
    let mut rest = text.strip_prefix('/').unwrap_or(text);
    while let Some(next) = rest.chars().next() {
        let (taken, meant) = if rest.starts_with("**/") {
            (3, "(?:.*/)?".to_owned())
        } else if rest.starts_with("**") {
            (2, ".*".to_owned())
        } else if next == '[' {
            (rest.find(']').map_or(1, |end| end + 1), "[^/]".to_owned())
        } else {
            let literal = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()).filter(|_| next == '\\');
            let meant = match (next, literal) {
                ('*', _) => "[^/]*".to_owned(),
                ('?', _) => "[^/]".to_owned(),
                (_, Some(literal)) => regex::escape(&literal.to_string()),
                (next, None) => regex::escape(&next.to_string()),
            };
            (next.len_utf8() + literal.map_or(0, char::len_utf8), meant)
        };
        expression.push_str(&meant);
        rest = rest.get(taken..)?;
    }
    expression.push('$');
    RegexBuilder::new(&expression).size_limit(MOST_PATTERN_BYTES).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 3] =
        [".vsecure/policy/000001.yaml", ".vsecure/secrets/production/A.age", ".vsecure/.gitattributes"];

    fn added(old: &str, new: &str) -> Vec<String> {
        added_rules(old, new, &FILES).unwrap().into_iter().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn rules_for_the_files_are_found_however_they_name_them() {
        for rule in [
            "* filter=x",
            "*.age text",
            ".vsecure/** working-tree-encoding=UTF-16",
            "/.vsecure/secrets/*/A.age -text",
            "**/production/* eol=crlf",
            "A.?ge filter=x",
            "A.[a-z]ge filter=x",
            "\".vsecure/policy/*.yaml\" ident",
            "\\*.age foo filter=x",
            "000001.yaml merge=union",
            "[attr]other filter=x",
        ] {
            let expected: &[&str] = if rule.starts_with('\\') { &[] } else { &[rule] };
            assert_eq!(added("", rule), expected, "{rule}");
        }
        assert_eq!(added("", "\\A.age\tbinary"), ["\\A.age\tbinary"]);
    }

    #[test]
    fn rules_for_others_and_those_known_already_are_not() {
        for rule in [
            "*.png binary",
            "docs/** text",
            "* text=auto",
            "* diff=x",
            "# * filter=x",
            "",
            "secrets/* text",
            "A.agex text",
        ] {
            assert_eq!(added("", rule), [""; 0], "{rule}");
        }
        assert_eq!(added("* filter=x\n", "# moved\n  * filter=x\n"), [""; 0]);
    }

    #[test]
    fn what_can_not_be_told_is_not_passed_over() {
        assert_eq!(added_rules("", &"* filter=x\n".repeat(201), &FILES), None);
        let long = format!("{} filter=x", "?".repeat(500_000));
        assert_eq!(added("", &long), [long]);
    }
}
