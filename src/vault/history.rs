//! Versions and revisions of a secret, from the history of the branch.
//!
//! A version is the commit that brought its sidecar; its number comes from the sidecar, never from counting. Revisions that are
//! not valid are not versions. Where two merged branches made the same version, each is named `4@<commit>`.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use crate::model::{Digest, MAX_SIDECAR_BYTES, MemberName, SecretPath, Sidecar, Timestamp, Version};
use crate::store::{CommitId, PathHistory, StorePath};

use super::revision::Signed;
use super::{Notice, Reading, Vault, VaultError, layout};

/// How many missing versions are named: somebody may have signed any number.
const MOST_MISSING: usize = 1000;

/// Why a text names no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is a number from 1 on, or 4@<commit> where two branches made the same one")]
pub struct VersionSpecError;

/// A version as somebody names it: `4`, or `4@<commit>` where two branches made the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSpec {
    /// The number.
    pub version: Version,
    /// The beginning of the commit that brought it.
    pub commit: Option<String>,
}

impl From<Version> for VersionSpec {
    fn from(version: Version) -> Self {
        Self { version, commit: None }
    }
}

impl FromStr for VersionSpec {
    type Err = VersionSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, commit) = text.split_once('@').map_or((text, None), |(number, commit)| (number, Some(commit)));
        let number = number.strip_prefix('v').unwrap_or(number);
        let hex = |text: &str| (4..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit());
        if !number.bytes().all(|c| c.is_ascii_digit()) || commit.is_some_and(|commit| !hex(commit)) {
            return Err(VersionSpecError);
        }
        let version = number.parse().map_err(|_| VersionSpecError)?;
        Ok(Self { version, commit: commit.map(str::to_ascii_lowercase) })
    }
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    /// Its number.
    pub version: Version,
    /// The commit that brought it; none while it is not committed, or where it lies beyond a shallow boundary.
    pub commit: Option<String>,
    /// Whether a commit has it.
    pub committed: bool,
    /// The commit's message, its first line.
    pub message: Option<String>,
    /// Who set the value.
    pub author: MemberName,
    /// When the value was set.
    pub time: Timestamp,
    /// What brought it, in a word.
    pub change: crate::model::Change,
    /// Whether it is the current one.
    pub current: bool,
    /// Whether another version of the same number exists.
    pub ambiguous: bool,
}

/// The versions of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The secret.
    pub path: SecretPath,
    /// Newest first.
    pub versions: Vec<VersionEntry>,
    /// Numbers that are not in this history (squashed away, or beyond a shallow boundary), newest first; at most a thousand of them.
    pub missing: Vec<Version>,
    /// Whether the history here is shallow.
    pub shallow: bool,
}

/// Every revision of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revisions {
    /// The secret.
    pub path: SecretPath,
    /// Newest first: what was signed, the commit that brought it with the first line of its message.
    pub revisions: Vec<(Sidecar, Option<String>, Option<String>)>,
    /// Whether the history here is shallow.
    pub shallow: bool,
}

/// A valid revision with the commit that brought it; none where that is not known, or there is none.
pub(super) struct Recorded {
    pub(super) signed: Signed,
    pub(super) commit: Option<CommitId>,
    committed: bool,
}

/// All valid revisions of a secret, newest first.
pub(super) struct Record {
    path: SecretPath,
    pub(super) revisions: Vec<Recorded>,
    shallow: bool,
}

impl Record {
    /// The revisions that brought the value of `version`: none of their parents has it already.
    fn bringing(&self, version: Version) -> Vec<&Recorded> {
        let of_version = |it: &&Recorded| it.signed.sidecar.version == version && !it.signed.sidecar.is_tombstone();
        let has_it = |hash| {
            let parent = self.revisions.iter().find(|other| other.signed.digest == hash);
            parent.is_some_and(|parent| of_version(&parent))
        };
        let each = self.revisions.iter().filter(of_version);
        each.filter(|it| !it.signed.sidecar.parents.iter().any(|hash| has_it(*hash))).collect()
    }

    /// The newest revision that carries the value of `origin`.
    pub(super) fn newest_of<'a>(&'a self, origin: &'a Recorded) -> &'a Recorded {
        let mut newest = origin;
        loop {
            let child = self.revisions.iter().find(|it| {
                let sidecar = &it.signed.sidecar;
                sidecar.version == origin.signed.sidecar.version
                    && !sidecar.is_tombstone()
                    && it.signed.sidecar.parents.contains(&newest.signed.digest)
            });
            match child {
                Some(child) => newest = child,
                None => return newest,
            }
        }
    }

    fn numbers(&self) -> Vec<Version> {
        let living = self.revisions.iter().filter(|it| !it.signed.sidecar.is_tombstone());
        let mut numbers: Vec<Version> = living.map(|it| it.signed.sidecar.version).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.dedup();
        numbers
    }

    /// Whether every version from the first on is here.
    pub(super) fn is_whole(&self) -> bool {
        let numbers = self.numbers();
        !self.shallow && self.highest().is_some_and(|highest| numbers.len() as u64 == highest.get())
    }

    fn highest(&self) -> Option<Version> {
        self.revisions.iter().map(|it| it.signed.sidecar.version).max()
    }
}

impl Vault {
    /// All valid revisions of `path`: those of the branch, and the work tree's where it is not committed.
    pub(super) fn record(&self, path: &SecretPath) -> Result<Record, VaultError> {
        self.record_of(path, &self.store.history(&layout::sidecar(path))?)
    }

    /// As [`Vault::record`], of the history that is known already.
    pub(super) fn record_of(&self, path: &SecretPath, history: &PathHistory) -> Result<Record, VaultError> {
        let (mut revisions, mut invalid) = self.signed_in(path, history)?;
        if let Some(current) = self.revision(&self.store, path)?
            && !revisions.iter().any(|it| it.signed.digest == current.digest)
        {
            let head = self.store.head_tree()?;
            let there =
                head.map(|tree| tree.read(&layout::sidecar(path), MAX_SIDECAR_BYTES as u64)).transpose()?.flatten();
            let committed = there.is_some_and(|file| file == current.file);
            revisions.push(Recorded { signed: current, commit: None, committed });
        }
        let valid = self.valid_among(&revisions)?;
        let known = revisions.len();
        revisions.retain(|it| valid.contains(&it.signed.digest));
        invalid += known - revisions.len();
        if invalid > 0 {
            self.note(Notice::InvalidRevisions { path: path.clone(), count: invalid });
        }
        revisions.sort_by_key(|it| std::cmp::Reverse(it.signed.sidecar.revision));
        revisions.dedup_by(|a, b| a.signed.digest == b.signed.digest);
        Ok(Record { path: path.clone(), revisions, shallow: !history.complete })
    }

    /// The newest revision in the branch's history that counts, whatever the work tree has.
    pub(super) fn newest_in_history(&self, path: &SecretPath) -> Result<Option<Signed>, VaultError> {
        Ok(self.newest_recorded(path)?.map(|recorded| recorded.signed))
    }

    fn newest_recorded(&self, path: &SecretPath) -> Result<Option<Recorded>, VaultError> {
        let counting = self.counting_in_history(path)?.into_iter();
        let counting = counting.filter(|recorded| !self.leapt(path, recorded.signed.sidecar.revision));
        Ok(counting.max_by_key(|recorded| recorded.signed.sidecar.revision))
    }

    /// Every revision in the branch's history that counts, whatever the work tree has, oldest first.
    fn counting_in_history(&self, path: &SecretPath) -> Result<Vec<Recorded>, VaultError> {
        let (mut revisions, _) = self.signed_in(path, &self.store.history(&layout::sidecar(path))?)?;
        let valid = self.valid_among(&revisions)?;
        revisions.retain(|recorded| valid.contains(&recorded.signed.digest));
        Ok(revisions)
    }

    /// The revision in the branch's history with this hash, which some member signed, whether it counts or not.
    pub(super) fn signed_before(&self, path: &SecretPath, digest: &Digest) -> Result<Option<Signed>, VaultError> {
        let (revisions, _) = self.signed_in(path, &self.store.history(&layout::sidecar(path))?)?;
        Ok(revisions.into_iter().map(|recorded| recorded.signed).find(|signed| signed.digest == *digest))
    }

    /// The newest value in the branch's history that counts, whatever the work tree has; none where it was deleted, or never was. It is not
    /// written down as read: it does not leave the vault.
    pub(super) fn last_valid(&self, path: &SecretPath) -> Result<Option<Reading>, VaultError> {
        let newest = self.newest_recorded(path)?.filter(|recorded| !recorded.signed.sidecar.is_tombstone());
        newest.map(|recorded| self.reading_of(&recorded)).transpose()
    }

    /// Every revision in the branch's history that some member signed, and how many others there are.
    fn signed_in(&self, path: &SecretPath, history: &PathHistory) -> Result<(Vec<Recorded>, usize), VaultError> {
        let mut revisions: Vec<Recorded> = Vec::new();
        let mut invalid = 0;
        // Oldest first: where two commits brought the same bytes, the first of them did.
        for entry in history.entries.iter().rev() {
            let Some(blob) = &entry.blob else { continue };
            let file = self.store.read_past(blob, MAX_SIDECAR_BYTES as u64)?;
            match file.and_then(|file| Signed::verify(&self.authority, file, path).ok()) {
                Some(signed) => revisions.push(Recorded { signed, commit: Some(entry.commit), committed: true }),
                None => invalid += 1,
            }
        }
        Ok((revisions, invalid))
    }

    /// Whether a later revision that counts names `signed` as what it follows, itself or through others: in this branch's history, or in the
    /// trusted branch's, where this one is older.
    pub(super) fn is_followed(&self, signed: &Signed) -> Result<bool, VaultError> {
        if !self.store.has_git() {
            return Ok(false);
        }
        let path = &signed.sidecar.path;
        let (mut revisions, _) = self.signed_in(path, &self.store.history(&layout::sidecar(path))?)?;
        if let Some(history) = self.beyond()?.get(&layout::sidecar(path)) {
            revisions.extend(self.signed_in(path, history)?.0);
        }
        Ok(self.valid_among(&revisions)?.contains(&signed.digest))
    }

    fn beyond(&self) -> Result<&BTreeMap<StorePath, PathHistory>, VaultError> {
        if let Some(beyond) = self.beyond.get() {
            return Ok(beyond);
        }
        let trusted = self.trusted_commit()?.map(|commit| commit.parse()).transpose()?;
        let beyond = trusted.map(|commit| self.store.histories_beyond(&commit)).transpose()?.unwrap_or_default();
        Ok(self.beyond.get_or_init(|| beyond))
    }

    /// Which of `revisions` count: those that do by themselves, and those that a valid one names as its parent.
    fn valid_among(&self, revisions: &[Recorded]) -> Result<HashSet<Digest>, VaultError> {
        let mut valid = HashSet::new();
        let mut found: Vec<&Recorded> = Vec::new();
        for recorded in revisions {
            if recorded.signed.by_right || self.accepted()?.contains(&recorded.signed.digest) {
                found.push(recorded);
            }
        }
        while let Some(recorded) = found.pop() {
            if valid.insert(recorded.signed.digest) {
                let parents = &recorded.signed.sidecar.parents;
                found.extend(revisions.iter().filter(|it| parents.contains(&it.signed.digest)));
            }
        }
        Ok(valid)
    }

    /// The versions of `path`, newest first.
    ///
    /// # Errors
    /// [`VaultError`] when the history can't be read, or the secret has none.
    pub fn versions(&self, path: &SecretPath) -> Result<Versions, VaultError> {
        let record = self.record(path)?;
        let current = self.revision(&self.store, path)?.filter(|signed| !signed.sidecar.is_tombstone());
        let mut versions = Vec::new();
        let numbers = record.numbers();
        for number in &numbers {
            let origins = record.bringing(*number);
            for origin in &origins {
                let newest = record.newest_of(origin);
                let is_current = current.as_ref().is_some_and(|current| current.digest == newest.signed.digest);
                versions.push(self.version_entry(origin, is_current, origins.len() > 1)?);
            }
        }
        let highest = record.highest().ok_or_else(|| VaultError::NotFound { name: path.to_string(), nearest: None })?;
        let missing = (1..=highest.get()).rev().filter_map(Version::new).filter(|number| !numbers.contains(number));
        Ok(Versions {
            path: path.clone(),
            versions,
            missing: missing.take(MOST_MISSING).collect(),
            shallow: record.shallow,
        })
    }

    fn version_entry(&self, origin: &Recorded, current: bool, ambiguous: bool) -> Result<VersionEntry, VaultError> {
        let sidecar = &origin.signed.sidecar;
        Ok(VersionEntry {
            version: sidecar.version,
            commit: origin.commit.as_ref().map(ToString::to_string),
            committed: origin.committed,
            message: self.message_of(origin)?,
            author: sidecar.value_author.clone(),
            time: sidecar.updated_at,
            change: sidecar.change,
            current,
            ambiguous,
        })
    }

    fn message_of(&self, recorded: &Recorded) -> Result<Option<String>, VaultError> {
        let info = recorded.commit.as_ref().map(|commit| self.store.commit_info(commit)).transpose()?;
        Ok(info.map(|info| info.subject))
    }

    /// Every revision of `path`, newest first: tag edits, re-encryptions and deletions too.
    ///
    /// # Errors
    /// [`VaultError`] when the history can't be read, or the secret has none.
    pub fn revisions(&self, path: &SecretPath) -> Result<Revisions, VaultError> {
        let record = self.record(path)?;
        let mut revisions = Vec::new();
        for recorded in &record.revisions {
            let commit = recorded.commit.as_ref().map(ToString::to_string);
            revisions.push((recorded.signed.sidecar.clone(), commit, self.message_of(recorded)?));
        }
        Ok(Revisions { path: path.clone(), revisions, shallow: record.shallow })
    }

    /// Reads a past value of `path`, or the current one by its number.
    ///
    /// # Errors
    /// [`VaultError::NoVersion`], [`VaultError::AmbiguousVersion`], and as for [`Vault::get`].
    pub fn get_version(&self, path: &SecretPath, wanted: &VersionSpec) -> Result<Reading, VaultError> {
        let record = self.record(path)?;
        let recorded = self.choose(&record, wanted)?;
        self.logged(path, self.reading_of(recorded))
    }

    /// Reads the value that a recorded revision carries, from its commit.
    pub(super) fn reading_of(&self, recorded: &Recorded) -> Result<Reading, VaultError> {
        match &recorded.commit {
            Some(commit) => self.reading(&self.store.tree_of(commit)?, &recorded.signed),
            None => self.reading(&self.store, &recorded.signed),
        }
    }

    /// The newest revision that carries the value that `wanted` names.
    pub(super) fn choose<'a>(&self, record: &'a Record, wanted: &VersionSpec) -> Result<&'a Recorded, VaultError> {
        let short = |it: &&Recorded| it.commit.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut origins = record.bringing(wanted.version);
        if let Some(prefix) = &wanted.commit {
            origins.retain(|it| short(it).starts_with(prefix));
        }
        match origins.as_slice() {
            [] => Err(no_version(record, wanted.version)),
            [origin] => Ok(record.newest_of(origin)),
            several => Err(VaultError::AmbiguousVersion {
                path: record.path.clone(),
                version: wanted.version,
                candidates: several.iter().map(|it| format!("{}@{:.12}", wanted.version, short(it))).collect(),
            }),
        }
    }
}

fn no_version(record: &Record, version: Version) -> VaultError {
    let Some(current) = record.highest() else {
        return VaultError::NotFound { name: record.path.to_string(), nearest: None };
    };
    let nearest = record.numbers().into_iter().min_by_key(|number| number.get().abs_diff(version.get()));
    VaultError::NoVersion { path: record.path.clone(), version, current, nearest, shallow: record.shallow }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_or_a_number_at_a_commit() {
        let four = Version::new(4).unwrap();
        assert_eq!("4".parse(), Ok(VersionSpec { version: four, commit: None }));
        assert_eq!("v4".parse(), Ok(VersionSpec { version: four, commit: None }));
        assert_eq!("4@ABCD12".parse(), Ok(VersionSpec { version: four, commit: Some("abcd12".into()) }));
        for text in ["", "0", "-1", "+4", "4@", "4@xyz1", "4@abc", "v", "four", "99999999999999999999"] {
            assert_eq!(text.parse::<VersionSpec>(), Err(VersionSpecError), "{text}");
        }
    }
}
