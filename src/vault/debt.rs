//! Rotation debt: live values that somebody could have read who has no right to them any more.

use std::collections::BTreeSet;

use crate::crypto::SecretBytes;
use crate::model::{
    Acknowledged, Change, Epoch, Grant, KeyHolder, Member, MetadataValue, Policy, SecretPath, Sidecar, Timestamp,
};
use crate::policy::{Action, Rights};

use super::authority::readers_by;
use super::write::{Position, Sealed};
use super::{Flaw, Outcome, Standing, Vault, VaultError, Writing};

/// Somebody who knows, or may know, a live value without a right to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    /// Who, with which key.
    pub holder: KeyHolder,
    /// Whether the value is encrypted to that key still.
    pub still_recipient: bool,
    /// The epoch's time since which there is no right; none where a grant was what gave it.
    pub since: Option<Timestamp>,
}

/// A secret whose value has to be rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// The secret, as its present revision says.
    pub sidecar: Sidecar,
    /// Who is exposed to it.
    pub debtors: Vec<Debtor>,
    /// Whether somebody took note of it, until a day that has not come.
    pub acknowledged: bool,
}

/// Who holds a key for the value of `sidecar`, or held one, and may not read it by `policy` and `grants`, or has lost that key to others.
pub(super) fn holders_in_debt(policy: &Policy, sidecar: &Sidecar, grants: &[&Grant]) -> BTreeSet<KeyHolder> {
    let (_, readers) = readers_by(policy, &sidecar.path, grants.iter().copied());
    let lost = |holder: &KeyHolder| {
        policy.members.get(&holder.member).is_some_and(|member: &Member| member.lost.contains(&holder.key))
    };
    // Somebody who may read still, by another key, owes nothing for a key that was replaced as planned.
    let may_read = |holder: &KeyHolder| readers.iter().any(|reader| reader.member == holder.member);
    // A pending value may be the target's already.
    let pending = sidecar.next.iter().flat_map(|next| next.recipients.iter().chain(&next.exposed_to));
    let knew = sidecar.recipients.iter().chain(&sidecar.exposed_to).chain(pending);
    knew.filter(|holder| lost(holder) || !may_read(holder)).cloned().collect()
}

impl Vault {
    /// Every secret with a debt, by path, and what was refused on the way.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read.
    pub fn debts(&self) -> Result<(Vec<Debt>, Vec<VaultError>), VaultError> {
        let (signed, refused) = self.verified_all()?;
        let living = signed.into_iter().map(|signed| signed.sidecar).filter(|sidecar| !sidecar.is_tombstone());
        Ok((self.debts_of(living.collect())?, refused))
    }

    /// Those of `living` that have a debt.
    pub(super) fn debts_of(&self, living: Vec<Sidecar>) -> Result<Vec<Debt>, VaultError> {
        let grants = self.grants_in_force()?;
        let policies = self.policies()?;
        let debts = living.into_iter().filter_map(|sidecar| {
            let holders = holders_in_debt(self.authority.policy(), &sidecar, &grants);
            let debtors: Vec<Debtor> = holders
                .into_iter()
                .map(|holder| Debtor {
                    still_recipient: holds_key(&sidecar, &holder),
                    since: since(&policies, &sidecar.path, &holder),
                    holder,
                })
                .collect();
            let acknowledged = sidecar.acknowledged.as_ref().is_some_and(|it| it.until > self.options.now);
            (!debtors.is_empty()).then_some(Debt { sidecar, debtors, acknowledged })
        });
        Ok(debts.collect())
    }

    /// Takes note of a secret's debt until a day. It is not cleared by that.
    ///
    /// # Errors
    /// [`VaultError`]: not found, no debt, a right that lacks, git.
    pub fn acknowledge(
        &self,
        path: &SecretPath,
        reason: &MetadataValue,
        until: Timestamp,
        writing: &Writing,
    ) -> Result<Outcome, VaultError> {
        self.demand(Action::Write, path)?;
        self.write(writing, &|base| {
            let position = self.position(base, path)?;
            let current = position.living()?;
            let grants = self.grants_in_force()?;
            if holders_in_debt(self.authority.policy(), &current.sidecar, &grants).is_empty() {
                return Err(VaultError::NoDebt { path: path.clone() });
            }
            let mut sidecar = self.draft(&position, Change::Acknowledge)?;
            let author = sidecar.author.clone();
            sidecar.acknowledged = Some(Acknowledged { author, time: self.options.now, reason: reason.clone(), until });
            self.plan(&position, &sidecar, Sealed::default(), format!("Take note of the debt of {path}"))
        })
    }

    /// Who stays exposed when `value` follows the value of `before`: nobody, where it differs from every earlier value that somebody in
    /// debt could have read; everybody, where that can't be known.
    pub(super) fn exposed_after(
        &self,
        position: &Position,
        before: &Sidecar,
        value: &SecretBytes,
        holders: &[KeyHolder],
    ) -> Result<BTreeSet<KeyHolder>, VaultError> {
        let debt = super::write::exposure(before, holders);
        if debt.is_empty() || self.differs_from_all(position, &debt, value)? {
            return Ok(BTreeSet::new());
        }
        Ok(debt)
    }

    /// Whether `value` is none of the values that one of `debtors` held a key for. Not to be able to tell is no.
    fn differs_from_all(
        &self,
        position: &Position,
        debtors: &BTreeSet<KeyHolder>,
        value: &SecretBytes,
    ) -> Result<bool, VaultError> {
        let current = position.living()?;
        if !self.store.has_git() || !self.may_read(&current.sidecar.path)? {
            return Ok(false);
        }
        let record = self.record(&position.path)?;
        if !record.is_whole() {
            return Ok(false);
        }
        let knew = |sidecar: &Sidecar| {
            sidecar.recipients.iter().chain(&sidecar.exposed_to).any(|holder| debtors.contains(holder))
        };
        let concerned =
            record.revisions.iter().filter(|it| !it.signed.sidecar.is_tombstone() && knew(&it.signed.sidecar));
        for recorded in concerned {
            // The same value as it was encrypted last: more people can open that than its first state.
            match self.reading_of(record.newest_of(recorded)) {
                Ok(reading) if !reading.value.same_as(value) => {}
                Ok(_) | Err(VaultError::NotARecipient { .. } | VaultError::Refused { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Every epoch's policy, oldest first.
    pub(super) fn policies(&self) -> Result<Vec<Policy>, VaultError> {
        let newest = self.authority.policy();
        let mut policies = Vec::new();
        for epoch in (1..newest.epoch.get()).filter_map(Epoch::new) {
            match self.epoch_policy(epoch) {
                Ok(policy) => policies.push(policy),
                // One that forked has other epochs than those in force, and an old branch not all of them.
                Err(_) if self.standing == Standing::Forked => break,
                Err(VaultError::Refused { flaw: Flaw::EpochMissing, .. }) if self.standing == Standing::Behind => break,
                Err(error) => return Err(error),
            }
        }
        policies.push(newest.clone());
        Ok(policies)
    }
}

/// Whether the present value, or a pending one, is encrypted to that key.
fn holds_key(sidecar: &Sidecar, holder: &KeyHolder) -> bool {
    sidecar.recipients.contains(holder) || sidecar.next.iter().any(|next| next.recipients.contains(holder))
}

/// The time of the epoch since which `holder` has no right to read `path`, or has lost that key.
fn since(policies: &[Policy], path: &SecretPath, holder: &KeyHolder) -> Option<Timestamp> {
    let entitled = |policy: &&Policy| {
        let lost = policy.members.get(&holder.member).is_some_and(|member| member.lost.contains(&holder.key));
        !lost && Rights::of(policy).allows(&holder.member, Action::Read, path)
    };
    let last = policies.iter().rposition(|policy| entitled(&policy))?;
    policies.get(last + 1).map(|policy| policy.time)
}
