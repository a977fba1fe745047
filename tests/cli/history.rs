//! Versions, whatever people do to history.

use std::fs;

use crate::support::World;

fn numbers(world: &World, name: &str) -> Vec<u64> {
    let json = world.json(&["versions", name]);
    json["versions"].as_array().unwrap().iter().map(|entry| entry["version"].as_u64().unwrap()).collect()
}

fn missing(world: &World, name: &str) -> Vec<u64> {
    let json = world.json(&["versions", name]);
    json["missing"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

/// `production/A` with the values v1 to v`count`, and another secret in between.
fn versions(count: usize) -> World {
    let world = World::with_secrets(&[("production/A", "v1"), ("production/OTHER", "x")]);
    for number in 2..=count {
        world.ok(&["update", "A", &format!("v{number}")]);
    }
    world
}

#[test]
fn tags_and_other_secrets_make_no_versions() {
    let world = versions(3);
    world.ok(&["update", "A", "--add-tag", "x"]);
    world.ok(&["update", "OTHER", "y"]);
    world.ok(&["update", "A", "v4", "-m", "Why it changed"]);
    assert_eq!(numbers(&world, "A"), [4, 3, 2, 1]);
    let json = world.json(&["versions", "A"]);
    assert_eq!(json["versions"][0]["message"], "Why it changed");
    assert_eq!(json["versions"][0]["current"], true);
    assert_eq!(json["versions"][3]["commit"], world.git(&["rev-list", "--reverse", "HEAD"]).lines().nth(1).unwrap());
    assert_eq!(world.json(&["versions", "A", "--all"])["revisions"].as_array().unwrap().len(), 5);
    assert_eq!(world.ok(&["versions", "A", "--limit", "2"]).lines().count(), 2);
    for number in 1..=4 {
        assert_eq!(world.ok(&["get", "A", "--version", &number.to_string()]), format!("v{number}"));
    }
}

#[test]
fn the_cache_is_right_after_it_was_lost_damaged_or_cannot_be_kept() {
    let world = versions(3);
    assert_eq!(numbers(&world, "A"), [3, 2, 1]);
    let folder = world.project.join(".git/vsecure");
    let cache = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|it| it.path())
        .find(|it| it.to_string_lossy().contains("history-"))
        .unwrap();
    let good = fs::read_to_string(&cache).unwrap();
    for damaged in [
        "",
        "vsecure-history/1",
        &good[..good.len() / 2],
        &good.replace("A.yaml", "B.yaml").replacen("history/1", "history/9", 1),
    ] {
        fs::write(&cache, damaged).unwrap();
        assert_eq!(numbers(&world, "A"), [3, 2, 1]);
    }
    fs::remove_file(&cache).unwrap();
    fs::create_dir(&cache).unwrap();
    assert_eq!(numbers(&world, "A"), [3, 2, 1]);
}

#[test]
fn merges_rebases_amended_commits_and_gc() {
    let world = versions(2);
    world.git(&["switch", "-q", "-c", "side"]);
    world.ok(&["create", "production/SIDE", "s1"]);
    world.ok(&["update", "SIDE", "s2"]);
    world.git(&["switch", "-q", "main"]);
    assert_eq!(world.run(&["versions", "SIDE"]).code, 3);
    world.ok(&["update", "A", "v3"]);
    world.git(&["merge", "-q", "--no-edit", "side"]);
    assert_eq!(numbers(&world, "SIDE"), [2, 1]);
    assert_eq!(numbers(&world, "A"), [3, 2, 1]);
    world.git(&["commit", "-q", "--amend", "-m", "Another message"]);
    assert_eq!(numbers(&world, "A"), [3, 2, 1]);
    world.git(&["switch", "-q", "-c", "topic", "HEAD~1"]);
    fs::write(world.project.join("code"), "x").unwrap();
    world.git(&["add", "code"]);
    world.git(&["commit", "-q", "-m", "Code"]);
    world.ok(&["update", "A", "v4"]);
    world.git(&["rebase", "-q", "main"]);
    assert_eq!(numbers(&world, "A"), [4, 3, 2, 1]);
    assert_eq!(world.get("SIDE"), "s2");
    world.git(&["branch", "-q", "-D", "side"]);
    world.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(numbers(&world, "A"), [4, 3, 2, 1]);
    world.git(&["reset", "-q", "--hard", "main"]);
    assert_eq!(numbers(&world, "A"), [3, 2, 1]);
    assert_eq!(world.ok(&["get", "A", "--version", "1"]), "v1");
}

#[test]
fn a_squashed_version_is_reported_as_missing() {
    let world = versions(1);
    world.git(&["tag", "start"]);
    for number in 2..=4 {
        world.ok(&["update", "A", &format!("v{number}")]);
    }
    assert_eq!(numbers(&world, "A"), [4, 3, 2, 1]);
    world.git(&["reset", "-q", "--soft", "start"]);
    world.git(&["commit", "-q", "-m", "All at once"]);
    assert_eq!((numbers(&world, "A"), missing(&world, "A")), (vec![4, 1], vec![3, 2]));
    let refused = world.refused(3, &["get", "A", "--version", "3"]);
    assert!(refused.contains("squashed") && refused.contains("v4"), "{refused}");
    world.refused(3, &["rollback", "A"]);
    world.ok(&["rollback", "A", "--version", "1"]);
    assert_eq!((world.get("A").as_str(), numbers(&world, "A")), ("v1", vec![5, 4, 1]));
}

#[test]
fn a_shallow_clone_says_so_until_it_is_deepened() {
    let world = versions(4);
    let url = format!("file://{}", world.project.display());
    world.git_in(&world.home, &["clone", "-q", "--depth", "1", &url, "shallow"]);
    let run = |arguments: &[&str]| {
        let mut command = world.command("vsecure");
        command.args(arguments).current_dir(world.home.join("shallow"));
        World::run_command(command, b"")
    };
    assert_eq!(run(&["get", "A"]).out, "v4");
    let versions = run(&["versions", "A", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&versions.out).unwrap();
    assert_eq!((json["shallow"].as_bool(), json["missing"].as_array().unwrap().len()), (Some(true), 3));
    // A shallow boundary brings nothing: the commit that did is not known here.
    assert_eq!(
        (&json["versions"][0]["commit"], &json["versions"][0]["committed"]),
        (&serde_json::Value::Null, &true.into())
    );
    let refused = run(&["get", "A", "--version", "2"]);
    assert!(refused.code == 3 && refused.err.contains("git fetch --unshallow"), "{}", refused.err);
    assert_eq!(run(&["update", "A", "v5"]).code, 0);
    world.git_in(&world.home.join("shallow"), &["fetch", "-q", "--unshallow"]);
    assert_eq!(run(&["get", "A", "--version", "2"]).out, "v2");
    assert_eq!(run(&["versions", "A"]).out.lines().count(), 5);
}

#[test]
fn two_branches_that_made_the_same_version_are_told_apart() {
    let world = versions(1);
    world.git(&["switch", "-q", "-c", "side"]);
    world.ok(&["update", "A", "side 2"]);
    let side = world.git(&["rev-parse", "HEAD"]);
    world.git(&["switch", "-q", "main"]);
    world.ok(&["update", "A", "main 2"]);
    world.git(&["merge", "-q", "-s", "ours", "--no-edit", "side"]);
    assert_eq!(world.get("A"), "main 2");
    assert_eq!(numbers(&world, "A"), [2, 2, 1]);
    let refused = world.refused(2, &["get", "A", "--version", "2"]);
    assert!(refused.contains("2@"), "{refused}");
    assert_eq!(world.ok(&["get", "A", "--version", &format!("2@{}", &side[..12])]), "side 2");
    world.ok(&["update", "A", "three"]);
    assert_eq!(numbers(&world, "A"), [3, 2, 2, 1]);
}

#[test]
fn revisions_that_nobody_signed_are_no_versions() {
    let world = versions(2);
    let file = world.file("secrets/production/A.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("version: 2", "version: 3").replace("revision: 2", "revision: 3")).unwrap();
    world.git(&["commit", "-q", "-am", "Forged"]);
    fs::write(&file, &good).unwrap();
    world.git(&["commit", "-q", "-am", "Undone"]);
    let run = world.run(&["versions", "A"]);
    assert_eq!((run.code, run.out.lines().count()), (0, 2), "{}", run.err);
    assert!(run.err.contains("not valid and don't count"), "{}", run.err);
    world.refused(3, &["get", "A", "--version", "3"]);
}

#[test]
fn deleted_restored_renamed_and_copied_secrets_go_on_counting() {
    let world = versions(2);
    world.ok(&["delete", "A"]);
    assert_eq!(world.run(&["get", "A"]).code, 3);
    assert_eq!(numbers(&world, "A"), [2, 1], "the history of a deleted secret is still there");
    assert_eq!(world.ok(&["list"]), "production/OTHER\n");
    world.ok(&["restore", "A"]);
    assert_eq!((world.get("A").as_str(), numbers(&world, "A")), ("v2", vec![3, 2, 1]));
    world.ok(&["delete", "A"]);
    world.ok(&["create", "production/A", "again"]);
    assert_eq!((world.get("A").as_str(), numbers(&world, "A")), ("again", vec![4, 3, 2, 1]));
    world.ok(&["update", "A", "--add-tag", "kept", "--expires-in", "1d"]);
    world.ok(&["rename", "A", "staging/B"]);
    assert_eq!((world.get("B").as_str(), numbers(&world, "B")), ("again", vec![1]));
    assert_eq!(world.run(&["get", "production/A"]).code, 3);
    let described = world.json(&["describe", "B"]);
    assert_eq!(
        (described["tags"][0].as_str(), described["source"]["path"].as_str()),
        (Some("kept"), Some("production/A"))
    );
    world.ok(&["copy", "B", "production/A"]);
    assert_eq!((world.get("production/A").as_str(), numbers(&world, "A")), ("again", vec![5, 4, 3, 2, 1]));
    assert_eq!(world.get("staging/B"), "again");
}

#[test]
fn a_rollback_brings_the_value_and_its_expiry_and_leaves_the_tags() {
    let world = World::with_store();
    world.ok(&["create", "production/A", "one", "--expires-at", "2020-01-01", "--tags", "old"]);
    world.ok(&["update", "A", "two", "--tags", "new"]);
    assert!(world.json(&["describe", "A"])["expires_at"].is_null(), "a new value clears an expiry that has passed");
    let run = world.run(&["rollback", "A"]);
    assert!(run.code == 0 && run.err.contains("expired at 2020-01-01"), "{}", run.err);
    let described = world.json(&["describe", "A"]);
    assert_eq!(described["expires_at"], "2020-01-01T00:00:00Z");
    assert_eq!(described["tags"], serde_json::json!(["new"]));
    let run = world.run(&["get", "A"]);
    assert!(run.code == 0 && run.out == "one" && run.err.contains("warning: production/A expired"), "{}", run.err);
    world.ok(&["rollback", "A", "--version", "3"]);
    assert_eq!(numbers(&world, "A"), [4, 3, 2, 1], "a rollback always makes a version");
}

#[test]
fn an_uncommitted_change_is_replaced_by_the_next() {
    let world = versions(1);
    world.ok(&["update", "A", "two", "--no-commit"]);
    assert_eq!(world.get("A"), "two");
    assert_eq!(world.json(&["versions", "A"])["versions"][0]["committed"], false);
    world.ok(&["update", "A", "two again", "--no-commit"]);
    world.ok(&["update", "A", "--add-tag", "x", "--no-commit"]);
    assert_eq!(world.json(&["status"])["uncommitted"], serde_json::json!(["production/A"]));
    let before = world.commits();
    world.git(&["commit", "-q", "-m", "With the code"]);
    assert_eq!((numbers(&world, "A"), world.get("A").as_str(), world.commits()), (vec![2, 1], "two again", before + 1));
    world.ok(&["create", "production/NEW", "n", "--no-commit"]);
    world.ok(&["update", "NEW", "n2"]);
    assert_eq!((numbers(&world, "NEW"), world.get("NEW").as_str()), (vec![1], "n2"));
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn one_secret_is_walked_for_alone_and_a_second_for_all() {
    let world = World::with_secrets(&[("production/A", "one"), ("production/B", "one"), ("production/C", "one")]);
    let caches = || -> Vec<String> {
        let names = fs::read_dir(world.project.join(".git/vsecure")).unwrap().flatten();
        let names = names.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("history-")).collect()
    };
    let lines = |name: &str| {
        let text = fs::read_to_string(world.project.join(".git/vsecure").join(name)).unwrap();
        text.lines().skip(1).count()
    };
    assert_eq!(numbers(&world, "A"), [1]);
    let [single] = caches().try_into().unwrap();
    assert_eq!(lines(&single), 1);
    world.ok(&["update", "A", "two"]);
    world.ok(&["update", "B", "two"]);
    assert_eq!(numbers(&world, "A"), [2, 1]);
    assert_eq!(caches(), std::slice::from_ref(&single));
    assert_eq!(numbers(&world, "B"), [2, 1]);
    let [whole] = caches().try_into().unwrap();
    assert!(whole != single && lines(&whole) == 10, "{whole}: three secrets, two updates, two files each");
    world.ok(&["update", "C", "two"]);
    assert_eq!((numbers(&world, "A"), numbers(&world, "C")), (vec![2, 1], vec![2, 1]));
    assert_eq!(caches(), [whole]);
}
