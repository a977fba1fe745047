//! Requests that lie in the store, for an admin to grant: by whom they must be signed, and what they must not be.

use super::base::{Base, changed};
use super::sign::{Person, Signature, document};
use super::vector::{Case, Recipe, case};

const PLACE: &str = "requests/mallory.yaml";

fn signed(text: &str, person: &Person, namespace: &str) -> Vec<u8> {
    document(text.as_bytes(), &Signature { namespace, ..Signature::default() }.of(text.as_bytes(), person))
}

/// They stand in nobody's way: `verify` names them.
fn request(name: &str, about: &str) -> Case {
    case(name, "unknown-file", about).by(&[]).exit(8)
}

pub fn cases(base: &Base) -> Vec<Case> {
    let good = format!(
        "vsecure: request/1\nstore: \"{}\"\nname: \"mallory\"\nemail: \"mallory@example.com\"\nkeys:\n  recipient: \"{}\"\n  signing: \"{}\"\ntime: 2026-11-24T03:00:00Z\n",
        base.id,
        base.mallory.recipient,
        base.mallory.verifying_key()
    );
    let own = |text: &str| signed(text, &base.mallory, "vsecure-request-v1");
    let said = |name: &str, about: &str, from: &str, to: &str| {
        request(name, about).with(PLACE, own(&changed(&good, from, to)))
    };
    vec![
        request("request", "A good request: nothing is refused.").with(PLACE, own(&good)).good(),
        request("request-by-another", "A request for mallory's keys that rita signed.")
            .with(PLACE, signed(&good, &base.rita, "vsecure-request-v1")),
        said(
            "request-with-anothers-key",
            "A request that names rita's signing key, signed by mallory.",
            &base.mallory.verifying_key(),
            &base.rita.verifying_key(),
        ),
        request("request-signed-as-a-grant", "A request signed for another purpose.")
            .with(PLACE, signed(&good, &base.mallory, "vsecure-grant-v1")),
        said("request-for-another-store", "A request that was made for another store.", &base.id, &"0".repeat(64)),
        said(
            "request-of-another-name",
            "A request for another name than its file's.",
            "name: \"mallory\"",
            "name: \"eve\"",
        ),
        said("request-of-a-newer-format", "A request of a format that comes later.", "request/1", "request/2"),
        said("request-unquoted", "A request in another spelling, signed so.", "name: \"mallory\"", "name: mallory"),
        said(
            "request-with-a-role",
            "A request with a field that none has.",
            "keys:\n",
            "roles:\n  - \"admins\"\nkeys:\n",
        ),
        request("request-edited", "A request whose address was changed after it was signed.").with(PLACE, {
            changed(&String::from_utf8(own(&good)).unwrap(), "mallory@example.com", "alice@example.com").into_bytes()
        }),
        request("request-unsigned", "A request without a signature.").with(PLACE, good.clone()),
        request("request-too-large", "A file too large for a request.")
            .made(PLACE, Recipe::Texts(vec![("0".to_owned(), 65_537)])),
    ]
}
