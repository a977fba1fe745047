//! One object of git in a file of its own.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tempfile::NamedTempFile;

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
    aside: OnceLock<NamedTempFile>,
}

impl Loose {
    /// In the folder `objects`, where its own folder is made, and still to be flushed.
    pub(super) fn new(objects: &Path, object: Object) -> Result<Self, StoreError> {
        let name = object.id.to_string();
        let (start, rest) = name.split_at(2);
        let folder = objects.join(start);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(StoreError::io(&folder, error)),
            _ => Ok(Self { path: folder.join(rest), object, aside: OnceLock::new() }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it durably, unless it is there already; then it is as young as a new one, so that no `git gc` takes it.
    pub(super) fn write(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(&self.path, error);
        match OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(&self.path) {
            Ok(there) => self.renew(&there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write_new().map_err(failed),
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

    fn write_new(&self) -> io::Result<()> {
        let Object { kind, data, .. } = &self.object;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(format!("{} {}\0", kind.str(), data.len()).as_bytes())?;
        packed.write_all(data)?;
        let folder = self.path.parent().unwrap_or(&self.path);
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(folder)?;
        file.write_all(&packed.finish()?)?;
        file.as_file().sync_all()?;
        // It is written once.
        let _ = self.aside.set(file);
        Ok(())
    }

    /// Gives it its name, once everything that it names has one; the folder is to be flushed.
    pub(super) fn place(self, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        if let Some(aside) = self.aside.into_inner() {
            aside.persist(&self.path).map_err(|error| StoreError::io(&self.path, error.error))?;
        }
        self.path.parent().map_or(Ok(()), |folder| unflushed.add_folder(folder))
    }
}
