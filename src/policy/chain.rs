//! The chain of policy epochs: each signed by an admin of the one before it, back to the first, whose hash is the store's id.
//!
//! Nothing here reads a file: callers hand in the epochs' files in their order. What a verified chain comes to fits into a
//! [`Summary`], which a machine may keep where nobody else writes, so that a known chain need not be verified again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signed::{SignedFlaw, verified};
use crate::crypto::{Namespace, Recipient, VerifyingKey, unverified_parts};
use crate::model::{Digest, Document as _, Epoch, Fingerprint, MemberKeys, MemberName, Policy, PolicyRef, StoreId};

/// Why a file is not the next epoch of a chain.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ChainFlaw {
    /// Not a policy document with a good signature.
    #[error(transparent)]
    Signed(#[from] SignedFlaw),
    /// The number is not the next one.
    #[error("it says epoch {found} where epoch {expected} has to be")]
    WrongEpoch {
        /// What it says.
        found: Epoch,
        /// What has to be there.
        expected: Epoch,
    },
    /// It names another file as the previous epoch.
    #[error("it does not follow the epoch before it")]
    NotLinked,
    /// Signed by a key that the epoch before does not give to the author.
    #[error("it is signed by a key that does not belong to `{author}`")]
    ForeignKey {
        /// Whom the document names as its author.
        author: MemberName,
    },
    /// Signed by somebody who was no admin in the epoch before.
    #[error("`{author}` signed it and was not an admin")]
    NotAnAdmin {
        /// The author.
        author: MemberName,
    },
    /// The name of a removed member, given to somebody else.
    #[error("`{name}` is the name of a member who was removed, and is not used again")]
    NameReused {
        /// The name.
        name: String,
    },
    /// One key for two members: signatures would name nobody.
    #[error("`{first}` and `{second}` have the same key")]
    SharedKey {
        /// A member.
        first: MemberName,
        /// Another.
        second: MemberName,
    },
    /// A key that can't be used.
    #[error("a key of `{member}` is not valid")]
    BadKey {
        /// Whose.
        member: MemberName,
    },
}

/// What a verified chain comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The hash of each epoch's file, from epoch 1 on.
    pub epochs: Vec<Digest>,
    /// Everybody who ever was a member, with every key that an epoch gave.
    members: BTreeMap<MemberName, Vec<MemberKeys>>,
}

impl Summary {
    /// The hash of `epoch`'s file.
    #[must_use]
    pub fn digest_of(&self, epoch: Epoch) -> Option<Digest> {
        self.epochs.get(usize::try_from(epoch.get() - 1).ok()?).copied()
    }

    /// The newest epoch.
    #[must_use]
    pub fn newest(&self) -> Option<(Epoch, Digest)> {
        Some((Epoch::new(self.epochs.len() as u64)?, *self.epochs.last()?))
    }
}

/// A chain that was verified, with its newest epoch's policy.
#[derive(Debug, Clone)]
pub struct Chain {
    summary: Summary,
    policy: Policy,
    id: StoreId,
}

impl Chain {
    /// Begins with epoch 1, which must be signed by a key that it gives to its own author.
    ///
    /// # Errors
    /// [`ChainFlaw`].
    pub fn begin(file: &[u8]) -> Result<Self, ChainFlaw> {
        let (policy, signer) = verified::<Policy>(file, Namespace::Policy)?;
        expect_epoch(&policy, Epoch::FIRST)?;
        let mut summary = Summary { epochs: Vec::new(), members: BTreeMap::new() };
        summary.take_in(&policy, None, Digest::of(file))?;
        check_author(&policy, &policy, &signer)?;
        Ok(Self { summary, policy, id: StoreId::of_first_epoch(file) })
    }

    /// Goes on with the next epoch.
    ///
    /// # Errors
    /// [`ChainFlaw`]; the chain is as it was then.
    pub fn extend(&mut self, file: &[u8]) -> Result<(), ChainFlaw> {
        let (policy, signer) = verified::<Policy>(file, Namespace::Policy)?;
        expect_epoch(&policy, self.policy.epoch.next())?;
        if policy.previous != self.summary.epochs.last().copied() {
            return Err(ChainFlaw::NotLinked);
        }
        check_author(&self.policy, &policy, &signer)?;
        self.summary.take_in(&policy, Some(&self.policy), Digest::of(file))?;
        self.policy = policy;
        Ok(())
    }

    /// Goes on where a chain that was verified before stood with `file` as its newest epoch; none when `file` is none of its epochs.
    #[must_use]
    pub fn resume(known: &Summary, file: &[u8]) -> Option<Self> {
        let digest = Digest::of(file);
        let at = known.epochs.iter().position(|epoch| *epoch == digest)?;
        // Its hash says that this is the file that was verified.
        let (body, _) = unverified_parts(file)?;
        let policy = Policy::parse(body).ok()?;
        let mut summary = known.clone();
        summary.epochs.truncate(at + 1);
        Some(Self { id: StoreId::from(*summary.epochs.first()?), summary, policy })
    }

    /// The store's id.
    #[must_use]
    pub const fn id(&self) -> StoreId {
        self.id
    }

    /// The newest epoch's policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the chain comes to.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// How a document cites the newest epoch.
    #[must_use]
    pub fn reference(&self) -> PolicyRef {
        let sha256 = self.summary.epochs.last().copied().unwrap_or(*self.id.digest());
        PolicyRef { epoch: self.policy.epoch, sha256 }
    }

    /// Whether some epoch gives the signing key `signer` to `author`.
    #[must_use]
    pub fn gave(&self, author: &MemberName, signer: &VerifyingKey) -> bool {
        let signer = signer.to_string();
        self.summary.members.get(author).is_some_and(|keys| keys.iter().any(|keys| keys.signing == signer))
    }

    /// Whether `author`, a member by `policy`, has lost the signing key `signer`: others may have it.
    #[must_use]
    pub fn is_lost(&self, policy: &Policy, author: &MemberName, signer: &VerifyingKey) -> bool {
        let Some(member) = policy.members.get(author).filter(|member| !member.lost.is_empty()) else { return false };
        let signer = signer.to_string();
        let signs = |keys: &&MemberKeys| keys.signing == signer;
        let lost = |keys: &MemberKeys| {
            keys.recipient.parse::<Recipient>().is_ok_and(|recipient| member.lost.contains(&recipient.fingerprint()))
        };
        let known = self.summary.members.get(author).into_iter().flatten();
        !member.keys.iter().any(|keys| signs(&keys)) && known.filter(signs).any(lost)
    }

    /// Every signing key that some epoch gave, by its fingerprint, with the member who has or had it.
    #[must_use]
    pub fn signing_keys(&self) -> BTreeMap<Fingerprint, &MemberName> {
        let keys = self.summary.members.iter().flat_map(|(name, keys)| keys.iter().map(move |keys| (name, keys)));
        let parsed = keys.filter_map(|(name, keys)| Some((keys.signing.parse::<VerifyingKey>().ok()?, name)));
        parsed.map(|(key, name)| (key.fingerprint(), name)).collect()
    }

    /// The present member whose signing key `key` is.
    #[must_use]
    pub fn member_of(&self, key: &VerifyingKey) -> Option<&MemberName> {
        let key = key.to_string();
        let has_it = |keys: &MemberKeys| keys.signing == key;
        self.policy.members.iter().find(|(_, member)| member.keys.iter().any(has_it)).map(|(name, _)| name)
    }
}

impl Summary {
    /// Takes in the next epoch's members, after `before`.
    fn take_in(&mut self, policy: &Policy, before: Option<&Policy>, digest: Digest) -> Result<(), ChainFlaw> {
        self.check_names(policy, before)?;
        let mut members = self.members.clone();
        for (name, member) in &policy.members {
            for keys in &member.keys {
                check_holder(&members, name, keys)?;
                let known = members.entry(name.clone()).or_default();
                if !known.contains(keys) {
                    let valid =
                        keys.recipient.parse::<Recipient>().is_ok() && keys.signing.parse::<VerifyingKey>().is_ok();
                    if !valid {
                        return Err(ChainFlaw::BadKey { member: name.clone() });
                    }
                    known.push(keys.clone());
                }
            }
        }
        self.members = members;
        self.epochs.push(digest);
        Ok(())
    }

    /// That nobody gets the name of a member who was removed.
    fn check_names(&self, policy: &Policy, before: Option<&Policy>) -> Result<(), ChainFlaw> {
        let Some(before) = before else { return Ok(()) };
        let new_members = policy.members.keys().filter(|name| !before.members.contains_key(*name)).map(AsRef::as_ref);
        let new_roles = policy.roles.iter().filter(|role| !before.roles.contains(role)).map(AsRef::as_ref);
        let was_member = |name: &&str| self.members.keys().any(|known| known.as_str().eq_ignore_ascii_case(name));
        match new_members.chain(new_roles).find(was_member) {
            Some(name) => Err(ChainFlaw::NameReused { name: name.to_owned() }),
            None => Ok(()),
        }
    }
}

fn check_holder(
    members: &BTreeMap<MemberName, Vec<MemberKeys>>,
    name: &MemberName,
    keys: &MemberKeys,
) -> Result<(), ChainFlaw> {
    let same = |other: &MemberKeys| other.recipient == keys.recipient || other.signing == keys.signing;
    match members.iter().find(|(other, theirs)| *other != name && theirs.iter().any(same)) {
        Some((other, _)) => Err(ChainFlaw::SharedKey { first: other.clone(), second: name.clone() }),
        None => Ok(()),
    }
}

fn expect_epoch(policy: &Policy, expected: Epoch) -> Result<(), ChainFlaw> {
    if policy.epoch == expected { Ok(()) } else { Err(ChainFlaw::WrongEpoch { found: policy.epoch, expected }) }
}

/// That `signer` is a key which `before` gives to the author of `policy`, and that the author is an admin there.
fn check_author(before: &Policy, policy: &Policy, signer: &VerifyingKey) -> Result<(), ChainFlaw> {
    let author = || policy.author.clone();
    let member = before.members.get(&policy.author).ok_or_else(|| ChainFlaw::ForeignKey { author: author() })?;
    let signer = signer.to_string();
    if !member.keys.iter().any(|keys| keys.signing == signer) {
        return Err(ChainFlaw::ForeignKey { author: author() });
    }
    if member.is_admin() { Ok(()) } else { Err(ChainFlaw::NotAnAdmin { author: author() }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::crypto::{Identity, sign_document};
    use crate::model::{Member, RoleName};

    fn admins() -> RoleName {
        "admins".parse().unwrap()
    }

    fn member(name: &str, identity: &Identity, roles: Vec<RoleName>) -> (MemberName, Member) {
        let keys =
            MemberKeys { recipient: identity.recipient().to_string(), signing: identity.verifying_key().to_string() };
        let email = format!("{name}@example.com").parse().unwrap();
        (name.parse().unwrap(), Member { email, roles, keys: vec![keys], lost: BTreeSet::new() })
    }

    fn first(alice: &Identity) -> Policy {
        Policy {
            epoch: Epoch::FIRST,
            salt: Some("0".repeat(32)),
            previous: None,
            author: "alice".parse().unwrap(),
            time: "2026-11-24".parse().unwrap(),
            environments: vec![],
            roles: vec![admins()],
            members: [member("alice", alice, vec![admins()])].into(),
            secrets: BTreeMap::new(),
            accepted: None,
        }
    }

    fn signed(policy: &Policy, by: &Identity) -> Vec<u8> {
        sign_document(&policy.body(), Namespace::Policy, by).unwrap()
    }

    /// The policy after the chain's newest, unchanged but for its header.
    fn next(chain: &Chain) -> Policy {
        Policy {
            epoch: chain.policy().epoch.next(),
            salt: None,
            previous: chain.summary().epochs.last().copied(),
            ..chain.policy().clone()
        }
    }

    fn kind(result: Result<(), ChainFlaw>) -> &'static str {
        result.expect_err("it must be refused").into()
    }

    struct World {
        alice: Identity,
        bob: Identity,
        chain: Chain,
    }

    impl World {
        fn new() -> Self {
            let [alice, bob] = [Identity::generate(), Identity::generate()];
            let chain = Chain::begin(&signed(&first(&alice), &alice)).unwrap();
            Self { alice, bob, chain }
        }

        /// Extends by an epoch that differs as `change` says, signed by alice.
        fn step(&mut self, change: impl FnOnce(&mut Policy)) -> Result<(), ChainFlaw> {
            let mut policy = next(&self.chain);
            change(&mut policy);
            self.chain.extend(&signed(&policy, &self.alice))
        }

        fn add_bob(&mut self, roles: Vec<RoleName>) {
            let (name, bob) = member("bob", &self.bob, roles);
            self.step(|policy| drop(policy.members.insert(name, bob))).unwrap();
        }
    }

    #[test]
    fn an_epoch_is_signed_by_an_admin_of_the_one_before() {
        let mut world = World::new();
        world.add_bob(vec![]);
        let bobs = |change: fn(&mut Policy), chain: &Chain| {
            let mut policy = Policy { author: "bob".parse().unwrap(), ..next(chain) };
            change(&mut policy);
            policy
        };
        let policy = bobs(|_| (), &world.chain);
        assert_eq!(kind(world.chain.extend(&signed(&policy, &world.bob))), "not-an-admin");
        let promoted = bobs(|policy| policy.members.values_mut().for_each(|m| m.roles = vec![admins()]), &world.chain);
        assert_eq!(
            kind(world.chain.extend(&signed(&promoted, &world.bob))),
            "not-an-admin",
            "his own epoch counts for nothing"
        );
        let in_alices_name = Policy { author: "alice".parse().unwrap(), ..policy };
        assert_eq!(kind(world.chain.extend(&signed(&in_alices_name, &world.bob))), "foreign-key");
        let strangers = Policy { author: "eve".parse().unwrap(), ..in_alices_name };
        assert_eq!(kind(world.chain.extend(&signed(&strangers, &Identity::generate()))), "foreign-key");
        assert_eq!(world.chain.policy().epoch.get(), 2, "nothing of that was taken in");
        world.step(|policy| policy.members.values_mut().for_each(|m| m.roles = vec![admins()])).unwrap();
        let now = bobs(|_| (), &world.chain);
        world.chain.extend(&signed(&now, &world.bob)).unwrap();
    }

    #[test]
    fn epochs_follow_each_other_without_a_gap_or_a_fork() {
        let mut world = World::new();
        assert_eq!(kind(world.step(|policy| policy.epoch = policy.epoch.next())), "wrong-epoch");
        assert_eq!(kind(world.step(|policy| policy.previous = Some(Digest::of(b"another")))), "not-linked");
        let fork = signed(&next(&world.chain), &world.alice);
        world.add_bob(vec![]);
        assert_eq!(kind(world.chain.extend(&fork)), "wrong-epoch");
        let other_first = signed(&Policy { salt: Some("1".repeat(32)), ..first(&world.alice) }, &world.alice);
        assert_eq!(kind(world.chain.extend(&other_first)), "wrong-epoch");
        assert_ne!(Chain::begin(&other_first).unwrap().id(), world.chain.id());
    }

    #[test]
    fn a_removed_members_name_and_keys_are_nobody_elses() {
        let mut world = World::new();
        world.add_bob(vec![]);
        let bob: MemberName = "bob".parse().unwrap();
        let signing = *world.bob.verifying_key();
        world.step(|policy| drop(policy.members.remove(&bob))).unwrap();
        assert!(world.chain.gave(&bob, &signing), "what he signed is still known as his");
        assert_eq!(world.chain.member_of(&signing), None);
        let again = |name: &str, identity: &Identity| member(name, identity, vec![]);
        let (_, stranger) = again("bob", &Identity::generate());
        assert_eq!(
            kind(world.step(|policy| drop(policy.members.insert(bob.clone(), stranger.clone())))),
            "name-reused"
        );
        let upper: MemberName = "BOB".parse().unwrap();
        assert_eq!(kind(world.step(|policy| drop(policy.members.insert(upper, stranger)))), "name-reused");
        assert_eq!(kind(world.step(|policy| policy.roles.push("bob".parse().unwrap()))), "name-reused");
        let (carol, with_his_key) = again("carol", &world.bob);
        assert_eq!(kind(world.step(|policy| drop(policy.members.insert(carol, with_his_key)))), "shared-key");
        // One of the two is enough: signatures would name nobody, or an age file would be for two.
        for theirs in [true, false] {
            let stranger = Identity::generate();
            let (dave, mut half) = again("dave", &stranger);
            let (_, his) = again("bob", &world.bob);
            let (keys, his) = (&mut half.keys[0], &his.keys[0]);
            if theirs {
                keys.recipient.clone_from(&his.recipient)
            } else {
                keys.signing.clone_from(&his.signing)
            }
            assert_eq!(kind(world.step(|policy| drop(policy.members.insert(dave, half)))), "shared-key", "{theirs}");
        }
        let bad = |policy: &mut Policy| policy.members.values_mut().for_each(|m| m.keys[0].recipient = "age1x".into());
        assert_eq!(kind(world.step(bad)), "bad-key");
    }

    #[test]
    fn a_known_chain_goes_on_without_being_verified_again() {
        let mut world = World::new();
        world.add_bob(vec![]);
        let mut policy = next(&world.chain);
        policy.members.remove(&"bob".parse::<MemberName>().unwrap());
        let third = signed(&policy, &world.alice);
        world.chain.extend(&third).unwrap();
        let known = serde_json::to_string(world.chain.summary()).unwrap();
        let known: Summary = serde_json::from_str(&known).unwrap();
        let resumed = Chain::resume(&known, &third).unwrap();
        assert_eq!(
            (resumed.id(), resumed.policy(), resumed.summary()),
            (world.chain.id(), world.chain.policy(), &known)
        );
        assert!(resumed.gave(&"bob".parse().unwrap(), world.bob.verifying_key()));
        let forged = signed(&Policy { author: "bob".parse().unwrap(), ..policy }, &world.bob);
        assert!(Chain::resume(&known, &forged).is_none(), "a file that was not verified is not taken for one that was");
        assert_eq!(known.newest().map(|(epoch, _)| epoch.get()), Some(3));
        assert_eq!(known.digest_of(Epoch::new(4).unwrap()), None);
    }
}
