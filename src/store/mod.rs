//! Files in a work tree, snapshots of commits, transactions and history: the only user of git.
//!
//! Everything here is opaque bytes: this room knows no sidecar, no version and no age file. It reads without following links,
//! writes so that a kill at any moment leaves the old state or the new one, and runs `git` only for what the git library can't do
//! (signing commits, walking history quickly). No program that a repository names is ever run for reading.

mod batch;
mod branch;
mod child;
mod crew;
mod durable;
mod error;
mod exchange;
mod files;
mod folder;
mod foreign;
mod history;
mod index;
mod index_file;
mod journal;
mod ledger;
mod locate;
mod lock;
mod loose;
mod made;
mod memory;
mod objects;
mod outside;
mod pack;
mod path;
mod recover;
mod refs;
mod scan;
#[cfg(test)]
mod tests;
mod transaction;
mod tree;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use batch::{Batch, FileChange, Mode, Person};
pub use error::StoreError;
pub use files::{Listed, Stamp};
pub use foreign::{Past, PastCommit};
pub use history::{HistoryEntry, PathHistory};
pub use ledger::{Ledger, MAX_LINE_BYTES, MAX_SEGMENT_BYTES};
pub use outside::{Attributes, Outside};
pub use path::{StorePath, StorePathError};
pub use recover::Recovered;
pub use scan::{Kept, MAX_SCANNED_BYTES};
pub use transaction::{Applied, Transaction};
pub use tree::{BlobId, CommitId, CommitInfo, Tree};

use crew::Crew;
use locate::GitPlace;

/// How a store uses what is around it.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The `git` program.
    pub git_program: PathBuf,
    /// How long to wait for a lock, ours or git's.
    pub lock_timeout: Duration,
}

/// A store: a `.vsecure` directory, and the repository around it where there is one.
pub struct Store {
    root: PathBuf,
    git: Option<GitPlace>,
    options: StoreOptions,
    /// Opened when first needed: plain reads do without.
    repository: OnceCell<git2::Repository>,
    crew: Crew,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.root).field("git", &self.git).finish_non_exhaustive()
    }
}

impl Store {
    fn at(root: PathBuf, git: Option<GitPlace>, options: StoreOptions) -> Self {
        Self { root, git, options, repository: OnceCell::new(), crew: Crew::default() }
    }

    /// The store's directory, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is a repository around the store.
    #[must_use]
    pub const fn has_git(&self) -> bool {
        self.git.is_some()
    }

    /// The git directory of this work tree; none outside a repository.
    #[must_use]
    pub fn git_dir(&self) -> Option<&Path> {
        self.git.as_ref().map(|git| git.git_dir.as_path())
    }

    /// The store's path within the work tree, such as `infra/.vsecure`; none outside a repository.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.git.as_ref().map(|git| git.prefix.as_str())
    }

    fn git(&self) -> Result<&GitPlace, StoreError> {
        self.git.as_ref().ok_or_else(|| StoreError::NoRepository { start: self.root.clone() })
    }

    /// The random id of this clone, made when `create` says so; none outside a repository or where nothing can be written.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be read.
    pub fn clone_id(&self, create: bool) -> Result<Option<String>, StoreError> {
        let Some(git) = &self.git else { return Ok(None) };
        lock::clone_id(git, create)
    }
}
