//! age files written from the specification (age-encryption.org/v1) with fixed keys, so that they come out the same every time, and so that
//! files can be made that no age program would write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

pub const FILE_KEY: [u8; 16] = *b"a fixed test key";
pub const CHUNK: usize = 64 * 1024;
const NONCE: [u8; 16] = *b"and its own salt";

fn expand(salt: &[u8], key: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(info, &mut out).unwrap();
    out
}

fn encrypt(key: &[u8; 32], nonce: [u8; 12], plain: &[u8]) -> Vec<u8> {
    ChaCha20Poly1305::new(Key::from_slice(key)).encrypt(Nonce::from_slice(&nonce), plain).unwrap()
}

/// The lines of a stanza, its body wrapped as age does.
pub fn stanza(words: &str, body: &[u8]) -> String {
    let encoded = STANDARD_NO_PAD.encode(body);
    let mut lines: Vec<&str> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    if lines.last().is_none_or(|line| line.len() == 64) {
        lines.push("");
    }
    format!("-> {words}\n{}\n", lines.join("\n"))
}

/// The stanza for an X25519 reader; `ephemeral` numbers it within its file.
pub fn x25519_stanza(recipient: &[u8; 32], ephemeral: u8, file_key: &[u8]) -> String {
    let secret = [ephemeral; 32];
    let share = x25519(secret, X25519_BASEPOINT_BYTES);
    let shared = x25519(secret, *recipient);
    let key = expand(&[share, *recipient].concat(), &shared, b"age-encryption.org/v1/X25519");
    stanza(&format!("X25519 {}", STANDARD_NO_PAD.encode(share)), &encrypt(&key, [0; 12], file_key))
}

/// The argument of the context stanza, as docs/format.md defines it.
pub fn context_argument(store: &str, path: &str, version: u64) -> String {
    let id: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&store[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut hash = Sha256::new_with_prefix(b"vsecure-ctx-v1\0");
    for part in [id.as_slice(), path.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(version.to_be_bytes());
    STANDARD_NO_PAD.encode(hash.finalize())
}

pub fn context_stanza(store: &str, path: &str, version: u64) -> String {
    stanza(&format!("vsecure/ctx-v1 {}", context_argument(store, path, version)), b"")
}

/// The header of these stanzas, with the MAC that somebody who has the file key can make.
pub fn header(stanzas: &[String], file_key: &[u8]) -> Vec<u8> {
    let text = format!("age-encryption.org/v1\n{}---", stanzas.concat());
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&expand(b"", file_key, b"header")).unwrap();
    mac.update(text.as_bytes());
    format!("{text} {}\n", STANDARD_NO_PAD.encode(mac.finalize().into_bytes())).into_bytes()
}

/// One chunk of the payload: its number, whether it says that it is the last, and what it holds.
pub type Chunk<'a> = (u8, bool, &'a [u8]);

/// The payload of these chunks, whatever they are.
pub fn payload_of(chunks: &[Chunk<'_>], file_key: &[u8]) -> Vec<u8> {
    let key = expand(&NONCE, file_key, b"payload");
    let mut out = NONCE.to_vec();
    for (number, last, plain) in chunks {
        let mut nonce = [0; 12];
        (nonce[10], nonce[11]) = (*number, u8::from(*last));
        out.extend(encrypt(&key, nonce, plain));
    }
    out
}

/// The payload of `value`, as age writes it.
pub fn payload(value: &[u8], file_key: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = value.chunks(CHUNK).collect();
    if parts.is_empty() {
        parts.push(b"");
    }
    let last = parts.len() - 1;
    let chunks: Vec<Chunk<'_>> =
        parts.into_iter().enumerate().map(|(at, part)| (u8::try_from(at).unwrap(), at == last, part)).collect();
    payload_of(&chunks, file_key)
}
