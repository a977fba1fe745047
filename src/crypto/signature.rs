//! SSHSIG signatures (OpenSSH's PROTOCOL.sshsig): Ed25519, sha512, in canonical armour.

use std::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use sha2::{Digest as _, Sha512};

use super::keys::{VerifyingKey, ed25519_blob, put_string, take_string};

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: [u8; 4] = 1u32.to_be_bytes();
const HASH: &[u8] = b"sha512";
const KEY_TYPE: &[u8] = b"ssh-ed25519";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";
const COLUMNS: usize = 70;

/// What a signature is for; one kind never stands for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// A sidecar.
    Secret,
    /// A policy epoch.
    Policy,
    /// A grant.
    Grant,
    /// A request to join or to change keys.
    Request,
    /// The head of a published access log.
    Audit,
}

impl Namespace {
    /// The namespace's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "vsecure-secret-v1",
            Self::Policy => "vsecure-policy-v1",
            Self::Grant => "vsecure-grant-v1",
            Self::Request => "vsecure-request-v1",
            Self::Audit => "vsecure-audit-v1",
        }
    }
}

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum SignatureError {
    /// Not an SSH signature in its armour.
    #[error("this is not an SSH signature")]
    Malformed,
    /// A signature, but not in the one spelling that documents use.
    #[error("the signature was re-wrapped, padded or followed by something")]
    NotCanonical,
    /// By a key that is not Ed25519.
    #[error("the signature's key is not of the type ssh-ed25519")]
    UnsupportedKey,
    /// With another hash than sha512.
    #[error("the signature's hash is not sha512")]
    UnsupportedHash,
    /// For something else.
    #[error("the signature was made for something else")]
    WrongNamespace,
    /// It doesn't fit the text.
    #[error("the signature does not fit the text")]
    Bad,
}

fn signed_data(message: &[u8], namespace: Namespace) -> Vec<u8> {
    let mut data = MAGIC.to_vec();
    put_string(&mut data, namespace.as_str().as_bytes());
    put_string(&mut data, b"");
    put_string(&mut data, HASH);
    put_string(&mut data, &Sha512::digest(message));
    data
}

fn encode(key: &VerifyingKey, namespace: &[u8], signature: &[u8]) -> String {
    let mut inner = Vec::new();
    put_string(&mut inner, KEY_TYPE);
    put_string(&mut inner, signature);
    let mut blob = MAGIC.to_vec();
    blob.extend_from_slice(&VERSION);
    put_string(&mut blob, &ed25519_blob(key.as_bytes()));
    put_string(&mut blob, namespace);
    put_string(&mut blob, b"");
    put_string(&mut blob, HASH);
    put_string(&mut blob, &inner);
    let mut text = BEGIN.to_owned();
    let encoded = STANDARD.encode(blob);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(END);
    text
}

/// Signs `message`: the armoured signature, LF at its end.
pub(super) fn sign(message: &[u8], namespace: Namespace, key: &SigningKey) -> String {
    let signature = key.sign(&signed_data(message, namespace));
    encode(
        &VerifyingKey::from_bytes(key.verifying_key().to_bytes()),
        namespace.as_str().as_bytes(),
        &signature.to_bytes(),
    )
}

/// A signature taken apart, not verified yet.
struct Parts<'a> {
    key: VerifyingKey,
    namespace: &'a [u8],
    signature: [u8; 64],
}

fn take_apart(blob: &[u8]) -> Result<Parts<'_>, SignatureError> {
    let mut rest =
        blob.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&VERSION)).ok_or(SignatureError::Malformed)?;
    let mut next = || take_string(&mut rest).ok_or(SignatureError::Malformed);
    let (mut key, namespace, reserved, hash, mut inner) = (next()?, next()?, next()?, next()?, next()?);
    if !reserved.is_empty() || !rest.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let key_type = take_string(&mut key).ok_or(SignatureError::Malformed)?;
    let signature_type = take_string(&mut inner).ok_or(SignatureError::Malformed)?;
    if key_type != KEY_TYPE || signature_type != KEY_TYPE {
        return Err(SignatureError::UnsupportedKey);
    }
    if hash != HASH {
        return Err(SignatureError::UnsupportedHash);
    }
    let point = take_string(&mut key).and_then(|bytes| bytes.try_into().ok()).ok_or(SignatureError::Malformed)?;
    let signature = take_string(&mut inner).and_then(|bytes| bytes.try_into().ok()).ok_or(SignatureError::Malformed)?;
    if !key.is_empty() || !inner.is_empty() {
        return Err(SignatureError::Malformed);
    }
    Ok(Parts { key: VerifyingKey::from_bytes(point), namespace, signature })
}

thread_local! {
    /// The key that was last asked for. Most of a store's documents in a row are by the same member.
    static LAST: Cell<Option<ed25519_dalek::VerifyingKey>> = const { Cell::new(None) };
}

/// The point that a key stands for, which takes a tenth of a verification to compute.
fn point_of(key: &VerifyingKey) -> Option<ed25519_dalek::VerifyingKey> {
    let last = LAST.get().filter(|last| last.as_bytes() == key.as_bytes());
    let point = last.or_else(|| ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).ok());
    LAST.set(point);
    point
}

/// Verifies the armoured signature `armour` over `message`, strictly, and names the key.
pub(super) fn verify(message: &[u8], namespace: Namespace, armour: &str) -> Result<VerifyingKey, SignatureError> {
    let Some(inside) = armour.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)) else {
        let framed = [BEGIN, END].iter().all(|line| armour.contains(line.trim_end()));
        return Err(if framed { SignatureError::NotCanonical } else { SignatureError::Malformed });
    };
    let encoded: String = inside.split_ascii_whitespace().collect();
    let blob = STANDARD.decode(encoded).map_err(|_| SignatureError::Malformed)?;
    let parts = take_apart(&blob)?;
    if encode(&parts.key, parts.namespace, &parts.signature) != armour {
        return Err(SignatureError::NotCanonical);
    }
    if parts.namespace != namespace.as_str().as_bytes() {
        return Err(SignatureError::WrongNamespace);
    }
    let key = point_of(&parts.key).ok_or(SignatureError::Bad)?;
    let signature = Signature::from_bytes(&parts.signature);
    key.verify_strict(&signed_data(message, namespace), &signature).map_err(|_| SignatureError::Bad)?;
    Ok(parts.key)
}
