//! Later epochs of the policy, acceptance lists and grants: by whom they must not be, and where they must not lie.

use super::age;
use super::base::{Base, changed, sha256};
use super::sign::{Person, Signature, document};
use super::vector::{Case, POLICY, Recipe, SIDECAR, Special, VALUE, case};
use crate::support::CANARY;

const SECOND: &str = "policy/000002.yaml";
const THIRD: &str = "policy/000003.yaml";
const GUEST: &str = "guest-070707070707";
const ID: &str = "07070707070707070707070707070707";

pub fn cases(base: &Base) -> Vec<Case> {
    [chain(base), accepted(base), grants(base)].concat()
}

/// The body of the epoch that follows `previous`.
fn body(base: &Base, number: u64, previous: &[u8]) -> String {
    let text = changed(&base.policy_body(), "epoch: 1\n", &format!("epoch: {number}\n"));
    let text = changed(&text, "salt: \"00112233445566778899aabbccddeeff\"", "salt: null");
    changed(&text, "previous: null", &format!("previous: \"{}\"", sha256(previous)))
}

fn signed(body: &str, person: &Person, namespace: &str) -> Vec<u8> {
    document(body.as_bytes(), &Signature { namespace, ..Signature::default() }.of(body.as_bytes(), person))
}

/// The part of a policy that is rita's.
fn rita(text: &str) -> String {
    let start = text.find("  \"rita\":").unwrap();
    text[start..text.find("secrets:\n").unwrap()].to_owned()
}

fn chain(base: &Base) -> Vec<Case> {
    let second = body(base, 2, &base.policy);
    let by = |name: &str, kind: &str, about: &str, text: &str, person: &Person| {
        case(name, kind, about).with(SECOND, signed(text, person, "vsecure-policy-v1"))
    };
    let by_alice = |name: &str, kind: &str, about: &str, text: &str| by(name, kind, about, text, &base.alice);
    let as_rita = changed(&second, "author: \"alice\"", "author: \"rita\"");
    let promoted =
        changed(&as_rita, "rita@example.com\"\n    roles: []", "rita@example.com\"\n    roles:\n      - \"admins\"");
    let without_rita = changed(&changed(&second, &rita(&second), ""), "      - \"rita\"\n", "");
    let second_without_rita = base.signed_policy(&without_rita);
    let again = body(base, 3, &second_without_rita).replace(&base.rita.recipient, &base.mallory.recipient);
    let again = again.replace(&base.rita.verifying_key(), &base.mallory.verifying_key());
    let read_only = changed(&second, "write:\n      - \"alice\"", "write:\n      - \"rita\"");
    vec![
        by("epoch-by-no-admin", "not-an-admin", "An epoch signed by a member who is no admin.", &as_rita, &base.rita),
        by(
            "epoch-by-who-makes-herself-admin",
            "not-an-admin",
            "An epoch that makes its author an admin, who was none.",
            &promoted,
            &base.rita,
        ),
        by(
            "epoch-by-a-stranger",
            "foreign-key",
            "An epoch signed by a stranger in alice's name.",
            &second,
            &base.mallory,
        ),
        by_alice(
            "epoch-not-linked",
            "not-linked",
            "An epoch that names another file as the one before it.",
            &body(base, 2, b"another"),
        ),
        by_alice(
            "epoch-of-another-number",
            "wrong-epoch",
            "Epoch 3 in the place of epoch 2.",
            &body(base, 3, &base.policy),
        ),
        by_alice(
            "epoch-with-salt",
            "inconsistent",
            "A second epoch with a salt.",
            &changed(&second, "salt: null", "salt: \"00112233445566778899aabbccddeeff\""),
        ),
        by_alice(
            "epoch-without-previous",
            "inconsistent",
            "A second epoch that names none before it.",
            &changed(&second, &format!("previous: \"{}\"", base.id), "previous: null"),
        ),
        by_alice(
            "epoch-with-shared-key",
            "shared-key",
            "A member with another member's key.",
            &second.replace(&base.rita.verifying_key(), &base.alice.verifying_key()),
        ),
        by_alice(
            "epoch-takes-the-right",
            "no-right",
            "An epoch that takes a writer's right, and accepts nothing of what was written.",
            &read_only,
        ),
        case("epoch-twice", "wrong-epoch", "The first epoch again, in the place of the second.")
            .with(SECOND, base.policy.clone()),
        case("epoch-left-out", "epoch-missing", "A third epoch, and no second.")
            .with(THIRD, base.signed_policy(&body(base, 3, &base.policy))),
        case("epoch-first-left-out", "epoch-missing", "A second epoch, and no first.")
            .with(SECOND, base.signed_policy(&second))
            .without(POLICY),
        case("epoch-reuses-a-name", "name-reused", "A removed member's name, given to somebody else.")
            .with(SECOND, second_without_rita)
            .with(THIRD, base.signed_policy(&again)),
        case("epoch-is-a-link", "not-plain", "A link to nothing in the place of the second epoch.")
            .special(SECOND, Special::LinkToNothing),
        case("epoch-is-a-pipe", "not-plain", "A named pipe in the place of the second epoch.")
            .special(SECOND, Special::Pipe),
        case("epoch-is-empty", "unsigned", "An empty second epoch.").with(SECOND, ""),
        case("epoch-for-requests", "wrong-namespace", "A second epoch, signed as a request.")
            .with(SECOND, signed(&second, &base.alice, "vsecure-request-v1")),
        case("epoch-of-a-name-too-long", "epoch-missing", "The first epoch again, under a number of twenty digits.")
            .with("policy/18446744073709551615.yaml", base.policy.clone()),
    ]
}

/// The list matters where the policy alone would reject a revision: here alice has lost the right to write.
fn accepted(base: &Base) -> Vec<Case> {
    let second = changed(&body(base, 2, &base.policy), "write:\n      - \"alice\"", "write:\n      - \"rita\"");
    let place = |list: &str| format!("policy/accepted/{}", sha256(list.as_bytes()));
    let naming = |name: &str, kind: &str, about: &str, list: &str| {
        let text = changed(&second, "accepted: null", &format!("accepted: \"{}\"", sha256(list.as_bytes())));
        case(name, kind, about).with(SECOND, base.signed_policy(&text))
    };
    let [of_a, of_b, of_s] = ["production/A", "production/B", "staging/A"]
        .map(|path| sha256(&base.files()[&format!("secrets/{path}.yaml")]));
    let mut all = [of_a.clone(), of_b.clone(), of_s.clone()];
    all.sort();
    let right = all.map(|line| line + "\n").concat();
    let others = format!("{}\n", "0".repeat(64));
    let doubled = format!("{of_a}\n{of_a}\n");
    let good =
        naming("accepted", "", "A good list: nothing is refused.", &right).with(&place(&right), right.clone()).good();
    vec![
        good,
        naming(
            "accepted-missing",
            "acceptance-replaced",
            "An acceptance list that the policy names, and that is not there.",
            &right,
        ),
        naming(
            "accepted-replaced",
            "acceptance-replaced",
            "An acceptance list of other content than the policy names.",
            &others,
        )
        .with(&place(&others), right.clone()),
        naming(
            "accepted-continued",
            "acceptance-replaced",
            "An acceptance list with a line more than the policy names.",
            &others,
        )
        .with(&place(&others), others.clone() + &right),
        naming("accepted-others-only", "no-right", "An acceptance list that names another sidecar.", &others)
            .with(&place(&others), others.clone()),
        naming(
            "accepted-doubled",
            "not-canonical",
            "An acceptance list with a line twice, that the policy names.",
            &doubled,
        )
        .with(&place(&doubled), doubled.clone()),
        naming("accepted-without-line-end", "not-canonical", "An acceptance list without its last line end.", &of_a)
            .with(&place(&of_a), of_a.clone()),
        naming("accepted-is-text", "malformed", "An acceptance list of something else.", "all of them\n")
            .with(&place("all of them\n"), "all of them\n"),
        naming("accepted-is-a-pipe", "not-plain", "A named pipe in the place of the acceptance list.", &right)
            .special(&place(&right), Special::Pipe),
    ]
}

/// What a guest has to show: a grant to a one-off key, here mallory's, to whom the value is encrypted.
fn grants(base: &Base) -> Vec<Case> {
    let mut stanzas = base.stanzas(&base.a());
    stanzas.push(age::x25519_stanza(&base.mallory.point, 3, &age::FILE_KEY));
    let file = base.sealed(&stanzas, CANARY.as_bytes());
    let guest = format!("  - member: \"{GUEST}\"\n    key: \"{}\"\nexposed_to", base.mallory.fingerprint());
    let sidecar = base.signed(changed(&base.sidecar(&base.a(), &file), "exposed_to", &guest));
    let grant = format!(
        "vsecure: grant/1\nstore: \"{}\"\nid: \"{ID}\"\npath: \"production/A\"\ngrantee: \"{GUEST}\"\nrecipient: \"{}\"\nauthor: \"alice\"\n\
         time: 2026-11-24T03:00:00Z\nexpires_at: 2099-01-01T00:00:00Z\nreason: null\nrevoked: false\n",
        base.id, base.mallory.recipient
    );
    let in_place = |name: &str, kind: &str, about: &str, bytes: Vec<u8>| {
        case(name, kind, about)
            .with(SIDECAR, sidecar.clone())
            .with(VALUE, file.clone())
            .with(&format!("grants/{ID}.yaml"), bytes)
            .by(&["get"])
            .exit(4)
            .seen_by("mallory")
    };
    let by = |name: &str, about: &str, text: &str, person: &Person| {
        in_place(name, "not-a-member", about, signed(text, person, "vsecure-grant-v1"))
    };
    let by_alice =
        |name: &str, about: &str, from: &str, to: &str| by(name, about, &changed(&grant, from, to), &base.alice);
    let as_rita = changed(&grant, "author: \"alice\"", "author: \"rita\"");
    let good = by("grant-in-force", "A good grant: nothing is refused.", &grant, &base.alice).good();
    // The right one lies beside it: the guest is known, and what is too large is left out.
    let mut large = good
        .clone()
        .made("grants/ffffffffffffffffffffffffffffffff.yaml", Recipe::Texts(vec![("0".to_owned(), 65_537)]));
    large.vector.refused_by.insert("verify".to_owned());
    large.name = "grant-beside-one-too-large".to_owned();
    large.vector.about = "A good grant beside a file too large to be one, which hides nothing else.".to_owned();
    vec![
        good,
        large,
        by("grant-by-the-guest", "A grant that the guest signed, in alice's name.", &grant, &base.mallory),
        by("grant-without-right", "A grant by a member who may read, and not grant.", &as_rita, &base.rita),
        by_alice("grant-of-other-store", "A grant of another store.", &base.id, &"0".repeat(64)),
        by_alice("grant-of-other-id", "A grant under another grant's name.", ID, &"1".repeat(32)),
        by_alice("grant-of-a-newer-format", "A grant of a format that comes later.", "grant/1", "grant/2"),
        by_alice("grant-unquoted", "A grant in another spelling, signed so.", "\"alice\"", "alice"),
        by_alice("grant-in-a-members-name", "A one-off key in a member's name.", GUEST, "rita"),
        by_alice(
            "grant-in-another-guests-name",
            "A one-off key in the name of another grant's.",
            GUEST,
            "guest-080808080808",
        ),
        by_alice(
            "grant-in-a-longer-guests-name",
            "A one-off key in a name with more of the id's digits.",
            GUEST,
            "guest-07070707070707",
        ),
        in_place(
            "grant-for-a-secret",
            "not-a-member",
            "A grant that was signed as a sidecar.",
            signed(&grant, &base.alice, "vsecure-secret-v1"),
        ),
        in_place("grant-reformatted", "not-a-member", "A grant that a formatter changed.", {
            let text = String::from_utf8(signed(&grant, &base.alice, "vsecure-grant-v1")).unwrap();
            text.replace("\"alice\"", "alice").into_bytes()
        }),
    ]
}
