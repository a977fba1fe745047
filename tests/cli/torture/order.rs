//! In which order a change comes to be seen, and what becomes of one whose locks somebody broke by hand.

use nix::errno::Errno;

use super::tracer::{Act, Point, trace};
use crate::support::World;

/// Where the index and the branch are put in place, in that order.
const PLACES: [&str; 2] = [".git/index", "refs/heads/main"];

fn puts(point: &Point, place: &str) -> bool {
    point.call == "rename" && point.about.ends_with(place)
}

/// The number of the point that puts `place` there.
fn of(points: &[Point], place: &str) -> usize {
    points.iter().position(|point| puts(point, place)).unwrap() + 1
}

fn update(world: &World, at: usize, act: Act) -> Vec<Point> {
    let mut command = world.command("vsecure");
    command.args(["update", "production/A", "-"]);
    trace(&command, b"two", at, act).points
}

/// More secrets at once than objects are written one by one.
fn import(world: &World, at: usize, act: Act) -> Vec<Point> {
    let values: String = (0..40).map(|number| format!("S{number}=value {number}\n")).collect();
    let mut command = world.command("vsecure");
    command.args(["import", "-", "--format", "dotenv", "--env", "production"]);
    trace(&command, values.as_bytes(), at, act).points
}

/// A copy of `world` in which an update was killed as it was to put `place` there, and its locks were removed by hand.
fn cut_off(world: &World, place: &str) -> World {
    loop {
        let copy = world.copy();
        let at = of(&update(&world.copy(), 0, Act::Watch), place);
        let points = update(&copy, at, Act::Kill);
        // Chance may have moved the points.
        if points.last().is_some_and(|point| puts(point, place)) {
            copy.sh("rm .git/index.lock .git/HEAD.lock .git/refs/heads/main.lock");
            return copy;
        }
    }
}

#[test]
fn git_sees_the_new_index_before_the_new_branch() {
    let points = update(&World::with_secrets(&[("production/A", "one")]), 0, Act::Watch);
    let [index, branch] = PLACES.map(|place| of(&points, place));
    assert!(index < branch, "a `git commit` that begins upon the new branch must not have read the old index");
}

/// Where the points are that concern `about`, and are one of `calls`.
fn all<'a>(points: &'a [Point], calls: &'a [&str], about: &'a str) -> impl DoubleEndedIterator<Item = usize> + 'a {
    let is = move |point: &Point| calls.contains(&point.call) && point.about.contains(about);
    points.iter().enumerate().filter(move |(_, point)| is(point)).map(|(at, _)| at)
}

#[test]
fn no_object_has_its_name_before_it_is_on_the_disk() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let (one, many) = (update(&world.copy(), 0, Act::Watch), import(&world.copy(), 0, Act::Watch));

    let named: Vec<_> = all(&one, &["renameat"], ".git/objects/").collect();
    let flushed: Vec<_> = all(&one, &["fsync"], "/tmp_vsecure_").collect();
    assert_eq!((named.len(), flushed.len()), (7, 7), "two blobs, four trees and a commit");
    assert!(flushed.iter().max() < named.iter().min());

    let written = all(&many, &["write"], "/.vsecure-pack-").next_back().unwrap();
    let flushed = all(&many, &["syncfs"], "").next().unwrap();
    let [pack, index] = [".pack", ".idx"].map(|ending| all(&many, &["renameat"], ending).next().unwrap());
    assert!(written < flushed && flushed < pack && pack < index);

    for (points, last) in [(&one, *named.last().unwrap()), (&many, index)] {
        let decided = all(points, &["linkat"], "/decided-").next().unwrap();
        let names = all(points, &["fsync"], ".git/objects/").filter(|at| *at > last).max().unwrap();
        assert!(names < decided);
    }
}

#[test]
fn a_folder_whose_flush_failed_or_did_not_come_is_flushed_again() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let folder = ".vsecure/secrets/production";
    let flushes = |points: &[Point]| -> Vec<usize> {
        let is = |point: &Point| point.call == "fsync" && point.about.ends_with(folder);
        points.iter().enumerate().filter(|(_, point)| is(point)).map(|(at, _)| at + 1).collect()
    };
    // Which of two that are flushed at the same time comes first is chance.
    let stopped = |act: Act| loop {
        let copy = world.copy();
        let at = flushes(&update(&world.copy(), 0, Act::Watch))[0];
        let flushed = flushes(&update(&copy, at, act));
        if flushed.first() == Some(&at) {
            return (copy, flushed.len());
        }
    };
    assert_eq!(stopped(Act::Fail(Errno::EIO)).1, 2);
    let (killed, flushed) = stopped(Act::Kill);
    assert_eq!(flushed, 1);
    let mut next = killed.command("vsecure");
    next.arg("status");
    assert_eq!(flushes(&trace(&next, b"", 0, Act::Watch).points).len(), 1);
    assert_eq!(killed.get("A"), "two");
}

#[test]
fn work_that_was_committed_over_a_broken_lock_stays_and_so_does_the_change() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for place in PLACES {
        let world = cut_off(&world, place);
        world.sh("echo code > code; git add code; git commit -q -m Code -- code");
        assert_eq!(world.get("A"), "two");
        assert_eq!(world.git(&["log", "--format=%s", "-1"]), "Code\n", "{place}");
        let staged = "M  .vsecure/secrets/production/A.age\nM  .vsecure/secrets/production/A.yaml\n";
        assert_eq!(world.git(&["status", "--porcelain"]), staged, "{place}");
        world.git(&["fsck", "--strict", "--no-dangling"]);
    }
}

#[test]
fn a_branch_that_was_left_over_a_broken_lock_gets_its_commit() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for place in PLACES {
        let world = cut_off(&world, place);
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

#[test]
fn a_repack_leaves_what_no_branch_names_yet() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let branch = PLACES[1];
    let at = of(&import(&world.copy(), 0, Act::Watch), branch);
    assert!(import(&world, at, Act::Kill).last().is_some_and(|point| puts(point, branch)));
    world.git(&["repack", "-adq"]);
    assert_eq!(world.get("S7"), "value 7");
    assert_eq!(world.git(&["log", "--format=%s", "-1"]), "Import 40 secrets\n");
    world.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    world.sh("test -z \"$(find .git -name '*.keep')\"");
}
