//! Bringing to the disk what was written: gathered first, then flushed all at once, for a disk flushes many files in little more time
//! than one.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tempfile::TempPath;

use super::StoreError;
use super::crew::{Crew, THREADS};
use super::loose::Loose;

/// How many files are many: worth threads, a pack, and one flush of the whole file system, which also waits for what others write.
pub(super) const MANY: usize = 64;
/// How many files without names one thread closes.
const CLOSED_TOGETHER: usize = 8;

/// Files and folders that were written and are not on the disk yet.
#[derive(Default)]
pub(super) struct Unflushed {
    files: Vec<(PathBuf, File)>,
    unnamed: Unnamed,
    /// Of very many, one of each file system.
    systems: BTreeMap<u64, (PathBuf, File)>,
    objects: Objects,
}

/// Objects of git that are to get their names once they are flushed.
#[derive(Default)]
struct Unnamed {
    loose: Vec<Loose>,
    packs: Vec<Pack>,
}

/// A pack, its index, and the file by which it is kept: where each was written, and where it is to be.
pub(super) struct Pack {
    pub(super) keep: (TempPath, PathBuf),
    pub(super) pack: (TempPath, PathBuf),
    pub(super) index: (TempPath, PathBuf),
}

/// Files that hold objects of git; as long as this is there, no `git repack` takes packs among them away.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) files: Vec<PathBuf>,
    keeps: Vec<TempPath>,
}

impl Objects {
    pub(super) fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        self.keeps.extend(other.keeps);
    }

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
        self.count_many()
    }

    /// Of many files, only the file systems that they are on are to be flushed.
    fn count_many(&mut self) -> Result<(), StoreError> {
        if self.files.len() < MANY && self.systems.is_empty() {
            return Ok(());
        }
        if cfg!(not(target_os = "linux")) {
            // Other systems have no flush of a file system that waits and tells of errors.
            let mut files = std::mem::take(&mut self.files).into_iter();
            return files.try_for_each(|(path, file)| file.sync_all().map_err(|error| StoreError::io(&path, error)));
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

    /// Adds an object of git, with its file.
    pub(super) fn add_loose(&mut self, (object, file): (Loose, File)) -> Result<(), StoreError> {
        self.add_objects(object.path(), file)?;
        self.unnamed.loose.push(object);
        Ok(())
    }

    /// Notes a file that holds objects of git, by the name that it has or is to have, without flushing it: it is missed when it is gone.
    pub(super) fn miss_objects(&mut self, path: &Path) {
        self.objects.files.push(path.to_owned());
    }

    /// Takes objects that are on the disk.
    pub(super) fn take_objects(&mut self, objects: Objects) {
        self.objects.absorb(objects);
    }

    /// Takes what is in `other`.
    pub(super) fn absorb(&mut self, other: Self) -> Result<(), StoreError> {
        self.unnamed.loose.extend(other.unnamed.loose);
        self.unnamed.packs.extend(other.unnamed.packs);
        self.objects.absorb(other.objects);
        for (system, file) in other.systems {
            self.systems.entry(system).or_insert(file);
        }
        other.files.into_iter().try_for_each(|(path, file)| self.add(&path, file))?;
        self.count_many()
    }

    /// Adds a pack; its files are added already.
    pub(super) fn add_pack(&mut self, pack: Pack) {
        for (_, path) in [&pack.pack, &pack.index] {
            self.miss_objects(path);
        }
        self.unnamed.packs.push(pack);
    }

    /// Adds the folder `path`.
    pub(super) fn add_folder(&mut self, path: &Path) -> Result<(), StoreError> {
        let folder = File::open(path).map_err(|error| StoreError::io(path, error))?;
        self.add(path, folder)
    }

    /// Waits until everything is on the disk. The files that hold objects of git.
    pub(super) fn flush(self, crew: &Crew) -> Result<Objects, StoreError> {
        let mut folders = Self::default();
        let objects = self.start(crew).wait()?.place(&mut folders)?;
        folders.start(crew).wait()?;
        Ok(objects)
    }

    /// Begins to bring everything to the disk.
    pub(super) fn start(self, crew: &Crew) -> Flushing {
        let (files, sync): (Vec<_>, fn(&File) -> io::Result<()>) = if self.systems.is_empty() {
            (self.files, File::sync_all)
        } else {
            (self.systems.into_values().collect(), sync_system)
        };
        let helpers = files.len().min(THREADS - 1);
        // Each begins with one of its own, whenever it comes to it, so that the order does not depend on that.
        let progress = Progress { begun: helpers, ..Progress::default() };
        let work = Arc::new(Work { files, sync, progress: Mutex::new(progress), ended: Condvar::new() });
        let begins = |first: &usize| {
            let (work, first) = (Arc::clone(&work), *first);
            crew.offer(move || work.go_on(Some(first)))
        };
        // Where no thread is to be had, whoever waits does it all.
        let begun = (0..helpers).take_while(begins).count();
        Flushing { left: begun..helpers, work, unnamed: self.unnamed, objects: self.objects }
    }
}

/// What several threads gather.
pub(super) struct Shared<'a> {
    unflushed: Mutex<Unflushed>,
    nameless: Mutex<Nameless>,
    crew: &'a Crew,
}

/// Open files that have lost their names. With the last of it a file's space is given back, for which a file system may wait for the disk
/// (`discard`): a thread waits, and not each change of a name.
#[derive(Default)]
struct Nameless {
    files: Vec<File>,
    /// One for each thread that is to close some: when it has, its end is gone.
    closing: VecDeque<Receiver<Infallible>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(unflushed: Unflushed, crew: &'a Crew) -> Self {
        Self { unflushed: Mutex::new(unflushed), nameless: Mutex::default(), crew }
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
            nameless.close(self.crew);
        }
    }

    /// Begins to bring to the disk what was gathered up to now.
    pub(super) fn start(&self) -> Flushing {
        let flushing =
            std::mem::take(&mut *self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)).start(self.crew);
        // Whoever has other work to do keeps its processor for a while, where the threads may wait.
        thread::yield_now();
        flushing
    }

    /// Waits until all of it is on the disk, and closes what was taken meanwhile.
    pub(super) fn flush(self) -> Result<(), StoreError> {
        let unflushed = self.unflushed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let flushing = unflushed.start(self.crew);
        self.nameless.into_inner().unwrap_or_else(PoisonError::into_inner).close(self.crew);
        flushing.wait().map(drop)
    }

    pub(super) fn into_unflushed(self) -> Unflushed {
        self.unflushed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nameless {
    fn close(&mut self, crew: &Crew) {
        let files = std::mem::take(&mut self.files);
        if files.is_empty() {
            return;
        }
        // There is a limit to the number of open files.
        if let Some(oldest) = (self.closing.len() >= THREADS).then(|| self.closing.pop_front()).flatten() {
            let _ = oldest.recv();
        }
        let (open, closed) = mpsc::channel();
        // Where there is no thread, they are closed here.
        crew.offer(move || drop((files, open)));
        self.closing.push_back(closed);
    }
}

/// What is on its way to the disk. Whoever lets go of it waits.
#[must_use]
pub(super) struct Flushing {
    work: Arc<Work>,
    /// What threads would have begun with that were not to be had.
    left: Range<usize>,
    unnamed: Unnamed,
    objects: Objects,
}

/// What is on the disk, but for the names of objects.
pub(super) struct Flushed {
    unnamed: Unnamed,
    objects: Objects,
}

struct Work {
    files: Vec<(PathBuf, File)>,
    sync: fn(&File) -> io::Result<()>,
    progress: Mutex<Progress>,
    ended: Condvar,
}

#[derive(Default)]
struct Progress {
    /// How many have been begun with.
    begun: usize,
    /// How many of these have come to an end.
    ended: usize,
    /// One has failed: nothing is begun with any more.
    stopped: bool,
    failed: Option<StoreError>,
}

/// One that has been begun with: it ends when this is let go of.
struct Step<'a> {
    work: &'a Work,
    done: Result<(), StoreError>,
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        let mut progress = self.work.progress();
        progress.ended += 1;
        if let Err(error) = std::mem::replace(&mut self.done, Ok(())) {
            progress.stopped = true;
            progress.failed.get_or_insert(error);
        }
        self.work.ended.notify_all();
    }
}

impl Work {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one that nobody has begun with, unless one has failed.
    fn next(&self) -> Option<usize> {
        let mut progress = self.progress();
        let number = progress.begun;
        if number >= self.files.len() || progress.stopped {
            return None;
        }
        progress.begun += 1;
        Some(number)
    }

    /// Does what has the number `first`, if any, then one after the other, until none is left that nobody has begun with.
    fn go_on(&self, mut first: Option<usize>) {
        while let Some(number) = first.take().or_else(|| self.next()) {
            let panicked = io::Error::other("the thread that wrote to it panicked");
            let mut step = Step { work: self, done: Err(StoreError::io(Path::new("disk"), panicked)) };
            step.done = self.carry_out(number);
        }
    }

    fn carry_out(&self, number: usize) -> Result<(), StoreError> {
        let Some((path, file)) = self.files.get(number) else { return Ok(()) };
        (self.sync)(file).map_err(|error| StoreError::io(path, error))
    }

    /// Does what is `left`, and helps until all of it has come to an end.
    fn finish(&self, left: &mut Range<usize>) -> Result<(), StoreError> {
        left.for_each(|number| self.go_on(Some(number)));
        self.go_on(None);
        let running = |progress: &mut Progress| progress.ended < progress.begun;
        let mut progress = self.ended.wait_while(self.progress(), running).unwrap_or_else(PoisonError::into_inner);
        progress.failed.take().map_or(Ok(()), Err)
    }
}

impl Flushing {
    /// Waits until it is there.
    pub(super) fn wait(mut self) -> Result<Flushed, StoreError> {
        self.work.finish(&mut self.left)?;
        Ok(Flushed { unnamed: std::mem::take(&mut self.unnamed), objects: std::mem::take(&mut self.objects) })
    }
}

impl Flushed {
    /// Gives objects their names, in their order: what names others comes behind them, so that none is ever found without those. Their
    /// folders are added to what is to be flushed. The files that hold objects of git.
    pub(super) fn place(mut self, unflushed: &mut Unflushed) -> Result<Objects, StoreError> {
        self.unnamed.loose.into_iter().try_for_each(|object| object.place(unflushed))?;
        for Pack { keep: (keep, kept), pack, index } in self.unnamed.packs {
            let failed = |path: &Path, error| StoreError::io(path, error);
            match keep.persist_noclobber(&kept) {
                Ok(()) => {
                    self.objects.keeps.push(TempPath::try_from_path(&kept).map_err(|error| failed(&kept, error))?)
                }
                // Somebody else keeps it.
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&kept, error.error)),
            }
            // A pack is found by its index.
            for (aside, path) in [pack, index] {
                aside.persist(&path).map_err(|error| failed(&path, error.error))?;
            }
            kept.parent().map_or(Ok(()), |folder| unflushed.add_folder(folder))?;
        }
        Ok(self.objects)
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        // What came of it was told by `wait`, or does not matter any more.
        let _ = self.work.finish(&mut self.left);
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
