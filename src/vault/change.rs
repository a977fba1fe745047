//! Changing one secret in place: create, update, roll back, delete, restore.

use crate::crypto::{Sealer, SecretBytes};
use crate::model::{Change, Rotation, SecretPath, Sidecar, Timestamp};
use crate::policy::Action;
use crate::store::FileChange;

use super::history::{Recorded, VersionSpec};
use super::pending::seal_pending_to;
use super::rekey::{has_drifted, seal_to};
use super::request::{Create, Dates, Expiry, Update};
use super::revision::Signed;
use super::write::{Base, Plan, Position, Sealed, exposure};
use super::{Outcome, Vault, VaultError, Writing};

impl Vault {
    /// Makes a new secret, also in the place of a deleted one.
    ///
    /// # Errors
    /// [`VaultError`]: it exists, differs only in case from another, the value's size, a right that lacks, git.
    pub fn create(&self, request: &Create, writing: &Writing) -> Result<Outcome, VaultError> {
        self.known_environment(request.path.environment())?;
        self.check_size(&request.value, request.allow_empty)?;
        self.demand(Action::Write, &request.path)?;
        self.write(writing, &|base| self.plan_create(request, base, Change::Create, None))
    }

    /// That a secret could be made at `path`: to be known before a person is asked for a value.
    ///
    /// # Errors
    /// [`VaultError::Exists`], [`VaultError::CaseTwin`], or a right that lacks.
    pub fn demand_free(&self, path: &SecretPath) -> Result<(), VaultError> {
        self.demand(Action::Write, path)?;
        self.refuse_case_twin(path)?;
        match self.revision(&self.store, path)? {
            Some(signed) if !signed.sidecar.is_tombstone() => Err(VaultError::Exists { path: path.clone() }),
            _ => Ok(()),
        }
    }

    pub(super) fn plan_create(
        &self,
        request: &Create,
        base: Base<'_>,
        change: Change,
        dates: Option<Dates>,
    ) -> Result<Plan, VaultError> {
        let position = self.free_position(base, &request.path)?;
        let mut sidecar = self.draft(&position, change)?;
        sidecar.created_at = self.options.now;
        sidecar.tags = request.tags.iter().cloned().collect();
        sidecar.metadata = request.metadata.iter().cloned().collect();
        sidecar.expires_at = request.expires_at;
        sidecar.rotation.clone_from(&request.rotation);
        demand_sound(sidecar.rotation.as_ref())?;
        let age = self.put_value(&mut sidecar, position.next_version(), &request.value)?;
        if let Some(dates) = dates {
            sidecar.created_at = dates.created_at.min(self.options.now);
            sidecar.updated_at = dates.updated_at.min(self.options.now);
        }
        let subject = format!("Create {} v{}", sidecar.path, sidecar.version);
        let mut plan = self.plan(&position, &sidecar, age, subject)?;
        plan.outcome.name_hint = self.other_environment_in_name(&sidecar.path);
        Ok(plan)
    }

    /// Changes value, tags, metadata, expiry or rotation. What is as asked already makes no commit, unless forced.
    ///
    /// # Errors
    /// [`VaultError`]: not found, another version is current than expected, the value's size, a right that lacks, git.
    pub fn update(&self, request: &Update, writing: &Writing) -> Result<Outcome, VaultError> {
        if let Some(value) = &request.value {
            self.check_size(value, request.allow_empty)?;
        }
        self.demand(Action::Write, &request.path)?;
        self.write(writing, &|base| self.plan_update(request, base, None))
    }

    pub(super) fn plan_update(
        &self,
        request: &Update,
        base: Base<'_>,
        dates: Option<Dates>,
    ) -> Result<Plan, VaultError> {
        let position = self.position(base, &request.path)?;
        let current = position.living()?;
        let (path, version) = (&request.path, current.sidecar.version);
        if let Some(expected) = request.if_version.filter(|expected| *expected != version) {
            return Err(VaultError::OtherVersion { path: path.clone(), expected, current: version });
        }
        let known = self.known_value(current)?;
        let value = request.value.as_ref();
        let new_value = value.filter(|value| request.force || known.as_ref().is_none_or(|known| !known.same_as(value)));
        let mut sidecar = self.draft(&position, if new_value.is_some() { Change::Set } else { Change::Metadata })?;
        let expiry_cleared = self.edit_attributes(request, &mut sidecar, new_value.is_some());
        demand_sound(sidecar.rotation.as_ref())?;
        if sidecar.next.is_some() && sidecar.rotation.as_ref().is_none_or(|rotation| rotation.hook.is_none()) {
            // Nobody could go on with it.
            return Err(VaultError::RotationPending { path: path.clone() });
        }
        let sealed = match (new_value, &known) {
            (Some(value), _) => self.put_new_value(&position, &mut sidecar, value)?.into(),
            (None, Some(known)) => self.reseal(current, &mut sidecar, known)?,
            (None, None) => Sealed::default(),
        };
        if let Some(dates) = dates.filter(|_| new_value.is_some()) {
            sidecar.updated_at = dates.updated_at.min(self.options.now);
        }
        if sealed.is_empty() && same_attributes(&sidecar, &current.sidecar) && !request.force {
            return Ok(Plan { changes: Vec::new(), outcome: self.outcome(&current.sidecar), subject: String::new() });
        }
        let subject = match new_value {
            Some(_) => format!("Update {path} to v{}", sidecar.version),
            None => format!("Change tags, metadata, expiry or rotation of {path}"),
        };
        let mut plan = self.plan(&position, &sidecar, sealed, subject)?;
        plan.outcome.expiry_cleared = expiry_cleared;
        Ok(plan)
    }

    /// The current value, where the member may read it: whatever a change builds upon is opened first.
    fn known_value(&self, current: &Signed) -> Result<Option<SecretBytes>, VaultError> {
        if !self.authority.rights().allows(&self.me()?.name, Action::Read, &current.sidecar.path) {
            self.age_file(&self.store, current)?;
            return Ok(None);
        }
        self.open_value(&self.store, current).map(Some)
    }

    /// Encrypts the present value anew, and a pending one, where others hold a key for it than may read it: whoever writes does what is
    /// to be done.
    fn reseal(&self, current: &Signed, sidecar: &mut Sidecar, value: &SecretBytes) -> Result<Sealed, VaultError> {
        let (recipients, holders) = self.authority.readers(&sidecar.path, self.grants_in_force()?);
        if recipients.is_empty() || !has_drifted(sidecar, &holders) {
            return Ok(Sealed::default());
        }
        let pending = self.open_pending(&self.store, current)?;
        let pending = match pending {
            Some((_, value)) => seal_pending_to(&Sealer::default(), sidecar, &value, &recipients, &holders)?,
            None => None,
        };
        let value = Some(seal_to(&Sealer::default(), sidecar, value, &recipients, holders)?);
        Ok(Sealed { value, pending })
    }

    pub(super) fn put_new_value(
        &self,
        position: &Position,
        sidecar: &mut Sidecar,
        value: &SecretBytes,
    ) -> Result<Vec<u8>, VaultError> {
        let before = sidecar.clone();
        let age = self.put_value(sidecar, position.next_version(), value)?;
        sidecar.exposed_to = self.exposed_after(position, &before, value, &sidecar.recipients)?;
        sidecar.acknowledged = before.acknowledged.filter(|_| !sidecar.exposed_to.is_empty());
        Ok(age)
    }

    /// Applies what the request says of tags, metadata, rotation and expiry. A new value clears an expiry that has passed, unless another is
    /// said; what was cleared is given back.
    fn edit_attributes(&self, request: &Update, sidecar: &mut Sidecar, new_value: bool) -> Option<Timestamp> {
        if let Some(tags) = &request.tags {
            sidecar.tags = tags.iter().cloned().collect();
        }
        sidecar.tags.extend(request.add_tags.iter().cloned());
        sidecar.tags.retain(|tag| !request.remove_tags.contains(tag));
        sidecar.metadata.extend(request.metadata.iter().cloned());
        sidecar.metadata.retain(|key, _| !request.unset_metadata.contains(key));
        request.rotation.apply(&mut sidecar.rotation);
        match request.expiry {
            Expiry::Never => sidecar.expires_at = None,
            Expiry::At(time) => sidecar.expires_at = Some(time),
            Expiry::Keep if new_value => return self.clear_passed_expiry(sidecar),
            Expiry::Keep => {}
        }
        None
    }

    /// A new value has not expired: gives what was cleared.
    pub(super) fn clear_passed_expiry(&self, sidecar: &mut Sidecar) -> Option<Timestamp> {
        let passed = sidecar.is_expired(self.options.now);
        sidecar.expires_at.take_if(|_| passed)
    }

    /// Makes an earlier value the current one, as a new version, encrypted to today's readers, with that value's expiry and
    /// today's tags. Without `wanted` it is the version before the current one.
    ///
    /// # Errors
    /// [`VaultError`]: not found, no such version, one that can't be read, a right that lacks, git.
    pub fn rollback(
        &self,
        path: &SecretPath,
        wanted: Option<&VersionSpec>,
        writing: &Writing,
    ) -> Result<Outcome, VaultError> {
        self.demand(Action::Write, path)?;
        self.demand(Action::Read, path)?;
        self.write(writing, &|base| {
            let position = self.position(base, path)?;
            let current = position.living()?.sidecar.version;
            let before = || current.previous().ok_or_else(|| VaultError::NoEarlierVersion { path: path.clone() });
            let wanted = wanted.cloned().map_or_else(|| before().map(VersionSpec::from), Ok)?;
            let record = self.record(path)?;
            self.plan_return(&position, self.choose(&record, &wanted)?, Change::Rollback)
        })
    }

    /// Brings a deleted secret back, as a new version with the value it had last.
    ///
    /// # Errors
    /// [`VaultError`]: not deleted, its last value is not in this history, a right that lacks, git.
    pub fn restore(&self, path: &SecretPath, writing: &Writing) -> Result<Outcome, VaultError> {
        self.demand(Action::Write, path)?;
        self.demand(Action::Read, path)?;
        self.write(writing, &|base| {
            let position = self.position(base, path)?;
            let last = match &position.current {
                Some(signed) if signed.sidecar.is_tombstone() => signed.sidecar.version,
                Some(_) => return Err(VaultError::NotDeleted { path: path.clone() }),
                None => return Err(VaultError::NotFound { name: path.to_string(), nearest: None }),
            };
            let record = self.record(path)?;
            self.plan_return(&position, self.choose(&record, &VersionSpec::from(last))?, Change::Restore)
        })
    }

    /// A recorded value becomes the next version.
    fn plan_return(&self, position: &Position, from: &Recorded, change: Change) -> Result<Plan, VaultError> {
        let reading = self.reading_of(from)?;
        let origin = &from.signed.sidecar;
        let mut sidecar = self.draft(position, change)?;
        let age = self.put_value(&mut sidecar, position.next_version(), &reading.value)?;
        sidecar.exposed_to = exposure(origin, &sidecar.recipients);
        sidecar.source = Some(from.signed.as_source());
        sidecar.expires_at = origin.expires_at;
        let subject = match change {
            Change::Restore => format!("Restore {} as v{}", sidecar.path, sidecar.version),
            _ => format!("Roll {} back to the value of v{}, as v{}", sidecar.path, origin.version, sidecar.version),
        };
        let mut plan = self.plan(position, &sidecar, age, subject)?;
        plan.outcome.from_version = Some(origin.version);
        Ok(plan)
    }

    /// Deletes a secret: a signed tombstone stays, and its numbers go on.
    ///
    /// # Errors
    /// [`VaultError`]: not found, deleted already, a right that lacks, git.
    pub fn delete(&self, path: &SecretPath, writing: &Writing) -> Result<Outcome, VaultError> {
        self.demand(Action::Delete, path)?;
        self.write(writing, &|base| {
            let position = self.position(base, path)?;
            position.living()?;
            let sidecar = self.tombstone(&position, Change::Delete)?;
            self.plan(&position, &sidecar, Sealed::default(), format!("Delete {path}"))
        })
    }

    /// The revision that says a secret is gone.
    pub(super) fn tombstone(&self, position: &Position, change: Change) -> Result<Sidecar, VaultError> {
        let mut sidecar = self.draft(position, change)?;
        sidecar.version = position.committed_version().unwrap_or(sidecar.version);
        sidecar.ciphertext = None;
        sidecar.next = None;
        sidecar.exposed_to = exposure(&sidecar, &[]);
        sidecar.recipients.clear();
        Ok(sidecar)
    }

    pub(super) fn plan(
        &self,
        position: &Position,
        sidecar: &Sidecar,
        sealed: impl Into<Sealed>,
        subject: String,
    ) -> Result<Plan, VaultError> {
        let changes: Vec<FileChange> = self.changes(position, sidecar, sealed.into())?;
        Ok(Plan { changes, outcome: self.outcome(sidecar), subject })
    }
}

/// That a rotation policy is one that can be read back.
fn demand_sound(rotation: Option<&Rotation>) -> Result<(), VaultError> {
    match rotation {
        Some(Rotation { period, notify_before: Some(before), .. }) if before > period => {
            Err(VaultError::TooLongBefore { period: *period })
        }
        _ => Ok(()),
    }
}

fn same_attributes(a: &Sidecar, b: &Sidecar) -> bool {
    let attributes = |it: &Sidecar| (it.tags.clone(), it.metadata.clone(), it.expires_at, it.rotation.clone());
    attributes(a) == attributes(b)
}
