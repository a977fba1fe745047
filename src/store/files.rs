//! The work tree's files: read and replaced without following a link anywhere beneath the store.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::folder::{ByFolder, Folder};
use super::{Store, StoreError, StorePath};

/// What is below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Plain files, sorted.
    pub files: Vec<StorePath>,
    /// Links, submodules and the like, and names that no file of a store has; escape them when shown.
    pub others: Vec<String>,
}

/// What the file system says of a file without opening it. Who changes a file changes its stamp, unless within the clock's last tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change of the content, and of anything.
    times: [u64; 4],
}

impl Stamp {
    #[expect(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "the types differ between systems; bits are compared"
    )]
    fn of(stat: &rustix::fs::Stat) -> Self {
        let times = [stat.st_mtime as u64, stat.st_mtime_nsec as u64, stat.st_ctime as u64, stat.st_ctime_nsec as u64];
        Self { device: stat.st_dev as u64, inode: stat.st_ino as u64, size: stat.st_size as u64, times }
    }

    /// Whether the file was last changed so long before `now`, in seconds since 1970, that a later change shows in its stamp.
    #[must_use]
    pub fn is_settled(&self, now: i64) -> bool {
        let [modified, _, changed, _] = self.times;
        let limit = u64::try_from(now.saturating_sub(SETTLING_SECONDS)).unwrap_or_default();
        modified < limit && changed < limit
    }

    /// The stamp as numbers, to be kept.
    #[must_use]
    pub const fn numbers(&self) -> [u64; 7] {
        let [a, b, c, d] = self.times;
        [self.device, self.inode, self.size, a, b, c, d]
    }
}

/// The coarsest clock of a file system counts in two seconds.
const SETTLING_SECONDS: i64 = 3;

/// What is looked at in folders.
#[derive(Clone, Copy)]
struct Walk<'a> {
    /// Names that begin with a dot, too.
    hidden: bool,
    /// Which names' files are stamped.
    stamped: &'a dyn Fn(&str) -> bool,
}

const PLAIN: Walk<'static> = Walk { hidden: false, stamped: &|_| false };

/// A name in a folder, with its kind and, where it was asked for, its stamp.
type Name = (String, FileType, Option<Stamp>);

impl Store {
    /// The bytes of `path` in the work tree, at most `max`; none when there is no such file. It is opened once, and no link is
    /// followed.
    ///
    /// # Errors
    /// [`StoreError::NotPlain`], [`StoreError::TooLarge`], or the operating system's.
    pub fn read(&self, path: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        read(&self.root, path, max)
    }

    /// As [`Store::read`], of many, each with the most bytes that it may have: what came of each.
    pub fn read_many(&self, files: &[(StorePath, u64)]) -> Vec<Result<Option<Vec<u8>>, StoreError>> {
        let root = &self.root;
        let files =
            ByFolder::new(files.iter().zip(0usize..).map(|((path, max), number)| (path.clone(), (*max, number))));
        let read = files.map(|path, files| {
            let folder = Folder::of(root, path);
            let read = |path: &StorePath, max| match &folder {
                Ok(Some(folder)) => folder.read(path.split_last().1, max, path.as_str()),
                Ok(None) => Ok(None),
                // By itself, so that the error is about this file.
                Err(_) => read(root, path, max),
            };
            files.iter().map(|(path, (max, number))| (*number, read(path, *max))).collect::<Vec<_>>()
        });
        let mut read: Vec<_> = read.into_iter().flatten().collect();
        read.sort_by_key(|(number, _)| *number);
        read.into_iter().map(|(_, read)| read).collect()
    }

    /// The bytes of the plain file at `path` from the work tree's root, at most `max`; none when there is no such file. No link is followed.
    ///
    /// # Errors
    /// [`StoreError::NoRepository`], [`StoreError::NotPlain`], [`StoreError::TooLarge`], or the operating system's.
    pub fn read_program(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        let Some(folder) = Folder::walk(self.work_tree()?, folders, false, path)? else { return Ok(None) };
        folder.read(name, max, path)
    }

    /// Everything below `folder`; names that begin with a dot are not the store's and are left out.
    ///
    /// # Errors
    /// [`StoreError`] when a folder can't be read.
    pub fn list(&self, folder: &StorePath) -> Result<Listed, StoreError> {
        Ok(self.walk_files(Some(folder.clone()), PLAIN)?.0)
    }

    /// As [`Store::list`], with the stamps of those files whose names are `wanted`, in the same order.
    ///
    /// # Errors
    /// As for [`Store::list`].
    pub fn list_stamped(
        &self,
        folder: &StorePath,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(Listed, Vec<Option<Stamp>>), StoreError> {
        self.walk_files(Some(folder.clone()), Walk { stamped: wanted, ..PLAIN })
    }

    /// Everything in the store, names that begin with a dot too.
    ///
    /// # Errors
    /// [`StoreError`] when a folder can't be read.
    pub fn list_all(&self) -> Result<Listed, StoreError> {
        Ok(self.walk_files(None, Walk { hidden: true, ..PLAIN })?.0)
    }

    fn walk_files(&self, start: Option<StorePath>, walk: Walk<'_>) -> Result<(Listed, Vec<Option<Stamp>>), StoreError> {
        let mut files = Vec::new();
        let mut others = Vec::new();
        let mut folders = vec![start];
        while let Some(folder) = folders.pop() {
            for (name, kind, stamp) in self.names(folder.as_ref(), walk)? {
                let full = folder.as_ref().map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
                match (full.parse::<StorePath>(), kind) {
                    (Ok(path), FileType::Directory) => folders.push(Some(path)),
                    (Ok(path), FileType::RegularFile) => files.push((path, stamp)),
                    _ => others.push(full),
                }
            }
        }
        files.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let (files, stamps) = files.into_iter().unzip();
        Ok((Listed { files, others }, stamps))
    }

    /// The names directly in `folder`, unsorted; none when it doesn't exist.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn entries(&self, folder: &StorePath) -> Result<Vec<String>, StoreError> {
        Ok(self.names(Some(folder), PLAIN)?.into_iter().map(|(name, _, _)| name).collect())
    }

    fn names(&self, folder: Option<&StorePath>, walk: Walk<'_>) -> Result<Vec<Name>, StoreError> {
        let Some(folder) = Folder::open(&self.root, folder)? else { return Ok(Vec::new()) };
        let failed = |error: Errno| StoreError::io(folder.place(), error.into());
        let open = folder.descriptor();
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(open).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A name that is not text is no name of ours; it is shown, not opened.
            let name = entry.file_name().to_string_lossy().into_owned();
            if matches!(name.as_str(), "." | "..") || (name.starts_with('.') && !walk.hidden) {
                continue;
            }
            let mut kind = entry.file_type();
            let mut stamp = None;
            if kind == FileType::Unknown || (walk.stamped)(&name) {
                let stat = match rustix::fs::statat(open, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                    // Gone since the folder was read.
                    Err(Errno::NOENT) => continue,
                    stat => stat.map_err(failed)?,
                };
                kind = FileType::from_raw_mode(stat.st_mode);
                stamp = (walk.stamped)(&name).then(|| Stamp::of(&stat));
            }
            names.push((name, kind, stamp));
        }
        Ok(names)
    }

    /// Where `path` lies in the file system.
    pub(super) fn absolute(&self, path: &StorePath) -> PathBuf {
        path.segments().fold(self.root.clone(), |folder, segment| folder.join(segment))
    }
}

fn read(root: &Path, path: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(folder) = Folder::of(root, path)? else { return Ok(None) };
    folder.read(path.split_last().1, max, path.as_str())
}
