//! One way of reading a store's files, whether they lie in the work tree or in a commit.

use crate::store::{Listed, Store, StoreError, StorePath, Tree};

/// A set of files to read from: the work tree's, or those of a commit.
pub(super) trait Files {
    /// The file's bytes; none when there is no such file. At most `max` bytes.
    fn read(&self, file: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Everything below `folder`.
    fn list(&self, folder: &StorePath) -> Result<Listed, StoreError>;

    /// The files directly in `folder`.
    fn list_flat(&self, folder: &StorePath) -> Result<Listed, StoreError>;

    /// Everything there is.
    fn list_all(&self) -> Result<Listed, StoreError>;

    /// Whether they are the work tree's.
    fn is_work_tree(&self) -> bool;
}

impl Files for Store {
    fn read(&self, file: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(file, max)
    }

    fn list_flat(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        let mut listed = self.list(folder)?;
        let direct = |path: &str| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.rfind('/') == Some(0));
        listed.files.retain(|file| direct(file.as_str()));
        listed.others.retain(|file| direct(file));
        Ok(listed)
    }

    fn list(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        self.list(folder)
    }

    fn list_all(&self) -> Result<Listed, StoreError> {
        self.list_all()
    }

    fn is_work_tree(&self) -> bool {
        true
    }
}

impl Files for Tree<'_> {
    fn read(&self, file: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(file, max)
    }

    fn list_flat(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        self.list_flat(folder)
    }

    fn list(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        self.list(folder)
    }

    fn list_all(&self) -> Result<Listed, StoreError> {
        self.list_all()
    }

    fn is_work_tree(&self) -> bool {
        false
    }
}
