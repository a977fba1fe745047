//! Hostile files as data: each vector in `fixtures/vectors/cases` is laid over a good store, and the command must refuse it, for the reason
//! that the vector names. The data is made by the modules here, from fixed keys, and compared with what is stored;
//! `VSECURE_WRITE_VECTORS=1 cargo test --test cli vectors` writes it.

mod age;
mod base;
mod documents;
mod epochs;
mod logs;
mod moved;
mod parents;
mod pending;
mod policies;
mod requests;
mod sign;
mod signatures;
mod values;
mod vector;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Row, settle};
use crate::support::{CANARY, Run, World};
use base::Base;
use sign::Person;
use vector::{Case, write_files};

pub use vector::files_below;

/// No vector may take longer: not a measurement, but a guard against hanging.
const SECONDS: &str = "10";
/// The size of all that is stored, in bytes.
const MOST_BYTES: usize = 1_000_000;
const COMMANDS: [&str; 3] = ["get", "describe", "list"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/vectors")
}

fn all(base: &Base) -> Vec<Case> {
    [
        moved::cases(base),
        signatures::cases(base),
        documents::cases(base),
        values::cases(base),
        pending::cases(base),
        policies::cases(base),
        epochs::cases(base),
        parents::cases(base),
        requests::cases(base),
    ]
    .concat()
}

fn stored_names() -> BTreeSet<String> {
    let entries = fs::read_dir(folder().join("cases")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_stored_vectors_are_what_their_makers_make() {
    let base = Base::load();
    let cases = all(&base);
    let write = std::env::var_os("VSECURE_WRITE_VECTORS").is_some();
    logs::compare(&base, write);
    if write {
        for part in ["base", "cases"] {
            let _ = fs::remove_dir_all(folder().join(part));
        }
        write_files(&folder().join("base"), &base.files());
        cases.iter().for_each(Case::store);
    }
    assert_eq!(files_below(&folder().join("base")), base.files());
    let names: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    assert_eq!(names.len(), cases.len(), "a name twice");
    assert_eq!(stored_names(), names);
    for case in cases {
        assert_eq!(Case::load(&case.name), case, "{}", case.name);
    }
    let size: usize = files_below(&folder()).values().map(Vec::len).sum();
    assert!(size < MOST_BYTES, "{size} bytes are too many to be kept");
}

/// A repository with the good store in it, and alice's key in its place.
fn world(base: &Base) -> World {
    let world = World::empty();
    lay_base(&world);
    fs::create_dir_all(world.identity().parent().unwrap()).unwrap();
    give_key(&world, base.alice.name);
    world
}

/// Puts `person`'s key where the commands find it.
fn give_key(world: &World, person: &str) {
    fs::copy(Person::file(person), world.identity()).unwrap();
    fs::set_permissions(world.identity(), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Puts the good store in the place of what is there, and forgets what was remembered of another.
fn lay_base(world: &World) {
    let _ = fs::remove_dir_all(world.home.join(".local/state/vsecure"));
    let root = world.project.join(".vsecure");
    if root.is_symlink() {
        fs::remove_file(&root).unwrap();
    } else if root.exists() {
        fs::remove_dir_all(&root).unwrap();
    }
    write_files(&root, &files_below(&folder().join("base")));
}

/// Runs vsecure on the store that is trusted by its id, and stops it when it hangs.
fn run(world: &World, base: &Base, arguments: &[&str]) -> Run {
    let mut command = world.command("timeout");
    command.args([SECONDS, env!("CARGO_BIN_EXE_vsecure"), "--store-id", &base.id]).args(arguments);
    World::run_command(command, b"")
}

#[test]
fn the_good_store_is_read() {
    let base = Base::load();
    let world = world(&base);
    assert_eq!(run(&world, &base, &["get", "production/A"]).out, CANARY);
    assert_eq!(run(&world, &base, &["get", "staging/A"]).out, format!("{CANARY} s"));
    assert_eq!(run(&world, &base, &["list"]).out, "production/A\nproduction/B\nstaging/A\n");
    // Stock age reads what the makers make.
    let mut age = world.command("age");
    age.arg("-d").arg("-i").arg(world.identity()).arg(world.file("secrets/production/A.age"));
    assert_eq!(World::run_command(age, b"").out, CANARY);
}

#[test]
fn the_recorded_signatures_by_other_kinds_of_key_are_right() {
    let good = Base::load().files().remove(vector::SIDECAR).unwrap();
    let body = String::from_utf8(good).unwrap().split("signature: |").next().unwrap().to_owned();
    for kind in ["rsa", "ecdsa"] {
        let mut command = World::empty().command("ssh-keygen");
        command.current_dir(folder()).args(["-Y", "check-novalidate", "-n", "vsecure-secret-v1", "-s"]);
        command.arg(format!("keys/{kind}.sig"));
        let run = World::run_command(command, body.as_bytes());
        assert!(run.code == 0 && run.out.contains(&kind.to_uppercase()), "{kind}: {}{}", run.out, run.err);
    }
}

/// What must stay as it was: all but the memory of chains of epochs that were verified.
fn state(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut state = world.state();
    state.retain(|file, _| !file.ends_with(".chain.json"));
    state
}

/// Lays `case` over the good store and has each command look at it; what was not as the vector says, and how long the slowest took.
fn judge(case: &Case, base: &Base, world: &World) -> (Vec<String>, Duration) {
    lay_base(world);
    give_key(world, &case.vector.seen_by);
    for files in &case.history {
        write_files(&world.project.join(".vsecure"), files);
        world.git(&["add", "-A"]);
        world.git(&["commit", "-q", "-m", "Earlier"]);
    }
    if !case.history.is_empty() {
        // What a first read leaves in a clone, as below.
        assert_eq!(run(world, base, &["get", "staging/A"]).code, 0);
    }
    let outside = tempfile::tempdir_in(&world.home).unwrap();
    case.lay(base, &world.project.join(".vsecure"), outside.path());
    let before = state(world);
    let (mut wrong, mut slowest) = (Vec::new(), Duration::ZERO);
    for command in COMMANDS {
        let refuses = case.vector.refused_by.contains(command);
        let mut arguments = vec![command, "--json"];
        arguments.extend((command != "list").then_some("production/A"));
        let start = Instant::now();
        let run = run(world, base, &arguments);
        slowest = slowest.max(start.elapsed());
        let expected = if refuses { case.vector.exit } else { 0 };
        if run.code != expected {
            wrong.push(format!("{command} ends with {}, not {expected}: {}", run.code, run.err.trim()));
        }
        let error = serde_json::from_str(&run.err).unwrap_or(serde_json::Value::Null);
        let kind = error["error"]["kind"].as_str();
        // A list names what it refuses one by one, and ends with a sum; only where all is refused it has a kind of its own.
        if refuses && kind != Some(&case.vector.kind) && !(command == "list" && kind.is_none()) {
            wrong.push(format!("{command} refuses as {kind:?}, not {}: {}", case.vector.kind, run.err.trim()));
        }
        if command == "get" && refuses && !run.out.is_empty() {
            wrong.push(format!("get prints {:?}", run.out));
        }
        let told = [run.out.as_str(), &run.err].concat();
        let shown = command == "get" && !refuses;
        if told.contains(CANARY) != shown || told.contains('\u{1b}') {
            wrong.push(format!("{command} shows a value or an escape sequence: {told:?}"));
        }
    }
    // What is found is in a report of its own; how much it ends the command with depends on whether anything could be looked at.
    let verified = run(world, base, &["verify", "--json"]);
    if case.vector.refused_by.contains("verify") != [6, 8].contains(&verified.code) {
        wrong.push(format!("verify ends with {}", verified.code));
    }
    if !case.vector.kind.is_empty() && case.vector.refused_by.iter().eq(["verify"]) {
        let found: serde_json::Value = serde_json::from_str(&verified.out).unwrap_or_default();
        let rules: Vec<_> = found["findings"].as_array().into_iter().flatten().map(|it| it["rule"].as_str()).collect();
        if rules != [Some(case.vector.kind.as_str())] {
            wrong.push(format!("verify finds {rules:?}, not {}", case.vector.kind));
        }
    }
    if state(world) != before {
        let after = state(world);
        let changed =
            after.iter().filter(|(file, bytes)| before.get(*file) != Some(*bytes)).map(|(file, _)| file.as_str());
        wrong.push(format!("changed: {}", changed.collect::<Vec<_>>().join(", ")));
    }
    (wrong, slowest)
}

#[test]
fn every_vector_is_refused_for_its_reason() {
    let base = Base::load();
    let names: Vec<String> = stored_names().into_iter().collect();
    assert!(names.len() >= 60, "vectors were lost");
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let world = world(&base);
                // What a first read leaves in a clone, so that afterwards any change is one too many.
                assert_eq!(run(&world, &base, &["get", "production/A"]).code, 0);
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = Case::load(name);
                    let (wrong, time) = match case.history.as_slice() {
                        [] => judge(&case, &base, &world),
                        // What was committed would be the next one's history.
                        _ => judge(&case, &base, &self::world(&base)),
                    };
                    results.lock().unwrap().push((case, wrong, time));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let failures: Vec<String> = results
        .iter()
        .filter(|(_, wrong, _)| !wrong.is_empty())
        .map(|(case, wrong, _)| format!("{}: {}", case.name, wrong.join("; ")))
        .collect();
    let refused = results.iter().filter(|(case, wrong, _)| wrong.is_empty() && case.vector.exit != 0).count();
    let (case, _, time) = results.iter().max_by_key(|(_, _, time)| *time).unwrap();
    println!(
        "vectors refused: {refused}, failures: {}, slowest: {} ms ({})",
        failures.len(),
        time.as_millis(),
        case.name
    );
    settle([Row { name: "vectors refused", count: refused, failures }]);
}
