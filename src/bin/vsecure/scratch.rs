//! A private directory for values in the clear: in memory where there is one, and gone afterwards, whatever happens. When a signal ends the
//! process it is removed at once; after a kill, by the next command, which finds it by a note.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::Cause;
use vsecure::crypto::SecretBytes;

const PREFIX: &str = "vsecure-";
const MAX_NOTE_BYTES: u64 = 8192;
/// How often a place for a note is tried that somebody else is tidying up.
const TRIES: usize = 10;

#[expect(clippy::cast_possible_wrap, reason = "the flag is a bit")]
pub const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Where a private directory may lie.
#[derive(Debug, Clone)]
pub struct Places {
    /// Directories in memory, the best first.
    pub memory: Vec<PathBuf>,
    /// The directory for temporary files, on a disk perhaps.
    pub fallback: PathBuf,
    /// Where it is noted down while there is one; nowhere without it.
    pub notes: Option<PathBuf>,
}

/// A private directory that is gone when this is dropped, or when a signal ends the process.
pub struct Scratch {
    folder: PathBuf,
    in_memory: bool,
    /// What is told of signals, where they are ours to handle.
    signals: Option<Handle>,
    /// After the folder: it is dropped last.
    note: Option<Note>,
}

impl Scratch {
    /// Makes one, with mode 0700, that is gone when a signal ends the process.
    ///
    /// # Errors
    /// The operating system's, of the last place that was tried.
    pub fn new(places: &Places) -> io::Result<Self> {
        let mut scratch = Self::without_signals(places)?;
        scratch.guard()?;
        Ok(scratch)
    }

    /// As [`Scratch::new`], for a caller who sees to signals.
    ///
    /// # Errors
    /// As for [`Scratch::new`].
    pub fn without_signals(places: &Places) -> io::Result<Self> {
        let tries = places.memory.iter().filter(|folder| is_in_memory(folder)).map(|folder| (folder, true));
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (base, in_memory) in tries.chain([(&places.fallback, false)]) {
            let made = tempfile::Builder::new().prefix(PREFIX).make_in(base, |folder| {
                // Where nothing can be noted the directory is made all the same: a kill is rare.
                let note = places.notes.as_ref().and_then(|notes| Note::new(notes, folder).ok());
                DirBuilder::new().mode(0o700).create(folder)?;
                Ok(note)
            });
            match made.map(tempfile::NamedTempFile::into_parts) {
                Ok((note, folder)) => return Ok(Self { folder: folder.keep()?, in_memory, signals: None, note }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn guard(&mut self) -> io::Result<()> {
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        self.signals = Some(signals.handle());
        let (doomed, noted) = (self.folder.clone(), self.note.as_ref().map(|note| note.path.clone()));
        std::thread::spawn(move || {
            for origin in signals.forever() {
                // A key typed in the terminal is for the program that we started (C-g in emacs); it decides what becomes of it.
                let typed = matches!(origin.cause, Cause::Kernel) && matches!(origin.signal, SIGINT | SIGQUIT);
                if !typed {
                    wipe(&doomed);
                    if let Some(note) = &noted {
                        remove_note(note, &doomed);
                    }
                    std::process::exit(128 + origin.signal);
                }
            }
        });
        Ok(())
    }

    /// Writes a new file there, with mode 0600.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, name: &str, value: &SecretBytes) -> io::Result<PathBuf> {
        self.write_file(name, value.as_bytes(), 0o600)
    }

    /// Writes a new program there, which only its owner can run.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_program(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        self.write_file(name, content, 0o700)
    }

    fn write_file(&self, name: &str, content: &[u8], mode: u32) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(content)?;
        Ok(path)
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether what is written there stays in memory.
    pub const fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        wipe(&self.folder);
        self.signals.iter().for_each(Handle::close);
    }
}

/// A file that names a private directory, locked as long as its process lives.
struct Note {
    path: PathBuf,
    folder: PathBuf,
    _file: File,
}

impl Note {
    fn new(notes: &Path, folder: &Path) -> io::Result<Self> {
        let name = folder.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let path = notes.join(name);
        for _ in 0..TRIES {
            DirBuilder::new().recursive(true).mode(0o700).create(notes)?;
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let mut file = match file {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            file.lock()?;
            // Whoever tidies up may have taken it, unlocked as it was, for one that was left.
            if file.metadata()?.nlink() > 0 {
                file.write_all(folder.as_os_str().as_bytes())?;
                file.sync_all()?;
                return Ok(Self { path, folder: folder.to_owned(), _file: file });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        remove_note(&self.path, &self.folder);
    }
}

/// Removes the note of `folder`, if that is gone, and the directory of notes when it was the last.
fn remove_note(path: &Path, folder: &Path) {
    if folder.symlink_metadata().is_err() {
        let _ = fs::remove_file(path);
        let _ = path.parent().map(fs::remove_dir);
    }
}

/// Removes the private directories of processes that were killed; how many there were.
pub fn remove_left(notes: &Path) -> usize {
    let paths = fs::read_dir(notes).into_iter().flatten().flatten().map(|entry| entry.path());
    let removed = paths.filter(|path| remove_if_left(path).is_ok_and(|removed| removed)).count();
    // It fails while there are others.
    let _ = fs::remove_dir(notes);
    removed
}

fn remove_if_left(note: &Path) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(note)?;
    if file.try_lock().is_err() {
        return Ok(false);
    }
    let mut folder = Vec::new();
    (&file).take(MAX_NOTE_BYTES).read_to_end(&mut folder)?;
    let folder = PathBuf::from(std::ffi::OsString::from_vec(folder));
    let named = folder.is_absolute() && folder.file_name() == note.file_name();
    let ours = |it: fs::Metadata| it.is_dir() && it.uid() == rustix::process::geteuid().as_raw();
    if !named || !folder.symlink_metadata().is_ok_and(ours) {
        // Cut off before there was a directory, or it is gone: nothing to find by it.
        fs::remove_file(note)?;
        return Ok(false);
    }
    wipe(&folder);
    remove_note(note, &folder);
    Ok(true)
}

/// Whether what is written to `folder` stays in memory.
fn is_in_memory(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        const TMPFS: i64 = 0x0102_1994;
        const RAMFS: i64 = 0x8584_58f6;
        rustix::fs::statfs(folder).is_ok_and(|it| matches!(it.f_type, TMPFS | RAMFS))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}

/// Overwrites and removes everything in `folder`, an editor's leftovers too. Best effort: a copy-on-write disk keeps what it keeps.
fn wipe(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => wipe(&path),
            Ok(kind) if kind.is_file() => drop(overwrite(&path)),
            _ => {}
        }
    }
    let _ = fs::remove_dir_all(folder);
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).custom_flags(NOFOLLOW).open(path)?;
    let metadata = file.metadata()?;
    // A file that has another name elsewhere is not ours alone.
    if metadata.nlink() == 1 {
        io::copy(&mut io::repeat(0).take(metadata.len()), &mut file)?;
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        let places = Places { memory: vec![], fallback: folder.path().to_owned(), notes: Some(notes.clone()) };
        let living = Scratch::new(&places).unwrap();
        fs::write(living.folder().join("value"), "x").unwrap();
        let note = |name: &str, target: &Path| fs::write(notes.join(name), target.as_os_str().as_bytes()).unwrap();
        let left = folder.path().join("vsecure-left");
        fs::create_dir_all(left.join("deep")).unwrap();
        fs::write(left.join("deep/value"), "x").unwrap();
        note("vsecure-left", &left);
        // A note that names something else than it is called by, or nothing, removes nothing.
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        note("vsecure-other", &other);
        note("vsecure-empty", Path::new(""));
        assert_eq!(remove_left(&notes), 1);
        assert!(!left.exists() && other.exists() && living.folder().join("value").exists());
        assert_eq!(fs::read_dir(&notes).unwrap().count(), 1);
        let used = living.folder().to_owned();
        drop(living);
        assert!(!used.exists() && !notes.exists());
    }
}
