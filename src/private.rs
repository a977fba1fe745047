//! Small files of this user's own, which others must not read: written beside their place and renamed, so that they are whole or not
//! there. What a killed writer left beside them is removed by the next one, once it is old enough to belong to nobody.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

const PREFIX: &str = ".vsecure-";
/// Nobody takes so long between making a temporary file and renaming it.
const STALE: Duration = Duration::from_secs(60);

/// Writes `content` durably to `path`, in place of what is there, with mode 0600; missing folders get mode 0700.
///
/// # Errors
/// The operating system's; what was there is as it was.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, |aside| aside.persist(path).map_err(|error| error.error))
}

/// As [`replace`], but a file that exists is an error of the kind `AlreadyExists`.
///
/// # Errors
/// The operating system's.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, |aside| aside.persist_noclobber(path).map_err(|error| error.error))
}

fn write(path: &Path, content: &[u8], put: impl FnOnce(NamedTempFile) -> io::Result<File>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut aside = aside(folder)?;
    aside.write_all(content)?;
    aside.as_file().sync_all()?;
    put(aside)?;
    File::open(folder)?.sync_all()
}

/// A temporary file in `folder`, with mode 0600, to be renamed there.
///
/// # Errors
/// The operating system's.
pub(crate) fn aside(folder: &Path) -> io::Result<NamedTempFile> {
    remove_stale(folder, PREFIX, SystemTime::UNIX_EPOCH);
    tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o600)).tempfile_in(folder)
}

/// Removes our own files in `folder` whose name begins with `prefix`, which were written after `since` and not for a while now. Whether
/// there are none left that are too young. What can't be looked at or removed stays: it is only in nobody's way.
pub(crate) fn remove_stale(folder: &Path, prefix: &str, since: SystemTime) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let mut all_old = true;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        let Ok(written) = metadata.modified() else { continue };
        if !metadata.is_file() || metadata.uid() != me || written < since {
            continue;
        }
        if written.elapsed().is_ok_and(|age| age >= STALE) {
            let _ = fs::remove_file(entry.path());
        } else {
            all_old = false;
        }
    }
    all_old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file");
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.path().join("a"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn only_what_is_old_and_of_that_name_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
        let make = |name: &str, seconds| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(ago(seconds)).unwrap();
        };
        make(".vsecure-older", 10_000);
        make(".vsecure-old", 100);
        make(".vsecure-young", 1);
        make("other", 100);
        assert!(!remove_stale(folder.path(), PREFIX, ago(1000)));
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, [".vsecure-older", ".vsecure-young", "other"]);
        aside(folder.path()).unwrap();
        assert!(!folder.path().join(".vsecure-older").exists());
    }
}
