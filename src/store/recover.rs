//! Completing or undoing a transaction: its own last steps, and what the next command does after a kill.

use std::fs::Metadata;
use std::path::{Component, Path};
use std::time::SystemTime;

use super::durable::{Shared, Unflushed};
use super::folder::{ByFolder, Folder};
use super::index::NewIndex;
use super::journal::{Journal, JournalChange};
use super::locate::{GitPlace, STORE};
use super::lock::{self, Lock};
use super::{Store, StoreError, StoreOptions, StorePath, loose, pack};
use crate::private;

/// How the names of objects begin that git is still writing.
const GIT_UNFINISHED: &str = "tmp_obj_";

/// What became of a killed command's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// It had been decided, and was completed; these files were concerned.
    Completed(Vec<String>),
    /// It had not been decided, and was undone; these files were concerned.
    Undone(Vec<String>),
}

impl Store {
    /// Whether a command left a journal or its note in the lock: it was killed, or is at work. A cheap look.
    #[must_use]
    pub fn pending_recovery(&self) -> bool {
        self.git.as_ref().is_some_and(|git| Journal::exists(git) || lock::is_signed(git))
    }

    /// Undoes, in the work tree around `start`, what a killed command had begun that was to make its first store. Nothing to do is no error.
    ///
    /// # Errors
    /// As [`Store::recover`].
    pub fn recover_without_store(start: &Path, options: StoreOptions) -> Result<Option<Recovered>, StoreError> {
        match Self::locate_new(start, false, options) {
            Ok(store) if store.pending_recovery() => store.recover(),
            // Outside a work tree there is nothing to recover; a store elsewhere in it recovers when it is used.
            _ => Ok(None),
        }
    }

    /// Completes or undoes what a killed command began, under the store's lock.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another command is at work, or what keeps the repository from being written.
    pub fn recover(&self) -> Result<Option<Recovered>, StoreError> {
        let git = self.git()?;
        let lock = if Journal::exists(git) {
            Some(lock::acquire(git, self.options.lock_timeout, "recover")?)
        } else {
            // Without a journal nothing can be wrong; what lies about can wait for whoever is at work.
            lock::acquire_if_free(git, "recover")?
        };
        lock.map_or(Ok(None), |lock| self.recover_locked(&lock))
    }

    pub(super) fn recover_locked(&self, lock: &Lock) -> Result<Option<Recovered>, StoreError> {
        let recovered = self.settle_what_is_left(lock)?;
        pack::release_kept(&self.git()?.common_dir.join("objects"));
        Ok(recovered)
    }

    fn settle_what_is_left(&self, lock: &Lock) -> Result<Option<Recovered>, StoreError> {
        if let Some(killed) = lock.killed()
            && !self.remove_unfinished_objects(killed)?
        {
            lock.leave_to_next();
        }
        Journal::remove_unfinished(self.git()?)?;
        let Some(journal) = Journal::load(self.git()?)? else { return Ok(None) };
        let files = journal.changes.iter().map(|change| change.path().map(|path| path.to_string()));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let completed = match self.sibling(journal.store())? {
            Some(other) => other.settle(&journal)?,
            None => self.settle(&journal)?,
        };
        Ok(Some(if completed { Recovered::Completed(files) } else { Recovered::Undone(files) }))
    }

    /// The work tree's store at `prefix`; none when that is this one.
    fn sibling(&self, prefix: &str) -> Result<Option<Self>, StoreError> {
        let git = self.git()?;
        if prefix == git.prefix {
            return Ok(None);
        }
        let root = git.work_tree.join(prefix);
        let plain = Path::new(prefix).components().all(|part| matches!(part, Component::Normal(_)));
        // Nothing is written through a link, nor where no store is found by its name: somebody else may have written the journal.
        let direct = root.parent().is_some_and(|parent| parent.canonicalize().is_ok_and(|real| real == parent));
        if !plain || !direct || !root.ends_with(STORE) {
            return Err(StoreError::BegunElsewhere { place: prefix.to_owned() });
        }
        let git = Some(GitPlace { prefix: prefix.to_owned(), ..git.clone() });
        Ok(Some(Self::at(root, git, self.options.clone())))
    }

    /// Removes what a killed command left of objects that it was writing; git would remove them in some weeks. Whether nothing is left.
    fn remove_unfinished_objects(&self, since: SystemTime) -> Result<bool, StoreError> {
        let objects = self.git()?.common_dir.join("objects");
        let mut none_left = private::remove_stale(&objects.join("pack"), pack::UNFINISHED, since);
        none_left &= private::remove_stale(&objects, loose::UNFINISHED, since);
        // A git that signs writes one itself.
        for byte in 0..=u8::MAX {
            none_left &= private::remove_stale(&objects.join(format!("{byte:02x}")), GIT_UNFINISHED, since);
        }
        Ok(none_left)
    }

    /// Completes the transaction if it was decided, else undoes it; whether it was.
    pub(super) fn settle(&self, journal: &Journal) -> Result<bool, StoreError> {
        if !self.is_decided(journal)? {
            // Work tree and index are touched only after the decision: there is nothing to put back.
            self.release(journal)?;
            return Ok(false);
        }
        let git = self.git()?;
        let (token, target) = (journal.token(git), Journal::index_lock(git));
        if self.head_state()?.branch == journal.branch {
            self.demand_staged_contents(journal)?;
            let held = lock::is_ours(&token, &target);
            if !held {
                lock::remove(&token)?;
                lock::write_new(&token, b"")?;
                lock::link(&token, &target, self.options.lock_timeout)?;
            }
            let wanted = self.still_current(journal);
            let completed = wanted.and_then(|wanted| self.complete(journal, &wanted, None));
            if completed.is_err() && !held {
                // As it was found: git goes on, and the next command tries again.
                lock::unlink(&token, &target)?;
                lock::remove(&token)?;
            }
            completed?;
        } else {
            // Somebody switched branches since: this work tree is no longer the one that was to be changed. The other branch gets its commit.
            let unflushed = Shared::new(Unflushed::default(), &self.crew);
            self.land(journal, &unflushed)?;
            unflushed.flush()?;
            self.release(journal)?;
        }
        Ok(true)
    }

    /// That what was only staged is in this repository, before anything is touched: the journal may have come from another clone.
    fn demand_staged_contents(&self, journal: &Journal) -> Result<(), StoreError> {
        let objects = self.repository()?.odb()?;
        let mut contents = journal.changes.iter().filter_map(JournalChange::new_blob);
        if journal.new_commit().is_some() || contents.all(|blob| objects.exists(blob)) {
            return Ok(());
        }
        Err(Journal::damaged(self.git()?))
    }

    /// Whether there is no way back: for a commit, whether that was marked, or the branch has it. What is only staged is carried forward
    /// once its journal is in force, for its contents are in the repository then.
    pub(super) fn is_decided(&self, journal: &Journal) -> Result<bool, StoreError> {
        let Some(new) = journal.new_commit() else { return Ok(true) };
        if self.repository()?.find_commit(new).is_err_and(|error| error.code() == git2::ErrorCode::NotFound) {
            // It is written before its journal: one that is not here was made in another clone.
            return Ok(false);
        }
        Ok(journal.is_marked_decided(self.git()?) || self.has_landed(journal)?)
    }

    /// Takes the locks of index, HEAD and branch, in git's own way.
    pub(super) fn take_git_locks(&self, journal: &Journal, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let git = self.git()?;
        let timeout = self.options.lock_timeout;
        let token = journal.token(git);
        lock::write_new(&token, b"")?;
        lock::link(&token, &Journal::index_lock(git), timeout)?;
        let Some(commit) = journal.new_commit() else { return Ok(()) };
        if journal.branch.is_some() {
            lock::link(&token, &Journal::head_lock(git), timeout)?;
        }
        unflushed.add(&journal.reference_token(git), self.write_reference(journal, commit)?)?;
        self.lock_reference(journal)
    }

    /// Brings work tree and index to what was decided, where they still hold what they held, then the branch, and lets go of everything.
    ///
    /// The branch comes last: git reads HEAD, then the index, and locks that afterwards. So a commit that began upon the new branch has
    /// read the new index; any other finds the branch moved, and fails.
    pub(super) fn complete(
        &self,
        journal: &Journal,
        wanted: &[Numbered<'_>],
        index: Option<NewIndex>,
    ) -> Result<(), StoreError> {
        let files = by_folder(wanted)?;
        let recovers = index.is_none();
        if recovers {
            self.make_ready_again(journal, &files)?;
        }
        let (root, unflushed) = (&self.root, Shared::new(Unflushed::default(), &self.crew));
        let put = files.map(|path, files| {
            let folder = Folder::make(root, path)?;
            let (mut changed, mut put) = (false, Vec::new());
            for (path, (number, change)) in files {
                if let Some(there) = bring(&folder, path, change, &journal.temporary(*number), &unflushed)? {
                    changed = true;
                    put.extend(there.map(|there| (*number, there)));
                }
            }
            // Who was killed, or failed, may have come so far and no further.
            if changed || recovers {
                folder.gather(&unflushed)?;
            }
            Ok(put)
        });
        let put = put.into_iter().collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect();
        let index = index.map_or_else(|| self.prepare_index(wanted, None), Ok)?;
        index.write_back();
        let flushing = unflushed.start();
        self.place_index(wanted, index, &put, &unflushed)?;
        self.land(journal, &unflushed)?;
        unflushed.flush()?;
        flushing.wait()?;
        self.release(journal)
    }

    /// The changes that a later commit has not overtaken.
    fn still_current<'j>(&self, journal: &'j Journal) -> Result<Vec<(usize, &'j JournalChange)>, StoreError> {
        let mut wanted = journal.numbered();
        if self.has_landed(journal)?
            && let Some(tree) = self.head_tree()?
        {
            let mut current = Vec::new();
            for (number, change) in wanted {
                if tree.blob(&change.path()?)?.map(|blob| blob.0) == change.new_blob() {
                    current.push((number, change));
                }
            }
            wanted = current;
        }
        Ok(wanted)
    }

    /// Sees to it that what is to be put in place lies ready: a kill may have cut it off, or it is gone.
    fn make_ready_again(&self, journal: &Journal, files: &ByFolder<Numbered<'_>>) -> Result<(), StoreError> {
        let repository = self.repository()?;
        let mut unflushed = Unflushed::default();
        for (path, (number, change)) in files.iter() {
            let (Some(blob), name) = (change.new_blob(), journal.temporary(*number)) else { continue };
            let folder = Folder::make(&self.root, path)?;
            let there = folder.blob(path.split_last().1, path)?;
            if there == Some(blob) || there != change.seen() || folder.blob(&name, path)? == Some(blob) {
                continue;
            }
            let content = repository.find_blob(blob)?.content().to_vec();
            folder.remove(&name)?;
            unflushed.add(&folder.place().join(&name), folder.write_new(&name, &content)?)?;
        }
        unflushed.flush(&self.crew).map(drop)
    }

    /// Removes temporary files, releases the locks that are provably ours, and forgets the journal.
    pub(super) fn release(&self, journal: &Journal) -> Result<(), StoreError> {
        let git = self.git()?;
        // Once the locks are free the branch may be put back, and must stay so.
        lock::remove(&journal.decision(git))?;
        let (root, unflushed) = (&self.root, Shared::new(Unflushed::default(), &self.crew));
        by_folder(&journal.numbered())?.each(|path, files| {
            match Folder::of(root, path) {
                Ok(Some(folder)) => {
                    let mut removed = false;
                    for (_, (number, _)) in files {
                        removed |= folder.remove(&journal.temporary(*number))?;
                    }
                    if removed {
                        folder.gather(&unflushed)?;
                    }
                }
                // A folder that has become a link holds nothing of ours any more.
                Ok(None) | Err(StoreError::NotPlain { .. }) => {}
                Err(error) => return Err(error),
            }
            Folder::remove_empty(root, path);
            Ok(())
        })?;
        // Whatever comes of it, nobody must find git locked.
        let flushed = unflushed.flush();
        lock::unlink(&journal.reference_token(git), &journal.reference_lock(git))?;
        lock::unlink(&journal.token(git), &Journal::head_lock(git))?;
        lock::unlink(&journal.token(git), &Journal::index_lock(git))?;
        flushed?;
        journal.remove(git)
    }
}

/// A change with the number that its temporary file is named by.
type Numbered<'j> = (usize, &'j JournalChange);

fn by_folder<'j>(changes: &[Numbered<'j>]) -> Result<ByFolder<Numbered<'j>>, StoreError> {
    let files = changes.iter().map(|numbered| Ok((numbered.1.path()?, *numbered)));
    Ok(ByFolder::new(files.collect::<Result<Vec<_>, StoreError>>()?))
}

/// Puts what lies ready in its place, unless the file is not what it was: none when nothing was done, else what [`Folder::rename`] says.
fn bring(
    folder: &Folder,
    path: &StorePath,
    change: &JournalChange,
    temporary: &str,
    gathered: &Shared<'_>,
) -> Result<Option<Option<Metadata>>, StoreError> {
    let name = path.split_last().1;
    let (there, old) = folder.blob_open(name, path)?.unzip();
    if there == change.new_blob() || there != change.seen() {
        return Ok(None);
    }
    old.into_iter().for_each(|old| gathered.close(old));
    match change.new_blob() {
        Some(_) => folder.rename(temporary, name).map(Some),
        None => folder.remove(name).map(|_| Some(None)),
    }
}
