//! vsecure: a Git-backed secret store.
//!
//! Each secret is an [age](https://age-encryption.org/v1) file in a git repository; a signed YAML sidecar beside it says
//! which version it is, who may read it, and who changed it. The rooms, from the top down:
//!
//! - [`vault`]: the façade that programs call: read, write, history. Everything below is reached through it.
//! - [`policy`]: who may do what (pure), and the local trust pin.
//! - [`audit`]: the access log: what a line says, and whether a log was changed.
//! - [`mod@format`]: comparing, picking from and generating values; it knows nothing of stores.
//! - [`store`]: the only user of git; it moves opaque bytes.
//! - [`crypto`]: the only user of age; seal, open, sign, verify.
//! - [`model`]: validated data without I/O: names, numbers, times, sidecars, policies.
//! - [`private`]: small files of this user's own, whole or not there.
//!
//! The library never prints, never prompts except through [`crypto::PassphraseSource`], and reads no environment variable
//! itself; the git library reads git's own configuration.

pub mod audit;
pub mod crypto;
pub mod format;
pub mod model;
pub mod policy;
pub mod private;
pub mod store;
pub mod vault;
