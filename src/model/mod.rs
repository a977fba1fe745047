//! Validated data without I/O: names, numbers, times, and the two documents of format 1.
//!
//! A value of one of these types is valid by construction: it was parsed once at the edge. Nothing here reads a file, a
//! clock, an environment variable or a random number, and nothing here checks a signature: callers hand in bytes that were
//! verified already.

mod digest;
mod name;
mod number;
mod pattern;
mod policy;
mod sidecar;
mod time;
mod yaml;

pub use digest::{Digest, DigestError, Fingerprint, StoreId};
pub use name::{
    DEFAULT_ENVIRONMENT, Email, Environment, MAX_PATH_BYTES, MAX_SEGMENT_BYTES, MemberName, MetadataKey, MetadataValue,
    NameError, Principal, RoleName, SecretName, SecretPath, Tag,
};
pub use number::{Epoch, Revision, Version};
pub use pattern::{Pattern, PatternError};
pub use policy::{MAX_POLICY_BYTES, Member, MemberKeys, OnExpired, Policy, Rule};
pub use sidecar::{
    Acknowledged, Change, Ciphertext, KeyHolder, MAX_SIDECAR_BYTES, Pending, PolicyRef, Rotation, Sidecar, Source,
};
pub use time::{Span, TimeError, Timestamp};
pub use yaml::DocumentError;
