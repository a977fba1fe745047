//! The index: written anew aside while git's lock is held, completed when our files are in their places, and renamed over the old one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};

use git2::{ObjectType, Oid};
use rustix::fs::{Advice, Mode};
use rustix::io::Errno;

use super::durable::Shared;
use super::folder::{ByFolder, Folder, PLAIN};
use super::index_file::{Bytes, Changed, Entry, Found, IndexFile};
use super::journal::{Journal, JournalChange};
use super::lock;
use super::{Store, StoreError, StorePath};

const FILE_MODE: u32 = 0o100_644;
/// How much of the user's files is read to tell which have changed within a tick.
const MAX_RACY_BYTES: u64 = 64 * 1024 * 1024;

/// The index as it was read.
#[derive(Debug)]
struct Index {
    file: IndexFile,
    /// The file, and what the file system said of it; none when there is none yet.
    there: Option<(File, fs::Metadata)>,
}

/// What is to become of an entry.
#[derive(Debug)]
struct Edit {
    path: Vec<u8>,
    /// What it may hold; anything else was staged by somebody, and stays.
    expected: [Option<Oid>; 3],
    new: Option<Oid>,
}

/// The index, being written aside by a thread. It may be changed by others until git's lock is taken. Whoever lets go of it waits.
#[must_use]
pub(super) struct IndexWriting(Receiver<Result<NewIndex, StoreError>>);

/// The index as it is to be: it lies aside, and lacks only the stat data of our files, which are not in their places yet, and its
/// checksum.
#[derive(Debug)]
pub(super) struct NewIndex {
    file: Changed,
    aside: File,
    /// Of the index that it is to replace.
    old: Option<(File, fs::Metadata)>,
    /// What git might take for unchanged, once the old index is younger.
    racy: Vec<Found>,
}

impl Store {
    /// Begins to write the index aside, with our entries set; the journal of `changes` is written already. None where there is no thread
    /// to do it.
    pub(super) fn write_index_ahead(
        &self,
        changes: &[(usize, &JournalChange)],
    ) -> Result<Option<IndexWriting>, StoreError> {
        let git = self.git()?;
        let (real, aside) = (git.git_dir.join("index"), Journal::index_aside(git));
        let edits = self.edits(changes)?;
        let (done, written) = mpsc::channel();
        let begun = self.crew.offer(move || {
            let _ = done.send(read(&real).and_then(|index| index.write(&edits, &aside)));
        });
        Ok(begun.then_some(IndexWriting(written)))
    }

    /// With git's lock held: writes the index aside with our entries set, but only those that hold what we expect. An index that can't
    /// be changed is found out here.
    pub(super) fn prepare_index(
        &self,
        changes: &[(usize, &JournalChange)],
        ahead: Option<IndexWriting>,
    ) -> Result<NewIndex, StoreError> {
        let git = self.git()?;
        let (real, aside) = (git.git_dir.join("index"), Journal::index_aside(git));
        if let Some(Ok(Ok(index))) = ahead.map(|ahead| ahead.0.recv())
            && is_same(index.old.as_ref().map(|(_, there)| there), &real)
        {
            return Ok(index);
        }
        // It was changed before we held the lock.
        lock::remove(&aside)?;
        read(&real)?.write(&self.edits(changes)?, &aside)
    }

    fn edits(&self, changes: &[(usize, &JournalChange)]) -> Result<Vec<Edit>, StoreError> {
        let edit = |change: &JournalChange| {
            let (path, new) = (self.in_index(&change.path()?)?, change.new_blob());
            Ok(Edit { path, expected: [change.base(), change.seen(), new], new })
        };
        changes.iter().map(|(_, change)| edit(change)).collect()
    }

    /// With our files in their places: completes the index, and puts it in its place.
    pub(super) fn place_index(
        &self,
        changes: &[(usize, &JournalChange)],
        NewIndex { mut file, aside, old, racy }: NewIndex,
        put: &HashMap<usize, fs::Metadata>,
        gathered: &Shared<'_>,
    ) -> Result<(), StoreError> {
        let git = self.git()?;
        let (real, path) = (git.git_dir.join("index"), Journal::index_aside(git));
        self.smudge_racy(&mut file, &racy);
        self.stamp_entries(&mut file, changes, put)?;
        let written = file.completed().iter().try_for_each(|(at, bytes)| aside.write_all_at(bytes, *at));
        written.map_err(|error| StoreError::io(&path, error))?;
        fs::rename(&path, &real).map_err(|error| StoreError::io(&real, error))?;
        old.into_iter().for_each(|(old, _)| gathered.close(old));
        Ok(())
    }

    /// Tells git of which files that they have their entries' content, so that it need not read them again: those that were `put` in
    /// their places, and those that are found to have it.
    fn stamp_entries(
        &self,
        file: &mut Changed,
        changes: &[(usize, &JournalChange)],
        put: &HashMap<usize, fs::Metadata>,
    ) -> Result<(), StoreError> {
        let mut set = Vec::new();
        for (number, change) in changes {
            let path = change.path()?;
            let full = self.in_index(&path)?;
            let Some(blob) = change.new_blob().filter(|_| file.has_set(&full)) else { continue };
            if let Some(there) = put.get(number) {
                file.stamp(&full, &entry(blob, Some(there)));
            } else {
                set.push((path.clone(), (self.absolute(&path), full, blob)));
            }
        }
        let root = &self.root;
        let stamped = ByFolder::new(set).map(|path, files| {
            let Some(folder) = Folder::of(root, path)? else { return Ok(Vec::new()) };
            let mut stamped = Vec::new();
            for (path, (absolute, full, blob)) in files {
                let there = absolute.symlink_metadata().ok();
                let content = folder.blob(path.split_last().1, path)?;
                if let Some(there) = there.filter(|_| content == Some(*blob)) {
                    stamped.push((full.clone(), entry(*blob, Some(&there))));
                }
            }
            Ok(stamped)
        });
        for (full, entry) in stamped.into_iter().collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten() {
            file.stamp(&full, &entry);
        }
        Ok(())
    }

    fn in_index(&self, path: &StorePath) -> Result<Vec<u8>, StoreError> {
        Ok(format!("{}/{path}", self.git()?.prefix).into_bytes())
    }

    /// Makes git look again at files that were changed in the same tick as the old index, or later: an index written now would make
    /// them look older than it, and so unchanged. Git does the same whenever it writes an index. Files that have their entry's content
    /// keep their stat data, as with git: `git merge --abort` and the like give up on an entry without it.
    fn smudge_racy(&self, index: &mut Changed, racy: &[Found]) {
        let mut budget = MAX_RACY_BYTES;
        let changed = racy.iter().filter(|found| !self.has_content_of(found, &mut budget));
        index.forget_size(changed);
    }

    /// Whether the work tree's file is, byte for byte, what the index says. Not to know, or not to be able to afford it, is no.
    fn has_content_of(&self, found: &Found, budget: &mut u64) -> bool {
        let Ok(git) = self.git() else { return false };
        let file = git.work_tree.join(OsStr::from_bytes(&found.path));
        let plain = file.symlink_metadata().ok().filter(fs::Metadata::is_file);
        let Some(left) = plain.and_then(|metadata| budget.checked_sub(metadata.len())) else { return false };
        *budget = left;
        let content = fs::read(&file);
        content.is_ok_and(|bytes| Oid::hash_object(ObjectType::Blob, &bytes).is_ok_and(|id| id == found.id))
    }
}

impl Drop for IndexWriting {
    fn drop(&mut self) {
        // What it writes is to be taken away.
        let _ = self.0.recv();
    }
}

impl NewIndex {
    /// Begins to bring to the disk what is there of it, without waiting: renaming it over the old one would do so too.
    pub(super) fn write_back(&self) {
        // Only time is lost without it. Pages that are on their way stay in memory.
        let _ = rustix::fs::fadvise(&self.aside, 0, None, Advice::DontNeed);
    }
}

impl Index {
    /// Writes it into the new file `aside`, with `edits`.
    fn write(self, edits: &[Edit], aside: &Path) -> Result<NewIndex, StoreError> {
        let Self { mut file, there } = self;
        // Whole seconds: git is usually built to compare no more than these.
        let mut racy: Vec<Found> =
            there.as_ref().map(|(_, there)| file.modified_since(there.mtime()).collect()).unwrap_or_default();
        for Edit { path, expected, new } in edits {
            let staged = file.staged(path);
            if !staged.conflicted && !expected.contains(&staged.id) {
                // Somebody staged something else: it stays staged.
                continue;
            }
            match new {
                Some(blob) => file.set(path, entry(*blob, None)),
                None => file.remove(path),
            }
        }
        racy.retain(|found| !file.is_edited(&found.path));
        let mut file = file.changed().map_err(refused)?;
        let make = || {
            let mut to = OpenOptions::new().write(true).create_new(true).mode(0o666).open(aside)?;
            // Git makes it as any file, and keeps what it has been made since, whatever the umask.
            if let Some((_, there)) = &there {
                to.set_permissions(Permissions::from_mode(there.mode() & 0o777))?;
            }
            file.parts().try_for_each(|part| to.write_all(part))?;
            Ok(to)
        };
        let to = make().map_err(|error| StoreError::io(aside, error))?;
        file.begin_hash(&racy);
        Ok(NewIndex { file, aside: to, old: there, racy })
    }
}

fn read(real: &Path) -> Result<Index, StoreError> {
    let failed = |error| StoreError::io(real, error);
    // Git would follow a link, and lock what it leads to; anything else could make us wait for ever.
    let not_plain = "it is no plain file";
    let mut open = match rustix::fs::open(real, PLAIN, Mode::empty()) {
        Ok(open) => File::from(open),
        Err(Errno::NOENT) => return Ok(Index { file: IndexFile::empty(), there: None }),
        Err(Errno::LOOP | Errno::NXIO) => return Err(refused(not_plain)),
        Err(error) => return Err(failed(error.into())),
    };
    let metadata = open.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused(not_plain));
    }
    let mut bytes = Bytes::zeroed(metadata.len()).map_err(failed)?;
    open.read_exact(&mut bytes).map_err(failed)?;
    let file = IndexFile::parse(bytes).map_err(refused)?;
    Ok(Index { file, there: Some((open, metadata)) })
}

fn refused(why: impl Display) -> StoreError {
    StoreError::Unsupported { what: format!("its index can't be changed: {why}") }
}

/// Whether the index is still the one that was read. Git never writes into one: each is another file, renamed over it.
fn is_same(there: Option<&fs::Metadata>, real: &Path) -> bool {
    let seen = |of: &fs::Metadata| {
        (of.dev(), of.ino(), of.len(), (of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec()))
    };
    there.map(seen) == real.symlink_metadata().ok().as_ref().map(seen)
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
