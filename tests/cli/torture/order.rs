//! In which order a change comes to be seen, and what becomes of one whose locks somebody broke by hand.

use super::tracer::{Act, trace};
use crate::support::World;

/// The points at which an update puts git's index in place, and at which it moves the branch.
fn index_and_branch(world: &World) -> [usize; 2] {
    let world = world.copy();
    let points = trace(&update(&world), b"two", 0, Act::Watch).points;
    [".git/index", "refs/heads/main"].map(|place| {
        let puts = |point: &super::tracer::Point| point.call == "rename" && point.about.ends_with(place);
        points.iter().position(puts).unwrap() + 1
    })
}

fn update(world: &World) -> std::process::Command {
    let mut command = world.command("vsecure");
    command.args(["update", "production/A", "-"]);
    command
}

/// A store whose update was killed before it moved the branch, and whose locks were removed by hand.
fn cut_off(at: usize, world: &World) {
    trace(&update(world), b"two", at, Act::Kill);
    world.sh("rm .git/index.lock .git/HEAD.lock .git/refs/heads/main.lock");
}

#[test]
fn git_sees_the_new_index_before_the_new_branch() {
    let [index, branch] = index_and_branch(&World::with_secrets(&[("production/A", "one")]));
    assert!(index < branch, "a `git commit` that begins upon the new branch must not have read the old index");
}

#[test]
fn work_that_was_committed_over_a_broken_lock_stays_and_so_does_the_change() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for at in index_and_branch(&world) {
        let world = world.copy();
        cut_off(at, &world);
        world.sh("echo code > code; git add code; git commit -q -m Code -- code");
        assert_eq!(world.get("A"), "two");
        assert_eq!(world.git(&["log", "--format=%s", "-1"]), "Code\n", "{at}");
        let staged = "M  .vsecure/secrets/production/A.age\nM  .vsecure/secrets/production/A.yaml\n";
        assert_eq!(world.git(&["status", "--porcelain"]), staged, "{at}");
        world.git(&["fsck", "--strict", "--no-dangling"]);
    }
}

#[test]
fn a_branch_that_was_left_over_a_broken_lock_gets_its_commit() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for at in index_and_branch(&world) {
        let world = world.copy();
        cut_off(at, &world);
        world.git(&["symbolic-ref", "HEAD", "refs/heads/other"]);
        world.ok(&["status"]);
        assert_eq!(
            world.git(&["show", "-s", "--format=%(trailers:key=Vsecure-Path,valueonly)", "main"]).trim(),
            "production/A"
        );
        assert!(!world.project.join(".git/refs/heads/main.lock").exists());
        assert_eq!(world.git(&["reflog", "-1", "--format=%H", "main"]), world.git(&["rev-parse", "main"]));
    }
}
