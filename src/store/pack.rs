//! Very many new objects at once, as one pack: making files is what takes time.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use git2::ObjectType;
use rayon::prelude::*;
use sha1::{Digest as _, Sha1};

use super::StoreError;
use super::durable::Unflushed;
use super::made::Object;

/// How the names of files begin that are still being written. A `git gc --prune=now` would take away what begins with `tmp_`.
pub(super) const UNFINISHED: &str = ".vsecure-pack-";
/// Packs don't change.
const MODE: u32 = 0o444;
const HASH: usize = 20;
/// How many bytes of objects are put together in memory; offsets in a pack of so many have less than 32 bits.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Writes `objects`, each once, and of at most [`MAX_BYTES`], as one pack in the folder `place`; it is gathered, to be flushed.
pub(super) fn write(place: &Path, mut objects: Vec<Object>, unflushed: &mut Unflushed) -> Result<(), StoreError> {
    // As its index has them.
    objects.sort_unstable_by_key(|object| object.id);
    let folder = place.join("pack");
    let failed = |error| StoreError::io(&folder, error);
    let Packed { pack, index } = packed(&objects).map_err(failed)?;
    let name: String = pack.iter().rev().take(HASH).rev().map(|byte| format!("{byte:02x}")).collect();
    fs::create_dir_all(&folder).map_err(failed)?;
    // A pack is found by its index.
    for (ending, content) in [("pack", pack), ("idx", index)] {
        let path = folder.join(format!("pack-{name}.{ending}"));
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(&folder)
            .map_err(failed)?;
        file.write_all(&content).map_err(failed)?;
        unflushed.add_objects(&path, file.persist(&path).map_err(|error| failed(error.error))?)?;
    }
    unflushed.add_folder(&folder)
}

struct Packed {
    pack: Vec<u8>,
    index: Vec<u8>,
}

/// The bytes of a pack, every object whole, and of its index (gitformat-pack(5), version 2 of both).
fn packed(objects: &[Object]) -> io::Result<Packed> {
    let count = u32::try_from(objects.len()).map_err(io::Error::other)?;
    let pack_one = |object: &Object| {
        let mut packed = ZlibEncoder::new(head(object.kind, object.data.len()), Compression::fast());
        packed.write_all(&object.data)?;
        let entry = packed.finish()?;
        let mut sum = Crc::new();
        sum.update(&entry);
        Ok((entry, sum.sum()))
    };
    let entries = objects.par_iter().map(pack_one).collect::<io::Result<Vec<_>>>()?;

    let mut pack = [&b"PACK"[..], &2u32.to_be_bytes(), &count.to_be_bytes()].concat();
    let mut offsets = Vec::new();
    for (entry, _) in &entries {
        offsets.push(u32::try_from(pack.len()).map_err(io::Error::other)?);
        pack.extend(entry);
    }
    let hash = Sha1::digest(&pack);
    pack.extend(hash);

    let mut index = [&b"\xFFtOc"[..], &2u32.to_be_bytes()].concat();
    let mut up_to = 0;
    for first in 0..=u8::MAX {
        let here = objects.iter().skip(up_to).take_while(|object| object.id.as_bytes().first() == Some(&first));
        up_to += here.count();
        index.extend(u32::try_from(up_to).map_err(io::Error::other)?.to_be_bytes());
    }
    objects.iter().for_each(|object| index.extend(object.id.as_bytes()));
    entries.iter().for_each(|(_, sum)| index.extend(sum.to_be_bytes()));
    offsets.iter().for_each(|offset| index.extend(offset.to_be_bytes()));
    index.extend(hash);
    let sum = Sha1::digest(&index);
    index.extend(sum);
    Ok(Packed { pack, index })
}

/// Type and size: four bits of the size in the first byte, seven in each that follows, the lowest first.
fn head(kind: ObjectType, size: usize) -> Vec<u8> {
    let low = |number: usize, mask: usize| u8::try_from(number & mask).unwrap_or_default();
    let kind = match kind {
        ObjectType::Commit => 1,
        ObjectType::Tree => 2,
        _ => 3,
    };
    let mut head = Vec::new();
    let (mut byte, mut rest) = (kind << 4 | low(size, 0x0F), size >> 4);
    while rest > 0 {
        head.push(byte | 0x80);
        (byte, rest) = (low(rest, 0x7F), rest >> 7);
    }
    head.push(byte);
    head
}
