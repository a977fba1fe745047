//! Many commands at once, and a person who works with git in the same repository.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::report::Row;
use crate::support::World;

const SECRETS: usize = 50;
const SAME: usize = 20;

fn name(number: usize) -> String {
    format!("production/S{number}")
}

/// What git's user did: the files that are to be staged or committed, and how many commits were made.
struct Other {
    files: Vec<String>,
    commits: usize,
}

/// Adds and commits files of its own, one after the other, until `done`. Git doesn't wait for locks: a person tries again.
fn work_with_git(world: &World, done: &AtomicBool) -> Other {
    let mut other = Other { files: Vec::new(), commits: 0 };
    while !done.load(Ordering::Relaxed) || other.files.len() < 3 {
        let file = format!("code{}", other.files.len());
        fs::write(world.project.join(&file), &file).unwrap();
        world.sh(&format!("until git add {file} 2>/dev/null; do sleep 0.01; done"));
        other.files.push(file);
        // Every other file waits for the next commit; the last one stays staged.
        if other.files.len().is_multiple_of(2) {
            // Git reads the index before it locks it: a commit that we overtook in between puts back what it had read, and then fails because
            // the branch has moved. The next one would take our change back; no lock of ours could prevent that.
            world.sh(
                "until git commit -q -m Code 2>/dev/null; do
                     until git diff --cached --quiet -- .vsecure; do git restore --staged .vsecure 2>/dev/null || sleep 0.01; done
                 done",
            );
            other.commits += 1;
        }
    }
    other
}

/// 50 updates of 50 secrets and 20 of one, all at once, while somebody commits other files.
pub fn writers() -> Row {
    let world = World::with_store();
    world.ok(&["config:set", "lock_timeout", "2m"]);
    (0..SECRETS).for_each(|number| drop(world.ok_with(&["create", &name(number), "-"], b"old")));
    let before = world.commits();
    let done = AtomicBool::new(false);
    let other = thread::scope(|scope| {
        let git = scope.spawn(|| work_with_git(&world, &done));
        let writers: Vec<_> = (0..SECRETS + SAME)
            .map(|number| {
                let world = &world;
                let secret = name(number.checked_sub(SECRETS).map_or(number, |_| 0));
                scope.spawn(move || world.ok_with(&["update", &secret, "-"], format!("new{number}").as_bytes()))
            })
            .collect();
        writers.into_iter().for_each(|writer| drop(writer.join().unwrap()));
        done.store(true, Ordering::Relaxed);
        git.join().unwrap()
    });
    let mut failures = Vec::new();
    let mut check = |right: bool, what: String| {
        if !right {
            failures.push(what);
        }
    };
    for number in 0..SECRETS {
        let secret = name(number);
        let mut values: Vec<String> = world.json(&["versions", &secret])["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| world.ok(&["get", &secret, "--version", &version["version"].to_string()]))
            .collect();
        let same = (SECRETS..SECRETS + SAME).filter(|_| number == 0);
        let mut expected: Vec<String> = same.chain([number]).map(|number| format!("new{number}")).collect();
        expected.push("old".to_owned());
        values.sort();
        expected.sort();
        check(values == expected, format!("{secret} has the values {values:?}"));
    }
    let commits = before + SECRETS + SAME + other.commits;
    check(world.commits() == commits, format!("{} commits, not {commits}", world.commits()));
    for file in &other.files {
        check(world.git(&["ls-files", file]) == format!("{file}\n"), format!("{file} was staged, and is not any more"));
    }
    let left = if other.files.len().is_multiple_of(2) {
        String::new()
    } else {
        format!("A  {}\n", other.files.last().unwrap())
    };
    let status = world.git(&["status", "--porcelain"]);
    check(status == left, format!("git status says {status}"));
    world.git(&["fsck", "--strict", "--no-dangling"]);
    Row { name: "writers", count: SECRETS + SAME, failures }
}
