//! The store's own values where they should not be.

use std::fs;

use crate::support::{CANARY, World};

/// What a scan finds, which must be something, and show no value.
fn found(world: &World, words: &[&str]) -> Vec<String> {
    let run = world.run(&[&["scan"], words].concat());
    assert_eq!(run.code, 8, "{words:?}: {}{}", run.out, run.err);
    assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{}{}", run.out, run.err);
    run.out.lines().map(str::to_owned).collect()
}

#[test]
fn values_in_the_work_tree_are_found_in_every_disguise_and_not_shown() {
    let world = World::with_secrets(&[
        ("production/KEY", CANARY),
        ("staging/URL", "postgres://u:p@h/a b"),
        ("staging/PIN", "1234"),
    ]);
    assert_eq!(world.run(&["scan"]).code, 0);
    let base64 = "Y2FuYXJ5LTdmM2E5MS12YWx1ZQ==";
    fs::create_dir(world.project.join("src")).unwrap();
    fs::write(world.project.join("src/app.rs"), format!("fn main() {{\n  let key = \"{CANARY}\"; // 1234\n}}\n"))
        .unwrap();
    fs::write(world.project.join("k8s.yaml"), format!("data:\n  key: {base64}\n")).unwrap();
    fs::write(world.project.join("url.txt"), "postgres%3A%2F%2Fu%3Ap%40h%2Fa%20b").unwrap();
    fs::write(world.project.join(".gitignore"), ".env\n").unwrap();
    fs::write(world.project.join(".env"), format!("KEY={CANARY}\n")).unwrap();
    std::os::unix::fs::symlink(world.project.join(".env"), world.project.join("link")).unwrap();
    let expected = [
        "k8s.yaml:2: production/KEY v1 (base64)",
        "src/app.rs:2: production/KEY v1 (raw)",
        "url.txt:1: staging/URL v1 (url)",
    ];
    assert_eq!(found(&world, &[]), expected);
    assert_eq!(found(&world, &["--env", "staging"]), expected[2..]);
    assert_eq!(found(&world, &["--only", "KEY"]), expected[..2]);
    assert_eq!(found(&world, &["src", ".env"]), [".env:1: production/KEY v1 (raw)", expected[1]]);
    let run = world.run(&["scan", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["too_short"], serde_json::json!(["staging/PIN"]));
    assert_eq!(json["findings"][1]["line"], 2);
    assert!(run.err.contains("staging/PIN is not looked for"), "{}", run.err);
    world.refused(1, &["scan", "nowhere"]);
    world.refused(2, &["scan", "--staged", "--history"]);
}

#[test]
fn what_is_staged_and_what_was_committed_is_found() {
    let world = World::with_secrets(&[("production/KEY", CANARY)]);
    fs::write(world.project.join("leak"), format!("x\n{CANARY}\n")).unwrap();
    assert_eq!(world.run(&["scan", "--staged"]).code, 0);
    world.git(&["add", "leak"]);
    fs::write(world.project.join("leak"), "clean again").unwrap();
    assert_eq!(world.run(&["scan"]).code, 0);
    let staged = found(&world, &["--staged"]);
    assert!(staged.len() == 1 && staged[0].ends_with(" leak:2: production/KEY v1 (raw)"), "{staged:?}");
    world.git(&["commit", "-q", "-m", "Oops"]);
    world.git(&["rm", "-q", "-f", "leak"]);
    world.git(&["commit", "-q", "-m", &format!("Remove {CANARY}")]);
    assert_eq!(world.run(&["scan", "--staged"]).code, 0);
    let history = found(&world, &["--history"]);
    assert_eq!(history.len(), 2, "{history:?}");
    assert!(history.iter().any(|line| line.contains(" leak:2:")), "{history:?}");
    // Without a commit, everything staged is new.
    let fresh = World::with_store();
    fresh.ok(&["create", "K", CANARY]);
    fresh.git(&["checkout", "-q", "--orphan", "other"]);
    fs::write(fresh.project.join("leak"), CANARY).unwrap();
    fresh.git(&["add", "leak"]);
    assert_eq!(found(&fresh, &["--staged"]).len(), 1);
}
