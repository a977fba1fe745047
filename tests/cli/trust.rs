//! Nothing inside a repository can vouch for it.

use std::fs;

use crate::support::{CANARY, World};

fn store_id(world: &World) -> String {
    world.json(&["status"])["store_id"].as_str().unwrap().to_owned()
}

/// A machine that has the key and a clone, and never heard of the store.
fn stranger(world: &World) {
    fs::remove_dir_all(world.home.join(".local")).unwrap();
}

#[test]
fn without_trust_nothing_is_read_or_written() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    let id = store_id(&world);
    stranger(&world);
    for arguments in [
        vec!["get", "A"],
        vec!["list"],
        vec!["describe", "A"],
        vec!["versions", "A"],
        vec!["update", "A", "x"],
        vec!["create", "B", "x"],
        vec!["trust"],
        vec!["trust", "--yes"],
    ] {
        let error = world.refused(6, &arguments);
        assert!(error.contains("trust"), "{error}");
    }
    let status = world.json(&["status"]);
    assert_eq!((status["trusted"].as_bool(), status["store_id"].as_str()), (Some(false), Some(id.as_str())));
    assert!(world.ok(&["trust", "--export"]).starts_with(&id));
    world.ok(&["keys:show"]);
    world.ok(&["config:list"]);
    assert_eq!(world.ok(&["--store-id", &id, "get", "A"]), CANARY);
    let export = world.ok(&["trust", "--export"]);
    assert_eq!(world.ok(&["--store-id", export.trim(), "get", "A"]), CANARY);
    let mut command = world.command("vsecure");
    command.args(["get", "A"]).env("VSECURE_STORE_ID", &id);
    assert_eq!(World::run_command(command, b"").out, CANARY);
    let other = id.replace(|c: char| c.is_ascii_digit(), "0");
    assert!(world.refused(6, &["--store-id", &other, "get", "A"]).contains("was expected"));
    world.refused(6, &["--store-id", &format!("{id}@1:{other}"), "get", "A"]);
    world.refused(6, &["--store-id", &format!("{id}@2:{id}"), "get", "A"]);
    world.refused(2, &["--store-id", "abc", "get", "A"]);
}

#[test]
fn trust_asks_on_a_terminal_and_pins() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let id = store_id(&world);
    stranger(&world);
    let on_terminal = |answer: &str| {
        let mut command = world.command("script");
        command.args(["-qec", "vsecure trust", "/dev/null"]).env("TERM", "dumb");
        World::run_command(command, format!("{answer}\n").as_bytes())
    };
    let run = on_terminal("no");
    assert!(run.code == 1 && run.out.contains(&id) && run.out.contains("alice  SHA256:"), "{}", run.out);
    world.refused(6, &["get", "A"]);
    assert_eq!(on_terminal("yes").code, 0);
    assert_eq!(world.get("A"), "one");
    // A second clone of a pinned store is trusted.
    world.git_in(&world.home, &["clone", "-q", world.project.to_str().unwrap(), "second"]);
    let mut command = world.command("vsecure");
    command.args(["get", "A"]).current_dir(world.home.join("second"));
    assert_eq!(World::run_command(command, b"").out, "one");
}

#[test]
fn a_known_clone_whose_store_was_replaced_is_an_error() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let other = World::with_secrets(&[("production/A", "theirs")]);
    fs::remove_dir_all(world.file("")).unwrap();
    world.sh(&format!("cp -r {} .", other.project.join(".vsecure").display()));
    let error = world.refused(6, &["get", "A"]);
    assert!(error.contains("replaced"), "{error}");
    world.refused(6, &["trust"]);
}

#[test]
fn a_forged_policy_is_no_policy() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let policy = world.file("policy/000001.yaml");
    let good = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, good.replace("alice@example.com", "mallory@example.com")).unwrap();
    assert!(world.refused(6, &["get", "A"]).contains("000001.yaml"));
    fs::write(&policy, good.replace("\"alice\"", "alice")).unwrap();
    assert!(world.refused(6, &["get", "A"]).contains("formatter"));
    fs::remove_file(&policy).unwrap();
    world.refused(6, &["get", "A"]);
}

#[test]
fn the_policy_of_a_trusted_store_is_verified_once() {
    let world = World::with_store();
    let stores = world.home.join(".local/state/vsecure/stores");
    let id = world.json(&["status"])["store_id"].as_str().unwrap().to_owned();
    let known = fs::read_to_string(stores.join(format!("{id}.chain.json"))).unwrap();
    assert!(known.contains(&id), "the memory of epoch 1 begins with its hash: {known}");
}
