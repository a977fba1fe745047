//! Identities: private keys, where they come from, and the signing keys that follow from them.

use std::io::Read as _;

use age::secrecy::{ExposeSecret as _, SecretString};
use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::{Recipient, VerifyingKey};
use super::secret::SecretBytes;

const AGE_KEY_PREFIX: &str = "AGE-SECRET-KEY-1";
const SIGNING_INFO: &[u8] = b"vsecure/v1/sign/ed25519";
const OPENSSH_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const AGE_INTRO: &[u8] = b"age-encryption.org/v1";
const AGE_ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// 2^20 is about four seconds of work; age's own default is 2^18.
const MAX_WORK_FACTOR: u8 = 20;
const MAX_DECRYPTED_BYTES: u64 = 64 * 1024;

/// Why an identity can't be used. Its text is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key in it.
    #[error("there is no private key in it")]
    Empty,
    /// Not text, or a line that is no key.
    #[error("line {line} is not a private key: `AGE-SECRET-KEY-1…` or an OpenSSH private key is needed")]
    Malformed {
        /// Which line, from 1.
        line: usize,
    },
    /// A damaged key.
    #[error("the private key is damaged")]
    Damaged,
    /// A plugin's identity.
    #[error("plugin identities are not supported yet")]
    Plugin,
    /// A post-quantum identity.
    #[error("post-quantum identities are not supported yet")]
    PostQuantum,
    /// An ssh key of another type.
    #[error("of ssh keys, only ssh-ed25519 can be used")]
    UnsupportedSshKey,
    /// The passphrase could not be asked for.
    #[error("its passphrase could not be had")]
    Passphrase(#[source] PassphraseError),
    /// The passphrase is wrong.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// An encrypted identity that would take too long to open.
    #[error("its passphrase takes more work to check than is allowed")]
    ExcessiveWork,
}

/// Why a passphrase could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Nobody can be asked.
    #[error("nobody can be asked for it here")]
    NobodyToAsk,
    /// Asking failed.
    #[error("asking for it failed")]
    Failed(#[source] std::io::Error),
}

/// Where passphrases come from: the one way in which this library asks a person something.
pub trait PassphraseSource {
    /// Asks for the passphrase of `what`.
    ///
    /// # Errors
    /// [`PassphraseError`] where nobody can be asked.
    fn passphrase(&mut self, what: &str) -> Result<SecretBytes, PassphraseError>;
}

/// A source that has nobody to ask.
#[derive(Debug, Clone, Copy)]
pub struct NoPassphrase;

impl PassphraseSource for NoPassphrase {
    fn passphrase(&mut self, _what: &str) -> Result<SecretBytes, PassphraseError> {
        Err(PassphraseError::NobodyToAsk)
    }
}

/// One private key: age X25519, or ssh-ed25519.
#[derive(Clone)]
pub struct Identity {
    key: PrivateKey,
    recipient: Recipient,
    /// It wipes itself.
    signing_key: SigningKey,
    verifying_key: VerifyingKey,
}

#[derive(Clone)]
enum PrivateKey {
    /// The canonical text, `AGE-SECRET-KEY-1…`.
    Age(Zeroizing<String>),
    /// In OpenSSH's form without a passphrase.
    Ssh(Zeroizing<String>),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({}, redacted)", self.recipient)
    }
}

fn derived_signing_key(text: &str) -> SigningKey {
    let mut seed = Zeroizing::new([0; 32]);
    // 32 bytes are within what HKDF-SHA256 can give, so expanding cannot fail.
    let _ = Hkdf::<Sha256>::new(None, text.as_bytes()).expand(SIGNING_INFO, &mut *seed);
    SigningKey::from_bytes(&seed)
}

impl Identity {
    /// A new age X25519 identity, from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self::of_age(&age::x25519::Identity::generate())
    }

    fn of_age(identity: &age::x25519::Identity) -> Self {
        let text = Zeroizing::new(identity.to_string().expose_secret().to_owned());
        let signing_key = derived_signing_key(&text);
        Self::new(PrivateKey::Age(text), Recipient::of_age(&identity.to_public()), signing_key)
    }

    fn new(key: PrivateKey, recipient: Recipient, signing_key: SigningKey) -> Self {
        let verifying_key = VerifyingKey::from_bytes(signing_key.verifying_key().to_bytes());
        Self { key, recipient, signing_key, verifying_key }
    }

    fn of_ssh(key: &ssh_key::PrivateKey) -> Result<Self, IdentityError> {
        let pair = key.key_data().ed25519().ok_or(IdentityError::UnsupportedSshKey)?;
        let signing_key = SigningKey::from_bytes(&Zeroizing::new(pair.private.to_bytes()));
        let public = signing_key.verifying_key().to_bytes();
        if public != pair.public.0 {
            return Err(IdentityError::Damaged);
        }
        let pem = key.to_openssh(ssh_key::LineEnding::LF).map_err(|_| IdentityError::Damaged)?;
        Ok(Self::new(PrivateKey::Ssh(Zeroizing::new(pem.to_string())), Recipient::of_ssh(public), signing_key))
    }

    /// The key that values are encrypted to for this identity.
    #[must_use]
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The key by which this identity's signatures are verified.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying_key
    }

    pub(super) const fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// The private key as one line, `AGE-SECRET-KEY-1…`; none for an ssh key.
    #[must_use]
    pub fn to_secret_line(&self) -> Option<SecretBytes> {
        match &self.key {
            PrivateKey::Age(text) => Some(SecretBytes::new(text.as_bytes().to_vec())),
            PrivateKey::Ssh(_) => None,
        }
    }

    pub(super) fn to_age(&self) -> Option<Box<dyn age::Identity>> {
        match &self.key {
            PrivateKey::Age(text) => text.parse::<age::x25519::Identity>().ok().map(|it| Box::new(it) as _),
            PrivateKey::Ssh(pem) => {
                age::ssh::Identity::from_buffer(pem.as_bytes(), None).ok().map(|it| Box::new(it) as _)
            }
        }
    }
}

/// Reads the identities in `bytes`: lines as `age-keygen` writes them, an OpenSSH private key, or an age file with a
/// passphrase that holds such lines. `source` names them when a passphrase is asked for.
///
/// # Errors
/// [`IdentityError`]; none of the input is repeated in it.
pub fn parse_identities(
    bytes: &SecretBytes,
    source: &str,
    passphrases: &mut dyn PassphraseSource,
) -> Result<Vec<Identity>, IdentityError> {
    if bytes.as_bytes().starts_with(AGE_INTRO) || bytes.as_bytes().starts_with(AGE_ARMOUR) {
        return parse_lines(&decrypted(bytes, source, passphrases)?);
    }
    let text = std::str::from_utf8(bytes.as_bytes()).map_err(|_| IdentityError::Malformed { line: 1 })?;
    if text.trim_start().starts_with(OPENSSH_BEGIN) {
        return Ok(vec![parse_openssh(text, source, passphrases)?]);
    }
    parse_lines(bytes)
}

fn parse_openssh(text: &str, source: &str, passphrases: &mut dyn PassphraseSource) -> Result<Identity, IdentityError> {
    let key = ssh_key::PrivateKey::from_openssh(text.trim()).map_err(|error| match error {
        ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
            IdentityError::UnsupportedSshKey
        }
        _ => IdentityError::Damaged,
    })?;
    if key.algorithm() != ssh_key::Algorithm::Ed25519 {
        return Err(IdentityError::UnsupportedSshKey);
    }
    if !key.is_encrypted() {
        return Identity::of_ssh(&key);
    }
    let passphrase = passphrases.passphrase(source).map_err(IdentityError::Passphrase)?;
    let key = key.decrypt(passphrase.as_bytes()).map_err(|_| IdentityError::WrongPassphrase)?;
    Identity::of_ssh(&key)
}

fn parse_lines(bytes: &SecretBytes) -> Result<Vec<Identity>, IdentityError> {
    let text = std::str::from_utf8(bytes.as_bytes()).map_err(|_| IdentityError::Malformed { line: 1 })?;
    let mut identities = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        identities.push(parse_line(line, index + 1)?);
    }
    if identities.is_empty() { Err(IdentityError::Empty) } else { Ok(identities) }
}

fn parse_line(line: &str, number: usize) -> Result<Identity, IdentityError> {
    let upper = Zeroizing::new(line.to_ascii_uppercase());
    if upper.starts_with("AGE-PLUGIN-") {
        return Err(IdentityError::Plugin);
    }
    if upper.starts_with("AGE-SECRET-KEY-PQ-") {
        return Err(IdentityError::PostQuantum);
    }
    if !upper.starts_with(AGE_KEY_PREFIX) {
        return Err(IdentityError::Malformed { line: number });
    }
    let identity = line.parse::<age::x25519::Identity>().map_err(|_| IdentityError::Damaged)?;
    Ok(Identity::of_age(&identity))
}

/// Opens an identity file that `age -p` encrypted.
fn decrypted(
    bytes: &SecretBytes,
    source: &str,
    passphrases: &mut dyn PassphraseSource,
) -> Result<SecretBytes, IdentityError> {
    let input = age::armor::ArmoredReader::new(bytes.as_bytes());
    let decryptor = age::Decryptor::new_buffered(input).map_err(|_| IdentityError::Damaged)?;
    if !decryptor.is_scrypt() {
        return Err(IdentityError::Damaged);
    }
    let passphrase = passphrases.passphrase(source).map_err(IdentityError::Passphrase)?;
    let text = std::str::from_utf8(passphrase.as_bytes()).map_err(|_| IdentityError::WrongPassphrase)?;
    let mut key = age::scrypt::Identity::new(SecretString::from(text.to_owned()));
    key.set_max_work_factor(MAX_WORK_FACTOR);
    let reader = decryptor.decrypt([&key as &dyn age::Identity].into_iter()).map_err(|error| match error {
        age::DecryptError::ExcessiveWork { .. } => IdentityError::ExcessiveWork,
        age::DecryptError::KeyDecryptionFailed | age::DecryptError::DecryptionFailed => IdentityError::WrongPassphrase,
        _ => IdentityError::Damaged,
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.take(MAX_DECRYPTED_BYTES).read_to_end(&mut plain).map_err(|_| IdentityError::Damaged)?;
    Ok(SecretBytes::new(std::mem::take(&mut *plain)))
}
