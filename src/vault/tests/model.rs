//! Random sequences of what honest and hostile people do, against a small model of who may and who knows.
//!
//! The model knows names and sets only: no keys, signatures, files or commits. After each step every person tries to read every secret, with the
//! program and with their bare key; honest people never lose what they have, others never gain anything, and the debt is who knows and may not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::policy::{Edit, RuleTable};
use crate::vault::{GrantRequest, Grantee};

const PEOPLE: [&str; 5] = ["alice", "root", "bob", "carol", "dave"];
const PATHS: [&str; 2] = ["production/A", "staging/B"];
/// Rules to change between. alice may do everything always; root changes policies and reads nothing.
const RULES: [&str; 3] = [
    r#"{"secrets": {"**": {"read": ["alice", "devs"], "write": ["alice", "devs"], "delete": ["alice"]}}}"#,
    r#"{"secrets": {"**": {"read": ["alice", "devs", "ops"], "write": ["alice", "ops"], "delete": ["alice"]}}}"#,
    r#"{"secrets": {"**": {"read": ["alice"], "write": ["alice", "devs"], "delete": ["alice"]}}}"#,
];

fn reading(rules: usize) -> &'static [&'static str] {
    [&["devs"][..], &["devs", "ops"], &[]][rules]
}

fn writing(rules: usize) -> &'static [&'static str] {
    [&["devs"][..], &["ops"], &["devs"]][rules]
}

type Names = BTreeSet<&'static str>;

/// One value of a secret: who ever held a key for it, and for whom it was encrypted last.
#[derive(Debug, Clone, Default)]
struct Value {
    knew: Names,
    holders: Names,
}

#[derive(Debug, Clone, Default)]
struct Secret {
    value: u32,
    /// All its values, the present one last.
    values: Vec<Value>,
    /// Who held a key for the present value, or for one it was said to come from, and holds none.
    exposed: Names,
}

#[derive(Debug)]
struct Model {
    /// Members with their role; none for alice and root.
    roles: BTreeMap<&'static str, &'static str>,
    gone: Names,
    rules: usize,
    secrets: BTreeMap<&'static str, Secret>,
    /// Ends of grants, by whom and for which secret.
    grants: BTreeMap<(&'static str, &'static str), i64>,
    now: i64,
    next_value: u32,
}

impl Model {
    fn has_role(&self, who: &str, among: &[&str]) -> bool {
        self.roles.get(who).is_some_and(|role| among.contains(role))
    }

    fn may_read(&self, who: &'static str, path: &'static str) -> bool {
        let granted = self.grants.get(&(who, path)).is_some_and(|end| *end > self.now) && self.roles.contains_key(who);
        who == "alice" || self.has_role(who, reading(self.rules)) || granted
    }

    /// Without grants.
    fn reads_by_rule(&self, who: &str) -> bool {
        who == "alice" || self.has_role(who, reading(self.rules))
    }

    fn may_write(&self, who: &str) -> bool {
        who == "alice" || self.has_role(who, writing(self.rules))
    }

    fn readers(&self, path: &'static str) -> Names {
        PEOPLE.into_iter().filter(|who| self.may_read(who, path)).collect()
    }

    fn debtors(&self, path: &'static str) -> Names {
        let secret = &self.secrets[path];
        let present = secret.values.last().unwrap();
        let knew = present.holders.union(&secret.exposed).copied();
        knew.filter(|who| !self.may_read(who, path)).collect()
    }

    /// Somebody who may read and write encrypts the present value anew, where that changes anything.
    fn reencrypt(&mut self, path: &'static str) {
        let readers = self.readers(path);
        let secret = self.secrets.get_mut(path).unwrap();
        let present = secret.values.last_mut().unwrap();
        if present.holders == readers {
            return;
        }
        secret.exposed.extend(present.holders.iter().copied());
        secret.exposed.retain(|who| !readers.contains(who));
        present.knew.extend(readers.iter().copied());
        present.holders = readers;
    }

    fn can_reencrypt(&self, who: &'static str, path: &'static str) -> bool {
        let holds = self.secrets[path].values.last().unwrap().holders.contains(who);
        self.reads_by_rule(who) && self.may_write(who) && holds
    }

    fn reencrypt_all(&mut self, could: &[&'static str]) {
        could.iter().for_each(|path| self.reencrypt(path));
    }

    fn set(&mut self, who: &'static str, path: &'static str) {
        let readers = self.readers(path);
        let compares = self.reads_by_rule(who);
        self.next_value += 1;
        let next = self.next_value;
        let secret = self.secrets.get_mut(path).unwrap();
        let present = secret.values.last().unwrap();
        let debt: Names = present.holders.union(&secret.exposed).copied().filter(|it| !readers.contains(it)).collect();
        let concerned = secret.values.iter().filter(|value| value.knew.iter().any(|it| debt.contains(it)));
        let clears = compares && concerned.clone().all(|value| value.holders.contains(who));
        secret.exposed = if clears { Names::new() } else { debt };
        secret.value = next;
        // Whoever is exposed still may know this value too, for all that could be told.
        let knew = readers.union(&secret.exposed).copied().collect();
        secret.values.push(Value { knew, holders: readers });
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Set(usize, usize),
    Tag(usize, usize),
    Add(usize, usize, bool),
    Remove(usize, bool),
    Rules(usize, bool),
    Grant(usize, usize),
    Wait,
    Expire,
    Rekey(usize),
    Forge(usize, usize),
    ForgeEpoch(usize),
    Amend,
    Squash,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEOPLE.len();
    let path = 0..PATHS.len();
    prop_oneof![
        6 => (who.clone(), path.clone()).prop_map(|(a, b)| Step::Set(a, b)),
        1 => (who.clone(), path.clone()).prop_map(|(a, b)| Step::Tag(a, b)),
        4 => (2..PEOPLE.len(), 0..2usize, any::<bool>()).prop_map(|(a, b, c)| Step::Add(a, b, c)),
        2 => (2..PEOPLE.len(), any::<bool>()).prop_map(|(a, b)| Step::Remove(a, b)),
        5 => (0..RULES.len(), any::<bool>()).prop_map(|(a, b)| Step::Rules(a, b)),
        2 => (2..PEOPLE.len(), path.clone()).prop_map(|(a, b)| Step::Grant(a, b)),
        1 => Just(Step::Wait),
        1 => Just(Step::Expire),
        3 => who.clone().prop_map(Step::Rekey),
        2 => (who.clone(), path).prop_map(|(a, b)| Step::Forge(a, b)),
        1 => who.prop_map(Step::ForgeEpoch),
        1 => Just(Step::Amend),
        1 => Just(Step::Squash),
    ]
}

struct Play {
    world: World,
    model: Model,
}

impl Play {
    fn new() -> Self {
        let mut world = World::bare(&["alice"]);
        for name in &PEOPLE[1..] {
            world.identities.push((name, Identity::generate()));
        }
        let mut play = Self {
            world,
            model: Model {
                roles: BTreeMap::new(),
                gone: Names::new(),
                rules: 0,
                secrets: BTreeMap::new(),
                grants: BTreeMap::new(),
                now: 0,
                next_value: 0,
            },
        };
        play.world.change("alice", play.world.join("root", &["admins"])).unwrap();
        play.rules("alice", 0);
        for path in PATHS {
            let create = Create {
                path: path.parse().unwrap(),
                value: secret("0"),
                allow_empty: false,
                tags: vec![],
                metadata: vec![],
                expires_at: None,
                rotation: None,
            };
            play.world.vault_as("alice").create(&create, &Writing::default()).unwrap();
            let only: Names = ["alice"].into();
            let first = Value { knew: only.clone(), holders: only };
            play.model.secrets.insert(path, Secret { value: 0, values: vec![first], exposed: Names::new() });
        }
        play
    }

    fn git(&self, arguments: &[&str]) {
        let folder = self.world.folder.path().join("project");
        let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Which secrets `who` can encrypt anew before a change takes anything away.
    fn within_reach(&self, who: &'static str) -> Vec<&'static str> {
        PATHS.into_iter().filter(|path| self.model.can_reencrypt(who, path)).collect()
    }

    fn rules(&mut self, by: &'static str, rules: usize) {
        let reach = if self.model.secrets.is_empty() { Vec::new() } else { self.within_reach(by) };
        let table: RuleTable = serde_json::from_str(RULES[rules]).unwrap();
        self.world.change(by, Edit::Rules { table, replace: true }).unwrap();
        // Rules that are in force already make no epoch, and do nothing.
        if std::mem::replace(&mut self.model.rules, rules) != rules {
            self.model.reencrypt_all(&reach);
        }
    }

    fn vault(&self, who: &str) -> Result<Vault, VaultError> {
        let mut vault = Vault::open(self.world.options())?;
        vault.unlock(vec![self.world.identity(who).clone()])?;
        Ok(vault)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Set(who, path) => self.set(PEOPLE[who], PATHS[path]),
            Step::Tag(who, path) => self.tag(PEOPLE[who], PATHS[path]),
            Step::Add(who, role, by_root) => self.add(PEOPLE[who], ["devs", "ops"][role], admin(by_root)),
            Step::Remove(who, by_root) => self.remove(PEOPLE[who], admin(by_root)),
            Step::Rules(rules, by_root) => self.rules(admin(by_root), rules),
            Step::Grant(who, path) => self.grant(PEOPLE[who], PATHS[path]),
            Step::Wait => {
                self.world.later(1800);
                self.model.now += 1800;
            }
            Step::Expire => {
                let ended: Vec<_> =
                    self.model.grants.iter().filter(|(_, end)| **end <= self.model.now).map(|(key, _)| *key).collect();
                self.world.vault_as("alice").expire_grants(&Writing::default()).unwrap();
                for (who, path) in ended {
                    self.model.grants.remove(&(who, path));
                    self.model.reencrypt(path);
                }
            }
            Step::Rekey(who) => {
                let reach = self.within_reach(PEOPLE[who]);
                if let Ok(vault) = self.vault(PEOPLE[who]) {
                    vault.rekey(None, &Writing::default()).unwrap();
                    self.model.reencrypt_all(&reach);
                }
            }
            Step::Forge(who, path) => self.forge(PEOPLE[who], PATHS[path]),
            Step::ForgeEpoch(who) => self.forge_epoch(PEOPLE[who]),
            Step::Amend => self.git(&["commit", "-q", "--amend", "--no-edit"]),
            Step::Squash => {
                // A branch of the user's own, with a commit of other work, that comes back as one.
                self.git(&["checkout", "-q", "-B", "aside"]);
                self.git(&["commit", "-q", "--allow-empty", "-m", "Other work"]);
                self.git(&["checkout", "-q", "-"]);
                self.git(&["merge", "-q", "--squash", "aside"]);
            }
        }
    }

    fn set(&mut self, who: &'static str, path: &'static str) {
        let value = (self.model.next_value + 1).to_string();
        let update = Update { value: Some(secret(&value)), ..Update::of(path.parse().unwrap()) };
        let result = self.vault(who).and_then(|vault| vault.update(&update, &Writing::default()));
        let holds = self.model.secrets[path].values.last().unwrap().holders.contains(who);
        match (self.model.may_write(who), self.model.reads_by_rule(who) && !holds) {
            // Who may read and has no key yet can't see what the value is, and so not replace it unseen.
            (true, true) => {
                assert!(matches!(result, Err(VaultError::NotARecipient { .. })), "{who} {path}: {result:?}")
            }
            (true, false) => {
                result.unwrap();
                self.model.set(who, path);
            }
            (false, _) => {
                assert!(matches!(result, Err(VaultError::Denied { .. } | VaultError::NotAMember { .. })), "{result:?}")
            }
        }
    }

    fn tag(&mut self, who: &'static str, path: &'static str) {
        let update = Update {
            tags: Some(vec![format!("t{}", self.model.next_value).parse().unwrap()]),
            force: true,
            ..Update::of(path.parse().unwrap())
        };
        let can = self.model.can_reencrypt(who, path);
        let result = self.vault(who).and_then(|vault| vault.update(&update, &Writing::default()));
        assert_eq!(
            result.is_ok(),
            self.model.may_write(who) && (can || !self.model.reads_by_rule(who)),
            "{who} {path}: {result:?}"
        );
        if can {
            self.model.reencrypt(path);
        }
    }

    fn add(&mut self, who: &'static str, role: &'static str, by: &'static str) {
        let reach = self.within_reach(by);
        let result = self.world.change(by, self.world.join(who, &[role]));
        if self.model.roles.contains_key(who) || self.model.gone.contains(who) {
            assert!(result.is_err(), "a name is given once: {who}");
            return;
        }
        result.unwrap();
        self.model.roles.insert(who, role);
        self.model.reencrypt_all(&reach);
    }

    fn remove(&mut self, who: &'static str, by: &'static str) {
        let reach = self.within_reach(by);
        let result = self.world.change(by, Edit::RemoveMember { who: who.to_owned() });
        if self.model.roles.remove(who).is_none() {
            assert!(result.is_err());
            return;
        }
        result.unwrap();
        self.model.gone.insert(who);
        self.model.grants.retain(|(grantee, _), _| *grantee != who);
        self.model.reencrypt_all(&reach);
    }

    fn grant(&mut self, who: &'static str, path: &'static str) {
        let request = GrantRequest {
            path: path.parse().unwrap(),
            grantee: Grantee::Member(who.to_owned()),
            duration: "1h".parse().unwrap(),
            reason: None,
        };
        let result = self.world.vault_as("alice").grant(&request, &Writing::default());
        if !self.model.roles.contains_key(who) || self.model.reads_by_rule(who) {
            assert!(result.is_err());
            return;
        }
        result.unwrap();
        self.model.grants.insert((who, path), self.model.now + 3600);
        self.model.reencrypt(path);
    }

    /// Somebody signs a state by hand. It counts only from who may write; then it is put right by git again.
    fn forge(&mut self, who: &'static str, path: &'static str) {
        let secret_path: SecretPath = path.parse().unwrap();
        let place = self.world.file(&layout::sidecar(&secret_path));
        let before = fs::read(&place).unwrap();
        let mut sidecar = self.world.vault_as("alice").describe(&secret_path).unwrap();
        sidecar.parents = vec![crate::model::Digest::of(&before)];
        sidecar.revision = sidecar.revision.next();
        sidecar.author = who.parse().unwrap();
        sidecar.change = Change::Metadata;
        sidecar.exposed_to.clear();
        let file = crypto::sign_document(&sidecar.body(), Namespace::Secret, self.world.identity(who)).unwrap();
        fs::write(&place, file).unwrap();
        let result = self.world.vault_as("alice").get(&secret_path);
        assert_eq!(result.is_ok(), self.model.may_write(who), "{who}: {result:?}");
        fs::write(&place, before).unwrap();
    }

    /// Somebody signs an epoch that gives everything to everybody. Only an admin's counts.
    fn forge_epoch(&mut self, who: &'static str) {
        let vault = self.world.vault_as("alice");
        let chain = vault.authority.chain();
        let mut policy = Policy {
            epoch: chain.policy().epoch.next(),
            salt: None,
            previous: Some(chain.reference().sha256),
            author: who.parse().unwrap(),
            ..chain.policy().clone()
        };
        policy.members.values_mut().for_each(|member| member.roles.push(admins()));
        policy.members.values_mut().for_each(|member| member.roles.dedup());
        let file = crypto::sign_document(&policy.body(), Namespace::Policy, self.world.identity(who)).unwrap();
        let place = self.world.file(&layout::epoch(policy.epoch));
        fs::write(&place, file).unwrap();
        let opened = Vault::open(self.world.options()).map(drop);
        assert_eq!(opened.is_ok(), matches!(who, "alice" | "root"), "{who}: {opened:?}");
        fs::remove_file(place).unwrap();
    }

    /// What must hold after every step.
    fn check(&self) {
        let vaults: BTreeMap<&str, Result<Vault, VaultError>> =
            PEOPLE.into_iter().map(|who| (who, self.vault(who))).collect();
        let vault = self.world.vault_as("alice");
        let (debts, refused) = vault.debts().unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        for path in PATHS {
            let expected = &self.model.secrets[path];
            let holders = &expected.values.last().unwrap().holders;
            let secret_path: SecretPath = path.parse().unwrap();
            let age = fs::read(self.world.file(&layout::value(&secret_path))).unwrap();
            for who in PEOPLE {
                let opens = crypto::open_unbound(&age, self.world.identity(who)).is_ok();
                assert_eq!(opens, holders.contains(who), "{who}'s key and {path}");
                let read = vaults[who].as_ref().map_err(|_| ()).and_then(|vault| vault.get(&secret_path).map_err(drop));
                if self.model.may_read(who, path) && holders.contains(who) {
                    assert_eq!(
                        read.unwrap().value.as_bytes(),
                        expected.value.to_string().as_bytes(),
                        "{who} reads {path}"
                    );
                } else {
                    assert!(read.is_err(), "{who} reads {path}");
                }
            }
            let debt = debts.iter().find(|debt| debt.sidecar.path == secret_path);
            let owed: BTreeSet<String> =
                debt.iter().flat_map(|debt| debt.debtors.iter().map(|it| it.holder.member.to_string())).collect();
            assert_eq!(owed, self.model.debtors(path).into_iter().map(str::to_owned).collect(), "debt of {path}");
        }
    }
}

const fn admin(root: bool) -> &'static str {
    if root { "root" } else { "alice" }
}

/// A few sequences, unless somebody asks for more: each makes a repository with dozens of commits.
fn config() -> Config {
    let default = Config { max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { Config { cases: 6, ..default } }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn honest_people_lose_nothing_and_others_gain_nothing(steps in prop::collection::vec(step(), 20..45)) {
        let mut play = Play::new();
        for step in steps {
            play.take(step);
            play.check();
        }
    }
}
