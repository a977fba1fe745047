//! The past of files that another program keeps in a repository of its own: its commits, and what they brought.
//!
//! Only objects are read, by the library: no program that such a repository names is run, and nothing in it is written.

use std::collections::HashMap;
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryOpenFlags, Sort};

use super::branch::entries_of_both;
use super::tree::{MOST_ENTRIES, MOST_PATH_BYTES, read_blob};
use super::{BlobId, CommitId, StoreError};

/// The modes of files that are neither links nor submodules.
const PLAIN: [i32; 2] = [0o100_644, 0o100_755];

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
    /// The folder within the work tree; empty for the work tree itself.
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
        let prefix = prefix.to_owned();
        Ok(Some(Self { repository, prefix }))
    }

    /// The commits that brought files, parents before children.
    ///
    /// # Errors
    /// [`StoreError::TooMany`], [`StoreError::Git`].
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

    /// The bytes of a file, at most `max`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], or [`StoreError::Git`] when the object is not there.
    pub fn content(&self, blob: BlobId, max: u64) -> Result<Vec<u8>, StoreError> {
        read_blob(&self.repository, blob.0, max, &blob.to_string())
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
        let before = parent.map(|parent| self.folder_in(parent)).transpose()?.flatten();
        let mut folders = vec![(String::new(), [before, self.folder_in(commit)?])];
        let (mut changed, mut seen) = (HashMap::new(), [0, 0]);
        while let Some((folder, sides)) = folders.pop() {
            for (name, [was, is]) in entries_of_both(&self.repository, sides, &mut seen)? {
                let Ok(name) = std::str::from_utf8(&name) else { continue };
                if was == is {
                    continue;
                }
                let path = format!("{folder}{name}");
                let below = [was, is].map(|side| side.filter(|entry| entry.is_folder).map(|entry| entry.id));
                if below.iter().any(Option::is_some) && path.len() < MOST_PATH_BYTES {
                    folders.push((format!("{path}/"), below));
                }
                if [was, is].iter().flatten().any(|entry| !entry.is_folder) {
                    let plain = is.filter(|entry| PLAIN.contains(&entry.mode));
                    changed.insert(path, plain.map(|entry| BlobId(entry.id)));
                }
            }
            if seen.iter().any(|seen| *seen > MOST_ENTRIES) {
                return Err(StoreError::TooMany { folder: format!("the commit {}", commit.id()), most: MOST_ENTRIES });
            }
        }
        Ok(changed)
    }

    /// The folder in a commit; none where that has something else there, or nothing.
    fn folder_in(&self, commit: &git2::Commit<'_>) -> Result<Option<Oid>, StoreError> {
        let tree = commit.tree()?;
        if self.prefix.is_empty() {
            return Ok(Some(tree.id()));
        }
        match tree.get_path(Path::new(&self.prefix)) {
            Ok(entry) => Ok(Some(entry.id()).filter(|_| entry.kind() == Some(ObjectType::Tree))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
