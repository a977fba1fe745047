//! Rotation: what is due, generators, hooks, and the pending value between two commits.

mod hook;
mod pending;
mod schedule;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{CANARY, World};

/// A hook that behaves: it makes a value, writes it to `target`, compares, and notes down every call in `calls`. What `$FAIL_AT` in the file `fail` names,
/// fails.
pub const HOOK: &str = r#"#!/bin/sh
set -eu
input=$(cat)
field() { printf %s "$input" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
value() { printf %s "$input" | sed -n "s/.*\"$1\":{\"value\":\"\([^\"]*\)\".*/\1/p"; }
step=$(field step)
echo "$step $(field token) $(field path)" >> calls
if [ "$(cat fail 2>/dev/null || true)" = "$step" ]; then echo "no connection" >&2; exit 3; fi
case $step in
create) echo "{\"value\": \"$(value current)-next\"}" ;;
set) value pending > target ;;
test) [ "$(cat target)" = "$(value pending)" ] ;;
finish) value current > withdrawn ;;
esac
"#;

/// The place of a hook.
pub const PLACE: &str = "ops/rotate.sh";
/// The secret that is rotated.
pub const SECRET: &str = "production/DB";

/// Puts a hook into the work tree, and trusts it.
pub fn lay_hook(world: &World, content: &str) {
    fs::create_dir_all(world.project.join("ops")).unwrap();
    fs::write(world.project.join(PLACE), content).unwrap();
    // What runs is a copy: the file itself need not be one that can be run.
    fs::set_permissions(world.project.join(PLACE), fs::Permissions::from_mode(0o644)).unwrap();
    world.ok(&["trust:hook", PLACE]);
}

/// A store with one secret that a hook rotates.
pub fn with_hook(content: &str) -> World {
    let world = World::with_store();
    world.ok_with(&["create", SECRET, "-"], CANARY.as_bytes());
    lay_hook(&world, content);
    world.ok(&["rotation:set", SECRET, "--period", "30d", "--hook", PLACE]);
    world
}

/// The steps that the hook was called for, and how many tokens there were.
pub fn calls(world: &World) -> (Vec<String>, usize) {
    let text = fs::read_to_string(world.project.join("calls")).unwrap_or_default();
    let word = |line: &str, at: usize| line.split(' ').nth(at).unwrap().to_owned();
    let tokens: std::collections::BTreeSet<String> = text.lines().map(|line| word(line, 1)).collect();
    (text.lines().map(|line| word(line, 0)).collect(), tokens.len())
}

/// The state of the one rotation there is.
pub fn state(world: &World) -> String {
    let status = world.json(&["rotation:status"]);
    assert_eq!(status["rotations"].as_array().unwrap().len(), 1, "{status}");
    status["rotations"][0]["state"].as_str().unwrap().to_owned()
}

/// Makes the hook fail at `step`.
pub fn fail_at(world: &World, step: &str) {
    fs::write(world.project.join("fail"), step).unwrap();
}

/// Has alice begin a rotation that fails at its test, and push what there is then.
pub fn begin_and_push(alice: &World) {
    lay_hook(alice, HOOK);
    alice.git(&["add", "ops"]);
    alice.git(&["commit", "-q", "-m", "A hook"]);
    alice.ok(&["rotation:set", SECRET, "--period", "30d", "--hook", PLACE]);
    fail_at(alice, "test");
    fails(alice, &["rotation:run", SECRET]);
    alice.push();
}

/// Runs a rotation that must fail as a hook does, and show no value; what it said.
#[track_caller]
pub fn fails(world: &World, arguments: &[&str]) -> String {
    let run = world.run(arguments);
    assert_eq!(run.code, 1, "{arguments:?}: {}{}", run.out, run.err);
    assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{}{}", run.out, run.err);
    run.err
}
