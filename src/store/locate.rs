//! Finding the store, and the git directories around it, without the git library: plain reads must not pay for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Store, StoreError, StoreOptions};

pub(super) const STORE: &str = ".vsecure";

/// Where git keeps its things for one work tree.
#[derive(Debug, Clone)]
pub(super) struct GitPlace {
    /// The work tree's root.
    pub(super) work_tree: PathBuf,
    /// The git directory of this work tree.
    pub(super) git_dir: PathBuf,
    /// The git directory that all work trees share.
    pub(super) common_dir: PathBuf,
    /// The store's path within the work tree.
    pub(super) prefix: String,
}

impl GitPlace {
    /// Local state of this work tree: the journal.
    pub(super) fn tree_state(&self) -> PathBuf {
        self.git_dir.join("vsecure")
    }

    /// Local state that all work trees share: lock, history, clone id, tokens.
    pub(super) fn shared_state(&self) -> PathBuf {
        self.common_dir.join("vsecure")
    }
}

impl Store {
    /// Finds the store that is meant: the directory `explicit` or the `.vsecure` in it, else the nearest `.vsecure` in `start` or
    /// above. Works without git.
    ///
    /// # Errors
    /// [`StoreError::NoStore`]; [`StoreError::NotPlain`] when a link or file is in its place.
    pub fn discover(start: &Path, explicit: Option<&Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let root = match explicit {
            Some(said) => said_store(&start.join(said))?,
            None => nearest_store(start)?,
        };
        let root = fs::canonicalize(&root).map_err(|error| StoreError::io(&root, error))?;
        if root.join(".git").symlink_metadata().is_ok() {
            return Err(StoreError::NotPlain { path: STORE.to_owned() });
        }
        let git = root.parent().map(|parent| git_place(parent, &root)).transpose()?.flatten();
        Ok(Self::at(root, git, options))
    }

    /// The store that is meant, though it may not be checked out: as [`Store::discover`] finds it, else at the root of the work tree. For reading
    /// commits only.
    ///
    /// # Errors
    /// As for [`Store::discover`]; [`StoreError::NoRepository`] outside a work tree.
    pub fn discover_or_locate(
        start: &Path,
        explicit: Option<&Path>,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        match Self::discover(start, explicit, options.clone()) {
            Err(StoreError::NoStore { .. }) if explicit.is_none() => {
                let start = fs::canonicalize(start).map_err(|error| StoreError::io(start, error))?;
                let git = git_place(&start, &start)?.ok_or(StoreError::NoRepository { start })?;
                let root = git.work_tree.join(STORE);
                let git = GitPlace { prefix: prefix_of(&git.work_tree, &root)?, ..git };
                Ok(Self::at(root, Some(git), options))
            }
            result => result,
        }
    }

    /// The place of a new store: at the root of the work tree around `start`, or in `start` itself with `here`. Nothing is made yet.
    ///
    /// # Errors
    /// [`StoreError::NoRepository`] outside a work tree, [`StoreError::StoreExists`] when there is one, [`StoreError::NotPlain`] when a link or
    /// file is in its place.
    pub fn locate_new(start: &Path, here: bool, options: StoreOptions) -> Result<Self, StoreError> {
        let start = fs::canonicalize(start).map_err(|error| StoreError::io(start, error))?;
        let git = git_place(&start, &start)?.ok_or_else(|| StoreError::NoRepository { start: start.clone() })?;
        let root = if here { start } else { git.work_tree.clone() }.join(STORE);
        let prefix = prefix_of(&git.work_tree, &root)?;
        let store = Self::at(root, Some(GitPlace { prefix, ..git }), options);
        if plain_folder(&store.root)? && !store.is_left_over()? {
            return Err(StoreError::StoreExists { root: store.root });
        }
        Ok(store)
    }
}

impl Store {
    /// Whether there is a store at `place` in the same work tree too.
    #[must_use]
    pub fn lies_also_at(&self, place: &str) -> bool {
        self.git.as_ref().is_some_and(|git| plain_folder(&git.work_tree.join(place)).unwrap_or_default())
    }

    /// Whether there is nothing here but empty folders and what a killed `init` laid ready.
    fn is_left_over(&self) -> Result<bool, StoreError> {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| StoreError::io(&folder, error))? {
                let entry = entry.map_err(|error| StoreError::io(&folder, error))?;
                let ours = entry.file_name().to_string_lossy().starts_with(".vsecure-");
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ if ours => {}
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }
}

fn said_store(said: &Path) -> Result<PathBuf, StoreError> {
    let inside = said.join(STORE);
    let chosen = if said.file_name().is_some_and(|name| name == STORE) { said.to_owned() } else { inside };
    match plain_folder(&chosen)? {
        true => Ok(chosen),
        // A store may have been copied to a folder of another name.
        false if said.join("policy").is_dir() => Ok(said.to_owned()),
        false => Err(StoreError::NoStore { start: said.to_owned() }),
    }
}

fn nearest_store(start: &Path) -> Result<PathBuf, StoreError> {
    let start = fs::canonicalize(start).map_err(|error| StoreError::io(start, error))?;
    for folder in start.ancestors() {
        let candidate = folder.join(STORE);
        if plain_folder(&candidate)? {
            return Ok(candidate);
        }
    }
    Err(StoreError::NoStore { start })
}

/// Whether `path` is a folder; something else in its place is an error, nothing is not.
fn plain_folder(path: &Path) -> Result<bool, StoreError> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(StoreError::NotPlain { path: STORE.to_owned() }),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(StoreError::io(path, error)),
    }
}

/// The git directories of the work tree around `start`, for a store at `root`; none outside a work tree.
fn git_place(start: &Path, root: &Path) -> Result<Option<GitPlace>, StoreError> {
    for folder in start.ancestors() {
        let dot_git = folder.join(".git");
        let Ok(metadata) = dot_git.metadata() else { continue };
        let git_dir = if metadata.is_dir() { dot_git } else { linked_dir(folder, &dot_git)? };
        if git_dir.join("HEAD").symlink_metadata().is_err() {
            continue;
        }
        let common_dir = match fs::read_to_string(git_dir.join("commondir")) {
            Ok(text) => git_dir.join(text.trim_end_matches('\n')),
            Err(_) => git_dir.clone(),
        };
        let common_dir = fs::canonicalize(&common_dir).map_err(|error| StoreError::io(&common_dir, error))?;
        let prefix = prefix_of(folder, root)?;
        let place = GitPlace { work_tree: folder.to_owned(), git_dir, common_dir, prefix };
        // Whoever hands over a git directory could otherwise lead what we keep in it elsewhere.
        for state in [place.tree_state(), place.shared_state()] {
            if state.symlink_metadata().is_ok_and(|there| !there.is_dir()) {
                return Err(StoreError::StateNotPlain { path: state });
            }
        }
        return Ok(Some(place));
    }
    Ok(None)
}

/// The git directory that a `.git` file names: of a linked work tree or a submodule.
fn linked_dir(folder: &Path, dot_git: &Path) -> Result<PathBuf, StoreError> {
    let text = fs::read_to_string(dot_git).map_err(|error| StoreError::io(dot_git, error))?;
    let target = text.strip_prefix("gitdir: ").map(|target| target.trim_end_matches('\n'));
    let target = target.ok_or_else(|| StoreError::Unsupported { what: "its .git file is malformed".to_owned() })?;
    let target = folder.join(target);
    fs::canonicalize(&target).map_err(|error| StoreError::io(&target, error))
}

fn prefix_of(work_tree: &Path, root: &Path) -> Result<String, StoreError> {
    let inside = root.strip_prefix(work_tree).ok().and_then(Path::to_str);
    inside.map(ToOwned::to_owned).ok_or_else(|| StoreError::Unsupported {
        what: "the store's place in the work tree has a name that is not UTF-8".to_owned(),
    })
}
