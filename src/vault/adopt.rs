//! Adopting a state that does not count: somebody who may write signs for it.
//!
//! That is for what a removed member's branch brought, for a file that stock age encrypted, and for an older state that is to come back. The
//! value is decrypted and encrypted anew, bound to its place; whoever adopts it answers for it.

use crate::crypto::{self, SecretBytes};
use crate::format::compare;
use crate::model::{Change, Digest, MAX_SIDECAR_BYTES, MemberName, SecretPath, Sidecar, Version};
use crate::policy::Action;
use crate::store::FileChange;

use super::files::Files;
use super::revision::{MAX_AGE_FILE_BYTES, Signed};
use super::trust::leaps;
use super::write::{Plan, Position, exposure, signed_by};
use super::{Outcome, Vault, VaultError, Writing, layout};

/// A state that somebody may sign for: what is known of it without trusting it.
#[derive(Debug)]
pub struct Adoptable {
    /// The secret.
    pub path: SecretPath,
    /// Who signed it, where a member's signature verifies.
    pub signed_by: Option<MemberName>,
    /// Why it does not count; none where it did, in the commit that was looked at.
    pub reason: Option<VaultError>,
    /// What its sidecar states, where a member's signature verifies.
    pub stated: Option<Sidecar>,
    /// The last revision before it that counts, where there is one that lives and can be read.
    pub before: Option<Sidecar>,
    /// How its value differs from that one's, in words that hold no part of either; empty where it is the same.
    pub difference: String,
    /// Its value, which leaves the vault only as a new version.
    value: SecretBytes,
    /// The hash of its sidecar's file, where it has one.
    digest: Option<Digest>,
    /// The work tree's age file, where that is what was looked at.
    age: Option<Vec<u8>>,
}

impl Vault {
    /// Looks at the state of `path` in the work tree, or in the commit `rev`, that does not count.
    ///
    /// # Errors
    /// [`VaultError::NothingToAdopt`] when it does count, and when its value can't be decrypted with the keys at hand.
    pub fn adoptable(&self, path: &SecretPath, rev: Option<&str>) -> Result<Adoptable, VaultError> {
        self.demand(Action::Write, path)?;
        let tree = rev.map(|rev| self.store.snapshot(rev)).transpose()?;
        let files: &dyn Files = tree.as_ref().map_or(&self.store as &dyn Files, |tree| tree as &dyn Files);
        let reason = match self.read_from(files, path) {
            Ok(_) if rev.is_none() => return Err(VaultError::NothingToAdopt { path: path.clone() }),
            Ok(_) => None,
            Err(reason @ VaultError::Refused { .. }) => Some(reason),
            Err(other) => return Err(other),
        };
        let file = files.read(&layout::sidecar(path), MAX_SIDECAR_BYTES as u64).unwrap_or_default();
        let digest = file.as_ref().map(|file| Digest::of(file));
        let stated =
            file.and_then(|file| Signed::verify(&self.authority, file, path).ok()).map(|signed| signed.sidecar);
        let missing = || VaultError::NotFound { name: path.to_string(), nearest: None };
        let age = files.read(&layout::value(path), MAX_AGE_FILE_BYTES)?.ok_or_else(missing)?;
        let value = self.me()?.keys.iter().find_map(|key| crypto::open_unbound(&age, key).ok());
        let value = value.ok_or_else(|| VaultError::NotARecipient { path: path.clone() })?;
        let before = self.last_valid(path).unwrap_or_default();
        let difference =
            before.as_ref().map(|before| compare(&before.value, &value).render(true, "", "")).unwrap_or_default();
        Ok(Adoptable {
            path: path.clone(),
            signed_by: stated.as_ref().map(|it| it.author.clone()),
            reason,
            before: before.map(|before| before.sidecar),
            difference,
            stated,
            value,
            digest,
            age: rev.is_none().then_some(age),
        })
    }

    /// Signs for a state that was looked at: it becomes the next version.
    ///
    /// # Errors
    /// [`VaultError`]: it changed since, a right that lacks, git.
    pub fn adopt(&self, adoptable: &Adoptable, writing: &Writing) -> Result<Outcome, VaultError> {
        let path = &adoptable.path;
        self.demand(Action::Write, path)?;
        self.demand(Action::Read, path)?;
        self.check_size(&adoptable.value, true)?;
        self.write(writing, &|_| self.plan_adopt(adoptable))
    }

    fn plan_adopt(&self, adoptable: &Adoptable) -> Result<Plan, VaultError> {
        let path = &adoptable.path;
        let place = layout::sidecar(path);
        let seen = self.store.read(&place, MAX_SIDECAR_BYTES as u64)?;
        let age_seen = self.store.read(&layout::value(path), MAX_AGE_FILE_BYTES)?;
        let now = seen.as_ref().map(|file| Digest::of(file));
        if adoptable.age.is_some() && (&adoptable.age, adoptable.digest) != (&age_seen, now) {
            return Err(VaultError::Raced { path: path.clone() });
        }
        // What counts goes on from the newest revision that does.
        let position = Position::after(path.clone(), self.newest_in_history(path)?);
        let mut sidecar = self.draft(&position, Change::Adopt)?;
        // A pending value goes: nobody knows what becomes of its version.
        sidecar.next = None;
        if let Some(stated) = &adoptable.stated {
            // Anybody can state any number; honest ones are near, and are passed.
            if !leaps(sidecar.revision.get(), stated.revision) {
                sidecar.revision = sidecar.revision.max(stated.revision.next());
            }
            sidecar.tags = stated.tags.clone();
            sidecar.metadata = stated.metadata.clone();
            sidecar.expires_at = stated.expires_at;
        }
        if let Some(seen) = self.seen_before(path) {
            sidecar.revision = sidecar.revision.max(seen.next());
        }
        if sidecar.parents.is_empty() && sidecar.revision > crate::model::Revision::FIRST {
            // Nothing that counts is known: the state that is adopted is what this one follows.
            sidecar.parents = adoptable.digest.into_iter().collect();
        }
        // A revision that forgot somebody is refused, and is the newest all the same: the one that was lost remembers them. It may not count any more.
        let lost = self.refusals.get(path).and_then(|replay| replay.state);
        let lost = lost.map(|lost| self.signed_before(path, &lost)).transpose()?.flatten();
        let honest = adoptable.stated.as_ref().filter(|stated| stated.version.get() < sidecar.revision.get());
        let passed = honest.into_iter().chain(lost.as_ref().map(|signed| &signed.sidecar));
        let version = passed.map(|sidecar| sidecar.version.next()).fold(position.next_version(), Version::max);
        let age = self.put_value(&mut sidecar, version, &adoptable.value)?;
        sidecar.exposed_to = adoptable.stated.iter().flat_map(|it| exposure(it, &sidecar.recipients)).collect();
        // The same value by its number: whoever knew that is not forgotten.
        let same = |lost: &&Signed| adoptable.stated.as_ref().is_some_and(|it| it.version == lost.sidecar.version);
        let same = lost.iter().filter(same).flat_map(|lost| exposure(&lost.sidecar, &sidecar.recipients));
        sidecar.exposed_to.extend(same);
        let before = position.current.iter().chain(&lost);
        for before in before.filter(|signed| !signed.sidecar.is_tombstone()) {
            // An equal value keeps its debt, by whatever way it comes back.
            let (before, holders) = (&before.sidecar, &sidecar.recipients);
            let carried = self.exposed_after(&position, before, &adoptable.value, holders);
            sidecar.exposed_to.extend(carried.unwrap_or_else(|_| exposure(before, holders)));
        }
        sidecar.acknowledged = None;
        let document = signed_by(self.me()?, &sidecar)?;
        let mut changes = vec![
            FileChange { path: place, seen, content: Some(document) },
            FileChange { path: layout::value(path), seen: age_seen, content: Some(age) },
        ];
        let pending = layout::pending_value(path);
        if let Some(seen) = self.store.read(&pending, MAX_AGE_FILE_BYTES)? {
            changes.push(FileChange { path: pending, seen: Some(seen), content: None });
        }
        let subject = format!("Adopt {path} as v{}", sidecar.version);
        Ok(Plan { changes, outcome: self.outcome(&sidecar), subject })
    }
}
