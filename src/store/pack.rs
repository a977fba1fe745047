//! Very many new objects at once, as one pack: making files is what takes time.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use flate2::{Compress, Crc};
use git2::{ObjectType, Oid};
use rayon::prelude::*;
use sha1::{Digest as _, Sha1};

use super::StoreError;
use super::durable::{Pack, Unflushed};
use super::loose;
use super::made::Object;

/// How the names of files begin that are still being written. A `git gc --prune=now` would take away what begins with `tmp_`.
pub(super) const UNFINISHED: &str = ".vsecure-pack-";
/// What is in the file by which a pack that no branch names yet is kept from `git repack -ad`.
const KEEP: &[u8] = b"vsecure: until a branch names it\n";
/// How many bytes of objects make one pack: it is put together in memory, and its offsets must have less than 32 bits.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Objects that are to be packed: each once, and none before one that it names.
#[must_use]
pub(super) struct Unpacked {
    /// The folder of all objects.
    pub(super) place: PathBuf,
    pub(super) objects: Vec<Object>,
}

impl Unpacked {
    /// Writes them as packs, which are gathered, to be flushed.
    pub(super) fn write(self, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let parts = in_parts(self.objects, MAX_BYTES);
        parts.into_iter().try_for_each(|objects| write_one(&self.place, objects, unflushed))
    }
}

/// Parts in their order, of at most `most` bytes, or of a single object.
fn in_parts(objects: Vec<Object>, most: usize) -> Vec<Vec<Object>> {
    let mut parts: Vec<Vec<Object>> = Vec::new();
    let mut bytes = 0;
    for object in objects {
        bytes += object.data.len();
        match parts.last_mut().filter(|_| bytes <= most) {
            Some(part) => part.push(object),
            None => {
                bytes = object.data.len();
                parts.push(vec![object]);
            }
        }
    }
    parts
}

fn write_one(place: &Path, mut objects: Vec<Object>, unflushed: &mut Unflushed) -> Result<(), StoreError> {
    // As its index has them.
    objects.sort_unstable_by_key(|object| object.id);
    let folder = place.join("pack");
    let failed = |error| StoreError::io(&folder, error);
    let Packed { name, pack, index } = packed(&objects).map_err(failed)?;
    fs::create_dir_all(&folder).map_err(failed)?;
    let mut write = |ending: &str, content: &[u8]| {
        let (file, aside) = loose::write_aside(&folder, UNFINISHED, content).map_err(failed)?;
        unflushed.add(&aside, file)?;
        Ok::<_, StoreError>((aside, folder.join(format!("pack-{name}.{ending}"))))
    };
    let pack = Pack { keep: write("keep", KEEP)?, pack: write("pack", &pack)?, index: write("idx", &index)? };
    unflushed.add_pack(pack);
    Ok(())
}

/// With the store's lock held: lets go of packs that a killed command kept.
pub(super) fn release_kept(place: &Path) {
    for entry in fs::read_dir(place.join("pack")).into_iter().flatten().flatten() {
        let path = entry.path();
        let small = |metadata: Metadata| metadata.is_file() && metadata.len() == KEEP.len() as u64;
        if path.extension().is_some_and(|ending| ending == "keep")
            && entry.metadata().is_ok_and(small)
            && fs::read(&path).is_ok_and(|text| text == KEEP)
        {
            // What can't be removed only keeps git from packing anew.
            let _ = fs::remove_file(path);
        }
    }
}

struct Packed {
    name: Oid,
    pack: Vec<u8>,
    index: Vec<u8>,
}

/// The bytes of a pack, every object whole, and of its index (gitformat-pack(5), version 2 of both).
fn packed(objects: &[Object]) -> io::Result<Packed> {
    let count = u32::try_from(objects.len()).map_err(io::Error::other)?;
    let pack_one = |deflater: &mut Compress, object: &Object| {
        let mut entry = head(object.kind, object.data.len());
        entry.extend(loose::deflated(&object.data, deflater)?);
        let mut sum = Crc::new();
        sum.update(&entry);
        Ok((entry, sum.sum()))
    };
    let entries = objects.par_iter().map_init(loose::deflater, pack_one).collect::<io::Result<Vec<_>>>()?;

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
    let name = Oid::from_bytes(&hash).map_err(io::Error::other)?;
    Ok(Packed { name, pack, index })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_bytes_make_several_packs_and_a_large_object_one_of_its_own() {
        let object = |size: &usize| Object { id: Oid::ZERO_SHA1, kind: ObjectType::Blob, data: vec![0; *size] };
        let sizes = [3, 4, 3, 20, 1, 9, 1];
        let parts = in_parts(sizes.iter().map(object).collect(), 10);
        let parts: Vec<Vec<usize>> =
            parts.iter().map(|part| part.iter().map(|object| object.data.len()).collect()).collect();
        assert_eq!(parts, [vec![3, 4, 3], vec![20], vec![1, 9], vec![1]]);
    }
}
