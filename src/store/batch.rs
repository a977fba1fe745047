//! What a transaction is asked to do.

use super::StorePath;

/// Overrides of the user that git's configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Seconds since 1970, and minutes east of UTC.
    pub time: Option<(i64, i32)>,
}

/// Whether a change is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One commit.
    Commit,
    /// Written and staged only.
    Stage,
}

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Which.
    pub path: StorePath,
    /// The work tree's bytes that the change was planned upon; none when there was no such file.
    pub seen: Option<Vec<u8>>,
    /// The new bytes; none to delete it.
    pub content: Option<Vec<u8>>,
}

/// What a transaction is to do.
#[derive(Debug)]
pub struct Batch {
    /// The files.
    pub changes: Vec<FileChange>,
    /// Other files that must not have changed on the branch.
    pub unchanged: Vec<StorePath>,
    /// The commit's message.
    pub message: String,
    /// Overrides of the author.
    pub author: Option<Person>,
    /// Overrides of the committer.
    pub committer: Option<Person>,
    /// Whether it is committed.
    pub mode: Mode,
}
