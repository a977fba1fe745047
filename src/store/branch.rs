//! Branches and the way from one commit to another: what trust in a branch is checked by.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use git2::{ObjectType, Oid, Repository};

use super::tree::{CommitId, MOST_ENTRIES, Tree};
use super::{Store, StoreError, StorePath};

const REMOTE_HEAD: &str = "refs/remotes/origin/HEAD";

impl Store {
    /// The commit that the reference with the full name `name` names; none where there is no such reference. Reads git's files itself:
    /// plain reads open no repository.
    ///
    /// # Errors
    /// [`StoreError`] when a file can't be read.
    pub fn reference(&self, name: &str) -> Result<Option<CommitId>, StoreError> {
        let Some(git) = &self.git else { return Ok(None) };
        let id = |text: &str| Oid::from_str(text.trim()).ok().map(CommitId);
        let loose = git.common_dir.join(name);
        match fs::read_to_string(&loose) {
            Ok(text) => return Ok(id(&text)),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory | std::io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(StoreError::io(&loose, error)),
        }
        let packed = git.common_dir.join("packed-refs");
        let text = match fs::read_to_string(&packed) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&packed, error)),
        };
        Ok(text.lines().find_map(|line| id(line.strip_suffix(name)?.strip_suffix(' ')?)))
    }

    /// The full name of the branch that the remote `origin` calls its own, as this clone has it; none where that is not known.
    #[must_use]
    pub fn remote_head(&self) -> Option<String> {
        let file = self.git.as_ref()?.common_dir.join(REMOTE_HEAD);
        let text = fs::read_to_string(file).ok()?;
        let target = text.strip_prefix("ref: ")?.trim();
        target.starts_with("refs/remotes/").then(|| target.to_owned())
    }

    /// The short name of the branch that is checked out; none when HEAD is detached.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        let text = fs::read_to_string(self.git.as_ref()?.git_dir.join("HEAD")).ok()?;
        text.strip_prefix("ref: refs/heads/").map(|name| name.trim().to_owned())
    }

    /// Whether `commit` is in this repository.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be opened.
    pub fn has_commit(&self, commit: &CommitId) -> Result<bool, StoreError> {
        Ok(self.repository()?.find_commit(commit.0).is_ok())
    }

    /// The commit that `rev` names, in any way git knows.
    ///
    /// # Errors
    /// [`StoreError::NoCommit`].
    pub fn commit_named(&self, rev: &str) -> Result<CommitId, StoreError> {
        let object = self.repository()?.revparse_single(rev).map_err(|_| StoreError::NoCommit)?;
        object.peel_to_commit().map(|commit| CommitId(commit.id())).map_err(|_| StoreError::NoCommit)
    }

    /// Whether `tip` is `commit` or descends from it.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn contains(&self, tip: &CommitId, commit: &CommitId) -> Result<bool, StoreError> {
        Ok(tip == commit || self.repository()?.graph_descendant_of(tip.0, commit.0)?)
    }

    /// The newest commit that both contain; none where they share no history here.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, StoreError> {
        match self.repository()?.merge_base(a.0, b.0) {
            Ok(base) => Ok(Some(CommitId(base))),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The commits from behind `from` to `tip`, oldest first, each the first parent of the next. Where `from` is no first parent on that way,
    /// the way begins with the oldest commit there that contains it.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn first_parents(&self, from: &CommitId, tip: &CommitId) -> Result<Vec<CommitId>, StoreError> {
        let repository = self.repository()?;
        let mut walk = repository.revwalk()?;
        walk.push(tip.0)?;
        walk.hide(from.0)?;
        let new = walk.collect::<Result<HashSet<Oid>, _>>()?;
        let mut way = Vec::new();
        let mut at = Some(tip.0);
        while let Some(commit) = at.filter(|commit| new.contains(commit)) {
            way.push(CommitId(commit));
            at = repository.find_commit(commit)?.parent_id(0).ok();
        }
        if at != Some(from.0) {
            // Those that contain `from` come first: to ask each would cost the square of their number.
            let (mut with, mut without) = (0, way.len());
            while with < without {
                let middle = usize::midpoint(with, without);
                let contains = way.get(middle).map(|commit| self.contains(commit, from)).transpose()?;
                if contains == Some(true) { with = middle + 1 } else { without = middle }
            }
            way.truncate(with);
        }
        way.reverse();
        Ok(way)
    }

    /// The first parent of `commit`; none of a root, or where history is cut off.
    ///
    /// # Errors
    /// [`StoreError`] when the commit can't be read.
    pub fn parent_of(&self, commit: &CommitId) -> Result<Option<CommitId>, StoreError> {
        let commit = self.repository()?.find_commit(commit.0)?;
        Ok(commit.parent_ids().next().map(CommitId).filter(|parent| self.has_commit(parent).unwrap_or_default()))
    }

    /// What `commit` merged in: its parents but for the first, as far as they are here.
    ///
    /// # Errors
    /// [`StoreError`] when the commit can't be read.
    pub fn merged_into(&self, commit: &CommitId) -> Result<Vec<CommitId>, StoreError> {
        let commit = self.repository()?.find_commit(commit.0)?;
        let others = commit.parent_ids().skip(1).map(CommitId);
        Ok(others.filter(|parent| self.has_commit(parent).unwrap_or_default()).collect())
    }

    /// Whether two trees have the same below `folder`: a cheap look. None has nothing there.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn is_same(a: Option<&Tree<'_>>, b: Option<&Tree<'_>>, folder: &StorePath) -> Result<bool, StoreError> {
        Ok(folder_in(a, folder)? == folder_in(b, folder)?)
    }

    /// What is below `folder` in one of two trees and not in the other, or otherwise. None has nothing there, and neither has one with something else in
    /// the folder's place.
    ///
    /// # Errors
    /// [`StoreError::TooMany`], or when the repository can't be read.
    pub fn changed(
        &self,
        a: Option<&Tree<'_>>,
        b: Option<&Tree<'_>>,
        folder: &StorePath,
    ) -> Result<Vec<StorePath>, StoreError> {
        let mut folders = vec![(folder.clone(), [folder_in(a, folder)?, folder_in(b, folder)?])];
        let repository = self.repository()?;
        let mut files = Vec::new();
        let mut seen = [0, 0];
        while let Some((at, sides)) = folders.pop() {
            for (name, sides) in entries_of_both(repository, sides, &mut seen)? {
                // A name that is not text is no name of ours.
                let path = std::str::from_utf8(&name).ok().and_then(|name| format!("{at}/{name}").parse().ok());
                let Some(path): Option<StorePath> = path else { continue };
                let [one, other] = sides;
                if one == other {
                    continue;
                }
                let folder = |side: Option<Entry>| side.filter(|entry| entry.is_folder).map(|entry| entry.id);
                let below = sides.map(folder);
                if below.iter().any(Option::is_some) {
                    folders.push((path.clone(), below));
                }
                if sides.iter().flatten().any(|entry| !entry.is_folder) {
                    files.push(path);
                }
            }
            if seen.iter().any(|seen| *seen > MOST_ENTRIES) {
                return Err(StoreError::TooMany { folder: folder.to_string(), most: MOST_ENTRIES });
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// What lies directly in two folders, by name; `seen` counts it for each.
pub(super) fn entries_of_both(
    repository: &Repository,
    folders: [Option<Oid>; 2],
    seen: &mut [usize; 2],
) -> Result<BTreeMap<Vec<u8>, [Option<Entry>; 2]>, StoreError> {
    let mut both: BTreeMap<Vec<u8>, [Option<Entry>; 2]> = BTreeMap::new();
    for ((side, folder), seen) in folders.into_iter().enumerate().zip(seen) {
        let Some(folder) = folder else { continue };
        let tree = repository.find_tree(folder)?;
        *seen += tree.len();
        if *seen > MOST_ENTRIES {
            break;
        }
        for entry in &tree {
            let is_folder = entry.kind() == Some(ObjectType::Tree);
            if let Some(place) = both.entry(entry.name_bytes().to_owned()).or_default().get_mut(side) {
                *place = Some(Entry { id: entry.id(), mode: entry.filemode(), is_folder });
            }
        }
    }
    Ok(both)
}

fn folder_in(tree: Option<&Tree<'_>>, folder: &StorePath) -> Result<Option<Oid>, StoreError> {
    Ok(tree.map(|tree| tree.folder_id(folder)).transpose()?.flatten())
}

/// What lies under one name in a folder of a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Oid,
    pub(super) mode: i32,
    pub(super) is_folder: bool,
}
