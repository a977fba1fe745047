//! Bringing to the disk what was written: gathered first, then flushed all at once, for a disk flushes many files in little more time
//! than one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::StoreError;

/// How many files are many: worth threads, a pack, and one flush of the whole file system, which also waits for what others write.
pub(super) const MANY: usize = 64;
/// How many are flushed at a time.
const THREADS: usize = 8;

/// Files and folders that were written and are not on the disk yet.
#[derive(Default)]
pub(super) struct Unflushed {
    files: Vec<(PathBuf, File)>,
    /// Of very many, one of each file system.
    systems: BTreeMap<u64, (PathBuf, File)>,
    /// Those that hold objects of git.
    objects: Vec<PathBuf>,
}

impl Unflushed {
    /// Adds an open file or folder; of `path`, for errors.
    pub(super) fn add(&mut self, path: &Path, file: File) -> Result<(), StoreError> {
        if self.files.iter().any(|(known, _)| known == path) {
            return Ok(());
        }
        self.files.push((path.to_owned(), file));
        if self.files.len() < MANY && self.systems.is_empty() {
            return Ok(());
        }
        if cfg!(not(target_os = "linux")) {
            // Other systems have no flush of a file system that waits and tells of errors.
            let objects = std::mem::take(&mut self.objects);
            return std::mem::replace(self, Self { objects, ..Self::default() }).flush();
        }
        for (path, file) in self.files.drain(..) {
            let system = file.metadata().map_err(|error| StoreError::io(&path, error))?.dev();
            self.systems.entry(system).or_insert((path, file));
        }
        Ok(())
    }

    /// As [`Unflushed::add`], a file that holds objects of git: until something names these, any `git gc --prune=now` takes it away.
    pub(super) fn add_objects(&mut self, path: &Path, file: File) -> Result<(), StoreError> {
        self.miss_objects(path);
        self.add(path, file)
    }

    /// Of a file that holds objects of git, and was taken away already.
    pub(super) fn miss_objects(&mut self, path: &Path) {
        self.objects.push(path.to_owned());
    }

    /// Adds the folder `path`.
    pub(super) fn add_folder(&mut self, path: &Path) -> Result<(), StoreError> {
        let folder = File::open(path).map_err(|error| StoreError::io(path, error))?;
        self.add(path, folder)
    }

    /// Waits until everything is on the disk.
    pub(super) fn flush(self) -> Result<(), StoreError> {
        self.start().wait().map(drop)
    }

    /// Begins to bring everything to the disk.
    pub(super) fn start(self) -> Flushing {
        let (files, sync): (Vec<_>, fn(&File) -> io::Result<()>) = if self.systems.is_empty() {
            (self.files, File::sync_all)
        } else {
            (self.systems.into_values().collect(), sync_system)
        };
        let helpers = files.len().saturating_sub(1).min(THREADS);
        let work = Arc::new(Work { files, sync, next: AtomicUsize::new(0) });
        let helper = |_| {
            let work = Arc::clone(&work);
            // Where no thread is to be had, whoever waits does it all.
            thread::Builder::new().spawn(move || work.go_on()).ok()
        };
        Flushing { helpers: (0..helpers).map_while(helper).collect(), work, objects: self.objects }
    }
}

/// What several threads gather.
#[derive(Default)]
pub(super) struct Shared(Mutex<Unflushed>);

impl Shared {
    pub(super) fn new(unflushed: Unflushed) -> Self {
        Self(Mutex::new(unflushed))
    }

    /// As [`Unflushed::add`].
    pub(super) fn add(&self, path: &Path, file: File) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(path, file)
    }

    pub(super) fn into_unflushed(self) -> Unflushed {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on its way to the disk.
#[must_use]
pub(super) struct Flushing {
    work: Arc<Work>,
    helpers: Vec<JoinHandle<Result<(), StoreError>>>,
    objects: Vec<PathBuf>,
}

struct Work {
    files: Vec<(PathBuf, File)>,
    sync: fn(&File) -> io::Result<()>,
    next: AtomicUsize,
}

impl Work {
    /// Flushes one after the other, until none is left that nobody has begun with.
    fn go_on(&self) -> Result<(), StoreError> {
        while let Some((path, file)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            (self.sync)(file).map_err(|error| StoreError::io(path, error))?;
        }
        Ok(())
    }
}

impl Flushing {
    /// Waits until it is there. The files that hold objects of git.
    pub(super) fn wait(self) -> Result<Vec<PathBuf>, StoreError> {
        let mine = self.work.go_on();
        let join = |helper: JoinHandle<_>| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.helpers.into_iter().map(join).fold(mine, Result::and).map(|()| self.objects)
    }
}

/// Flushes the file system that `file` is on.
fn sync_system(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(file)?;
    #[cfg(not(target_os = "linux"))]
    file.sync_all()?;
    Ok(())
}
