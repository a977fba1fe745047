//! Publishing the access log of a member: its key's reference at a remote, which its clones extend.

use crate::audit::{Log, LogError, Owner, sign_head};
use crate::store::{CommitId, Person, StoreError};

use super::logs::{Checked, HEAD, LogFinding, PUBLISHED, Place};
use super::{Me, Vault, VaultError};

/// How often a push is tried anew when another clone of the same member was quicker.
const ATTEMPTS: usize = 5;

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
}
