//! What is fuzzed: each function takes any bytes and panics when a parser broke a promise. Here without a fuzzer, so that the kept inputs run
//! with the other tests as well.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::LazyLock;

use vsecure::crypto::{
    Context, Identity, Namespace, NoPassphrase, Recipient, SecretBytes, VerifyingKey, open, open_unbound,
    parse_identities, scan, seal, sign_document, verify_document,
};
use vsecure::format::{Generator, compare, escape, hook_answer, pick};
use vsecure::model::{
    Acceptance, Digest, Document, DocumentError, Email, Environment, Fingerprint, Grant, HookPath, MemberName,
    MetadataValue, Pattern, Policy, Principal, Request, Revision, SecretName, SecretPath, Sidecar, Span, StoreId, Tag,
    Timestamp, Version,
};
use vsecure::policy::StoreClaim;
use vsecure::store::StorePath;
use vsecure::vault::VersionSpec;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("header", header),
    ("document", document),
    ("sidecar", sidecar),
    ("policy", policy),
    ("others", others),
    ("names", names),
    ("keys", keys),
    ("identity", identity),
    ("values", values),
];

/// Of a test key that everybody has.
static ALICE: LazyLock<Identity> = LazyLock::new(|| {
    let line = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    parse_identities(&SecretBytes::new(line.to_vec()), "alice", &mut NoPassphrase).unwrap().remove(0)
});

static CONTEXT: LazyLock<Context> = LazyLock::new(|| {
    Context::new(&StoreId::of_first_epoch(b"store"), &"production/A".parse().unwrap(), Version::FIRST)
});

/// An age file: whatever passes the scan, age's own parser has to take, and only an authentic file opens.
pub fn header(data: &[u8]) {
    // For looking at what another tool made, and what does not count: refused or opened, and never more.
    let _ = open_unbound(data, &ALICE);
    let mine = ALICE.recipient().fingerprint();
    for holders in [&[][..], &[mine], &[mine, Fingerprint::over(b"another")]] {
        if scan(data, holders).is_ok() {
            // The nonce that has to follow is the payload's, and no matter of the scan.
            let whole = [data, &[0; 16]].concat();
            assert!(age::Decryptor::new_buffered(whole.as_slice()).is_ok(), "age refuses what the scan let through");
        }
        let Ok(value) = open(data, &CONTEXT, holders, &ALICE) else { continue };
        // Then it is one of ours, and in the one form there is.
        assert!(value.len() < data.len());
        let mut longer = data.to_vec();
        longer.push(0);
        assert!(open(&longer, &CONTEXT, holders, &ALICE).is_err(), "continued and still opened");
    }
}

/// A signed document: what verifies has one form, and what is signed verifies.
pub fn document(data: &[u8]) {
    if let Ok(verified) = verify_document(data, Namespace::Secret) {
        assert!(data.starts_with(verified.body()));
        assert!(verify_document(data, Namespace::Policy).is_err(), "for two purposes at once");
        for end in [&b"\n"[..], b" ", b"\0", b"x: 1\n"] {
            assert!(verify_document(&[data, end].concat(), Namespace::Secret).is_err(), "continued and still right");
        }
    }
    if let Ok(signed) = sign_document(data, Namespace::Secret, &ALICE) {
        let verified = verify_document(&signed, Namespace::Secret).unwrap();
        assert_eq!((verified.body(), verified.signer()), (data, ALICE.verifying_key()));
    }
}

/// A document's body: what is parsed is written in the same bytes, by whichever of its readers, and what is well-formed has one spelling.
fn body<D: Document + PartialEq>(data: &[u8]) {
    let (parsed, canonical) = (D::parse(data), D::canonical_of(data));
    if let Ok(document) = &parsed {
        assert_eq!(document.body(), data);
        assert_eq!(canonical.as_deref(), Ok(data), "the quick reader takes what the strict one refuses");
    }
    if let Ok(canonical) = canonical {
        assert_eq!(D::canonical_of(&canonical).as_ref(), Ok(&canonical));
        let again = D::parse(&canonical).map(|document| document.body());
        assert!(matches!(again, Ok(_) | Err(DocumentError::Inconsistent(_) | DocumentError::TooLarge { .. })));
    }
}

/// The body of a sidecar.
pub fn sidecar(data: &[u8]) {
    body::<Sidecar>(data);
}

/// The body of a policy.
pub fn policy(data: &[u8]) {
    body::<Policy>(data);
}

/// The body of a grant or a request, and a list of accepted sidecars.
pub fn others(data: &[u8]) {
    body::<Grant>(data);
    body::<Request>(data);
    if let Ok(list) = Acceptance::parse(data) {
        assert_eq!(list.to_bytes(), data);
    }
}

/// What is written is read as the same again.
fn round_trips<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    assert!(written.parse().is_ok_and(|again: T| again == value), "{written:?} is not read as what it was");
    Some(value)
}

/// As [`round_trips`], in the same bytes.
fn is_kept<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let value: T = round_trips(text)?;
    assert_eq!(value.to_string(), text);
    Some(value)
}

/// Names, numbers, times and patterns: what is accepted stays within its folder, on one line, and is written as it was read.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if is_kept::<SecretName>(text).is_some() {
        assert!(is_kept::<StorePath>(&format!("secrets/default/{text}.yaml")).is_some());
        assert!(
            text.is_ascii()
                && text.len() <= 512
                && text.split('/').all(|part| !part.starts_with('.') && !part.is_empty())
        );
    }
    if let Some(path) = is_kept::<SecretPath>(text) {
        assert!(Pattern::everything().matches(text));
        assert_eq!(SecretPath::new(path.environment().clone(), path.name().clone()), Ok(path));
    }
    if is_kept::<Environment>(text).is_some() || is_kept::<MemberName>(text).is_some() {
        assert!(!text.contains('/'));
    }
    for shown in
        [is_kept::<Tag>(text).is_some(), is_kept::<Email>(text).is_some(), is_kept::<Principal>(text).is_some()]
    {
        assert!(!shown || !text.contains(char::is_control));
    }
    if is_kept::<HookPath>(text).is_some() {
        let leads_out = |part: &str| part.is_empty() || part == ".." || part.eq_ignore_ascii_case(".git");
        assert!(text.is_ascii() && !text.split('/').any(leads_out));
    }
    is_kept::<MetadataValue>(text);
    is_kept::<StorePath>(text);
    for parsed in [
        round_trips::<Digest>(text).is_some(),
        round_trips::<StoreId>(text).is_some(),
        round_trips::<Fingerprint>(text).is_some(),
    ] {
        assert!(!parsed || text.is_ascii());
    }
    round_trips::<Timestamp>(text);
    round_trips::<Span>(text);
    round_trips::<Version>(text);
    round_trips::<Revision>(text);
    round_trips::<Generator>(text);
    let _ = text.parse::<StoreClaim>();
    let _ = text.parse::<VersionSpec>();
    // The first line is a pattern, the second a path.
    let (first, second) = text.split_once('\n').unwrap_or((text, "production/A"));
    if let Some(pattern) = is_kept::<Pattern>(first) {
        let _ = pattern.matches(second);
        if let Ok(other) = second.parse::<Pattern>() {
            assert_eq!(pattern.specificity(&other), other.specificity(&pattern).reverse());
        }
    }
    assert!(!escape(text).contains(char::is_control));
}

/// Public keys: whatever is accepted can be encrypted to.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(recipient) = is_kept::<Recipient>(text) {
        seal(&SecretBytes::new(b"value".to_vec()), &CONTEXT, &[recipient]).unwrap();
    }
    is_kept::<VerifyingKey>(text);
}

/// A file of private keys: whatever is accepted can be encrypted to and signed with.
pub fn identity(data: &[u8]) {
    for identity in
        parse_identities(&SecretBytes::new(data.to_vec()), "x", &mut NoPassphrase).into_iter().flatten().take(2)
    {
        let recipient = identity.recipient().clone();
        let file = seal(&SecretBytes::new(b"value".to_vec()), &CONTEXT, std::slice::from_ref(&recipient)).unwrap();
        assert!(open(&file, &CONTEXT, &[recipient.fingerprint()], &identity).is_ok());
        let signed = sign_document(b"x\n", Namespace::Secret, &identity).unwrap();
        assert_eq!(verify_document(&signed, Namespace::Secret).unwrap().signer(), identity.verifying_key());
    }
}

/// Two values and a field's name, with NUL between them: compared in any format, shown safely, picked from.
pub fn values(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let mut next = || SecretBytes::new(parts.next().unwrap_or_default().to_vec());
    let (old, new, field) = (next(), next(), next());
    let difference = compare(&old, &new);
    assert_eq!(difference.is_change(), old.as_bytes() != new.as_bytes());
    for mask in [true, false] {
        let shown = difference.render(mask, "v1", "v2");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
        assert_eq!(shown.is_empty(), !difference.is_change(), "a change is shown, and nothing else");
    }
    if let Ok(field) = std::str::from_utf8(field.as_bytes()) {
        let _ = pick(&old, field);
    }
    // A hook may print anything.
    let _ = hook_answer(&old);
}
