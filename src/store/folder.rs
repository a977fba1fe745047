//! One folder of the work tree, opened without following a link, and the files in it. What is to be done in many folders is done by several
//! threads.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::durable::{MANY, Shared};
use super::{StoreError, StorePath};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// How a file is opened that may be a link, which is not followed, or something that could make us wait for ever.
pub(super) const PLAIN: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// An open folder of a store.
pub(super) struct Folder {
    /// Where it is, for messages.
    place: PathBuf,
    open: OwnedFd,
}

impl Folder {
    /// Opens the folder that `path` is in, beneath the store at `root`; none where there is no such folder.
    pub(super) fn of(root: &Path, path: &StorePath) -> Result<Option<Self>, StoreError> {
        Self::walk(root, path.split_last().0, false, path.as_str())
    }

    /// As [`Folder::of`], and makes what is missing.
    pub(super) fn make(root: &Path, path: &StorePath) -> Result<Self, StoreError> {
        let made = Self::walk(root, path.split_last().0, true, path.as_str())?;
        made.ok_or_else(|| StoreError::io(root, Errno::NOENT.into()))
    }

    /// Opens `folder` itself; the store's own where there is no name.
    pub(super) fn open(root: &Path, folder: Option<&StorePath>) -> Result<Option<Self>, StoreError> {
        let name = folder.map(StorePath::as_str);
        Self::walk(root, name, false, name.unwrap_or(".vsecure"))
    }

    /// Goes from `root` to `folder` segment by segment. `path` is what an error names.
    pub(super) fn walk(
        root: &Path,
        folder: Option<&str>,
        create: bool,
        path: &str,
    ) -> Result<Option<Self>, StoreError> {
        if create {
            fs::create_dir_all(root).map_err(|error| StoreError::io(root, error))?;
        }
        let mut place = root.to_owned();
        let mut open = match rustix::fs::open(root, FOLDER, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(StoreError::NotPlain { path: ".vsecure".to_owned() }),
            Err(error) => return Err(StoreError::io(root, error.into())),
        };
        for segment in folder.into_iter().flat_map(|folder| folder.split('/')) {
            place.push(segment);
            if create {
                match rustix::fs::mkdirat(&open, segment, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(StoreError::io(&place, error.into())),
                }
            }
            open = match rustix::fs::openat(&open, segment, FOLDER, Mode::empty()) {
                Ok(open) => open,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(StoreError::NotPlain { path: path.to_owned() }),
                Err(error) => return Err(StoreError::io(&place, error.into())),
            };
        }
        Ok(Some(Self { place, open }))
    }

    /// Removes the folders of `path` that are empty, the store's own at `root` included: best effort, for a change that came to nothing.
    pub(super) fn remove_empty(root: &Path, path: &StorePath) {
        let file = root.join(path.as_str());
        let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
        // The first one that is not empty ends it.
        let _ = folders.map(fs::remove_dir).take_while(Result::is_ok).count();
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) const fn descriptor(&self) -> &OwnedFd {
        &self.open
    }

    /// Has it flushed with the others: names in it have changed.
    pub(super) fn gather(self, unflushed: &Shared<'_>) -> Result<(), StoreError> {
        unflushed.add(&self.place, self.open.into())
    }

    /// The bytes of the file `name`, at most `max`; none when there is no such file. It is opened once, and no link is followed. `path` is
    /// what an error names.
    pub(super) fn read(&self, name: &str, max: u64, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read_open(name, max, path)?.map(|(bytes, _)| bytes))
    }

    /// As [`Folder::read`], with the file itself.
    fn read_open(&self, name: &str, max: u64, path: &str) -> Result<Option<(Vec<u8>, File)>, StoreError> {
        let not_plain = || StoreError::NotPlain { path: path.to_owned() };
        let file = match rustix::fs::openat(&self.open, name, PLAIN, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(not_plain()),
            Err(error) => return Err(self.failed(name, error)),
        };
        let failed = |error| StoreError::io(&self.place.join(name), error);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(not_plain());
        }
        let limit = max.min(metadata.len().saturating_add(1));
        let mut bytes = Vec::with_capacity(usize::try_from(limit).unwrap_or_default());
        (&file).take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > max {
            return Err(StoreError::TooLarge { path: path.to_owned(), limit: max });
        }
        Ok(Some((bytes, file)))
    }

    /// The id that the file `name` would have as a blob.
    pub(super) fn blob(&self, name: &str, path: &StorePath) -> Result<Option<Oid>, StoreError> {
        Ok(self.blob_open(name, path)?.map(|(id, _)| id))
    }

    /// As [`Folder::blob`], with the file itself.
    pub(super) fn blob_open(&self, name: &str, path: &StorePath) -> Result<Option<(Oid, File)>, StoreError> {
        let read = self.read_open(name, u64::MAX, path.as_str())?;
        let hash = |(bytes, file): (Vec<u8>, File)| Ok((Oid::hash_object(ObjectType::Blob, &bytes)?, file));
        read.map(hash).transpose()
    }

    /// Writes `content` into the new file `name`.
    pub(super) fn write_new(&self, name: &str, content: &[u8]) -> Result<File, StoreError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.open, name, flags, Mode::from_raw_mode(0o666));
        let mut file = File::from(file.map_err(|error| self.failed(name, error))?);
        file.write_all(content).map_err(|error| StoreError::io(&self.place.join(name), error))?;
        Ok(file)
    }

    /// Renames the file `from` over `to`: what the file system says of it then, unless somebody may have written into it already. A
    /// renaming changes the one time, a writing both.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<Option<Metadata>, StoreError> {
        let file =
            rustix::fs::openat(&self.open, from, PLAIN, Mode::empty()).map_err(|error| self.failed(from, error))?;
        rustix::fs::renameat(&self.open, from, &self.open, to).map_err(|error| self.failed(to, error))?;
        let there = File::from(file).metadata().map_err(|error| StoreError::io(&self.place.join(to), error))?;
        let (modified, changed) = ((there.mtime(), there.mtime_nsec()), (there.ctime(), there.ctime_nsec()));
        Ok(Some(there).filter(|_| modified < changed))
    }

    /// Removes the file `name`; whether it was there.
    pub(super) fn remove(&self, name: &str) -> Result<bool, StoreError> {
        match rustix::fs::unlinkat(&self.open, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    fn failed(&self, name: &str, error: Errno) -> StoreError {
        StoreError::io(&self.place.join(name), error.into())
    }
}

/// What there is to do with files, by the folders that they are in; of a large folder, in parts.
pub(super) struct ByFolder<T>(Vec<Vec<(StorePath, T)>>);

impl<T: Sync> ByFolder<T> {
    pub(super) fn new(items: impl IntoIterator<Item = (StorePath, T)>) -> Self {
        let mut folders: BTreeMap<Option<String>, Vec<Vec<(StorePath, T)>>> = BTreeMap::new();
        for (path, item) in items {
            let parts = folders.entry(path.split_last().0.map(str::to_owned)).or_default();
            match parts.last_mut().filter(|part| part.len() < MANY) {
                Some(part) => part.push((path, item)),
                None => parts.push(vec![(path, item)]),
            }
        }
        Self(folders.into_values().flatten().collect())
    }

    /// All of them, one folder after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(StorePath, T)> {
        self.0.iter().flatten()
    }

    /// Does `work` for each folder, given one of the paths in it and all of them. What came of it, in the order of [`ByFolder::iter`].
    pub(super) fn map<R: Send>(&self, work: impl Fn(&StorePath, &[(StorePath, T)]) -> R + Sync) -> Vec<R> {
        let work = |files: &Vec<(StorePath, T)>| files.first().map(|(path, _)| work(path, files));
        if self.are_many() {
            self.0.par_iter().filter_map(work).collect()
        } else {
            self.0.iter().filter_map(work).collect()
        }
    }

    /// As [`ByFolder::map`], until one fails.
    pub(super) fn each(
        &self,
        work: impl Fn(&StorePath, &[(StorePath, T)]) -> Result<(), StoreError> + Sync,
    ) -> Result<(), StoreError> {
        let work = |files: &Vec<(StorePath, T)>| files.first().map_or(Ok(()), |(path, _)| work(path, files));
        if self.are_many() { self.0.par_iter().try_for_each(work) } else { self.0.iter().try_for_each(work) }
    }

    fn are_many(&self) -> bool {
        self.iter().nth(MANY).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_renamed_file_is_known_unless_it_may_have_been_written_to_since() {
        let root = tempfile::tempdir().unwrap();
        let path: StorePath = "secrets/a".parse().unwrap();
        let folder = Folder::make(root.path(), &path).unwrap();
        let hour = Duration::from_secs(3600);
        for (modified, known) in [(SystemTime::now() - hour, true), (SystemTime::now() + hour, false)] {
            let file = folder.write_new("new", b"text").unwrap();
            file.set_modified(modified).unwrap();
            let there = folder.rename("new", "a").unwrap();
            assert_eq!(there.map(|there| there.ino()), known.then(|| file.metadata().unwrap().ino()));
        }
    }
}
