//! Who may do what with a secret and who holds a key for it, now or earlier.
//!
//! Nothing here needs a private key: a reviewer and a CI job can ask all of it.

use std::collections::BTreeSet;

use crate::model::{
    Epoch, Grant, MemberName, Pattern, Policy, Principal, Revision, Rule, SecretPath, Sidecar, Timestamp, Version,
};
use crate::policy::{Action, Chain, EditError, Rights, StoreClaim};
use crate::store::Tree;

use super::authority::{self, Authority};
use super::revision::Signed;
use super::{Vault, VaultError, grants};

/// Which state of a store is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The present one.
    Now,
    /// The one in force at this time, by the times that were signed.
    Time(Timestamp),
    /// That of a commit, tag or branch.
    Rev(String),
}

/// What one member, or guest, may do with a secret, and what they know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonAccess {
    /// Who.
    pub member: MemberName,
    /// Which of reading, writing, deleting and granting the deciding rule allows.
    pub allowed: Vec<Action>,
    /// The deadline of the grant by which they read, where there is one.
    pub granted_until: Option<Timestamp>,
    /// Whether the value is encrypted to a key of theirs.
    pub holds_key: bool,
    /// Whether they held a key for this value once, and none now.
    pub exposed: bool,
}

impl PersonAccess {
    /// Whether they may read, by rule or grant.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.allowed.contains(&Action::Read) || self.granted_until.is_some()
    }
}

/// Everybody who may do anything with a secret, or knows its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathAccess {
    /// The secret.
    pub path: SecretPath,
    /// The epoch whose rules decide.
    pub epoch: Epoch,
    /// The pattern of the rule that decides; none means that everything is denied.
    pub pattern: Option<Pattern>,
    /// Version and revision that were looked at; none where the secret does not exist, or no more.
    pub state: Option<(Version, Revision)>,
    /// The people, by name.
    pub people: Vec<PersonAccess>,
}

/// Why somebody may do what they may with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasons {
    /// Who.
    pub member: MemberName,
    /// The secret, which need not exist.
    pub path: SecretPath,
    /// The rule that decides, alone; none means that everything is denied.
    pub rule: Option<(Pattern, Rule)>,
    /// For each action, the name in the rule that lets them; none where nothing does.
    pub actions: Vec<(Action, Option<Principal>)>,
    /// Their grants in force.
    pub grants: Vec<Grant>,
    /// Whether the present value is encrypted to a key of theirs.
    pub holds_key: bool,
    /// Who could change the rules.
    pub admins: Vec<MemberName>,
}

/// All there are.
pub(super) const ACTIONS: [Action; 4] = [Action::Read, Action::Write, Action::Delete, Action::Grant];

impl Vault {
    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        self.authority.policy()
    }

    /// The store's id with the newest epoch: whoever is told it notices a policy that was taken back.
    #[must_use]
    pub fn claim(&self) -> StoreClaim {
        let newest = self.authority.reference();
        StoreClaim { id: self.id(), epoch: Some((newest.epoch, newest.sha256)) }
    }

    /// Every epoch's policy that this tree has, oldest first, and the one in force.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read.
    pub fn epochs(&self) -> Result<Vec<Policy>, VaultError> {
        self.policies()
    }

    /// The policy of an epoch, by its number, or of a commit, tag or branch.
    ///
    /// # Errors
    /// [`VaultError::NoSuchEpoch`], or when there is no such commit or its policy is refused.
    pub fn policy_named(&self, name: &str) -> Result<Policy, VaultError> {
        if let Ok(number) = name.parse::<u64>() {
            let found = self.policies()?.into_iter().find(|policy| policy.epoch.get() == number);
            return found.ok_or(VaultError::NoSuchEpoch { epoch: number, newest: self.policy().epoch });
        }
        Ok(self.chain_of(&self.store.snapshot(name)?)?.policy().clone())
    }

    /// The chain of a commit's tree, which must be of this store.
    fn chain_of(&self, tree: &Tree<'_>) -> Result<Chain, VaultError> {
        let chain = authority::load(tree, &|_| Vec::new())?;
        if chain.id() == self.id() {
            return Ok(chain);
        }
        Err(VaultError::OtherStore { found: chain.id(), expected: self.id(), remembered: true })
    }

    /// Everybody who may do anything with `path`, or knows its value, at `moment`.
    ///
    /// # Errors
    /// [`VaultError`]: no such state, a file that is refused.
    pub fn who(&self, path: &SecretPath, moment: &Moment) -> Result<PathAccess, VaultError> {
        match moment {
            Moment::Now => {
                let signed = self.revision(&self.store, path)?;
                Ok(access_to(self.policy(), &self.grants_in_force()?, path, signed.as_ref().map(|it| &it.sidecar)))
            }
            Moment::Time(time) => self.who_at_time(path, *time),
            Moment::Rev(rev) => {
                let tree = self.store.snapshot(rev)?;
                let authority = Authority::of(self.chain_of(&tree)?);
                let commit = self.store.commit_named(rev)?;
                let then = Timestamp::from_unix(self.store.commit_info(&commit)?.time).unwrap_or(self.options.now);
                let all = grants::load(&tree, &authority)?.all;
                let in_force: Vec<&Grant> = all.iter().filter(|grant| grant.is_in_force(then)).collect();
                let signed = self.revision(&tree, path)?;
                Ok(access_to(authority.policy(), &in_force, path, signed.as_ref().map(|it| &it.sidecar)))
            }
        }
    }

    fn who_at_time(&self, path: &SecretPath, time: Timestamp) -> Result<PathAccess, VaultError> {
        let policies = self.policies()?;
        let policy = policies.iter().rfind(|policy| policy.time <= time).ok_or(VaultError::BeforeTheStore { time })?;
        // Newest first: the first one that was signed by then.
        let record = self.record(path)?;
        let then = record.revisions.iter().map(|it| &it.signed.sidecar).find(|sidecar| sidecar.time <= time);
        let in_force = self.grants_at(policy, time)?;
        Ok(access_to(policy, &in_force.iter().collect::<Vec<_>>(), path, then))
    }

    /// Who may do what, for each living secret that `pattern` selects; and what was refused.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read.
    pub fn access(&self, pattern: Option<&Pattern>) -> Result<(Vec<PathAccess>, Vec<VaultError>), VaultError> {
        let (signed, refused) = self.verified_all()?;
        let grants = self.grants_in_force()?;
        let meant = living(&signed).filter(|sidecar| pattern.is_none_or(|pattern| pattern.selects(&sidecar.path)));
        let all = meant.map(|sidecar| access_to(self.policy(), &grants, &sidecar.path, Some(sidecar)));
        Ok((all.collect(), refused))
    }

    /// Why `who`, a member by name or e-mail address, or a guest, may do what they may with `path`.
    ///
    /// # Errors
    /// [`VaultError`]: nobody of that name, a file that is refused.
    pub fn why(&self, who: &str, path: &SecretPath) -> Result<Reasons, VaultError> {
        let nobody = || EditError::NoSuchMember { name: who.to_owned() };
        let member = self.grantee_named(who).ok_or_else(nobody)?;
        let rights = self.authority.rights();
        let signed = self.revision(&self.store, path)?;
        let in_force = self.grants_in_force()?.into_iter();
        let theirs = in_force.filter(|grant| grant.grantee == member && grant.path == *path);
        let admins = self.policy().members.iter().filter(|(_, it)| it.is_admin());
        Ok(Reasons {
            rule: rights.deciding_rule(path).map(|(pattern, rule)| (pattern.clone(), rule.clone())),
            actions: ACTIONS.map(|action| (action, rights.by_name(&member, action, path).cloned())).to_vec(),
            grants: theirs.cloned().collect(),
            holds_key: signed.is_some_and(|it| it.sidecar.recipients.iter().any(|holder| holder.member == member)),
            admins: admins.map(|(name, _)| name.clone()).collect(),
            path: path.clone(),
            member,
        })
    }
}

fn living(signed: &[Signed]) -> impl Iterator<Item = &Sidecar> {
    signed.iter().map(|signed| &signed.sidecar).filter(|sidecar| !sidecar.is_tombstone())
}

/// Who may do what with `path` by `policy` and `grants`, and who knows the value of `sidecar`.
fn access_to(policy: &Policy, grants: &[&Grant], path: &SecretPath, sidecar: Option<&Sidecar>) -> PathAccess {
    let rights = Rights::of(policy);
    let sidecar = sidecar.filter(|sidecar| !sidecar.is_tombstone());
    let theirs: Vec<&&Grant> = grants.iter().filter(|grant| grant.path == *path).collect();
    let holders = || sidecar.into_iter().flat_map(|it| &it.recipients);
    let exposed = || sidecar.into_iter().flat_map(|it| &it.exposed_to);
    let mut names: BTreeSet<&MemberName> = policy.members.keys().collect();
    names.extend(theirs.iter().map(|grant| &grant.grantee));
    names.extend(holders().chain(exposed()).map(|holder| &holder.member));
    let person = |member: &MemberName| {
        let holds_key = holders().any(|holder| holder.member == *member);
        PersonAccess {
            allowed: ACTIONS.into_iter().filter(|action| rights.allows(member, *action, path)).collect(),
            granted_until: theirs.iter().filter(|it| it.grantee == *member).map(|it| it.expires_at).max(),
            holds_key,
            exposed: !holds_key && exposed().any(|holder| holder.member == *member),
            member: member.clone(),
        }
    };
    let concerned =
        |it: &PersonAccess| !it.allowed.is_empty() || it.granted_until.is_some() || it.holds_key || it.exposed;
    PathAccess {
        path: path.clone(),
        epoch: policy.epoch,
        pattern: rights.deciding_rule(path).map(|(pattern, _)| pattern.clone()),
        state: sidecar.map(|sidecar| (sidecar.version, sidecar.revision)),
        people: names.into_iter().map(person).filter(concerned).collect(),
    }
}
