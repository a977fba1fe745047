//! The past of files that another program keeps in a repository of its own: its commits, and what they brought.
//!
//! Only objects are read, by the library: no program that such a repository names is run, and nothing in it is written.

use std::collections::HashMap;
use std::path::Path;

use git2::{DiffOptions, ErrorCode, FileMode, Oid, Repository, RepositoryOpenFlags, Sort};

use super::{BlobId, CommitId, StoreError};

/// One commit, with the files that it brought.
#[derive(Debug, Clone)]
pub struct PastCommit {
    /// Its id.
    pub id: CommitId,
    /// When its author made it, in seconds since 1970.
    pub time: i64,
    /// Files below the folder that differ from every parent, by name; none for one that is gone.
    pub files: Vec<(String, Option<BlobId>)>,
}

/// The history of a folder.
pub struct Past {
    repository: Repository,
    /// The folder within the work tree, with a slash at its end; empty for the work tree itself.
    prefix: String,
}

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Past {
    /// The history of `folder`; none where no repository is around it.
    ///
    /// # Errors
    /// [`StoreError`] for a repository that can't be used.
    pub fn of(folder: &Path) -> Result<Option<Self>, StoreError> {
        let none: [&std::ffi::OsStr; 0] = [];
        let repository = match Repository::open_ext(folder, RepositoryOpenFlags::empty(), none) {
            Ok(repository) => repository,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) if error.code() == ErrorCode::Owner => {
                return Err(StoreError::NotOwned { path: folder.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        let canonical = |path: &Path| path.canonicalize().map_err(|error| StoreError::io(path, error));
        let Some(work_tree) = repository.workdir().map(canonical).transpose()? else { return Ok(None) };
        let folder = canonical(folder)?;
        let Some(prefix) = folder.strip_prefix(&work_tree).ok().and_then(Path::to_str) else { return Ok(None) };
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Some(Self { repository, prefix }))
    }

    /// The commits that brought files, parents before children.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits(&self) -> Result<Vec<PastCommit>, StoreError> {
        let mut walk = self.repository.revwalk()?;
        match self.repository.head() {
            Ok(head) => walk.push(head.peel_to_commit()?.id())?,
            Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME | Sort::REVERSE)?;
        let mut commits = Vec::new();
        for id in walk {
            let commit = self.commit(id?)?;
            if !commit.files.is_empty() {
                commits.push(commit);
            }
        }
        Ok(commits)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`StoreError::Git`] when the object is not there.
    pub fn content(&self, blob: BlobId) -> Result<Vec<u8>, StoreError> {
        Ok(self.repository.find_blob(blob.0)?.content().to_vec())
    }

    fn commit(&self, id: Oid) -> Result<PastCommit, StoreError> {
        let commit = self.repository.find_commit(id)?;
        let parents: Vec<Option<git2::Commit<'_>>> =
            if commit.parent_count() == 0 { vec![None] } else { commit.parents().map(Some).collect() };
        let mut brought: Option<HashMap<String, Option<BlobId>>> = None;
        for parent in parents {
            let differs = self.differences(parent.as_ref(), &commit)?;
            brought = Some(match brought {
                Some(brought) => brought.into_iter().filter(|(name, _)| differs.contains_key(name)).collect(),
                None => differs,
            });
        }
        let mut files: Vec<_> = brought.unwrap_or_default().into_iter().collect();
        files.sort_unstable();
        Ok(PastCommit { id: CommitId(id), time: commit.author().when().seconds(), files })
    }

    fn differences(
        &self,
        parent: Option<&git2::Commit<'_>>,
        commit: &git2::Commit<'_>,
    ) -> Result<HashMap<String, Option<BlobId>>, StoreError> {
        let mut options = DiffOptions::new();
        if !self.prefix.is_empty() {
            options.pathspec(self.prefix.trim_end_matches('/')).disable_pathspec_match(true);
        }
        let before = parent.map(git2::Commit::tree).transpose()?;
        let diff = self.repository.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), Some(&mut options))?;
        let name = |file: &git2::DiffFile<'_>| file.path()?.to_str()?.strip_prefix(&self.prefix).map(ToOwned::to_owned);
        let changed = diff.deltas().filter_map(|delta| {
            let new = delta.new_file();
            let plain = matches!(new.mode(), FileMode::Blob | FileMode::BlobExecutable);
            Some((name(&new).or_else(|| name(&delta.old_file()))?, plain.then(|| BlobId(new.id()))))
        });
        Ok(changed.collect())
    }
}
