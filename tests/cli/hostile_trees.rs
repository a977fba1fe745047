//! Trees of git that a few objects make, and that no disk could hold: each path is as good as any other, and there are more than anybody can count.

use std::time::{Duration, Instant};

use crate::support::World;

/// Released builds take a tenth of that; these are not optimized, and the machine has other work.
const SOON: Duration = Duration::from_secs(5);

/// Puts 2^40 files into a folder of the store in a commit upon HEAD, and gives the commit.
fn bomb(world: &World, folder: &str) -> String {
    let script = format!(
        r#"
        file=$(git rev-parse HEAD:.vsecure/policy/000001.yaml)
        tree=$(printf "100644 blob $file\tA.yaml\n" | git mktree)
        for level in $(seq 40); do tree=$(printf "040000 tree $tree\ta\n040000 tree $tree\tb\n" | git mktree); done
        folder=$( (git ls-tree HEAD .vsecure/{folder}/ | sed 's|\t.*/|\t|'; printf "040000 tree $tree\tbomb\n") | git mktree --missing)
        store=$( (git ls-tree HEAD .vsecure/ | sed 's|\t.*/|\t|' | grep -v "\t{folder}$"; printf "040000 tree $folder\t{folder}\n") | git mktree)
        root=$(printf "040000 tree $store\t.vsecure\n" | git mktree)
        git commit-tree -p HEAD -m Bomb $root"#
    );
    world.sh(&script).trim().to_owned()
}

#[test]
fn a_commit_with_more_paths_than_can_be_is_refused_soon_and_clearly() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.ok(&["update", "A", "two"]);
    for folder in ["secrets", "policy", "grants"] {
        let commit = bomb(&world, folder);
        for arguments in [
            vec!["verify", &commit],
            vec!["verify", &commit, "--base", "HEAD"],
            vec!["get", "production/A", "--at", &commit],
            vec!["access:who", "production/A", "--at", &commit],
            vec!["revert", &commit, "--dry-run"],
        ] {
            let (before, start) = (world.state(), Instant::now());
            let run = world.run(&arguments);
            let took = start.elapsed();
            assert!(took < SOON, "{folder}: {arguments:?} took {took:?}");
            assert!([0, 3, 6].contains(&run.code), "{folder}: {arguments:?}: {} {}", run.code, run.err);
            if run.code == 6 {
                assert!(run.err.contains("holds more than 200000 files and folders"), "{arguments:?}: {}", run.err);
                assert!(run.err.contains("git log"), "{}", run.err);
            }
            assert!(run.code == 6 || !arguments[0].contains("verify"), "{folder}: {arguments:?}: {}", run.out);
            assert_eq!(world.state(), before, "{folder}: {arguments:?}");
        }
    }
}

#[test]
fn what_was_too_much_for_a_moment_locks_nobody_out() {
    for folder in ["secrets", "policy"] {
        let world = World::with_secrets(&[("production/A", "one"), ("production/B", "b")]);
        let remote = world.home.join("remote.git");
        world.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
        world.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
        world.git(&["push", "-q", "-u", "origin", "main"]);
        world.ok(&["list"]);
        let tree = world.git(&["rev-parse", "HEAD^{tree}"]);
        let bomb = bomb(&world, folder);
        let back = world.git(&["commit-tree", "-p", &bomb, "-m", "Back", tree.trim()]);
        world.git(&["push", "-q", "origin", &format!("{}:main", back.trim())]);
        world.git(&["reset", "-q", "--hard", back.trim()]);
        let start = Instant::now();
        assert_eq!(world.get("production/A"), "one");
        assert!(start.elapsed() < SOON, "{folder}: {:?}", start.elapsed());
        assert_eq!(world.ok(&["list"]), "production/A\nproduction/B\n");
        world.ok(&["update", "production/A", "two"]);
        world.git(&["push", "-q"]);
        assert_eq!(world.get("production/A"), "two");
    }
}

#[test]
fn what_was_once_too_much_takes_no_history_away() {
    for folder in ["secrets", "grants"] {
        let world = World::with_secrets(&[("production/A", "one"), ("production/B", "b")]);
        world.ok(&["update", "production/A", "two"]);
        let tree = world.git(&["rev-parse", "HEAD^{tree}"]);
        let bomb = bomb(&world, folder);
        let back = world.git(&["commit-tree", "-p", &bomb, "-m", "Back", tree.trim()]);
        world.git(&["reset", "-q", "--hard", back.trim()]);
        let start = Instant::now();
        let versions = |path: &str| world.json(&["versions", path])["versions"].as_array().unwrap().len();
        assert_eq!((versions("production/A"), versions("production/B")), (2, 1), "{folder}");
        world.ok(&["rollback", "production/A"]);
        world.ok(&["create", "production/C", "c"]);
        assert_eq!((versions("production/A"), versions("production/C")), (3, 1), "{folder}");
        world.ok(&["audit:logs"]);
        world.ok(&["secrets:grant-access", "production/A", "--ephemeral", "--duration", "1h", "--yes"]);
        world.ok(&["update", "production/A", "three"]);
        let took = start.elapsed();
        assert!(took < SOON * 4, "{folder}: {took:?}");
    }
}

#[test]
fn a_path_that_is_longer_than_any_disk_has_is_not_followed() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let script = r#"
        tree=$(printf "100644 blob $(git rev-parse HEAD:.vsecure/policy/000001.yaml)\tf\n" | git mktree)
        for level in $(seq 100); do tree=$(printf "040000 tree $tree\t%0200d\n" 0 | git mktree); done
        root=$( (git ls-tree HEAD; printf "040000 tree $tree\tdeep\n") | git mktree)
        git commit-tree -p HEAD -m Deep $root"#;
    let deep = world.sh(script).trim().to_owned();
    assert!(world.refused(8, &["verify", &deep, "--base", "HEAD"]).contains("a check found something"));
}

#[test]
fn a_store_of_passage_with_such_a_commit_is_refused_soon() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let commit = bomb(&world, "secrets");
    world.sh(&format!(
        "git init -q ../passage; cd ../passage; cp ../project/.vsecure/secrets/production/A.age .
         git fetch -q ../project {commit}; git update-ref HEAD {commit}"
    ));
    let (start, key) = (Instant::now(), world.identity());
    let from = ["import", "../passage", "--format", "passage", "--from-identity", key.to_str().unwrap()];
    let error = world.refused(1, &[&from[..], &["--env", "staging"]].concat());
    assert!(error.contains("holds more than 200000 files and folders"), "{error}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}
