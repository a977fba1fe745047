//! SHA-256 digests, the store's id and key fingerprints.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Why a text is not a digest or a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not 64 lowercase hexadecimal digits.
    #[error("not a SHA-256 in hex: 64 lowercase hexadecimal digits are needed")]
    NotHex,
    /// Not `SHA256:` and 43 characters of unpadded base64.
    #[error("not a fingerprint: `SHA256:` and 43 characters of base64 are needed")]
    NotFingerprint,
}

/// What stands for a character that is no digit: all bits set, which nothing can take away again.
const NO_DIGIT: u8 = u8::MAX;

/// A SHA-256 digest; shown and parsed as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        self.0
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
            .try_for_each(|digit| f.write_char(char::from(digit)))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Without a branch for each digit, which no processor guesses right: lists hold thousands of them.
        let nibble = |c: u8| match (c.wrapping_sub(b'0'), c.wrapping_sub(b'a')) {
            (digit @ 0..10, _) => digit,
            (_, letter @ 0..6) => letter + 10,
            _ => NO_DIGIT,
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(DigestError::NotHex);
        }
        let mut bytes = [0; 32];
        let mut all = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (nibble(*high), nibble(*low));
            all |= high | low;
            *byte = high << 4 | low;
        }
        if all == NO_DIGIT { Err(DigestError::NotHex) } else { Ok(Self(bytes)) }
    }
}

/// A store's identity: the SHA-256 of the whole file of its first policy epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreId(Digest);

impl StoreId {
    /// The id of the store whose epoch 1 is the file `policy`.
    #[must_use]
    pub fn of_first_epoch(policy: &[u8]) -> Self {
        Self(Digest::of(policy))
    }

    /// The digest that the id is.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for StoreId {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StoreId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A public key's fingerprint: `SHA256:` and unpadded base64, as OpenSSH prints it.
///
/// Of an age recipient it is taken over the recipient's text; of an `ssh-ed25519` key over the key's wire encoding, so that
/// it is what `ssh-keygen -l` shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// The fingerprint over `bytes`: a recipient's text, or an ssh key's wire encoding.
    #[must_use]
    pub fn over(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes))
    }

    /// The digest that it is, for names that may hold neither `:` nor `/`.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for Fingerprint {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix("SHA256:").ok_or(DigestError::NotFingerprint)?;
        let bytes = STANDARD_NO_PAD.decode(encoded).map_err(|_| DigestError::NotFingerprint)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| DigestError::NotFingerprint)?;
        Ok(Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_round_trips_and_refuses_other_spellings() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in [digest.to_string().to_uppercase(), "ab".into(), format!("{digest}0"), format!("{digest}00")] {
            assert_eq!(wrong.parse::<Digest>(), Err(DigestError::NotHex));
        }
    }

    #[test]
    fn a_fingerprint_round_trips() {
        let print = Fingerprint::over(b"abc");
        assert_eq!(print.to_string(), "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0");
        assert_eq!(print.to_string().parse(), Ok(print));
        assert!("SHA256:ungW".parse::<Fingerprint>().is_err());
        assert!("MD5:00".parse::<Fingerprint>().is_err());
    }
}
