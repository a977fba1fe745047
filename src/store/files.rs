//! The work tree's files: read and replaced without following a link anywhere beneath the store.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::durable::Unflushed;
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

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

fn not_plain(path: &StorePath) -> StoreError {
    StoreError::NotPlain { path: path.to_string() }
}

impl Store {
    /// The bytes of `path` in the work tree, at most `max`; none when there is no such file. It is opened once, and no link is
    /// followed.
    ///
    /// # Errors
    /// [`StoreError::NotPlain`], [`StoreError::TooLarge`], or the operating system's.
    pub fn read(&self, path: &StorePath, max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let (folder, name) = path.split_last();
        let Some(folder) = self.open_folder(folder, false, path.as_str())? else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(not_plain(path)),
            Err(error) => return Err(self.failed(path, error.into())),
        };
        let metadata = file.metadata().map_err(|error| self.failed(path, error))?;
        if !metadata.is_file() {
            return Err(not_plain(path));
        }
        let limit = max.min(metadata.len().saturating_add(1));
        let mut bytes = Vec::with_capacity(usize::try_from(limit).unwrap_or_default());
        file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| self.failed(path, error))?;
        if bytes.len() as u64 > max {
            return Err(StoreError::TooLarge { path: path.to_string(), limit: max });
        }
        Ok(Some(bytes))
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
        let place = folder.map_or_else(|| self.root.clone(), |folder| self.absolute(folder));
        let failed = |error: Errno| StoreError::io(&place, error.into());
        let open =
            self.open_folder(folder.map(StorePath::as_str), false, folder.map_or(".vsecure", StorePath::as_str))?;
        let Some(open) = open else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&open).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A name that is not text is no name of ours; it is shown, not opened.
            let name = entry.file_name().to_string_lossy().into_owned();
            if matches!(name.as_str(), "." | "..") || (name.starts_with('.') && !walk.hidden) {
                continue;
            }
            let mut kind = entry.file_type();
            let mut stamp = None;
            if kind == FileType::Unknown || (walk.stamped)(&name) {
                let stat = match rustix::fs::statat(&open, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
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

    /// Opens a folder beneath the store segment by segment, without following links; makes what is missing when `create` says so.
    fn open_folder(&self, folder: Option<&str>, create: bool, path: &str) -> Result<Option<OwnedFd>, StoreError> {
        if create {
            fs::create_dir_all(&self.root).map_err(|error| StoreError::io(&self.root, error))?;
        }
        let mut open = match rustix::fs::open(&self.root, FOLDER, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(StoreError::NotPlain { path: ".vsecure".to_owned() }),
            Err(error) => return Err(StoreError::io(&self.root, error.into())),
        };
        for segment in folder.into_iter().flat_map(|folder| folder.split('/')) {
            if create {
                match rustix::fs::mkdirat(&open, segment, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(StoreError::io(&self.root.join(segment), error.into())),
                }
            }
            open = match rustix::fs::openat(&open, segment, FOLDER, Mode::empty()) {
                Ok(open) => open,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(StoreError::NotPlain { path: path.to_owned() }),
                Err(error) => return Err(StoreError::io(&self.root.join(segment), error.into())),
            };
        }
        Ok(Some(open))
    }

    fn open_or_make(&self, path: &StorePath) -> Result<OwnedFd, StoreError> {
        let (folder, _) = path.split_last();
        let missing = || self.failed(path, io::ErrorKind::NotFound.into());
        self.open_folder(folder, true, path.as_str())?.ok_or_else(missing)
    }

    /// Writes `content` into the new file `temporary` beside `path`.
    pub(super) fn write_beside(
        &self,
        path: &StorePath,
        temporary: &str,
        content: &[u8],
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let folder = self.open_or_make(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, temporary, flags, Mode::from_raw_mode(0o666));
        let mut file = File::from(file.map_err(|error| self.failed(path, error.into()))?);
        file.write_all(content).map_err(|error| self.failed(path, error))?;
        unflushed.add(&self.absolute(path), file)
    }

    /// Renames `temporary` over `path`.
    pub(super) fn put_in_place(
        &self,
        path: &StorePath,
        temporary: &str,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let folder = self.open_or_make(path)?;
        rustix::fs::renameat(&folder, temporary, &folder, path.split_last().1)
            .map_err(|error| self.failed(path, error.into()))?;
        self.unflushed_folder(path, folder, unflushed)
    }

    /// Removes the file `name` beside `path`, or `path` itself; it may be gone already.
    pub(super) fn remove_beside(
        &self,
        path: &StorePath,
        name: Option<&str>,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let (folder, own_name) = path.split_last();
        let Some(folder) = self.open_folder(folder, false, path.as_str())? else { return Ok(()) };
        match rustix::fs::unlinkat(&folder, name.unwrap_or(own_name), AtFlags::empty()) {
            Ok(()) => self.unflushed_folder(path, folder, unflushed),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(path, error.into())),
        }
    }

    fn unflushed_folder(&self, path: &StorePath, folder: OwnedFd, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let file = self.absolute(path);
        unflushed.add(file.parent().unwrap_or(&self.root), File::from(folder))
    }

    /// Removes the folders of `path` that are empty, the store's own included: best effort, for a change that came to nothing.
    pub(super) fn remove_empty_folders(&self, path: &StorePath) {
        let file = self.absolute(path);
        let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
        // The first one that is not empty ends it.
        let _ = folders.map(fs::remove_dir).take_while(Result::is_ok).count();
    }

    /// Where `path` lies in the file system.
    pub(super) fn absolute(&self, path: &StorePath) -> PathBuf {
        path.segments().fold(self.root.clone(), |folder, segment| folder.join(segment))
    }

    fn failed(&self, path: &StorePath, error: io::Error) -> StoreError {
        StoreError::io(&self.absolute(path), error)
    }
}
