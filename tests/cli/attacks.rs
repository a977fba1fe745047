//! What members and former members try against each other, each in a clone of their own, with a bare repository between them that they can
//! all push to.

use std::fs;

use crate::support::World;
use crate::team::Team;

const A: &str = "production/A";

/// bob reads and writes production, rita reads it.
fn team() -> (Team, World, World) {
    let team = Team::with_secrets(&[(A, "one"), ("staging/B", "two")]);
    let bob = team.joins("bob", "devops");
    let rita = team.joins("rita", "readers");
    team.rules(
        r#"{"secrets": {"production/*": {"read": ["admins", "devops", "readers"], "write": ["admins", "devops"], "delete": ["admins"]}}}"#,
    );
    bob.pull();
    rita.pull();
    (team, bob, rita)
}

/// Commits whatever is in the work tree, past vsecure, and pushes it.
fn push_by_hand(world: &World) {
    push_by_hand_to(world, "main");
}

fn push_by_hand_to(world: &World, branch: &str) {
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "By hand"]);
    world.git(&["push", "-q", "origin", branch]);
}

fn pull_by_hand(world: &World) {
    world.git(&["pull", "-q", "--ff-only"]);
}

#[test]
fn nobody_makes_themselves_an_admin_or_a_reader_by_hand() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    for arguments in [
        vec!["members:roles", "rita", "admins", "--yes"],
        vec!["policy:apply", "-", "--yes"],
        vec!["members:add-machine", "mine", "--roles", "admins", "--yes"],
        vec!["keys:recovery", "--yes"],
        vec!["env:add", "mine", "--yes"],
        vec!["members:accept", A, "--yes"],
        vec!["members:remove", "alice", "--yes"],
    ] {
        let input = br#"{"secrets": {"**": {"read": ["rita"], "write": ["rita"]}}}"#;
        assert!(rita.refused_with(4, &arguments, input).contains("no admin"), "{arguments:?}");
    }
    // An edited epoch is no epoch, and everybody says so.
    let newest = rita.file("policy/000004.yaml");
    let text = fs::read_to_string(&newest).unwrap();
    fs::write(&newest, text.replace("      - \"readers\"", "      - \"admins\"")).unwrap();
    push_by_hand(&rita);
    for world in [alice, &bob] {
        pull_by_hand(world);
        let error = world.refused(6, &["get", A]);
        assert!(error.contains("policy"), "{error}");
    }
    // Nor is one left out, or taken back.
    rita.git(&["revert", "--no-edit", "HEAD"]);
    rita.git(&["rm", "-q", "-r", ".vsecure/policy/000004.yaml"]);
    rita.git(&["commit", "-q", "-m", "Back to the rules of yesterday"]);
    rita.git(&["push", "-q"]);
    pull_by_hand(alice);
    assert!(alice.refused(6, &["get", A]).contains("does not go on from the one it had"));
    assert!(alice.refused(6, &["update", A, "x"]).contains("does not go on"));
}

#[test]
fn a_removed_members_clone_brings_nothing_that_counts() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    alice.ok(&["members:remove", "bob", "--yes"]);
    alice.push();
    // bob has not fetched: for his clone he is still a member. He works on, and brings it in with his own epoch winning.
    bob.ok(&["update", A, "after-his-removal"]);
    bob.git(&["fetch", "-q"]);
    bob.git(&["merge", "-q", "-s", "ours", "--no-edit", "origin/main"]);
    bob.git(&["push", "-q"]);
    rita.git(&["fetch", "-q"]);
    let error = rita.refused(6, &["get", A]);
    assert!(error.contains("policy"), "the trusted branch's policy went back: {error}");
    rita.git(&["merge", "-q", "--ff-only", "origin/main"]);
    assert!(rita.refused(6, &["get", A]).contains("policy"));
}

#[test]
fn a_removed_members_merge_that_keeps_the_policy_is_refused_too_and_can_be_adopted() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    bob.ok(&["update", A, "unpushed"]);
    alice.ok(&["members:remove", "bob", "--yes"]);
    alice.push();
    bob.git(&["fetch", "-q"]);
    bob.git(&["merge", "-q", "-X", "ours", "--no-edit", "origin/main"]);
    bob.git(&["push", "-q"]);
    for world in [alice, &rita] {
        pull_by_hand(world);
        world.run(&["list"]);
        let error = world.refused(6, &["get", A]);
        assert!(error.contains("bob") || error.contains("put an older state back"), "{error}");
        assert_eq!(world.run(&["get", "staging/B"]).code, if world.project == alice.project { 0 } else { 4 });
    }
    // It was honest work, as a look shows; alice answers for it.
    let shown = alice.run(&["adopt", A, "-n"]);
    assert!(shown.code == 0 && shown.err.contains("signed by bob"), "{}", shown.err);
    alice.ok(&["adopt", A, "--yes"]);
    assert_eq!(alice.get(A), "unpushed");
    alice.push();
    rita.pull();
    assert_eq!(rita.get(A), "unpushed");
    assert_eq!(alice.debts(), [format!("{A} bob")]);
}

#[test]
fn what_a_lost_key_signs_does_not_count_and_says_whom_to_ask() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    let new = team.clone_of("bob");
    let request = team.file("new.yaml", &new.ok(&["members:request"]));
    alice.ok(&["members:replace-key", "bob", &request, "--lost", "--yes"]);
    alice.push();
    // Whoever found the old one has not fetched, and merges what they make of it in.
    bob.ok(&["update", A, "found"]);
    bob.git(&["fetch", "-q"]);
    bob.git(&["merge", "-q", "-X", "ours", "--no-edit", "origin/main"]);
    bob.git(&["push", "-q"]);
    pull_by_hand(&rita);
    rita.run(&["list"]);
    let error = rita.refused(6, &["get", A]);
    assert!(error.contains("`bob` has lost the key that signed it"), "{error}");
    assert!(error.contains("ask bob") && error.contains("vsecure secrets:adopt production/A"), "{error}");
    assert!(rita.run(&["verify"]).out.contains("[lost-key] secrets/production/A.yaml"));
    let json: serde_json::Value = serde_json::from_str(&rita.run(&["get", A, "--json"]).err).unwrap();
    assert_eq!(json["error"]["kind"], "lost-key");
}

#[test]
fn a_grant_that_was_taken_back_stays_so() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    alice.ok(&["grant-access", "staging/B", "--user", "rita", "--duration", "1h"]);
    alice.push();
    rita.pull();
    let folder = rita.file("grants");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let granted = fs::read(&file).unwrap();
    alice.ok(&["revoke-access", "staging/B", "--user", "rita"]);
    alice.push();
    [&bob, &rita].iter().for_each(|world| world.pull());
    // She puts the signed file back as it was.
    fs::write(&file, &granted).unwrap();
    push_by_hand(&rita);
    pull_by_hand(alice);
    assert!(alice.run(&["access:grants"]).err.contains("was taken back before"));
    assert!(alice.check().contains(&"grant-revived".to_owned()));
    alice.ok(&["update", "staging/B", "three"]);
    assert!(!alice.opens_for(&rita, "staging/B"), "a new value is not for her");
}

#[test]
fn what_lay_in_the_stores_place_for_a_moment_locks_nobody_out() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    // rita may push: the store becomes a file, is merged in as one, and comes back.
    rita.git(&["checkout", "-q", "-b", "side"]);
    rita.git(&["rm", "-r", "-q", ".vsecure"]);
    fs::write(rita.project.join(".vsecure"), "no store").unwrap();
    push_by_hand_to(&rita, "side");
    rita.git(&["checkout", "-q", "main"]);
    rita.git(&["merge", "-q", "-s", "ours", "--no-edit", "side"]);
    rita.git(&["push", "-q"]);
    pull_by_hand(alice);
    assert_eq!(alice.get(A), "one", "a merge that took nothing of it");
    rita.git(&["merge", "-q", "--no-edit", "main"]);
    rita.git(&["rm", "-r", "-q", ".vsecure"]);
    fs::write(rita.project.join(".vsecure"), "no store").unwrap();
    rita.git(&["add", "-A"]);
    rita.git(&["commit", "-q", "-m", "Gone"]);
    rita.git(&["revert", "--no-edit", "HEAD"]);
    rita.git(&["push", "-q"]);
    for world in [alice, &bob] {
        pull_by_hand(world);
        assert_eq!(world.get(A), "one", "what is back as it was is not lost");
    }
    alice.ok(&["create", "production/NEW", "new"]);
    alice.git(&["push", "-q"]);
    pull_by_hand(&bob);
    assert_eq!((bob.get(A), bob.get("production/NEW")), ("one".to_owned(), "new".to_owned()));
}

#[test]
fn an_old_copy_of_the_store_beside_it_is_not_trusted_with_it() {
    let (team, bob, rita) = team();
    let copy = rita.project.join("service/.vsecure");
    fs::create_dir(rita.project.join("service")).unwrap();
    rita.sh("cp -r .vsecure service/");
    bob.ok(&["update", A, "two"]);
    bob.push();
    rita.git(&["pull", "-q", "--ff-only"]);
    push_by_hand(&rita);
    assert!(copy.is_dir());
    for world in [&team.alice, &bob] {
        pull_by_hand(world);
        let mut get = world.command("vsecure");
        get.args(["get", A]).current_dir(world.project.join("service"));
        let run = World::run_command(get, b"");
        assert_eq!((run.code, run.out.as_str()), (6, ""), "{}", run.err);
        assert_eq!(world.get(A), "two");
    }
    // A store that was moved is the same one.
    bob.git(&["rm", "-r", "-q", "service"]);
    bob.git(&["mv", ".vsecure", "moved"]);
    fs::create_dir(bob.project.join("service")).unwrap();
    bob.git(&["mv", "moved", "service/.vsecure"]);
    let mut get = bob.command("vsecure");
    get.args(["get", A]).current_dir(bob.project.join("service"));
    assert_eq!(World::run_command(get, b"").out, "two");
}

#[test]
fn what_was_refused_stays_so_when_the_remote_branch_goes_away() {
    let (team, bob, rita) = team();
    rita.sh("cp -r .vsecure/secrets ../old");
    bob.ok(&["update", A, "two"]);
    bob.push();
    rita.git(&["pull", "-q", "--ff-only"]);
    rita.sh("cp -r ../old/. .vsecure/secrets/");
    push_by_hand(&rita);
    pull_by_hand(&bob);
    bob.run(&["list"]);
    assert!(bob.refused(6, &["get", A]).contains("older state"));
    rita.git(&["push", "-q", "origin", "main:other"]);
    let remote = rita.git(&["remote", "get-url", "origin"]);
    team.alice.git(&["--git-dir", remote.trim(), "symbolic-ref", "HEAD", "refs/heads/other"]);
    rita.git(&["push", "-q", "origin", ":main"]);
    bob.git(&["fetch", "-q", "--prune"]);
    assert!(bob.refused(6, &["get", A]).contains("older state"));
}

#[test]
fn a_partial_clone_goes_on_between_fetch_and_pull() {
    for filter in ["blob:none", "tree:0"] {
        let (team, bob, _) = team();
        let remote = bob.git(&["remote", "get-url", "origin"]);
        bob.git(&["--git-dir", remote.trim(), "config", "uploadpack.allowFilter", "true"]);
        let partial = bob.home.join("partial");
        bob.git(&[
            "clone",
            "-q",
            &format!("--filter={filter}"),
            &format!("file://{}", remote.trim()),
            partial.to_str().unwrap(),
        ]);
        let get = || {
            let mut get = bob.command("vsecure");
            get.args(["get", A]).current_dir(&partial);
            World::run_command(get, b"")
        };
        assert_eq!(get().out, "one");
        team.alice.ok(&["env:add", "extra", "--yes"]);
        team.alice.ok(&["update", A, "two"]);
        team.alice.push();
        bob.git_in(&partial, &["fetch", "-q"]);
        let fetched = get();
        assert_eq!((fetched.code, fetched.out.as_str()), (0, "one"), "{filter}: {}", fetched.err);
        bob.git_in(&partial, &["pull", "-q"]);
        assert_eq!(get().out, "two", "{filter}");
    }
}

#[test]
fn what_is_no_file_of_a_store_in_history_stands_in_nobodys_way() {
    let (team, bob, rita) = team();
    let alice = &team.alice;
    alice.ok(&["grant-access", "staging/B", "--user", "rita", "--duration", "1h"]);
    alice.push();
    rita.pull();
    // rita has no key that counts for any of this, and takes it back at once.
    let giant = "x".repeat(70_000);
    for name in ["secrets/production/A.yaml", "grants/00000000000000000000000000000000.yaml"] {
        fs::write(rita.file(name), &giant).unwrap();
    }
    rita.git(&["add", "-A"]);
    rita.git(&["commit", "-q", "-m", "Giants"]);
    for name in ["secrets/production/A.yaml", "grants/11111111111111111111111111111111.yaml"] {
        let entry = format!("160000,{},.vsecure/{name}", "1".repeat(40));
        rita.git(&["update-index", "--add", "--cacheinfo", &entry]);
    }
    rita.git(&["commit", "-q", "-m", "Submodules"]);
    rita.git(&["revert", "--no-edit", "HEAD", "HEAD~1"]);
    rita.git(&["push", "-q"]);
    pull_by_hand(alice);
    alice.run(&["list"]);
    alice.ok(&["update", "staging/B", "three"]);
    alice.ok(&["audit:logs"]);
    assert_eq!(alice.get(A), "one", "it is back as it was");
    alice.ok(&["update", A, "two"]);
    assert_eq!(alice.json(&["versions", A])["versions"].as_array().unwrap().len(), 2);
    alice.push();
    bob.pull();
    assert_eq!(bob.get(A), "two");
}
