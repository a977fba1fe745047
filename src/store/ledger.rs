//! A local file of lines that only grows: in the state that all work trees of a repository share, private, one writer at a time.
//!
//! The lines are opaque here. A line is appended whole: what a killed writer or a full disk left of one is cut off by the next
//! writer, before anything is built upon it. A file that has become large is set aside under a number and a new one is begun; the
//! ledger is all of them, in order.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::lock::{self, NOFOLLOW};
use super::{Store, StoreError};

const FOLDER: &str = "audit";
const LOCK: &str = "lock";
const ENDING: &str = ".jsonl";
/// The longest line, with its line end.
pub const MAX_LINE_BYTES: usize = 4096;
/// From this size on a file is set aside.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// What a file can come to: the last batch of lines may reach beyond the size at which it is set aside.
pub const MAX_SEGMENT_BYTES: u64 = 2 * SEGMENT_BYTES;
/// Appending takes microseconds, so waiting for it is done in small steps.
const PAUSE: Duration = Duration::from_micros(500);

/// A ledger, which need not exist yet.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
    name: String,
}

impl Store {
    /// The ledger `name`, which is letters, digits and dashes; none outside a repository.
    #[must_use]
    pub fn ledger(&self, name: &str) -> Option<Ledger> {
        let folder = self.git.as_ref()?.shared_state().join(FOLDER);
        Some(Ledger { folder, name: name.to_owned() })
    }

    /// The names of the ledgers there are.
    ///
    /// # Errors
    /// [`StoreError`] when their folder can't be read.
    pub fn ledgers(&self) -> Result<Vec<String>, StoreError> {
        let Some(git) = &self.git else { return Ok(Vec::new()) };
        let mut names: Vec<String> = file_names(&git.shared_state().join(FOLDER))?
            .iter()
            .filter_map(|name| name.split_once('.'))
            .filter(|(_, rest)| rest.ends_with("jsonl"))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

fn file_names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(folder, error)),
    };
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
    entries.map(name).collect::<io::Result<_>>().map_err(|error| StoreError::io(folder, error))
}

impl Ledger {
    /// Appends what `lines` makes of the last line there is: whole lines, each ended by LF. `durable` waits until they are on the disk.
    /// When anything fails, nothing was appended.
    ///
    /// # Errors
    /// [`StoreError`], as its own kind of error: a place that can't be written, a full disk, a lock held for longer than `patience`, a
    /// damaged file; and whatever `lines` refuses.
    pub fn append<E: From<StoreError>>(
        &self,
        patience: Duration,
        durable: bool,
        lines: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let _lock = self.lock_for_writing(patience)?;
        let path = self.current();
        let failed = |error| StoreError::io(&path, error);
        let mut file = open_to_append(&path).map_err(failed)?;
        let end = file.metadata().map_err(failed)?.len();
        let (mut whole, mut last) = tail(&file, end).map_err(failed)?.ok_or_else(|| damaged(&path))?;
        if whole < end {
            file.set_len(whole).map_err(failed)?;
        }
        if last.is_none() {
            last = self.last_set_aside()?;
        }
        let new = lines(last.as_deref())?;
        if whole >= SEGMENT_BYTES {
            file = self.begin_anew(&path)?;
            whole = 0;
        }
        let write = |file: &mut File| {
            file.write_all(&new)?;
            if durable { file.sync_data() } else { Ok(()) }
        };
        if let Err(error) = write(&mut file) {
            // A part of a line may be there; the next writer cuts it off if this doesn't.
            let _ = file.set_len(whole);
            return Err(failed(error).into());
        }
        if durable && whole == 0 {
            lock::sync_folder(&self.folder)?;
        }
        Ok(())
    }

    /// The ledger's files in order, each cut to whole lines.
    ///
    /// # Errors
    /// [`StoreError`] when they can't be read.
    pub fn segments(&self, patience: Duration) -> Result<Vec<Vec<u8>>, StoreError> {
        let path = self.folder.join(LOCK);
        let file = match OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io(&path, error)),
        };
        wait(&path, patience, || file.try_lock_shared())?;
        let mut files = self.set_aside()?;
        files.push(self.current());
        let mut segments = Vec::new();
        for file in files {
            let mut bytes = read(&file)?;
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
            if !bytes.is_empty() {
                segments.push(bytes);
            }
        }
        Ok(segments)
    }

    fn current(&self) -> PathBuf {
        self.folder.join(format!("{}{ENDING}", self.name))
    }

    /// The files set aside, in order.
    fn set_aside(&self) -> Result<Vec<PathBuf>, StoreError> {
        let number = |name: &String| -> Option<u32> {
            name.strip_prefix(&self.name)?.strip_prefix('.')?.strip_suffix(ENDING)?.parse().ok()
        };
        let mut numbered: Vec<(u32, String)> =
            file_names(&self.folder)?.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
        numbered.sort_unstable();
        Ok(numbered.into_iter().map(|(_, name)| self.folder.join(name)).collect())
    }

    fn last_set_aside(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(path) = self.set_aside()?.pop() else { return Ok(None) };
        let failed = |error| StoreError::io(&path, error);
        let file = OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&path).map_err(failed)?;
        let end = file.metadata().map_err(failed)?.len();
        Ok(tail(&file, end).map_err(failed)?.ok_or_else(|| damaged(&path))?.1)
    }

    fn begin_anew(&self, path: &Path) -> Result<File, StoreError> {
        let number = self.set_aside()?.len() + 1;
        let aside = self.folder.join(format!("{}.{number:06}{ENDING}", self.name));
        fs::rename(path, &aside).and_then(|()| open_to_append(path)).map_err(|error| StoreError::io(path, error))
    }

    fn lock_for_writing(&self, patience: Duration) -> Result<File, StoreError> {
        let path = self.folder.join(LOCK);
        let open = || {
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(NOFOLLOW).open(&path)
        };
        // A link in the folder's place leads out of the repository; `private_folder` refuses it.
        let is_folder = self.folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if !is_folder {
            let shared = self.folder.parent().unwrap_or(&self.folder);
            lock::private_folder(shared).and_then(|()| lock::private_folder(&self.folder))?;
        }
        let file = open().map_err(|error| StoreError::io(&path, error))?;
        wait(&path, patience, || file.try_lock())?;
        Ok(file)
    }
}

fn wait(path: &Path, patience: Duration, mut lock: impl FnMut() -> Result<(), TryLockError>) -> Result<(), StoreError> {
    let deadline = Instant::now() + patience;
    loop {
        match lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    file: path.to_owned(),
                    holder: "it writes to the access log".to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io(path, error)),
        }
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(NOFOLLOW).open(path)
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let opened = match OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(bytes),
        opened => opened,
    };
    let read = opened.and_then(|file| file.take(MAX_SEGMENT_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| StoreError::io(path, error))?;
    if bytes.len() as u64 > MAX_SEGMENT_BYTES { Err(damaged(path)) } else { Ok(bytes) }
}

/// Where the last whole line of a file of `end` bytes ends, and that line; none when there is no end of a line where there must be one.
fn tail(file: &File, end: u64) -> io::Result<Option<(u64, Option<Vec<u8>>)>> {
    // The last whole line, what a killed writer left behind it, and the end of the line before.
    let start = end.saturating_sub(2 * MAX_LINE_BYTES as u64 + 1);
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, start)?;
    let Some(last_end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        // A first line that was never finished.
        return Ok((start == 0).then_some((0, None)));
    };
    bytes.truncate(last_end + 1);
    let line_start =
        bytes.iter().rev().skip(1).position(|byte| *byte == b'\n').map_or(0, |from_end| last_end - from_end);
    if line_start == 0 && start > 0 {
        return Ok(None);
    }
    let whole = start + bytes.len() as u64;
    Ok(Some((whole, Some(bytes.split_off(line_start)))))
}

fn damaged(path: &Path) -> StoreError {
    StoreError::Damaged { path: path.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn ledger(folder: &Path) -> Ledger {
        Ledger { folder: folder.join("vsecure/audit"), name: "a-b".to_owned() }
    }

    /// Appends the number after the last line's.
    fn count(ledger: &Ledger, durable: bool) -> Result<(), StoreError> {
        ledger.append(PATIENCE, durable, |last| {
            let last: u64 = last.map_or(0, |line| std::str::from_utf8(line).unwrap().trim_end().parse().unwrap());
            Ok(format!("{}\n", last + 1).into_bytes())
        })
    }

    fn text(ledger: &Ledger) -> String {
        String::from_utf8(ledger.segments(PATIENCE).unwrap().concat()).unwrap()
    }

    #[test]
    fn lines_are_appended_privately_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        assert_eq!(text(&ledger), "");
        count(&ledger, false).unwrap();
        count(&ledger, true).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = [&ledger.folder, &ledger.current(), &ledger.folder.join(LOCK)].map(|path| mode(path));
        assert_eq!(modes, [0o700, 0o600, 0o600]);
        open_to_append(&ledger.current()).unwrap().write_all(b"3").unwrap();
        assert_eq!(text(&ledger), "1\n2\n", "a reader shows no part of a line");
        count(&ledger, false).unwrap();
        assert_eq!(fs::read_to_string(ledger.current()).unwrap(), "1\n2\n3\n");
        fs::write(ledger.current(), "torn").unwrap();
        count(&ledger, false).unwrap();
        assert_eq!(text(&ledger), "1\n");
    }

    #[test]
    fn a_large_file_is_set_aside_and_the_count_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        for round in 0..3 {
            count(&ledger, false).unwrap();
            let size = usize::try_from(SEGMENT_BYTES).unwrap();
            fs::write(ledger.current(), format!("{}{}\n", "x\n".repeat(size / 2), round * 10)).unwrap();
        }
        count(&ledger, false).unwrap();
        let segments = ledger.segments(PATIENCE).unwrap();
        assert_eq!(segments.len(), 4);
        assert_eq!(segments.iter().map(|it| it.ends_with(b"0\n")).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(segments[3], b"21\n");
        // A new file in which nothing was written yet: the last line is that of the file before.
        fs::write(ledger.current(), "").unwrap();
        count(&ledger, false).unwrap();
        assert_eq!(ledger.segments(PATIENCE).unwrap()[3], b"21\n");
    }

    #[test]
    fn no_line_is_lost_or_doubled_between_writers_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| count(&ledger, false).unwrap()));
            }
        });
        let expected: String = (1..=400).map(|number| format!("{number}\n")).collect();
        assert_eq!(text(&ledger), expected);
    }

    #[test]
    fn a_held_lock_a_link_and_a_file_without_lines_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        count(&ledger, false).unwrap();
        let held = ledger.lock_for_writing(PATIENCE).unwrap();
        let short = Duration::from_millis(20);
        let refused = ledger.append(short, false, |_| Ok::<_, StoreError>(b"x\n".to_vec()));
        assert!(matches!(refused, Err(StoreError::Locked { .. })));
        assert!(matches!(ledger.segments(short), Err(StoreError::Locked { .. })));
        drop(held);
        fs::write(ledger.current(), "x".repeat(3 * MAX_LINE_BYTES)).unwrap();
        assert!(matches!(count(&ledger, false), Err(StoreError::Damaged { .. })));
        fs::write(ledger.current(), format!("{}\n", "x".repeat(3 * MAX_LINE_BYTES))).unwrap();
        assert!(matches!(count(&ledger, false), Err(StoreError::Damaged { .. })));
        let victim = folder.path().join("victim");
        fs::write(&victim, "1\n").unwrap();
        fs::remove_file(ledger.current()).unwrap();
        symlink(&victim, ledger.current()).unwrap();
        assert!(count(&ledger, false).is_err());
        fs::remove_dir_all(&ledger.folder).unwrap();
        fs::create_dir(folder.path().join("elsewhere")).unwrap();
        symlink(folder.path().join("elsewhere"), &ledger.folder).unwrap();
        assert!(count(&ledger, false).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "1\n");
        assert_eq!(fs::read_dir(folder.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_refusal_of_the_caller_appends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path());
        count(&ledger, false).unwrap();
        let refused = ledger.append(PATIENCE, false, |_| Err(StoreError::NoCommit));
        assert!(matches!(refused, Err(StoreError::NoCommit)));
        assert_eq!(text(&ledger), "1\n");
    }
}
