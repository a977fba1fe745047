//! What can go wrong with files and git.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with files and git. Texts of git are kept as sources, and are for a terminal only after escaping.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum StoreError {
    /// No `.vsecure` directory here or above.
    #[error("there is no vsecure store in {} or above", start.display())]
    NoStore {
        /// Where the search began.
        start: PathBuf,
    },
    /// No git work tree here or above.
    #[error("{} is not in a git work tree", start.display())]
    NoRepository {
        /// Where the search began.
        start: PathBuf,
    },
    /// A store where one was to be made.
    #[error("there is a vsecure store already: {}", root.display())]
    StoreExists {
        /// Its directory.
        root: PathBuf,
    },
    /// Another vsecure command holds the store's lock.
    #[error("another vsecure command holds the lock {}: {holder}", file.display())]
    Locked {
        /// The lock file.
        file: PathBuf,
        /// The process that holds it, as it wrote itself down.
        holder: String,
    },
    /// Git holds one of its locks.
    #[error("git, or a git that was killed, holds the lock {}", file.display())]
    GitLocked {
        /// The lock file.
        file: PathBuf,
    },
    /// The file was changed on the branch since the change was planned.
    #[error("`{path}` was changed on the branch at the same time")]
    Conflict {
        /// The file, within the store.
        path: String,
    },
    /// The work tree's file is not what the change was planned upon.
    #[error("`{path}` was changed in the work tree at the same time")]
    DirtyWorkTree {
        /// The file, within the store.
        path: String,
    },
    /// A rebase, merge or the like is under way.
    #[error("a {operation} is under way in this repository")]
    InProgress {
        /// Which.
        operation: &'static str,
    },
    /// A repository of a kind that can't be written.
    #[error("this repository can't be used: {what}")]
    Unsupported {
        /// What is special about it.
        what: String,
    },
    /// A place that can't be written.
    #[error("{} can't be written", path.display())]
    ReadOnly {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No space left.
    #[error("there is no space left to write {}", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A journal of a command that wrote to another store than those that are found by their name.
    #[error("the journal of a command that was killed names a store at `{place}`")]
    BegunElsewhere {
        /// Where, within the work tree; escape it when shown.
        place: String,
    },
    /// A local file of ours that is not what we wrote.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// Git doesn't know who commits.
    #[error("git does not know your name and e-mail address")]
    NoGitUser,
    /// A repository of another owner.
    #[error("the repository {} belongs to another user", path.display())]
    NotOwned {
        /// Its work tree.
        path: PathBuf,
    },
    /// Git could not sign the commit.
    #[error("git could not sign the commit: {stderr}")]
    SigningFailed {
        /// What git said; escape it.
        stderr: String,
    },
    /// A link, folder, device or submodule where a file or folder of ours should be.
    #[error("`{path}` is a link, a submodule or something else that is not a plain file or folder")]
    NotPlain {
        /// What, within the store.
        path: String,
    },
    /// A link or file where the folder of our local state should be.
    #[error("{} is a link, or no folder: nothing is kept or looked for there", path.display())]
    StateNotPlain {
        /// Where.
        path: PathBuf,
    },
    /// A file over its limit.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// Which, within the store.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// More files and folders than there can be.
    #[error("`{folder}` holds more than {most} files and folders")]
    TooMany {
        /// Where, within the store or the commit.
        folder: String,
        /// The limit.
        most: usize,
    },
    /// No such commit.
    #[error("there is no commit of that name")]
    NoCommit,
    /// The change was made, and the work tree or index could not be brought to it.
    #[error("the change was made, but the work tree could not be brought to it yet")]
    Unfinished {
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// A path that can't be in a store.
    #[error("a file's name in the store is not valid")]
    BadPath,
    /// No `git` program.
    #[error("the program `{}` could not be started", program.display())]
    NoGitProgram {
        /// Which was tried.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A child git failed.
    #[error("git failed: {stderr}")]
    GitFailed {
        /// What it said; escape it.
        stderr: String,
    },
    /// The git library failed.
    #[error("git failed")]
    Git(#[from] git2::Error),
    /// The operating system refused.
    #[error("{} could not be used", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// Whether it is that the repository lacks an object: a partial clone gets it when git needs it.
    #[must_use]
    pub fn is_missing_object(&self) -> bool {
        matches!(self, Self::Git(error) if error.class() == git2::ErrorClass::Odb && error.code() == git2::ErrorCode::NotFound)
    }

    /// The error for `source` at `path`.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, source },
            _ => Self::Io { path, source },
        }
    }
}
