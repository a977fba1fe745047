//! Epochs, re-encryption, debt and grants: what changes with people, and what must not.

use super::*;
use crate::model::GrantId;
use crate::model::{Pattern, Request, RoleName, StoreId, Version};
use crate::policy::{Edit, EditError, RuleTable};
use crate::vault::Verify;
use crate::vault::{GrantRequest, Grantee, PolicyChange, PolicyOutcome};

impl World {
    pub(super) fn join(&self, name: &'static str, roles: &[&str]) -> Edit {
        let identity = self.identity(name);
        Edit::AddMember {
            name: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            roles: roles.iter().map(|role| role.parse::<RoleName>().unwrap()).collect(),
            keys: MemberKeys {
                recipient: identity.recipient().to_string(),
                signing: identity.verifying_key().to_string(),
            },
        }
    }

    fn with(mut self, name: &'static str) -> Self {
        self.identities.push((name, Identity::generate()));
        self
    }

    pub(super) fn change(&self, by: &str, edit: Edit) -> Result<PolicyOutcome, VaultError> {
        self.vault_as(by).change_policy(&edit.into(), &Writing::default())
    }

    fn rules(&self, json: &str) -> PolicyOutcome {
        let table: RuleTable = serde_json::from_str(json).unwrap();
        self.change("alice", Edit::Rules { table, replace: false }).unwrap()
    }

    fn set(&self, by: &str, value: &str) {
        let update = Update { value: Some(secret(value)), ..Update::of(path()) };
        self.vault_as(by).update(&update, &Writing::default()).unwrap();
    }

    fn read(&self, by: &str) -> Result<String, VaultError> {
        let mut vault = Vault::open(self.options())?;
        vault.unlock(vec![self.identity(by).clone()])?;
        let value = vault.get(&path())?.value;
        Ok(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    /// Whether the work tree's age file opens with a key, whatever anybody may.
    fn opens(&self, name: &str) -> bool {
        let age = fs::read(self.file(&layout::value(&path()))).unwrap();
        crypto::open_unbound(&age, self.identity(name)).is_ok()
    }

    fn debtors(&self) -> Vec<String> {
        let (debts, refused) = self.vault_as("alice").debts().unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        debts.iter().flat_map(|debt| debt.debtors.iter().map(|it| it.holder.member.to_string())).collect()
    }

    pub(super) fn later(&self, seconds: i64) {
        self.now.set(Timestamp::from_unix(self.now.get().unix() + seconds).unwrap());
    }

    /// Everybody but otto is named by the one rule; bob gets a rule of his own.
    fn with_bob() -> Self {
        let world = Self::new().with("bob");
        world.create();
        world.change("alice", world.join("bob", &["devs"])).unwrap();
        world.rules(r#"{"secrets": {"production/*": {"read": ["alice", "devs", "will"], "write": ["alice", "devs", "otto"], "delete": ["alice"]}}}"#);
        world
    }
}

#[test]
fn a_new_reader_gets_what_there_is_in_the_commit_of_the_epoch() {
    let world = World::with_bob();
    assert_eq!(world.read("bob").unwrap(), "one");
    let sidecar = world.vault_as("bob").describe(&path()).unwrap();
    assert_eq!((sidecar.version.get(), sidecar.change, sidecar.updated_at), (1, Change::Rekey, world.now.get()));
    assert!(!world.opens("rita"), "who lost the right lost the key");
    assert_eq!(world.debtors(), ["rita"], "and knows the value");
    assert_eq!(world.vault_as("alice").epoch(), 3);
}

#[test]
fn offboarding_takes_the_key_keeps_what_was_signed_and_lists_what_is_known() {
    let world = World::with_bob();
    world.set("bob", "by bob");
    assert_eq!(world.debtors(), [""; 0], "a new value, other than what rita knew");
    let outcome = world.change("alice", Edit::RemoveMember { who: "bob".into() }).unwrap();
    assert_eq!((outcome.reencrypted.len(), outcome.pending.len()), (1, 0));
    assert_eq!(world.read("alice").unwrap(), "by bob");
    assert!(!world.opens("bob") && world.opens("alice") && world.opens("will"));
    assert!(matches!(world.read("bob"), Err(VaultError::NotAMember { .. })));
    assert_eq!(world.debtors(), ["bob"]);
    // A tag is no new value, and neither is the same one.
    let update = Update { value: Some(secret("by bob")), force: true, ..Update::of(path()) };
    world.vault_as("alice").update(&update, &Writing::default()).unwrap();
    assert_eq!(world.debtors(), ["bob"]);
    world.set("alice", "fresh");
    assert_eq!(world.debtors(), [""; 0]);
    // What he knew comes back: so does the debt.
    world.vault_as("alice").rollback(&path(), Some(&Version::new(2).unwrap().into()), &Writing::default()).unwrap();
    assert_eq!(world.read("alice").unwrap(), "by bob");
    assert_eq!(world.debtors(), ["bob"]);
    // History that he signed is history still.
    let versions = world.vault_as("alice").versions(&path()).unwrap();
    assert_eq!(versions.versions.iter().map(|it| it.author.to_string()).collect::<Vec<_>>()[..2], ["alice", "alice"]);
    assert!(versions.missing.is_empty(), "{versions:?}");
}

#[test]
fn a_value_set_back_to_what_a_debtor_knows_clears_nothing() {
    let world = World::with_bob();
    world.set("alice", "known to bob");
    world.change("alice", Edit::RemoveMember { who: "bob".into() }).unwrap();
    world.set("alice", "one");
    assert_eq!(world.debtors(), ["bob"], "the first value: he could read that too");
    world.set("alice", "two");
    assert_eq!(world.debtors(), [""; 0]);
}

#[test]
fn who_cannot_read_clears_no_debt() {
    let world = World::with_bob();
    world.change("alice", Edit::RemoveMember { who: "bob".into() }).unwrap();
    world.set("otto", "by otto, who can't compare");
    assert_eq!(world.read("alice").unwrap(), "by otto, who can't compare");
    assert_eq!(world.debtors(), ["bob", "rita"]);
}

#[test]
fn a_clone_without_all_of_history_clears_no_debt() {
    let world = World::with_bob();
    world.set("alice", "known to bob");
    world.set("alice", "known to bob too");
    world.change("alice", Edit::RemoveMember { who: "bob".into() }).unwrap();
    let [project, shallow] = ["project", "shallow"].map(|name| world.folder.path().join(name));
    let url = format!("file://{}", project.display());
    world.git(&["clone", "-q", "--depth", "1", &url, shallow.to_str().unwrap()]);
    for (key, value) in [("user.name", "Alice"), ("user.email", "alice@example.com")] {
        world.git(&["-C", shallow.to_str().unwrap(), "config", key, value]);
    }
    let mut vault = Vault::open(VaultOptions { start: shallow, ..world.options() }).unwrap();
    vault.unlock(vec![world.identity("alice").clone()]).unwrap();
    let update = Update { value: Some(secret("known to bob")), ..Update::of(path()) };
    vault.update(&update, &Writing::default()).unwrap();
    let exposed = vault.describe(&path()).unwrap().exposed_to;
    assert_eq!(exposed.iter().map(|holder| holder.member.as_str()).collect::<Vec<_>>(), ["bob"]);
}

#[test]
fn an_admin_who_reads_nothing_removes_anybody_and_others_do_the_rest() {
    let world = World::with_bob().with("root");
    world.change("alice", world.join("root", &["admins"])).unwrap();
    world.set("bob", "by bob");
    let outcome = world.change("root", Edit::RemoveMember { who: "bob".into() }).unwrap();
    assert_eq!((outcome.reencrypted.len(), outcome.accepted.len()), (0, 1));
    assert_eq!(outcome.pending[0].who, ["alice".parse().unwrap()]);
    assert_eq!(world.read("alice").unwrap(), "by bob", "values stay readable, signed by whom they were");
    assert!(world.opens("bob"), "nobody could take his key yet");
    assert_eq!(world.debtors(), ["bob"]);
    let update = Update { add_tags: vec!["x".parse().unwrap()], ..Update::of(path()) };
    world.vault_as("alice").update(&update, &Writing::default()).unwrap();
    assert!(!world.opens("bob"), "the next write of someone who can does it");
    assert!(world.vault_as("alice").rekey(None, &Writing::default()).unwrap().pending.is_empty());
}

#[test]
fn what_a_removed_member_signs_later_does_not_count_until_somebody_signs_for_it() {
    let world = World::with_bob();
    world.change("alice", Edit::RemoveMember { who: "bob".into() }).unwrap();
    world.forge(world.identity("bob"), "bob", |sidecar| sidecar.change = Change::Metadata);
    assert!(matches!(world.flaw(), Flaw::NoRight { author } if author.as_str() == "bob"));
    let vault = world.vault_as("alice");
    let state = vault.adoptable(&path(), None).unwrap();
    assert_eq!(state.signed_by, Some("bob".parse().unwrap()));
    // What is signed for is what was shown, and not what lies there meanwhile.
    let place = world.file(&layout::sidecar(&path()));
    let shown = fs::read(&place).unwrap();
    fs::write(&place, [shown.as_slice(), b"\n"].concat()).unwrap();
    let raced = vault.adopt(&state, &Writing::default());
    assert!(matches!(raced, Err(VaultError::Raced { .. })), "{raced:?}");
    fs::write(&place, shown).unwrap();
    vault.adopt(&state, &Writing::default()).unwrap();
    assert_eq!(world.read("alice").unwrap(), "one");
    assert!(matches!(world.vault_as("alice").adoptable(&path(), None), Err(VaultError::NothingToAdopt { .. })));
}

#[test]
fn stock_age_is_refused_until_adopted() {
    let world = World::with_bob();
    let recipients = [world.identity("alice").recipient().clone()];
    let foreign = crypto::seal(
        &secret("from elsewhere"),
        &crypto::Context::new(&world.vault_as("alice").id(), &"production/OTHER".parse().unwrap(), Version::FIRST),
        &recipients,
    )
    .unwrap();
    fs::write(world.file(&layout::value(&path())), foreign).unwrap();
    assert!(matches!(world.flaw(), Flaw::ValueReplaced));
    let vault = world.vault_as("alice");
    let state = vault.adoptable(&path(), None).unwrap();
    let outcome = vault.adopt(&state, &Writing::default()).unwrap();
    assert_eq!(outcome.version.get(), 2);
    assert_eq!(world.read("bob").unwrap(), "from elsewhere");
}

#[test]
fn an_acceptance_can_end_at_a_commit() {
    let world = World::with_bob();
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).current_dir(world.folder.path().join("project")).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let before = git(&["rev-parse", "HEAD"]);
    world.set("bob", "too late");
    let edit = Edit::RemoveMember { who: "bob".into() };
    let change = PolicyChange { accept_at: Some(before), ..PolicyChange::from(edit) };
    let outcome = world.vault_as("alice").change_policy(&change, &Writing::default()).unwrap();
    assert_eq!((outcome.distrusted, outcome.accepted.len()), (vec![path()], 0));
    assert!(matches!(world.flaw(), Flaw::NoRight { .. }));
    let accept = PolicyChange { accept: vec![path()], ..PolicyChange::from(Edit::Nothing) };
    world.vault_as("alice").change_policy(&accept, &Writing::default()).unwrap();
    assert_eq!(world.read("alice").unwrap(), "too late");
}

#[test]
fn nobody_is_locked_out_by_a_change_of_rules() {
    let world = World::with_bob();
    let table = |json: &str| Edit::Rules { table: serde_json::from_str::<RuleTable>(json).unwrap(), replace: false };
    let nobody =
        world.change("alice", table(r#"{"secrets": {"production/A": {"read": ["nobodies"], "write": ["alice"]}}}"#));
    assert!(matches!(nobody, Err(VaultError::WouldLockOut { what: "read", .. })), "{nobody:?}");
    let nobody =
        world.change("alice", table(r#"{"secrets": {"production/A": {"read": ["alice"], "write": ["nobodies"]}}}"#));
    assert!(matches!(nobody, Err(VaultError::WouldLockOut { what: "write", .. })));
    let last = world.change("alice", Edit::RemoveMember { who: "alice".into() });
    assert!(matches!(last, Err(VaultError::Edit(EditError::LastAdmin))));
    assert!(matches!(
        world.change("bob", Edit::RemoveMember { who: "alice".into() }),
        Err(VaultError::NotAnAdmin { .. })
    ));
    assert_eq!(world.vault_as("alice").epoch(), 3, "nothing of that was written");
}

#[test]
fn a_lost_key_is_a_debt_and_a_planned_change_of_keys_is_none() {
    for lost in [false, true] {
        let world = World::with_bob().with("bobs-new-key");
        let new = world.identity("bobs-new-key");
        let keys = MemberKeys { recipient: new.recipient().to_string(), signing: new.verifying_key().to_string() };
        world.set("alice", "two");
        world.change("alice", Edit::ReplaceKeys { who: "bob".into(), keys, lost }).unwrap();
        assert!(!world.opens("bob") && world.opens("bobs-new-key"));
        assert_eq!(world.debtors(), if lost { vec!["bob"] } else { vec![] });
    }
}

#[test]
fn whoever_has_a_lost_key_signs_nothing_that_counts() {
    let world = World::with_bob().with("bobs-new-key").with("thief");
    let new = world.identity("bobs-new-key");
    let keys = MemberKeys { recipient: new.recipient().to_string(), signing: new.verifying_key().to_string() };
    world.set("bob", "two");
    let thief = Grantee::Guest(world.identity("thief").recipient().clone());
    let request = GrantRequest { path: path(), grantee: thief, duration: "1h".parse().unwrap(), reason: None };
    world.vault_as("bob").grant(&request, &Writing::default()).unwrap();
    let outcome = world.change("alice", Edit::ReplaceKeys { who: "bob".into(), keys, lost: true }).unwrap();
    assert_eq!(outcome.accepted, [], "alice encrypted it anew, and signed for it");
    assert_eq!(world.read("bobs-new-key").unwrap(), "two");
    let refused = world.vault_as("alice").grants_listed().unwrap().1;
    assert!(matches!(refused.as_slice(), [VaultError::Refused { flaw: Flaw::LostKey { .. }, .. }]), "{refused:?}");
    world.set("bobs-new-key", "three");
    assert!(!world.opens("thief"));
    world.forge(world.identity("bob"), "bob", |sidecar| sidecar.change = Change::Metadata);
    assert!(matches!(world.flaw(), Flaw::LostKey { author } if author.as_str() == "bob"));
    let verified = world.vault_as("alice").verify(&Verify::default()).unwrap().findings;
    let lost: Vec<&str> = verified.iter().filter(|it| it.rule == "lost-key").map(|it| it.file.as_str()).collect();
    assert!(lost.len() == 2 && lost.contains(&"secrets/production/A.yaml"), "{verified:?}");
}

#[test]
fn what_a_key_signed_before_it_was_lost_goes_on_to_count() {
    let world = World::with_bob().with("bobs-new-key").with("root");
    world.change("alice", world.join("root", &["admins"])).unwrap();
    let new = world.identity("bobs-new-key");
    let keys = MemberKeys { recipient: new.recipient().to_string(), signing: new.verifying_key().to_string() };
    world.set("bob", "two");
    let outcome = world.change("root", Edit::ReplaceKeys { who: "bob".into(), keys, lost: true }).unwrap();
    assert_eq!(outcome.accepted, [path()], "root reads nothing, and encrypts nothing anew");
    assert_eq!(world.read("alice").unwrap(), "two");
    world.set("alice", "three");
    assert_eq!(world.vault_as("alice").versions(&path()).unwrap().versions.len(), 3, "what is followed counts");
}

#[test]
fn a_grant_ends_at_its_deadline() {
    let world = World::with_bob();
    world.set("alice", "two");
    let request = |grantee| GrantRequest { path: path(), grantee, duration: "1h".parse().unwrap(), reason: None };
    let member = Grantee::Member("rita@example.com".into());
    assert!(matches!(world.read("rita"), Err(VaultError::Denied { .. })));
    assert_eq!(denied(world.vault_as("otto").grant(&request(member.clone()), &Writing::default())), Action::Grant);
    world.vault_as("bob").grant(&request(member), &Writing::default()).unwrap();
    assert_eq!(world.read("rita").unwrap(), "two");
    assert!(world.vault_as("alice").check_access().unwrap().is_empty());
    world.later(3600);
    assert!(matches!(world.read("rita"), Err(VaultError::GrantEnded { .. })));
    let rules: Vec<String> = world.vault_as("alice").check_access().unwrap().into_iter().map(|it| it.rule).collect();
    assert!(rules.contains(&"grant-overdue".to_owned()), "{rules:?}");
    assert!(world.opens("rita"), "her key opens it until somebody encrypts anew");
    let outcome = world.vault_as("alice").expire_grants(&Writing::default()).unwrap();
    assert_eq!((outcome.grants.len(), outcome.reencrypted.len()), (1, 1));
    assert!(!world.opens("rita"));
    assert_eq!(world.debtors(), ["rita"], "she knows it");
}

#[test]
fn a_grant_counts_in_its_own_place_only() {
    let world = World::with_bob().with("guest");
    let grantee = Grantee::Guest(world.identity("guest").recipient().clone());
    let request = GrantRequest { path: path(), grantee, duration: "1h".parse().unwrap(), reason: None };
    let outcome = world.vault_as("alice").grant(&request, &Writing::default()).unwrap();
    let other = GrantId::of_random([1; 16]);
    fs::copy(world.file(&layout::grant(&outcome.grants[0].id)), world.file(&layout::grant(&other))).unwrap();
    let (listed, refused) = world.vault_as("alice").grants_listed().unwrap();
    assert_eq!(listed.len(), 1);
    assert!(matches!(refused.as_slice(), [VaultError::Refused { flaw: Flaw::Moved { .. }, .. }]), "{refused:?}");
}

#[test]
fn a_guest_reads_one_secret_until_the_grant_is_revoked() {
    let world = World::with_bob().with("guest");
    let key = world.identity("guest").recipient().clone();
    let request =
        GrantRequest { path: path(), grantee: Grantee::Guest(key), duration: "1h".parse().unwrap(), reason: None };
    let outcome = world.vault_as("alice").grant(&request, &Writing::default()).unwrap();
    let guest = outcome.grants[0].grantee.to_string();
    assert_eq!(world.read("guest").unwrap(), "one");
    let other: SecretPath = "production/B".parse().unwrap();
    let create = Create {
        path: other.clone(),
        value: secret("b"),
        allow_empty: false,
        tags: vec![],
        metadata: vec![],
        expires_at: None,
        rotation: None,
    };
    world.vault_as("alice").create(&create, &Writing::default()).unwrap();
    assert!(matches!(world.vault_as("guest").get(&other), Err(VaultError::Denied { .. })));
    let age = fs::read(world.file(&layout::value(&other))).unwrap();
    assert!(crypto::open_unbound(&age, world.identity("guest")).is_err(), "whatever grants there are for another");
    world.vault_as("alice").revoke(&path(), &guest, &Writing::default()).unwrap();
    assert!(!world.opens("guest"));
    assert!(world.read("guest").is_err());
}

#[test]
fn a_grant_by_hand_or_beyond_the_rule_does_not_count() {
    let world = World::with_bob();
    world.rules(r#"{"secrets": {"production/*": {"read": ["alice", "devs", "will"], "write": ["alice", "devs", "otto"], "delete": ["alice"], "max_grant": "30m"}}}"#);
    let request = GrantRequest {
        path: path(),
        grantee: Grantee::Member("rita".into()),
        duration: "30m".parse().unwrap(),
        reason: None,
    };
    let long = GrantRequest { duration: "31m".parse().unwrap(), ..request.clone() };
    assert!(matches!(world.vault_as("alice").grant(&long, &Writing::default()), Err(VaultError::GrantTooLong { .. })));
    let grant = world.vault_as("alice").grant(&request, &Writing::default()).unwrap().grants.remove(0);
    let place = world.file(&layout::grant(&grant.id));
    let refused = |grant: crate::model::Grant, by: &str| {
        let file = crypto::sign_document(&grant.body(), Namespace::Grant, world.identity(by)).unwrap();
        fs::write(&place, file).unwrap();
        let (entries, refused) = world.vault_as("alice").grants_listed().unwrap();
        entries.is_empty() && refused.len() == 1
    };
    let longer = |author: &str| crate::model::Grant {
        expires_at: grant.expires_at + "2h".parse().unwrap(),
        author: author.parse().unwrap(),
        ..grant.clone()
    };
    assert!(refused(longer("alice"), "alice"), "longer than the rule allows");
    let own =
        crate::model::Grant { author: "otto".parse().unwrap(), grantee: "otto".parse().unwrap(), ..grant.clone() };
    assert!(refused(own, "otto"), "who only writes grants nobody anything, least of all itself");
    assert!(refused(grant.clone(), "otto"), "in alice's name");
    assert!(!refused(grant, "alice"), "her own counts");
}

#[test]
fn two_admins_who_changed_the_policy_at_once_are_told() {
    let world = World::with_bob().with("carol").with("dave");
    let mut late = world.vault_as("alice");
    world.change("alice", world.join("carol", &[])).unwrap();
    let raced = late.change_policy(&world.join("dave", &[]).into(), &Writing::default());
    assert!(matches!(raced, Err(VaultError::PolicyMoved)), "{raced:?}");
    world.change("alice", world.join("dave", &[])).unwrap();
    assert_eq!(world.vault_as("alice").epoch(), 5);
}

#[test]
fn a_change_of_the_policy_is_made_again_upon_anothers() {
    let world = World::with_bob().with("carol").with("dave");
    let git = |arguments: &[&str]| {
        let status =
            Command::new("git").args(arguments).current_dir(world.folder.path().join("project")).status().unwrap();
        assert!(status.success(), "git {arguments:?}");
    };
    git(&["branch", "theirs"]);
    world.change("alice", world.join("carol", &["devs"])).unwrap();
    git(&["branch", "ours"]);
    git(&["checkout", "-q", "theirs"]);
    world.change("alice", world.join("dave", &["devs"])).unwrap();
    git(&["checkout", "-q", "ours"]);
    let outcome = world.vault_as("alice").rebase_policy(Some("theirs"), &Writing::default()).unwrap();
    assert_eq!(outcome.epoch.get(), 5);
    for name in ["carol", "dave", "bob", "alice"] {
        assert_eq!(world.read(name).unwrap(), "one", "{name}");
    }
    git(&["merge", "-q", "-m", "Both", "-s", "ours", "theirs"]);
    assert!(matches!(
        world.vault_as("alice").rebase_policy(Some("theirs"), &Writing::default()),
        Err(VaultError::NotForked)
    ));
    let pattern: Pattern = "production/*".parse().unwrap();
    assert!(world.vault_as("alice").rekey(Some(&pattern), &Writing::default()).unwrap().reencrypted.is_empty());
    world
        .vault_as("alice")
        .verify(&Default::default())
        .map(|found| assert_eq!(found.findings.iter().filter(|it| it.rule != "attributes").count(), 0, "{found:?}"))
        .unwrap();
}

#[test]
fn a_commit_is_taken_back_by_new_revisions() {
    let world = World::with_bob();
    world.set("bob", "wrong");
    let rev = |world: &World| {
        let folder = world.folder.path().join("project");
        let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(folder).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let wrong = rev(&world);
    let outcomes = world.vault_as("alice").revert(&wrong, &Writing::default()).unwrap();
    assert_eq!((outcomes.len(), outcomes[0].version.get()), (1, 3));
    assert!(outcomes[0].commit.is_some());
    assert_eq!(world.read("alice").unwrap(), "one");
    assert_eq!(world.debtors(), ["rita"], "she could read the first value");
    let again = world.vault_as("alice").revert(&wrong, &Writing::default());
    assert!(matches!(again, Err(VaultError::ChangedSince { .. })), "{again:?}");
    let create = Create {
        path: "production/NEW".parse().unwrap(),
        value: secret("new"),
        allow_empty: false,
        tags: vec![],
        metadata: vec![],
        expires_at: None,
        rotation: None,
    };
    world.vault_as("bob").create(&create, &Writing::default()).unwrap();
    let made = rev(&world);
    assert_eq!(denied(world.vault_as("bob").revert(&made, &Writing::default())), Action::Delete);
    world.vault_as("alice").revert(&made, &Writing::default()).unwrap();
    assert!(matches!(world.vault_as("alice").get(&create.path), Err(VaultError::Deleted { .. })));
    world.change("alice", Edit::AddEnvironment("qa".parse().unwrap())).unwrap();
    let nothing = world.vault_as("alice").revert("HEAD", &Writing::default());
    assert!(matches!(nothing, Err(VaultError::NothingToRevert)), "{nothing:?}");
}

#[test]
fn a_grant_is_taken_back_only_by_somebody_who_might_give_it() {
    let world = World::with_bob();
    let request = GrantRequest {
        path: path(),
        grantee: Grantee::Member("rita".into()),
        duration: "1h".parse().unwrap(),
        reason: None,
    };
    let grant = world.vault_as("alice").grant(&request, &Writing::default()).unwrap().grants.remove(0);
    let place = world.file(&layout::grant(&grant.id));
    let good = fs::read(&place).unwrap();
    let commit = |content: &[u8]| {
        fs::write(&place, content).unwrap();
        for arguments in [&["add", "-A"][..], &["commit", "-q", "-m", "By hand"]] {
            let folder = world.folder.path().join("project");
            assert!(Command::new("git").args(arguments).current_dir(folder).status().unwrap().success());
        }
    };
    let revoked_by = |author: &str, signer: &str| {
        let grant = crate::model::Grant { revoked: true, author: author.parse().unwrap(), ..grant.clone() };
        crypto::sign_document(&grant.body(), Namespace::Grant, world.identity(signer)).unwrap()
    };
    for author in ["otto", "bob"] {
        commit(&revoked_by(author, "otto"));
        commit(&good);
        assert_eq!(world.read("rita").unwrap(), "one", "otto only writes: what he signs takes nothing back");
    }
    commit(&revoked_by("bob", "bob"));
    commit(&good);
    assert!(matches!(world.read("rita"), Err(VaultError::Denied { .. })), "bob may grant, and took it back");
}

#[test]
fn who_has_a_key_still_reads_by_nobody_elses_grant() {
    let world = World::new().with("root");
    world.create();
    world.change("alice", world.join("root", &["admins"])).unwrap();
    // root reads nothing, and takes nobody's key: rita's opens the value until somebody who reads encrypts it anew.
    let rule = r#"{"secrets": {"**": {"read": ["alice", "will"], "write": ["alice"], "grant": ["root"]}}}"#;
    let table: RuleTable = serde_json::from_str(rule).unwrap();
    world.change("root", Edit::Rules { table, replace: false }).unwrap();
    let grant = |whom: &str| {
        let grantee = Grantee::Member(whom.into());
        let request = GrantRequest { path: path(), grantee, duration: "1h".parse().unwrap(), reason: None };
        world.vault_as("root").grant(&request, &Writing::default()).unwrap();
    };
    grant("otto");
    assert!(world.opens("rita"));
    assert_eq!(denied(world.read("rita")), Action::Read, "otto's");
    grant("rita");
    assert_eq!(world.read("rita").unwrap(), "one");
    world.vault_as("root").revoke(&path(), "rita", &Writing::default()).unwrap();
    assert!(world.opens("rita"));
    assert_eq!(denied(world.read("rita")), Action::Read, "hers was taken back, and has not ended");
}

#[test]
fn a_request_is_signed_by_the_key_that_it_names_for_this_store() {
    let world = World::new();
    let vault = world.vault_as("alice");
    let [mallory, other] = [Identity::generate(), Identity::generate()];
    let name = || "mallory".parse().unwrap();
    let email = "mallory@example.com".parse().unwrap();
    let good = Vault::request(vault.id(), name(), email, &mallory, world.now.get()).unwrap();
    let request = vault.read_request(&good).unwrap().request;
    let flaw = |request: &Request, signer: &Identity| {
        let file = crypto::sign_document(&request.body(), Namespace::Request, signer).unwrap();
        match vault.read_request(&file) {
            Err(VaultError::Request(flaw)) => flaw,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        matches!(flaw(&request, &other), Flaw::ForeignKey { author } if author == name()),
        "a key of somebody else"
    );
    let elsewhere = Request { store: StoreId::of_first_epoch(b"another"), ..request };
    assert!(matches!(flaw(&elsewhere, &mallory), Flaw::OtherStore));
}
