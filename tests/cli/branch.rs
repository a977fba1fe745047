//! The trusted branch: what a remote may bring, what is refused by name, and what raises no alarm. Real clones, a bare remote.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::World;

/// A store with a bare remote, everything pushed; the remote's place.
fn with_remote(secrets: &[(&str, &str)]) -> (World, PathBuf) {
    let world = World::with_secrets(secrets);
    let remote = world.home.join("remote.git");
    world.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    world.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    world.git(&["push", "-q", "-u", "origin", "main"]);
    world.ok(&["list"]);
    (world, remote)
}

/// Another clone of the remote, as somebody who can push uses it, whose commits are not vsecure's.
fn attackers_clone(world: &World, remote: &Path) -> PathBuf {
    let clone = world.home.join("attacker");
    world.git_in(&world.home, &["clone", "-q", remote.to_str().unwrap(), clone.to_str().unwrap()]);
    clone
}

fn push_all(world: &World, clone: &Path, message: &str) {
    world.git_in(clone, &["add", "-A"]);
    world.git_in(clone, &["commit", "-q", "-m", message]);
    world.git_in(clone, &["push", "-q", "origin", "HEAD:main"]);
}

/// Lets a clone look at what the trusted branch brought, which moves its pins; what it then refuses changes nothing.
fn look(world: &World) {
    world.run(&["list"]);
}

#[test]
fn an_older_signed_pair_put_back_is_refused_by_name_until_a_newer_revision() {
    let (world, remote) = with_remote(&[("production/A", "one"), ("production/B", "b")]);
    let old =
        [world.file("secrets/production/A.age"), world.file("secrets/production/A.yaml")].map(|f| fs::read(f).unwrap());
    world.ok(&["update", "A", "two"]);
    world.git(&["push", "-q"]);
    assert_eq!(world.get("A"), "two");
    let attacker = attackers_clone(&world, &remote);
    for (name, content) in ["A.age", "A.yaml"].iter().zip(&old) {
        fs::write(attacker.join(".vsecure/secrets/production").join(name), content).unwrap();
    }
    push_all(&world, &attacker, "Harmless");
    // Fetched, and not yet contained: what is here is still right.
    world.git(&["fetch", "-q"]);
    assert_eq!(world.get("A"), "two");
    world.git(&["merge", "-q", "--ff-only", "origin/main"]);
    look(&world);
    let error = world.refused(6, &["get", "A"]);
    assert!(error.contains("put an older state back"), "{error}");
    assert_eq!(world.get("B"), "b", "other paths go on");
    let listed = world.run(&["list"]);
    assert_eq!((listed.code, listed.out.as_str()), (6, "production/B\n"));
    let verified = world.run(&["verify"]);
    assert_eq!(verified.code, 8);
    assert!(verified.out.contains("[replayed] secrets/production/A.yaml"), "{}", verified.out);
    // Before the replay, in history, nothing is wrong.
    assert_eq!(world.run(&["verify", "HEAD~1"]).code, 0);
    assert_eq!(world.ok(&["get", "production/A", "--at", "HEAD~1"]), "two");
    let run = world.run(&["update", "A", "three"]);
    assert_eq!(run.code, 6, "nothing is built upon it: {}", run.err);
    // Another state of the number that was seen is not that one: it would have to be passed.
    let other = world.copy();
    other.git(&["reset", "-q", "--hard", "HEAD~2"]);
    let mut amended = other.command("vsecure");
    amended.args(["update", "A", "two, otherwise"]).env("HOME", &other.home);
    assert_eq!(World::run_command(amended, b"").code, 0);
    for name in ["A.age", "A.yaml"] {
        let place = format!("secrets/production/{name}");
        fs::copy(other.file(&place), world.file(&place)).unwrap();
    }
    assert!(world.refused(6, &["get", "A"]).contains("older state"));
    // The very state that was seen, by git: nothing is lost, neither before nor after it is published.
    world.git(&["checkout", "HEAD~1", "--", ".vsecure/secrets/production"]);
    assert_eq!(world.get("A"), "two");
    world.git(&["commit", "-q", "-m", "Undo"]);
    world.git(&["push", "-q"]);
    assert_eq!(world.get("A"), "two");
    world.ok(&["update", "A", "three"]);
    world.git(&["push", "-q"]);
    assert_eq!((world.get("A"), world.run(&["verify"]).code), ("three".to_owned(), 0));
}

#[test]
fn deleting_everything_and_taking_that_back_costs_nobody_anything() {
    let secrets = [("production/A", "one"), ("production/B", "b"), ("staging/C", "c")];
    for at_once in [true, false] {
        let (world, remote) = with_remote(&secrets);
        let attacker = attackers_clone(&world, &remote);
        world.git_in(&attacker, &["rm", "-q", "-r", ".vsecure/secrets"]);
        world.git_in(&attacker, &["commit", "-q", "-m", "Gone"]);
        if !at_once {
            world.git_in(&attacker, &["push", "-q", "origin", "HEAD:main"]);
            world.git(&["pull", "-q"]);
            look(&world);
            assert!(world.refused(6, &["get", "production/A"]).contains("or lost it"));
        }
        world.git_in(&attacker, &["revert", "--no-edit", "HEAD"]);
        world.git_in(&attacker, &["push", "-q", "origin", "HEAD:main"]);
        world.git(&["pull", "-q"]);
        for (path, value) in secrets {
            assert_eq!(world.get(path), value, "at once: {at_once}");
        }
        let verified = world.run(&["verify"]);
        assert_eq!(verified.code, 0, "{}", verified.out);
        let range = world.run(&["verify", "HEAD~2..HEAD"]);
        assert_eq!(range.code, 0, "{}", range.out);
        world.ok(&["update", "production/A", "two"]);
        // An older one is no such thing.
        let old = world.git(&["rev-parse", "HEAD~1"]);
        world.git(&["push", "-q"]);
        look(&world);
        world.git(&["checkout", "-q", old.trim(), "--", ".vsecure/secrets"]);
        world.git(&["commit", "-q", "-m", "Old"]);
        world.git(&["push", "-q"]);
        look(&world);
        assert!(world.refused(6, &["get", "production/A"]).contains("put an older state back"));
    }
}

#[test]
fn a_path_that_vanishes_and_a_plain_revert_are_found() {
    let (world, remote) = with_remote(&[("production/A", "one")]);
    world.ok(&["update", "A", "two"]);
    world.git(&["push", "-q"]);
    world.ok(&["list"]);
    let attacker = attackers_clone(&world, &remote);
    world.git_in(&attacker, &["revert", "--no-edit", "HEAD"]);
    world.git_in(&attacker, &["push", "-q", "origin", "HEAD:main"]);
    world.git(&["pull", "-q"]);
    look(&world);
    assert!(world.refused(6, &["get", "A"]).contains("put an older state back"));
    let json = world.run(&["verify", "--json"]);
    assert_eq!(json.code, 8, "{}", json.err);
    fs::remove_file(attacker.join(".vsecure/secrets/production/A.age")).unwrap();
    fs::remove_file(attacker.join(".vsecure/secrets/production/A.yaml")).unwrap();
    push_all(&world, &attacker, "Gone");
    world.git(&["pull", "-q"]);
    look(&world);
    assert!(world.refused(6, &["get", "production/A"]).contains("put an older state back"));
    world.refused(6, &["create", "production/A", "new"]);
    let range = world.run(&["verify", "HEAD~2..HEAD"]);
    assert_eq!(range.code, 8);
    assert!(range.out.contains("replayed") && range.out.contains("production/A"), "{}", range.out);
}

#[test]
fn a_branch_that_was_rewritten_is_an_error_in_a_clone_that_knew_it() {
    let (world, remote) = with_remote(&[("production/A", "one")]);
    world.ok(&["update", "A", "two"]);
    world.git(&["push", "-q"]);
    world.ok(&["list"]);
    let attacker = attackers_clone(&world, &remote);
    world.git_in(&attacker, &["reset", "-q", "--hard", "HEAD~1"]);
    world.git_in(&attacker, &["push", "-q", "--force", "origin", "HEAD:main"]);
    world.git(&["fetch", "-q"]);
    let error = world.refused(6, &["get", "A"]);
    assert!(error.contains("was rewritten") && error.contains("trust:rewrite"), "{error}");
}

#[test]
fn another_store_in_the_place_of_the_one_that_a_branch_had_is_named() {
    for looked_before in [true, false] {
        let world = World::with_secrets(&[("production/A", "one")]);
        let remote = world.home.join("remote.git");
        world.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
        world.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
        world.git(&["push", "-q", "-u", "origin", "main"]);
        if looked_before {
            world.ok(&["list"]);
        } else {
            world.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
        }
        let attacker = attackers_clone(&world, &remote);
        world.git_in(&attacker, &["rm", "-q", "-r", ".vsecure"]);
        world.git_in(&attacker, &["commit", "-q", "-m", "Gone"]);
        let mut init = world.command("vsecure");
        init.args(["init", "--no-commit", "--name", "mallory", "--email", "mallory@example.com"])
            .current_dir(&attacker);
        let made = World::run_command(init, b"");
        assert_eq!(made.code, 0, "{}", made.err);
        push_all(&world, &attacker, "Another");
        world.git(&["fetch", "-q"]);
        let error = world.refused(6, &["get", "A"]);
        assert!(error.contains("this store's id is"), "looked before: {looked_before}: {error}");
    }
}

#[test]
fn a_second_trusted_branch_with_a_policy_of_its_own_is_refused() {
    let (world, _) = with_remote(&[("production/A", "one")]);
    let before = world.git(&["rev-parse", "HEAD"]);
    world.ok(&["env:add", "mains", "--yes"]);
    world.git(&["push", "-q"]);
    world.ok(&["list"]);
    // An epoch of the same number, made in a clone that knows nothing of the other.
    let other = world.copy();
    other.git(&["reset", "-q", "--hard", before.trim()]);
    other.sh("rm -r $HOME/.local/state/vsecure; git remote remove origin");
    let id = world.json(&["status"])["store_id"].as_str().unwrap().to_owned();
    other.ok(&["--store-id", &id, "env:add", "others", "--yes"]);
    let remote = world.home.join("remote.git");
    other.git(&["push", "-q", remote.to_str().unwrap(), "HEAD:other"]);
    world.git(&["push", "-q", "origin", "HEAD:side"]);
    world.git(&["fetch", "-q"]);
    assert_eq!(world.get("A"), "one", "nobody trusts it yet");
    let error = world.refused(6, &["trust:branch", "other"]);
    assert!(error.contains("origin/other does not go on from the one it had"), "{error}");
    assert_eq!(world.get("A"), "one", "it is not trusted, and nothing is lost");
    world.ok(&["trust:branch", "main"]);
    // One that becomes so later is left out again.
    world.ok(&["trust:branch", "side"]);
    other.git(&["push", "-q", "-f", remote.to_str().unwrap(), "HEAD:side"]);
    world.git(&["fetch", "-q"]);
    world.refused(6, &["get", "A"]);
    world.refused(3, &["trust:branch", "other", "--forget"]);
    world.ok(&["trust:branch", "side", "--forget"]);
    assert_eq!(world.get("A"), "one");
}

#[test]
fn a_longer_chain_of_another_store_that_a_merge_left_out_is_no_loss() {
    let (world, remote) = with_remote(&[("production/A", "one")]);
    let attacker = attackers_clone(&world, &remote);
    let other = World::with_store();
    other.ok(&["env:add", "one", "--yes"]);
    other.ok(&["env:add", "two", "--yes"]);
    world.git_in(&attacker, &["checkout", "-q", "-b", "side"]);
    fs::remove_dir_all(attacker.join(".vsecure")).unwrap();
    world.sh(&format!("cp -r {}/.vsecure {}", other.project.display(), attacker.display()));
    world.git_in(&attacker, &["add", "-A"]);
    world.git_in(&attacker, &["commit", "-q", "-m", "Another store"]);
    world.git_in(&attacker, &["checkout", "-q", "main"]);
    world.git_in(&attacker, &["merge", "-q", "-s", "ours", "--no-edit", "side"]);
    world.git_in(&attacker, &["push", "-q", "origin", "HEAD:main"]);
    world.git(&["pull", "-q"]);
    assert_eq!(world.get("A"), "one");
    assert_eq!(world.ok(&["list"]), "production/A\n");
}

#[test]
fn what_git_users_do_with_their_own_branches_raises_no_alarm() {
    let (world, _) = with_remote(&[("production/A", "one"), ("production/B", "b")]);
    world.ok(&["update", "A", "two"]);
    world.git(&["push", "-q"]);
    world.ok(&["list"]);
    world.ok(&["update", "A", "local"]);
    world.git(&["commit", "-q", "--amend", "-m", "Another message"]);
    assert_eq!(world.get("A"), "local");
    world.git(&["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!(world.get("A"), "two", "what was never published is the user's own");
    world.git(&["checkout", "-q", "HEAD~1"]);
    assert_eq!(world.get("A"), "one", "an old commit");
    world.git(&["checkout", "-q", "main"]);
    world.git(&["checkout", "-q", "-b", "feature"]);
    world.ok(&["update", "B", "bb"]);
    world.ok(&["update", "B", "bbb"]);
    world.git(&["reset", "-q", "--soft", "main"]);
    world.git(&["commit", "-q", "-m", "Squashed"]);
    assert_eq!(world.get("B"), "bbb");
    world.git(&["checkout", "-q", "main"]);
    world.git(&["cherry-pick", "feature"]);
    world.git(&["push", "-q"]);
    assert_eq!(world.get("B"), "bbb");
    fs::write(world.project.join("other"), "x").unwrap();
    world.git(&["stash", "-q", "-u"]);
    world.git(&["stash", "pop", "-q"]);
    assert_eq!(world.get("A"), "two");
    assert_eq!(world.run(&["verify"]).code, 0, "{}", world.run(&["verify"]).out);
}

#[test]
fn verify_names_what_does_not_belong_and_what_it_could_not_check() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let clean = world.json(&["verify"]);
    assert_eq!(clean["findings"], serde_json::json!([]));
    assert!(clean["not_checked"][0].as_str().unwrap().contains("no trusted remote branch"), "{clean}");
    assert_eq!(world.json(&["verify", "--decrypt"])["opened"], 1);
    fs::write(world.file("secrets/production/notes.txt"), "password").unwrap();
    fs::write(world.file(".env"), "A=one").unwrap();
    fs::write(world.file("secrets/.gitattributes"), "* text eol=crlf\n").unwrap();
    fs::write(world.file("secrets/production/.env"), "A=one").unwrap();
    fs::write(world.file(".gitattributes"), "* text\n").unwrap();
    fs::copy(world.file("secrets/production/A.age"), world.file("secrets/production/LOOSE.age")).unwrap();
    let run = world.run(&["verify", "--json"]);
    assert_eq!(run.code, 8);
    let found: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let rules: Vec<(&str, &str)> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["rule"].as_str().unwrap(), finding["file"].as_str().unwrap()))
        .collect();
    let expected = [
        ("unknown-file", ".env"),
        ("attributes", ".gitattributes"),
        ("unknown-file", "secrets/.gitattributes"),
        ("unknown-file", "secrets/production/.env"),
        ("unsigned", "secrets/production/LOOSE.age"),
        ("unknown-file", "secrets/production/notes.txt"),
    ];
    assert_eq!(rules, expected);
    assert_eq!(world.run(&["verify", "HEAD"]).code, 0, "the commit has none of that");
    let sarif: serde_json::Value = serde_json::from_str(&world.run(&["verify", "--sarif"]).out).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 6);
}

#[test]
fn a_pull_request_is_verified_from_objects_alone() {
    let world = World::with_secrets(&[("production/A", "one"), ("production/B", "b")]);
    world.git(&["checkout", "-q", "-b", "good"]);
    world.ok(&["update", "A", "two"]);
    world.git(&["checkout", "-q", "-b", "bad", "main"]);
    let yaml = world.file("secrets/production/A.yaml");
    let swapped = fs::read(world.file("secrets/production/B.yaml")).unwrap();
    fs::write(&yaml, swapped).unwrap();
    world.git(&["commit", "-qam", "Bad"]);
    world.git(&["checkout", "-q", "main"]);
    // Whatever lies in the work tree: it is not looked at.
    fs::write(world.file("policy/000001.yaml"), "nonsense").unwrap();
    let good = world.run(&["verify", "good", "--base", "main"]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    let bad = world.run(&["verify", "bad", "--base", "main"]);
    assert_eq!(bad.code, 8);
    assert!(bad.out.contains("[moved]") && bad.out.contains("[replayed]"), "{}", bad.out);
    assert_eq!(world.run(&["verify", "a..b", "--base", "main"]).code, 2);
    assert_eq!(world.run(&["verify", "nowhere", "--base", "main"]).code, 3);
}

/// What a pull request is called, what it changes, and the rules and files of what is found.
type Around = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

#[test]
fn a_pull_request_is_looked_at_around_the_store_too() {
    let world = World::empty();
    let service = world.project.join("service");
    fs::create_dir(&service).unwrap();
    fs::write(world.project.join(".gitattributes"), "* text=auto\n*.png binary\n").unwrap();
    world.sh("cd service; vsecure init --here; vsecure create production/A one; git add -A ..; git commit -qm Files");
    let verify = |head: &str| {
        let mut verify = world.command("vsecure");
        verify.args(["verify", head, "--base", "main", "--json"]).current_dir(&service);
        let run = World::run_command(verify, b"");
        let found: serde_json::Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}", run.err));
        let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let findings: Vec<(String, String)> = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| (text(finding, "rule"), text(finding, "file")))
            .collect();
        assert_eq!(run.code, if findings.is_empty() { 0 } else { 8 }, "{}", run.err);
        (findings, run.out)
    };
    let cases: [Around; 11] = [
        (
            "harmless",
            "echo '*.jpg binary' >> .gitattributes; mkdir docs; echo x > docs/x; echo '* text' > docs/.gitattributes",
            &[],
        ),
        ("another", "cp -r service/.vsecure .", &[("other-store", "../../.vsecure")]),
        (
            "below",
            "mkdir -p service/a/b; cp -r service/.vsecure service/a/b",
            &[("other-store", "../../service/a/b/.vsecure")],
        ),
        ("spelled", "mkdir x; cp -r service/.vsecure x/.VSECURE", &[("other-store", "../../x/.VSECURE")]),
        ("linked", "mkdir x; ln -s ../service/.vsecure x/.vsecure", &[("other-store", "../../x/.vsecure")]),
        ("filter", "echo '*.age filter=lfs' >> .gitattributes", &[("attributes-above", "../../.gitattributes")]),
        (
            "encoding",
            "echo '.vsecure/** working-tree-encoding=UTF-16' > service/.gitattributes",
            &[("attributes-above", "../../service/.gitattributes")],
        ),
        (
            "own",
            "echo '* text' > service/.vsecure/.gitattributes; mkdir service/.vsecure/secrets/x; echo '* text' > service/.vsecure/secrets/x/.gitattributes",
            &[("attributes", ".gitattributes"), ("unknown-file", "secrets/x/.gitattributes")],
        ),
        ("gone", "git rm -qr service/.vsecure", &[("no-policy", "policy")]),
        ("link", "mv service/.vsecure service/moved; ln -s moved service/.vsecure", &[("not-plain", ".")]),
        (
            "module",
            "git rm -qr service/.vsecure; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),service/.vsecure",
            &[("not-plain", ".")],
        ),
    ];
    for (name, change, expected) in cases {
        let add = if name == "module" { "" } else { "git add -A;" };
        world.sh(&format!("git checkout -qf -B {name} main; {change}; {add} git commit -qm {name}; git checkout -qf main; git clean -qfdx"));
        let (findings, text) = verify(name);
        let expected: Vec<(String, String)> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(findings, expected, "{name}: {text}");
    }
    assert!(verify("filter").1.contains("*.age filter=lfs"));
    // What the base has already is not news, and a head that only lacks it brings nothing.
    world.git(&["merge", "-q", "--no-edit", "another"]);
    assert_eq!(verify("harmless").0, []);
}

#[test]
fn doctor_says_what_is_wrong_and_what_helps() {
    let (world, _) = with_remote(&[("production/A", "one")]);
    let well = world.run(&["doctor"]);
    assert_eq!(well.code, 0, "{}{}", well.out, well.err);
    fs::set_permissions(world.identity(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let ill = world.run(&["doctor", "--json"]);
    assert_eq!(ill.code, 8);
    let checks: serde_json::Value = serde_json::from_str(&ill.out).unwrap();
    let bad: Vec<&serde_json::Value> =
        checks["checks"].as_array().unwrap().iter().filter(|it| it["ok"] == false).collect();
    assert!(
        bad.iter().any(|it| it["check"] == "identity" && it["remedy"].as_str().unwrap().contains("chmod 600")),
        "{bad:?}"
    );
}

#[test]
fn revert_is_the_proper_way_back_and_nobody_refuses_it() {
    let (world, remote) = with_remote(&[("production/A", "one"), ("production/B", "b")]);
    world.ok(&["update", "A", "wrong"]);
    world.git(&["push", "-q"]);
    world.ok(&["list"]);
    let said = world.run(&["revert", "HEAD", "-m", "Not that"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("production/A v3: put back to what it was"), "{}", said.err);
    world.git(&["push", "-q"]);
    assert_eq!(world.get("A"), "one");
    let other = attackers_clone(&world, &remote);
    let mut command = world.command("vsecure");
    command.args(["get", "A"]).current_dir(&other);
    assert_eq!(World::run_command(command, b"").out, "one");
    assert!(world.refused(5, &["revert", "HEAD~1"]).contains("changed after that commit"));
    world.refused(3, &["revert", "HEAD~4"]);
    world.refused(3, &["revert", "nowhere"]);
    assert_eq!(world.json(&["revert", "HEAD", "--dry-run"])["secrets"][0]["path"], "production/A");
}
