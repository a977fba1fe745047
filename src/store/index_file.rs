//! Git's index as bytes, in its versions 2 to 4 (gitformat-index(5)): entries are looked up, set and removed, and what is around them
//! stays as it is. Pure.
//!
//! The git library reads and writes every entry, and hashes all of it twice with a search for collisions: with ten thousand secrets
//! that is most of what a change costs. Here what does not change is copied.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::{Deref, DerefMut, Range};

use git2::Oid;
use memmap2::{MmapMut, MmapOptions};
use sha1::{Digest as _, Sha1};
use thiserror::Error;

/// The part of an entry that has one size: ten numbers, the id, the flags.
const FIXED: usize = 62;
const ID: Range<usize> = 40..60;
const FLAGS: Range<usize> = 60..FIXED;
const SIZE: Range<usize> = 36..40;
const MODIFIED: Range<usize> = 8..12;
const HASH: usize = 20;

/// Flag: two more bytes of flags follow.
const EXTENDED: u16 = 0x4000;
/// Flag in those: the path is only to be added some time, and nothing is staged for it.
const INTENT_TO_ADD: u16 = 0x2000;
const STAGE: u16 = 0x3000;
/// The length of the path; all ones when it is as long or longer.
const LENGTH: u16 = 0x0FFF;

/// Why an index can't be changed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum IndexFileError {
    #[error("it is damaged")]
    Damaged,
    #[error("it is of version {0}, and known are 2 to 4")]
    Version(u32),
    #[error("it is split in two; `git update-index --no-split-index` makes it one")]
    Split,
    #[error("it is sparse; `git sparse-checkout reapply --no-sparse-index` makes it whole")]
    Sparse,
    #[error("it needs an extension named {0:?}")]
    Extension(String),
}

/// What an entry says of a file, with the file's stat data as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Seconds and nanoseconds.
    pub(super) changed: [u32; 2],
    /// Seconds and nanoseconds.
    pub(super) modified: [u32; 2],
    pub(super) device: u32,
    pub(super) inode: u32,
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) size: u32,
    pub(super) id: [u8; HASH],
}

/// What is staged for a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) id: Option<Oid>,
    pub(super) conflicted: bool,
}

/// An entry that is not in conflict, for comparing it with its file.
#[derive(Debug)]
pub(super) struct Found {
    at: usize,
    pub(super) id: Oid,
    pub(super) path: Vec<u8>,
}

/// The bytes of an index: memory that is there as a whole, for a fault of each of its pages would take longer than to read it.
#[derive(Debug, Default)]
pub(super) struct Bytes(Option<MmapMut>);

/// Where an entry begins, and where its path is.
#[derive(Debug, Clone, Copy)]
struct Slot {
    at: usize,
    path: usize,
    length: usize,
}

/// An index, and what is to become of it.
#[derive(Debug)]
pub(super) struct IndexFile {
    bytes: Bytes,
    version: u32,
    slots: Vec<Slot>,
    /// Where the entries end.
    end: usize,
    /// The paths, which version 4 writes down in part only.
    paths: Option<Vec<u8>>,
    /// The ids of folders' trees, where they are known.
    trees: Option<Range<usize>>,
    /// What the conflicts were that have been resolved.
    resolved: Option<Range<usize>>,
    edits: BTreeMap<Vec<u8>, Option<Entry>>,
}

impl IndexFile {
    /// An index without entries, as before the first `git add`.
    pub(super) fn empty() -> Self {
        Self {
            bytes: Bytes::default(),
            version: 2,
            slots: Vec::new(),
            end: 0,
            paths: None,
            trees: None,
            resolved: None,
            edits: BTreeMap::new(),
        }
    }

    /// Takes an index apart. Its checksum is not compared: git doesn't either, nor does it always write one.
    pub(super) fn parse(bytes: Bytes) -> Result<Self, IndexFileError> {
        if bytes.get(..4) != Some(b"DIRC") {
            return Err(IndexFileError::Damaged);
        }
        let version = number(&bytes, 4).ok_or(IndexFileError::Damaged)?;
        if !(2..=4).contains(&version) {
            return Err(IndexFileError::Version(version));
        }
        let mut file = Self { bytes, version, paths: (version == 4).then(Vec::new), ..Self::empty() };
        let count = number(&file.bytes, 8).ok_or(IndexFileError::Damaged)?;
        file.read_entries(count).ok_or(IndexFileError::Damaged)?;
        // One that is split says so only there, and its entries need not be in order.
        file.read_extensions()?;
        if file.is_sorted() { Ok(file) } else { Err(IndexFileError::Damaged) }
    }

    fn read_entries(&mut self, count: u32) -> Option<()> {
        let content = self.bytes.len().checked_sub(HASH)?;
        self.slots.reserve(usize::try_from(count).ok()?.min(content / FIXED));
        let mut at = 12;
        for _ in 0..count {
            let flags = self.flags(at)?;
            let begin = at + FIXED + if flags & EXTENDED == 0 { 0 } else { 2 };
            let (slot, end) = match &mut self.paths {
                Some(paths) => expand(&self.bytes, Slot { at, path: begin, length: 0 }, paths, self.slots.last())?,
                None => plain(&self.bytes, Slot { at, path: begin, length: usize::from(flags & LENGTH) })?,
            };
            self.slots.push(slot);
            at = end;
        }
        self.end = at;
        (at <= content).then_some(())
    }

    /// By path, and by stage where there are several for one.
    fn is_sorted(&self) -> bool {
        let key = |slot: &Slot| (self.path(slot), self.flags(slot.at).map(|flags| flags & STAGE));
        self.slots.iter().map(key).is_sorted_by(|before, next| before < next)
    }

    fn read_extensions(&mut self) -> Result<(), IndexFileError> {
        let content = self.bytes.len() - HASH;
        let mut at = self.end;
        while at < content {
            let (name, size) = (self.bytes.get(at..at + 4), number(&self.bytes, at + 4));
            let (Some(name), Some(size)) = (name, size) else { return Err(IndexFileError::Damaged) };
            let body = at + 8..(at + 8).saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
            if body.end > content {
                return Err(IndexFileError::Damaged);
            }
            at = body.end;
            match name {
                b"TREE" => self.trees = Some(body),
                b"REUC" => self.resolved = Some(body),
                b"link" => return Err(IndexFileError::Split),
                b"sdir" => return Err(IndexFileError::Sparse),
                // Whoever doesn't know it may leave it out: caches of what is in the work tree, and offsets into this file.
                [b'A'..=b'Z', ..] => {}
                _ => return Err(IndexFileError::Extension(String::from_utf8_lossy(name).into_owned())),
            }
        }
        Ok(())
    }

    /// What is staged for `path`, before any change.
    pub(super) fn staged(&self, path: &[u8]) -> Staged {
        let mut staged = Staged::default();
        for slot in self.slots.get(self.range(path)).unwrap_or_default() {
            match self.flags(slot.at) {
                Some(flags) if flags & EXTENDED != 0 && self.is_intended(slot) => {}
                Some(flags) if flags & STAGE == 0 => staged.id = self.id(slot),
                _ => staged.conflicted = true,
            }
        }
        staged
    }

    /// The entries whose files were last changed at `since` or later, in seconds since 1970, as far as their size is known.
    pub(super) fn modified_since(&self, since: i64) -> impl Iterator<Item = Found> + '_ {
        self.slots.iter().filter_map(move |slot| {
            let at = |field: Range<usize>| number(&self.bytes, slot.at + field.start);
            // Git keeps the low 32 bits, and takes them as they are.
            let fresh = i64::from(at(MODIFIED)?) >= since && at(SIZE)? != 0 && self.flags(slot.at)? & STAGE == 0;
            if !fresh {
                return None;
            }
            Some(Found { at: slot.at, id: self.id(slot)?, path: self.path(slot)?.to_vec() })
        })
    }

    /// Stages `entry` for `path`, in place of whatever is there, in conflict or not.
    pub(super) fn set(&mut self, path: &[u8], entry: Entry) {
        // A file where a folder was, or below what was a file: both can't be. What is in conflict stays for its owner to settle.
        let below = self.first([path, b"/"].concat().as_slice())..self.first([path, b"0"].concat().as_slice());
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let above = above.filter_map(|(end, _)| path.get(..end)).flat_map(|folder| self.range(folder));
        let whole = below.chain(above).filter_map(|slot| self.slots.get(slot));
        let whole = whole.filter(|slot| self.flags(slot.at).is_some_and(|flags| flags & STAGE == 0));
        let gone: Vec<Vec<u8>> = whole.filter_map(|slot| Some(self.path(slot)?.to_vec())).collect();
        if !gone.is_empty() {
            self.trees = None;
        }
        self.edits.extend(gone.into_iter().map(|path| (path, None)));
        self.edits.insert(path.to_vec(), Some(entry));
    }

    /// Takes `path` out.
    pub(super) fn remove(&mut self, path: &[u8]) {
        self.edits.insert(path.to_vec(), None);
    }

    /// Whether [`IndexFile::set`] or [`IndexFile::remove`] were asked for it.
    pub(super) fn is_edited(&self, path: &[u8]) -> bool {
        self.edits.contains_key(path)
    }

    /// The index with everything that was asked for, but for its checksum.
    pub(super) fn changed(self) -> Result<Changed, IndexFileError> {
        let count = self.edits.iter().fold(self.slots.len(), |count, (path, entry)| {
            count - self.range(path).len() + usize::from(entry.is_some())
        });
        let number = |count: usize| u32::try_from(count).map(u32::to_be_bytes).map_err(|_| IndexFileError::Damaged);
        let mut pieces = Pieces::default();
        pieces.add(&[&b"DIRC"[..], &self.version.to_be_bytes(), &number(count)?].concat());
        let ours = self.write_entries(&mut pieces);
        let trees = self.trees.clone().and_then(|trees| self.without_changed(self.bytes.get(trees)?));
        let resolved = self.resolved.clone().and_then(|resolved| self.bytes.get(resolved));
        for (name, body) in [(b"TREE", trees.as_deref()), (b"REUC", resolved)] {
            if let Some(body) = body {
                pieces.add(&[&name[..], &number(body.len())?, body].concat());
            }
        }
        Ok(Changed { old: self, pieces, ours, touched: Vec::new(), begun: (0, Sha1::new()) })
    }

    /// Where each entry that was set begins, in what was added.
    fn write_entries(&self, pieces: &mut Pieces) -> BTreeMap<Vec<u8>, usize> {
        let mut ours = BTreeMap::new();
        let mut next = 0;
        let mut before: &[u8] = &[];
        for (path, entry) in &self.edits {
            let there = self.range(path);
            before = self.copy(next..there.start, before, pieces);
            if let Some(entry) = entry {
                ours.insert(path.clone(), pieces.added.len());
                pieces.add(&self.written(&entry.fixed(path), path, before));
                before = path;
            }
            next = there.end;
        }
        self.copy(next..self.slots.len(), before, pieces);
        ours
    }

    /// Copies entries as they are. The first may be written by what it has in common with the one `before`, which may be another now.
    /// The last path.
    fn copy<'a>(&'a self, slots: Range<usize>, before: &'a [u8], pieces: &mut Pieces) -> &'a [u8] {
        let at = |slot: usize| self.slots.get(slot).map_or(self.end, |slot| slot.at);
        let Some(first) = self.slots.get(slots.clone()).and_then(<[Slot]>::first) else { return before };
        let mut begin = first.at;
        let behind_another = slots.start.checked_sub(1).and_then(|at| self.path(self.slots.get(at)?)) != Some(before);
        if let Some((fixed, path)) =
            self.paths.as_ref().filter(|_| behind_another).and(self.fixed(first).zip(self.path(first)))
        {
            pieces.keep(first.at..first.at + fixed.len());
            pieces.add(self.written(fixed, path, before).get(fixed.len()..).unwrap_or_default());
            begin = at(slots.start + 1);
        }
        pieces.keep(begin..at(slots.end));
        self.slots.get(slots.end - 1).and_then(|slot| self.path(slot)).unwrap_or_default()
    }

    /// The part of an entry that is before its path.
    fn fixed(&self, slot: &Slot) -> Option<&[u8]> {
        let length = if self.flags(slot.at)? & EXTENDED == 0 { FIXED } else { FIXED + 2 };
        self.bytes.get(slot.at..slot.at + length)
    }

    /// An entry as it is written behind the one of `before`.
    fn written(&self, fixed: &[u8], path: &[u8], before: &[u8]) -> Vec<u8> {
        if self.paths.is_some() {
            let common = path.iter().zip(before).take_while(|(a, b)| a == b).count();
            let dropped = offset(before.len() - common);
            return [fixed, &dropped, path.get(common..).unwrap_or_default(), &[0]].concat();
        }
        let mut entry = [fixed, path].concat();
        entry.resize((entry.len() / 8 + 1) * 8, 0);
        entry
    }

    /// The cached trees, without those that a change makes void; none when they are damaged.
    fn without_changed(&self, mut rest: &[u8]) -> Option<Vec<u8>> {
        let folders = self.edits.keys().flat_map(|path| {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
            ends.chain([0]).filter_map(|end| path.get(..end))
        });
        let void: HashSet<&[u8]> = folders.collect();
        let mut out = Vec::with_capacity(rest.len());
        // The folders that we are in: the length of their path, and how many of theirs are still to come.
        let mut path: Vec<u8> = Vec::new();
        let mut within: Vec<(usize, usize)> = Vec::new();
        loop {
            let (name, after) = cut(rest, 0)?;
            let (counts, after) = cut(after, b'\n')?;
            let (entries, below) = std::str::from_utf8(counts).ok()?.split_once(' ')?;
            let (entries, below) = (entries.parse::<i64>().ok()?, below.parse::<usize>().ok()?);
            let (id, after) = after.split_at_checked(if entries < 0 { 0 } else { HASH })?;
            rest = after;
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(name);
            out.extend(name);
            if entries < 0 || void.contains(path.as_slice()) {
                out.extend(format!("\0-1 {below}\n").as_bytes());
            } else {
                out.extend(format!("\0{entries} {below}\n").as_bytes());
                out.extend(id);
            }
            within.push((path.len(), below));
            while let Some((length, left)) = within.last_mut() {
                path.truncate(*length);
                match left.checked_sub(1) {
                    Some(fewer) => {
                        *left = fewer;
                        break;
                    }
                    None => drop(within.pop()),
                }
            }
            if within.is_empty() {
                return rest.is_empty().then_some(out);
            }
        }
    }

    fn flags(&self, at: usize) -> Option<u16> {
        let flags = self.bytes.get(at + FLAGS.start..at + FLAGS.end)?;
        Some(u16::from_be_bytes(flags.try_into().ok()?))
    }

    /// Of an entry whose flags are extended.
    fn is_intended(&self, slot: &Slot) -> bool {
        number(&self.bytes, slot.at + FLAGS.start).is_some_and(|flags| flags & u32::from(INTENT_TO_ADD) != 0)
    }

    fn id(&self, slot: &Slot) -> Option<Oid> {
        Oid::from_bytes(self.bytes.get(slot.at + ID.start..slot.at + ID.end)?).ok()
    }

    fn path(&self, slot: &Slot) -> Option<&[u8]> {
        self.paths.as_deref().unwrap_or(&self.bytes).get(slot.path..slot.path + slot.length)
    }

    /// The first entry that is not before `path`.
    fn first(&self, path: &[u8]) -> usize {
        self.slots.partition_point(|slot| self.path(slot) < Some(path))
    }

    /// The entries for `path`: none, one, or several that are in conflict.
    fn range(&self, path: &[u8]) -> Range<usize> {
        let first = self.first(path);
        let same = self.slots.iter().skip(first).take_while(|slot| self.path(slot) == Some(path));
        first..first + same.count()
    }
}

/// What an index is written of, in order.
#[derive(Debug, Default)]
struct Pieces {
    all: Vec<Piece>,
    /// What was not in the old one.
    added: Vec<u8>,
    /// Of all of them.
    length: usize,
    /// Of what is kept: where it is in the old one, and where it begins in the new one.
    kept: Vec<(Range<usize>, usize)>,
    /// The same of what was added.
    new: Vec<(Range<usize>, usize)>,
}

/// A part of the old bytes, or of those that were added.
#[derive(Debug)]
struct Piece {
    kept: bool,
    from: Range<usize>,
}

impl Pieces {
    fn keep(&mut self, from: Range<usize>) {
        self.push(true, from);
    }

    fn add(&mut self, bytes: &[u8]) {
        let from = self.added.len()..self.added.len() + bytes.len();
        self.added.extend(bytes);
        self.push(false, from);
    }

    fn push(&mut self, kept: bool, from: Range<usize>) {
        if kept { &mut self.kept } else { &mut self.new }.push((from.clone(), self.length));
        self.length += from.len();
        self.all.push(Piece { kept, from });
    }

    /// Where the byte `at` of the old index, or of what was added, is in the new one; none where it is left out.
    fn place(&self, kept: bool, at: usize) -> Option<usize> {
        let places = if kept { &self.kept } else { &self.new };
        let (from, place) = places.get(places.partition_point(|(from, _)| from.end <= at))?;
        Some(at.checked_sub(from.start)? + place)
    }
}

/// An index as it will be, but for its checksum: most of it is the old one's bytes.
#[derive(Debug)]
pub(super) struct Changed {
    old: IndexFile,
    pieces: Pieces,
    /// The entries that were set: where each begins in what was added.
    ours: BTreeMap<Vec<u8>, usize>,
    touched: Vec<(bool, Range<usize>)>,
    /// How much of the beginning stays as it is, and has been hashed.
    begun: (usize, Sha1),
}

impl Changed {
    /// All of it, in order; the checksum is to follow.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.all.iter().filter_map(|piece| self.source(piece.kept).get(piece.from.clone()))
    }

    /// Hashes what is before all that may change still: the entries that were set, and those of `racy` that are found to be so.
    pub(super) fn begin_hash(&mut self, racy: &[Found]) {
        let set = self.ours.values().filter_map(|at| self.pieces.place(false, *at));
        let open = set.chain(racy.iter().filter_map(|found| self.pieces.place(true, found.at))).min();
        let mut hash = Sha1::new();
        let mut left = open.unwrap_or(usize::MAX);
        let mut hashed = 0;
        for part in self.parts() {
            let part = part.get(..left).unwrap_or(part);
            hash.update(part);
            hashed += part.len();
            left -= part.len();
        }
        self.begun = (hashed, hash);
    }

    /// Forgets the size of entries that [`IndexFile::modified_since`] gave, so that git looks at the files again.
    pub(super) fn forget_size<'a>(&mut self, entries: impl Iterator<Item = &'a Found>) {
        for entry in entries {
            self.put(true, entry.at + SIZE.start, &[0; SIZE.end - SIZE.start]);
        }
    }

    /// Whether an entry was set for `path`.
    pub(super) fn has_set(&self, path: &[u8]) -> bool {
        self.ours.contains_key(path)
    }

    /// Gives the entry that was set for `path` the stat data of `entry`.
    pub(super) fn stamp(&mut self, path: &[u8], entry: &Entry) {
        if let Some(at) = self.ours.get(path) {
            self.put(false, *at, entry.fixed(path).get(..ID.start).unwrap_or_default());
        }
    }

    fn put(&mut self, kept: bool, at: usize, bytes: &[u8]) {
        let source: &mut [u8] = if kept { &mut self.old.bytes } else { &mut self.pieces.added };
        if let Some(there) = source.get_mut(at..at + bytes.len()) {
            there.copy_from_slice(bytes);
            self.touched.push((kept, at..at + bytes.len()));
        }
    }

    fn source(&self, kept: bool) -> &[u8] {
        if kept { &self.old.bytes } else { &self.pieces.added }
    }

    /// What became another since it was written: where, and what it is now; and the checksum.
    pub(super) fn completed(&self) -> Vec<(u64, Vec<u8>)> {
        let (mut hashed, mut hash) = self.begun.clone();
        for part in self.parts() {
            hash.update(part.get(hashed..).unwrap_or_default());
            hashed = hashed.saturating_sub(part.len());
        }
        let touched = self.touched.iter().filter_map(|(kept, at)| {
            Some((self.pieces.place(*kept, at.start)? as u64, self.source(*kept).get(at.clone())?.to_vec()))
        });
        touched.chain([(self.pieces.length as u64, hash.finalize().to_vec())]).collect()
    }
}

impl Bytes {
    pub(super) fn zeroed(length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        MmapOptions::new().len(length).populate().map_anon().map(|map| Self(Some(map)))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Entry {
    fn fixed(&self, path: &[u8]) -> [u8; FIXED] {
        let length = u16::try_from(path.len()).unwrap_or(LENGTH).min(LENGTH);
        let numbers = [self.device, self.inode, self.mode, self.user, self.group, self.size];
        let numbers = self.changed.into_iter().chain(self.modified).chain(numbers).flat_map(u32::to_be_bytes);
        let mut fixed = [0; FIXED];
        for (to, from) in fixed.iter_mut().zip(numbers.chain(self.id).chain(length.to_be_bytes())) {
            *to = from;
        }
        fixed
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// What is before the first `end`, and what is after it.
pub(super) fn cut(bytes: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == end)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// The end of an entry whose path is written in full: it and one to eight zeros make a multiple of eight.
fn plain(bytes: &[u8], mut slot: Slot) -> Option<(Slot, usize)> {
    if slot.length == usize::from(LENGTH) {
        slot.length = cut(bytes.get(slot.path..)?, 0)?.0.len();
    }
    let end = slot.at + ((slot.path + slot.length - slot.at) / 8 + 1) * 8;
    (bytes.get(slot.path + slot.length) == Some(&0) && end <= bytes.len()).then_some((slot, end))
}

/// An entry whose path is the `before` one's without its last bytes, and with others: the path is added to `paths`.
fn expand(bytes: &[u8], mut slot: Slot, paths: &mut Vec<u8>, before: Option<&Slot>) -> Option<(Slot, usize)> {
    let mut at = slot.path;
    let mut next = || {
        at += 1;
        bytes.get(at - 1).copied()
    };
    let mut byte = next()?;
    let mut dropped = usize::from(byte & 0x7F);
    while byte & 0x80 != 0 {
        byte = next()?;
        dropped = dropped.checked_add(1)?.checked_mul(0x80)? + usize::from(byte & 0x7F);
    }
    let rest = cut(bytes.get(at..)?, 0)?.0;
    let kept = before.map_or(0..0, |before| before.path..before.path + before.length);
    let kept = kept.start..kept.end.checked_sub(dropped).filter(|end| *end >= kept.start)?;
    slot.path = paths.len();
    slot.length = kept.len() + rest.len();
    // No real path is so much longer than its entry: it is for eating memory.
    if paths.len() + slot.length > bytes.len().saturating_mul(64) {
        return None;
    }
    paths.extend_from_within(kept);
    paths.extend(rest);
    Some((slot, at + rest.len() + 1))
}

/// A number as version 4 writes it: seven bits a byte, the highest first, each but the last with a mark, and one less each time.
fn offset(mut number: usize) -> Vec<u8> {
    let low = |number: usize| u8::try_from(number & 0x7F).unwrap_or_default();
    let mut bytes = vec![low(number)];
    while number >= 0x80 {
        number = (number >> 7) - 1;
        bytes.push(0x80 | low(number));
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests;
