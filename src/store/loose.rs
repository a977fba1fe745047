//! One object of git in a file of its own.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::{Compress, Compression, FlushCompress, Status};
use git2::Oid;
use tempfile::TempPath;

use super::StoreError;
use super::durable::Unflushed;
use super::lock::NOFOLLOW;
use super::made::Object;

/// How the names of files begin that are still being written. Git, too, takes away what is left of such, and has none itself that begin so.
pub(super) const UNFINISHED: &str = "tmp_vsecure_";
/// Objects don't change.
const MODE: u32 = 0o444;

/// An object that has been written.
pub(super) struct Loose {
    /// The folder of all objects.
    objects: PathBuf,
    path: PathBuf,
    object: Object,
    /// Where it was written, before it gets its name; none where it was there already.
    aside: Option<TempPath>,
}

impl Loose {
    /// Writes it aside in the folder `objects`, unless it is there already; then it is as young as a new one, so that no `git gc` takes
    /// it. The file is to be flushed, and so is the folder.
    pub(super) fn write(objects: &Path, object: Object, deflate: &mut Compress) -> Result<(Self, File), StoreError> {
        let (folder, path) = place(objects, object.id);
        let mut loose = Self { objects: objects.to_owned(), path, object, aside: None };
        make_folder(&folder).map_err(|error| StoreError::io(&folder, error))?;
        let file = match OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&loose.path) {
            Ok(there) => loose.renew(&there).map(|()| there)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                loose.write_aside(deflate).map_err(|error| StoreError::io(&loose.path, error))?
            }
            Err(error) => return Err(StoreError::io(&loose.path, error)),
        };
        Ok((loose, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn renew(&self, there: &File) -> Result<(), StoreError> {
        let metadata = there.metadata().map_err(|error| StoreError::io(&self.path, error))?;
        // Left by a crash of the machine; git would take it for the object for ever.
        if !metadata.is_file() || metadata.len() == 0 {
            let id = self.object.id;
            return Err(StoreError::GitFailed { stderr: format!("the object {id} is empty: run `git fsck`") });
        }
        // Somebody else's can't be made younger, nor is it ours to keep.
        let _ = there.set_modified(SystemTime::now());
        Ok(())
    }

    fn write_aside(&mut self, deflate: &mut Compress) -> io::Result<File> {
        let Object { kind, data, .. } = &self.object;
        let header = format!("{} {}\0", kind.str(), data.len());
        let content = deflated(&[header.as_bytes(), data].concat(), deflate)?;
        let (file, path) = write_aside(&self.objects, UNFINISHED, &content)?;
        self.aside = Some(path);
        Ok(file)
    }

    /// Gives it its name, once everything that it names has one; the folder is to be flushed.
    pub(super) fn place(mut self, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        loop {
            let aside = self.aside.take();
            let placed = aside.map_or(Ok(()), |file| file.persist(&self.path).map_err(|error| error.error));
            let folder = self.path.parent().unwrap_or(&self.path);
            match placed.and_then(|()| File::open(folder)) {
                // By the object's name, so that no more and no fewer calls are made when two ids begin alike.
                Ok(folder) => return unflushed.add(&self.path, folder),
                // `git gc --prune=now` removes what nobody has named yet, and empty folders.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.write_again().map_err(|error| StoreError::io(&self.path, error))?;
                }
                Err(error) => return Err(StoreError::io(&self.path, error)),
            }
        }
    }

    fn write_again(&mut self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), make_folder)?;
        self.write_aside(&mut deflater())?.sync_all()?;
        File::open(&self.objects)?.sync_all()
    }
}

/// Deflates one object after the other: to make its tables takes longer than most objects do.
pub(super) fn deflater() -> Compress {
    Compress::new(Compression::fast(), true)
}

/// The zlib stream of `data`.
pub(super) fn deflated(data: &[u8], deflate: &mut Compress) -> io::Result<Vec<u8>> {
    deflate.reset();
    let mut deflated = Vec::with_capacity(data.len() / 2 + 128);
    loop {
        let rest = usize::try_from(deflate.total_in()).ok().and_then(|taken| data.get(taken..)).unwrap_or_default();
        let status = deflate.compress_vec(rest, &mut deflated, FlushCompress::Finish).map_err(io::Error::other)?;
        if status == Status::StreamEnd {
            return Ok(deflated);
        }
        deflated.reserve(deflated.len());
    }
}

/// The folder of an object among `objects`, and its file there.
pub(super) fn place(objects: &Path, id: Oid) -> (PathBuf, PathBuf) {
    let name = id.to_string();
    let (start, rest) = name.split_at(2);
    let folder = objects.join(start);
    let path = folder.join(rest);
    (folder, path)
}

/// Writes `content`, which holds objects, into a new file in `folder` whose name begins with `unfinished`.
pub(super) fn write_aside(folder: &Path, unfinished: &str, content: &[u8]) -> io::Result<(File, TempPath)> {
    let mode = Permissions::from_mode(MODE);
    let mut file = tempfile::Builder::new().prefix(unfinished).permissions(mode).tempfile_in(folder)?;
    file.write_all(content)?;
    Ok(file.into_parts())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use git2::ObjectType;

    use super::*;

    fn object(data: &[u8]) -> Object {
        let kind = ObjectType::Blob;
        Object { id: Oid::hash_object(kind, data).unwrap(), kind, data: data.to_vec() }
    }

    #[test]
    fn what_a_collection_takes_away_before_it_has_a_name_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init(folder.path()).unwrap();
        let objects = folder.path().join(".git/objects");
        for (number, takes_file) in [(b"1", false), (b"2", true)] {
            let (loose, _) = Loose::write(&objects, object(number), &mut deflater()).unwrap();
            let (path, home) = (loose.path().to_owned(), loose.path().parent().unwrap().to_owned());
            assert!(!path.exists());
            fs::remove_dir(&home).unwrap();
            if takes_file {
                fs::remove_file(loose.aside.as_ref().unwrap()).unwrap();
            }
            loose.place(&mut Unflushed::default()).unwrap();
            assert_eq!(repository.find_blob(object(number).id).unwrap().content(), number);
            let left: Vec<_> = fs::read_dir(&objects).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(UNFINISHED)), "{left:?}");
        }
    }

    #[test]
    fn an_object_that_is_there_becomes_young_and_an_empty_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = || {
            let (loose, _) = Loose::write(folder.path(), object(b"one"), &mut deflater())?;
            let path = loose.path().to_owned();
            loose.place(&mut Unflushed::default()).map(|()| path)
        };
        let path = write().unwrap();
        let there = OpenOptions::new().read(true).open(&path).unwrap();
        there.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let before = fs::read(&path).unwrap();
        write().unwrap();
        assert!(fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap().as_secs() < 60);
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"").unwrap();
        assert!(matches!(write(), Err(StoreError::GitFailed { .. })));
    }

    #[test]
    fn what_does_not_get_smaller_is_deflated_too() {
        let mut data = vec![0u8; 100_000];
        getrandom::fill(&mut data).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init(folder.path()).unwrap();
        let mut deflate = deflater();
        for data in [data, b"small".to_vec(), Vec::new()] {
            let (loose, _) = Loose::write(&folder.path().join(".git/objects"), object(&data), &mut deflate).unwrap();
            loose.place(&mut Unflushed::default()).unwrap();
            assert_eq!(repository.find_blob(object(&data).id).unwrap().content(), data);
        }
    }
}
