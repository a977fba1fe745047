//! A rotation's pending value: files and statements of it that are not what they should be. What is wrong with the file alone keeps nobody from the
//! present value.

use super::age;
use super::base::{Base, Place, changed, sha256};
use super::vector::{Case, PENDING, SIDECAR, case};
use crate::support::CANARY;

pub fn cases(base: &Base) -> Vec<Case> {
    [files(base), statements(base)].concat()
}

/// The body of A's sidecar, with a rotation under way whose pending value is in `file`.
fn rotating(base: &Base, file: &[u8]) -> String {
    let reader = |name: &str, key: &str| format!("    - member: \"{name}\"\n      key: \"{key}\"\n");
    let readers = [&base.alice, &base.rita].map(|it| reader(it.name, &it.fingerprint())).concat();
    let rotation = "rotation:\n  enabled: true\n  period: \"30d\"\n  notify_before: \"7d\"\n  generator: null\n  hook: \"ops/rotate.sh\"\n";
    let next = format!(
        "next:\n  version: 2\n  token: \"{}\"\n  ciphertext:\n    sha256: \"{}\"\n    size: {}\n  recipients:\n{readers}  exposed_to: []\n  author: \"alice\"\n  \
         created_at: 2026-11-24T03:00:00Z\n",
        sha256(b"token"),
        sha256(file),
        file.len(),
    );
    let body = base.sidecar(&base.a(), &base.age(&base.a(), CANARY.as_bytes()));
    changed(&changed(&body, "rotation: null\n", rotation), "next: null\n", &next)
}

fn second(base: &Base) -> Place {
    base.place("production/A", 2)
}

fn good(base: &Base) -> Vec<u8> {
    base.age(&second(base), format!("{CANARY} next").as_bytes())
}

/// A file that alice's sidecar states.
fn vouched(base: &Base, name: &str, kind: &str, about: &str, file: Vec<u8>) -> Case {
    let sidecar = base.signed(rotating(base, &file));
    case(name, kind, about).with(SIDECAR, sidecar).with(PENDING, file).by_verify()
}

fn files(base: &Base) -> Vec<Case> {
    let stated = base.signed(rotating(base, &good(base)));
    let bound_to = |name: &str, about: &str, place: &Place| {
        vouched(base, name, "wrong-context", about, base.age(place, CANARY.as_bytes()))
    };
    let mut stanzas = base.stanzas(&second(base));
    stanzas.insert(1, age::x25519_stanza(&base.mallory.point, 9, &age::FILE_KEY));
    let for_a_stranger = base.sealed(&stanzas, CANARY.as_bytes());
    let unbound = base.sealed(&base.readers(), CANARY.as_bytes());
    vec![
        case("pending-good", "", "A rotation under way, as it should be.")
            .with(SIDECAR, stated.clone())
            .with(PENDING, good(base))
            .good(),
        case("pending-stray", "value-unknown", "A pending value that no sidecar states.")
            .with(PENDING, good(base))
            .by_verify(),
        case("pending-without-secret", "unsigned", "A pending value of a secret that there is not.")
            .with("secrets/production/NEW.next.age", good(base))
            .by(&["list"]),
        case("pending-missing", "value-missing", "A pending value that is stated, and not there.")
            .with(SIDECAR, stated.clone())
            .by_verify(),
        case("pending-replaced", "value-replaced", "Another pending value than the one that is stated.")
            .with(SIDECAR, stated)
            .with(PENDING, base.age(&second(base), b"another"))
            .by_verify(),
        bound_to("pending-of-the-present-version", "A pending value that is bound to the present version.", &base.a()),
        bound_to(
            "pending-of-a-later-version",
            "One that is bound to the version after the next.",
            &base.place("production/A", 3),
        ),
        bound_to("pending-of-another-secret", "One that is bound to another secret.", &base.place("production/B", 2)),
        vouched(
            base,
            "pending-for-a-stranger",
            "other-recipients",
            "One with a reader more than the sidecar states.",
            for_a_stranger,
        ),
        vouched(base, "pending-unbound", "no-context", "One that `age` made for the same readers.", unbound),
    ]
}

/// Sidecars that contradict themselves, or name a program where no repository has one.
fn statements(base: &Base) -> Vec<Case> {
    let file = good(base);
    let body = rotating(base, &file);
    let edit = |name: &str, kind: &str, about: &str, from: &str, to: &str| {
        case(name, kind, about).with(SIDECAR, base.signed(changed(&body, from, to))).with(PENDING, file.clone())
    };
    let start = body.find("  recipients:\n    - member").unwrap();
    let end = body.find("  exposed_to: []\n  author").unwrap();
    let hook = |name: &str, about: &str, to: &str| edit(name, "malformed", about, "ops/rotate.sh", to);
    vec![
        edit(
            "pending-skips-a-version",
            "inconsistent",
            "A pending value of version 3.",
            "  version: 2\n",
            "  version: 3\n",
        ),
        edit(
            "pending-repeats-a-version",
            "inconsistent",
            "A pending value of version 1.",
            "  version: 2\n",
            "  version: 1\n",
        ),
        edit(
            "pending-for-nobody",
            "inconsistent",
            "A pending value without readers.",
            &body[start..end],
            "  recipients: []\n",
        ),
        edit(
            "pending-without-token",
            "malformed",
            "A rotation that a hook can't be told.",
            &format!("  token: \"{}\"\n", sha256(b"token")),
            "",
        ),
        edit("rotation-told-too-early", "inconsistent", "Told of before the period begins.", "\"7d\"", "\"31d\""),
        hook("hook-outside", "A hook that leads out of the work tree.", "../rotate.sh"),
        hook("hook-absolute", "A hook that is a program of the machine's.", "/bin/sh"),
        hook("hook-in-git", "A hook in the git directory.", ".Git/hooks/rotate"),
        hook("hook-an-option", "A hook that looks like an option.", "-c"),
    ]
}
