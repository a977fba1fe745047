//! The room as a whole, beside the independent tools: `age`, `age-keygen`, `ssh-keygen`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::header::scan_foreign;
use super::*;
use crate::model::{Fingerprint, SecretPath, StoreId, Version};

fn run(program: &str, args: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    // A tool that refuses early closes its end; that is its answer, not our failure.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn context(path: &str, version: u64) -> Context {
    let path: SecretPath = path.parse().unwrap();
    Context::new(&StoreId::of_first_epoch(b"store"), &path, Version::new(version).unwrap())
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

fn prints(identities: &[Identity]) -> Vec<Fingerprint> {
    identities.iter().map(|identity| identity.recipient().fingerprint()).collect()
}

fn sealed(value: &[u8], context: &Context, identities: &[Identity]) -> Vec<u8> {
    let recipients: Vec<Recipient> = identities.iter().map(|identity| identity.recipient().clone()).collect();
    seal(&SecretBytes::new(value.to_vec()), context, &recipients).unwrap()
}

fn ssh_identity(folder: &Path, name: &str, passphrase: &str) -> (std::path::PathBuf, String) {
    let path = folder.join(name);
    let (ok, _, error) =
        run("ssh-keygen", &["-q", "-t", "ed25519", "-C", "", "-N", passphrase, "-f", path.to_str().unwrap()], b"");
    assert!(ok, "{error}");
    let public = fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned();
    (path, public)
}

struct Typed(&'static str);

impl PassphraseSource for Typed {
    fn passphrase(&mut self, _what: &str) -> Result<SecretBytes, PassphraseError> {
        Ok(secret(self.0))
    }
}

#[test]
fn stock_age_prints_the_value_of_an_age_and_of_an_ssh_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (ssh_path, public) = ssh_identity(folder.path(), "id", "");
    let ssh = parse_identities(&SecretBytes::new(fs::read(&ssh_path).unwrap()), "id", &mut NoPassphrase).unwrap();
    assert_eq!(ssh[0].recipient().to_string(), public);
    let age = Identity::generate();
    let age_path = folder.path().join("new/identity.txt");
    write_new_identity_file(&age_path, &age, "2026-11-24".parse().unwrap()).unwrap();
    let value = b"line\nno newline at the end \x00\xff";
    let file = sealed(value, &context("production/A", 1), &[age.clone(), ssh[0].clone()]);
    for key in [&age_path, &ssh_path] {
        let (ok, printed, error) = run("age", &["-d", "-i", key.to_str().unwrap()], &file);
        assert!(ok, "{error}");
        assert_eq!(printed, value);
    }
    let (ok, public, _) = run("age-keygen", &["-y", age_path.to_str().unwrap()], b"");
    assert!(ok);
    assert_eq!(String::from_utf8(public).unwrap().trim(), age.recipient().to_string());
}

#[test]
fn both_kinds_of_identity_open_what_was_sealed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let (path, public) = ssh_identity(folder.path(), "id", "correct horse");
    let bytes = SecretBytes::new(fs::read(&path).unwrap());
    let wrong = parse_identities(&bytes, "id", &mut Typed("wrong"));
    assert!(matches!(wrong, Err(IdentityError::WrongPassphrase)));
    assert!(matches!(parse_identities(&bytes, "id", &mut NoPassphrase), Err(IdentityError::Passphrase(_))));
    let ssh = parse_identities(&bytes, "id", &mut Typed("correct horse")).unwrap().remove(0);
    let (_, listed, _) = run("ssh-keygen", &["-l", "-f", path.with_extension("pub").to_str().unwrap()], b"");
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains(&ssh.recipient().fingerprint().to_string()), "{listed}");
    assert!(public.starts_with("ssh-ed25519 "));
    let all = [Identity::generate(), ssh, Identity::generate()];
    let file = sealed(b"value", &context("a/B", 1), &all);
    for identity in &all {
        let value = open(&file, &context("a/B", 1), &prints(&all), identity).unwrap();
        assert_eq!(value.as_bytes(), b"value");
    }
    let stranger = Identity::generate();
    assert_eq!(open(&file, &context("a/B", 1), &prints(&all), &stranger).unwrap_err(), OpenError::NotARecipient);
}

#[test]
fn a_wrong_hint_only_costs_time() {
    let all = [Identity::generate(), Identity::generate(), Identity::generate()];
    let file = sealed(b"value", &context("a/B", 1), &all);
    let mut shuffled = prints(&all);
    shuffled.rotate_left(1);
    for identity in &all {
        assert_eq!(open(&file, &context("a/B", 1), &shuffled, identity).unwrap().as_bytes(), b"value");
    }
}

#[test]
fn open_refuses_a_file_made_for_another_place() {
    let me = [Identity::generate()];
    let file = sealed(b"value", &context("production/A", 2), &me);
    for other in [context("staging/A", 2), context("production/B", 2), context("production/A", 1)] {
        assert_eq!(inspect(&file, &other, &prints(&me)), Err(OpenError::WrongContext), "without a key too");
        assert_eq!(open(&file, &other, &prints(&me), &me[0]).unwrap_err(), OpenError::WrongContext);
    }
    let other_store =
        Context::new(&StoreId::of_first_epoch(b"other"), &"production/A".parse().unwrap(), Version::new(2).unwrap());
    assert_eq!(open(&file, &other_store, &prints(&me), &me[0]).unwrap_err(), OpenError::WrongContext);
}

#[test]
fn open_refuses_a_forged_context_by_its_mac() {
    let me = [Identity::generate()];
    let file = sealed(b"value", &context("production/A", 1), &me);
    let ours = context("production/A", 1).argument();
    let wanted = context("staging/A", 1).argument();
    let at = file.windows(ours.len()).position(|window| window == ours.as_bytes()).unwrap();
    let mut forged = file;
    forged[at..at + wanted.len()].copy_from_slice(wanted.as_bytes());
    assert_eq!(open(&forged, &context("staging/A", 1), &prints(&me), &me[0]).unwrap_err(), OpenError::Tampered);
}

#[test]
fn what_stock_age_encrypted_is_refused() {
    let me = Identity::generate();
    let (ok, file, error) = run("age", &["-r", &me.recipient().to_string()], b"value");
    assert!(ok, "{error}");
    let error = open(&file, &context("a/B", 1), &prints(std::slice::from_ref(&me)), &me).unwrap_err();
    assert_eq!(error, OpenError::Header(HeaderError::NoContext));
    let (_, armoured, _) = run("age", &["-a", "-r", &me.recipient().to_string()], b"value");
    let error = open(&armoured, &context("a/B", 1), &prints(std::slice::from_ref(&me)), &me).unwrap_err();
    assert_eq!(error, OpenError::Header(HeaderError::Armoured));
}

#[test]
fn any_flipped_byte_is_noticed() {
    let me = [Identity::generate()];
    let file = sealed(&[b'v'; 300], &context("a/B", 1), &me);
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        assert!(open(&flipped, &context("a/B", 1), &prints(&me), &me[0]).is_err(), "byte {at}");
    }
    for cut in 0..file.len() {
        assert!(open(&file[..cut], &context("a/B", 1), &prints(&me), &me[0]).is_err(), "cut at {cut}");
    }
    let longer = [file.as_slice(), b"x"].concat();
    assert_eq!(open(&longer, &context("a/B", 1), &prints(&me), &me[0]).unwrap_err(), OpenError::Tampered);
}

/// A header of the given stanza lines, well-formed as far as they are, with a MAC that nothing checks before the scan.
fn header(stanzas: &str) -> Vec<u8> {
    format!("age-encryption.org/v1\n{stanzas}--- {}\n{}", "A".repeat(43), "x".repeat(64)).into_bytes()
}

#[test]
fn the_scan_refuses_each_kind_of_wrong_header() {
    let ctx = format!("-> vsecure/ctx-v1 {}\n\n", context("a/B", 1).argument());
    let x25519 = format!("-> X25519 {0}\n{0}\n", "A".repeat(43));
    let holder = [Fingerprint::over(b"x")];
    let check = |stanzas: &str, expected: HeaderError| {
        assert_eq!(scan(&header(stanzas), &holder), Err(expected), "{stanzas}");
    };
    assert!(scan(&header(&format!("{ctx}{x25519}")), &holder).is_ok());
    assert!(scan(&header(&format!("{ctx}{x25519}-> a-grease b\nAA\n")), &holder).is_ok());
    check(&x25519, HeaderError::NoContext);
    check("", HeaderError::NoContext);
    check(&format!("{ctx}{ctx}{x25519}"), HeaderError::BadContext);
    check(&format!("{x25519}{ctx}"), HeaderError::BadContext);
    check(&format!("-> vsecure/ctx-v1 AAAA\n\n{x25519}"), HeaderError::BadContext);
    // What says the right place in another stanza, and leaves the context to say something else.
    check(&format!("-> X25519 {}\n\n{ctx}", context("a/B", 1).argument()), HeaderError::BadContext);
    let long_mac = format!("age-encryption.org/v1\n{ctx}{x25519}--- {}\n", "A".repeat(44));
    assert_eq!(scan(long_mac.as_bytes(), &holder), Err(HeaderError::Malformed));
    let loose_mac = format!("age-encryption.org/v1\n{ctx}{x25519}--- {}B\n", "A".repeat(42));
    assert_eq!(scan(loose_mac.as_bytes(), &holder), Err(HeaderError::Malformed));
    check(&format!("-> vsecure/ctx-v1 {}\nAA\n{x25519}", "A".repeat(43)), HeaderError::BadContext);
    check(&ctx, HeaderError::OtherRecipients);
    check(&format!("{ctx}{x25519}{x25519}"), HeaderError::OtherRecipients);
    check(&format!("{ctx}-> scrypt AAAA 18\n{}\n", "A".repeat(43)), HeaderError::ForbiddenStanza);
    check(&format!("-> scrypt AAAA 18\n{}\n", "A".repeat(43)), HeaderError::ForbiddenStanza);
    check(&format!("{ctx}-> ssh-rsa AAAA\nAA\n"), HeaderError::ForbiddenStanza);
    check(&format!("{ctx}-> ssh-ed25519 AAAAAA {0}\n{0}\n", "A".repeat(43)), HeaderError::OtherRecipients);
    let short = "A".repeat(42);
    check(&format!("{ctx}-> X25519 {short}\n{short}\n"), HeaderError::ForbiddenStanza);
    let tag = holder[0].to_string()[7..12].to_owned();
    let ssh = |tag: &str, body: &str| format!("{ctx}-> ssh-ed25519 {tag} {}\n{body}\n", "A".repeat(43));
    assert!(scan(&header(&ssh(&format!("{tag}A"), &"A".repeat(43))), &holder).is_ok());
    check(&ssh(&format!("{tag}A"), &short), HeaderError::ForbiddenStanza);
    check(&ssh(&format!("{tag}AA"), &"A".repeat(43)), HeaderError::OtherRecipients);
    check(&format!("{ctx}{x25519}-> unknown\n\n"), HeaderError::ForbiddenStanza);
    check(&format!("{ctx}{x25519}-> a-grease\n\n-> b-grease\n\n"), HeaderError::ForbiddenStanza);
    let long = format!("{}\n", "A".repeat(64)).repeat(12);
    check(&format!("{ctx}{x25519}-> a-grease\n{long}\n"), HeaderError::ForbiddenStanza);
    check(&format!("{ctx}{x25519}junk\n"), HeaderError::Malformed);
    check(&format!("{ctx}->  X25519\n\n"), HeaderError::Malformed);
    check(&format!("{ctx}{}", x25519.replace("A\n", "B\n")), HeaderError::Malformed);
    check(&format!("{ctx}-> a-grease\nAAAAA\n{x25519}"), HeaderError::Malformed);
    check(&format!("{ctx}-> X25519 {}\n{}\n", "A".repeat(43), "A".repeat(65)), HeaderError::Malformed);
    assert_eq!(scan(b"hello", &holder), Err(HeaderError::NotAge));
    assert_eq!(scan(b"age-encryption.org/v1\n-> X", &holder), Err(HeaderError::Truncated));
    assert_eq!(scan(b"age-encry", &holder), Err(HeaderError::Truncated));
}

#[test]
fn large_hostile_headers_are_refused_at_once() {
    let x25519 = format!("-> X25519 {0}\n{0}\n", "A".repeat(43));
    let start = Instant::now();
    assert_eq!(scan(&header(&x25519.repeat(1_000)), &[]), Err(HeaderError::TooManyStanzas));
    assert_eq!(scan(&header(&"-> x\n\n".repeat(100_000)), &[]), Err(HeaderError::TooManyStanzas));
    let endless = format!("-> X25519 {}", "A".repeat(2_000_000));
    assert_eq!(scan(&header(&endless), &[]), Err(HeaderError::TooLarge));
    let body = format!("-> X25519 a\n{}", format!("{}\n", "A".repeat(64)).repeat(100_000));
    assert_eq!(scan(&header(&body), &[]), Err(HeaderError::TooLarge));
    // What somebody may adopt is held to the same.
    let context = format!("-> vsecure/ctx-v1 a\n{}\n{x25519}", format!("{}\n", "A".repeat(64)).repeat(900));
    assert_eq!(scan_foreign(&header(&context)), Err(HeaderError::BadContext));
    assert_eq!(scan_foreign(&header(&format!("-> vsecure/ctx-v1 a\n\n{x25519}"))), Ok(()));
    assert!(start.elapsed() < Duration::from_secs(1), "quadratic again?");
}

#[test]
fn the_context_is_the_hash_that_the_format_page_says() {
    // Made with printf, sha256sum and base64.
    let place = Context::new(
        &StoreId::of_first_epoch(b"abc"),
        &"production/API_KEY".parse().unwrap(),
        Version::new(4).unwrap(),
    );
    assert_eq!(place.argument(), "RN9+51KRp0JFgPmGJp++0UW+agUVtIIkVZLKFD9NdbI");
}

#[test]
fn a_damaged_stanza_of_somebody_else_locks_nobody_out() {
    let all = [Identity::generate(), Identity::generate()];
    let file = sealed(b"value", &context("a/B", 1), &all);
    // An ephemeral share of low order makes age report an error for that stanza; the MAC then fails, but only after ours was found.
    let text = String::from_utf8_lossy(&file).into_owned();
    let share = text.split("-> X25519 ").nth(1).unwrap()[..43].to_owned();
    let at = file.windows(43).position(|window| window == share.as_bytes()).unwrap();
    let mut damaged = file;
    damaged[at..at + 43].copy_from_slice("A".repeat(43).as_bytes());
    let error = open(&damaged, &context("a/B", 1), &prints(&all), &all[1]).unwrap_err();
    assert_eq!(error, OpenError::Tampered);
}

#[test]
fn recipients_of_low_order_are_refused() {
    // The points u = 0, 1, p-1, p, p+1 and the two of order 8, as a join request might offer them.
    for text in [
        "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
        "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
        "age1anlllllllllllllllllllllllllllllllllllllllllllllllals4n2t7m",
        "age1ahlllllllllllllllllllllllllllllllllllllllllllllllalsn46ayy",
        "age1amlllllllllllllllllllllllllllllllllllllllllllllllalselrwrv",
        "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz9ts6wm9s8",
        "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
    ] {
        let raw: age::x25519::Recipient = text.parse().expect("well-formed for age");
        let wrapped = std::panic::catch_unwind(|| age::encrypt(&raw, b"x"));
        assert!(wrapped.is_err(), "age came to terms with {text}: is the check needed still?");
        assert_eq!(text.parse::<Recipient>(), Err(KeyError::Malformed), "{text}");
    }
}

#[test]
fn nothing_is_sealed_to_nobody_or_to_somebody_twice() {
    let me = Identity::generate();
    assert_eq!(seal(&secret("v"), &context("a/B", 1), &[]), Err(SealError::NoRecipients));
    let twice = [me.recipient().clone(), me.recipient().clone()];
    assert_eq!(seal(&secret("v"), &context("a/B", 1), &twice), Err(SealError::DuplicateRecipient));
}

#[test]
fn ssh_keygen_accepts_our_signature_by_the_line_of_the_format_page() {
    let folder = tempfile::tempdir().unwrap();
    let me = Identity::generate();
    let document = sign_document(b"vsecure: secret/1\nx: 1\n", Namespace::Secret, &me).unwrap();
    fs::write(folder.path().join("F"), &document).unwrap();
    fs::write(folder.path().join("allowed"), format!("alice {}\n", me.verifying_key())).unwrap();
    let script = r"cd $0 && sed '1,/^signature: |$/d; s/^  //' F > F.sig &&
        sed '/^signature: |$/,$d' F | ssh-keygen -Y verify -f allowed -I alice -n vsecure-secret-v1 -s F.sig";
    let (ok, _, error) = run("bash", &["-c", script, folder.path().to_str().unwrap()], b"");
    assert!(ok, "{error}");
}

#[test]
fn a_signature_of_ssh_keygen_is_accepted_in_canonical_form() {
    let folder = tempfile::tempdir().unwrap();
    let (path, public) = ssh_identity(folder.path(), "id", "");
    let body = b"vsecure: secret/1\n";
    let arguments = ["-Y", "sign", "-q", "-f", path.to_str().unwrap(), "-n", "vsecure-secret-v1"];
    let (ok, armour, error) = run("ssh-keygen", &arguments, body);
    assert!(ok, "{error}");
    let indented: String = String::from_utf8(armour).unwrap().lines().map(|line| format!("  {line}\n")).collect();
    let document = [body.as_slice(), b"signature: |\n", indented.as_bytes()].concat();
    let verified = verify_document(&document, Namespace::Secret).unwrap();
    assert_eq!(verified.signer().to_string(), public);
    assert_eq!(verified.body(), body);
}

#[test]
fn verification_tells_apart_how_a_document_is_wrong() {
    use SignedDocumentError as E;
    let me = Identity::generate();
    let body = b"vsecure: secret/1\nx: 1\n";
    let good = String::from_utf8(sign_document(body, Namespace::Secret, &me).unwrap()).unwrap();
    let check = |text: &str, expected: E| {
        assert_eq!(verify_document(text.as_bytes(), Namespace::Secret).unwrap_err(), expected, "{text}");
    };
    assert_eq!(verify_document(good.as_bytes(), Namespace::Secret).unwrap().signer(), me.verifying_key());
    check("vsecure: secret/1\nx: 1\n", E::Unsigned);
    check(&good.replace("x: 1", "x: 2"), E::BadSignature);
    check(&good.replace("x: 1\n", "x: 1\nsignature: |\n"), E::SeveralSignatures);
    check(&good.replace('\n', "\r\n"), E::LineEndings);
    check(&format!("{good}\n"), E::Trailer(SignatureError::NotCanonical));
    check(&format!("{good}  x\n"), E::Trailer(SignatureError::NotCanonical));
    check(&good.replace("  -----BEGIN", "   -----BEGIN"), E::Trailer(SignatureError::NotCanonical));
    check(good.trim_end(), E::Trailer(SignatureError::NotCanonical));
    let lines: Vec<&str> = good.lines().collect();
    let rewrapped = lines.iter().map(|line| {
        if line.len() == 72 { format!("{}\n  {}\n", &line[..40], &line[40..]) } else { format!("{line}\n") }
    });
    check(&rewrapped.collect::<String>(), E::Trailer(SignatureError::NotCanonical));
    check("x: 1\nsignature: |\n", E::Trailer(SignatureError::Malformed));
    check("x: 1\nsignature: |\n  hello\n", E::Trailer(SignatureError::Malformed));
    let wrong = verify_document(good.as_bytes(), Namespace::Policy).unwrap_err();
    assert_eq!(wrong, E::Trailer(SignatureError::WrongNamespace));
    for unsignable in ["x", "x\nsignature: |\n", "x\r\n"] {
        assert_eq!(sign_document(unsignable.as_bytes(), Namespace::Secret, &me), Err(E::UnsignableBody));
    }
}

#[test]
fn signatures_of_other_key_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["rsa", "ecdsa"] {
        let path = folder.path().join(kind);
        let (ok, ..) = run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", path.to_str().unwrap()], b"");
        assert!(ok);
        let arguments = ["-Y", "sign", "-q", "-f", path.to_str().unwrap(), "-n", "vsecure-secret-v1"];
        let (_, armour, _) = run("ssh-keygen", &arguments, b"x: 1\n");
        let indented: String = String::from_utf8(armour).unwrap().lines().map(|line| format!("  {line}\n")).collect();
        let document = format!("x: 1\nsignature: |\n{indented}");
        let error = verify_document(document.as_bytes(), Namespace::Secret).unwrap_err();
        assert_eq!(error, SignedDocumentError::Trailer(SignatureError::UnsupportedKey), "{kind}");
        let private = SecretBytes::new(fs::read(&path).unwrap());
        assert!(matches!(parse_identities(&private, "k", &mut NoPassphrase), Err(IdentityError::UnsupportedSshKey)));
        let public = fs::read_to_string(path.with_extension("pub")).unwrap();
        assert_eq!(public.trim().parse::<Recipient>(), Err(KeyError::UnsupportedSshKey));
    }
}

#[test]
fn an_age_identity_always_gives_the_same_signing_key() {
    let line = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let one = parse_identities(&secret(line), "x", &mut NoPassphrase).unwrap().remove(0);
    let lower = parse_identities(&secret(&line.to_lowercase()), "x", &mut NoPassphrase).unwrap().remove(0);
    assert_eq!(one.verifying_key(), lower.verifying_key());
    assert_eq!(one.recipient().to_string(), "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    insta::assert_snapshot!(one.verifying_key().to_string());
}

#[test]
fn identity_files_of_age_keygen_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.txt");
    let (ok, _, error) = run("age-keygen", &["-o", path.to_str().unwrap()], b"");
    assert!(ok && error.contains("age1"), "{error}");
    let (bytes, warning) = read_identity_file(&path).unwrap();
    assert_eq!(warning, None);
    let identities = parse_identities(&bytes, "key.txt", &mut NoPassphrase).unwrap();
    assert!(error.contains(&identities[0].recipient().to_string()), "{error}");
    let with_cr = SecretBytes::new(String::from_utf8(bytes.as_bytes().to_vec()).unwrap().replace('\n', "\r\n").into());
    assert_eq!(parse_identities(&with_cr, "x", &mut NoPassphrase).unwrap().len(), 1);
}

#[test]
fn a_passphrase_encrypted_identity_file_is_read() {
    let me = Identity::generate();
    let line = me.to_secret_line().unwrap();
    let mut recipient = age::scrypt::Recipient::new(age::secrecy::SecretString::from("tr0ub4dor".to_owned()));
    recipient.set_work_factor(8);
    let file = age::encrypt(&recipient, line.as_bytes()).unwrap();
    let armoured = age::encrypt_and_armor(&recipient, line.as_bytes()).unwrap();
    for bytes in [file, armoured.into_bytes()] {
        let bytes = SecretBytes::new(bytes);
        let read = parse_identities(&bytes, "x", &mut Typed("tr0ub4dor")).unwrap();
        assert_eq!(read[0].recipient(), me.recipient());
        assert!(matches!(parse_identities(&bytes, "x", &mut Typed("no")), Err(IdentityError::WrongPassphrase)));
    }
    recipient.set_work_factor(21);
    let error = HeaderOnly::scrypt_of_work(21);
    assert!(matches!(parse_identities(&error, "x", &mut Typed("no")), Err(IdentityError::ExcessiveWork)));
}

/// An age file that asks for more work than anyone should do: only its header has to be right.
struct HeaderOnly;

impl HeaderOnly {
    fn scrypt_of_work(factor: u8) -> SecretBytes {
        let salt = "A".repeat(22);
        SecretBytes::new(header(&format!("-> scrypt {salt} {factor}\n{}\n", "A".repeat(43))))
    }
}

#[test]
fn texts_that_are_no_identities_are_refused_without_being_repeated() {
    let check = |text: &str| {
        let error = parse_identities(&secret(text), "x", &mut NoPassphrase).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        error
    };
    assert!(matches!(check(""), IdentityError::Empty));
    assert!(matches!(check("# only a comment hunter2\n\n"), IdentityError::Empty));
    assert!(matches!(check("# c\nhunter2"), IdentityError::Malformed { line: 2 }));
    assert!(matches!(check("AGE-SECRET-KEY-1HUNTER2hunter2"), IdentityError::Damaged));
    assert!(matches!(check("AGE-PLUGIN-YUBIKEY-1hunter2"), IdentityError::Plugin));
    assert!(matches!(check("AGE-SECRET-KEY-PQ-1hunter2"), IdentityError::PostQuantum));
    assert!(matches!(check("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"), IdentityError::Damaged));
}

#[test]
fn recipients_of_other_kinds_are_refused() {
    for (text, error) in [
        ("", KeyError::Malformed),
        ("hello", KeyError::Malformed),
        ("age1qqqq", KeyError::Malformed),
        ("AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ", KeyError::Malformed),
        ("age1yubikey1qwertyuiop", KeyError::UnsupportedRecipient),
        ("ssh-ed25519", KeyError::Malformed),
        ("ssh-ed25519 AAAA", KeyError::Malformed),
        ("ssh-dss AAAA", KeyError::UnsupportedSshKey),
    ] {
        assert_eq!(text.parse::<Recipient>(), Err(error), "{text}");
    }
    let zero = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}", "A".repeat(43));
    assert_eq!(zero.parse::<VerifyingKey>(), Err(KeyError::Malformed), "a point of small order");
}

#[test]
fn an_identity_file_is_private_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/identity.txt");
    let (one, two) = (Identity::generate(), Identity::generate());
    let now = "2026-11-24".parse().unwrap();
    write_new_identity_file(&path, &one, now).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let before = fs::read(&path).unwrap();
    let refused = write_new_identity_file(&path, &two, now);
    assert!(matches!(refused, Err(IdentityFileError::AlreadyExists { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = read_identity_file(&path);
    assert!(matches!(refused, Err(IdentityFileError::OpenPermissions { mode: 0o640, .. })));
    let missing = read_identity_file(&folder.path().join("none"));
    assert!(matches!(missing, Err(IdentityFileError::NotFound { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_sealed_opens(value in prop::collection::vec(any::<u8>(), 0..200_000), readers in 1usize..21, version in 1u64..) {
        let all: Vec<Identity> = (0..readers).map(|_| Identity::generate()).collect();
        let place = context("production/A", version);
        let file = sealed(&value, &place, &all);
        let reader = &all[value.len() % readers];
        let opened = open(&file, &place, &prints(&all), reader).unwrap();
        prop_assert_eq!(opened.as_bytes(), value.as_slice());
    }

    #[test]
    fn no_bytes_make_scan_or_verification_panic(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = scan(&noise, &[]);
        let _ = scan(&[b"age-encryption.org/v1\n".as_slice(), &noise].concat(), &[]);
        let _ = verify_document(&noise, Namespace::Secret);
        let _ = verify_document(&[b"x\nsignature: |\n".as_slice(), &noise].concat(), Namespace::Secret);
    }
}
