//! What a work tree remembers of its store between commands, to save work: a file under the git directory's `vsecure/`, where nobody
//! who pushes can write. Nothing here is ever needed; what can't be read or written is done without.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::history::hex_start;
use super::lock::{self, NOFOLLOW};
use super::{Store, StoreError};
use crate::private;

/// More than any memory of ours needs.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

impl Store {
    /// What was kept as `name`; none where nothing was, or outside a repository.
    #[must_use]
    pub fn recall(&self, name: &str) -> Option<Vec<u8>> {
        let file = OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(self.memory(name)?).ok()?;
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_BYTES)).ok()?);
        file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps `content` as `name`, in place of what was kept before.
    pub fn keep(&self, name: &str, content: &[u8]) {
        let Some(place) = self.memory(name) else { return };
        let write = || {
            let folder = self.git()?.tree_state();
            lock::private_folder(&folder)?;
            let failed = |error| StoreError::io(&place, error);
            let mut aside = private::aside(&folder).map_err(failed)?;
            aside.write_all(content).map_err(failed)?;
            aside.persist(&place).map_err(|error| failed(error.error))
        };
        // Without a place to write, the next command does the work again; that is all.
        let _ = write();
    }

    /// Forgets what was kept as `name`.
    pub fn forget(&self, name: &str) {
        if let Some(place) = self.memory(name) {
            // What stays is compared with what it is about, as ever.
            let _ = fs::remove_file(place);
        }
    }

    fn memory(&self, name: &str) -> Option<PathBuf> {
        let git = self.git.as_ref()?;
        Some(git.tree_state().join(format!("{name}-{}", hex_start(git.prefix.as_bytes()))))
    }
}
