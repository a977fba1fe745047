//! Very many new objects at once: made in memory, and written as one pack, for making files is what takes time.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{Indexer, ObjectType, Odb, Oid, Repository};
use sha1::{Digest as _, Sha1};

use super::durable::Unflushed;
use super::{Store, StoreError};

/// How the git library begins the name of a pack that it is writing.
pub(super) const UNFINISHED: &str = "pack_git2_";
/// Packs don't change.
const PACK_MODE: u32 = 0o444;
/// Asked before the repository, and the only one that is written to.
const IN_MEMORY: i32 = 1000;

/// New objects in memory, and behind them the repository's.
pub(super) struct Packing {
    repository: Repository,
    /// Where the repository has its own.
    objects: String,
}

impl Packing {
    /// None where the repository lies at a path that is no text: the git library can't be told of it.
    pub(super) fn of(store: &Store) -> Result<Option<Self>, StoreError> {
        let Ok(objects) = store.git()?.common_dir.join("objects").into_os_string().into_string() else {
            return Ok(None);
        };
        let odb = Odb::new()?;
        odb.add_new_mempack_backend(IN_MEMORY)?;
        Ok(Some(Self { repository: Repository::from_odb(odb)?, objects }))
    }

    /// Has the repository's objects be found from now on. Until then nothing asks the disk, folder by folder, for each object that is written.
    pub(super) fn see_repository(&self) -> Result<(), StoreError> {
        Ok(self.repository.odb()?.add_disk_alternate(&self.objects)?)
    }

    /// Where objects are made and looked up. It has no references, and no work tree.
    pub(super) const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Writes `objects` as one pack; it is gathered, to be flushed.
    pub(super) fn write(&self, objects: &[Oid], unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let folder = Path::new(&self.objects).join("pack");
        let failed = |error| StoreError::io(&folder, error);
        let pack = self.pack(objects)?;
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut indexer = Indexer::new(None, &folder, PACK_MODE, false).map_err(|error| self.refused(error))?;
        indexer.write_all(&pack).map_err(|error| match error.downcast() {
            Ok(error) => self.refused(error),
            Err(error) => failed(error),
        })?;
        let name = indexer.commit().map_err(|error| self.refused(error))?;
        for ending in ["pack", "idx"] {
            let path = folder.join(format!("pack-{name}.{ending}"));
            let file = fs::File::open(&path).map_err(|error| StoreError::io(&path, error))?;
            unflushed.add_objects(&path, file)?;
        }
        unflushed.add_folder(&folder)
    }

    /// The pack's bytes (gitformat-pack(5)): every object whole.
    fn pack(&self, objects: &[Oid]) -> Result<Vec<u8>, StoreError> {
        let failed = |error| StoreError::io(Path::new(&self.objects), error);
        let odb = self.repository.odb()?;
        let count = u32::try_from(objects.len()).map_err(|error| failed(io::Error::other(error)))?;
        let mut pack = [&b"PACK"[..], &2u32.to_be_bytes(), &count.to_be_bytes()].concat();
        for id in objects {
            let object = odb.read(*id)?;
            begin(object.kind(), object.len(), &mut pack);
            let mut packed = ZlibEncoder::new(&mut pack, Compression::fast());
            packed.write_all(object.data()).and_then(|()| packed.finish().map(drop)).map_err(failed)?;
        }
        let hash = Sha1::digest(&pack);
        pack.extend(hash);
        Ok(pack)
    }

    fn refused(&self, error: git2::Error) -> StoreError {
        super::objects::refused(Path::new(&self.objects), error)
    }
}

/// Type and size: four bits of the size in the first byte, seven in each that follows, the lowest first.
fn begin(kind: ObjectType, size: usize, pack: &mut Vec<u8>) {
    let low = |number: usize, mask: usize| u8::try_from(number & mask).unwrap_or_default();
    let kind = match kind {
        ObjectType::Commit => 1,
        ObjectType::Tree => 2,
        _ => 3,
    };
    let (mut byte, mut rest) = (kind << 4 | low(size, 0x0F), size >> 4);
    while rest > 0 {
        pack.push(byte | 0x80);
        (byte, rest) = (low(rest, 0x7F), rest >> 7);
    }
    pack.push(byte);
}
