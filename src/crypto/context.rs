//! What binds an age file to its place: the stanza `vsecure/ctx-v1`.
//!
//! H = SHA-256("vsecure-ctx-v1" 0x00 ‖ lp(store id: the 32 bytes) ‖ lp(path) ‖ u64be(version)), lp(x) = u64be(length) ‖ x.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::model::{SecretPath, StoreId, Version};

/// The type of the stanza.
pub(super) const CONTEXT_TAG: &str = "vsecure/ctx-v1";

/// The store, path and version that a value is encrypted for, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context([u8; 32]);

impl Context {
    /// The context of version `version` of `path` in the store `store`.
    #[must_use]
    pub fn new(store: &StoreId, path: &SecretPath, version: Version) -> Self {
        let path = path.to_string();
        let mut hash = Sha256::new();
        hash.update(b"vsecure-ctx-v1\0");
        for part in [&store.digest().as_bytes()[..], path.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(version.get().to_be_bytes());
        Self(hash.finalize().into())
    }

    /// The stanza's argument.
    pub(super) fn argument(&self) -> String {
        STANDARD_NO_PAD.encode(self.0)
    }

    /// Whether `text` can be a stanza's argument: the one spelling of 32 bytes.
    pub(super) fn is_argument(text: &str) -> bool {
        STANDARD_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
    }
}
