//! What `get` and `update` cost, in instructions of our own program: time is too noisy for a test, and cost creeps in by small steps.
//!
//! The numbers to compare with are in `fixtures/cost.txt`: of the build that tests use, on a machine with AVX2, by which the curve's
//! arithmetic chooses its code. Without AVX2 nothing is compared. Whoever changes the cost on purpose changes the numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::World;

/// How far a count may be off, in percent: the compiler's patch versions and random keys account for less.
const TOLERANCE: u64 = 15;

/// The instructions that our program itself executed: not the loader's, not the system libraries'.
fn cost(world: &World, arguments: &[&str]) -> u64 {
    let profile = world.home.join("callgrind.out");
    let mut command = world.command("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--compress-strings=no", "--compress-pos=no"]);
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(env!("CARGO_BIN_EXE_vsecure")).args(arguments);
    let run = World::run_command(command, b"");
    assert_eq!(run.code, 0, "{}", run.err);
    let text = fs::read_to_string(&profile).unwrap();
    fs::remove_file(&profile).unwrap();
    own_cost(&text)
}

/// Sums a profile's own costs (Callgrind's format: `ob=` names the object that the lines `<position> <cost>` belong to; the line behind
/// `calls=` is the cost of the called function, and counted there).
fn own_cost(profile: &str) -> u64 {
    let mut ours = false;
    let mut total = 0;
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=") {
            ours = object.ends_with("/vsecure");
        } else if line.starts_with("calls=") {
            lines.next();
        } else if ours && line.starts_with(|c: char| c.is_ascii_digit()) {
            total += line.rsplit_once(' ').map_or(0, |(_, cost)| cost.parse::<u64>().unwrap_or_default());
        }
    }
    total
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux", debug_assertions))]
fn get_and_update_cost_what_they_did() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known = fs::read_to_string(root.join("fixtures/cost.txt")).unwrap();
    let known = known.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (command, count) = line.split_once(' ').unwrap();
        (command, count.parse::<u64>().unwrap())
    });
    let known: BTreeMap<&str, u64> = known.collect();
    let world = World::with_secrets(&[("production/A", "one")]);
    for (command, arguments) in
        [("get", vec!["get", "production/A"]), ("update", vec!["update", "production/A", "two", "--force"])]
    {
        world.ok(&arguments);
        let count = cost(&world, &arguments);
        assert!(count > 100_000, "{command}: nothing was counted");
        let expected = known[command];
        if !std::is_x86_feature_detected!("avx2") {
            continue;
        }
        let within = count.abs_diff(expected) * 100 <= expected * TOLERANCE;
        assert!(within, "{command} costs {count} instructions, and fixtures/cost.txt says {expected}");
    }
}

#[test]
fn only_our_own_costs_are_counted() {
    let profile = "events: Ir\n\nob=/lib/ld.so\nfn=a\n1 100\n\nob=/x/vsecure\nfn=main\n1 10\n2 5\ncob=/lib/libc.so\ncfn=malloc\ncalls=3 0\n2 900\n3 1\nob=/lib/libc.so\nfn=malloc\n1 900\n";
    assert_eq!(own_cost(profile), 16);
}
