//! The index: a copy is changed aside, while git's lock is held, and renamed over it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid};

use super::journal::{Journal, JournalChange};
use super::lock;
use super::{Store, StoreError};

const FILE_MODE: u32 = 0o100_644;
/// How much of the user's files is read to tell which have changed within a tick.
const MAX_RACY_BYTES: u64 = 64 * 1024 * 1024;

impl Store {
    /// Copies the index aside and opens the copy. An index that can't be changed is found out here, before anything is written.
    pub(super) fn open_index_aside(&self, journal: &Journal) -> Result<Index, StoreError> {
        let git = self.git()?;
        let (real, aside) = (git.git_dir.join("index"), journal.index_aside(git));
        lock::remove(&aside)?;
        lock::remove(&journal.index_aside_lock(git))?;
        match fs::copy(&real, &aside) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(&aside, error)),
        }
        Index::open(&aside).map_err(|error| {
            let what = format!("its index can't be changed ({}): a split or sparse index, perhaps", error.message());
            StoreError::Unsupported { what }
        })
    }

    /// Sets our entries, and only those that hold what we expect, and puts the index in place.
    pub(super) fn update_index(
        &self,
        journal: &Journal,
        changes: &[(usize, &JournalChange)],
        mut index: Index,
    ) -> Result<(), StoreError> {
        let git = self.git()?;
        let (real, aside) = (git.git_dir.join("index"), journal.index_aside(git));
        if let Ok(old) = real.metadata() {
            self.smudge_racy(&mut index, &old)?;
        }
        for (_, change) in changes {
            self.set_entry(&mut index, change)?;
        }
        index.write()?;
        fs::rename(&aside, &real).map_err(|error| StoreError::io(&real, error))
    }

    fn set_entry(&self, index: &mut Index, change: &JournalChange) -> Result<(), StoreError> {
        let path = change.path()?;
        let full = format!("{}/{path}", self.git()?.prefix);
        let staged = index.get_path(Path::new(&full), 0).map(|entry| entry.id);
        let conflicted = (1..=3).any(|stage| index.get_path(Path::new(&full), stage).is_some());
        if !conflicted && ![change.base(), change.seen(), change.new_blob()].contains(&staged) {
            // Somebody staged something else: it stays staged.
            return Ok(());
        }
        if conflicted {
            index.conflict_remove(Path::new(&full))?;
        }
        let Some(blob) = change.new_blob() else {
            if staged.is_some() {
                index.remove_path(Path::new(&full))?;
            }
            return Ok(());
        };
        let there = self.absolute(&path).symlink_metadata().ok();
        let unchanged = self.work_tree_blob(&path)? == Some(blob);
        index.add(&entry(full.into_bytes(), blob, there.filter(|_| unchanged).as_ref()))?;
        Ok(())
    }

    /// Makes git look again at files that were changed in the same tick as the old index, or later: an index written now would make
    /// them look older than it, and so unchanged. Git does the same whenever it writes an index. Files that have their entry's content
    /// keep their stat data, as with git: `git merge --abort` and the like give up on an entry without it.
    fn smudge_racy(&self, index: &mut Index, old: &fs::Metadata) -> Result<(), StoreError> {
        const STAGE_BITS: u16 = 0x3000;
        // Whole seconds: git is usually built to compare no more than these.
        let racy = |entry: &IndexEntry| {
            i64::from(entry.mtime.seconds()) >= old.mtime() && entry.flags & STAGE_BITS == 0 && entry.file_size != 0
        };
        let mut budget = MAX_RACY_BYTES;
        for mut entry in index.iter().filter(racy).collect::<Vec<_>>() {
            if !self.has_content_of(&entry, &mut budget) {
                entry.file_size = 0;
                index.add(&entry)?;
            }
        }
        Ok(())
    }

    /// Whether the work tree's file is, byte for byte, what `entry` says. Not to know, or not to be able to afford it, is no.
    fn has_content_of(&self, entry: &IndexEntry, budget: &mut u64) -> bool {
        let Ok(git) = self.git() else { return false };
        let file = git.work_tree.join(OsStr::from_bytes(&entry.path));
        let plain = file.symlink_metadata().ok().filter(fs::Metadata::is_file);
        let Some(left) = plain.and_then(|metadata| budget.checked_sub(metadata.len())) else { return false };
        *budget = left;
        let content = fs::read(&file);
        content.is_ok_and(|bytes| Oid::hash_object(ObjectType::Blob, &bytes).is_ok_and(|id| id == entry.id))
    }
}

/// An entry with the file's stat data, so that git need not read the file again; without them where it was changed since.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the index keeps the low 32 bits")]
fn entry(path: Vec<u8>, id: Oid, file: Option<&fs::Metadata>) -> IndexEntry {
    let time = |seconds: i64, nanoseconds: i64| IndexTime::new(seconds as i32, nanoseconds as u32);
    let number = |get: fn(&fs::Metadata) -> u64| file.map_or(0, |file| get(file) as u32);
    IndexEntry {
        ctime: file.map_or(IndexTime::new(0, 0), |file| time(file.ctime(), file.ctime_nsec())),
        mtime: file.map_or(IndexTime::new(0, 0), |file| time(file.mtime(), file.mtime_nsec())),
        dev: number(fs::Metadata::dev),
        ino: number(fs::Metadata::ino),
        mode: FILE_MODE,
        uid: file.map_or(0, fs::Metadata::uid),
        gid: file.map_or(0, fs::Metadata::gid),
        file_size: number(fs::Metadata::size),
        id,
        flags: 0,
        flags_extended: 0,
        path,
    }
}
