//! Bringing to the disk what was written: gathered first, then flushed all at once, for a disk flushes many files in little more time
//! than one.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tempfile::TempPath;

use super::StoreError;
use super::loose::Loose;

/// How many files are many: worth threads, a pack, and one flush of the whole file system, which also waits for what others write.
pub(super) const MANY: usize = 64;
/// How many are flushed at a time.
const THREADS: usize = 4;
/// How many files without names one thread closes.
const CLOSED_TOGETHER: usize = 8;

/// Files and folders that were written and are not on the disk yet.
#[derive(Default)]
pub(super) struct Unflushed {
    files: Vec<(PathBuf, File)>,
    /// Objects that are to be written first.
    loose: Vec<Loose>,
    /// Of very many, one of each file system.
    systems: BTreeMap<u64, (PathBuf, File)>,
    objects: Objects,
}

/// Files that hold objects of git; as long as this is there, no `git repack` takes packs among them away.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) files: Vec<PathBuf>,
    keeps: Vec<TempPath>,
}

impl Objects {
    /// Lets go of packs, once they are named.
    pub(super) fn release(self) -> io::Result<()> {
        self.keeps.into_iter().try_for_each(TempPath::close)
    }
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
            let files = std::mem::take(&mut self.files);
            return Self { files, ..Self::default() }.flush().map(drop);
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

    /// Adds an object of git that is still to be written.
    pub(super) fn add_loose(&mut self, object: Loose) {
        self.miss_objects(object.path());
        self.loose.push(object);
    }

    /// Of a file that holds objects of git, and is flushed already or was taken away.
    pub(super) fn miss_objects(&mut self, path: &Path) {
        self.objects.files.push(path.to_owned());
    }

    /// Takes objects that are on the disk.
    pub(super) fn take_objects(&mut self, objects: Objects) {
        self.objects.files.extend(objects.files);
        self.objects.keeps.extend(objects.keeps);
    }

    /// Takes the file by which a pack is kept.
    pub(super) fn keep(&mut self, file: TempPath) {
        self.objects.keeps.push(file);
    }

    /// Adds the folder `path`.
    pub(super) fn add_folder(&mut self, path: &Path) -> Result<(), StoreError> {
        let folder = File::open(path).map_err(|error| StoreError::io(path, error))?;
        self.add(path, folder)
    }

    /// Waits until everything is on the disk. The files that hold objects of git.
    pub(super) fn flush(self) -> Result<Objects, StoreError> {
        let mut folders = Self::default();
        let objects = self.start().wait()?.place(&mut folders)?;
        folders.start().wait()?;
        Ok(objects)
    }

    /// Begins to bring everything to the disk.
    pub(super) fn start(self) -> Flushing {
        let (files, sync): (Vec<_>, fn(&File) -> io::Result<()>) = if self.systems.is_empty() {
            (self.files, File::sync_all)
        } else {
            (self.systems.into_values().collect(), sync_system)
        };
        let wanted = (self.loose.len() + files.len()).saturating_sub(1).min(THREADS);
        let work = Arc::new(Work { loose: self.loose, files, sync, next: AtomicUsize::new(wanted) });
        let helper = |first| {
            let work = Arc::clone(&work);
            // Where no thread is to be had, the others do it all.
            thread::Builder::new().spawn(move || work.go_on(first)).ok()
        };
        let helpers: Vec<_> = (0..wanted).map_while(helper).collect();
        Flushing { left: helpers.len()..wanted, work, helpers, objects: self.objects }
    }
}

/// What several threads gather.
#[derive(Default)]
pub(super) struct Shared {
    unflushed: Mutex<Unflushed>,
    nameless: Mutex<Nameless>,
}

/// Open files that have lost their names. With the last of it a file's space is given back, for which a file system may wait for the disk
/// (`discard`): a thread waits, and not each change of a name.
#[derive(Default)]
struct Nameless {
    files: Vec<File>,
    closing: VecDeque<JoinHandle<()>>,
}

impl Shared {
    pub(super) fn new(unflushed: Unflushed) -> Self {
        Self { unflushed: Mutex::new(unflushed), ..Self::default() }
    }

    /// As [`Unflushed::add`].
    pub(super) fn add(&self, path: &Path, file: File) -> Result<(), StoreError> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner).add(path, file)
    }

    /// Takes a file whose name is about to be taken away, to be closed later.
    pub(super) fn close(&self, file: File) {
        let mut nameless = self.nameless.lock().unwrap_or_else(PoisonError::into_inner);
        nameless.files.push(file);
        if nameless.files.len() >= CLOSED_TOGETHER {
            nameless.close();
        }
    }

    /// Begins to close what was taken.
    pub(super) fn begin_closing(&self) {
        self.nameless.lock().unwrap_or_else(PoisonError::into_inner).close();
    }

    pub(super) fn into_unflushed(self) -> Unflushed {
        self.begin_closing();
        self.unflushed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nameless {
    fn close(&mut self) {
        let files = std::mem::take(&mut self.files);
        // There is a limit to the number of open files. A thread that panicked has closed its files too.
        if let Some(oldest) = (self.closing.len() >= THREADS).then(|| self.closing.pop_front()).flatten() {
            let _ = oldest.join();
        }
        // Where no thread is to be had, they are closed here.
        self.closing.extend(thread::Builder::new().spawn(move || drop(files)));
    }
}

/// What is on its way to the disk. Whoever lets go of it waits.
#[must_use]
pub(super) struct Flushing {
    work: Arc<Work>,
    helpers: Vec<JoinHandle<Result<(), StoreError>>>,
    /// What threads would have begun with that were not to be had.
    left: Range<usize>,
    objects: Objects,
}

/// What is on the disk, but for the names of objects.
pub(super) struct Flushed {
    loose: Vec<Loose>,
    objects: Objects,
}

struct Work {
    loose: Vec<Loose>,
    files: Vec<(PathBuf, File)>,
    sync: fn(&File) -> io::Result<()>,
    next: AtomicUsize,
}

impl Work {
    /// The number of what nobody has begun with.
    fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Does what has the number `first`, then one after the other, until none is left that nobody has begun with, or one fails.
    fn go_on(&self, first: usize) -> Result<(), StoreError> {
        let mut done = self.step(first);
        while let Ok(true) = done {
            done = self.step(self.next());
        }
        if done.is_err() {
            self.next.store(self.loose.len() + self.files.len(), Ordering::Relaxed);
        }
        done.map(drop)
    }

    /// Does what has the number `number`; whether there is such.
    fn step(&self, number: usize) -> Result<bool, StoreError> {
        if let Some(object) = self.loose.get(number) {
            return object.write().map(|()| true);
        }
        let Some((path, file)) = number.checked_sub(self.loose.len()).and_then(|number| self.files.get(number)) else {
            return Ok(false);
        };
        (self.sync)(file).map(|()| true).map_err(|error| StoreError::io(path, error))
    }
}

impl Flushing {
    /// Waits until it is there.
    pub(super) fn wait(mut self) -> Result<Flushed, StoreError> {
        self.finish()?;
        // Nobody else has it any more.
        let loose = Arc::get_mut(&mut self.work).map(|work| std::mem::take(&mut work.loose)).unwrap_or_default();
        Ok(Flushed { loose, objects: std::mem::take(&mut self.objects) })
    }

    /// Helps until all of it is done.
    fn finish(&mut self) -> Result<(), StoreError> {
        let left = self.left.by_ref().try_for_each(|number| self.work.step(number).map(drop));
        let mine = left.and_then(|()| self.work.go_on(self.work.next()));
        let join = |helper: JoinHandle<_>| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.helpers.drain(..).map(join).fold(mine, Result::and)
    }
}

impl Flushed {
    /// Gives objects their names, in their order: what names others comes behind them, so that none is ever found without those. Their
    /// folders are added to what is to be flushed. The files that hold objects of git.
    pub(super) fn place(self, unflushed: &mut Unflushed) -> Result<Objects, StoreError> {
        self.loose.into_iter().try_for_each(|object| object.place(unflushed))?;
        Ok(self.objects)
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        // What came of it was told by `wait`, or does not matter any more.
        let _ = self.finish();
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
