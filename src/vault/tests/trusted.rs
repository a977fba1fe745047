//! What a trusted branch brings past the program, signed by somebody who may write: numbers that run away, debts that vanish.

use super::*;
use crate::crypto::SecretBytes;
use crate::format::Step;
use crate::model::{Revision, Rotation, Sidecar, Version};
use crate::policy::{ChainFlaw, Edit, StoreClaim};
use crate::vault::{HookCall, HookFault, RotationEdit, RunHook};

impl World {
    /// A store with one secret, which the trusted branch has.
    fn published() -> Self {
        let world = Self::new();
        world.create();
        world.publish();
        world
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let output =
            Command::new("git").args(arguments).current_dir(self.folder.path().join("project")).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The trusted branch comes to what is in the work tree, and everybody has seen it.
    fn publish(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "By hand"]);
        let branch = self.git(&["symbolic-ref", "--short", "HEAD"]);
        self.git(&["update-ref", &format!("refs/remotes/origin/{branch}"), "HEAD"]);
        drop(self.vault_as("alice"));
    }

    fn adopt(&self) -> Revision {
        let vault = self.vault_as("alice");
        let adoptable = vault.adoptable(&path(), None).unwrap();
        vault.adopt(&adoptable, &Writing::default()).unwrap().revision
    }
}

#[test]
fn who_forgets_that_somebody_knows_a_value_is_refused_whatever_number_it_has() {
    let world = World::new();
    world.create();
    world
        .vault_as("alice")
        .change_policy(&Edit::RemoveMember { who: "rita".into() }.into(), &Writing::default())
        .unwrap();
    world.publish();
    let exposed = world.vault_as("alice").describe(&path()).unwrap().exposed_to;
    assert_eq!(exposed.len(), 1, "rita knows it");
    world.forge(world.identity("will"), "will", |sidecar| sidecar.exposed_to.clear());
    assert!(world.vault_as("alice").get(&path()).is_ok(), "what is local is the user's own");
    let place = world.file(&layout::sidecar(&path()));
    let first = fs::read(&place).unwrap();
    world.forge(world.identity("will"), "will", |_| {});
    let next = fs::read(&place).unwrap();
    for state in [first, next] {
        fs::write(&place, state).unwrap();
        world.publish();
        assert!(matches!(world.flaw(), Flaw::Replayed { .. }), "one more state makes it no better");
    }
    world.adopt();
    world.publish();
    assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"one");
    let now = world.vault_as("alice").describe(&path()).unwrap().exposed_to;
    assert_eq!(now, exposed, "she knows it still, whoever forgot that");
}

#[test]
fn who_takes_a_secret_away_for_a_moment_makes_nobody_forgotten() {
    for at_once in [true, false] {
        let world = World::new();
        world.create();
        let remove = Edit::RemoveMember { who: "rita".into() };
        world.vault_as("alice").change_policy(&remove.into(), &Writing::default()).unwrap();
        world.publish();
        let exposed = world.vault_as("alice").describe(&path()).unwrap().exposed_to;
        let seen = world.git(&["rev-parse", "HEAD"]);
        world.git(&["rm", "-q", "-r", ".vsecure/secrets"]);
        world.git(&["commit", "-q", "-m", "Gone"]);
        if !at_once {
            world.publish();
        }
        world.git(&["checkout", "-q", &seen, "--", ".vsecure/secrets"]);
        world.forge(world.identity("will"), "will", |sidecar| sidecar.exposed_to.clear());
        world.publish();
        assert!(matches!(world.flaw(), Flaw::Replayed { .. }), "at once: {at_once}");
        world.adopt();
        world.publish();
        assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"one");
        assert_eq!(world.vault_as("alice").describe(&path()).unwrap().exposed_to, exposed);
    }
}

#[test]
fn no_number_falls_and_none_stands_for_two_states() {
    let changes: [fn(&mut Sidecar); 3] = [
        |sidecar| sidecar.revision = Revision::new(3).unwrap(),
        |sidecar| sidecar.revision = Revision::new(4).unwrap(),
        |sidecar| sidecar.version = Version::new(1).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let world = World::new();
        world.create();
        let update = Update { value: Some(secret("two")), ..Update::of(path()) };
        world.vault_as("will").update(&update, &Writing::default()).unwrap();
        for _ in 0..2 {
            world.forge(world.identity("will"), "will", |_| {});
        }
        world.publish();
        let now = world.vault_as("alice").describe(&path()).unwrap();
        assert_eq!((now.revision.get(), now.version.get()), (4, 2));
        world.forge(world.identity("will"), "will", change);
        world.publish();
        assert!(matches!(world.flaw(), Flaw::Replayed { .. }), "{number}");
    }
}

#[test]
fn what_was_lost_is_not_back_where_something_later_was_seen() {
    let world = World::new();
    world.create();
    for _ in 0..2 {
        world.forge(world.identity("will"), "will", |_| {});
    }
    world.publish();
    let seen = world.git(&["rev-parse", "HEAD"]);
    let place = world.file(&layout::sidecar(&path()));
    let forged = |change: fn(&mut Sidecar)| {
        let before = fs::read(&place).unwrap();
        world.forge(world.identity("will"), "will", change);
        let after = fs::read(&place).unwrap();
        fs::write(&place, before).unwrap();
        after
    };
    let lower = forged(|sidecar| sidecar.revision = Revision::new(2).unwrap());
    let forgetful = forged(|sidecar| drop(sidecar.recipients.pop()));
    // A number falls; then one that is higher than all forgets a reader: both are refused.
    for state in [lower, forgetful] {
        fs::write(&place, state).unwrap();
        world.publish();
        assert!(matches!(world.flaw(), Flaw::Replayed { .. }));
    }
    world.git(&["checkout", "-q", &seen, "--", ".vsecure/secrets"]);
    world.publish();
    assert!(matches!(world.flaw(), Flaw::Replayed { .. }), "a later number was seen since");
}

#[test]
fn a_replay_over_what_a_removed_member_signed_is_one_also_where_both_come_at_once() {
    // Behind a commit that has nothing to do with it, too.
    for between in [0, 2] {
        let world = World::published();
        let old = world.git(&["rev-parse", "HEAD"]);
        let update = Update { value: Some(secret("two")), ..Update::of(path()) };
        world.vault_as("will").update(&update, &Writing::default()).unwrap();
        // Somebody else knew that value.
        world.forge(world.identity("will"), "will", |sidecar| {
            let holder = crate::model::KeyHolder { member: "otto".parse().unwrap(), ..sidecar.recipients[0].clone() };
            sidecar.exposed_to.insert(holder);
        });
        world.publish();
        for _ in 0..between {
            world.git(&["commit", "-q", "--allow-empty", "-m", "Between"]);
        }
        // Somebody puts the old state back, and an admin who never saw the newer one removes its author.
        world.git(&["checkout", "-q", &old, "--", ".vsecure/secrets"]);
        world.git(&["commit", "-q", "-m", "By hand"]);
        let mut blind = world.options();
        blind.look = false;
        blind.pins = Some(Pins::in_directory(world.folder.path().join("blind")));
        blind.claim = Some(StoreClaim { id: world.vault_as("alice").id(), epoch: None });
        let mut blind = Vault::open(blind).unwrap();
        blind.unlock(vec![world.identity("alice").clone()]).unwrap();
        blind.change_policy(&Edit::RemoveMember { who: "will".into() }.into(), &Writing::default()).unwrap();
        world.publish();
        assert!(matches!(world.flaw(), Flaw::Replayed { .. }), "what he signed while he could was seen");
        world.adopt();
        world.publish();
        assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"one");
    }
}

/// A hook that makes a value, and fails at every other step.
struct Stops;

impl RunHook for Stops {
    fn run(&mut self, call: HookCall<'_>) -> Result<SecretBytes, HookFault> {
        let input = String::from_utf8(call.input.as_bytes().to_vec()).unwrap();
        if input.contains(r#""step":"create""#) {
            Ok(secret(r#"{"value": "two"}"#))
        } else {
            Err(HookFault::Interrupted)
        }
    }
}

#[test]
fn who_forgets_that_somebody_knows_a_pending_value_is_refused() {
    let world = World::new();
    world.create();
    let vault = world.vault_as("will");
    fs::write(world.folder.path().join("project/hook"), "#!/bin/sh").unwrap();
    let hook = "hook".parse().unwrap();
    vault.trust_hook(&hook, None).unwrap();
    let period = "30d".parse().unwrap();
    let rotation = Rotation { enabled: true, period, notify_before: None, generator: None, hook: Some(hook) };
    let update = Update { rotation: RotationEdit::Replace(rotation), ..Update::of(path()) };
    vault.update(&update, &Writing::default()).unwrap();
    let stopped = vault.rotate(&path(), &mut Stops, &Writing::default());
    assert!(matches!(stopped, Err(VaultError::Hook { step: Step::Set, .. })), "{stopped:?}");
    world
        .vault_as("alice")
        .change_policy(&Edit::RemoveMember { who: "rita".into() }.into(), &Writing::default())
        .unwrap();
    world.publish();
    let next = world.vault_as("alice").describe(&path()).unwrap().next.unwrap();
    assert_eq!(next.exposed_to.len(), 1, "rita knows it");
    world.forge(world.identity("will"), "will", |sidecar| sidecar.next.as_mut().unwrap().exposed_to.clear());
    world.publish();
    assert!(matches!(world.flaw(), Flaw::Replayed { .. }));
}

#[test]
fn a_number_that_leaps_is_refused_and_does_not_use_the_numbers_up() {
    for first in [false, true] {
        let world = World::new();
        world.publish();
        world.create();
        if !first {
            world.publish();
        }
        world.forge(world.identity("will"), "will", |sidecar| sidecar.revision = Revision::new(u64::MAX).unwrap());
        world.publish();
        assert!(matches!(world.flaw(), Flaw::Replayed { .. }), "first: {first}");
        let revision = world.adopt();
        assert!(revision.get() < 5, "{revision}");
        world.publish();
        assert_eq!(world.vault_as("will").get(&path()).unwrap().value.as_bytes(), b"one");
        let update = Update { value: Some(secret("two")), ..Update::of(path()) };
        world.vault_as("will").update(&update, &Writing::default()).unwrap();
        world.publish();
        assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"two");
    }
}

#[test]
fn adopting_a_strangers_state_does_not_take_over_a_number_from_the_end() {
    let world = World::new();
    world.create();
    world.forge(world.identity("rita"), "rita", |sidecar| {
        sidecar.revision = Revision::new(u64::MAX).unwrap();
        sidecar.version = Version::new(u64::MAX).unwrap();
    });
    assert_eq!(world.adopt().get(), 2);
    assert_eq!(world.vault_as("alice").describe(&path()).unwrap().version.get(), 2);
}

#[test]
fn versions_that_somebody_only_counted_past_are_not_all_named() {
    let world = World::new();
    world.create();
    world.forge(world.identity("will"), "will", |sidecar| {
        sidecar.revision = Revision::new(u64::MAX).unwrap();
        sidecar.version = Version::new(u64::MAX).unwrap();
    });
    let versions = world.vault_as("alice").versions(&path()).unwrap();
    assert_eq!((versions.versions.len(), versions.missing.len()), (2, 1000));
}

#[test]
fn a_pin_never_moves_back() {
    let world = World::new();
    world.create();
    let chain = || world.vault_as("alice").authority.chain().clone();
    let first = chain();
    let remove = Edit::RemoveMember { who: "rita".into() };
    world.vault_as("alice").change_policy(&remove.into(), &Writing::default()).unwrap();
    let second = chain();
    let pins = Pins::in_directory(world.folder.path().join("pins"));
    pins.trust(&first.id()).unwrap();
    for (chain, epoch) in [(&first, 1), (&second, 2), (&first, 2)] {
        let file = fs::read(world.file(&layout::epoch(chain.policy().epoch))).unwrap();
        pins.advance(chain, &file, None).unwrap();
        assert_eq!(pins.pinned(&first.id()).unwrap().unwrap().epoch.get(), epoch);
    }
}

#[test]
fn an_edited_epoch_in_the_middle_of_a_known_chain_is_not_taken_for_what_it_was() {
    let world = World::new();
    world.create();
    for who in ["rita", "otto"] {
        world
            .vault_as("alice")
            .change_policy(&Edit::RemoveMember { who: who.into() }.into(), &Writing::default())
            .unwrap();
    }
    assert_eq!(world.vault_as("alice").epochs().unwrap().len(), 3);
    let middle = world.file(&layout::epoch(Epoch::new(2).unwrap()));
    let text = fs::read_to_string(&middle).unwrap();
    fs::write(&middle, text.replace("production", "PRODUCTION")).unwrap();
    assert!(matches!(world.vault_as("alice").epochs(), Err(VaultError::Refused { .. })));
}

#[test]
fn an_older_policy_under_a_newer_number_is_not_in_force() {
    let world = World::new();
    world.create();
    let remove = Edit::RemoveMember { who: "rita".into() };
    world.vault_as("alice").change_policy(&remove.into(), &Writing::default()).unwrap();
    assert_eq!(world.vault_as("alice").epoch(), 2, "the chain is known on this machine now");
    let [first, third] = [1, 3].map(|number| world.file(&layout::epoch(Epoch::new(number).unwrap())));
    fs::copy(first, third).unwrap();
    let opened = Vault::open(world.options()).map(|vault| vault.epoch());
    let wrong = |flaw: &Flaw| matches!(flaw, Flaw::Policy(ChainFlaw::WrongEpoch { .. }));
    assert!(matches!(&opened, Err(VaultError::Refused { flaw, .. }) if wrong(flaw)), "{opened:?}");
}

#[test]
fn only_a_branch_of_a_remote_can_be_trusted() {
    let world = World::published();
    let branch = world.git(&["symbolic-ref", "--short", "HEAD"]);
    for name in [format!("refs/heads/{branch}"), format!("../heads/{branch}")] {
        let trusted = world.vault_as("alice").trust_branch(&name);
        assert!(matches!(trusted, Err(VaultError::NoSuchReference { .. })), "{trusted:?}");
    }
    let trusted = world.vault_as("alice").trust_branch(&branch).unwrap();
    assert_eq!(trusted, format!("refs/remotes/origin/{branch}"));
}

#[test]
fn who_has_no_right_raises_no_number() {
    let world = World::published();
    let good = world.git(&["rev-parse", "HEAD"]);
    for _ in 0..2 {
        world.forge(world.identity("rita"), "rita", |sidecar| sidecar.revision = Revision::new(9).unwrap());
        world.publish();
        assert!(matches!(world.flaw(), Flaw::NoRight { .. }), "she only reads");
        world.git(&["checkout", "-q", &good, "--", ".vsecure/secrets"]);
        world.publish();
        assert_eq!(world.vault_as("will").get(&path()).unwrap().value.as_bytes(), b"one", "nothing passed it");
    }
}

#[test]
fn what_counts_by_acceptance_is_not_replaced_by_what_was_before_it() {
    let world = World::bare(&["alice", "will", "root"]);
    let promote = Edit::SetRoles { who: "root".into(), roles: vec![admins()] };
    world.vault_as("alice").change_policy(&promote.into(), &Writing::default()).unwrap();
    world.create();
    world.publish();
    let old = world.git(&["rev-parse", "HEAD"]);
    let update = Update { value: Some(secret("two")), ..Update::of(path()) };
    world.vault_as("will").update(&update, &Writing::default()).unwrap();
    let remove = Edit::RemoveMember { who: "will".into() };
    let outcome = world.vault_as("root").change_policy(&remove.into(), &Writing::default()).unwrap();
    assert_eq!(outcome.accepted, [path()], "root reads nothing, and signs no value anew");
    world.publish();
    assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"two");
    world.git(&["checkout", "-q", &old, "--", ".vsecure/secrets"]);
    world.publish();
    assert!(matches!(world.flaw(), Flaw::Replayed { .. }));
}

#[test]
fn no_policy_is_made_where_the_newest_one_is_not() {
    let world = World::published();
    let first = world.git(&["rev-parse", "HEAD"]);
    let remove = |who: &str| {
        let change = Edit::RemoveMember { who: who.into() }.into();
        world.vault_as("alice").change_policy(&change, &Writing::default())
    };
    remove("rita").unwrap();
    world.publish();
    world.git(&["reset", "-q", "--hard", &first]);
    let behind = remove("otto");
    let told = |here: &Epoch, known: &Epoch| (here.get(), known.get()) == (1, 2);
    assert!(matches!(&behind, Err(VaultError::PolicyBehind { here, known }) if told(here, known)), "{behind:?}");
    assert_eq!(world.git(&["status", "--porcelain"]), "", "nothing of it was written");
}
