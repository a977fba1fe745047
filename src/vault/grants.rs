//! Grants: who may read one secret until a deadline, though no rule lets them.

use crate::crypto::{Namespace, Recipient};
use crate::model::{Grant, GrantId, MAX_GRANT_BYTES, SecretPath};
use crate::policy::{Action, verified};
use crate::store::StorePath;

use super::authority::Authority;
use super::error::Flaw;
use super::files::Files;
use super::revision::refused;
use super::{Vault, VaultError, layout};

/// How the names begin under which one-off keys are listed; no member may be called so.
pub(super) const GUEST: &str = "guest-";

/// The grants of a store, and what of them was refused.
#[derive(Debug, Default)]
pub(super) struct Grants {
    /// Those that count, by id, with their files; ended and revoked ones too.
    pub(super) all: Vec<SignedGrant>,
    pub(super) refused: Vec<VaultError>,
}

/// A grant whose signature and author's right were verified.
#[derive(Debug, Clone)]
pub(super) struct SignedGrant {
    pub(super) grant: Grant,
    pub(super) file: Vec<u8>,
}

/// Reads and verifies the grants in `files`.
pub(super) fn load(files: &dyn Files, authority: &Authority) -> Result<Grants, VaultError> {
    let mut grants = Grants::default();
    let listed = files.list(&layout::place(layout::GRANTS))?;
    grants.refused.extend(listed.others.into_iter().map(|file| VaultError::Refused { file, flaw: Flaw::NotPlain }));
    for place in listed.files {
        let file = files.read(&place, MAX_GRANT_BYTES as u64)?.unwrap_or_default();
        match verify(authority, &place, &file) {
            Ok(grant) => grants.all.push(SignedGrant { grant, file }),
            Err(flaw) => grants.refused.push(refused(&place, flaw)),
        }
    }
    Ok(grants)
}

/// Verifies a grant's file: signature, author, place, and that its author may grant that today, for so long.
pub(super) fn verify(authority: &Authority, place: &StorePath, file: &[u8]) -> Result<Grant, Flaw> {
    let (grant, signer) = verified::<Grant>(file, Namespace::Grant)?;
    authority.check_signer(&signer, &grant.author)?;
    if grant.store != authority.id() {
        return Err(Flaw::OtherStore);
    }
    if layout::grant(&grant.id) != *place {
        return Err(Flaw::Moved { stated: grant.path });
    }
    if !authority.rights().allows(&grant.author, Action::Grant, &grant.path) || !is_within_policy(authority, &grant) {
        return Err(Flaw::GrantNotAllowed { author: grant.author });
    }
    Ok(grant)
}

/// Whether the rule allows the grant's length, and its grantee is somebody who may be named so.
fn is_within_policy(authority: &Authority, grant: &Grant) -> bool {
    let longest = authority.rights().deciding_rule(&grant.path).and_then(|(_, rule)| rule.max_grant);
    let fits = longest.is_none_or(|longest| grant.expires_at - grant.time <= longest.seconds());
    let policy = authority.policy();
    let somebody = match &grant.recipient {
        None => policy.members.contains_key(&grant.grantee),
        Some(key) => grant.grantee.as_str().starts_with(GUEST) && key.parse::<Recipient>().is_ok(),
    };
    grant.revoked || (fits && somebody)
}

impl Vault {
    /// The store's grants, as the work tree has them.
    pub(super) fn grants(&self) -> Result<&Grants, VaultError> {
        if let Some(grants) = self.grants.get() {
            return Ok(grants);
        }
        let loaded = load(&self.store, &self.authority)?;
        Ok(self.grants.get_or_init(|| loaded))
    }

    /// The grants that let somebody read now.
    pub(super) fn grants_in_force(&self) -> Result<Vec<&Grant>, VaultError> {
        let now = self.options.now;
        Ok(self.grants()?.all.iter().map(|signed| &signed.grant).filter(|grant| grant.is_in_force(now)).collect())
    }

    /// The grants of the member or guest that the vault works as, for `path`: those that ended too.
    pub(super) fn my_grants(&self, path: &SecretPath) -> Result<Vec<&Grant>, VaultError> {
        let me = self.me()?;
        let mine = |grant: &&Grant| grant.grantee == me.name && grant.path == *path && !grant.revoked;
        Ok(self.grants()?.all.iter().map(|signed| &signed.grant).filter(mine).collect())
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
}
