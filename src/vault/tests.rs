//! Members with different rights, in a real repository: what a policy says is what counts.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::layout;
use super::{AccessLog, Create, Flaw, LogMode, Progress, Update, Vault, VaultError, VaultOptions, Writing};
use crate::crypto::{self, Identity, Namespace, SecretBytes};
use crate::model::{Change, Document as _, Epoch, Member, MemberKeys, Policy, RoleName, Rule, SecretPath, Timestamp};
use crate::policy::{Action, Pins};

mod access;
mod lists;
mod model;
mod reads;
mod report;
mod trusted;

struct World {
    folder: tempfile::TempDir,
    identities: Vec<(&'static str, Identity)>,
    /// The present moment, as every vault of this world has it.
    now: Cell<Timestamp>,
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

fn admins() -> RoleName {
    "admins".parse().unwrap()
}

fn path() -> SecretPath {
    "production/A".parse().unwrap()
}

/// alice may do everything, rita only read, will write and read, and otto write without reading.
fn policy(identities: &[(&'static str, Identity)]) -> Policy {
    let names = |list: &[&str]| list.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
    let member = |(name, identity): &(&'static str, Identity)| {
        let keys =
            MemberKeys { recipient: identity.recipient().to_string(), signing: identity.verifying_key().to_string() };
        let email = format!("{name}@example.com").parse().unwrap();
        (
            name.parse().unwrap(),
            Member {
                email,
                roles: if *name == "alice" { vec![admins()] } else { vec![] },
                keys: vec![keys],
                lost: BTreeSet::new(),
            },
        )
    };
    let among = |list: &[&'static str]| -> Vec<&str> {
        list.iter().copied().filter(|name| identities.iter().any(|(known, _)| known == name)).collect()
    };
    let rule = Rule {
        read: names(&among(&["alice", "rita", "will"])),
        write: names(&among(&["alice", "will", "otto"])),
        delete: names(&["alice"]),
        grant: None,
        on_expired: None,
        max_grant: None,
    };
    Policy {
        epoch: Epoch::FIRST,
        salt: Some("0".repeat(32)),
        previous: None,
        author: "alice".parse().unwrap(),
        time: "2026-11-24".parse().unwrap(),
        environments: vec!["production".parse().unwrap(), "staging".parse().unwrap()],
        roles: vec![admins()],
        members: identities.iter().map(member).collect(),
        secrets: [("**".parse().unwrap(), rule)].into(),
        accepted: None,
    }
}

impl World {
    fn new() -> Self {
        Self::bare(&["alice", "rita", "will", "otto"])
    }

    /// A store with these members, of whom alice is the admin.
    fn bare(names: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identities: Vec<_> = names.iter().map(|name| (*name, Identity::generate())).collect();
        let now = Cell::new("2026-11-25".parse().unwrap());
        let world = Self { folder, identities, now };
        let store = world.folder.path().join("project/.vsecure");
        fs::create_dir_all(store.join("policy")).unwrap();
        let body = policy(&world.identities).body();
        let file = crypto::sign_document(&body, Namespace::Policy, world.identity("alice")).unwrap();
        fs::write(store.join("policy/000001.yaml"), file).unwrap();
        let git = |arguments: &[&str]| {
            let status = Command::new("git").args(arguments).current_dir(world.folder.path().join("project")).status();
            assert!(status.unwrap().success(), "git {arguments:?}");
        };
        git(&["init", "-q"]);
        git(&["config", "user.name", "Alice"]);
        git(&["config", "user.email", "alice@example.com"]);
        Vault::inspect(world.options()).unwrap().pin().unwrap();
        world
    }

    fn identity(&self, name: &str) -> &Identity {
        &self.identities.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn options(&self) -> VaultOptions {
        VaultOptions {
            start: self.folder.path().join("project"),
            store: None,
            claim: None,
            pins: Some(Pins::in_directory(self.folder.path().join("state"))),
            now: self.now.get(),
            max_value_bytes: 1000,
            lock_timeout: Duration::from_secs(5),
            author: None,
            committer: None,
            progress: Progress::default(),
            look: true,
            access_log: AccessLog {
                mode: LogMode::Local,
                command: "test".parse().unwrap(),
                client: "test".parse().unwrap(),
                ci: None,
            },
            recover: true,
        }
    }

    fn vault_as(&self, name: &str) -> Vault {
        let mut vault = Vault::open(self.options()).unwrap();
        vault.unlock(vec![self.identity(name).clone()]).unwrap();
        vault
    }

    fn create(&self) {
        let request = Create {
            path: path(),
            value: secret("one"),
            allow_empty: false,
            tags: vec![],
            metadata: vec![],
            expires_at: None,
            rotation: None,
        };
        self.vault_as("alice").create(&request, &Writing::default()).unwrap();
    }

    fn file(&self, place: &crate::store::StorePath) -> std::path::PathBuf {
        Path::new(self.vault_as("alice").root()).join(place.as_str())
    }

    /// Puts a next revision in place that `signer` signed in the name of `author`, whatever the rights.
    fn forge(&self, signer: &Identity, author: &str, change: impl FnOnce(&mut crate::model::Sidecar)) {
        let mut sidecar = self.vault_as("alice").describe(&path()).unwrap();
        let before = fs::read(self.file(&layout::sidecar(&path()))).unwrap();
        sidecar.parents = vec![crate::model::Digest::of(&before)];
        sidecar.revision = sidecar.revision.next();
        sidecar.author = author.parse().unwrap();
        change(&mut sidecar);
        let file = crypto::sign_document(&sidecar.body(), Namespace::Secret, signer).unwrap();
        fs::write(self.file(&layout::sidecar(&path())), file).unwrap();
    }

    fn flaw(&self) -> Flaw {
        match self.vault_as("alice").get(&path()) {
            Err(VaultError::Refused { flaw, .. }) => flaw,
            other => panic!("{other:?}"),
        }
    }
}

fn denied<T: std::fmt::Debug>(result: Result<T, VaultError>) -> Action {
    match result {
        Err(VaultError::Denied { action, .. }) => action,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_value_goes_to_those_who_may_read_and_to_nobody_else() {
    let world = World::new();
    world.create();
    for name in ["alice", "rita", "will"] {
        assert_eq!(world.vault_as(name).get(&path()).unwrap().value.as_bytes(), b"one", "{name}");
    }
    assert_eq!(denied(world.vault_as("otto").get(&path())), Action::Read);
    let sidecar = world.vault_as("otto").describe(&path()).unwrap();
    let readers: Vec<String> = sidecar.recipients.iter().map(|holder| holder.member.to_string()).collect();
    assert_eq!(readers, ["alice", "rita", "will"]);
}

#[test]
fn who_may_not_write_or_delete_is_refused_before_anything_is_written() {
    let world = World::new();
    world.create();
    let update = Update { value: Some(secret("two")), ..Update::of(path()) };
    let writing = Writing::default();
    assert_eq!(denied(world.vault_as("rita").update(&update, &writing)), Action::Write);
    assert_eq!(denied(world.vault_as("will").delete(&path(), &writing)), Action::Delete);
    let to: SecretPath = "production/B".parse().unwrap();
    assert_eq!(denied(world.vault_as("will").rename(&path(), &to, &writing)), Action::Delete);
    assert_eq!(denied(world.vault_as("otto").copy(&path(), &to, &writing)), Action::Read);
    assert_eq!(denied(world.vault_as("otto").rollback(&path(), None, &writing)), Action::Read);
    assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"one");
    // Who writes without reading can set a value, and not compare it.
    world.vault_as("otto").update(&update, &writing).unwrap();
    assert_eq!(world.vault_as("rita").get(&path()).unwrap().value.as_bytes(), b"two");
    world.vault_as("will").update(&Update { value: Some(secret("three")), ..update }, &writing).unwrap();
    world.vault_as("alice").delete(&path(), &writing).unwrap();
}

#[test]
fn what_was_signed_without_the_right_does_not_count() {
    let world = World::new();
    world.create();
    world.forge(world.identity("will"), "will", |sidecar| sidecar.change = Change::Metadata);
    assert_eq!(world.vault_as("alice").get(&path()).unwrap().value.as_bytes(), b"one", "a writer may");
    world.forge(world.identity("rita"), "rita", |sidecar| sidecar.change = Change::Metadata);
    assert!(matches!(world.flaw(), Flaw::NoRight { author } if author.as_str() == "rita"));
}

#[test]
fn a_signature_by_another_key_than_the_authors_does_not_count() {
    for (signer, author) in [("will", "alice"), ("alice", "will"), ("alice", "nobody")] {
        let world = World::new();
        world.create();
        world.forge(world.identity(signer), author, |sidecar| sidecar.change = Change::Metadata);
        assert!(matches!(world.flaw(), Flaw::ForeignKey { .. }), "{signer} for {author}");
    }
    let world = World::new();
    world.create();
    world.forge(&Identity::generate(), "alice", |sidecar| sidecar.change = Change::Metadata);
    assert!(matches!(world.flaw(), Flaw::ForeignKey { .. }));
}

#[test]
fn a_tombstone_needs_the_right_to_delete() {
    let world = World::new();
    world.create();
    world.forge(world.identity("will"), "will", |sidecar| {
        sidecar.change = Change::Delete;
        sidecar.ciphertext = None;
        sidecar.recipients.clear();
    });
    assert!(matches!(world.flaw(), Flaw::NoRight { .. }));
}

#[test]
fn what_was_verified_in_one_place_counts_in_no_other() {
    let world = World::new();
    world.create();
    let other: SecretPath = "production/B".parse().unwrap();
    for place in [layout::sidecar, layout::value] {
        fs::copy(world.file(&place(&path())), world.file(&place(&other))).unwrap();
    }
    // A command that looked at the first one remembers its bytes.
    let vault = world.vault_as("alice");
    assert_eq!(vault.get(&path()).unwrap().value.as_bytes(), b"one");
    let moved = vault.get(&other);
    assert!(matches!(moved, Err(VaultError::Refused { flaw: Flaw::Moved { .. }, .. })), "{moved:?}");
}

#[test]
fn a_writer_cannot_state_another_version_of_the_same_file() {
    let world = World::new();
    world.create();
    world.forge(world.identity("will"), "will", |sidecar| sidecar.version = sidecar.version.next());
    assert!(matches!(world.flaw(), Flaw::Value(crypto::OpenError::WrongContext)));
}

#[test]
fn an_identity_that_no_member_has_unlocks_nothing() {
    let world = World::new();
    let mut vault = Vault::open(world.options()).unwrap();
    assert!(matches!(vault.unlock(vec![Identity::generate()]), Err(VaultError::NotAMember { .. })));
    assert!(matches!(vault.unlock(vec![]), Err(VaultError::NoIdentity)));
    let second = vault.unlock(vec![Identity::generate(), world.identity("rita").clone()]).unwrap();
    assert_eq!(second.as_str(), "rita");
}
