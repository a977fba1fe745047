//! Several people, each with a home, a key and a clone of their own, and a bare repository between them.

use std::fs;
use std::path::PathBuf;

use crate::support::World;

/// alice, who made the store, and the remote that everybody works with.
pub struct Team {
    folder: tempfile::TempDir,
    pub alice: World,
    pub store_id: String,
}

impl Team {
    /// alice's store, pushed.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alice = World::with_store();
        let remote = folder.path().join("remote.git");
        alice.git(&["init", "-q", "--bare", "-b", "main", remote.to_str().unwrap()]);
        alice.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
        alice.git(&["push", "-q", "-u", "origin", "main"]);
        let store_id = alice.json(&["status"])["store_id"].as_str().unwrap().to_owned();
        Self { folder, alice, store_id }
    }

    /// A store with these secrets, by path and value.
    pub fn with_secrets(secrets: &[(&str, &str)]) -> Self {
        let team = Self::new();
        for (path, value) in secrets {
            team.alice.ok(&["create", path, value]);
        }
        team.alice.push();
        team
    }

    /// A clone of somebody who trusts the store, and is not listed in it yet.
    pub fn clone_of(&self, name: &str) -> World {
        let world = World::of(name);
        let remote = self.folder.path().join("remote.git");
        world.git(&["clone", "-q", remote.to_str().unwrap(), "."]);
        world.ok(&["--store-id", &self.store_id, "trust"]);
        world
    }

    /// A new member with these roles: their request, alice's consent, and everybody's clone up to date.
    pub fn joins(&self, name: &str, roles: &str) -> World {
        let world = self.clone_of(name);
        let request = self.file(&format!("{name}.yaml"), &world.ok(&["members:request"]));
        let mut add = vec!["members:add", &request, "--yes"];
        if !roles.is_empty() {
            add.extend(["--roles", roles]);
        }
        self.alice.ok(&add);
        self.alice.push();
        world.pull();
        world
    }

    /// A file that is in nobody's clone.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// alice puts the guide's rules in force, which her own role is not in, and keeps the rest.
    pub fn rules(&self, rules: &str) {
        let file = self.file("rules.json", rules);
        self.alice.ok(&["policy:apply", &file, "--yes"]);
        self.alice.push();
    }
}

impl World {
    /// Pushes, and looks at the store: what was pushed is verified then.
    pub fn push(&self) {
        self.git(&["push", "-q"]);
        self.ok(&["list"]);
    }

    /// Pulls, and looks at the store.
    pub fn pull(&self) {
        self.git(&["pull", "-q", "--ff-only"]);
        self.ok(&["list"]);
    }

    /// Whether stock age opens the present file of `path` with this person's key.
    pub fn opens(&self, path: &str) -> bool {
        self.opens_at("HEAD", path)
    }

    /// Whether stock age opens the file of `path` in the commit `rev` with this person's key.
    pub fn opens_at(&self, rev: &str, path: &str) -> bool {
        let mut show = self.command("git");
        show.args(["show", &format!("{rev}:.vsecure/secrets/{path}.age")]);
        let shown = Self::run_command(show, b"");
        assert_eq!(shown.code, 0, "{}", shown.err);
        self.opens_bytes(&shown.bytes)
    }

    /// Whether stock age opens the file of `path` in this clone with the key of `other`.
    pub fn opens_for(&self, other: &Self, path: &str) -> bool {
        other.opens_bytes(&fs::read(self.file(&format!("secrets/{path}.age"))).unwrap())
    }

    fn opens_bytes(&self, file: &[u8]) -> bool {
        let mut age = self.command("age");
        age.arg("-d").arg("-i").arg(self.identity());
        Self::run_command(age, file).code == 0
    }

    /// Runs vsecure on a terminal, where somebody types `answer`.
    pub fn on_terminal(&self, line: &str, answer: &str) -> crate::support::Run {
        let mut command = self.command("script");
        command.args(["-qec", line, "/dev/null"]).env("TERM", "dumb");
        Self::run_command(command, format!("{answer}\n").as_bytes())
    }

    /// The findings of `access:check`, by rule.
    pub fn check(&self) -> Vec<String> {
        let run = self.run(&["access:check", "--json"]);
        let value: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let rules: Vec<String> =
            value["findings"].as_array().unwrap().iter().map(|it| it["rule"].as_str().unwrap().to_owned()).collect();
        assert_eq!(run.code, if rules.is_empty() { 0 } else { 8 }, "{}", run.err);
        rules
    }

    /// Who is in debt by `access:debt`: `path member`, sorted.
    pub fn debts(&self) -> Vec<String> {
        let value = self.json(&["access:debt"]);
        let debts = value["debts"].as_array().unwrap().iter();
        let each = debts.flat_map(|debt| {
            let path = debt["path"].as_str().unwrap();
            debt["debtors"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |it| format!("{path} {}", it["member"].as_str().unwrap()))
        });
        let mut all: Vec<String> = each.collect();
        all.sort();
        all
    }
}
