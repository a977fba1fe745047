//! The next epoch of the policy: who gains and loses what, what is encrypted anew with it, and what stays valid after it.
//!
//! One commit holds the epoch, its acceptance list and every value that it encrypts anew. Sidecars written with epoch n+1 cite
//! epoch n, in which their signer had the right, and n+1 accepts them where its policy alone would not.

use std::collections::BTreeSet;

use crate::crypto::{self, Namespace};
use crate::model::{
    Acceptance, Digest, Document as _, Epoch, Grant, KeyHolder, MAX_POLICY_BYTES, MAX_SIDECAR_BYTES, MemberName,
    Policy, SecretPath,
};
use crate::policy::{Action, Edit, Rights, SignedFlaw, rebase};
use crate::store::{Applied, FileChange, StorePath};

use super::authority::{self, Authority, readers_by};
use super::rekey::{Pending, RekeyPlan, Tip};
use super::revision::{Signed, refused};
use super::write::{Base, Planned};
use super::{Flaw, Standing, Vault, VaultError, Writing, layout};

/// A change of the policy as somebody asks for it.
#[derive(Debug, Clone)]
pub struct PolicyChange {
    /// What changes.
    pub edit: Edit,
    /// A commit: of those whom the change takes the right from, only what it contains stays valid.
    pub accept_at: Option<String>,
    /// Secrets whose present revision stays valid from now on, whoever signed it.
    pub accept: Vec<SecretPath>,
    /// Whose request in the repository this grants.
    pub request_of: Option<MemberName>,
}

impl From<Edit> for PolicyChange {
    fn from(edit: Edit) -> Self {
        Self { edit, accept_at: None, accept: Vec::new(), request_of: None }
    }
}

/// What somebody may do after a change and could not before, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// Who.
    pub member: MemberName,
    /// What.
    pub action: Action,
    /// Whether it is gained; lost otherwise.
    pub gained: bool,
    /// The existing secrets concerned.
    pub paths: Vec<SecretPath>,
}

/// What a change of the policy did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOutcome {
    /// The epoch now in force.
    pub epoch: Epoch,
    /// Whether anything changed.
    pub changed: bool,
    /// Who gains and loses what.
    pub access: Vec<AccessChange>,
    /// Values that were encrypted anew.
    pub reencrypted: Vec<SecretPath>,
    /// Values that somebody else has to encrypt anew.
    pub pending: Vec<Pending>,
    /// Secrets whose present revision stays valid by acceptance, though its author has lost the right.
    pub accepted: Vec<SecretPath>,
    /// Secrets whose present revision does not count any more.
    pub distrusted: Vec<SecretPath>,
    /// Values that people know who may not read them after this.
    pub exposed: Vec<(SecretPath, Vec<KeyHolder>)>,
    /// The commit; none when nothing changed, or with `no_commit`.
    pub commit: Option<String>,
    /// The branch that the commit is on; none when HEAD is detached.
    pub branch: Option<String>,
}

impl Vault {
    /// Makes the next epoch. The vault goes on with it, but for a dry run.
    ///
    /// # Errors
    /// [`VaultError`]: not an admin, a change that would lock somebody out, git.
    pub fn change_policy(&mut self, change: &PolicyChange, writing: &Writing) -> Result<PolicyOutcome, VaultError> {
        self.demand_admin()?;
        let written = self.transact(writing, "policy", &|base| {
            let next = change.edit.apply(self.authority.policy())?;
            let mut planned = self.plan_epoch(base, &self.authority, next, change)?;
            if let Some(name) = change.request_of.as_ref().filter(|_| !planned.changes.is_empty()) {
                planned.changes.extend(self.request_done(name)?);
            }
            Ok(planned)
        });
        self.finish_epoch(written, writing)
    }

    /// Makes the change of this branch's policy again, upon the policy that `rev` has; by default the one in force, of the trusted branch.
    ///
    /// # Errors
    /// [`VaultError`]: no fork, both changed the same part, and as for [`Vault::change_policy`].
    pub fn rebase_policy(&mut self, rev: Option<&str>, writing: &Writing) -> Result<PolicyOutcome, VaultError> {
        let ours = super::here(&self.store, self.options.pins.as_ref())?;
        let theirs = match rev {
            Some(rev) => authority::load(&self.store.snapshot(rev)?, &|_| Vec::new())?,
            None => self.authority.chain().clone(),
        };
        let common = ours.summary().epochs.iter().zip(&theirs.summary().epochs).take_while(|(a, b)| a == b).count();
        let forked = theirs.summary().epochs.len() > common && ours.summary().epochs.len() > common;
        let base = Epoch::new(common as u64).filter(|_| forked).ok_or(VaultError::NotForked)?;
        let base = self.epoch_policy(base)?;
        let next = rebase(&base, ours.policy(), theirs.policy())?;
        let (files, accepted) = self.chain_files(rev, common, theirs.policy())?;
        self.renew(Authority::of(theirs), accepted.into());
        self.demand_admin()?;
        let change = PolicyChange::from(Edit::Nothing);
        let written = self.transact_unchecked(writing, "policy", &|base| {
            let mut planned = self.plan_epoch(base, &self.authority, next.clone(), &change)?;
            self.put_chain(&mut planned.changes, &files, common, ours.policy())?;
            Ok(planned)
        });
        self.finish_epoch(written, writing)
    }

    /// Goes on with another policy: nothing that was verified by the one before counts by that.
    fn renew(&mut self, authority: Authority, accepted: std::cell::OnceCell<Acceptance>) {
        self.authority = authority;
        self.standing = Standing::Here;
        self.accepted = accepted;
        self.grants = std::cell::OnceCell::new();
        self.seen = std::sync::Mutex::default();
    }

    /// The policy of an epoch of the chain in force, from this tree. Of a chain that was known, the files in the middle were not read before.
    pub(super) fn epoch_policy(&self, epoch: Epoch) -> Result<Policy, VaultError> {
        let place = layout::epoch(epoch);
        let file = self.store.read(&place, MAX_POLICY_BYTES as u64)?;
        let file = file.ok_or_else(|| refused(&place, Flaw::EpochMissing))?;
        if self.authority.chain().summary().digest_of(epoch) != Some(Digest::of(&file)) {
            return Err(refused(&place, crate::policy::ChainFlaw::NotLinked.into()));
        }
        let body = crypto::unverified_parts(&file).map(|(body, _)| body).unwrap_or_default();
        Policy::parse(body).map_err(|error| refused(&place, SignedFlaw::Document(error).into()))
    }

    pub(super) fn demand_admin(&self) -> Result<(), VaultError> {
        let me = self.me()?;
        let is_admin = self.authority.policy().members.get(&me.name).is_some_and(crate::model::Member::is_admin);
        if is_admin { Ok(()) } else { Err(VaultError::NotAnAdmin { member: me.name.clone() }) }
    }

    fn finish_epoch(
        &mut self,
        written: Result<(Made, Option<Applied>), VaultError>,
        writing: &Writing,
    ) -> Result<PolicyOutcome, VaultError> {
        let (Made { mut outcome, authority }, applied) = written.map_err(|error| match error {
            VaultError::Store(crate::store::StoreError::Conflict { .. }) => VaultError::PolicyMoved,
            error => error,
        })?;
        if let Some(Applied { commit, branch }) = applied {
            outcome.commit = commit.map(|commit| commit.to_string());
            outcome.branch = branch;
        }
        if !writing.dry_run && outcome.changed {
            self.renew(authority, std::cell::OnceCell::new());
        }
        Ok(outcome)
    }

    /// Plans the epoch that follows the one of `authority` with the content of `next`.
    fn plan_epoch(
        &self,
        base: Base<'_>,
        authority: &Authority,
        mut next: Policy,
        change: &PolicyChange,
    ) -> Result<Planned<Made>, VaultError> {
        if self.standing == Standing::Behind {
            let here = authority::epochs_in(&self.store)?.last().copied().unwrap_or(Epoch::FIRST);
            return Err(VaultError::PolicyBehind { here, known: authority.policy().epoch });
        }
        self.demand_checked_out(base)?;
        let grants = self.grants_in_force()?;
        // What doesn't count today is neither encrypted anew nor accepted, except where an admin says so.
        let (mut signed, _) = self.verified_all()?;
        signed.extend(self.signed_for_acceptance(&change.accept, &signed)?);
        self.demand_somebody(authority.policy(), &next, &signed, &grants)?;
        demand_environments(authority.policy(), &next, &signed)?;
        let (trusted, distrusted) = self.divide(signed, &next, change)?;
        let living: Vec<SecretPath> =
            trusted.iter().filter(|it| !it.sidecar.is_tombstone()).map(|it| it.sidecar.path.clone()).collect();
        let rekeyed = self.plan_rekey(base, trusted, &next, &grants)?;
        let before = self.accepted()?;
        let accepted = newly_accepted(&rekeyed, before, &change.accept);
        let list = before.with(accepted.iter().map(|(_, digest)| *digest));
        next.accepted = (!list.is_empty()).then(|| Digest::of(&list.to_bytes()));
        let access = access_changes(authority.policy(), &next, &living, &grants);
        let outcome = PolicyOutcome {
            epoch: authority.policy().epoch,
            changed: false,
            access,
            exposed: exposed(&next, &rekeyed, &grants),
            pending: rekeyed.pending,
            reencrypted: rekeyed.reencrypted,
            accepted: accepted.into_iter().map(|(path, _)| path).collect(),
            distrusted,
            commit: None,
            branch: None,
        };
        if next == *authority.policy() {
            let made = Made { outcome, authority: authority.clone() };
            return Ok(Planned { changes: Vec::new(), subject: String::new(), trailers: Vec::new(), result: made });
        }
        self.sign_epoch(authority, next, &list, rekeyed.changes, outcome)
    }

    /// Signs the epoch, and verifies it as everybody else will.
    fn sign_epoch(
        &self,
        authority: &Authority,
        mut next: Policy,
        list: &Acceptance,
        mut changes: Vec<FileChange>,
        mut outcome: PolicyOutcome,
    ) -> Result<Planned<Made>, VaultError> {
        let me = self.me()?;
        next.epoch = authority.policy().epoch.next();
        next.salt = None;
        next.previous = Some(authority.reference().sha256);
        next.author = me.name.clone();
        next.time = self.options.now;
        let file = crypto::sign_document(&next.body(), Namespace::Policy, &me.identity).map_err(VaultError::Sign)?;
        if file.len() > MAX_POLICY_BYTES {
            return Err(VaultError::PolicyTooLarge);
        }
        let place = layout::epoch(next.epoch);
        let mut chain = authority.chain().clone();
        chain.extend(&file).map_err(|flaw| VaultError::EpochRefused(Box::new(flaw)))?;
        changes.push(FileChange { path: place, seen: None, content: Some(file) });
        changes.extend(self.acceptance_changes(authority.policy(), &next, list)?);
        outcome.epoch = next.epoch;
        outcome.changed = true;
        Ok(Planned {
            changes,
            subject: format!("Change the policy: epoch {}", next.epoch),
            trailers: vec![("Vsecure-Change", "policy".to_owned()), ("Vsecure-Epoch", next.epoch.to_string())],
            result: Made { outcome, authority: Authority::of(chain) },
        })
    }

    /// The list that the new policy names comes, the one before goes: it is part of the new one.
    fn acceptance_changes(
        &self,
        before: &Policy,
        next: &Policy,
        list: &Acceptance,
    ) -> Result<Vec<FileChange>, VaultError> {
        if before.accepted == next.accepted {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        for (digest, content) in [(before.accepted, None), (next.accepted, Some(list.to_bytes()))] {
            let Some(path) = digest.as_ref().map(layout::accepted) else { continue };
            let seen = self.store.read(&path, Acceptance::MAX_BYTES)?;
            if seen != content {
                changes.push(FileChange { path, seen, content });
            }
        }
        Ok(changes)
    }

    /// That every existing secret keeps somebody who may read and somebody who may write it.
    fn demand_somebody(
        &self,
        before: &Policy,
        next: &Policy,
        signed: &[Signed],
        grants: &[&Grant],
    ) -> Result<(), VaultError> {
        for (what, action) in [("read", Action::Read), ("write", Action::Write)] {
            let nobody = |policy: &Policy, path: &SecretPath| match action {
                Action::Read => readers_by(policy, path, grants.iter().copied()).1.is_empty(),
                _ => Rights::of(policy).who(action, path).next().is_none(),
            };
            let living = signed.iter().map(|signed| &signed.sidecar).filter(|sidecar| !sidecar.is_tombstone());
            let lost: Vec<SecretPath> = living
                .map(|sidecar| &sidecar.path)
                .filter(|path| nobody(next, path) && !nobody(before, path))
                .cloned()
                .collect();
            if let Some(path) = lost.first() {
                return Err(VaultError::WouldLockOut { what, path: path.clone(), count: lost.len() });
            }
        }
        Ok(())
    }

    /// Revisions that don't count and that an admin accepts: their signature and place are verified all the same.
    fn signed_for_acceptance(&self, paths: &[SecretPath], known: &[Signed]) -> Result<Vec<Signed>, VaultError> {
        let mut found = Vec::new();
        for path in paths.iter().filter(|path| !known.iter().any(|signed| signed.sidecar.path == **path)) {
            let place = layout::sidecar(path);
            let file = self.store.read(&place, MAX_SIDECAR_BYTES as u64)?;
            let file = file.ok_or_else(|| VaultError::NotFound { name: path.to_string(), nearest: None })?;
            let signed = Signed::verify(&self.authority, file, path).map_err(|flaw| refused(&place, flaw))?;
            self.age_file(&self.store, &signed)?;
            self.pending_file(&self.store, &signed)?;
            found.push(signed);
        }
        Ok(found)
    }

    /// Divides into what goes on to count, and what an `accept_at` leaves out: changes that came after it, by those who lose the right.
    fn divide(
        &self,
        signed: Vec<Signed>,
        next: &Policy,
        change: &PolicyChange,
    ) -> Result<(Vec<Signed>, Vec<SecretPath>), VaultError> {
        let Some(rev) = &change.accept_at else { return Ok((signed, Vec::new())) };
        let tree = self.store.snapshot(rev)?;
        let mut trusted = Vec::new();
        let mut distrusted = Vec::new();
        for signed in signed {
            let path = &signed.sidecar.path;
            let known = || -> Result<bool, VaultError> {
                let there = tree.read(&layout::sidecar(path), MAX_SIDECAR_BYTES as u64)?;
                Ok(there.is_some_and(|file| file == signed.file))
            };
            if self.authority.gives_right(next, &signed.sidecar, &signed.signer)
                || change.accept.contains(path)
                || known()?
            {
                trusted.push(signed);
            } else {
                distrusted.push(path.clone());
            }
        }
        Ok((trusted, distrusted))
    }

    /// What `rev`, or the trusted branch, has of a chain after its `common`th epoch, and its acceptance list.
    fn chain_files(
        &self,
        rev: Option<&str>,
        common: usize,
        chain: &Policy,
    ) -> Result<(EpochFiles, Acceptance), VaultError> {
        let trusted = || self.trusted_commit()?.ok_or(VaultError::NotForked);
        let rev = rev.map_or_else(trusted, |rev| Ok(rev.to_owned()))?;
        let tree = self.store.snapshot(&rev)?;
        let mut files = Vec::new();
        for epoch in (common as u64 + 1..=chain.epoch.get()).filter_map(Epoch::new) {
            let place = layout::epoch(epoch);
            let content = tree.read(&place, MAX_POLICY_BYTES as u64)?;
            files.push((place.clone(), content.ok_or_else(|| refused(&place, Flaw::EpochMissing))?));
        }
        Ok((files, authority::acceptance(&tree, chain)?))
    }

    /// Puts another chain's files in the place of this branch's after their `common`th epoch, beside the changes of a new epoch upon it.
    fn put_chain(
        &self,
        changes: &mut Vec<FileChange>,
        files: &[(StorePath, Vec<u8>)],
        common: usize,
        ours: &Policy,
    ) -> Result<(), VaultError> {
        for (path, content) in files {
            changes.push(FileChange { path: path.clone(), seen: None, content: Some(content.clone()) });
        }
        let parted = (common as u64 + 1..=ours.epoch.get()).filter_map(Epoch::new);
        for path in parted.map(layout::epoch) {
            if !changes.iter().any(|change| change.path == path) {
                changes.push(FileChange { path, seen: None, content: None });
            }
        }
        if let Some(path) = ours.accepted.as_ref().map(layout::accepted)
            && !changes.iter().any(|change| change.path == path)
        {
            changes.push(FileChange { path, seen: None, content: None });
        }
        let policy = |change: &&mut FileChange| change.path.as_str().starts_with(layout::POLICY);
        for change in changes.iter_mut().filter(policy) {
            change.seen = self.store.read(&change.path, Acceptance::MAX_BYTES)?;
        }
        changes.retain(|change| change.seen != change.content);
        Ok(())
    }
}

/// Files of epochs with their places, in order.
type EpochFiles = Vec<(StorePath, Vec<u8>)>;

/// That no environment goes in which a secret lives: nobody could name it any more.
fn demand_environments(before: &Policy, next: &Policy, signed: &[Signed]) -> Result<(), VaultError> {
    let gone = before.environments.iter().filter(|environment| !next.has_environment(environment));
    for environment in gone {
        let lives = |it: &&Signed| !it.sidecar.is_tombstone() && it.sidecar.path.environment() == environment;
        let count = signed.iter().filter(lives).count();
        if count > 0 {
            return Err(VaultError::EnvironmentInUse { environment: environment.clone(), count });
        }
    }
    Ok(())
}

/// An epoch on its way into a commit.
pub(super) struct Made {
    outcome: PolicyOutcome,
    authority: Authority,
}

/// The secrets whose newest revision the new policy alone would reject, and that are not accepted yet.
fn newly_accepted(rekeyed: &RekeyPlan, before: &Acceptance, asked: &[SecretPath]) -> Vec<(SecretPath, Digest)> {
    let needs_it = |tip: &&Tip| !tip.by_right || asked.contains(&tip.sidecar.path);
    let tips = rekeyed.tips.iter().filter(needs_it).filter(|tip| !before.contains(&tip.digest));
    tips.map(|tip| (tip.sidecar.path.clone(), tip.digest)).collect()
}

/// Who, after a change, knows a value that they may not read any more.
fn exposed(next: &Policy, rekeyed: &RekeyPlan, grants: &[&Grant]) -> Vec<(SecretPath, Vec<KeyHolder>)> {
    let living = rekeyed.tips.iter().map(|tip| &tip.sidecar).filter(|sidecar| !sidecar.is_tombstone());
    let each = living.map(|sidecar| {
        (sidecar.path.clone(), super::debt::holders_in_debt(next, sidecar, grants).into_iter().collect::<Vec<_>>())
    });
    each.filter(|(_, holders)| !holders.is_empty()).collect()
}

fn access_changes(before: &Policy, next: &Policy, living: &[SecretPath], grants: &[&Grant]) -> Vec<AccessChange> {
    let may = |policy: &Policy, member: &MemberName, action: Action, path: &SecretPath| {
        Rights::of(policy).allows(member, action, path)
            || action == Action::Read
                && policy.members.contains_key(member)
                && grants.iter().any(|grant| grant.grantee == *member && grant.path == *path)
    };
    let members: BTreeSet<&MemberName> = before.members.keys().chain(next.members.keys()).collect();
    let mut changes = Vec::new();
    for member in members {
        for action in [Action::Read, Action::Write, Action::Delete] {
            for gained in [true, false] {
                let differs = |path: &&SecretPath| {
                    let (had, has) = (may(before, member, action, path), may(next, member, action, path));
                    if gained { has && !had } else { had && !has }
                };
                let paths: Vec<SecretPath> = living.iter().filter(differs).cloned().collect();
                if !paths.is_empty() {
                    changes.push(AccessChange { member: member.clone(), action, gained, paths });
                }
            }
        }
    }
    changes
}
