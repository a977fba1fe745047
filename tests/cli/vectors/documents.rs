//! Sidecars that a member who may write signed, and that say what no sidecar may say, or say it in another way.

use super::base::{Base, changed};
use super::sign::{Signature, document};
use super::vector::{Case, Recipe, SIDECAR, case};
use crate::support::CANARY;

pub fn cases(base: &Base) -> Vec<Case> {
    [yaml(base), spelling(base), content(base), shown(base), large(base)].concat()
}

fn body(base: &Base) -> String {
    base.sidecar(&base.a(), &base.age(&base.a(), CANARY.as_bytes()))
}

fn with(base: &Base, name: &str, kind: &str, about: &str, text: impl AsRef<[u8]>) -> Case {
    assert_ne!(text.as_ref(), body(base).as_bytes(), "{name} changes nothing");
    case(name, kind, about).with(SIDECAR, base.signed(text))
}

/// What YAML can do and documents must not.
fn yaml(base: &Base) -> Vec<Case> {
    let body = body(base);
    let edit =
        |name: &str, about: &str, from: &str, to: &str| with(base, name, "malformed", about, changed(&body, from, to));
    let mut not_text = body.clone().into_bytes();
    not_text.splice(body.find("alice").unwrap()..body.find("alice").unwrap() + 1, [0xff]);
    vec![
        edit("yaml-alias", "An anchor and an alias.", "author: \"alice\"", "author: &a \"alice\"\nvalue_author: *a"),
        edit("yaml-anchor", "An anchor that nothing uses.", "author: \"alice\"", "author: &a \"alice\""),
        edit(
            "yaml-laughs",
            "Aliases of aliases of aliases, which would fill the memory.",
            "tags: []",
            "tags: &a [&b [&c [x, x], *c, *c], *b, *b, *a]",
        ),
        edit("yaml-merge-key", "A merge key.", "tags: []", "<<: {tags: []}"),
        edit(
            "yaml-tag-of-its-own",
            "A tag that asks for an object.",
            "tags: []",
            "tags: !!python/object/apply:os.system [\"touch pwned\"]",
        ),
        edit("yaml-duplicate-key", "A key twice.", "version: 1\n", "version: 1\nversion: 2\n"),
        edit("yaml-unknown-key", "A field that format 1 doesn't have.", "version: 1\n", "version: 1\npriority: 1\n"),
        edit("yaml-missing-key", "A field left out.", "tags: []\n", ""),
        edit(
            "yaml-second-document",
            "A second document behind the first.",
            "acknowledged: null\n",
            "acknowledged: null\n---\nvsecure: secret/1\n",
        ),
        edit(
            "yaml-end-of-document",
            "Text behind the end of the document.",
            "acknowledged: null\n",
            "acknowledged: null\n...\nversion: 9\n",
        ),
        edit("yaml-nested", "Lists in lists, deeper than any document.", "tags: []", "tags: [[[[[[[[[[[[]]]]]]]]]]]]"),
        edit("yaml-key-is-a-list", "A list for a key.", "tags: []", "? [a, b]\n: 1\ntags: []"),
        edit("yaml-not-a-map", "A list where a map is expected.", "metadata: {}", "metadata: [a, b]"),
        edit("yaml-unfinished-string", "A string without end.", "author: \"alice\"", "author: \"alice"),
        edit("yaml-tab", "A tab for indentation.", "  sha256", "\tsha256"),
        with(base, "yaml-not-utf-8", "malformed", "A byte that is not UTF-8.", &not_text),
        with(
            base,
            "yaml-nul",
            "malformed",
            "A NUL in the text.",
            changed(&body, "author: \"alice\"", "author: \"ali\0ce\""),
        ),
        with(
            base,
            "yaml-directive",
            "no-format",
            "A YAML directive before the document.",
            format!("%YAML 1.2\n---\n{body}"),
        ),
        with(base, "yaml-byte-order-mark", "no-format", "A byte order mark, signed.", format!("\u{feff}{body}")),
        with(
            base,
            "yaml-marker-of-the-document",
            "no-format",
            "A document marker on the first line.",
            format!("---\n{body}"),
        ),
    ]
}

/// Right content in another spelling than the one that is signed.
fn spelling(base: &Base) -> Vec<Case> {
    let body = body(base);
    let edit = |name: &str, about: &str, from: &str, to: &str| {
        with(base, name, "not-canonical", about, changed(&body, from, to))
    };
    vec![
        edit("spelled-in-base64", "A string in base64.", "\"alice\"\ntime", "!!binary YWxpY2U=\ntime"),
        edit("spelled-unquoted", "A string without quotes, signed so.", "\"alice\"", "alice"),
        edit("spelled-in-single-quotes", "A string in single quotes, signed so.", "\"alice\"", "'alice'"),
        edit("spelled-escaped", "A letter written as an escape.", "\"alice\"", "\"\\u0061lice\""),
        edit("spelled-with-a-comment", "A comment, signed.", "change: create", "change: create # and more"),
        edit("spelled-with-an-empty-line", "An empty line, signed.", "change: create\n", "change: create\n\n"),
        edit(
            "spelled-in-other-order",
            "Two fields exchanged.",
            "change: create\nversion: 1\n",
            "version: 1\nchange: create\n",
        ),
        edit("spelled-hexadecimal", "A number in hexadecimal.", "version: 1\n", "version: 0x1\n"),
        edit("spelled-with-a-plus", "A number with a plus.", "revision: 1\n", "revision: +1\n"),
        edit("spelled-number-in-quotes", "A number in quotes.", "revision: 1\n", "revision: \"1\"\n"),
        edit(
            "spelled-in-another-zone",
            "A time in another zone.",
            "time: 2026-11-24T03:00:00Z",
            "time: 2026-11-24T05:00:00+02:00",
        ),
        edit(
            "spelled-with-fractions",
            "A time with fractions of a second.",
            "time: 2026-11-24T03:00:00Z",
            "time: 2026-11-24T03:00:00.5Z",
        ),
        edit("spelled-in-flow-style", "A map in braces.", "metadata: {}", "metadata: {\"a\": \"b\"}"),
        edit("spelled-unsorted", "Tags that are not sorted.", "tags: []", "tags:\n  - \"b\"\n  - \"a\""),
        edit("spelled-tag-twice", "A tag twice.", "tags: []", "tags:\n  - \"a\"\n  - \"a\""),
        edit("spelled-null-as-tilde", "`~` for nothing.", "source: null", "source: ~"),
    ]
}

/// Well-formed, and wrong.
fn content(base: &Base) -> Vec<Case> {
    let body = body(base);
    let edit = |name: &str, kind: &str, about: &str, from: &str, to: &str| {
        with(base, name, kind, about, changed(&body, from, to))
    };
    let malformed = |name: &str, about: &str, from: &str, to: &str| edit(name, "malformed", about, from, to);
    let wrong = |name: &str, about: &str, from: &str, to: &str| edit(name, "inconsistent", about, from, to);
    let recipients = body.split("recipients:\n").nth(1).unwrap().split("exposed_to:").next().unwrap().to_owned();
    let digest = "0".repeat(64);
    vec![
        edit("content-newer-format", "unknown-format", "A format number that comes later.", "secret/1", "secret/2"),
        edit(
            "content-hostile-format",
            "unknown-format",
            "Escape sequences for a format number.",
            "secret/1",
            "\u{1b}]0;pwned\u{7}\u{1b}[2J",
        ),
        edit("content-other-kind", "unknown-format", "A policy's first line.", "secret/1", "policy/1"),
        with(base, "content-without-format", "no-format", "No first line.", changed(&body, "vsecure: secret/1\n", "")),
        malformed("content-path-out-of-the-store", "A path that climbs.", "production/A", "../../etc/passwd"),
        malformed("content-path-absolute", "An absolute path.", "production/A", "/etc/passwd"),
        malformed("content-path-into-git", "A path into the git directory.", "production/A", "production/.git/config"),
        edit("content-path-in-other-case", "moved", "The path in other case.", "production/A", "production/a"),
        edit(
            "content-other-store",
            "other-store",
            "Another store's id.",
            &format!("store: \"{}", base.id),
            &format!("store: \"{digest}")[..72],
        ),
        malformed("content-version-0", "Version 0.", "version: 1\n", "version: 0\n"),
        malformed(
            "content-version-with-a-leading-zero",
            "A version with a leading zero.",
            "version: 1\n",
            "version: 01\n",
        ),
        malformed("content-version-negative", "A negative version.", "version: 1\n", "version: -1\n"),
        malformed("content-version-fraction", "Half a version.", "version: 1\n", "version: 1.5\n"),
        malformed(
            "content-version-overflow",
            "A version over 64 bits.",
            "version: 1\n",
            "version: 18446744073709551616\n",
        ),
        malformed(
            "content-version-exponent",
            "A version that would have 400 digits.",
            "version: 1\n",
            "version: 1e400\n",
        ),
        wrong(
            "content-version-over-revision",
            "A version above its revision.",
            "version: 1\n",
            "version: 18446744073709551615\n",
        ),
        wrong(
            "content-first-with-parent",
            "A parent of revision 1.",
            "parents: []",
            &format!("parents:\n  - \"{digest}\""),
        ),
        wrong("content-later-without-parent", "Revision 2 without a parent.", "revision: 1\n", "revision: 2\n"),
        wrong(
            "content-three-parents",
            "Three parents.",
            "revision: 1\nparents: []",
            &format!("revision: 2\nparents:{}", format!("\n  - \"{digest}\"").repeat(3)),
        ),
        malformed("content-unknown-change", "A change of a kind that there is not.", "change: create", "change: steal"),
        wrong("content-delete-with-value", "A deletion that leaves a value.", "change: create", "change: delete"),
        wrong(
            "content-value-for-nobody",
            "A value without recipients.",
            &format!("recipients:\n{recipients}"),
            "recipients: []\n",
        ),
        wrong("content-value-for-too-many", "251 recipients.", &recipients, &recipients.repeat(126)),
        malformed("content-short-hash", "A hash that is cut off.", "sha256: \"", "sha256: \"\\u0000"),
        malformed("content-fingerprint", "A fingerprint of nothing.", "SHA256:", "MD5:"),
        malformed(
            "content-impossible-date",
            "The 30th of February.",
            "time: 2026-11-24T03:00:00Z",
            "time: 2026-02-30T03:00:00Z",
        ),
        malformed(
            "content-year-10000",
            "A year of five digits.",
            "time: 2026-11-24T03:00:00Z",
            "time: +10000-01-01T00:00:00Z",
        ),
        malformed("content-year-0", "A year before 1970.", "time: 2026-11-24T03:00:00Z", "time: 0000-01-01T00:00:00Z"),
        edit(
            "content-size-of-nothing",
            "value-replaced",
            "A size that the age file does not have.",
            "  size: ",
            "  size: 9",
        )
        .by(&["get", "describe"]),
        edit(
            "content-size-enormous",
            "value-replaced",
            "A size of 2^64 - 1, which nobody can reserve.",
            &size_line(&body),
            "  size: 18446744073709551615\n",
        )
        .by(&["get", "describe"]),
    ]
}

fn size_line(body: &str) -> String {
    format!("{}\n", body.lines().find(|line| line.starts_with("  size: ")).unwrap())
}

/// Escape sequences in every field that is shown.
fn shown(base: &Base) -> Vec<Case> {
    let body = body(base);
    let escape = "\\u001b]0;pwned\\u0007\\u001b[2J";
    let edit = |name: &str, from: &str, to: &str| {
        with(base, name, "malformed", "Escape sequences in a field that is shown.", changed(&body, from, to))
    };
    vec![
        edit("shown-in-a-tag", "tags: []", &format!("tags:\n  - \"{escape}\"")),
        edit("shown-in-a-metadata-key", "metadata: {}", &format!("metadata:\n  \"{escape}\": \"x\"")),
        edit("shown-in-a-metadata-value", "metadata: {}", &format!("metadata:\n  \"x\": \"{escape}\"")),
        edit("shown-in-the-author", "author: \"alice\"", &format!("author: \"{escape}\"")),
        edit("shown-in-the-value-author", "value_author: \"alice\"", &format!("value_author: \"{escape}\"")),
        edit("shown-in-a-recipient", "member: \"alice\"", &format!("member: \"{escape}\"")),
        edit(
            "shown-in-the-source",
            "source: null",
            &format!("source:\n  path: \"production/{escape}\"\n  sha256: \"{}\"", "0".repeat(64)),
        ),
        edit("shown-in-a-bidirectional-tag", "tags: []", "tags:\n  - \"\u{202e}gnp.exe\""),
    ]
}

/// Documents near the limit, built to take long.
fn large(base: &Base) -> Vec<Case> {
    let body = body(base);
    let (start, end) = body.split_once("tags: []").unwrap();
    let made = |name: &str, kind: &str, about: &str, piece: &str, times: usize| {
        let whole = format!("{start}tags: {}{end}", piece.repeat(times));
        let signed = document(b"", &Signature::default().of(whole.as_bytes(), &base.alice));
        let texts = vec![
            (format!("{start}tags: "), 1),
            (piece.to_owned(), times),
            (end.to_owned(), 1),
            (String::from_utf8(signed).unwrap(), 1),
        ];
        case(name, kind, about).made(SIDECAR, Recipe::Texts(texts))
    };
    vec![
        made("large-open-brackets", "malformed", "60,000 open brackets.", "[", 60_000),
        made("large-open-braces", "malformed", "60,000 open braces.", "{", 60_000),
        made("large-block-lists", "malformed", "30,000 nested block lists.", "- ", 30_000),
        made("large-anchors", "malformed", "10,000 anchors.", "&a ", 10_000),
        made("large-quotes", "malformed", "60,000 quotes.", "\"", 60_001),
        made("large-tags", "malformed", "30,000 tag characters.", "! ", 30_000),
        made("large-many-keys", "malformed", "20,000 equal keys in one map.", "a: \n", 15_000),
        made("large-question-marks", "malformed", "30,000 keys without value.", "? ", 30_000),
        made("large-spaces", "not-canonical", "60,000 blanks before an empty list.", " ", 60_000).tail("[]", base),
        made("large-one-word", "malformed", "A word of 60,000 letters.", "a", 60_000),
        made("large-backslashes", "malformed", "30,000 escapes.", "\"\\\\", 20_000),
    ]
}

impl Case {
    /// Signs a made document anew with `text` put behind its repeated piece.
    fn tail(mut self, text: &str, base: &Base) -> Self {
        let Some(Recipe::Texts(texts)) = self.vector.made.get_mut(SIDECAR) else { panic!("no recipe") };
        texts.pop();
        texts.insert(2, (text.to_owned(), 1));
        let whole: String = texts.iter().map(|(text, times)| text.repeat(*times)).collect();
        let signed = document(b"", &Signature::default().of(whole.as_bytes(), &base.alice));
        texts.push((String::from_utf8(signed).unwrap(), 1));
        self
    }
}
