//! Policies: changed by somebody without a key, or signed by a key that they name and saying what no policy may say.

use super::base::{Base, changed};
use super::sign::{Signature, document, ssh_key};
use super::vector::{Case, POLICY, Recipe, case};

pub fn cases(base: &Base) -> Vec<Case> {
    [unsigned(base), signed(base), keys(base)].concat()
}

fn unsigned(base: &Base) -> Vec<Case> {
    let good = String::from_utf8(base.policy.clone()).unwrap();
    let body = base.policy_body();
    let edit = |name: &str, kind: &str, about: &str, text: &str| {
        assert_ne!(text, good, "{name} changes nothing");
        case(name, kind, about).with(POLICY, text)
    };
    let by = |person| {
        let policy = Signature { namespace: "vsecure-policy-v1", ..Signature::default() };
        document(body.as_bytes(), &policy.of(body.as_bytes(), person))
    };
    vec![
        edit("policy-unsigned", "unsigned", "The policy without its signature.", &body),
        edit(
            "policy-with-another-rule",
            "bad-signature",
            "A right added, and nobody signed for it.",
            &changed(&good, "write:\n      - \"alice\"", "write:\n      - \"alice\"\n      - \"rita\""),
        ),
        edit(
            "policy-reformatted",
            "reformatted",
            "A formatter took quotes away.",
            &good.replace("\"admins\"", "admins"),
        ),
        edit("policy-converted", "line-endings", "All line ends converted to CR LF.", &good.replace('\n', "\r\n")),
        edit(
            "policy-conflict-markers",
            "bad-signature",
            "Git's conflict markers in it.",
            &good.replace("roles: []\n", "<<<<<<< HEAD\nroles: []\n=======\n>>>>>>> other\n"),
        ),
        edit("policy-empty", "unsigned", "An empty policy.", ""),
        case("policy-of-a-stranger", "foreign-key", "Signed by a key that it gives to nobody.")
            .with(POLICY, by(&base.mallory)),
        case("policy-of-another-member", "foreign-key", "Signed by a member who is not its author.")
            .with(POLICY, by(&base.rita)),
        case("policy-for-a-secret", "wrong-namespace", "Signed as a sidecar.").with(POLICY, base.signed(&body)),
        case("policy-too-large", "too-large", "A policy over 1 MiB.")
            .made(POLICY, Recipe::Texts(vec![(good, 1), ("0".to_owned(), 1024 * 1024)])),
    ]
}

fn signed(base: &Base) -> Vec<Case> {
    let body = base.policy_body();
    let edit = |name: &str, kind: &str, about: &str, from: &str, to: &str| {
        case(name, kind, about).with(POLICY, base.signed_policy(&changed(&body, from, to)))
    };
    let wrong = |name: &str, about: &str, from: &str, to: &str| edit(name, "inconsistent", about, from, to);
    let malformed = |name: &str, about: &str, from: &str, to: &str| edit(name, "malformed", about, from, to);
    let large = |name: &str, about: &str, piece: &str, times: usize| {
        let (start, end) = body.split_once("accepted: null").unwrap();
        let whole = format!("{start}accepted: {}{end}", piece.repeat(times));
        let policy = Signature { namespace: "vsecure-policy-v1", ..Signature::default() };
        let trailer = String::from_utf8(document(b"", &policy.of(whole.as_bytes(), &base.alice))).unwrap();
        let texts =
            vec![(format!("{start}accepted: "), 1), (piece.to_owned(), times), (end.to_owned(), 1), (trailer, 1)];
        case(name, "malformed", about).made(POLICY, Recipe::Texts(texts))
    };
    vec![
        edit("policy-newer-format", "unknown-format", "A format number that comes later.", "policy/1", "policy/2"),
        edit("policy-unquoted", "not-canonical", "A string without quotes, signed so.", "\"admins\"", "admins"),
        malformed("policy-member-twice", "A member twice.", "members:\n", "members:\n  \"alice\": {}\n"),
        malformed(
            "policy-unknown-key",
            "A field that format 1 doesn't have.",
            "roles:\n",
            "owner: \"mallory\"\nroles:\n",
        ),
        malformed("policy-alias", "An alias.", "read:\n      - \"alice\"", "read: &a\n      - \"alice\""),
        malformed(
            "policy-second-document",
            "A second document.",
            "accepted: null\n",
            "accepted: null\n---\nepoch: 1\n",
        ),
        malformed("policy-hostile-member", "A member's name that climbs.", "  \"rita\":", "  \"../../rita\":"),
        malformed(
            "policy-hostile-email",
            "Escape sequences in an e-mail address.",
            "rita@example.com",
            "rita\\u001b[2J@example.com",
        ),
        malformed(
            "policy-hostile-role",
            "Escape sequences in a role.",
            "roles:\n  - \"admins\"",
            "roles:\n  - \"admins\\u001b[2J\"",
        ),
        malformed("policy-hostile-environment", "An environment that climbs.", "  - \"staging\"", "  - \"..\""),
        malformed("policy-hostile-pattern", "A pattern that climbs.", "\"**\"", "\"../**\""),
        malformed("policy-epoch-0", "Epoch 0.", "epoch: 1\n", "epoch: 0\n"),
        wrong("policy-without-salt", "No salt.", "salt: \"00112233445566778899aabbccddeeff\"", "salt: null"),
        wrong("policy-short-salt", "A salt of two digits.", "00112233445566778899aabbccddeeff", "00"),
        wrong(
            "policy-with-previous",
            "Epoch 1 with an epoch before it.",
            "previous: null",
            &format!("previous: \"{}\"", "0".repeat(64)),
        ),
        wrong(
            "policy-name-taken",
            "A role that is called like a member.",
            "  - \"admins\"\nmembers",
            "  - \"admins\"\n  - \"Rita\"\nmembers",
        ),
        wrong(
            "policy-rule-for-nobody",
            "A rule that names nobody there is.",
            "delete:\n      - \"alice\"",
            "delete:\n      - \"carol\"",
        ),
        edit(
            "policy-member-without-keys",
            "inconsistent",
            "A member without keys.",
            &format!(
                "    keys:\n      - recipient: \"{}\"\n        signing: \"{}\"\n",
                base.rita.recipient,
                base.rita.verifying_key()
            ),
            "    keys: []\n",
        ),
        large("policy-open-brackets", "A million open brackets.", "[", 1_000_000),
        large("policy-block-lists", "500,000 nested block lists.", "- ", 500_000),
        large("policy-anchors", "300,000 anchors.", "&a ", 300_000),
        large("policy-many-keys", "200,000 keys without value.", "? ", 400_000),
        large("policy-quotes", "A million quotes.", "\"", 1_000_000),
    ]
}

/// Keys that are none, or worse.
fn keys(base: &Base) -> Vec<Case> {
    let body = base.policy_body();
    let edit = |name: &str, about: &str, from: &str, to: &str| {
        case(name, "bad-key", about).with(POLICY, base.signed_policy(&changed(&body, from, to)))
    };
    let rita = &base.rita;
    let zeros = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    let point = rita.signing.verifying_key();
    vec![
        edit(
            "policy-recipient-of-low-order",
            "A recipient with which every key agreement gives zeros.",
            &rita.recipient,
            zeros,
        ),
        edit("policy-recipient-of-a-plugin", "A recipient of a plugin.", &rita.recipient, "age1yubikey1qwertyuiop"),
        edit("policy-recipient-is-text", "A recipient that is none.", &rita.recipient, "everyone"),
        edit(
            "policy-recipient-in-capitals",
            "A recipient in another spelling.",
            &rita.recipient,
            &rita.recipient.to_uppercase(),
        ),
        edit(
            "policy-signing-key-of-small-order",
            "A signing key that verifies what nobody signed.",
            &rita.verifying_key(),
            &ssh_key(&[0; 32]),
        ),
        edit(
            "policy-signing-key-of-rsa",
            "A signing key of another type.",
            &rita.verifying_key(),
            "ssh-rsa AAAAB3NzaC1yc2E=",
        ),
        edit(
            "policy-signing-key-with-comment",
            "A signing key with a comment.",
            &rita.verifying_key(),
            &format!("{} rita", rita.verifying_key()),
        ),
        edit(
            "policy-signing-key-too-long",
            "A signing key of 33 bytes.",
            &rita.verifying_key(),
            &ssh_key(&[&point.to_bytes()[..], &[0]].concat()),
        ),
    ]
}
