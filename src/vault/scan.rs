//! Looking for the store's own values where they should not be: in files, in what is staged, in history.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::format::{Disguise, Hit, MIN_NEEDLE_BYTES, Needles};
use crate::model::{SecretPath, Version};
use crate::store::{Kept, MAX_SCANNED_BYTES, StoreError};

use super::{Reading, Vault, VaultError};

/// Where to look.
#[derive(Debug, Clone)]
pub enum Haystack {
    /// The files of the work tree, but for those that git ignores.
    WorkTree,
    /// These files, and everything in these directories, but for git's own. No link is followed.
    Paths(Vec<PathBuf>),
    /// What the next commit would bring.
    Staged,
    /// Every commit, tag and file that git keeps.
    History,
}

/// A value found where it should not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The file; none where it is in a commit or tag itself.
    pub file: Option<String>,
    /// The object that git keeps it in.
    pub object: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// Whose value it is.
    pub path: SecretPath,
    /// Which version.
    pub version: Version,
    /// How it is written there.
    pub disguise: Disguise,
}

/// What came of a search.
#[derive(Debug)]
pub struct Scan {
    /// What was found.
    pub leaks: Vec<Leak>,
    /// Secrets whose values are too short to look for.
    pub too_short: Vec<SecretPath>,
    /// What is too large to look into, or could not be read.
    pub unread: Vec<String>,
    /// How many files and objects were looked into.
    pub looked_into: usize,
}

impl Vault {
    /// Looks for the values of `readings`, in one pass, as they are and in everyday disguises.
    ///
    /// # Errors
    /// [`VaultError`]: git's failure, a path that is not there.
    pub fn scan(&self, readings: &[Reading], haystack: &Haystack) -> Result<Scan, VaultError> {
        let values: Vec<_> = readings.iter().map(|reading| &reading.value).collect();
        let needles = Needles::new(&values).ok_or(VaultError::TooManyValues)?;
        let short = |reading: &&Reading| reading.value.as_bytes().trim_ascii_end().len() < MIN_NEEDLE_BYTES;
        let too_short = readings.iter().filter(short).map(|reading| reading.sidecar.path.clone()).collect();
        let mut scan = Scan { leaks: Vec::new(), too_short, unread: Vec::new(), looked_into: 0 };
        match haystack {
            Haystack::WorkTree => scan.files(&needles, readings, &self.store.files_to_keep()?, self.store.work_tree()?),
            Haystack::Paths(paths) => {
                let mut files = Vec::new();
                for path in paths {
                    walk(path, &mut files).map_err(|source| StoreError::Io { path: path.clone(), source })?;
                }
                scan.files(&needles, readings, &files, Path::new(""));
            }
            Haystack::Staged => self.scan_kept(&needles, readings, &self.store.staged()?, &mut scan)?,
            Haystack::History => self.scan_kept(&needles, readings, &self.store.all_kept()?, &mut scan)?,
        }
        scan.leaks.sort_unstable();
        Ok(scan)
    }

    fn scan_kept(
        &self,
        needles: &Needles,
        readings: &[Reading],
        kept: &[Kept],
        scan: &mut Scan,
    ) -> Result<(), VaultError> {
        let too_large = self.store.read_kept(kept, |kept, content| {
            scan.looked_into += 1;
            let leak = |hit| leak(readings, hit, kept.path.clone(), Some(kept.id.clone()));
            scan.leaks.extend(needles.find(content).into_iter().filter_map(leak));
        })?;
        scan.unread.extend(too_large.into_iter().map(|kept| kept.path.unwrap_or(kept.id)));
        Ok(())
    }
}

impl Scan {
    fn files(&mut self, needles: &Needles, readings: &[Reading], files: &[PathBuf], root: &Path) {
        let looked: Vec<(String, Option<Vec<Hit>>)> = files
            .par_iter()
            .filter(|file| file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()))
            .map(|file| {
                let name = file.strip_prefix(root).unwrap_or(file).display().to_string();
                (name, read(file).map(|content| needles.find(&content)))
            })
            .collect();
        for (name, hits) in looked {
            let Some(hits) = hits else {
                self.unread.push(name);
                continue;
            };
            self.looked_into += 1;
            self.leaks.extend(hits.into_iter().filter_map(|hit| leak(readings, hit, Some(name.clone()), None)));
        }
    }
}

fn leak(readings: &[Reading], hit: Hit, file: Option<String>, object: Option<String>) -> Option<Leak> {
    let sidecar = &readings.get(hit.value)?.sidecar;
    let (path, version) = (sidecar.path.clone(), sidecar.version);
    Some(Leak { file, object, line: hit.line, path, version, disguise: hit.disguise })
}

/// None where it is too large or can't be read.
fn read(file: &Path) -> Option<Vec<u8>> {
    let opened = File::open(file).ok()?;
    let size = opened.metadata().ok()?.len();
    if size > MAX_SCANNED_BYTES {
        return None;
    }
    let mut content = Vec::with_capacity(usize::try_from(size).ok()? + 1);
    opened.take(MAX_SCANNED_BYTES).read_to_end(&mut content).ok()?;
    Some(content)
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries.into_iter().filter(|entry| entry.file_name() != ".git") {
        walk(&entry.path(), files)?;
    }
    Ok(())
}
