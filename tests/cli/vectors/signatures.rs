//! Sidecars whose signature is missing, foreign, of another kind, or written in another way.

use std::fs;

use super::base::{Base, changed};
use super::folder;
use super::sign::{Signature, document, ssh_key};
use super::vector::{Case, Recipe, SIDECAR, case};

const MARKER: &str = "signature: |\n";

pub fn cases(base: &Base) -> Vec<Case> {
    [signers(base), blobs(base), trailers(base)].concat()
}

fn body(base: &Base) -> String {
    String::from_utf8(base.files().remove(SIDECAR).unwrap()).unwrap().split(MARKER).next().unwrap().to_owned()
}

/// The right signature by the wrong person, or for something else.
fn signers(base: &Base) -> Vec<Case> {
    let body = body(base);
    let by = |person, body: &str| document(body.as_bytes(), &Signature::default().of(body.as_bytes(), person));
    let as_author = |name: &str| changed(&body, "author: \"alice\"", &format!("author: \"{name}\""));
    let tombstone = {
        let ciphertext = body.split("ciphertext:\n").nth(1).unwrap().split("source:").next().unwrap();
        let recipients = body.split("recipients:\n").nth(1).unwrap().split("exposed_to:").next().unwrap();
        let text = changed(&as_author("rita"), &format!("ciphertext:\n{ciphertext}"), "ciphertext: null\n");
        changed(
            &changed(&text, &format!("recipients:\n{recipients}"), "recipients: []\n"),
            "change: create",
            "change: delete",
        )
    };
    let identity = [&[1u8][..], &[0; 31]].concat().try_into().unwrap();
    vec![
        case("signer-unknown", "foreign-key", "Signed by a key that no member has, in alice's name.")
            .with(SIDECAR, by(&base.mallory, &body)),
        case("signer-other-member", "foreign-key", "Signed by rita in alice's name.")
            .with(SIDECAR, by(&base.rita, &body)),
        case("signer-no-member", "foreign-key", "Signed by mallory in mallory's name, who is no member.")
            .with(SIDECAR, by(&base.mallory, &as_author("mallory"))),
        case("signer-without-right", "no-right", "Signed by rita in her own name, who may only read.")
            .with(SIDECAR, by(&base.rita, &as_author("rita"))),
        case("signer-deletes-without-right", "no-right", "A tombstone signed by rita, who may only read.")
            .with(SIDECAR, by(&base.rita, &tombstone)),
        case(
            "signer-of-small-order",
            "bad-signature",
            "By the key of small order that verifies anything in a lax implementation.",
        )
        .with(
            SIDECAR,
            document(
                body.as_bytes(),
                &Signature {
                    point: Some(identity),
                    bend: |signature| {
                        *signature = [0; 64];
                        signature[0] = 1;
                    },
                    ..Signature::default()
                }
                .of(body.as_bytes(), &base.alice),
            ),
        ),
        case(
            "signer-malleable",
            "bad-signature",
            "alice's signature with the group's order added to S: the same to a lax implementation.",
        )
        .with(
            SIDECAR,
            document(
                body.as_bytes(),
                &Signature { bend: add_the_order, ..Signature::default() }.of(body.as_bytes(), &base.alice),
            ),
        ),
    ]
}

/// Adds the order of Ed25519's group to S, the second half of a signature.
fn add_the_order(signature: &mut [u8; 64]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

/// Signatures that say something else of themselves.
fn blobs(base: &Base) -> Vec<Case> {
    let body = body(base);
    let with = |name: &str, kind: &str, about: &str, signature: Signature<'_>| {
        case(name, kind, about).with(SIDECAR, document(body.as_bytes(), &signature.of(body.as_bytes(), &base.alice)))
    };
    let namespaced = |namespace| Signature { namespace, ..Signature::default() };
    let recorded = |kind: &str, about: &str| {
        let armour = fs::read_to_string(folder().join("keys").join(format!("{kind}.sig"))).unwrap();
        case(&format!("blob-{kind}"), "unsupported-key", about).with(SIDECAR, document(body.as_bytes(), &armour))
    };
    vec![
        with(
            "blob-namespace-of-policies",
            "wrong-namespace",
            "alice's signature, made for a policy.",
            namespaced("vsecure-policy-v1"),
        ),
        with(
            "blob-namespace-of-requests",
            "wrong-namespace",
            "alice's signature, made for a request.",
            namespaced("vsecure-request-v1"),
        ),
        with(
            "blob-namespace-of-git",
            "wrong-namespace",
            "alice's signature, made for a git commit.",
            namespaced("git"),
        ),
        with(
            "blob-namespace-longer",
            "wrong-namespace",
            "A namespace that begins like the right one.",
            namespaced("vsecure-secret-v10"),
        ),
        with("blob-namespace-empty", "wrong-namespace", "An empty namespace.", namespaced("")),
        with(
            "blob-sha256",
            "unsupported-hash",
            "Over the sha256 of the body.",
            Signature { hash: "sha256", ..Signature::default() },
        ),
        with(
            "blob-reserved",
            "malformed",
            "With something in the reserved field.",
            Signature { reserved: b"x", ..Signature::default() },
        ),
        with(
            "blob-version-2",
            "malformed",
            "Of version 2 of the format.",
            Signature { version: 2, ..Signature::default() },
        ),
        with(
            "blob-named-rsa",
            "unsupported-key",
            "An Ed25519 key that calls itself ssh-rsa.",
            Signature { kind: "ssh-rsa", ..Signature::default() },
        ),
        with(
            "blob-named-security-key",
            "unsupported-key",
            "An Ed25519 key that calls itself a security key.",
            Signature { kind: "sk-ssh-ed25519@openssh.com", ..Signature::default() },
        ),
        recorded("rsa", "A right signature of this body by an RSA key."),
        recorded("ecdsa", "A right signature of this body by an ECDSA key."),
    ]
}

/// The right signature in other bytes, or none.
fn trailers(base: &Base) -> Vec<Case> {
    let body = body(base);
    let good = String::from_utf8(base.signed(&body)).unwrap();
    let trailer = good.strip_prefix(&body).unwrap();
    let with = |name: &str, kind: &str, about: &str, text: &str| {
        assert_ne!(text, good, "{name} changes nothing");
        case(name, kind, about).with(SIDECAR, text)
    };
    let encoded: String = trailer
        .lines()
        .filter(|line| line.len() > 2 && !line.contains("---") && !line.contains('|'))
        .map(str::trim)
        .collect();
    let wrapped = |columns: usize| -> String {
        let lines: String = encoded
            .as_bytes()
            .chunks(columns)
            .map(|line| format!("  {}\n", std::str::from_utf8(line).unwrap()))
            .collect();
        format!("{body}{MARKER}  -----BEGIN SSH SIGNATURE-----\n{lines}  -----END SSH SIGNATURE-----\n")
    };
    assert_eq!(wrapped(70), good);
    let end = "  -----END SSH SIGNATURE-----\n";
    vec![
        with("trailer-missing", "unsigned", "The signature taken away.", &body),
        with(
            "trailer-empty",
            "malformed",
            "The line that announces a signature, and nothing after it.",
            &format!("{body}{MARKER}"),
        ),
        with(
            "trailer-text",
            "malformed",
            "Something else where the signature should be.",
            &format!("{body}{MARKER}  trust me\n"),
        ),
        with("trailer-twice", "several-signatures", "The whole trailer twice.", &format!("{good}{trailer}")),
        with(
            "trailer-marker-twice",
            "several-signatures",
            "A second line `signature: |` in the body.",
            &format!("{MARKER}{good}"),
        ),
        with("trailer-rewrapped-64", "not-canonical", "The signature wrapped at 64 characters.", &wrapped(64)),
        with("trailer-on-one-line", "not-canonical", "The signature on one line.", &wrapped(10_000)),
        with(
            "trailer-padded",
            "malformed",
            "More padding at the end of the signature's base64.",
            &changed(&good, "=\n", "==\n"),
        ),
        with(
            "trailer-unpadded",
            "malformed",
            "The padding of the signature's base64 taken away.",
            &good.replace('=', ""),
        ),
        with(
            "trailer-indented-less",
            "not-canonical",
            "A signature whose lines are not indented.",
            &format!("{body}{}", trailer.replace("\n  ", "\n")),
        ),
        with(
            "trailer-indented-more",
            "not-canonical",
            "A line of the signature indented by three spaces.",
            &changed(&good, end, &format!(" {end}")),
        ),
        with(
            "trailer-indented-by-tab",
            "not-canonical",
            "A line of the signature indented by a tab.",
            &changed(&good, end, "\t-----END SSH SIGNATURE-----\n"),
        ),
        with(
            "trailer-blanks-at-line-ends",
            "not-canonical",
            "A blank at the end of a line of the signature.",
            &changed(&good, end, "  -----END SSH SIGNATURE----- \n"),
        ),
        with("trailer-without-its-last-line-end", "not-canonical", "The last line end taken away.", good.trim_end()),
        with(
            "trailer-followed-by-an-empty-line",
            "not-canonical",
            "An empty line behind the signature.",
            &format!("{good}\n"),
        ),
        with(
            "trailer-followed-by-a-field",
            "not-canonical",
            "A field behind the signature, which YAML would take for the document's.",
            &format!("{good}version: 9\n"),
        ),
        with("trailer-followed-by-nul", "not-canonical", "A NUL behind the signature.", &format!("{good}\0")),
        with("trailer-cut", "malformed", "The file cut in the middle of the signature.", &good[..good.len() - 150]),
        with("lines-converted", "line-endings", "All line ends converted to CR LF.", &good.replace('\n', "\r\n")),
        with(
            "lines-converted-in-the-body",
            "line-endings",
            "The line ends of the body converted to CR LF.",
            &good.replace(&body, &body.replace('\n', "\r\n")),
        ),
        with(
            "lines-converted-in-the-trailer",
            "line-endings",
            "The line ends of the signature converted to CR LF.",
            &good.replace(trailer, &trailer.replace('\n', "\r\n")).replace("|\r\n", "|\n"),
        ),
        with("lines-of-old-macs", "unsigned", "All line ends converted to CR.", &good.replace('\n', "\r")),
        case("file-empty", "unsigned", "An empty sidecar.").with(SIDECAR, ""),
        case("file-of-nul", "unsigned", "A sidecar of NUL bytes, as a crash of the machine leaves it.")
            .with(SIDECAR, vec![0; good.len()]),
        case("file-in-utf-16", "unsigned", "A sidecar that an editor saved as UTF-16.")
            .with(SIDECAR, good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        case("file-too-large", "too-large", "A sidecar over 64 KiB: zeros behind a good one.")
            .made(SIDECAR, Recipe::Texts(vec![(good.clone(), 1), ("0".to_owned(), 64 * 1024)])),
        case(
            "file-of-many-lines",
            "bad-signature",
            "A sidecar just under 64 KiB of nothing but line ends before its signature.",
        )
        .made(SIDECAR, Recipe::Texts(vec![("\n".to_owned(), 64 * 1024 - trailer.len()), (trailer.to_owned(), 1)])),
        with(
            "file-with-a-byte-order-mark",
            "bad-signature",
            "A byte order mark before the sidecar.",
            &format!("\u{feff}{good}"),
        ),
        with(
            "file-reformatted",
            "reformatted",
            "A formatter took the quotes away: the content is right, the bytes are not.",
            &good.replace("\"alice\"", "alice"),
        ),
        with(
            "file-commented",
            "reformatted",
            "A comment added.",
            &changed(&good, "change: create\n", "change: create # by hand\n"),
        ),
        with(
            "file-signed-by-key-in-body",
            "bad-signature",
            "The body names another signing key.",
            &changed(&good, "author: \"alice\"", &format!("author: \"{}\"", ssh_key(&[7; 32]))),
        ),
    ]
}
