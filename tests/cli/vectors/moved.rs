//! Files that were exchanged, copied, lost, changed by a byte, or replayed; and places where no plain file is.

use super::base::Base;
use super::vector::{Case, POLICY, SIDECAR, Special, VALUE, case};
use crate::support::CANARY;

pub fn cases(base: &Base) -> Vec<Case> {
    [moved(base), bytes(base), bound(base), places()].concat()
}

fn moved(base: &Base) -> Vec<Case> {
    let good = base.files();
    let of = |file: &str| good.get(file).unwrap().clone();
    let other = base.other().files();
    let of_other = |file: &str| other.get(file).unwrap().clone();
    let value = ["get", "describe"];
    vec![
        case("moved-values-swapped", "value-replaced", "The age files of two secrets, exchanged.")
            .with(VALUE, of("secrets/production/B.age"))
            .with("secrets/production/B.age", of(VALUE))
            .by(&value),
        case(
            "moved-value-of-other-environment",
            "value-replaced",
            "The age file of the same name in another environment.",
        )
        .with(VALUE, of("secrets/staging/A.age"))
        .by(&value),
        case(
            "moved-value-of-other-store",
            "value-replaced",
            "The age file of the same path in another store of the same people.",
        )
        .with(VALUE, of_other(VALUE))
        .by(&value),
        case("moved-both-of-other-name", "moved", "Sidecar and age file of another secret.")
            .with(VALUE, of("secrets/production/B.age"))
            .with(SIDECAR, of("secrets/production/B.yaml")),
        case(
            "moved-both-of-other-environment",
            "moved",
            "Sidecar and age file of the same name in another environment.",
        )
        .with(VALUE, of("secrets/staging/A.age"))
        .with(SIDECAR, of("secrets/staging/A.yaml")),
        case(
            "moved-both-of-other-store",
            "other-store",
            "Sidecar and age file of the same path in another store of the same people.",
        )
        .with(VALUE, of_other(VALUE))
        .with(SIDECAR, of_other(SIDECAR)),
        case("moved-sidecar-of-other-name", "moved", "The sidecar of another secret, with the right age file.")
            .with(SIDECAR, of("secrets/production/B.yaml")),
        case(
            "moved-policy-in-the-sidecars-place",
            "wrong-namespace",
            "The policy, copied to where a sidecar is expected.",
        )
        .with(SIDECAR, base.policy.clone()),
        case(
            "moved-sidecar-in-the-policys-place",
            "wrong-namespace",
            "A sidecar, copied to where the policy is expected.",
        )
        .with(POLICY, of(SIDECAR)),
        case("moved-whole-other-store", "other-store", "The whole store replaced by another one of the same people.")
            .with(POLICY, of_other(POLICY))
            .with(VALUE, of_other(VALUE))
            .with(SIDECAR, of_other(SIDECAR)),
        case("lost-value", "value-missing", "The age file taken away.").without(VALUE).by(&value),
        case("lost-sidecar", "unsigned", "The sidecar taken away: an age file for which nobody signed.")
            .without(SIDECAR),
        case("lost-policy", "no-policy", "The policy taken away.").without(POLICY),
    ]
}

/// One byte of a good file changed.
fn bytes(base: &Base) -> Vec<Case> {
    let good = base.files();
    let flipped = |file: &str, at: usize| {
        let mut bytes = good.get(file).unwrap().clone();
        bytes[at] ^= 1;
        bytes
    };
    let found = |file: &str, text: &str| {
        let bytes = good.get(file).unwrap();
        bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
    };
    let last = good.get(VALUE).unwrap().len() - 1;
    let in_signature = found(SIDECAR, "  -----END SSH") - 60;
    let value = ["get", "describe"];
    vec![
        case("flipped-in-the-header", "value-replaced", "A bit of the age header.")
            .with(VALUE, flipped(VALUE, 30))
            .by(&value),
        case("flipped-in-the-mac", "value-replaced", "A bit of the header's MAC.")
            .with(VALUE, flipped(VALUE, found(VALUE, "\n--- ") + 9))
            .by(&value),
        case("flipped-in-the-payload", "value-replaced", "The last bit of the age file.")
            .with(VALUE, flipped(VALUE, last))
            .by(&value),
        case("flipped-in-the-body", "bad-signature", "A bit of the sidecar's hash of the age file.")
            .with(SIDECAR, flipped(SIDECAR, found(SIDECAR, "sha256") + 12)),
        case("flipped-in-the-signature", "bad-signature", "A bit of the 64 bytes of the sidecar's signature.")
            .with(SIDECAR, flipped(SIDECAR, in_signature)),
        case("flipped-in-the-policy", "bad-signature", "A bit of the policy's salt.")
            .with(POLICY, flipped(POLICY, found(POLICY, "salt") + 10)),
    ]
}

/// Age files that a member who may write signed for, though they were made for another place.
fn bound(base: &Base) -> Vec<Case> {
    let signed_for = |name: &str, about: &str, age: Vec<u8>| {
        case(name, "wrong-context", about)
            .with(SIDECAR, base.signed(base.sidecar(&base.a(), &age)))
            .with(VALUE, age)
            .by(&["get"])
    };
    let elsewhere = |path: &str, version| base.age(&base.place(path, version), CANARY.as_bytes());
    let forged = {
        let mut stanzas = base.stanzas(&base.a());
        let b = base.place("production/B", 1);
        stanzas[0] = super::age::context_stanza(&b.store, &b.path, b.version);
        let whole = base.sealed(&stanzas, CANARY.as_bytes());
        // The readers see the right context, and its MAC is that of another.
        let text = String::from_utf8_lossy(&whole[..100]).into_owned();
        let argument = super::age::context_argument(&base.id, "production/A", 1);
        let at = text.find("ctx-v1 ").unwrap() + 7;
        [&whole[..at], argument.as_bytes(), &whole[at + 43..]].concat()
    };
    let mut all = vec![
        signed_for(
            "bound-to-other-name",
            "A writer signs for the age file of another name.",
            elsewhere("production/B", 1),
        ),
        signed_for(
            "bound-to-other-environment",
            "A writer signs for the age file of another environment.",
            elsewhere("staging/A", 1),
        ),
        signed_for(
            "bound-to-other-version",
            "A writer signs for the age file of another version of the same secret.",
            elsewhere("production/A", 2),
        ),
        signed_for(
            "bound-to-other-store",
            "A writer signs for the age file of the same path in another store.",
            base.age(&base.other().a(), CANARY.as_bytes()),
        ),
    ];
    let mut context_forged = signed_for(
        "bound-by-a-forged-context",
        "The age file of another name, its context overwritten with the right one.",
        forged,
    );
    context_forged.vector.kind = "tampered".to_owned();
    all.push(context_forged.by_key());
    all
}

/// Links, folders, pipes and the like where the store has its files and folders.
fn places() -> Vec<Case> {
    let not_plain = |name: &str, about: &str| case(name, "not-plain", about);
    vec![
        not_plain("place-link-to-a-sidecar", "The sidecar is a symbolic link to a good one outside.").linked(SIDECAR),
        not_plain("place-link-to-a-value", "The age file is a symbolic link to the good one outside.").linked(VALUE),
        not_plain("place-link-to-the-policy", "The policy is a symbolic link to the good one outside.").linked(POLICY),
        not_plain("place-link-to-the-policys-folder", "The folder of the policy is a symbolic link.").linked("policy"),
        not_plain("place-link-to-an-environment", "The folder of an environment is a symbolic link.")
            .linked("secrets/production"),
        not_plain("place-link-to-the-secrets", "The folder of all secrets is a symbolic link.").linked("secrets"),
        not_plain("place-link-to-the-store", "The store itself is a symbolic link to a good one outside.").linked(""),
        not_plain("place-link-to-itself", "The sidecar is a symbolic link to itself.")
            .special(SIDECAR, Special::LinkToItself),
        not_plain("place-link-to-nothing", "The age file is a symbolic link to nothing.")
            .special(VALUE, Special::LinkToNothing),
        not_plain("place-folder-for-a-sidecar", "A folder where the sidecar should be.")
            .special(SIDECAR, Special::Folder),
        not_plain("place-folder-for-a-value", "A folder where the age file should be.")
            .special(VALUE, Special::Folder)
            .by(&["get", "describe"]),
        not_plain(
            "place-pipe-for-a-sidecar",
            "A named pipe where the sidecar should be: reading it would wait for ever.",
        )
        .special(SIDECAR, Special::Pipe),
        not_plain("place-pipe-for-a-value", "A named pipe where the age file should be.").special(VALUE, Special::Pipe),
        not_plain("place-pipe-for-the-policy", "A named pipe where the policy should be.")
            .special(POLICY, Special::Pipe),
        not_plain("place-socket-for-a-value", "A socket where the age file should be.").special(VALUE, Special::Socket),
        not_plain("place-submodule-for-the-store", "The store is a submodule: it has a `.git` file of its own.")
            .special(".git", Special::GitFile),
        not_plain("place-repository-for-the-store", "The store is a repository of its own.")
            .special(".git", Special::GitFolder),
    ]
}
