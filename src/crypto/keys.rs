//! Public keys: age recipients and signing keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::frequent::Frequent;
use crate::model::Fingerprint;

const SSH_ED25519: &str = "ssh-ed25519";

/// Why a text is no public key that a store can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither `age1…` nor `ssh-ed25519 …`, or damaged.
    #[error("not a public key: `age1…` or `ssh-ed25519 …` is needed")]
    Malformed,
    /// An ssh key of a type other than Ed25519.
    #[error("of ssh keys, only ssh-ed25519 can be used")]
    UnsupportedSshKey,
    /// A recipient of a plugin or of a post-quantum kind.
    #[error("plugin and post-quantum recipients are not supported yet")]
    UnsupportedRecipient,
}

/// The wire encoding of an Ed25519 key: `string "ssh-ed25519"`, `string key` (RFC 8709).
pub(super) fn ed25519_blob(key: &[u8; 32]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(51);
    put_string(&mut blob, SSH_ED25519.as_bytes());
    put_string(&mut blob, key);
    blob
}

/// Appends `bytes` as ssh's `string` (RFC 4251, section 5).
pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing that is encoded here comes near 4 GiB.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Takes ssh's `string` from the front of `input`.
pub(super) fn take_string<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *input = rest;
    Some(bytes)
}

fn parse_ssh_ed25519(text: &str) -> Result<[u8; 32], KeyError> {
    let mut words = text.split(' ');
    match words.next() {
        Some(SSH_ED25519) => {}
        Some(other) if other.starts_with("ssh-") || other.starts_with("ecdsa-") || other.starts_with("sk-") => {
            return Err(KeyError::UnsupportedSshKey);
        }
        _ => return Err(KeyError::Malformed),
    }
    let (Some(encoded), None) = (words.next(), words.next()) else { return Err(KeyError::Malformed) };
    let blob = STANDARD.decode(encoded).map_err(|_| KeyError::Malformed)?;
    let mut rest = blob.as_slice();
    let kind = take_string(&mut rest).ok_or(KeyError::Malformed)?;
    let key = take_string(&mut rest).ok_or(KeyError::Malformed)?;
    if kind != SSH_ED25519.as_bytes() || !rest.is_empty() {
        return Err(KeyError::Malformed);
    }
    key.try_into().map_err(|_| KeyError::Malformed)
}

/// The two points of order 8 on Curve25519 (u-coordinates, little-endian); the other points of low order are 0, 1, p-1, p and p+1.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
];

/// Whether an age recipient is a point with which every key agreement gives the same, known key. The age library would panic.
fn is_low_order(text: &str) -> bool {
    let Some(mut point) = age_point(text) else { return true };
    // X25519 ignores the top bit.
    if let Some(last) = point.last_mut() {
        *last &= 0x7f;
    }
    let [first, middle @ .., last] = &point;
    let zero_or_one = *first <= 1 && *last == 0 && middle.iter().all(|byte| *byte == 0);
    let about_p = (0xec..=0xee).contains(first) && *last == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    zero_or_one || about_p || ORDER_8.contains(&point)
}

/// The bytes of an `age1…`.
pub(super) fn age_point(text: &str) -> Option<[u8; 32]> {
    let bytes =
        age_core::primitives::bech32_decode(text, |_| (), |_| Ok(()), |_, bytes| Ok(bytes.collect::<Vec<u8>>()));
    bytes.ok().and_then(|bytes| bytes.try_into().ok())
}

fn ssh_text(key: &[u8; 32]) -> String {
    format!("{SSH_ED25519} {}", STANDARD.encode(ed25519_blob(key)))
}

/// A key that values can be encrypted to: age X25519 (`age1…`), or `ssh-ed25519 AAAA…` without comment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient(Kind);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Age(String),
    Ssh([u8; 32]),
}

impl Recipient {
    pub(super) fn of_age(recipient: &age::x25519::Recipient) -> Self {
        Self(Kind::Age(recipient.to_string()))
    }

    pub(super) const fn of_ssh(key: [u8; 32]) -> Self {
        Self(Kind::Ssh(key))
    }

    /// Its fingerprint: over the text of an age recipient, over the wire encoding of an ssh key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match &self.0 {
            Kind::Age(text) => Fingerprint::over(text.as_bytes()),
            Kind::Ssh(key) => Fingerprint::over(&ed25519_blob(key)),
        }
    }

    /// The same, ready for very many values; none where that would not help.
    pub(super) fn to_frequent(&self) -> Option<Frequent> {
        match &self.0 {
            Kind::Age(text) => Frequent::new(age_point(text)?),
            Kind::Ssh(_) => None,
        }
    }

    /// The same for the age crate.
    pub(super) fn to_age(&self) -> Option<Box<dyn age::Recipient>> {
        match &self.0 {
            Kind::Age(text) => text.parse::<age::x25519::Recipient>().ok().map(|it| Box::new(it) as _),
            Kind::Ssh(key) => ssh_text(key).parse::<age::ssh::Recipient>().ok().map(|it| Box::new(it) as _),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Age(text) => f.write_str(text),
            Kind::Ssh(key) => f.write_str(&ssh_text(key)),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("age1") {
            let key = parse_ssh_ed25519(text)?;
            let recipient = Self(Kind::Ssh(key));
            // The age crate refuses points that its key agreement can't use.
            return if recipient.to_age().is_some() { Ok(recipient) } else { Err(KeyError::Malformed) };
        }
        match text.parse::<age::x25519::Recipient>() {
            Ok(recipient) if recipient.to_string() == text && !is_low_order(text) => Ok(Self::of_age(&recipient)),
            Ok(_) => Err(KeyError::Malformed),
            Err(_) if text.len() > 62 || text.get(4..).is_some_and(|rest| rest.contains('1')) => {
                Err(KeyError::UnsupportedRecipient)
            }
            Err(_) => Err(KeyError::Malformed),
        }
    }
}

/// A public signing key (Ed25519), written `ssh-ed25519 AAAA…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    pub(super) const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its fingerprint, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::over(&ed25519_blob(&self.0))
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ssh_text(&self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = parse_ssh_ed25519(text)?;
        // A key of small order would verify signatures that nobody made.
        match ed25519_dalek::VerifyingKey::from_bytes(&key) {
            Ok(point) if !point.is_weak() => Ok(Self(key)),
            _ => Err(KeyError::Malformed),
        }
    }
}
