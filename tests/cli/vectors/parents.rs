//! A revision whose author has no right to it counts where one that counts names it as its parent, and nowhere else. rita may read, and not write.

use super::base::{Base, changed, sha256};
use super::sign::{Person, Signature, document};
use super::vector::{Case, SIDECAR, case};

const B: &str = "secrets/production/B.yaml";

fn signed(body: &str, person: &Person) -> Vec<u8> {
    document(body.as_bytes(), &Signature::default().of(body.as_bytes(), person))
}

pub fn cases(base: &Base) -> Vec<Case> {
    let text = String::from_utf8(base.files().remove(SIDECAR).unwrap()).unwrap();
    let first = text.split("signature: |").next().unwrap().to_owned();
    // The next revision by `person` of what `parents` are the files of.
    let next = |revision: u64, parents: &[&[u8]], person: &Person| {
        let parents: String = parents.iter().map(|file| format!("  - \"{}\"\n", sha256(file))).collect();
        let body = changed(
            &first,
            "revision: 1\nparents: []\nchange: create",
            &format!("revision: {revision}\nparents:\n{parents}change: metadata"),
        );
        signed(&changed(&body, "author: \"alice\"", &format!("author: \"{}\"", person.name)), person)
    };
    let ritas = signed(&changed(&first, "author: \"alice\"", "author: \"rita\""), &base.rita);
    let ritas_second = next(2, &[&ritas], &base.rita);
    let alices = |parents: &[&[u8]]| next(2, parents, &base.alice);
    let forged = changed(&String::from_utf8(alices(&[&ritas])).unwrap(), "tags: []", "tags:\n  - \"x\"").into_bytes();
    let moved = changed(&first, "path: \"production/A\"", "path: \"production/B\"");
    let moved = changed(
        &moved,
        "revision: 1\nparents: []\nchange: create",
        &format!("revision: 2\nparents:\n  - \"{}\"\nchange: metadata", sha256(&ritas)),
    );
    // rita's revision is what the work tree has, behind commits that brought what followed.
    let back = |name: &str, about: &str| case(name, "no-right", about).with(SIDECAR, ritas.clone());
    let found = |case: Case| {
        // By rights alone, without a look at history, nothing speaks for it.
        let mut good = case.good();
        good.vector.refused_by.insert("verify".to_owned());
        good
    };
    vec![
        found(
            back("parent-followed", "A revision without right that alice followed.")
                .after(SIDECAR, ritas.clone())
                .after(SIDECAR, alices(&[&ritas])),
        ),
        found(
            back(
                "parent-followed-through-another",
                "A revision without right that another such one followed, and then alice.",
            )
            .after(SIDECAR, ritas.clone())
            .after(SIDECAR, ritas_second.clone())
            .after(SIDECAR, next(3, &[&ritas_second], &base.alice)),
        ),
        found(
            back("parent-of-a-merge", "A revision without right that is the second parent of alice's.")
                .after(SIDECAR, ritas.clone())
                .after(SIDECAR, alices(&[text.as_bytes(), &ritas])),
        ),
        back("parent-followed-by-nobody", "A revision without right that nothing follows.")
            .after(SIDECAR, ritas.clone()),
        back("parent-followed-without-right", "A revision without right that another such one followed.")
            .after(SIDECAR, ritas.clone())
            .after(SIDECAR, ritas_second.clone()),
        back("parent-of-a-forgery", "A revision without right, named by one whose signature does not hold.")
            .after(SIDECAR, ritas.clone())
            .after(SIDECAR, forged),
        back("parent-of-another-secret", "A revision without right, named as its parent by another secret's.")
            .after(SIDECAR, ritas.clone())
            .after(B, base.signed(moved)),
        back("parent-of-another-file", "A revision without right, where alice followed another one.")
            .after(SIDECAR, ritas.clone())
            .after(SIDECAR, alices(&[text.as_bytes()])),
        back("parent-in-another-stores-history", "A revision without right that alice followed, in another store.")
            .after(SIDECAR, ritas.clone())
            .after(SIDECAR, {
                let body = String::from_utf8(alices(&[&ritas])).unwrap();
                base.signed(changed(body.split("signature: |").next().unwrap(), &base.id, &"0".repeat(64)))
            }),
    ]
}
