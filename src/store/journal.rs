//! What a transaction is about to do, written down before it begins, so that a killed one can be completed or undone.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use git2::{Oid, Reference};
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::durable::Unflushed;
use super::folder::PLAIN;
use super::locate::GitPlace;
use super::lock;
use super::refs::Head;
use super::{StoreError, StorePath};

const FORMAT: u32 = 1;
const NAME: &str = "journal";
/// Some 200 bytes are written for each changed file.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// One transaction: all names of files that it makes, so that nothing is left behind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    format: u32,
    /// Random; part of the name of every file that the transaction makes for itself.
    id: String,
    /// The store's path within the work tree, which may have several.
    store: String,
    /// The branch; none when HEAD is detached.
    pub(super) branch: Option<String>,
    old: Option<String>,
    /// The commit; none when the files are only written and staged.
    new: Option<String>,
    pub(super) changes: Vec<JournalChange>,
}

/// One file of a transaction, by its contents' ids.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalChange {
    path: String,
    seen: Option<String>,
    base: Option<String>,
    new: Option<String>,
}

fn oid(text: Option<&String>) -> Option<Oid> {
    text.and_then(|text| Oid::from_str(text).ok())
}

/// What is in the file at `place`; none where there is none. No link is followed, and nothing is waited for.
fn read_plain(place: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let damaged = || StoreError::Damaged { path: place.to_owned() };
    let file = match rustix::fs::open(place, PLAIN, Mode::empty()).map_err(io::Error::from) {
        Ok(file) => File::from(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if place.is_symlink() => return Err(damaged()),
        Err(error) => return Err(StoreError::io(place, error)),
    };
    let failed = |error| StoreError::io(place, error);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(damaged());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

impl JournalChange {
    pub(super) fn new(path: &StorePath, seen: Option<Oid>, base: Option<Oid>, new: Option<Oid>) -> Self {
        let text = |id: Option<Oid>| id.map(|id| id.to_string());
        Self { path: path.to_string(), seen: text(seen), base: text(base), new: text(new) }
    }

    pub(super) fn path(&self) -> Result<StorePath, StoreError> {
        self.path.parse().map_err(|_| StoreError::BadPath)
    }

    /// What the work tree had when the change was planned.
    pub(super) fn seen(&self) -> Option<Oid> {
        oid(self.seen.as_ref())
    }

    /// What the old commit had.
    pub(super) fn base(&self) -> Option<Oid> {
        oid(self.base.as_ref())
    }

    /// What it is to be; none for a deletion.
    pub(super) fn new_blob(&self) -> Option<Oid> {
        oid(self.new.as_ref())
    }
}

impl Journal {
    pub(super) fn new(
        store: &str,
        head: &Head,
        new: Option<Oid>,
        changes: Vec<JournalChange>,
    ) -> Result<Self, StoreError> {
        let text = |id: Option<Oid>| id.map(|id| id.to_string());
        Ok(Self {
            format: FORMAT,
            id: lock::random_name()?,
            store: store.to_owned(),
            branch: head.branch.clone(),
            old: text(head.commit),
            new: text(new),
            changes,
        })
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// The changes, each with the number that its temporary file is named by.
    pub(super) fn numbered(&self) -> Vec<(usize, &JournalChange)> {
        self.changes.iter().enumerate().collect()
    }

    pub(super) fn old(&self) -> Option<Oid> {
        oid(self.old.as_ref())
    }

    pub(super) fn new_commit(&self) -> Option<Oid> {
        oid(self.new.as_ref())
    }

    fn own_file(&self, git: &GitPlace, what: &str) -> PathBuf {
        git.shared_state().join(format!("{what}-{}", self.id))
    }

    /// The file whose links are our locks of the index and of HEAD.
    pub(super) fn token(&self, git: &GitPlace) -> PathBuf {
        self.own_file(git, "lock")
    }

    /// The file that becomes the new value of the branch.
    pub(super) fn reference_token(&self, git: &GitPlace) -> PathBuf {
        self.own_file(git, "ref")
    }

    /// The file whose presence says that a commit was decided.
    pub(super) fn decision(&self, git: &GitPlace) -> PathBuf {
        self.own_file(git, "decided")
    }

    pub(super) fn is_marked_decided(&self, git: &GitPlace) -> bool {
        self.decision(git).symlink_metadata().is_ok_and(|mark| mark.is_file())
    }

    /// Where the new index is made, by whoever holds our lock.
    pub(super) fn index_aside(git: &GitPlace) -> PathBuf {
        git.tree_state().join("index.new")
    }

    /// The name of the file beside the `number`th changed one that will be renamed over it.
    pub(super) fn temporary(&self, number: usize) -> String {
        format!(".vsecure-{}-{number}.tmp", self.id)
    }

    pub(super) fn index_lock(git: &GitPlace) -> PathBuf {
        git.git_dir.join("index.lock")
    }

    pub(super) fn head_lock(git: &GitPlace) -> PathBuf {
        git.git_dir.join("HEAD.lock")
    }

    /// The file of the branch, or of HEAD when it is detached.
    pub(super) fn reference(&self, git: &GitPlace) -> PathBuf {
        self.branch.as_ref().map_or_else(|| git.git_dir.join("HEAD"), |branch| git.common_dir.join(branch))
    }

    /// Git's lock of [`Journal::reference`].
    pub(super) fn reference_lock(&self, git: &GitPlace) -> PathBuf {
        let mut path = self.reference(git).into_os_string();
        path.push(".lock");
        path.into()
    }

    fn place(git: &GitPlace) -> PathBuf {
        git.tree_state().join(NAME)
    }

    /// Where it is written before it is in force.
    fn aside(git: &GitPlace) -> PathBuf {
        git.tree_state().join("journal.new")
    }

    /// Whether there is one, or the beginning of one: a cheap look.
    pub(super) fn exists(git: &GitPlace) -> bool {
        [Self::place(git), Self::aside(git)].iter().any(|path| path.symlink_metadata().is_ok())
    }

    /// Removes what a writer left that was killed before its journal was in force: it had begun nothing.
    pub(super) fn remove_unfinished(git: &GitPlace) -> Result<(), StoreError> {
        // While there is an index, there is a journal: that one is looked for.
        lock::remove(&Self::index_aside(git))?;
        lock::remove(&Self::aside(git))
    }

    /// Writes it, in force not yet.
    pub(super) fn write(&self, git: &GitPlace, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        lock::private_folder(&git.tree_state())?;
        let aside = Self::aside(git);
        let text = serde_json::to_vec_pretty(self).map_err(|error| StoreError::io(&aside, error.into()))?;
        unflushed.add(&aside, lock::write_new(&aside, &text)?)
    }

    /// Puts in force what [`Journal::write`] wrote and has been flushed since: one that is in force is whole. Nothing must be decided
    /// before its folder, too, is flushed.
    pub(super) fn put_in_force(git: &GitPlace, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let place = Self::place(git);
        fs::rename(Self::aside(git), &place).map_err(|error| StoreError::io(&place, error))?;
        unflushed.add_folder(&git.tree_state())
    }

    pub(super) fn load(git: &GitPlace) -> Result<Option<Self>, StoreError> {
        let place = Self::place(git);
        let Some(bytes) = read_plain(&place)? else { return Ok(None) };
        let journal = serde_json::from_slice(&bytes).ok().filter(Self::is_sound);
        journal.map(Some).ok_or(StoreError::Damaged { path: place })
    }

    /// Whether it is one that we could have written: an archive that was unpacked may hold any.
    fn is_sound(&self) -> bool {
        let id = |text: &Option<String>| text.as_ref().is_none_or(|text| Oid::from_str(text).is_ok());
        self.format == FORMAT
            && !self.id.is_empty()
            && self.id.bytes().all(|c| c.is_ascii_hexdigit())
            && self.branch.as_ref().is_none_or(|name| Reference::is_valid_name(name))
            && id(&self.old)
            && id(&self.new)
            && self.changes.iter().all(|it| it.path().is_ok() && id(&it.seen) && id(&it.base) && id(&it.new))
    }

    /// That it can't be what is to be completed here.
    pub(super) fn damaged(git: &GitPlace) -> StoreError {
        StoreError::Damaged { path: Self::place(git) }
    }

    /// Removes what is left of a finished transaction: its own files first, then the journal.
    pub(super) fn remove(&self, git: &GitPlace) -> Result<(), StoreError> {
        for file in [Self::index_aside(git), self.token(git), self.reference_token(git), Self::place(git)] {
            lock::remove(&file)?;
        }
        // It may never have been in force.
        lock::remove(&Self::aside(git))
    }
}
