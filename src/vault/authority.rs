//! The policy in force, and what follows from it: whose key signed, who reads, whose right it was.

use crate::crypto::{Namespace, Recipient, VerifyingKey};
use crate::model::{
    Acceptance, Digest, Epoch, Grant, KeyHolder, MAX_POLICY_BYTES, MemberKeys, MemberName, Policy, PolicyRef,
    SecretPath, Sidecar, StoreId,
};
use crate::policy::{Action, Chain, Rights, SignedFlaw, Summary, verified};
use crate::store::StorePath;

use super::error::Flaw;
use super::files::Files;
use super::revision::refused;
use super::{VaultError, layout};

/// A verified chain of epochs, of which the newest is in force.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    chain: Chain,
}

/// Reads and verifies a store's chain of epochs. `known` gives what was verified before of the store with that id.
pub(super) fn load(files: &dyn Files, known: &dyn Fn(&StoreId) -> Vec<Summary>) -> Result<Chain, VaultError> {
    let numbers = epochs_in(files)?;
    let read = |epoch: Epoch| -> Result<(StorePath, Vec<u8>), VaultError> {
        let place = layout::epoch(epoch);
        let file = files.read(&place, MAX_POLICY_BYTES as u64)?;
        let missing = || refused(&place, Flaw::EpochMissing);
        Ok((place.clone(), file.ok_or_else(missing)?))
    };
    let Some(newest) = numbers.last().copied() else { return Err(VaultError::NoPolicy) };
    let (first_place, first) = read(Epoch::FIRST)?;
    let known = known(&StoreId::of_first_epoch(&first));
    let (_, newest_file) = read(newest)?;
    if let Some(chain) = known.iter().find_map(|known| resumed_at(known, newest, &newest_file)) {
        return Ok(chain);
    }
    // The longest known part of it first; the rest is verified.
    let mut start = None;
    for known in &known {
        let Some((epoch, _)) = known.newest().filter(|(epoch, _)| *epoch < newest && *epoch > Epoch::FIRST) else {
            continue;
        };
        start = start.or(resumed_at(known, epoch, &read(epoch)?.1));
    }
    let begin = || Chain::begin(&first).map_err(|flaw| refused(&first_place, flaw.into()));
    let mut chain = start.map_or_else(begin, Ok)?;
    while chain.policy().epoch < newest {
        let (place, file) = read(chain.policy().epoch.next())?;
        chain.extend(&file).map_err(|flaw| refused(&place, flaw.into()))?;
    }
    Ok(chain)
}

fn resumed_at(known: &Summary, epoch: Epoch, file: &[u8]) -> Option<Chain> {
    Chain::resume(known, file).filter(|chain| chain.policy().epoch == epoch)
}

/// The epochs whose files are there, in order.
pub(super) fn epochs_in(files: &dyn Files) -> Result<Vec<Epoch>, VaultError> {
    let listed = files.list_flat(&layout::place(layout::POLICY))?;
    // A link in an epoch's place must not make an older one the newest.
    if let Some(file) = listed.others.into_iter().next() {
        return Err(VaultError::Refused { file, flaw: Flaw::NotPlain });
    }
    let mut epochs: Vec<Epoch> = listed.files.iter().filter_map(layout::epoch_of).collect();
    epochs.sort_unstable();
    Ok(epochs)
}

/// The acceptance list that `policy` names, from `files`.
pub(super) fn acceptance(files: &dyn Files, policy: &Policy) -> Result<Acceptance, VaultError> {
    let Some(file) = acceptance_file(files, policy)? else { return Ok(Acceptance::default()) };
    let place = layout::accepted(&Digest::of(&file));
    Acceptance::parse(&file).map_err(|error| refused(&place, SignedFlaw::Document(error).into()))
}

/// The file of the acceptance list that `policy` names; none where it names none.
pub(super) fn acceptance_file(files: &dyn Files, policy: &Policy) -> Result<Option<Vec<u8>>, VaultError> {
    let Some(digest) = policy.accepted else { return Ok(None) };
    let place = layout::accepted(&digest);
    let file = files.read(&place, Acceptance::MAX_BYTES)?.unwrap_or_default();
    if Digest::of(&file) == digest { Ok(Some(file)) } else { Err(refused(&place, Flaw::AcceptanceReplaced)) }
}

impl Authority {
    pub(super) const fn of(chain: Chain) -> Self {
        Self { chain }
    }

    pub(super) const fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(super) const fn id(&self) -> StoreId {
        self.chain.id()
    }

    pub(super) const fn policy(&self) -> &Policy {
        self.chain.policy()
    }

    pub(super) fn rights(&self) -> Rights<'_> {
        Rights::of(self.chain.policy())
    }

    /// What a sidecar written now cites.
    pub(super) fn reference(&self) -> PolicyRef {
        self.chain.reference()
    }

    /// The present member whose signing key `key` is.
    pub(super) fn member_of(&self, key: &VerifyingKey) -> Option<&MemberName> {
        self.chain.member_of(key)
    }

    /// Everyone who may read `path`, with every key: the stanzas of its age file, in order. `grants` are those in force.
    pub(super) fn readers<'a>(
        &self,
        path: &SecretPath,
        grants: impl IntoIterator<Item = &'a Grant>,
    ) -> (Vec<Recipient>, Vec<KeyHolder>) {
        readers_by(self.policy(), path, grants)
    }

    /// Verifies the file of a sidecar: signature, then strict parse, then whose key it is. Where it lies is the caller's to compare, and
    /// so is whether it counts though the policy alone does not let its author do what it does: that is the last answer.
    pub(super) fn verify_sidecar(&self, file: &[u8]) -> Result<(Sidecar, VerifyingKey, bool), Flaw> {
        let (sidecar, signer) = verified::<Sidecar>(file, Namespace::Secret)?;
        self.check_signer(&signer, &sidecar.author)?;
        if sidecar.store != self.id() {
            return Err(Flaw::OtherStore);
        }
        let by_right = self.gives_right(self.policy(), &sidecar, &signer);
        Ok((sidecar, signer, by_right))
    }

    /// Whether `policy` lets the author of `sidecar` do what it does, with the key that signed it. One that was lost has no right any more,
    /// as if it were the key of somebody who was removed.
    pub(super) fn gives_right(&self, policy: &Policy, sidecar: &Sidecar, signer: &VerifyingKey) -> bool {
        Rights::of(policy).allows(&sidecar.author, action_of(sidecar), &sidecar.path)
            && !self.chain.is_lost(policy, &sidecar.author, signer)
    }

    /// Why what `signer` signed for `author` does not count by the policy in force.
    pub(super) fn no_right(&self, author: MemberName, signer: &VerifyingKey) -> Flaw {
        if self.chain.is_lost(self.policy(), &author, signer) {
            Flaw::LostKey { author }
        } else {
            Flaw::NoRight { author }
        }
    }

    /// That some epoch gives `signer` to `author`.
    pub(super) fn check_signer(&self, signer: &VerifyingKey, author: &MemberName) -> Result<(), Flaw> {
        if self.chain.gave(author, signer) { Ok(()) } else { Err(Flaw::ForeignKey { author: author.clone() }) }
    }
}

/// What a revision does, by what it is and not by what it says.
pub(super) const fn action_of(sidecar: &Sidecar) -> Action {
    if sidecar.is_tombstone() { Action::Delete } else { Action::Write }
}

/// Everyone whom `policy` or one of `grants` lets read `path`, with every key.
pub(super) fn readers_by<'a>(
    policy: &Policy,
    path: &SecretPath,
    grants: impl IntoIterator<Item = &'a Grant>,
) -> (Vec<Recipient>, Vec<KeyHolder>) {
    let mut names: Vec<&MemberName> = Rights::of(policy).who(Action::Read, path).collect();
    let mut guests: Vec<(&MemberName, &String)> = Vec::new();
    for grant in grants.into_iter().filter(|grant| grant.path == *path) {
        match &grant.recipient {
            Some(key) => guests.push((&grant.grantee, key)),
            None => names.push(&grant.grantee),
        }
    }
    names.sort_unstable();
    names.dedup();
    guests.sort_unstable();
    guests.dedup();
    let members = names.into_iter().filter_map(|name| Some((name, policy.members.get(name)?)));
    let members =
        members.flat_map(|(name, member)| member.keys.iter().map(move |keys: &MemberKeys| (name, &keys.recipient)));
    let mut seen = Vec::new();
    let each = members.chain(guests).filter_map(|(name, key)| {
        // Keys of a verified policy or grant are valid.
        let recipient: Recipient = key.parse().ok()?;
        (!seen.contains(&recipient)).then(|| {
            seen.push(recipient.clone());
            let holder = KeyHolder { member: name.clone(), key: recipient.fingerprint() };
            (recipient, holder)
        })
    });
    each.unzip()
}
