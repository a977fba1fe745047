//! Publishing the access log, and checking what others published.
//!
//! A key's log is the reference `refs/vsecure/audit/<key>` of a remote, written by that key's owner only. Here there are two copies of
//! it: one mirrors the remote, whatever that holds; the other is what was accepted, and moves forward only, after everything that is
//! new was verified. So a log that was rewritten, cut or removed is noticed, and what was seen before is not lost.

use std::collections::BTreeMap;

use crate::audit::{Log, LogError, Owner, PublishedError, check_published, sign_head};
use crate::model::{Digest, Fingerprint, MAX_AUDIT_HEAD_BYTES, MemberName, RandomId, StoreId};
use crate::store::{BlobId, CommitId, MAX_SEGMENT_BYTES, Person, StoreError};

use super::{Me, Vault, VaultError};

const PUBLISHED: &str = "refs/vsecure/audit/";
const HEAD: &str = "head.yaml";
/// Clones and files of one key; a log of 4 GiB would be a quarter of that.
const MAX_FILES: usize = 100_000;
/// How often a push is tried anew when another clone of the same member was quicker.
const ATTEMPTS: usize = 5;

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
    /// Whose reads it tells; none of a local log without a line.
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

/// What publishing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The remote.
    pub remote: String,
    /// The reference.
    pub reference: String,
    /// How many events are published now, of this clone.
    pub events: u64,
    /// How many of them are new.
    pub new: u64,
}

/// One key's reference at one remote.
struct Place<'a> {
    remote: &'a str,
    member: MemberName,
    key: Fingerprint,
}

impl Place<'_> {
    fn mirror(&self) -> String {
        mirror(self.remote) + &self.key.digest().to_string()
    }

    fn accepted(&self) -> String {
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
struct LogFiles {
    head: Option<BlobId>,
    segments: Vec<BlobId>,
}

impl Vault {
    /// Publishes this clone's log of the member that the vault works as; on `remote`, or the one that there is.
    ///
    /// # Errors
    /// [`VaultError`]: a log that was changed, one that goes on otherwise than what was published, or git's.
    pub fn audit_push(&self, remote: Option<&str>) -> Result<Published, VaultError> {
        let remote = self.remote(remote)?;
        let me = self.me()?;
        if !self.authority.policy().members.contains_key(&me.name) {
            return Err(VaultError::GuestLog);
        }
        let place = Place { remote: &remote, member: me.name.clone(), key: me.identity.verifying_key().fingerprint() };
        let segments = self.ledger(&place.key)?.segments(self.options.lock_timeout)?;
        let local = |source| LogFinding::Local { name: place.key.to_string(), source };
        let log = Log::read(&segments, None).map_err(local)?;
        let reference = format!("{PUBLISHED}{}", place.key.digest());
        let Some(last) = log.events().last() else {
            return Ok(Published { remote, reference, events: 0, new: 0 });
        };
        let owner = Owner { key: place.key, device: last.device.clone() };
        if last.deed.actor.key != owner.key {
            return Err(local(LogError::Foreign { line: 1 }).into());
        }
        let mut attempt = 1;
        let new = loop {
            match self.push_once(me, &place, &owner, &log, &segments)? {
                Ok(new) => break new,
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Published { remote: remote.clone(), reference, events: log.len(), new })
    }

    /// Publishes what is new and gives its number; as an inner error, what git said where another clone was quicker.
    fn push_once(
        &self,
        me: &Me,
        place: &Place<'_>,
        owner: &Owner,
        log: &Log,
        segments: &[Vec<u8>],
    ) -> Result<Result<u64, StoreError>, VaultError> {
        self.fetch_one(place)?;
        let base = self.base_of(place)?;
        let before = self.published_by(place, owner, base)?;
        if !log.goes_on_from(&before) {
            return Err(VaultError::LogDiverged);
        }
        let new = log.len() - before.len();
        let Some(commit) = (if new > 0 { self.publication(me, owner, log, segments, base)? } else { base }) else {
            return Ok(Ok(0));
        };
        let there = self.tip(&place.mirror())?;
        if there == Some(commit) {
            return Ok(Ok(0));
        }
        let pushed = self.store.push(place.remote, commit, &format!("{PUBLISHED}{}", place.key.digest()));
        self.fetch_one(place)?;
        match pushed {
            Ok(()) => {
                // Other clones' logs in it are verified before they are accepted; `audit:verify` says what is wrong with them.
                self.accept(place, &mut Checked::default())?;
                Ok(Ok(new))
            }
            Err(error) if self.tip(&place.mirror())? == there => Err(error.into()),
            Err(error) => Ok(Err(error)),
        }
    }

    fn fetch_one(&self, place: &Place<'_>) -> Result<(), VaultError> {
        Ok(self.store.fetch(place.remote, &format!("{PUBLISHED}{}", place.key.digest()), &place.mirror())?)
    }

    /// What a publication is built upon: what the remote has, or what it had and lost.
    fn base_of(&self, place: &Place<'_>) -> Result<Option<CommitId>, VaultError> {
        match (self.tip(&place.mirror())?, self.tip(&place.accepted())?) {
            (Some(there), Some(seen)) if !self.store.descends(there, seen)? => {
                let (remote, member) = (place.remote.to_owned(), place.member.clone());
                Err(LogFinding::Rewritten { remote, member }.into())
            }
            (there, seen) => Ok(there.or(seen)),
        }
    }

    /// This clone's log as it is published in `base`; an empty one where there is none, or only what others put there.
    fn published_by(&self, place: &Place<'_>, owner: &Owner, base: Option<CommitId>) -> Result<Log, VaultError> {
        let Some(base) = base else { return Ok(Log::default()) };
        let Ok(mut files) = self.files_of(place, base)? else { return Ok(Log::default()) };
        let Some(files) = files.remove(&owner.device) else { return Ok(Log::default()) };
        Ok(self.check_files(place, &owner.device, &files)?.unwrap_or_default())
    }

    /// The commit that publishes `log`; none when there is nothing in it.
    fn publication(
        &self,
        me: &Me,
        owner: &Owner,
        log: &Log,
        segments: &[Vec<u8>],
        base: Option<CommitId>,
    ) -> Result<Option<CommitId>, VaultError> {
        let signed = sign_head(log, self.id(), &owner.device, &me.name, &me.identity).map_err(VaultError::Sign)?;
        let Some(head) = signed else { return Ok(None) };
        let folder = format!("{}/{}", self.id(), owner.device);
        let mut files = vec![(format!("{folder}/{HEAD}"), head)];
        for (index, segment) in segments.iter().enumerate() {
            files.push((format!("{folder}/{:06}.jsonl", index + 1), segment.clone()));
        }
        let email = self.authority.policy().members.get(&me.name).map(|member| member.email.to_string());
        let author = Person { name: Some(me.name.to_string()), email, time: Some((self.options.now.unix(), 0)) };
        let message = format!("Publish {} reads of {}\n", log.len(), me.name);
        Ok(Some(self.store.commit_upon(base, &files, &message, &author)?))
    }

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
    fn accept(&self, place: &Place<'_>, checked: &mut Checked) -> Result<(), VaultError> {
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
    fn files_of(
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

    fn check_files(
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

    fn tip(&self, reference: &str) -> Result<Option<CommitId>, VaultError> {
        let found = self.store.references(reference)?.into_iter().find(|(rest, _)| rest.is_empty());
        Ok(found.and_then(|(_, commit)| commit))
    }

    /// The remote that is meant: the one said, or `origin`, or the only one.
    fn remote(&self, said: Option<&str>) -> Result<String, VaultError> {
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
