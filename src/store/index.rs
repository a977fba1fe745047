//! The index: read while git's lock is held, written anew aside, and renamed over the old one.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

use git2::{ObjectType, Oid};

use super::folder::Folder;
use super::index_file::{Entry, Found, IndexFile};
use super::journal::{Journal, JournalChange};
use super::lock;
use super::{Store, StoreError};

const FILE_MODE: u32 = 0o100_644;
const WRITTEN_BYTES: usize = 64 * 1024;
/// How much of the user's files is read to tell which have changed within a tick.
const MAX_RACY_BYTES: u64 = 64 * 1024 * 1024;

/// The index as it was when git's lock was taken.
pub(super) struct Index {
    file: IndexFile,
    /// What the file system said of it; none when there is none yet.
    there: Option<fs::Metadata>,
}

impl Store {
    /// Reads the index. One that can't be changed is found out here, before anything is written.
    pub(super) fn open_index(&self) -> Result<Index, StoreError> {
        let real = self.git()?.git_dir.join("index");
        let there = match real.symlink_metadata() {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Index { file: IndexFile::empty(), there: None });
            }
            Err(error) => return Err(StoreError::io(&real, error)),
        };
        let refused =
            |why: &dyn Display| StoreError::Unsupported { what: format!("its index can't be changed: {why}") };
        // Git would follow a link, and lock what it leads to; anything else could make us wait for ever.
        if !there.is_file() {
            return Err(refused(&"it is no plain file"));
        }
        let bytes = fs::read(&real).map_err(|error| StoreError::io(&real, error))?;
        let file = IndexFile::parse(bytes).map_err(|error| refused(&error))?;
        Ok(Index { file, there: Some(there) })
    }

    /// Sets our entries, and only those that hold what we expect, and puts the index in place.
    pub(super) fn update_index(
        &self,
        journal: &Journal,
        changes: &[(usize, &JournalChange)],
        Index { mut file, there }: Index,
    ) -> Result<(), StoreError> {
        let git = self.git()?;
        let (real, aside) = (git.git_dir.join("index"), journal.index_aside(git));
        if let Some(there) = &there {
            self.smudge_racy(&mut file, there);
        }
        for (_, change) in changes {
            self.set_entry(&mut file, change)?;
        }
        lock::remove(&aside)?;
        let make = || {
            let mut to = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&aside)?;
            // Git makes it as any file, and keeps what it has been made since, whatever the umask.
            if let Some(there) = &there {
                to.set_permissions(Permissions::from_mode(there.mode() & 0o777))?;
            }
            // Entries are written one by one where they depend on each other.
            let mut buffered = BufWriter::with_capacity(WRITTEN_BYTES, &mut to);
            file.write(&mut buffered)?;
            buffered.flush()
        };
        make().map_err(|error| StoreError::io(&aside, error))?;
        fs::rename(&aside, &real).map_err(|error| StoreError::io(&real, error))
    }

    fn set_entry(&self, index: &mut IndexFile, change: &JournalChange) -> Result<(), StoreError> {
        let path = change.path()?;
        let full = format!("{}/{path}", self.git()?.prefix);
        let staged = index.staged(full.as_bytes());
        if !staged.conflicted && ![change.base(), change.seen(), change.new_blob()].contains(&staged.id) {
            // Somebody staged something else: it stays staged.
            return Ok(());
        }
        let Some(blob) = change.new_blob() else {
            index.remove(full.as_bytes());
            return Ok(());
        };
        let there = self.absolute(&path).symlink_metadata().ok();
        let folder = Folder::of(&self.root, &path)?;
        let content = folder.map(|folder| folder.blob(path.split_last().1, &path)).transpose()?.flatten();
        let unchanged = content == Some(blob);
        index.set(full.as_bytes(), entry(blob, there.filter(|_| unchanged).as_ref()));
        Ok(())
    }

    /// Makes git look again at files that were changed in the same tick as the old index, or later: an index written now would make
    /// them look older than it, and so unchanged. Git does the same whenever it writes an index. Files that have their entry's content
    /// keep their stat data, as with git: `git merge --abort` and the like give up on an entry without it.
    fn smudge_racy(&self, index: &mut IndexFile, old: &fs::Metadata) {
        let mut budget = MAX_RACY_BYTES;
        // Whole seconds: git is usually built to compare no more than these.
        let racy = index.modified_since(old.mtime());
        let changed: Vec<usize> =
            racy.filter(|found| !self.has_content_of(found, &mut budget)).map(|found| found.place()).collect();
        index.forget_size(&changed);
    }

    /// Whether the work tree's file is, byte for byte, what the index says. Not to know, or not to be able to afford it, is no.
    fn has_content_of(&self, found: &Found<'_>, budget: &mut u64) -> bool {
        let Ok(git) = self.git() else { return false };
        let file = git.work_tree.join(OsStr::from_bytes(found.path));
        let plain = file.symlink_metadata().ok().filter(fs::Metadata::is_file);
        let Some(left) = plain.and_then(|metadata| budget.checked_sub(metadata.len())) else { return false };
        *budget = left;
        let content = fs::read(&file);
        content.is_ok_and(|bytes| Oid::hash_object(ObjectType::Blob, &bytes).is_ok_and(|id| id == found.id))
    }
}

/// An entry with the file's stat data, so that git need not read the file again; without them where it was changed since.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the index keeps the low 32 bits")]
fn entry(id: Oid, file: Option<&fs::Metadata>) -> Entry {
    let mut entry = Entry { mode: FILE_MODE, ..Entry::default() };
    entry.id.copy_from_slice(id.as_bytes());
    if let Some(file) = file {
        entry.changed = [file.ctime() as u32, file.ctime_nsec() as u32];
        entry.modified = [file.mtime() as u32, file.mtime_nsec() as u32];
        (entry.device, entry.inode) = (file.dev() as u32, file.ino() as u32);
        (entry.user, entry.group, entry.size) = (file.uid(), file.gid(), file.size() as u32);
    }
    entry
}
