//! Test keys, and SSH signatures written from PROTOCOL.sshsig: also such as no ssh-keygen would make.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256, Sha512};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::folder;

/// A member's keys, from a file in `fixtures/vectors/keys`.
pub struct Person {
    pub name: &'static str,
    pub recipient: String,
    /// The point that `recipient` spells.
    pub point: [u8; 32],
    pub signing: SigningKey,
}

impl Person {
    pub fn load(name: &'static str) -> Self {
        let text = fs::read_to_string(Self::file(name)).unwrap();
        let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        let secret = age_core::primitives::bech32_decode(line, |_| (), |_| Ok(()), |_, it| Ok(it.collect::<Vec<u8>>()));
        let mut seed = [0; 32];
        Hkdf::<Sha256>::new(None, line.as_bytes()).expand(b"vsecure/v1/sign/ed25519", &mut seed).unwrap();
        Self {
            name,
            recipient: recipient.to_owned(),
            point: x25519(secret.unwrap().try_into().unwrap(), X25519_BASEPOINT_BYTES),
            signing: SigningKey::from_bytes(&seed),
        }
    }

    pub fn file(name: &str) -> PathBuf {
        folder().join("keys").join(format!("{name}.txt"))
    }

    /// The fingerprint of the age recipient.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.recipient)))
    }

    /// The hash of the signing key in ssh's wire encoding, in hexadecimal.
    pub fn key_hex(&self) -> String {
        Sha256::digest(self.key_wire()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The fingerprint of the signing key, as `ssh-keygen -l` shows it.
    pub fn key_fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.key_wire())))
    }

    fn key_wire(&self) -> Vec<u8> {
        key_blob("ssh-ed25519", self.signing.verifying_key().as_bytes())
    }

    /// The signing key, as a policy writes it.
    pub fn verifying_key(&self) -> String {
        ssh_key(self.signing.verifying_key().as_bytes())
    }
}

pub fn ssh_key(point: &[u8]) -> String {
    format!("ssh-ed25519 {}", STANDARD.encode(key_blob("ssh-ed25519", point)))
}

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&u32::try_from(part.len()).unwrap().to_be_bytes(), *part].concat()).collect()
}

fn key_blob(kind: &str, point: &[u8]) -> Vec<u8> {
    strings(&[kind.as_bytes(), point])
}

/// What a signature says of itself; [`Signature::of`] is the right one.
pub struct Signature<'a> {
    pub namespace: &'a str,
    pub hash: &'a str,
    pub reserved: &'a [u8],
    pub version: u32,
    pub kind: &'a str,
    /// Changes the 64 bytes after they were made.
    pub bend: fn(&mut [u8; 64]),
    /// Stands for the signer's key when given.
    pub point: Option<[u8; 32]>,
}

impl Default for Signature<'_> {
    fn default() -> Self {
        Self {
            namespace: "vsecure-secret-v1",
            hash: "sha512",
            reserved: b"",
            version: 1,
            kind: "ssh-ed25519",
            bend: |_| {},
            point: None,
        }
    }
}

impl Signature<'_> {
    /// The armoured signature of `body` by `person`.
    pub fn of(&self, body: &[u8], person: &Person) -> String {
        let digest = if self.hash == "sha256" { Sha256::digest(body).to_vec() } else { Sha512::digest(body).to_vec() };
        let signed = strings(&[self.namespace.as_bytes(), self.reserved, self.hash.as_bytes(), &digest]);
        let mut signature = person.signing.sign(&[b"SSHSIG".as_slice(), &signed].concat()).to_bytes();
        (self.bend)(&mut signature);
        let point = self.point.unwrap_or(person.signing.verifying_key().to_bytes());
        let parts = strings(&[
            &key_blob(self.kind, &point),
            self.namespace.as_bytes(),
            self.reserved,
            self.hash.as_bytes(),
            &strings(&[self.kind.as_bytes(), &signature]),
        ]);
        armour(&[b"SSHSIG".as_slice(), &self.version.to_be_bytes(), &parts].concat())
    }
}

fn armour(blob: &[u8]) -> String {
    let encoded = STANDARD.encode(blob);
    let lines: String =
        encoded.as_bytes().chunks(70).map(|line| format!("{}\n", std::str::from_utf8(line).unwrap())).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n")
}

/// A body with a signature behind it.
pub fn document(body: &[u8], armour: &str) -> Vec<u8> {
    let indented: String = armour.lines().map(|line| format!("  {line}\n")).collect();
    [body, b"signature: |\n", indented.as_bytes()].concat()
}
