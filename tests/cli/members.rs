//! People and machines come, change keys and roles, and go.

use std::fs;

use crate::support::World;
use crate::team::Team;

const A: &str = "production/A";
const B: &str = "staging/B";

/// A team with secrets, and bob in the role devops, which reads and writes production.
fn with_bob() -> (Team, World) {
    let team = Team::with_secrets(&[(A, "one"), (B, "two")]);
    let bob = team.joins("bob", "devops");
    team.rules(
        r#"{"secrets": {"production/*": {"read": ["admins", "devops"], "write": ["admins", "devops"], "delete": ["admins"]}}}"#,
    );
    bob.pull();
    (team, bob)
}

#[test]
fn a_request_is_signed_and_for_one_store() {
    let team = Team::new();
    let bob = team.clone_of("bob");
    let run = bob.run(&["members:request", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((json["name"].as_str(), run.err.contains("made your private key")), (Some("bob"), true), "{}", run.err);
    let fingerprint = json["fingerprint"].as_str().unwrap();
    assert!(run.err.contains(fingerprint), "{}", run.err);
    let request = json["request"].as_str().unwrap();
    let file = team.file("bob.yaml", request);
    assert!(team.alice.run(&["members:add", &file, "-n"]).err.contains(fingerprint), "what to compare");
    let add = |name: &str, content: &str| {
        team.alice.refused(6, &["members:add", &team.file(name, content), "--yes"]);
    };
    add("forged.yaml", &request.replace("bob@example.com", "eve@example.com"));
    add("cut.yaml", &request[..request.len() / 2]);
    add("empty.yaml", "");
    let other = World::with_store();
    assert!(other.refused(6, &["members:add", &file, "--yes"]).contains("another store"));
    team.alice.refused(1, &["members:add", "no-such-file", "--yes"]);
    // Nobody who is not asked for by a name of their own.
    let named = |name: &str| team.file("named.yaml", &bob.ok(&["members:request", "--name", name]));
    team.alice.ok(&["members:add-machine", "ci", "--roles", "deployers", "--yes", "-q"]);
    for taken in ["alice", "ALICE", "admins", "deployers", "ci"] {
        assert!(team.alice.refused(5, &["members:add", &named(taken), "--yes"]).contains("already"), "{taken}");
    }
    assert!(team.alice.refused(2, &["members:add", &named("guest-1"), "--yes"]).contains("guest"));
    bob.refused(2, &["members:request", "--name", "a/b"]);
    bob.refused(2, &["members:request", "--email", "nobody"]);
}

#[test]
fn a_request_in_the_repository_goes_when_it_is_granted() {
    let team = Team::new();
    let bob = team.clone_of("bob");
    let before = bob.commits();
    bob.ok(&["members:request", "--in-repo", "--dry-run"]);
    assert!(!bob.identity().exists() && bob.commits() == before, "a dry run makes no key and no commit");
    bob.ok(&["members:request", "--in-repo", "-m", "Ask for bob"]);
    assert_eq!(bob.git(&["log", "-1", "--format=%an %s"]), "bob Ask for bob\n");
    bob.git(&["push", "-q"]);
    team.alice.pull();
    let file = team.alice.file("requests/bob.yaml");
    team.alice.ok(&["members:add", file.to_str().unwrap(), "--roles", "devops,qa", "--yes"]);
    assert!(!file.exists() && team.alice.git(&["status", "--porcelain"]).is_empty());
    let bob = &team.alice.json(&["members:show", "bob@example.com"]);
    assert_eq!((&bob["roles"], &bob["admin"]), (&serde_json::json!(["devops", "qa"]), &serde_json::json!(false)));
    assert_eq!(team.alice.ok(&["members:list"]).lines().count(), 2);
    team.alice.refused(3, &["members:show", "eve"]);
}

#[test]
fn what_changes_people_is_shown_and_asked_first() {
    let (team, bob) = with_bob();
    let alice = &team.alice;
    let state = alice.state();
    let shown = alice.run(&["members:roles", "bob", "qa", "--dry-run"]);
    assert!(shown.err.contains("bob loses read: 1 secret (production/A)"), "{}", shown.err);
    assert!(shown.err.contains("no rule names the role qa"), "{}", shown.err);
    assert_eq!(alice.state(), state);
    assert!(alice.refused(2, &["members:roles", "bob", "qa"]).contains("pass --yes"));
    let no = alice.on_terminal("vsecure members:roles bob qa", "no");
    assert!(no.code == 1 && no.out.contains("nothing was done"), "{}", no.out);
    assert_eq!(alice.state(), state);
    let yes = alice.on_terminal("vsecure members:roles bob qa", "yes");
    assert!(yes.code == 0 && yes.out.contains("bob loses read"), "{}", yes.out);
    assert_ne!(alice.state(), state);
    assert!(alice.run(&["members:roles", "bob", "qa", "--yes"]).err.contains("nothing changes"));
    let json = alice.json(&["members:roles", "bob", "devops", "--yes"]);
    assert_eq!(
        json["access"][0],
        serde_json::json!({ "member": "bob", "action": "read", "gained": true, "paths": [A] })
    );
    assert_eq!(json["reencrypted"], serde_json::json!([A]));
    // Only an admin may, and somebody has to stay one.
    alice.push();
    bob.pull();
    assert!(bob.refused(4, &["members:roles", "bob", "admins", "--yes"]).contains("no admin"));
    for last in [vec!["members:roles", "alice", "devops", "--yes"], vec!["members:remove", "alice", "--yes"]] {
        assert!(alice.refused(5, &last).contains("no admin any more"));
    }
    alice.refused(3, &["members:roles", "eve", "devops", "--yes"]);
    alice.refused(2, &["members:roles", "bob"]);
    alice.ok(&["members:roles", "bob", "--none", "--yes"]);
}

#[test]
fn a_machines_key_is_printed_once_and_only_when_it_is_in_force() {
    let (team, bob) = with_bob();
    let alice = &team.alice;
    let machine = ["members:add-machine", "ci", "--roles", "devops"];
    let with = |more: &[&str]| -> Vec<String> { machine.iter().chain(more).map(ToString::to_string).collect() };
    let run = |world: &World, more: &[&str]| {
        let arguments = with(more);
        world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let secret = "AGE-SECRET-KEY-";
    for (world, more, code) in [(alice, &["-n"][..], 0), (alice, &[][..], 2), (&bob, &["--yes"][..], 4)] {
        let tried = run(world, more);
        assert_eq!(tried.code, code, "{}", tried.err);
        assert!(!tried.out.contains(secret) && !tried.err.contains(secret), "{}", tried.out);
    }
    let made = run(alice, &["--yes"]);
    assert!(made.out.starts_with(secret) && made.out.lines().count() == 1 && !made.err.contains(secret), "{made:?}");
    assert!(run(alice, &["--yes"]).out.is_empty(), "the name is taken");
    alice.push();
    let stranger = team.clone_of("stranger");
    let mut command = stranger.command("vsecure");
    command.args(["get", A]).env("VSECURE_IDENTITY_KEY", made.out.trim());
    assert_eq!(World::run_command(command, b"").out, "one");
    assert_eq!(alice.json(&["members:show", "ci"])["email"], "ci@machine.invalid");
    // Where nobody reads it, it is said to be lost.
    let mut closed = alice.command("bash");
    closed.args(["-c", "vsecure members:add-machine other --roles devops --yes >/dev/full"]);
    let closed = World::run_command(closed, b"");
    assert!(closed.code == 1 && closed.err.contains("members:remove other"), "{}", closed.err);
}

#[test]
fn somebody_leaves_with_all_that_is_left_to_do() {
    let (team, bob) = with_bob();
    let alice = &team.alice;
    bob.ok(&["update", A, "bobs"]);
    bob.push();
    let known = bob.git(&["rev-parse", "HEAD"]);
    bob.ok(&["create", "production/C", "later"]);
    bob.push();
    alice.pull();
    let json = alice.json(&["members:remove", "bob@example.com", "--dry-run"]);
    assert_eq!((&json["signed"], &json["accepted"]), (&serde_json::json!([A, "production/C"]), &serde_json::json!([])));
    let distrust = alice.json(&["members:remove", "bob", "--accept-at", known.trim(), "--dry-run"]);
    assert_eq!(distrust["distrusted"], serde_json::json!(["production/C"]));
    alice.refused(3, &["members:remove", "bob", "--accept-at", "no-such-commit", "--yes"]);
    let run = alice.run(&["members:remove", "bob", "--accept-at", known.trim(), "--yes"]);
    assert_eq!(run.code, 0, "{}", run.err);
    for expected in ["NOT DONE", "bob knows 1 secret (production/A)", "still opens every old commit", "1 stand"] {
        assert!(run.err.contains(expected), "{expected}: {}", run.err);
    }
    assert_eq!(alice.get(A), "bobs");
    assert!(alice.refused(6, &["get", "production/C"]).contains("bob"));
    assert!(!alice.opens_for(&bob, A), "it is not encrypted to him any more");
    // alice looks, and answers for it.
    let asked = alice.refused(2, &["adopt", "production/C"]);
    assert!(asked.contains("signed by bob as v1") && asked.contains("no right"), "{asked}");
    alice.ok(&["adopt", "production/C", "--yes"]);
    assert_eq!(alice.get("production/C"), "later");
    // A name is not used again.
    let again = team.file("again.yaml", &bob.ok(&["members:request"]));
    assert!(alice.refused(5, &["members:add", &again, "--yes"]).contains("not used again"));
}

#[test]
fn keys_are_added_and_replaced_by_requests_that_they_sign() {
    let (team, bob) = with_bob();
    let alice = &team.alice;
    let laptop = team.clone_of("bob");
    let request = team.file("laptop.yaml", &laptop.ok(&["members:request"]));
    assert!(alice.refused(2, &["members:add-key", "alice", &request, "--yes"]).contains("is for `bob`"));
    alice.ok(&["members:add-key", "bob", &request, "--yes"]);
    assert!(alice.refused(5, &["members:add-key", "bob", &request, "--yes"]).contains("has this key already"));
    alice.push();
    laptop.pull();
    bob.pull();
    assert!(laptop.opens(A) && bob.opens(A));
    assert_eq!(laptop.get(A), "one");
    let third = team.clone_of("bob");
    let request = team.file("third.yaml", &third.ok(&["members:request"]));
    alice.refused(2, &["members:replace-key", "bob", &request, "--yes"]);
    alice.refused(2, &["members:replace-key", "bob", &request, "--planned", "--lost", "--yes"]);
    let lost = alice.run(&["members:replace-key", "bob", &request, "--lost", "--yes"]);
    assert!(lost.err.contains("bob knows, without a right to it: 1 secret (production/A)"), "{}", lost.err);
    assert_eq!(alice.debts(), [format!("{A} bob"), format!("{A} bob")], "by each of two keys");
    assert_eq!(alice.json(&["members:show", "bob"])["lost"].as_array().unwrap().len(), 2);
    alice.push();
    laptop.pull();
    third.pull();
    assert!(third.opens(A) && !laptop.opens(A));
    laptop.refused(4, &["get", A]);
    alice.ok(&["update", A, "new"]);
    assert!(alice.debts().is_empty());
}

#[test]
fn environments_are_added_and_go_when_they_are_empty() {
    let team = Team::with_secrets(&[(A, "one")]);
    let alice = &team.alice;
    assert!(alice.refused(5, &["env:remove", "production", "--yes"]).contains("holds secrets: 1"));
    alice.refused(5, &["env:add", "staging", "--yes"]);
    alice.refused(5, &["env:add", "Staging", "--yes"]);
    alice.refused(3, &["env:remove", "qa", "--yes"]);
    alice.refused(2, &["env:add", "a/b", "--yes"]);
    alice.refused(3, &["create", "NEW", "x", "--env", "qa"]);
    alice.ok(&["env:add", "qa", "--yes"]);
    alice.ok(&["create", "NEW", "x", "--env", "qa"]);
    alice.ok(&["env:remove", "staging", "--yes"]);
    assert_eq!(alice.ok(&["env:list"]), "development\nproduction\nqa\ndefault\n");
    alice.ok(&["delete", A]);
    alice.ok(&["env:remove", "production", "--yes"]);
    assert_eq!(alice.json(&["env:list"])["environments"], serde_json::json!(["development", "qa", "default"]));
}

#[test]
fn a_recovery_identity_rescues_a_store_whose_only_admin_is_gone() {
    let (team, bob) = with_bob();
    let alice = &team.alice;
    assert!(alice.run(&["keys:recovery", "-n"]).out.is_empty());
    let line = alice.run(&["keys:recovery", "--yes"]).out;
    assert!(line.starts_with("AGE-SECRET-KEY-"), "{line}");
    assert!(alice.check().is_empty());
    alice.refused(5, &["keys:recovery", "--yes"]);
    // A rule that leaves it out is noticed at once.
    let narrow =
        team.file("narrow.json", r#"{"secrets": {"development/*": {"read": ["devops"], "write": ["devops"]}}}"#);
    assert!(alice.run(&["policy:apply", &narrow, "--yes"]).err.contains("recovery identity can't read"));
    alice.push();
    // alice's key is gone. From a fresh clone, with the paper from the safe:
    let rescue = team.clone_of("rescue");
    fs::create_dir_all(rescue.home.join(".config/vsecure")).unwrap();
    fs::write(rescue.home.join("paper"), &line).unwrap();
    rescue.sh("chmod 600 $HOME/paper");
    let with_paper = |arguments: &[&str]| {
        let mut all = vec!["--identity", rescue.home.to_str().unwrap()];
        let paper = rescue.home.join("paper");
        all[1] = paper.to_str().unwrap();
        all.extend(arguments);
        rescue.ok(&all)
    };
    assert_eq!((with_paper(&["get", A]), with_paper(&["get", B])), ("one".to_owned(), "two".to_owned()));
    bob.pull();
    let carol = team.clone_of("carol");
    let request = team.file("carol.yaml", &carol.ok(&["members:request"]));
    with_paper(&["members:add", &request, "--roles", "admins", "--yes"]);
    with_paper(&["members:remove", "alice", "--yes"]);
    rescue.push();
    carol.pull();
    bob.pull();
    assert_eq!((carol.get(A), carol.get(B)), ("one".to_owned(), "two".to_owned()));
    assert_eq!(bob.get(A), "one");
    assert!(!carol.opens_for(alice, A), "the lost key opens nothing new");
    carol.ok(&["update", B, "three"]);
}
