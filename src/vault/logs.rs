//! The access logs that are here: this repository's own, and those that members published and that were fetched.
//!
//! A key's log is the reference `refs/vsecure/audit/<key>` of a remote, written by that key's owner only. Here there are two copies of
//! it: one mirrors the remote, whatever that holds; the other is what was accepted, and moves forward only, after everything that is
//! new was verified. So a log that was rewritten, cut or removed is noticed, and what was seen before is not lost.

use std::collections::BTreeMap;

use crate::audit::{Log, LogError, Owner, PublishedError, check_published};
use crate::model::{Digest, Fingerprint, MAX_AUDIT_HEAD_BYTES, MemberName, RandomId, StoreId};
use crate::store::{BlobId, CommitId, MAX_SEGMENT_BYTES, StoreError};

use super::{Vault, VaultError};

/// Where logs are published.
pub(super) const PUBLISHED: &str = "refs/vsecure/audit/";
/// The signed head of a clone's log.
pub(super) const HEAD: &str = "head.yaml";
/// How many files the logs of one key may have, of all its clones.
const MAX_FILES: usize = 100_000;

/// Where a log lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogPlace {
    /// In this repository, by this clone.
    Local,
    /// Fetched from a remote.
    Remote(String),
}

/// A log that was found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLog {
    /// Where it lies.
    pub place: LogPlace,
    /// Whose reads it tells.
    pub member: MemberName,
    /// The signing key.
    pub key: Fingerprint,
    /// The clone that the reads happened in.
    pub device: RandomId,
    /// What it says.
    pub log: Log,
}

/// What is wrong with a log or its reference.
#[derive(Debug, thiserror::Error)]
pub enum LogFinding {
    /// The local log was changed.
    #[error("the local log {name} is not what was written")]
    Local {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: LogError,
    },
    /// A reference that no member's key has.
    #[error("the log {reference} on {remote} belongs to no member's key")]
    Stranger {
        /// The remote.
        remote: String,
        /// The reference, within those of logs.
        reference: String,
    },
    /// The reference was rewritten.
    #[error("the log of {member} on {remote} was rewritten: it does not go on from what was seen before")]
    Rewritten {
        /// The remote.
        remote: String,
        /// Whose it is.
        member: MemberName,
    },
    /// The reference is gone.
    #[error("the log of {member} on {remote}, seen before, is not there any more")]
    Gone {
        /// The remote.
        remote: String,
        /// Whose it is.
        member: MemberName,
    },
    /// A clone's log that was seen before is gone, shorter or another.
    #[error("the log of {member} on {remote} takes back what it said before (clone {device})")]
    TakenBack {
        /// The remote.
        remote: String,
        /// Whose it is.
        member: MemberName,
        /// The clone.
        device: RandomId,
    },
    /// The reference names no commit, or one with other files than a log's.
    #[error("the log of {member} on {remote} is not made as a log is: {what}")]
    Misshapen {
        /// The remote.
        remote: String,
        /// Whose it is.
        member: MemberName,
        /// The file, or what else is odd; escape it.
        what: String,
    },
    /// A clone's log that does not hold.
    #[error("the log of {member} on {remote} is refused (clone {device})")]
    Refused {
        /// The remote.
        remote: String,
        /// Whose it is.
        member: MemberName,
        /// The clone.
        device: RandomId,
        /// Why.
        #[source]
        source: PublishedError,
    },
}

/// What a look at all logs found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Logs in order.
    pub logs: Vec<KnownLog>,
    /// What is wrong.
    pub findings: Vec<LogFinding>,
}

/// One key's reference at one remote.
pub(super) struct Place<'a> {
    pub(super) remote: &'a str,
    pub(super) member: MemberName,
    pub(super) key: Fingerprint,
}

impl Place<'_> {
    pub(super) fn mirror(&self) -> String {
        mirror(self.remote) + &self.key.digest().to_string()
    }

    pub(super) fn accepted(&self) -> String {
        accepted(self.remote) + &self.key.digest().to_string()
    }

    fn misshapen(&self, what: impl Into<String>) -> LogFinding {
        LogFinding::Misshapen { remote: self.remote.to_owned(), member: self.member.clone(), what: what.into() }
    }
}

fn mirror(remote: &str) -> String {
    format!("refs/vsecure/remotes/{remote}/audit/")
}

fn accepted(remote: &str) -> String {
    format!("refs/vsecure/accepted/{remote}/audit/")
}

/// The files of one clone's log: its head, and the others in order.
#[derive(Default)]
pub(super) struct LogFiles {
    head: Option<BlobId>,
    segments: Vec<BlobId>,
}

impl Vault {
    /// Fetches all published logs from `remote`, or the one that there is, verifies them, and accepts what is in order.
    ///
    /// # Errors
    /// [`VaultError`], when git fails.
    pub fn audit_fetch(&self, remote: Option<&str>) -> Result<Checked, VaultError> {
        let remote = self.remote(remote)?;
        self.store.fetch(&remote, PUBLISHED, &mirror(&remote))?;
        let mut checked = Checked::default();
        self.check_remote(&remote, &mut checked)?;
        Ok(checked)
    }

    /// Verifies every log that is here: this repository's own, and those fetched, against what was seen of them before.
    ///
    /// # Errors
    /// [`VaultError`], when the repository can't be read.
    pub fn audit_verify(&self) -> Result<Checked, VaultError> {
        let mut checked = self.local_logs()?;
        for remote in self.store.remotes()? {
            self.check_remote(&remote, &mut checked)?;
        }
        Ok(checked)
    }

    /// The logs that this repository's own commands wrote in this store.
    pub(super) fn local_logs(&self) -> Result<Checked, VaultError> {
        let mut checked = Checked::default();
        let prefix = format!("{}-", self.id());
        for name in self.store.ledgers()? {
            let Some(key) = name.strip_prefix(&prefix) else { continue };
            let Some(ledger) = self.store.ledger(&name) else { continue };
            let segments = ledger.segments(self.options.lock_timeout)?;
            match Log::read(&segments, None) {
                Ok(log) => checked.logs.extend(own_log(log)),
                Err(source) => checked.findings.push(LogFinding::Local { name: key.to_owned(), source }),
            }
        }
        Ok(checked)
    }

    /// The logs that were fetched and accepted, from all remotes.
    pub(super) fn accepted_logs(&self) -> Result<Checked, VaultError> {
        let keys = self.authority.chain().signing_keys();
        let mut checked = Checked::default();
        for remote in self.store.remotes()? {
            for (name, commit) in self.store.references(&accepted(&remote))? {
                let (Some(place), Some(commit)) = (place(&keys, &remote, &name), commit) else { continue };
                match self.logs_of(&place, commit)? {
                    Ok(logs) => checked.logs.extend(logs),
                    Err(finding) => checked.findings.push(finding),
                }
            }
        }
        Ok(checked)
    }

    fn check_remote(&self, remote: &str, checked: &mut Checked) -> Result<(), VaultError> {
        let mut names: Vec<String> = Vec::new();
        for folder in [mirror(remote), accepted(remote)] {
            names.extend(self.store.references(&folder)?.into_iter().map(|(name, _)| name));
        }
        names.sort_unstable();
        names.dedup();
        let keys = self.authority.chain().signing_keys();
        for reference in names {
            match place(&keys, remote, &reference) {
                Some(place) => self.accept(&place, checked)?,
                None => checked.findings.push(LogFinding::Stranger { remote: remote.to_owned(), reference }),
            }
        }
        Ok(())
    }

    /// Compares what the remote has with what was accepted, verifies it, and accepts it where everything is in order.
    pub(super) fn accept(&self, place: &Place<'_>, checked: &mut Checked) -> Result<(), VaultError> {
        let (remote, member) = (place.remote.to_owned(), place.member.clone());
        let seen = self.tip(&place.accepted())?;
        let Some(there) = self.tip(&place.mirror())? else {
            let named = self.store.references(&mirror(place.remote))?;
            let exists = named.iter().any(|(name, _)| *name == place.key.digest().to_string());
            let gone = LogFinding::Gone { remote, member };
            checked.findings.push(if exists { place.misshapen("it is no commit") } else { gone });
            return Ok(());
        };
        if let Some(seen) = seen
            && !self.store.descends(there, seen)?
        {
            checked.findings.push(LogFinding::Rewritten { remote, member });
            return Ok(());
        }
        let logs = match self.logs_of(place, there)? {
            Ok(logs) => logs,
            Err(finding) => {
                checked.findings.push(finding);
                return Ok(());
            }
        };
        if let Some(seen) = seen.filter(|seen| *seen != there) {
            let before = self.logs_of(place, seen)?.unwrap_or_default();
            let lost = before.iter().find(|old| {
                let now = logs.iter().find(|now| now.device == old.device);
                !now.is_some_and(|now| now.log.goes_on_from(&old.log))
            });
            if let Some(KnownLog { device, .. }) = lost {
                checked.findings.push(LogFinding::TakenBack { remote, member, device: device.clone() });
                return Ok(());
            }
        }
        // Where nothing can be written, it is verified anew each time; where another command was quicker, it accepted what it verified.
        let _ = self.store.move_reference(&place.accepted(), seen, there);
        checked.logs.extend(logs);
        Ok(())
    }

    /// The logs of this store in `commit`, verified, by clone.
    fn logs_of(&self, place: &Place<'_>, commit: CommitId) -> Result<Result<Vec<KnownLog>, LogFinding>, VaultError> {
        let files = match self.files_of(place, commit)? {
            Ok(files) => files,
            Err(finding) => return Ok(Err(finding)),
        };
        let mut logs = Vec::new();
        for (device, files) in files {
            match self.check_files(place, &device, &files)? {
                Ok(log) => logs.push(KnownLog {
                    place: LogPlace::Remote(place.remote.to_owned()),
                    member: place.member.clone(),
                    key: place.key,
                    device,
                    log,
                }),
                Err(source) => {
                    let (remote, member) = (place.remote.to_owned(), place.member.clone());
                    return Ok(Err(LogFinding::Refused { remote, member, device, source }));
                }
            }
        }
        Ok(Ok(logs))
    }

    /// The files of this store's logs in `commit`, by clone. Those of other stores are not ours to judge.
    pub(super) fn files_of(
        &self,
        place: &Place<'_>,
        commit: CommitId,
    ) -> Result<Result<BTreeMap<RandomId, LogFiles>, LogFinding>, VaultError> {
        let files = match self.store.files_at(commit, MAX_FILES) {
            Ok(files) => files,
            Err(StoreError::NotPlain { path }) => return Ok(Err(place.misshapen(path))),
            Err(error @ StoreError::TooMany { .. }) => return Ok(Err(place.misshapen(error.to_string()))),
            Err(error) => return Err(error.into()),
        };
        let mut found: BTreeMap<RandomId, LogFiles> = BTreeMap::new();
        for (path, blob) in files {
            let Some((store, device, name)) = taken_apart(&path) else { return Ok(Err(place.misshapen(path))) };
            if store != self.id() {
                continue;
            }
            let files = found.entry(device).or_default();
            let next = format!("{:06}.jsonl", files.segments.len() + 1);
            if name == HEAD {
                files.head = Some(blob);
            } else if name == next {
                files.segments.push(blob);
            } else {
                return Ok(Err(place.misshapen(path)));
            }
        }
        Ok(Ok(found))
    }

    pub(super) fn check_files(
        &self,
        place: &Place<'_>,
        device: &RandomId,
        files: &LogFiles,
    ) -> Result<Result<Log, PublishedError>, VaultError> {
        let owner = Owner { key: place.key, device: device.clone() };
        let read = |blob: &BlobId, limit| match self.store.read_blob(blob, limit) {
            Err(StoreError::TooLarge { .. }) => Ok(None),
            read => read.map(Some),
        };
        let head = files.head.as_ref().map(|blob| read(blob, MAX_AUDIT_HEAD_BYTES as u64)).transpose()?.flatten();
        let mut segments = Vec::new();
        for blob in &files.segments {
            match read(blob, MAX_SEGMENT_BYTES)? {
                Some(segment) => segments.push(segment),
                None => return Ok(Err(PublishedError::OtherLines)),
            }
        }
        Ok(check_published(&head.unwrap_or_default(), &segments, self.id(), &owner, &place.member))
    }

    pub(super) fn tip(&self, reference: &str) -> Result<Option<CommitId>, VaultError> {
        let found = self.store.references(reference)?.into_iter().find(|(rest, _)| rest.is_empty());
        Ok(found.and_then(|(_, commit)| commit))
    }

    /// The remote that is meant: the one said, or `origin`, or the only one.
    pub(super) fn remote(&self, said: Option<&str>) -> Result<String, VaultError> {
        let known = self.store.remotes()?;
        let meant = match (said, known.as_slice()) {
            (Some(said), _) => known.iter().find(|name| *name == said),
            (None, [only]) => Some(only),
            (None, several) => several.iter().find(|name| *name == "origin"),
        };
        meant.cloned().ok_or(VaultError::NoRemote { known })
    }
}

/// The log that the reference `name` is: that of the member who has, or once had, the signing key it names.
fn place<'a>(keys: &BTreeMap<Fingerprint, &MemberName>, remote: &'a str, name: &str) -> Option<Place<'a>> {
    let key = Fingerprint::from(name.parse::<Digest>().ok()?);
    let member = (*keys.get(&key)?).clone();
    Some(Place { remote, member, key })
}

fn taken_apart(path: &str) -> Option<(StoreId, RandomId, &str)> {
    let (store, rest) = path.split_once('/')?;
    let (device, name) = rest.split_once('/')?;
    Some((store.parse().ok()?, device.parse().ok()?, name))
}

/// A local log says itself whose it is.
fn own_log(log: Log) -> Option<KnownLog> {
    let last = log.events().last()?;
    let (member, key, device) = (last.deed.actor.member.clone(), last.deed.actor.key, last.device.clone());
    Some(KnownLog { place: LogPlace::Local, member, key, device, log })
}
