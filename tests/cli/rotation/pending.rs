//! A pending value beside everything else that is done with a secret: who can open it, who is exposed to it, and what refuses to go on.

use std::fs;

use super::{HOOK, PLACE, SECRET, begin_and_push, calls, fail_at, fails, state, with_hook};
use crate::support::{CANARY, World};
use crate::team::Team;

const PENDING: &str = "production/DB.next";

/// A secret whose rotation has failed at its test: there is a pending value.
fn pending() -> World {
    let world = with_hook(HOOK);
    fail_at(&world, "test");
    fails(&world, &["rotation:run", SECRET]);
    world
}

/// A team whose alice has a rotation under way, with these members beside her.
fn team_with_pending(others: &[&str]) -> (Team, Vec<World>) {
    let team = Team::with_secrets(&[(SECRET, CANARY)]);
    let people: Vec<World> = others.iter().map(|name| team.joins(name, "admins")).collect();
    begin_and_push(&team.alice);
    people.iter().for_each(World::pull);
    (team, people)
}

#[test]
fn stock_age_opens_a_pending_value_and_no_other_place_takes_it() {
    let world = pending();
    let mut age = world.command("age");
    age.arg("-d").arg("-i").arg(world.identity()).arg(world.file("secrets/production/DB.next.age"));
    assert_eq!(World::run_command(age, b"").out, format!("{CANARY}-next"));
    let next = &world.json(&["describe", SECRET])["next"];
    assert_eq!((&next["version"], &next["author"]), (&2.into(), &"alice".into()));
    assert_eq!(next["token"].as_str().unwrap().len(), 64);
    // It is no secret of its own.
    assert_eq!(world.ok(&["list"]), format!("{SECRET}\n"));
    world.refused(2, &["get", PENDING]);
    assert_eq!(world.json(&["verify", "--decrypt"])["opened"], 2);
}

#[test]
fn a_scan_looks_for_pending_values_too() {
    let world = pending();
    fs::remove_file(world.project.join("target")).unwrap();
    assert_eq!(world.run(&["scan"]).code, 0);
    fs::write(world.project.join("notes"), format!("{CANARY}-next")).unwrap();
    let run = world.run(&["scan"]);
    assert_eq!(run.code, 8);
    assert!(run.out.contains("notes:1: production/DB v2 (raw)"), "{}", run.out);
    assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY));
}

#[test]
fn what_would_take_the_next_version_is_refused_and_says_what_to_do() {
    let world = pending();
    world.ok(&["create", "production/OTHER", "x"]);
    fs::write(world.home.join("env"), "DB=imported\n").unwrap();
    for arguments in [
        &["update", SECRET, "two"][..],
        &["update", SECRET, "two", "--no-commit"],
        &["set", SECRET, "two"],
        &["rename", SECRET, "NEW"],
        &["import", "../home/env", "--env", "production", "--update"],
        &["rotation:set", SECRET, "--off"],
        &["rotation:set", SECRET, "--period", "30d", "--generate"],
        &["update", SECRET, "--no-rotation"],
        &["revert", "HEAD~1"],
    ] {
        let error = world.refused(5, arguments);
        assert!(error.contains(&format!("rotation:run {SECRET}")) && error.contains("rotation:cancel"), "{error}");
    }
    fs::remove_file(world.project.join("fail")).unwrap();
    world.ok(&["rotation:run", SECRET]);
    fail_at(&world, "set");
    fails(&world, &["rotation:run", SECRET]);
    world.refused(5, &["rollback", SECRET]);
}

#[test]
fn what_leaves_the_value_alone_keeps_a_pending_one() {
    let world = pending();
    let file = || fs::read(world.file("secrets/production/DB.next.age")).unwrap();
    let before = file();
    world.ok(&["update", SECRET, "--add-tag", "x", "--expires-in", "1d"]);
    world.ok(&["rotation:set", SECRET, "--period", "60d", "--hook", PLACE]);
    world.ok(&["copy", SECRET, "staging/DB"]);
    assert_eq!((file(), world.get("staging/DB").as_str()), (before, CANARY));
    assert!(world.json(&["describe", "staging/DB"])["next"].is_null());
    assert_eq!(world.run(&["verify", "--decrypt"]).code, 0);
    fs::remove_file(world.project.join("fail")).unwrap();
    world.ok(&["rotation:run", SECRET]);
    assert_eq!((calls(&world).1, world.get(SECRET)), (1, format!("{CANARY}-next")));
}

#[test]
fn deleting_a_secret_takes_its_pending_value_along() {
    let world = pending();
    world.ok(&["delete", SECRET]);
    assert!(!world.file("secrets/production/DB.next.age").exists());
    assert_eq!(world.git(&["status", "--porcelain", "--", ".vsecure"]), "");
    world.ok(&["restore", SECRET]);
    assert!(world.json(&["describe", SECRET])["next"].is_null());
    assert_eq!((world.get(SECRET).as_str(), world.run(&["verify"]).code), (CANARY, 0));
    fs::remove_file(world.project.join("fail")).unwrap();
    world.ok(&["rotation:run", SECRET]);
    assert_eq!((calls(&world).1, world.get(SECRET)), (2, format!("{CANARY}-next")));
}

#[test]
fn a_new_reader_gets_the_pending_value_too_and_goes_on_with_it() {
    let (team, _) = team_with_pending(&[]);
    assert_eq!(state(&team.alice), "failed");
    let bob = team.joins("bob", "admins");
    assert!(bob.opens(SECRET) && bob.opens(PENDING));
    assert!(team.alice.check().is_empty());
    // Another clone knows that it is under way, and not what failed.
    assert_eq!(state(&bob), "in-progress");
    bob.ok(&["trust:hook", PLACE]);
    bob.ok(&["rotation:run", SECRET]);
    assert_eq!(bob.get(SECRET), format!("{CANARY}-next"));
    let described = bob.json(&["describe", SECRET]);
    assert_eq!((&described["author"], &described["value_author"]), (&"bob".into(), &"alice".into()));
    let token = |world: &World| {
        let text = fs::read_to_string(world.project.join("calls")).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(token(&bob), token(&team.alice), "the same rotation to its end");
    bob.push();
    team.alice.pull();
    assert_eq!(state(&team.alice), "ok");
    team.alice.refused(3, &["rotation:cancel", SECRET]);
}

#[test]
fn somebody_who_leaves_in_the_midst_knows_the_pending_value() {
    let (team, people) = team_with_pending(&["bob"]);
    let (alice, bob) = (&team.alice, &people[0]);
    assert!(bob.opens(PENDING));
    alice.ok(&["members:remove", "bob", "--yes"]);
    assert!(!alice.opens_for(bob, SECRET) && !alice.opens_for(bob, PENDING), "both were encrypted anew");
    let next = &alice.json(&["describe", SECRET])["next"];
    assert_eq!((next["recipients"].as_array().unwrap().len(), &next["exposed_to"][0]["member"]), (1, &"bob".into()));
    assert_eq!(alice.debts(), [format!("{SECRET} bob")]);
    assert_eq!(alice.run(&["verify", "--decrypt"]).code, 0);
    alice.push();
    fs::remove_file(alice.project.join("fail")).unwrap();
    alice.ok(&["rotation:run", SECRET]);
    assert_eq!(calls(alice).1, 1, "the same rotation, though its file is another");
    assert_eq!(alice.debts(), [format!("{SECRET} bob")], "he knows the new value as well");
    alice.ok(&["rotation:run", SECRET]);
    assert_eq!(alice.debts(), Vec::<String>::new());
}

#[test]
fn a_grant_opens_both_values_until_it_is_taken_back() {
    let (team, _) = team_with_pending(&[]);
    let alice = &team.alice;
    alice.ok(&[
        "policy:apply",
        &team
            .file("rules.json", r#"{"secrets": {"**": {"read": ["alice"], "write": ["alice"], "delete": ["alice"]}}}"#),
        "--yes",
    ]);
    alice.push();
    let bob = team.joins("bob", "engineers");
    assert!(!bob.opens(SECRET) && !bob.opens(PENDING));
    alice.ok(&["grant-access", SECRET, "--user", "bob", "--duration", "1h"]);
    assert!(alice.opens_for(&bob, SECRET) && alice.opens_for(&bob, PENDING));
    alice.ok(&["revoke-access", SECRET, "--user", "bob"]);
    assert!(!alice.opens_for(&bob, SECRET) && !alice.opens_for(&bob, PENDING));
    assert_eq!(alice.debts(), [format!("{SECRET} bob")]);
    assert!(alice.run(&["verify", "--decrypt"]).code == 0);
}

#[test]
fn who_lacks_a_key_for_one_of_the_values_leaves_both_to_others() {
    let (team, people) = team_with_pending(&["bob"]);
    let (alice, bob) = (&team.alice, &people[0]);
    // bob can't re-encrypt what he may not write.
    team.rules(r#"{"secrets": {"production/*": {"read": ["alice", "bob"], "write": ["alice"]}}}"#);
    let carol = team.clone_of("carol");
    let request = team.file("carol.yaml", &carol.ok(&["members:request"]));
    bob.pull();
    bob.ok(&["members:add", &request, "--roles", "readers", "--yes"]);
    bob.ok(&[
        "policy:apply",
        &team.file(
            "more.json",
            r#"{"secrets": {"production/*": {"read": ["alice", "bob", "carol"], "write": ["alice"]}}}"#,
        ),
        "--yes",
    ]);
    assert!(bob.check().contains(&"reader-missing".to_owned()));
    bob.push();
    alice.pull();
    alice.ok(&["rekey"]);
    assert!(alice.opens_for(&carol, SECRET) && alice.opens_for(&carol, PENDING));
    assert!(alice.check().is_empty(), "{:?}", alice.check());
}

#[test]
fn a_pending_file_that_is_not_as_signed_is_found_and_not_used() {
    let world = pending();
    let place = world.file("secrets/production/DB.next.age");
    let good = fs::read(&place).unwrap();
    fs::remove_file(world.project.join("fail")).unwrap();
    let findings = || {
        let run = world.run(&["verify", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let all = told["findings"].as_array().unwrap().clone();
        assert_eq!(run.code, 8, "{all:?}");
        all.iter()
            .map(|it| format!("{} {}", it["rule"].as_str().unwrap(), it["file"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let current = fs::read(world.file("secrets/production/DB.age")).unwrap();
    for (content, rule) in
        [(Some(current), "value-replaced"), (Some(b"junk".to_vec()), "value-replaced"), (None, "value-missing")]
    {
        match content {
            Some(content) => fs::write(&place, content).unwrap(),
            None => fs::remove_file(&place).unwrap(),
        }
        assert_eq!(findings(), [format!("{rule} secrets/production/DB.next.age")]);
        for arguments in [
            &["rotation:run", SECRET][..],
            &["rotation:cancel", SECRET],
            &["update", SECRET, "--add-tag", "x"],
            &["members:add-machine", "ci", "--roles", "admins", "--yes"],
        ] {
            assert!(world.refused(6, arguments).contains("DB.next.age"), "{rule} {arguments:?}");
        }
        // The present value is none of this.
        assert_eq!(world.get(SECRET), CANARY);
    }
    fs::write(&place, good).unwrap();
    world.ok(&["rotation:run", SECRET]);
}

#[test]
fn a_pending_file_that_nobody_states_is_found_and_not_built_upon() {
    let world = with_hook(HOOK);
    fs::copy(world.file("secrets/production/DB.age"), world.file("secrets/production/DB.next.age")).unwrap();
    fs::write(world.file("secrets/production/NEW.next.age"), "junk").unwrap();
    let run = world.run(&["verify"]);
    assert_eq!(run.code, 8);
    assert!(run.out.contains("[value-unknown] secrets/production/DB.next.age"), "{}", run.out);
    assert!(run.out.contains("[unsigned] secrets/production/NEW.next.age"), "{}", run.out);
    assert!(world.refused(6, &["rotation:run", SECRET]).contains("DB.next.age"));
    assert!(world.refused(6, &["update", SECRET, "two"]).contains("DB.next.age"));
    assert!(world.refused(6, &["create", "production/NEW", "x"]).contains("NEW.next.age"));
    assert_eq!(world.get(SECRET), CANARY);
    assert!(calls(&world).0.len() <= 1, "the target was not touched: {:?}", calls(&world));
}

#[test]
fn a_pull_request_that_begins_a_rotation_is_verified_from_gits_objects() {
    let (team, people) = team_with_pending(&["bob"]);
    let verify = |world: &World| world.run(&["verify", "--base", "HEAD~1", "HEAD"]);
    assert_eq!(verify(&team.alice).code, 0, "{}", verify(&team.alice).out);
    let bob = &people[0];
    fs::write(bob.file("secrets/production/DB.next.age"), "junk").unwrap();
    bob.git(&["commit", "-qam", "Another value"]);
    let run = verify(bob);
    assert!(run.code == 8 && run.out.contains("[value-replaced] secrets/production/DB.next.age"), "{}", run.out);
}

#[test]
fn adopting_a_state_drops_what_was_pending() {
    let world = pending();
    fs::write(world.file("secrets/production/DB.age"), {
        let mut age = world.command("age");
        age.args(["-r", world.json(&["keys:show"])["keys"][0]["recipient"].as_str().unwrap()]);
        World::run_command(age, b"by stock age").bytes
    })
    .unwrap();
    world.refused(6, &["get", SECRET]);
    world.ok(&["secrets:adopt", SECRET, "--yes"]);
    assert_eq!(world.get(SECRET), "by stock age");
    assert!(!world.file("secrets/production/DB.next.age").exists());
    assert_eq!((state(&world).as_str(), world.run(&["verify", "--decrypt"]).code), ("ok", 0));
}
