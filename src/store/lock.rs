//! Locks: our own, which commands of ours queue on, and git's, which we take by linking a file that is recognisably ours.

use std::cell::Cell;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use super::StoreError;
use super::locate::GitPlace;

const PAUSE: Duration = Duration::from_millis(10);
#[expect(clippy::cast_possible_wrap, reason = "the flag is a bit")]
pub(super) const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
const MAX_HOLDER_BYTES: u64 = 200;

/// Our lock, held until dropped. The system releases it when the process ends, however it ends; the note in it, which says who holds
/// it, is taken out only by one who ends in order.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// When a holder took it who was killed; none after one who ended in order.
    killed: Option<SystemTime>,
    /// Whether the next holder is to know of the killed one as well.
    unfinished: Cell<bool>,
}

impl Lock {
    /// When the holder before took the lock, if it was killed.
    pub(super) const fn killed(&self) -> Option<SystemTime> {
        self.killed
    }

    /// Leaves something that a killed holder left to the next one.
    pub(super) fn leave_to_next(&self) {
        self.unfinished.set(true);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.unfinished.get() {
            // With the note in place the next holder looks for leftovers and finds none: that is all.
            let _ = self.file.set_len(0);
        }
    }
}

/// Makes a private folder of ours; the folder that it is in exists. A link in its place leads out of the repository and is refused,
/// which making missing parents as well would not do.
pub(super) fn private_folder(path: &Path) -> Result<(), StoreError> {
    let is_there = || path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    if is_there() {
        return Ok(());
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Another command may have been quicker.
        Err(error) if !is_there() => Err(StoreError::io(path, error)),
        _ => Ok(()),
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(NOFOLLOW);
    options
}

/// Takes our lock, waiting at most `timeout`, and writes down who holds it and for what.
pub(super) fn acquire(git: &GitPlace, timeout: Duration, purpose: &str) -> Result<Lock, StoreError> {
    private_folder(&git.shared_state())?;
    let path = note_of(git);
    let failed = |error| StoreError::io(&path, error);
    let file = private_file().create(true).truncate(false).open(&path).map_err(failed)?;
    let deadline = Instant::now() + timeout;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy: unreadable notes don't change that it is held.
                let _ = (&file).take(MAX_HOLDER_BYTES).read_to_string(&mut holder);
                return Err(StoreError::Locked { holder: holder.trim().to_owned(), file: path });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    sign(file, purpose).map_err(failed)
}

/// Takes our lock if nobody holds it.
pub(super) fn acquire_if_free(git: &GitPlace, purpose: &str) -> Result<Option<Lock>, StoreError> {
    let path = note_of(git);
    let failed = |error| StoreError::io(&path, error);
    let file = private_file().open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => sign(file, purpose).map(Some).map_err(failed),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether somebody is noted as holding the lock: one at work, or one who was killed. A cheap look.
pub(super) fn is_signed(git: &GitPlace) -> bool {
    note_of(git).symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

fn note_of(git: &GitPlace) -> PathBuf {
    git.shared_state().join("lock")
}

/// Writes down who holds the lock now, and sees whether the one before was killed.
fn sign(mut file: File, purpose: &str) -> io::Result<Lock> {
    let before = file.metadata()?;
    let killed = if before.len() > 0 { before.modified().ok() } else { None };
    let note = format!("process {} ({purpose})\n", std::process::id());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(note.as_bytes())?;
    if let Some(killed) = killed {
        // Until what was left is gone, whoever comes next must know from when on to look for it.
        file.set_modified(killed)?;
    }
    Ok(Lock { file, killed, unfinished: Cell::new(false) })
}

/// Writes `content` into the new private file `path`.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<File, StoreError> {
    write_as(&mut private_file(), path, content)
}

/// As [`write_new`], but with the mode that git gives a file of its own.
pub(super) fn write_new_shared(path: &Path, content: &[u8]) -> Result<File, StoreError> {
    write_as(OpenOptions::new().write(true), path, content)
}

fn write_as(options: &mut OpenOptions, path: &Path, content: &[u8]) -> Result<File, StoreError> {
    let written = options.create_new(true).open(path).and_then(|mut file| file.write_all(content).map(|()| file));
    written.map_err(|error| StoreError::io(path, error))
}

/// Makes a file's content durable.
pub(super) fn sync_file(path: &Path, file: &File) -> Result<(), StoreError> {
    file.sync_all().map_err(|error| StoreError::io(path, error))
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::io(folder, error))
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(path, error)),
    }
}

/// Takes git's lock `target` by linking our file `token` there, as exclusively as git creates it; waits at most `timeout`.
pub(super) fn link(token: &Path, target: &Path, timeout: Duration) -> Result<(), StoreError> {
    let deadline = Instant::now() + timeout;
    loop {
        match fs::hard_link(token, target) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if Instant::now() >= deadline {
                    return Err(StoreError::GitLocked { file: target.to_owned() });
                }
                sleep(PAUSE);
            }
            Err(error) => return Err(StoreError::io(target, error)),
        }
    }
}

/// Whether git's lock `target` is the one that was made by linking `token`: the same file by device and number.
pub(super) fn is_ours(token: &Path, target: &Path) -> bool {
    match (token.symlink_metadata(), target.symlink_metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Releases git's lock `target`, if it is the one made by linking `token`.
pub(super) fn unlink(token: &Path, target: &Path) -> Result<(), StoreError> {
    if is_ours(token, target) { remove(target) } else { Ok(()) }
}

/// Random text for names of files: 16 hexadecimal digits.
pub(super) fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0u8; 8];
    let failed = |_| StoreError::io(Path::new("random numbers"), io::Error::other("none to be had"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The random id of a clone; made when `create` says so and something can be written.
pub(super) fn clone_id(git: &GitPlace, create: bool) -> Result<Option<String>, StoreError> {
    let path = git.shared_state().join("clone-id");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            if id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Ok(Some(id.to_owned()));
            }
            // It was cut off by a kill: nobody can have remembered it.
            if create {
                remove(&path)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io(&path, error)),
    }
    if !create {
        return Ok(None);
    }
    let id = random_name()? + &random_name()?;
    let written = private_folder(&git.shared_state())
        .and_then(|()| write_new(&path, format!("{id}\n").as_bytes()))
        .and_then(|file| sync_file(&path, &file));
    match written {
        Ok(()) => Ok(Some(id)),
        Err(StoreError::ReadOnly { .. }) => Ok(None),
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => clone_id(git, false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_place_of_a_private_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (elsewhere, ours) = (folder.path().join("elsewhere"), folder.path().join("vsecure"));
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &ours).unwrap();
        assert!(private_folder(&ours).is_err());
        fs::remove_file(&ours).unwrap();
        private_folder(&ours).unwrap();
        private_folder(&ours).unwrap();
        assert_eq!(fs::metadata(&ours).unwrap().mode() & 0o777, 0o700);
    }
}
