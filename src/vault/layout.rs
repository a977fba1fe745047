//! Where things lie within a store. The one place that knows the names of files.

use crate::model::{Digest, Environment, Epoch, GrantId, MemberName, NameError, SecretPath};
use crate::store::StorePath;

/// The folder of the secrets.
pub(super) const SECRETS: &str = "secrets";
/// The folder of the policy's epochs.
pub(super) const POLICY: &str = "policy";
/// The folder of the grants.
pub(super) const GRANTS: &str = "grants";
/// The folder of the requests to join or to change keys.
pub(super) const REQUESTS: &str = "requests";
/// The file that keeps git from changing a byte of the store.
pub(super) const GITATTRIBUTES: &str = ".gitattributes";
/// Its content.
pub(super) const GITATTRIBUTES_TEXT: &str =
    "* -text -filter -ident -working-tree-encoding -merge\nsecrets/** diff=vsecure\n";

const SIDECAR_ENDING: &str = ".yaml";
const VALUE_ENDING: &str = ".age";
const PENDING_ENDING: &str = ".next.age";

/// A file or folder of ours. Fixed names and names made of validated parts are always paths within the store.
#[expect(clippy::expect_used, reason = "the grammar of names is narrower than that of paths within a store")]
pub(super) fn place(name: &str) -> StorePath {
    name.parse().expect("a validated name is a path within the store")
}

/// The folder of the secrets of `environment`.
pub(super) fn environment(environment: &Environment) -> StorePath {
    place(&format!("{SECRETS}/{environment}"))
}

/// The sidecar of `path`.
pub(super) fn sidecar(path: &SecretPath) -> StorePath {
    place(&format!("{SECRETS}/{path}{SIDECAR_ENDING}"))
}

/// Whether a file below `secrets/` of this name is a sidecar; one below `grants/`, a grant.
pub(super) fn is_sidecar(name: &str) -> bool {
    name.ends_with(SIDECAR_ENDING)
}

/// The age file of `path`.
pub(super) fn value(path: &SecretPath) -> StorePath {
    place(&format!("{SECRETS}/{path}{VALUE_ENDING}"))
}

/// The age file of a pending value of `path`.
pub(super) fn pending_value(path: &SecretPath) -> StorePath {
    place(&format!("{SECRETS}/{path}{PENDING_ENDING}"))
}

/// The file of `epoch`.
pub(super) fn epoch(epoch: Epoch) -> StorePath {
    place(&format!("{POLICY}/{:06}.yaml", epoch.get()))
}

/// The epoch whose file `file` is, in the one spelling of its number.
pub(super) fn epoch_of(file: &StorePath) -> Option<Epoch> {
    let name = file.as_str().strip_prefix(POLICY)?.strip_prefix('/')?;
    let number = name.strip_suffix(".yaml")?.parse().ok()?;
    let found = Epoch::new(number)?;
    (epoch(found) == *file).then_some(found)
}

/// The acceptance list with the hash `digest`.
pub(super) fn accepted(digest: &Digest) -> StorePath {
    place(&format!("{POLICY}/accepted/{digest}"))
}

/// The file of the grant `id`.
pub(super) fn grant(id: &GrantId) -> StorePath {
    place(&format!("{GRANTS}/{id}.yaml"))
}

/// The file of the request of `name`.
pub(super) fn request(name: &MemberName) -> StorePath {
    place(&format!("{REQUESTS}/{name}.yaml"))
}

/// What a file below `secrets/` is.
pub(super) enum Entry {
    /// A sidecar.
    Sidecar(SecretPath),
    /// An age file.
    Value(SecretPath),
    /// The age file of a pending value.
    Pending(SecretPath),
    /// Neither.
    Other,
}

/// What the file `file` is.
///
/// # Errors
/// [`NameError`] when it would be a secret's file, were its name valid.
pub(super) fn classify(file: &StorePath) -> Result<Entry, NameError> {
    let Some(rest) = file.as_str().strip_prefix(SECRETS).and_then(|rest| rest.strip_prefix('/')) else {
        return Ok(Entry::Other);
    };
    if let Some(path) = rest.strip_suffix(SIDECAR_ENDING) {
        return path.parse().map(Entry::Sidecar);
    }
    // No name ends in `.next`: the two endings can't be taken for each other.
    if let Some(path) = rest.strip_suffix(PENDING_ENDING) {
        return path.parse().map(Entry::Pending);
    }
    match rest.strip_suffix(VALUE_ENDING) {
        Some(path) => path.parse().map(Entry::Value),
        None => Ok(Entry::Other),
    }
}
