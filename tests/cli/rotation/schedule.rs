//! When a value is due, who says so, and new values without a hook.

use std::thread;
use std::time::Duration;

use vsecure::model::Timestamp;

use super::{SECRET, state};
use crate::support::{CANARY, World};

fn seconds(value: &serde_json::Value) -> i64 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().unix()
}

#[test]
fn the_schedule_counts_from_the_last_change_of_the_value() {
    let world = World::with_store();
    world.ok(&["create", SECRET, "one", "--rotate-every", "30d", "--notify-before", "7d"]);
    let due = || {
        let entry = &world.json(&["rotation:status"])["rotations"][0];
        assert_eq!(seconds(&entry["due_at"]) - seconds(&entry["updated_at"]), 30 * 86_400);
        seconds(&entry["due_at"])
    };
    let first = due();
    let described = &world.json(&["describe", SECRET])["rotation"];
    let expected = serde_json::json!({
        "enabled": true, "period": "30d", "notify_before": "7d", "generator": null, "hook": null,
    });
    assert_eq!(*described, expected);
    assert_eq!(world.json(&["list"])["secrets"][0]["rotation"], expected);
    thread::sleep(Duration::from_millis(1100));
    world.ok(&["update", SECRET, "--add-tag", "x"]);
    world.ok(&["members:add-machine", "ci", "--roles", "admins", "--yes"]);
    assert_eq!(due(), first, "neither a tag nor a reader makes a value younger");
    world.ok(&["update", SECRET, "two"]);
    assert!(due() > first);
    assert_eq!(state(&world), "ok");
    assert!(world.ok(&["describe", SECRET]).contains("every 30d, by a person, due at"));
}

#[test]
fn a_schedule_is_changed_and_taken_away() {
    let world = World::with_secrets(&[(SECRET, "one")]);
    let rotation = || world.json(&["describe", SECRET])["rotation"].clone();
    world.ok(&["rotation:set", SECRET, "--period", "2w", "--notify-before", "1d", "--generate=hex=16"]);
    assert_eq!((&rotation()["period"], &rotation()["generator"]), (&"14d".into(), &"hex=16".into()));
    world.ok(&["update", SECRET, "--rotate-every", "60d"]);
    let expected = serde_json::json!({
        "enabled": true, "period": "60d", "notify_before": null, "generator": "hex=16", "hook": null,
    });
    assert_eq!(rotation(), expected, "how a value is made stays");
    assert_eq!(world.json(&["describe", SECRET])["version"], 1, "no new value: no new version");
    let before = world.commits();
    world.ok(&["update", SECRET, "--rotate-every", "60d"]);
    assert_eq!(world.commits(), before, "nothing changed");
    world.ok(&["rotation:set", SECRET, "--off"]);
    assert!(rotation().is_null());
    world.ok(&["rotation:set", SECRET, "--period", "30d"]);
    world.ok(&["update", SECRET, "--no-rotation"]);
    assert!(rotation().is_null());
    assert_eq!(world.json(&["rotation:status"])["rotations"], serde_json::json!([]));
    let off = serde_json::json!({ "due_soon": [], "overdue": [], "in_progress": [], "failed": [] });
    assert_eq!(world.json(&["status"])["rotation"], off);
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused() {
    let world = World::with_secrets(&[(SECRET, "one")]);
    let late = ["--period", "7d", "--notify-before", "8d"];
    assert!(world.refused(2, &[&["rotation:set", SECRET], &late[..]].concat()).contains("7d"));
    world.refused(2, &["update", SECRET, "--rotate-every", "7d", "--notify-before", "8d"]);
    world.refused(2, &["create", "production/NEW", "x", "--rotate-every", "7d", "--notify-before", "8d"]);
    for arguments in [
        &["rotation:set", SECRET][..],
        &["rotation:set", SECRET, "--period", "0d"],
        &["rotation:set", SECRET, "--period", "30d", "--off"],
        &["rotation:set", SECRET, "--period", "30d", "--hook", "/bin/sh"],
        &["rotation:set", SECRET, "--period", "30d", "--hook", "../rotate.sh"],
        &["rotation:set", SECRET, "--period", "30d", "--hook", ".git/hooks/x"],
        &["rotation:set", SECRET, "--period", "30d", "--generate=3"],
        &["update", SECRET, "--notify-before", "7d"],
        &["rotation:run"],
        &["rotation:run", SECRET, "--due"],
        &["rotation:run", SECRET, "--tags", "x"],
    ] {
        world.refused(2, arguments);
    }
    assert!(world.refused(3, &["rotation:run", SECRET]).contains("rotation:set"));
    world.refused(3, &["rotation:run", "NONE"]);
    world.refused(3, &["rotation:set", "NONE", "--period", "30d"]);
}

#[test]
fn what_is_due_is_said_from_the_day_on_that_was_asked_for() {
    let world = World::with_store();
    world.ok(&["create", "production/SOON", "1", "--rotate-every", "30d", "--notify-before", "30d"]);
    world.ok(&["create", "production/LATE", "2", "--rotate-every", "1s", "--tags", "production,x"]);
    world.ok(&["create", "production/FINE", "3", "--rotate-every", "30d", "--notify-before", "29d"]);
    world.ok(&["create", "production/NEVER", "4"]);
    world.ok(&["rotation:set", "SOON", "--period", "30d", "--notify-before", "30d", "--generate"]);
    thread::sleep(Duration::from_millis(1100));
    let status = world.json(&["rotation:status"]);
    let states: Vec<String> = status["rotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["name"].as_str().unwrap(), it["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, ["FINE ok", "LATE overdue", "SOON due-soon"]);
    let text = world.ok(&["rotation:status"]);
    assert!(text.contains("production/LATE\toverdue\t") && text.contains("\t1s\ta person\n"), "{text}");
    let code = |arguments: &[&str]| world.run(&[&["rotation:status"], arguments].concat()).code;
    assert_eq!(code(&["--fail-on", "due-soon"]), 8);
    assert_eq!(code(&["--fail-on", "overdue"]), 8);
    assert_eq!(code(&["--fail-on", "overdue", "--except", "LATE"]), 0);
    assert_eq!(code(&["--fail-on", "due-soon", "--except", "LATE"]), 8);
    assert_eq!(code(&["--fail-on", "due-soon", "--only", "FINE"]), 0);
    assert_eq!(code(&["--fail-on", "due-soon", "--env", "staging"]), 0);
    assert_eq!(code(&["--tags", "x", "--fail-on", "overdue"]), 8);
    let here = &world.json(&["status"])["rotation"];
    assert_eq!((&here["overdue"][0], &here["due_soon"][0]), (&"production/LATE".into(), &"production/SOON".into()));
    assert!(world.ok(&["status"]).contains("overdue: production/LATE"));
    let run = world.run(&["exec", "--env", "production", "--", "true"]);
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!((run.code, lines.len()), (0, 2), "{}", run.err);
    assert!(
        lines[0].contains("LATE is due for rotation since") && lines[0].ends_with("secrets:update production/LATE")
    );
    assert!(lines[1].contains("SOON is due for rotation at") && lines[1].ends_with("rotation:run production/SOON"));
    let run = world.run(&["exec", "--env", "production", "--only", "FINE,NEVER", "--", "true"]);
    assert_eq!(run.err, "");
}

#[test]
fn a_generators_value_is_current_with_one_commit() {
    let world = World::with_store();
    world.ok_with(&["create", SECRET, "-", "--expires-at", "2020-01-01"], CANARY.as_bytes());
    world.ok(&["rotation:set", SECRET, "--period", "30d", "--generate=hex=16"]);
    let before = world.commits();
    let dry = world.json(&["rotation:run", SECRET, "--dry-run"]);
    assert_eq!((&dry["change"], &dry["version"], world.commits()), (&"rotate".into(), &2.into(), before));
    assert_eq!(world.get(SECRET), CANARY);
    let run = world.run(&["rotation:run", SECRET, "-m", "Quarterly"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("v2: rotated") && run.err.contains("the expiry of 2020-01-01"), "{}", run.err);
    let value = world.get(SECRET);
    assert!(value.len() == 32 && value.bytes().all(|c| c.is_ascii_hexdigit()), "{value}");
    assert_eq!((world.commits(), world.git(&["log", "-1", "--format=%s"]).as_str()), (before + 1, "Quarterly\n"));
    let newest = &world.json(&["versions", SECRET])["versions"][0];
    assert_eq!((&newest["version"], &newest["change"]), (&2.into(), &"rotate".into()));
    assert!(world.json(&["describe", SECRET])["expires_at"].is_null());
    assert!(world.ok(&["audit:logs", "--action", "rotated"]).contains(SECRET));
    assert_eq!(world.ok(&["get", SECRET, "--version", "1"]), CANARY);
    assert!(!run.err.contains(&value), "the value is not shown");
}

#[test]
fn what_a_person_must_bring_is_named() {
    let world = World::with_store();
    world.ok(&["create", SECRET, "one", "--rotate-every", "30d"]);
    let error = world.refused(8, &["rotation:run", SECRET]);
    assert!(error.contains(&format!("vsecure secrets:update {SECRET}")), "{error}");
}

#[test]
fn all_that_is_due_is_rotated_and_one_failure_stops_no_other() {
    let world = World::with_store();
    for (name, more) in [
        ("A", vec!["--period", "1s", "--generate"]),
        ("B", vec!["--period", "1s", "--hook", "ops/none.sh"]),
        ("C", vec!["--period", "1s"]),
        ("D", vec!["--period", "30d", "--generate"]),
        ("E", vec!["--period", "30d", "--notify-before", "30d", "--generate"]),
    ] {
        world.ok(&["create", &format!("production/{name}"), "old"]);
        world.ok(&[vec!["rotation:set", name], more].concat());
    }
    world.ok(&["create", "staging/F", "old"]);
    world.ok(&["rotation:set", "F", "--period", "1s", "--generate"]);
    thread::sleep(Duration::from_millis(1100));
    let run = world.run(&["rotation:run", "--due", "--env", "production", "--json"]);
    assert_eq!(run.code, 1, "{}", run.err);
    let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let results = told["rotations"].as_array().unwrap();
    let of = |name: &str| results.iter().find(|it| it["path"] == format!("production/{name}"));
    assert_eq!((of("A").unwrap()["version"].as_u64(), of("E").unwrap()["version"].as_u64()), (Some(2), Some(2)));
    assert_eq!(of("B").unwrap()["error"]["kind"], "hook-missing");
    assert_eq!(of("C").unwrap()["error"]["kind"], "needs-value");
    assert!(of("D").is_none());
    assert!(run.err.contains("1 failed, 1 need a person"), "{}", run.err);
    assert_eq!(world.get("staging/F"), "old");
    world.ok(&["rotation:set", "B", "--off"]);
    assert_eq!(world.run(&["rotation:run", "--due", "--env", "production"]).code, 8, "a person is needed still");
    world.ok(&["update", "C", "new", "--no-rotation"]);
    thread::sleep(Duration::from_millis(1100));
    let again = world.json(&["rotation:run", "--due", "--env", "production"]);
    assert_eq!(again["rotations"].as_array().unwrap().len(), 2, "A, which is due every second, and E");
}

#[test]
fn whoever_rotates_reads_and_writes() {
    let team = crate::team::Team::with_secrets(&[(SECRET, "one")]);
    team.alice.ok(&["rotation:set", SECRET, "--period", "30d", "--generate"]);
    let bob = team.joins("bob", "engineers");
    team.rules(r#"{"secrets": {"production/*": {"read": ["alice", "engineers"], "write": ["alice"]}}}"#);
    bob.pull();
    for arguments in [
        &["rotation:run", SECRET][..],
        &["rotation:cancel", SECRET],
        &["rotation:set", SECRET, "--period", "1d"],
        &["rotation:set", SECRET, "--off"],
    ] {
        assert!(bob.refused(4, arguments).contains("may not write"), "{arguments:?}");
    }
    team.rules(r#"{"secrets": {"production/*": {"read": ["alice"], "write": ["alice", "engineers"]}}}"#);
    bob.pull();
    assert!(bob.refused(4, &["rotation:run", SECRET]).contains("may not read"));
}
