//! Validated data without I/O: names, numbers, times, and the documents of format 1.
//!
//! A value of one of these types is valid by construction: it was parsed once at the edge. Nothing here reads a file, a
//! clock, an environment variable or a random number, and nothing here checks a signature: callers hand in bytes that were
//! verified already.

mod acceptance;
mod audit;
mod canonical;
mod digest;
mod grant;
mod name;
mod number;
mod pattern;
mod policy;
mod request;
mod sidecar;
mod time;
mod yaml;

pub use acceptance::Acceptance;
pub use audit::{AuditHead, MAX_AUDIT_HEAD_BYTES, RandomId, RandomIdError};
pub use digest::{Digest, DigestError, Fingerprint, StoreId};
pub use grant::{GUEST, Grant, GrantId, MAX_GRANT_BYTES};
pub use name::{
    DEFAULT_ENVIRONMENT, Email, Environment, HookPath, MAX_PATH_BYTES, MAX_SEGMENT_BYTES, MemberName, MetadataKey,
    MetadataValue, NameError, Principal, RoleName, SecretName, SecretPath, Tag,
};
pub use number::{Epoch, Revision, Version};
pub use pattern::{Pattern, PatternError};
pub use policy::{ADMINS, MAX_POLICY_BYTES, Member, MemberKeys, OnExpired, Policy, Rule};
pub use request::{MAX_REQUEST_BYTES, Request};
pub use sidecar::{
    Acknowledged, Change, Ciphertext, Due, KeyHolder, MAX_SIDECAR_BYTES, Pending, PolicyRef, Rotation, Sidecar, Source,
};
pub use time::{Span, TimeError, Timestamp};
pub(crate) use yaml::read_text;
pub use yaml::{Document, DocumentError, TextError};
