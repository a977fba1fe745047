//! Rules come from a file or an editor, and every epoch of them is known.

use std::fs;

use crate::support::World;
use crate::team::Team;

const GUIDE: &str =
    r#"{"secrets": {"production/*": {"read": ["engineers", "devops"], "write": ["devops"], "delete": ["admins"]}}}"#;

fn apply(world: &World, content: &str, more: &[&str]) -> crate::support::Run {
    let mut all = vec!["policy:apply", "-"];
    all.extend(more);
    world.run_with(&all, content.as_bytes())
}

#[test]
fn the_guides_document_is_taken_as_it_stands_and_keeps_the_first_rule() {
    let team = Team::with_secrets(&[("staging/B", "two")]);
    let alice = &team.alice;
    let file = team.file("access.json", GUIDE);
    alice.ok(&["policy:apply", &file, "--yes"]);
    let shown = alice.json(&["policy:show"]);
    assert_eq!(shown["secrets"].as_object().unwrap().keys().collect::<Vec<_>>(), ["**", "production/*"]);
    let guide: serde_json::Value = serde_json::from_str(GUIDE).unwrap();
    assert_eq!(shown["secrets"]["production/*"], guide["secrets"]["production/*"]);
    assert_eq!(shown["roles"], serde_json::json!(["admins", "engineers", "devops"]), "naming a role declares it");
    assert!(alice.run(&["policy:apply", &file, "--yes"]).err.contains("nothing changes"));
    // What is printed can be applied again.
    let table = serde_json::json!({ "secrets": shown["secrets"] }).to_string();
    assert!(apply(alice, &table, &["--yes"]).err.contains("nothing changes"));
    let yaml = "# by environment\nsecrets:\n  staging/*:\n    read: [alice]\n    write: [alice@example.com]\n    max_grant: 2h\n    on_expired: refuse\n";
    assert_eq!(apply(alice, yaml, &["--yes"]).code, 0);
    let rule = &alice.json(&["policy:show"])["secrets"]["staging/*"];
    assert_eq!((&rule["max_grant"], &rule["on_expired"]), (&"2h".into(), &"refuse".into()));
}

#[test]
fn rules_that_would_lock_somebody_out_are_refused_and_what_is_no_table_too() {
    let team = Team::with_secrets(&[("production/A", "one"), ("staging/B", "two")]);
    let alice = &team.alice;
    let refuse = |code: i32, content: &str, more: &[&str]| {
        let file = team.file("rules", content);
        let mut all = vec!["policy:apply", &file, "--yes"];
        all.extend(more);
        alice.refused(code, &all)
    };
    // Nobody is in the guide's roles yet: the secret would be lost.
    let error = refuse(5, GUIDE, &[]);
    assert!(error.contains("nobody could read `production/A`") && error.contains("access:list"), "{error}");
    assert!(refuse(5, GUIDE, &["--replace"]).contains("nobody could read"));
    let admins = GUIDE.replace("engineers", "admins");
    assert!(refuse(5, &admins, &[]).contains("nobody could write"));
    for (content, expected) in [
        ("", "table of rules"),
        ("{}", "secrets"),
        ("not: [a table", "table of rules"),
        (r#"{"secrets": {"a/*": {"raed": ["x"]}}}"#, "raed"),
        (r#"{"secrets": {"a/**/b": {}}}"#, "line 1"),
        (r#"{"secrets": {"a/*": {}, "a/*": {"read": ["x"]}}}"#, "a/*"),
        (r#"{"secrets": {"a/A*": {}, "a/*A": {}}}"#, "equally specific"),
        (r#"{"secrets": {"a/*": {"read": ["eve@example.com"]}}}"#, "no member has that address"),
    ] {
        let error = refuse(2, content, &[]);
        assert!(error.contains(expected), "{content}: {error}");
    }
    alice.refused(1, &["policy:apply", "no-such-file", "--yes"]);
    assert!(
        alice
            .refused(2, &["policy:apply", &team.file("ok", r#"{"secrets": {"a/*": {"read": ["x"]}}}"#)])
            .contains("--yes")
    );
    let bob = team.joins("bob", "devops");
    assert!(bob.refused(4, &["policy:apply", &team.file("ok", GUIDE), "--yes"]).contains("no admin"));
}

#[test]
fn every_epoch_is_listed_and_compared() {
    let team = Team::new();
    let alice = &team.alice;
    team.joins("bob", "devops");
    team.rules(GUIDE);
    alice.git(&["tag", "before"]);
    alice.ok(&["env:add", "qa", "--yes"]);
    let history = alice.json(&["policy:history"]);
    let epochs = history["epochs"].as_array().unwrap();
    assert_eq!(epochs.iter().map(|it| it["epoch"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!(epochs[0]["changes"][0], serde_json::json!({ "part": "environment qa", "before": null, "after": "" }));
    assert!(
        alice
            .ok(&["policy:history"])
            .contains("+ rule production/*: read engineers, devops; write devops; delete admins")
    );
    assert!(alice.ok(&["policy:diff", "1", "2"]).contains("+ member bob: bob@example.com; devops; age1"));
    assert_eq!(alice.ok(&["policy:diff", "before", "HEAD"]), "+ environment qa\n");
    assert_eq!(alice.ok(&["policy:diff", "4", "before"]), "- environment qa\n");
    assert_eq!(alice.json(&["policy:diff", "1", "3"])["changes"].as_array().unwrap().len(), 4);
    assert!(alice.refused(3, &["policy:diff", "1", "9"]).contains("newest is 4"));
    alice.refused(3, &["policy:diff", "1", "no-such-branch"]);
    assert!(alice.ok(&["policy:show"]).starts_with("# epoch 4 of "));
}

#[test]
fn a_policy_is_changed_in_an_editor() {
    let team = Team::with_secrets(&[("production/A", "one")]);
    let alice = &team.alice;
    let edit = |script: &str, more: &[&str]| {
        let mut command = alice.command("vsecure");
        command.args(["policy:edit"]).args(more).env("EDITOR", script);
        World::run_command(command, b"")
    };
    let state = alice.state();
    assert!(edit("true", &["--yes"]).err.contains("nothing changes"));
    assert_eq!(edit("false", &["--yes"]).code, 1);
    assert_eq!(edit("sed -i s/staging/production/", &["--yes", "-n"]).code, 5, "an environment twice is refused");
    for (script, expected) in [
        ("sed -i s/^roles:/rolls:/", "no policy"),
        ("sed -i 's/\"admins\"/\"others\"/'", "no admin any more"),
        ("sed -i '/\"production\"/d'", "holds secrets: 1"),
        ("sed -i 's/\"alice\":/\"guest-alice\":/'", "guest"),
    ] {
        let run = edit(script, &["--yes"]);
        assert!(run.code != 0 && run.err.contains(expected), "{script}: {}", run.err);
    }
    assert_eq!(edit("sed -i s/staging/test/", &[]).code, 2, "nobody to ask");
    assert!(alice.refused(2, &["policy:edit"]).contains("EDITOR"));
    assert_eq!(alice.state(), state);
    assert_eq!(edit("sed -i s/staging/test/", &["--yes"]).code, 0);
    assert_eq!(alice.ok(&["env:list"]), "development\ntest\nproduction\ndefault\n");
}

#[test]
fn a_policy_that_is_none_is_edited_again_by_whoever_says_so() {
    let team = Team::with_secrets(&[("production/A", "one")]);
    let alice = &team.alice;
    // Breaks it the first time, and mends it the second.
    let editor = team.file(
        "editor",
        "#!/bin/sh\nif grep -q ^roles: \"$1\"; then sed -i s/^roles:/rolls:/ \"$1\"\nelse cp \"$1\" \"$0.seen\"; sed -i 's/^rolls:/roles:/; s/staging/test/' \"$1\"; fi\n",
    );
    alice.sh(&format!("chmod 700 {editor}"));
    let line = format!("EDITOR={editor} vsecure policy:edit");
    let state = alice.state();
    for answers in ["no", "yes\nno", ""] {
        let run = alice.on_terminal(&line, answers);
        assert!(run.out.contains("what you wrote is no policy") && run.out.contains("Edit it again?"), "{}", run.out);
        assert_eq!(run.out.contains("vsecure policy:show"), !answers.starts_with("yes"), "{answers:?}: {}", run.out);
        assert_ne!(run.code, 0, "{answers:?}: {}", run.out);
        assert_eq!(alice.state(), state, "{answers:?}");
    }
    let run = alice.on_terminal(&line, "yes\nyes");
    assert_eq!(run.code, 0, "{}", run.out);
    assert_eq!(alice.ok(&["env:list"]), "development\ntest\nproduction\ndefault\n");
    let seen = fs::read_to_string(format!("{editor}.seen")).unwrap();
    assert!(seen.contains("rolls:"), "what was written goes on to be edited: {seen}");
}

#[test]
fn a_bar_shows_on_a_terminal_how_far_re_encryption_is() {
    let team = Team::new();
    let alice = &team.alice;
    let values: String = (0..25).map(|number| format!("SECRET_{number}=value\n")).collect();
    alice.ok(&["import", &team.file("values.env", &values), "--env", "production"]);
    alice.push();
    let add = |name: &str| {
        team.joins(name, "");
        let read = format!(r#"{{"secrets": {{"production/*": {{"read": ["alice", "{name}"], "write": ["alice"]}}}}}}"#);
        team.file(&format!("{name}.json"), &read)
    };
    let rules = add("bob");
    let piped = alice.run(&["policy:apply", &rules, "--yes"]);
    assert!(piped.code == 0 && !piped.err.contains("encrypting"), "{}", piped.err);
    let rules = add("carol");
    let mut command = alice.command("script");
    command.args(["-qec", &format!("vsecure policy:apply {rules} --yes"), "/dev/null"]).env("TERM", "xterm");
    let shown = World::run_command(command, b"");
    assert_eq!(shown.code, 0, "{}", shown.out);
    assert!(shown.out.contains("encrypting") && shown.out.contains("/25 ["), "{}", shown.out);
    let last = shown.out.rsplit('\n').nth(1).unwrap_or_default();
    assert!(!last.contains("encrypting"), "it is taken away at the end: {}", shown.out);
    assert!(alice.run(&["verify"]).out.is_empty());
}

#[test]
fn two_admins_change_the_policy_at_once() {
    let team = Team::with_secrets(&[("production/A", "one")]);
    let alice = &team.alice;
    let bob = team.joins("bob", "admins");
    bob.ok(&["env:add", "bobs", "--yes"]);
    alice.ok(&["env:add", "alices", "--yes"]);
    alice.push();
    alice.refused(5, &["policy:rebase", "--yes"]);
    bob.git(&["fetch", "-q"]);
    let run = bob.run(&["get", "production/A"]);
    assert!(run.out == "one" && run.err.contains("separate ways"), "{}", run.err);
    assert!(bob.refused(5, &["update", "production/A", "two"]).contains("policy:rebase"));
    assert!(bob.refused(2, &["policy:rebase"]).contains("--yes"));
    bob.ok(&["policy:rebase", "--yes"]);
    assert_eq!(bob.ok(&["env:list"]), "development\nstaging\nproduction\nalices\nbobs\ndefault\n");
    bob.ok(&["update", "production/A", "two"]);
    // The branch itself is brought together by git: what is alices is the same on both sides.
    bob.git(&["merge", "-q", "-X", "ours", "origin/main", "-m", "Merge"]);
    bob.push();
    alice.pull();
    assert_eq!(alice.get("production/A"), "two");
    assert_eq!(alice.ok(&["env:list"]), bob.ok(&["env:list"]));
    assert!(fs::read_dir(alice.file("policy")).unwrap().count() >= 4);
}
