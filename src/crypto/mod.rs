//! Cryptography: the only user of age, Ed25519 and OpenSSH's formats.
//!
//! Sealing and opening age files that are bound to a path; identities and the keys that follow from them; signed documents. It
//! reads and writes no file but identity files, and knows nothing of stores, members or rights. Functions that take a whole
//! file take its bytes, refuse anything that is not exactly as the format says, and never panic on any input.

mod context;
mod document;
mod frequent;
mod header;
mod identity;
mod identity_file;
mod keys;
mod open;
mod seal;
mod secret;
mod signature;

pub use context::Context;
pub use document::{SignedDocumentError, VerifiedDocument, sign_document, unverified_parts, verify_document};
pub use header::{HeaderError, scan};
pub use identity::{Identity, IdentityError, NoPassphrase, PassphraseError, PassphraseSource, parse_identities};
pub use identity_file::{IdentityFileError, IdentityWarning, read_identity_file, write_new_identity_file};
pub use keys::{KeyError, Recipient, VerifyingKey};
pub use open::{OpenError, inspect, open, open_foreign, open_unbound};
pub use seal::{SealError, Sealer, seal};
pub use secret::SecretBytes;
pub use signature::{Namespace, SignatureError};

#[cfg(test)]
mod tests;
