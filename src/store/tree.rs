//! The repository, and commits as snapshots.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryOpenFlags, Tree as GitTree, TreeEntry};

use super::{Listed, Store, StoreError, StorePath};

pub(super) const LINK: i32 = 0o120_000;
/// A few objects can spell any number of paths, so folders are not followed for ever. Paths have at most 1024 bytes, which bounds their depth.
pub(super) const MOST_ENTRIES: usize = 200_000;
/// No file system has longer paths; to put together ever longer ones takes the square of their depth.
pub(super) const MOST_PATH_BYTES: usize = 4096;

/// A commit's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub(super) Oid);

/// A file's content in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub(super) Oid);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CommitId {
    type Err = StoreError;

    /// A full id in hex.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        Oid::from_str(text).map(Self).map_err(|_| StoreError::NoCommit)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The committer's time, in seconds since 1970.
    pub time: i64,
    /// The first line of its message.
    pub subject: String,
}

/// The store's files in a commit.
pub struct Tree<'a> {
    repository: &'a Repository,
    /// The store's folder; none when the commit has no store.
    root: Option<Oid>,
    /// Folders that files were looked up in: large ones are in none of the library's caches.
    folders: RefCell<HashMap<String, Rc<Entries>>>,
}

/// What is in a folder by its name: the object, and whether that is a plain file.
type Entries = HashMap<Vec<u8>, (Oid, bool)>;

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn repository(&self) -> Result<&Repository, StoreError> {
        if let Some(repository) = self.repository.get() {
            return Ok(repository);
        }
        let git = self.git()?;
        let flags = RepositoryOpenFlags::NO_SEARCH;
        let none: [&std::ffi::OsStr; 0] = [];
        let opened = Repository::open_ext(&git.work_tree, flags, none).map_err(|error| match error.code() {
            ErrorCode::Owner => StoreError::NotOwned { path: git.work_tree.clone() },
            // The library names the extension that it doesn't know: reftable, SHA-256 objects.
            _ if error.message().contains("extension") || error.message().contains("object format") => {
                StoreError::Unsupported { what: error.message().to_owned() }
            }
            _ => StoreError::Git(error),
        })?;
        if opened.is_bare() {
            return Err(StoreError::Unsupported { what: "it is bare".to_owned() });
        }
        Ok(self.repository.get_or_init(|| opened))
    }

    /// The commit that HEAD names; none on an unborn branch.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn head(&self) -> Result<Option<CommitId>, StoreError> {
        match self.repository()?.head() {
            Ok(head) => Ok(Some(CommitId(head.peel_to_commit()?.id()))),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The store's files in the commit that HEAD names; none on an unborn branch.
    ///
    /// # Errors
    /// [`StoreError`] when the repository can't be read.
    pub fn head_tree(&self) -> Result<Option<Tree<'_>>, StoreError> {
        self.head()?.map(|commit| self.tree_of(&commit)).transpose()
    }

    /// Those of `paths` whose files in the work tree, each of at most `max` bytes, are not what `tree` has.
    ///
    /// # Errors
    /// [`StoreError`] when either can't be read.
    pub fn changed_since<'p>(
        &self,
        tree: Option<&Tree<'_>>,
        paths: &'p [StorePath],
        max: u64,
    ) -> Result<Vec<&'p StorePath>, StoreError> {
        let committed = tree.map_or_else(|| Ok(vec![None; paths.len()]), |tree| tree.blobs(paths))?;
        let mut changed = Vec::new();
        for (path, committed) in paths.iter().zip(committed) {
            let here = self.read(path, max)?.map(|bytes| Oid::hash_object(ObjectType::Blob, &bytes)).transpose()?;
            if here != committed.map(|blob| blob.0) {
                changed.push(path);
            }
        }
        Ok(changed)
    }

    /// The store's files in the commit that `rev` names, in any way git knows.
    ///
    /// # Errors
    /// [`StoreError::NoCommit`].
    pub fn snapshot(&self, rev: &str) -> Result<Tree<'_>, StoreError> {
        let object = self.repository()?.revparse_single(rev).map_err(|_| StoreError::NoCommit)?;
        let commit = object.peel_to_commit().map_err(|_| StoreError::NoCommit)?;
        self.tree_of(&CommitId(commit.id()))
    }

    /// The store's files in `commit`.
    ///
    /// # Errors
    /// [`StoreError::NotPlain`] when something else than a folder is in the store's place.
    pub fn tree_of(&self, commit: &CommitId) -> Result<Tree<'_>, StoreError> {
        let repository = self.repository()?;
        let tree = repository.find_commit(commit.0)?.tree()?;
        let root = match entry(repository, tree, &self.git()?.prefix)? {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => Some(entry.id()),
            Some(_) => return Err(StoreError::NotPlain { path: ".vsecure".to_owned() }),
            None => None,
        };
        Ok(Tree { repository, root, folders: RefCell::default() })
    }

    /// A file's content, at most `max` bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], or when the object is missing.
    pub fn read_blob(&self, blob: &BlobId, max: u64) -> Result<Vec<u8>, StoreError> {
        read_blob(self.repository()?, blob.0, max, &blob.to_string())
    }

    /// As [`Store::read_blob`], of a file that some commit had: none where no store has such a file. Whoever can push can have put it there, and it
    /// stays in history.
    ///
    /// # Errors
    /// [`StoreError`] when the object is missing.
    pub fn read_past(&self, blob: &BlobId, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.read_blob(blob, max) {
            Err(StoreError::TooLarge { .. } | StoreError::NotPlain { .. }) => Ok(None),
            file => file.map(Some),
        }
    }

    /// What a commit says of itself.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, StoreError> {
        let commit = self.repository()?.find_commit(commit.0)?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let subject = message.lines().next().unwrap_or_default().to_owned();
        Ok(CommitInfo { time: commit.time().seconds(), subject })
    }

    /// The user's name and e-mail address as git's configuration has them.
    ///
    /// # Errors
    /// [`StoreError`] when the configuration can't be read.
    pub fn git_user(&self) -> Result<(Option<String>, Option<String>), StoreError> {
        let config = self.repository()?.config()?.snapshot()?;
        let get = |key| config.get_str(key).ok().map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        Ok((get("user.name"), get("user.email")))
    }

    /// Whether history is cut off here.
    ///
    /// # Errors
    /// [`StoreError::NoRepository`].
    pub fn is_shallow(&self) -> Result<bool, StoreError> {
        Ok(self.git()?.common_dir.join("shallow").exists())
    }
}

/// The entry at `path` below `folder`; none when there is none. A link, submodule or file in the place of a folder is an error: what a work tree
/// has there is not what the commit says.
fn entry<'a>(
    repository: &'a Repository,
    mut folder: GitTree<'a>,
    path: &str,
) -> Result<Option<TreeEntry<'static>>, StoreError> {
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let Some(entry) = folder.get_name(segment).map(|entry| entry.to_owned()) else { return Ok(None) };
        if segments.peek().is_none() {
            return Ok(Some(entry));
        }
        if entry.kind() != Some(ObjectType::Tree) {
            return Err(StoreError::NotPlain { path: path.to_owned() });
        }
        folder = repository.find_tree(entry.id())?;
    }
    Ok(None)
}

pub(super) fn read_blob(repository: &Repository, id: Oid, max: u64, path: &str) -> Result<Vec<u8>, StoreError> {
    let odb = repository.odb()?;
    let (size, kind) = odb.read_header(id)?;
    if kind != ObjectType::Blob {
        return Err(StoreError::NotPlain { path: path.to_owned() });
    }
    if size as u64 > max {
        return Err(StoreError::TooLarge { path: path.to_owned(), limit: max });
    }
    Ok(odb.read(id)?.data().to_vec())
}

impl Tree<'_> {
    /// The bytes of `path`, at most `max`; none when there is no such file.
    ///
    /// # Errors
    /// [`StoreError::NotPlain`], [`StoreError::TooLarge`], or git's.
    pub fn read(&self, path: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let blob = self.blob(path)?;
        blob.map(|id| read_blob(self.repository, id.0, max, path.as_str())).transpose()
    }

    /// The id of the file `path`; none when there is no such file.
    pub(super) fn blob(&self, path: &StorePath) -> Result<Option<BlobId>, StoreError> {
        let (folder, name) = path.split_last();
        match self.entries(folder.unwrap_or_default())?.get(name.as_bytes()) {
            Some((id, true)) => Ok(Some(BlobId(*id))),
            Some(_) => Err(StoreError::NotPlain { path: path.to_string() }),
            None => Ok(None),
        }
    }

    /// The ids of the files `paths`, in their order.
    pub(super) fn blobs<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<Vec<Option<BlobId>>, StoreError> {
        paths.into_iter().map(|path| self.blob(path)).collect()
    }

    /// Whether the file `path` holds `bytes`, which is known without reading it.
    ///
    /// # Errors
    /// As for [`Tree::read`].
    pub fn holds(&self, path: &StorePath, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.blob(path)? == Some(BlobId(Oid::hash_object(ObjectType::Blob, bytes)?)))
    }

    /// What is in a folder, the store's own where it has no name; nothing when there is none.
    fn entries(&self, name: &str) -> Result<Rc<Entries>, StoreError> {
        if let Some(known) = self.folders.borrow().get(name) {
            return Ok(Rc::clone(known));
        }
        let plain = |entry: &TreeEntry<'_>| entry.kind() == Some(ObjectType::Blob) && entry.filemode() != LINK;
        let entry = |entry: TreeEntry<'_>| (entry.name_bytes().to_vec(), (entry.id(), plain(&entry)));
        let folder = self.folder(name)?;
        let entries: Rc<Entries> = Rc::new(folder.iter().flatten().map(entry).collect());
        self.folders.borrow_mut().insert(name.to_owned(), Rc::clone(&entries));
        Ok(entries)
    }

    /// The tree of a folder, the store's own where it has no name; none when there is none.
    fn folder(&self, name: &str) -> Result<Option<GitTree<'_>>, StoreError> {
        let Some(root) = self.root else { return Ok(None) };
        let root = self.repository.find_tree(root)?;
        if name.is_empty() {
            return Ok(Some(root));
        }
        match entry(self.repository, root, name)? {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => Ok(Some(self.repository.find_tree(entry.id())?)),
            Some(_) => Err(StoreError::NotPlain { path: name.to_owned() }),
            None => Ok(None),
        }
    }

    /// Everything below `folder`.
    ///
    /// # Errors
    /// [`StoreError::NotPlain`] when something else is in its place, [`StoreError::TooMany`], or git's.
    pub fn list(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        self.list_below(folder, true)
    }

    /// The files directly in `folder`, whatever its folders hold.
    ///
    /// # Errors
    /// As for [`Tree::list`].
    pub fn list_flat(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        self.list_below(folder, false)
    }

    /// Everything in the store.
    ///
    /// # Errors
    /// [`StoreError::TooMany`], or when the repository can't be read.
    pub fn list_all(&self) -> Result<Listed, StoreError> {
        self.root.map_or_else(|| Ok(Listed::default()), |root| self.walk(None, root, true))
    }

    fn list_below(&self, folder: &StorePath, deep: bool) -> Result<Listed, StoreError> {
        match self.folder(folder.as_str())? {
            Some(start) => self.walk(Some(folder.clone()), start.id(), deep),
            None => Ok(Listed::default()),
        }
    }

    /// The tree in the place of `folder`, whatever else could lie there being none.
    pub(super) fn folder_id(&self, folder: &StorePath) -> Result<Option<Oid>, StoreError> {
        match self.folder(folder.as_str()) {
            Err(StoreError::NotPlain { .. }) => Ok(None),
            folder => Ok(folder?.map(|folder| folder.id())),
        }
    }

    fn walk(&self, start: Option<StorePath>, id: Oid, deep: bool) -> Result<Listed, StoreError> {
        let place = || start.as_ref().map_or(".vsecure", StorePath::as_str).to_owned();
        let mut found = Listed::default();
        let mut folders = vec![(start.clone(), id)];
        let mut seen = 0;
        while let Some((folder, id)) = folders.pop() {
            let tree = self.repository.find_tree(id)?;
            seen += tree.len();
            if seen > MOST_ENTRIES {
                return Err(StoreError::TooMany { folder: place(), most: MOST_ENTRIES });
            }
            for entry in &tree {
                let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                let full = folder.as_ref().map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
                match (full.parse::<StorePath>(), entry.kind()) {
                    (Ok(_), Some(ObjectType::Tree)) if !deep => {}
                    (Ok(path), Some(ObjectType::Tree)) => folders.push((Some(path), entry.id())),
                    (Ok(path), Some(ObjectType::Blob)) if entry.filemode() != LINK => found.files.push(path),
                    _ => found.others.push(full),
                }
            }
        }
        found.files.sort_unstable();
        Ok(found)
    }
}
