//! The policy in force, verified, and what follows from it: whose key signed, who reads, whose right it was.

use crate::crypto::{self, Namespace, Recipient, SignedDocumentError, VerifyingKey};
use crate::model::{DocumentError, Epoch, KeyHolder, MemberName, Policy, PolicyRef, SecretPath, Sidecar, StoreId};
use crate::policy::{Action, Rights};

use super::error::Flaw;

/// A member's public keys, parsed.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) recipient: Recipient,
    pub(super) signing: VerifyingKey,
}

/// A verified policy. For now that is epoch 1, which vouches for itself: its hash is the store's id, and trust is in that.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) policy: Policy,
    pub(super) id: StoreId,
    keys: Vec<(MemberName, Keys)>,
}

impl Authority {
    /// Verifies the file of epoch 1: it must be signed by a key that it gives to its own author.
    pub(super) fn of_first_epoch(file: &[u8]) -> Result<Self, Flaw> {
        let document = verified(file, Namespace::Policy, Policy::canonical_of)?;
        let policy = Policy::parse(document.body()).map_err(Flaw::Document)?;
        if policy.epoch != Epoch::FIRST {
            return Err(Flaw::Document(DocumentError::Inconsistent("the first policy file is not epoch 1")));
        }
        let mut keys = Vec::new();
        for (name, member) in &policy.members {
            for texts in &member.keys {
                let bad_key = || Flaw::Document(DocumentError::Inconsistent("a member's key is not valid"));
                let recipient = texts.recipient.parse().map_err(|_| bad_key())?;
                let signing = texts.signing.parse().map_err(|_| bad_key())?;
                keys.push((name.clone(), Keys { recipient, signing }));
            }
        }
        let authority = Self { id: StoreId::of_first_epoch(file), keys, policy };
        authority.check_signer(document.signer(), &authority.policy.author)?;
        Ok(authority)
    }

    pub(super) fn rights(&self) -> Rights<'_> {
        Rights::of(&self.policy)
    }

    /// What a sidecar written now cites.
    pub(super) const fn reference(&self) -> PolicyRef {
        PolicyRef { epoch: self.policy.epoch, sha256: *self.id.digest() }
    }

    /// The member whose signing key `key` is.
    pub(super) fn member_of(&self, key: &VerifyingKey) -> Option<&MemberName> {
        self.keys.iter().find(|(_, keys)| keys.signing == *key).map(|(name, _)| name)
    }

    /// A member's keys, in the policy's order.
    pub(super) fn keys_of<'a>(&'a self, member: &'a MemberName) -> impl Iterator<Item = &'a Keys> {
        self.keys.iter().filter(move |(name, _)| name == member).map(|(_, keys)| keys)
    }

    /// Everyone who may read `path`, with every key: the stanzas of its age file, in order.
    pub(super) fn readers(&self, path: &SecretPath) -> (Vec<Recipient>, Vec<KeyHolder>) {
        let rights = self.rights();
        let members = rights.who(Action::Read, path);
        let each = members.flat_map(|name| self.keys_of(name).map(move |keys| (name, keys)));
        each.map(|(name, keys)| {
            let holder = KeyHolder { member: name.clone(), key: keys.recipient.fingerprint() };
            (keys.recipient.clone(), holder)
        })
        .unzip()
    }

    /// Verifies the file of a sidecar: signature, then strict parse, then that its author may do what it does. Where it lies is the
    /// caller's to compare.
    pub(super) fn verify_sidecar(&self, file: &[u8]) -> Result<Sidecar, Flaw> {
        let document = verified(file, Namespace::Secret, Sidecar::canonical_of)?;
        let sidecar = Sidecar::parse(document.body()).map_err(Flaw::Document)?;
        self.check_signer(document.signer(), &sidecar.author)?;
        if sidecar.store != self.id {
            return Err(Flaw::OtherStore);
        }
        let action = if sidecar.is_tombstone() { Action::Delete } else { Action::Write };
        if !self.rights().allows(&sidecar.author, action, &sidecar.path) {
            return Err(Flaw::NoRight { author: sidecar.author });
        }
        Ok(sidecar)
    }

    fn check_signer(&self, signer: &VerifyingKey, author: &MemberName) -> Result<(), Flaw> {
        if self.keys_of(author).any(|keys| keys.signing == *signer) {
            return Ok(());
        }
        Err(Flaw::ForeignKey { author: author.clone() })
    }
}

type Canonical = fn(&[u8]) -> Result<Vec<u8>, DocumentError>;

/// Verifies a signature; a wrong one over content whose canonical bytes it does fit is told apart as a formatter's work.
fn verified(file: &[u8], namespace: Namespace, canonical: Canonical) -> Result<crypto::VerifiedDocument<'_>, Flaw> {
    crypto::verify_document(file, namespace).map_err(|error| {
        if matches!(error, SignedDocumentError::BadSignature) && fits_canonical_form(file, namespace, canonical) {
            return Flaw::Reformatted;
        }
        Flaw::Signature(error)
    })
}

fn fits_canonical_form(file: &[u8], namespace: Namespace, canonical: Canonical) -> bool {
    let marker = b"\nsignature: |\n";
    let Some(at) = file.windows(marker.len()).position(|window| window == marker) else { return false };
    let (body, trailer) = file.split_at(at + 1);
    canonical(body).is_ok_and(|mut whole| {
        whole.extend_from_slice(trailer);
        crypto::verify_document(&whole, namespace).is_ok()
    })
}
