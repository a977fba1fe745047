//! Identity files: read with ssh's rule for permissions, written once and never over another.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::identity::Identity;
use super::secret::SecretBytes;
use crate::model::Timestamp;
use crate::private;

const MAX_BYTES: u64 = 64 * 1024;
const OTHERS: u32 = 0o077;

/// Why an identity file can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// There is none.
    #[error("there is no identity file {}", path.display())]
    NotFound {
        /// Where.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is an identity file {} already", path.display())]
    AlreadyExists {
        /// Where.
        path: PathBuf,
    },
    /// Ours, and others may read it.
    #[error("others may read the identity file {} (its mode is {mode:03o})", path.display())]
    OpenPermissions {
        /// Where.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Larger than any identity file.
    #[error("{} is too large to be an identity file", path.display())]
    TooLarge {
        /// Where.
        path: PathBuf,
    },
    /// An ssh key is its own file: it isn't written.
    #[error("an ssh key is not written to an identity file")]
    NotAnAgeKey,
    /// The operating system refused.
    #[error("the identity file {} could not be used", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Something about an identity file that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityWarning {
    /// A file of another owner that others may read: a mounted secret, perhaps.
    pub path: PathBuf,
}

/// Reads an identity file. It is refused when it is ours and others may read it; one of another owner gives a warning.
///
/// # Errors
/// [`IdentityFileError`].
pub fn read_identity_file(path: &Path) -> Result<(SecretBytes, Option<IdentityWarning>), IdentityFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => IdentityFileError::NotFound { path: path.to_owned() },
        _ => IdentityFileError::Io { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o777;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if metadata.is_file() && ours && mode & OTHERS != 0 {
        return Err(IdentityFileError::OpenPermissions { path: path.to_owned(), mode });
    }
    // Reserved in full, so that no key is left behind by a growing buffer.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(IdentityFileError::TooLarge { path: path.to_owned() });
    }
    let warning = (metadata.is_file() && !ours && mode & 0o044 != 0).then(|| IdentityWarning { path: path.to_owned() });
    Ok((SecretBytes::new(std::mem::take(&mut *bytes)), warning))
}

/// Writes `identity` to a new file of mode 0600, in the form of `age-keygen`, with its folders of mode 0700. An existing file is never
/// replaced.
///
/// # Errors
/// [`IdentityFileError`].
pub fn write_new_identity_file(path: &Path, identity: &Identity, created: Timestamp) -> Result<(), IdentityFileError> {
    let line = identity.to_secret_line().ok_or(IdentityFileError::NotAnAgeKey)?;
    let mut text = format!("# created: {created}\n# public key: {}\n", identity.recipient()).into_bytes();
    // Reserved in full, so that no key is left behind by a growing buffer.
    let mut content = zeroize::Zeroizing::new(Vec::with_capacity(text.len() + line.as_bytes().len() + 1));
    content.append(&mut text);
    content.extend_from_slice(line.as_bytes());
    content.push(b'\n');
    private::create(path, &content).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => IdentityFileError::AlreadyExists { path: path.to_owned() },
        _ => IdentityFileError::Io { path: path.to_owned(), source },
    })
}
