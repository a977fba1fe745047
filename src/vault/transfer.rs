//! Renaming and copying: the value is encrypted anew, because an age file is bound to its path.

use crate::model::{Change, SecretPath};
use crate::policy::Action;

use super::write::{Base, Plan, Sealed, exposure};
use super::{Outcome, Vault, VaultError, Writing};

impl Vault {
    /// Gives a secret another name or environment. The old path keeps a signed tombstone; the new one starts at version 1, or goes
    /// on after its own tombstone.
    ///
    /// # Errors
    /// [`VaultError`]: not found, the target exists, a right that lacks, git.
    pub fn rename(&self, from: &SecretPath, to: &SecretPath, writing: &Writing) -> Result<Outcome, VaultError> {
        self.demand(Action::Delete, from)?;
        self.transfer(from, to, writing, Change::Rename)
    }

    /// Copies a secret to another name or environment.
    ///
    /// # Errors
    /// [`VaultError`]: not found, the target exists, a right that lacks, git.
    pub fn copy(&self, from: &SecretPath, to: &SecretPath, writing: &Writing) -> Result<Outcome, VaultError> {
        self.transfer(from, to, writing, Change::Copy)
    }

    fn transfer(
        &self,
        from: &SecretPath,
        to: &SecretPath,
        writing: &Writing,
        change: Change,
    ) -> Result<Outcome, VaultError> {
        if from == to {
            return Err(VaultError::SamePath { path: from.clone() });
        }
        self.known_environment(to.environment())?;
        self.demand(Action::Read, from)?;
        self.demand(Action::Write, to)?;
        self.write(writing, &|base| self.plan_transfer(from, to, change, base))
    }

    fn plan_transfer(
        &self,
        from: &SecretPath,
        to: &SecretPath,
        change: Change,
        base: Base<'_>,
    ) -> Result<Plan, VaultError> {
        let source = self.position(base, from)?;
        let signed = source.living()?;
        if change == Change::Rename && signed.sidecar.next.is_some() {
            // A pending value is bound to its path, and its hook knows it by that.
            return Err(VaultError::RotationPending { path: from.clone() });
        }
        let target = self.free_position(base, to)?;
        let value = self.reading(&self.store, signed)?.value;
        let mut sidecar = self.draft(&target, change)?;
        let age = self.put_value(&mut sidecar, target.next_version(), &value)?;
        let origin = &signed.sidecar;
        sidecar.exposed_to = exposure(origin, &sidecar.recipients);
        sidecar.source = Some(signed.as_source());
        // The credential is the same one: its age, expiry, author and description go along.
        sidecar.value_author = origin.value_author.clone();
        sidecar.created_at = origin.created_at;
        sidecar.updated_at = origin.updated_at;
        sidecar.tags = origin.tags.clone();
        sidecar.metadata = origin.metadata.clone();
        sidecar.expires_at = origin.expires_at;
        sidecar.rotation = origin.rotation.clone();
        let verb = if change == Change::Rename { "Rename" } else { "Copy" };
        let mut plan = self.plan(&target, &sidecar, age, format!("{verb} {from} to {to} v{}", sidecar.version))?;
        if change == Change::Rename {
            let tombstone = self.tombstone(&source, Change::Rename)?;
            plan.changes.extend(self.changes(&source, &tombstone, Sealed::default())?);
        }
        plan.outcome.source = Some(from.clone());
        plan.outcome.name_hint = self.other_environment_in_name(to);
        Ok(plan)
    }
}
