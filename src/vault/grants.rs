//! Grants: who may read one secret until a deadline, though no rule lets them.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::{self, Namespace, Recipient};
use crate::model::{
    Document as _, GUEST, Grant, GrantId, MAX_GRANT_BYTES, MemberName, MetadataValue, Policy, SecretPath, Span,
    Timestamp,
};
use crate::policy::{Action, Rights, verified};
use crate::store::{FileChange, StoreError, StorePath};

use super::authority::Authority;
use super::error::Flaw;
use super::files::Files;
use super::rekey::Pending;
use super::revision::{Signed, refused};
use super::write::{Base, Planned};
use super::{Vault, VaultError, Writing, layout};

/// Who is let read for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// A member, by name or e-mail address.
    Member(String),
    /// Somebody who is none, by a one-off key.
    Guest(Recipient),
}

/// A grant as somebody asks for it.
#[derive(Debug, Clone)]
pub struct GrantRequest {
    /// The secret.
    pub path: SecretPath,
    /// Who may read it.
    pub grantee: Grantee,
    /// For how long, from now on.
    pub duration: Span,
    /// Why, for people.
    pub reason: Option<MetadataValue>,
}

/// What granting, revoking or ending did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOutcome {
    /// The grants concerned, as they are now.
    pub grants: Vec<Grant>,
    /// Values that were encrypted anew.
    pub reencrypted: Vec<SecretPath>,
    /// Values that somebody else has to encrypt anew.
    pub pending: Vec<Pending>,
    /// The commit; none when nothing changed, or with `no_commit`.
    pub commit: Option<String>,
}

/// A grant of the store, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantEntry {
    /// What was granted.
    pub grant: Grant,
    /// Whether it lets its grantee read now.
    pub in_force: bool,
    /// Whether the value is encrypted to the grantee, who may not read it by a rule: overdue, when the grant is not in force.
    pub holds_key: bool,
}

/// Grants to write, and grants whose files go.
struct Turn {
    new: Vec<Grant>,
    ended: Vec<Grant>,
}

/// The grants of a store, and what of them was refused.
#[derive(Debug, Default)]
pub(super) struct Grants {
    /// Those that count, by id; ended and revoked ones too.
    pub(super) all: Vec<Grant>,
    pub(super) refused: Vec<VaultError>,
}

/// Reads and verifies the grants in `files`.
pub(super) fn load(files: &dyn Files, authority: &Authority) -> Result<Grants, VaultError> {
    let mut grants = Grants::default();
    let listed = files.list(&layout::place(layout::GRANTS))?;
    grants.refused.extend(listed.others.into_iter().map(|file| VaultError::Refused { file, flaw: Flaw::NotPlain }));
    for place in listed.files {
        let file = match files.read(&place, MAX_GRANT_BYTES as u64) {
            Ok(file) => file.unwrap_or_default(),
            // One bad file must not stand in the way of all that asks for grants.
            Err(error @ (StoreError::TooLarge { .. } | StoreError::NotPlain { .. })) => {
                grants.refused.push(error.into());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match verify(authority, &place, &file) {
            Ok(grant) => grants.all.push(grant),
            Err(flaw) => grants.refused.push(refused(&place, flaw)),
        }
    }
    Ok(grants)
}

/// Verifies a grant's file: signature, author, place, and that its author may grant that today, for so long.
pub(super) fn verify(authority: &Authority, place: &StorePath, file: &[u8]) -> Result<Grant, Flaw> {
    verify_by(authority, authority.policy(), place, file)
}

/// As [`verify`], by a policy that may be an earlier one.
fn verify_by(authority: &Authority, policy: &Policy, place: &StorePath, file: &[u8]) -> Result<Grant, Flaw> {
    let (grant, signer) = verified::<Grant>(file, Namespace::Grant)?;
    authority.check_signer(&signer, &grant.author)?;
    if grant.store != authority.id() {
        return Err(Flaw::OtherStore);
    }
    if layout::grant(&grant.id) != *place {
        return Err(Flaw::Moved { stated: grant.path });
    }
    if authority.chain().is_lost(policy, &grant.author, &signer) {
        return Err(Flaw::LostKey { author: grant.author });
    }
    let may = Rights::of(policy).allows(&grant.author, Action::Grant, &grant.path);
    if !may || !is_within_policy(policy, &grant) {
        return Err(Flaw::GrantNotAllowed { author: grant.author });
    }
    Ok(grant)
}

/// Whether the rule allows the grant's length, and its grantee is somebody who may be named so.
fn is_within_policy(policy: &Policy, grant: &Grant) -> bool {
    let longest = Rights::of(policy).deciding_rule(&grant.path).and_then(|(_, rule)| rule.max_grant);
    let fits = longest.is_none_or(|longest| grant.expires_at - grant.time <= longest.seconds());
    let somebody = match &grant.recipient {
        None => grant.revoked || policy.members.contains_key(&grant.grantee),
        Some(key) => grant.grantee.as_str() == grant.id.guest_name() && key.parse::<Recipient>().is_ok(),
    };
    somebody && (grant.revoked || fits)
}

impl Vault {
    /// The store's grants, as the work tree has them.
    pub(super) fn grants(&self) -> Result<&Grants, VaultError> {
        if let Some(grants) = self.grants.get() {
            return Ok(grants);
        }
        let loaded = self.load_grants()?;
        Ok(self.grants.get_or_init(|| loaded))
    }

    /// Reads the work tree's grants anew. One that was taken back in this branch's history does not count again, whoever put the signed file
    /// back in its place.
    fn load_grants(&self) -> Result<Grants, VaultError> {
        let mut grants = load(&self.store, &self.authority)?;
        let now = self.options.now;
        if self.store.has_git() && grants.all.iter().any(|grant| grant.is_in_force(now)) {
            let revoked = self.revoked_in_history()?;
            let revived = |grant: &mut Grant| grant.is_in_force(now) && revoked.contains(&grant.id);
            let gone: Vec<Grant> = grants.all.extract_if(.., revived).collect();
            let flaws = gone.into_iter().map(|grant| refused(&layout::grant(&grant.id), Flaw::GrantRevived));
            grants.refused.extend(flaws);
        }
        Ok(grants)
    }

    /// The grants that were taken back in this branch's history, by somebody whom some epoch lets grant that: the right may be lost since.
    fn revoked_in_history(&self) -> Result<BTreeSet<GrantId>, VaultError> {
        let policies = self.policies()?;
        let might = |grant: &Grant| {
            policies.iter().any(|policy| Rights::of(policy).allows(&grant.author, Action::Grant, &grant.path))
        };
        let mut revoked = BTreeSet::new();
        for history in self.store.histories_below(&layout::place(layout::GRANTS))?.into_values() {
            for blob in history.entries.iter().filter_map(|entry| entry.blob.as_ref()) {
                let Some(file) = self.store.read_past(blob, MAX_GRANT_BYTES as u64)? else { continue };
                let Ok((grant, signer)) = verified::<Grant>(&file, Namespace::Grant) else { continue };
                if grant.revoked && might(&grant) && self.authority.check_signer(&signer, &grant.author).is_ok() {
                    revoked.insert(grant.id);
                }
            }
        }
        Ok(revoked)
    }

    /// The grants that let somebody read at `time`, when `policy` was in force, by the times that were signed: also those that were taken back
    /// since, or removed when they had ended.
    pub(super) fn grants_at(&self, policy: &Policy, time: Timestamp) -> Result<Vec<Grant>, VaultError> {
        let mut then: BTreeMap<GrantId, Grant> = BTreeMap::new();
        let mut take = |grant: Grant| {
            let newer = then.get(&grant.id).is_none_or(|known| known.time < grant.time);
            if grant.time <= time && newer {
                then.insert(grant.id.clone(), grant);
            }
        };
        self.grants()?.all.iter().cloned().for_each(&mut take);
        if self.store.has_git() {
            for (place, history) in self.store.histories_below(&layout::place(layout::GRANTS))? {
                for blob in history.entries.iter().filter_map(|entry| entry.blob.as_ref()) {
                    let file = self.store.read_past(blob, MAX_GRANT_BYTES as u64)?.unwrap_or_default();
                    if let Ok(grant) = verify_by(&self.authority, policy, &place, &file) {
                        take(grant);
                    }
                }
            }
        }
        Ok(then.into_values().filter(|grant| grant.is_in_force(time)).collect())
    }

    /// The grants that let somebody read now.
    pub(super) fn grants_in_force(&self) -> Result<Vec<&Grant>, VaultError> {
        let now = self.options.now;
        Ok(self.grants()?.all.iter().filter(|grant| grant.is_in_force(now)).collect())
    }

    /// The grants of the member or guest that the vault works as, for `path`: those that ended too.
    pub(super) fn my_grants(&self, path: &SecretPath) -> Result<Vec<&Grant>, VaultError> {
        let me = self.me()?;
        let mine = |grant: &&Grant| grant.grantee == me.name && grant.path == *path && !grant.revoked;
        Ok(self.grants()?.all.iter().filter(mine).collect())
    }

    /// The grant by which the vault's member or guest reads `path`, if it is by one that it does.
    ///
    /// # Errors
    /// [`VaultError::Denied`], or [`VaultError::GrantEnded`] where there was one.
    pub(super) fn granted(&self, path: &SecretPath) -> Result<GrantId, VaultError> {
        let mine = self.my_grants(path)?;
        if let Some(grant) = mine.iter().find(|grant| grant.is_in_force(self.options.now)) {
            return Ok(grant.id.clone());
        }
        match mine.iter().map(|grant| grant.expires_at).max() {
            Some(at) => Err(VaultError::GrantEnded { path: path.clone(), at }),
            None => {
                Err(VaultError::Denied { member: self.me()?.name.clone(), action: Action::Read, path: path.clone() })
            }
        }
    }

    /// All grants of the store, and what of them was refused.
    ///
    /// # Errors
    /// [`VaultError`] when the store can't be read.
    pub fn grants_listed(&self) -> Result<(Vec<GrantEntry>, Vec<VaultError>), VaultError> {
        let mut entries = Vec::new();
        let Grants { all, refused } = self.load_grants()?;
        for grant in all {
            let by_rule = self.authority.rights().allows(&grant.grantee, Action::Read, &grant.path);
            let signed = self.revision(&self.store, &grant.path)?;
            let is_listed = |signed: Signed| signed.sidecar.recipients.iter().any(|it| it.member == grant.grantee);
            let holds_key = !by_rule && signed.is_some_and(is_listed);
            entries.push(GrantEntry { in_force: grant.is_in_force(self.options.now), holds_key, grant });
        }
        Ok((entries, refused))
    }

    /// Lets somebody read one secret until a deadline.
    ///
    /// # Errors
    /// [`VaultError`]: not found, a right that lacks, too long for the rule, somebody who may read anyway, git.
    pub fn grant(&self, request: &GrantRequest, writing: &Writing) -> Result<GrantOutcome, VaultError> {
        let path = &request.path;
        self.demand(Action::Grant, path)?;
        let longest = self.authority.rights().deciding_rule(path).and_then(|(_, rule)| rule.max_grant);
        if let Some(longest) = longest.filter(|longest| request.duration > *longest) {
            return Err(VaultError::GrantTooLong { path: path.clone(), longest });
        }
        let grant = self.new_grant(request)?;
        self.write_grants(writing, "Grant", &|base| {
            self.position(base, path)?.living()?;
            Ok(Turn { new: vec![grant.clone()], ended: Vec::new() })
        })
    }

    fn new_grant(&self, request: &GrantRequest) -> Result<Grant, VaultError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| VaultError::NoRandomness)?;
        let id = GrantId::of_random(random);
        let (grantee, recipient) = match &request.grantee {
            Grantee::Member(who) => {
                let found = self.authority.policy().member_named(who).map(|(name, _)| name.clone());
                let missing = || crate::policy::EditError::NoSuchMember { name: who.clone() };
                (found.ok_or_else(missing)?, None)
            }
            Grantee::Guest(key) => {
                let name = id.guest_name().parse().map_err(|source| VaultError::Name { what: "name", source })?;
                (name, Some(key.to_string()))
            }
        };
        if self.authority.rights().allows(&grantee, Action::Read, &request.path) {
            return Err(VaultError::ReadsAlready { member: grantee, path: request.path.clone() });
        }
        let now = self.options.now;
        Ok(Grant {
            store: self.id(),
            id,
            path: request.path.clone(),
            grantee,
            recipient,
            author: self.me()?.name.clone(),
            time: now,
            expires_at: now.checked_add(request.duration).map_err(|_| VaultError::TimeOutOfRange)?,
            reason: request.reason.clone(),
            revoked: false,
        })
    }

    /// Takes back every grant of `who` for `path`.
    ///
    /// # Errors
    /// [`VaultError`]: no such grant, a right that lacks, git.
    pub fn revoke(&self, path: &SecretPath, who: &str, writing: &Writing) -> Result<GrantOutcome, VaultError> {
        self.demand(Action::Grant, path)?;
        let grantee = self.grantee_named(who);
        let me = self.me()?.name.clone();
        self.write_grants(writing, "Revoke", &|_| {
            let (all, _) = self.grants_listed()?;
            let meant = |entry: &GrantEntry| {
                entry.in_force && entry.grant.path == *path && Some(&entry.grant.grantee) == grantee.as_ref()
            };
            let revoked: Vec<Grant> = all
                .into_iter()
                .filter(meant)
                .map(|entry| Grant { revoked: true, author: me.clone(), time: self.options.now, ..entry.grant })
                .collect();
            if revoked.is_empty() {
                return Err(VaultError::NoSuchGrant { who: who.to_owned(), path: path.clone() });
            }
            Ok(Turn { new: revoked, ended: Vec::new() })
        })
    }

    /// A member by name or e-mail address, or a guest by the name it is listed with.
    pub(super) fn grantee_named(&self, who: &str) -> Option<MemberName> {
        let member = self.authority.policy().member_named(who).map(|(name, _)| name.clone());
        member.or_else(|| who.parse().ok().filter(|name: &MemberName| name.as_str().starts_with(GUEST)))
    }

    /// Encrypts anew what grants that ended have left open, as far as the present member can, and removes those grants.
    ///
    /// # Errors
    /// [`VaultError`]: git, a file that is refused.
    pub fn expire_grants(&self, writing: &Writing) -> Result<GrantOutcome, VaultError> {
        self.write_grants(writing, "End grants of", &|_| {
            let ended = self.grants_listed()?.0.into_iter().filter(|entry| entry.grant.expires_at <= self.options.now);
            Ok(Turn { new: Vec::new(), ended: ended.map(|entry| entry.grant).collect() })
        })
    }

    /// Writes `new` grants and removes `ended` ones, and encrypts anew the secrets that they are about.
    fn write_grants(
        &self,
        writing: &Writing,
        verb: &str,
        plan: &dyn Fn(Base<'_>) -> Result<Turn, VaultError>,
    ) -> Result<GrantOutcome, VaultError> {
        let (mut outcome, applied) = self.transact(writing, "grants", &|base| {
            let Turn { new, ended } = plan(base)?;
            let concerned: Vec<SecretPath> = new.iter().chain(&ended).map(|grant| grant.path.clone()).collect();
            let in_force = self.grants_after(&new)?;
            let mut secrets = Vec::new();
            for path in concerned.iter().collect::<BTreeSet<_>>() {
                secrets.extend(self.revision(&self.store, path)?);
            }
            let rekeyed =
                self.plan_rekey(base, secrets, self.authority.policy(), &in_force.iter().collect::<Vec<_>>())?;
            let mut changes = rekeyed.changes;
            for grant in &new {
                changes.push(self.grant_change(grant)?);
            }
            let waits = |path: &SecretPath| rekeyed.pending.iter().any(|pending| pending.path == *path);
            let removed: Vec<Grant> = ended.into_iter().filter(|grant| !waits(&grant.path)).collect();
            for path in removed.iter().map(|grant| layout::grant(&grant.id)) {
                changes.push(FileChange { seen: self.store.read(&path, MAX_GRANT_BYTES as u64)?, path, content: None });
            }
            let grants: Vec<Grant> = new.into_iter().chain(removed).collect();
            let whom: Vec<String> =
                grants.iter().map(|grant| format!("{} for {}", grant.grantee, grant.path)).collect();
            Ok(Planned {
                changes,
                subject: format!("{verb} {}", whom.join(", ")),
                trailers: vec![("Vsecure-Change", verb.split(' ').next().unwrap_or(verb).to_ascii_lowercase())],
                result: GrantOutcome {
                    grants,
                    reencrypted: rekeyed.reencrypted,
                    pending: rekeyed.pending,
                    commit: None,
                },
            })
        })?;
        outcome.commit = applied.and_then(|applied| applied.commit).map(|commit| commit.to_string());
        Ok(outcome)
    }

    /// The grants in force once `new` ones stand in the place of those with their ids.
    fn grants_after(&self, new: &[Grant]) -> Result<Vec<Grant>, VaultError> {
        let now = self.options.now;
        let replaced = |grant: &Grant| new.iter().any(|other| other.id == grant.id);
        let present = self.load_grants()?.all.into_iter();
        let kept = present.filter(|grant| !replaced(grant)).chain(new.iter().cloned());
        Ok(kept.filter(|grant| grant.is_in_force(now)).collect())
    }

    fn grant_change(&self, grant: &Grant) -> Result<FileChange, VaultError> {
        let path = layout::grant(&grant.id);
        let document = crypto::sign_document(&grant.body(), Namespace::Grant, &self.me()?.identity);
        let content = Some(document.map_err(VaultError::Sign)?);
        Ok(FileChange { seen: self.store.read(&path, MAX_GRANT_BYTES as u64)?, path, content })
    }
}
