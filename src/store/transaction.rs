//! One change of the store: all of it, or nothing.
//!
//! Objects are written first, and a journal. With git's locks held, the files lie ready beside their places, very many objects in packs,
//! the index beside its own, and all of it has been brought to the disk; then the change is decided, and from there on it can be completed by whoever comes next: the
//! files, the index, and last the branch.

use std::cell::OnceCell;
use std::time::Instant;

use git2::{Oid, RepositoryState};

use super::batch::{Batch, FileChange, Mode, Person};
use super::durable::{Objects, Shared, Unflushed};
use super::folder::{ByFolder, Folder};
use super::index::NewIndex;
use super::journal::{Journal, JournalChange};
use super::lock::{self, Lock};
use super::made::{Made, blob_ids};
use super::objects::{NewFile, Persons};
use super::pack::Unpacked;
use super::recover::Recovered;
use super::refs::Head;
use super::tree::{CommitId, Tree};
use super::{Store, StoreError};

/// How often a lost race against a commit of other files is run again, however little time there is.
const RACES: usize = 20;

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The commit, where one was made.
    pub commit: Option<CommitId>,
    /// The short name of the branch that it is on; none when HEAD is detached.
    pub branch: Option<String>,
}

/// The store's lock, held, with the commit that HEAD named when it was taken.
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a Store,
    base: Option<CommitId>,
    base_tree: OnceCell<Option<Tree<'a>>>,
    recovered: Option<Recovered>,
    lock: Lock,
}

impl Store {
    /// Takes the store's lock, waiting as long as the options say, and first completes or undoes what a killed command began.
    /// `purpose` is what others are told while they wait.
    ///
    /// # Errors
    /// [`StoreError::NoRepository`], [`StoreError::Locked`], or what keeps the repository from being written.
    pub fn begin(&self, purpose: &str) -> Result<Transaction<'_>, StoreError> {
        let (lock, recovered) = self.hold(purpose)?;
        Ok(Transaction { store: self, base: self.head()?, base_tree: OnceCell::new(), recovered, lock })
    }

    fn hold(&self, purpose: &str) -> Result<(Lock, Option<Recovered>), StoreError> {
        let git = self.git()?;
        // A repository that can't be used at all is refused before a file of ours is made in it.
        self.repository()?;
        let lock = lock::acquire(git, self.options.lock_timeout, purpose)?;
        let recovered = self.recover_locked(&lock)?;
        Ok((lock, recovered))
    }

    /// That a commit could be made now: the lock can be taken, and git knows who commits.
    ///
    /// # Errors
    /// As for [`Store::begin`], and [`StoreError::NoGitUser`].
    pub fn demand_writable(&self, author: Option<&Person>, committer: Option<&Person>) -> Result<(), StoreError> {
        let _held = self.hold("look")?;
        self.head()?;
        self.persons(author, committer).map(drop)
    }
}

impl<'a> Transaction<'a> {
    /// The store, for reading while nobody of ours can write.
    #[must_use]
    pub const fn store(&self) -> &'a Store {
        self.store
    }

    /// The commit to plan upon; none on an unborn branch.
    ///
    /// # Errors
    /// As for [`Store::tree_of`].
    pub fn base(&self) -> Result<Option<&Tree<'a>>, StoreError> {
        if self.base_tree.get().is_none() {
            // Nobody else can have set it.
            let _ = self.base_tree.set(self.base.as_ref().map(|commit| self.store.tree_of(commit)).transpose()?);
        }
        Ok(self.base_tree.get().and_then(Option::as_ref))
    }

    /// What a killed command had begun.
    #[must_use]
    pub const fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Does all of `batch` or nothing.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed then, except with [`StoreError::Unfinished`].
    pub fn apply(self, batch: Batch) -> Result<Applied, StoreError> {
        let result = self.perform(&batch);
        if result.is_err() {
            // Objects may have been written in part.
            self.lock.leave_to_next();
        }
        result
    }

    fn perform(&self, batch: &Batch) -> Result<Applied, StoreError> {
        self.check(batch)?;
        match batch.mode {
            Mode::Stage => self.stage(batch),
            Mode::Commit => {
                let persons = self.store.persons(batch.author.as_ref(), batch.committer.as_ref())?;
                let deadline = Instant::now() + self.store.options.lock_timeout;
                let mut lost = 0;
                while lost < RACES || Instant::now() < deadline {
                    if let Some(applied) = self.attempt(batch, &persons)? {
                        return Ok(applied);
                    }
                    lost += 1;
                }
                Err(StoreError::GitLocked { file: self.store.git()?.git_dir.join("HEAD.lock") })
            }
        }
    }

    fn check(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.mode == Mode::Commit
            && let Some(operation) = operation(self.store.repository()?.state())
        {
            return Err(StoreError::InProgress { operation });
        }
        let files = batch.changes.iter().map(|change| (change.path.clone(), u64::MAX)).collect::<Vec<_>>();
        for (change, there) in batch.changes.iter().zip(self.store.read_many(&files)) {
            if there? != change.seen {
                return Err(StoreError::DirtyWorkTree { path: change.path.to_string() });
            }
        }
        Ok(())
    }

    /// One try at a commit upon what HEAD names now; none when somebody else was quicker.
    fn attempt(&self, batch: &Batch, persons: &Persons) -> Result<Option<Applied>, StoreError> {
        let store = self.store;
        let head = store.head_state()?;
        self.check_base(batch, &head)?;
        let mut made = Made::default();
        let (blobs, tree) = store.make_tree(head.commit, &self.files(batch)?, &mut made)?;
        let (commit, unflushed, unpacked) = store.make_commit(head.commit, tree, &batch.message, persons, made)?;
        let journal = self.journal(batch, &blobs, &head, Some(commit))?;
        let done = self.carry_out(&journal, batch, unflushed, unpacked)?;
        let branch = head.branch.as_ref().map(|name| name.trim_start_matches("refs/heads/").to_owned());
        Ok(done.then_some(Applied { commit: Some(CommitId(commit)), branch }))
    }

    fn files<'b>(&self, batch: &'b Batch) -> Result<Vec<NewFile<'b>>, StoreError> {
        let prefix = &self.store.git()?.prefix;
        let file = |change: &'b FileChange| (format!("{prefix}/{}", change.path), change.content.as_deref());
        Ok(batch.changes.iter().map(file).collect())
    }

    /// Writes the files and stages them, without a commit.
    fn stage(&self, batch: &Batch) -> Result<Applied, StoreError> {
        let store = self.store;
        let mut made = Made::default();
        let blobs = Store::make_blobs(&self.files(batch)?, &mut made)?;
        // What is only staged is decided as soon as its journal is in force.
        let objects = store.write_objects(made)?;
        let journal = self.journal(batch, &blobs, &store.head_state()?, None)?;
        let done = self.carry_out(&journal, batch, Unflushed::default(), None);
        self.let_go(objects);
        done.map(|_| Applied { commit: None, branch: None })
    }

    /// Lets go of the packs of `objects`, which have been named or are not needed.
    fn let_go(&self, objects: Objects) {
        if objects.release().is_err() {
            self.lock.leave_to_next();
        }
    }

    /// The branch may have moved since the plan, as long as our files did not change on it.
    fn check_base(&self, batch: &Batch, head: &Head) -> Result<(), StoreError> {
        let base = self.base.as_ref().map(|commit| commit.0);
        if head.commit == base {
            return Ok(());
        }
        let now = head.commit.map(|id| self.store.tree_of(&CommitId(id))).transpose()?;
        let before = self.base()?;
        for path in batch.changes.iter().map(|change| &change.path).chain(&batch.unchanged) {
            let blob = |tree: Option<&Tree<'_>>| tree.map(|tree| tree.blob(path)).transpose();
            if blob(before)?.flatten() != blob(now.as_ref())?.flatten() {
                return Err(StoreError::Conflict { path: path.to_string() });
            }
        }
        Ok(())
    }

    fn journal(
        &self,
        batch: &Batch,
        blobs: &[Option<Oid>],
        head: &Head,
        commit: Option<Oid>,
    ) -> Result<Journal, StoreError> {
        let moved = match head.commit {
            Some(id) if self.base != Some(CommitId(id)) => Some(self.store.tree_of(&CommitId(id))?),
            _ => None,
        };
        let tree = if let Some(moved) = &moved { Some(moved) } else { self.base()? };
        let bases = match tree {
            Some(tree) => tree.blobs(batch.changes.iter().map(|change| &change.path))?,
            None => vec![None; batch.changes.len()],
        };
        let seen = blob_ids(&batch.changes.iter().map(|change| change.seen.as_deref()).collect::<Vec<_>>())?;
        let changes = batch.changes.iter().zip(seen).zip(blobs).zip(bases);
        let changes = changes
            .map(|(((change, seen), new), base)| JournalChange::new(&change.path, seen, base.map(|blob| blob.0), *new));
        let changes = changes.collect();
        Journal::new(&self.store.git()?.prefix, head, commit, changes)
    }

    /// Takes git's locks, lays everything ready, decides, completes. `Ok(false)` when somebody else had moved the branch. Nothing was
    /// changed then, nor with any error but [`StoreError::Unfinished`].
    fn carry_out(
        &self,
        journal: &Journal,
        batch: &Batch,
        objects: Unflushed,
        unpacked: Option<Unpacked>,
    ) -> Result<bool, StoreError> {
        let (index, objects) = match self.lay_ready(journal, batch, objects, unpacked) {
            Ok(ready) => ready,
            Err(error) => return Err(self.abandon(journal, error)?),
        };
        let done = self.decide_and_complete(journal, index, &objects);
        self.let_go(objects);
        done
    }

    /// With everything laid ready: as [`Transaction::carry_out`].
    fn decide_and_complete(&self, journal: &Journal, index: NewIndex, objects: &Objects) -> Result<bool, StoreError> {
        let store = self.store;
        // What a `git gc` took away or packed meanwhile is written again: no branch must name what is not there.
        let there = objects.files.iter().all(|path| path.symlink_metadata().is_ok());
        let decided = if there { store.decide(journal) } else { Ok(false) };
        let decided = match decided {
            // An error behind the mark changes nothing about it.
            Err(error) if !store.is_decided(journal)? => return Err(self.abandon(journal, error)?),
            Err(_) => true,
            Ok(decided) => decided,
        };
        if !decided {
            return store.release(journal).map(|()| false);
        }
        if let Err(error) = store.complete(journal, &journal.numbered(), Some(index)) {
            return match store.settle(journal) {
                Ok(true) => Ok(true),
                // Somebody took the commit away.
                Ok(false) => Err(error),
                Err(_) => Err(StoreError::Unfinished { source: Box::new(error) }),
            };
        }
        Ok(true)
    }

    /// Lets go of everything after `error`, and gives what is to be said.
    fn abandon(&self, journal: &Journal, error: StoreError) -> Result<StoreError, StoreError> {
        match self.store.release(journal) {
            // What is only staged is carried forward by its journal, which couldn't be removed.
            Err(_) if journal.new_commit().is_none() && Journal::load(self.store.git()?)?.is_some() => {
                Ok(StoreError::Unfinished { source: Box::new(error) })
            }
            _ => Ok(error),
        }
    }

    /// Everything up to the decision. When it is done everything is on the disk, `objects` too, whose files are given back.
    fn lay_ready(
        &self,
        journal: &Journal,
        batch: &Batch,
        mut objects: Unflushed,
        unpacked: Option<Unpacked>,
    ) -> Result<(NewIndex, Objects), StoreError> {
        let (store, git) = (self.store, self.store.git()?);
        journal.write(git, &mut objects)?;
        let changes = journal.numbered();
        let objects = objects.start(&store.crew);
        let index = store.write_index_ahead(&changes)?;
        let objects = objects.wait()?;
        let mut unflushed = Unflushed::default();
        Journal::put_in_force(git, &mut unflushed)?;
        store.take_git_locks(journal, &mut unflushed)?;
        let (root, unflushed) = (&store.root, Shared::new(unflushed, &store.crew));
        let made = batch.changes.iter().enumerate();
        let made = made.filter_map(|(number, change)| Some((change.path.clone(), (number, change.content.as_ref()?))));
        let made = ByFolder::new(made);
        let lay_files = || {
            made.each(|path, files| {
                let folder = Folder::make(root, path)?;
                for (_, (number, content)) in files {
                    let name = journal.temporary(*number);
                    let file = folder.write_new(&name, content)?;
                    unflushed.add(&folder.place().join(name), file)?;
                }
                Ok(())
            })
        };
        let mut packs = Unflushed::default();
        match unpacked {
            None => lay_files()?,
            Some(unpacked) => {
                let (laid, packed) = rayon::join(lay_files, || unpacked.write(&mut packs));
                laid.and(packed)?;
            }
        }
        let mut unflushed = unflushed.into_unflushed();
        let mut objects = objects.place(&mut unflushed)?;
        unflushed.absorb(packs)?;
        let files = unflushed.start(&store.crew);
        let index = store.prepare_index(&changes, index)?;
        // Packs get their names once they are on the disk, as other objects do.
        let mut folders = Unflushed::default();
        objects.absorb(files.wait()?.place(&mut folders)?);
        folders.flush(&store.crew).map(drop)?;
        Ok((index, objects))
    }
}

const fn operation(state: RepositoryState) -> Option<&'static str> {
    match state {
        RepositoryState::Clean => None,
        RepositoryState::Merge => Some("merge"),
        RepositoryState::Revert | RepositoryState::RevertSequence => Some("revert"),
        RepositoryState::CherryPick | RepositoryState::CherryPickSequence => Some("cherry-pick"),
        RepositoryState::Bisect => Some("bisect"),
        RepositoryState::Rebase | RepositoryState::RebaseInteractive | RepositoryState::RebaseMerge => Some("rebase"),
        RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => Some("git am"),
    }
}
