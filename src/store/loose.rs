//! One object of git in a file of its own.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::Oid;
use tempfile::{NamedTempFile, TempPath};

use super::StoreError;
use super::durable::Unflushed;
use super::lock::NOFOLLOW;
use super::made::Object;

/// How the names of files begin that are still being written: git, too, takes away what is left of such.
pub(super) const UNFINISHED: &str = "tmp_obj_";
/// Objects don't change.
const MODE: u32 = 0o444;

/// An object that is to be written.
pub(super) struct Loose {
    path: PathBuf,
    object: Object,
    /// Where it was written, before it gets its name.
    aside: OnceLock<TempPath>,
}

impl Loose {
    /// In the folder `objects`, where its own folder is made, and still to be flushed.
    pub(super) fn new(objects: &Path, object: Object) -> Result<Self, StoreError> {
        let (folder, path) = place(objects, object.id);
        make_folder(&folder).map_err(|error| StoreError::io(&folder, error))?;
        Ok(Self { path, object, aside: OnceLock::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it durably, unless it is there already; then it is as young as a new one, so that no `git gc` takes it.
    pub(super) fn write(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(&self.path, error);
        match OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&self.path) {
            Ok(there) => self.renew(&there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // It is written once.
                let _ = self.aside.set(self.write_new().map_err(failed)?);
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn renew(&self, there: &File) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(&self.path, error);
        let metadata = there.metadata().map_err(failed)?;
        // Left by a crash of the machine; git would take it for the object for ever.
        if !metadata.is_file() || metadata.len() == 0 {
            let id = self.object.id;
            return Err(StoreError::GitFailed { stderr: format!("the object {id} is empty: run `git fsck`") });
        }
        // Somebody else's can't be made younger, nor is it ours to keep.
        let _ = there.set_modified(SystemTime::now());
        there.sync_all().map_err(failed)
    }

    fn write_new(&self) -> io::Result<TempPath> {
        let Object { kind, data, .. } = &self.object;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(format!("{} {}\0", kind.str(), data.len()).as_bytes())?;
        packed.write_all(data)?;
        let folder = self.path.parent().unwrap_or(&self.path);
        let mut file = match aside(folder, UNFINISHED) {
            // `git gc` removes empty folders.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(folder)?;
                folder.parent().map_or(Ok(()), |all| File::open(all)?.sync_all())?;
                aside(folder, UNFINISHED)?
            }
            made => made?,
        };
        file.write_all(&packed.finish()?)?;
        file.as_file().sync_all()?;
        // There may be many, and a limit to the number of open files.
        Ok(file.into_temp_path())
    }

    /// Gives it its name, once everything that it names has one; the folder is to be flushed.
    pub(super) fn place(mut self, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(&self.path, error);
        let folder = self.path.parent().unwrap_or(&self.path);
        let mut aside = self.aside.take();
        loop {
            let placed = aside.map_or(Ok(()), |file| file.persist(&self.path).map_err(|error| error.error));
            match placed.and_then(|()| File::open(folder)) {
                // By the object's name, so that no more and no fewer calls are made when two ids begin alike.
                Ok(folder) => return unflushed.add(&self.path, folder),
                // `git gc --prune=now` removes what nobody has named yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    aside = Some(self.write_new().map_err(failed)?)
                }
                Err(error) => return Err(failed(error)),
            }
        }
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

/// A file in `folder` for objects that are still being written; its name begins with `unfinished`.
pub(super) fn aside(folder: &Path, unfinished: &str) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(unfinished).permissions(Permissions::from_mode(MODE)).tempfile_in(folder)
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
        let loose = Loose::new(&objects, object(b"one")).unwrap();
        let (path, home) = (loose.path().to_owned(), loose.path().parent().unwrap().to_owned());
        fs::remove_dir(&home).unwrap();
        loose.write().unwrap();
        assert!(!path.exists());
        for entry in fs::read_dir(&home).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        loose.place(&mut Unflushed::default()).unwrap();
        assert_eq!(repository.find_blob(object(b"one").id).unwrap().content(), b"one");
        assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
    }

    #[test]
    fn an_object_that_is_there_becomes_young_and_an_empty_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = || {
            let loose = Loose::new(folder.path(), object(b"one")).unwrap();
            let path = loose.path().to_owned();
            loose.write().and_then(|()| loose.place(&mut Unflushed::default())).map(|()| path)
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
}
