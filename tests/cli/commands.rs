//! The commands around the secrets: overview, status, settings, manual, demo.

use std::fs;

use crate::support::World;

#[test]
fn the_overview_says_where_one_is_and_what_is_next() {
    let world = World::empty();
    let next = |expected: &str| {
        let run = world.run(&[]);
        assert!(run.code == 0 && run.out.lines().last().unwrap().contains(expected), "{}", run.out);
        assert!(run.out.contains("secrets:create") && !run.out.contains("__complete"), "{}", run.out);
    };
    next("vsecure init");
    world.ok(&["init"]);
    next("vsecure create");
    world.ok(&["create", "A", "one"]);
    next("vsecure list");
    fs::remove_dir_all(world.home.join(".local")).unwrap();
    next("vsecure trust");
    fs::remove_dir_all(world.file("policy")).unwrap();
    next("vsecure status");
}

#[test]
fn status_says_what_is_due_and_what_is_refused() {
    let world = World::with_store();
    world.ok(&["create", "production/OLD", "x", "--expires-at", "2020-01-01"]);
    world.ok(&["create", "production/SOON", "x", "--expires-in", "3d"]);
    world.ok(&["create", "staging/NEW", "x", "--no-commit"]);
    fs::write(world.file("secrets/staging/BAD.yaml"), "x").unwrap();
    let status = world.json(&["status"]);
    assert_eq!(status["secrets"], serde_json::json!({ "development": 0, "staging": 1, "production": 2, "default": 0 }));
    assert_eq!(status["expired"], serde_json::json!(["production/OLD"]));
    assert_eq!(status["expiring"], serde_json::json!(["production/SOON"]));
    assert_eq!(status["uncommitted"], serde_json::json!(["staging/BAD", "staging/NEW"]));
    assert_eq!((status["trusted"].as_bool(), status["member"].as_str()), (Some(true), Some("alice")));
    let text = world.ok(&["status"]);
    assert!(text.contains("REFUSED") && text.contains("secrets/staging/BAD.yaml"), "{text}");
}

#[test]
fn settings_of_the_machine() {
    let world = World::with_store();
    assert_eq!(
        world.ok(&["config:list"]),
        "access_log\tlocal\nallowed_variables\t\ncommit\ttrue\nlock_timeout\t10s\nmax_value_size\t1048576\n"
    );
    world.ok(&["config:set", "commit", "false"]);
    let before = world.commits();
    world.ok(&["create", "A", "one"]);
    assert_eq!((world.commits(), world.ok(&["config", "get", "commit"]).as_str()), (before, "false\n"));
    assert_eq!(world.json(&["config:list"])["settings"]["commit"], "false");
    fs::write(world.home.join(".config/vsecure/config.yaml"), "commit: maybe\n").unwrap();
    world.refused(2, &["list"]);
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let world = World::empty();
    world.ok(&["man", "pages"]);
    let page = fs::read_to_string(world.project.join("pages/vsecure-secrets-create.1")).unwrap();
    assert!(page.contains("vsecure secrets:create") && page.contains("Example"), "{page}");
    let main = fs::read_to_string(world.project.join("pages/vsecure.1")).unwrap();
    assert!(main.contains("vsecure\\-secrets\\-create(1)"), "{main}");
    let count = fs::read_dir(world.project.join("pages")).unwrap().count();
    assert_eq!(count, world.ok(&[]).lines().filter(|line| line.starts_with("  ")).count() + 1);
}

#[test]
fn every_command_has_help_with_an_example() {
    let world = World::empty();
    let overview = world.ok(&[]);
    for command in overview.lines().filter_map(|line| line.strip_prefix("  ")).filter_map(|line| line.split(' ').next())
    {
        let help = world.ok(&[command, "--help"]);
        assert!(
            help.contains("Example") && help.contains(&format!("vsecure {}", command.split(':').next_back().unwrap()))
                || help.contains(&format!("vsecure {command}")),
            "{command}: {help}"
        );
    }
    assert!(world.ok(&["--version"]).starts_with("vsecure "));
    assert!(world.ok(&["--help"]).contains("secrets:create"));
}

#[test]
fn the_demo_tells_its_story_and_leaves_nothing() {
    let world = World::empty();
    let run = world.run(&["demo"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    for part in [
        "belongs to `staging/API_KEY`",
        "not the one that was signed",
        "Mallory: Tidy up",
        "rolled back with the value of v1",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert_eq!(fs::read_dir(&world.home).unwrap().count(), 1, "only .gitconfig");
    assert!(!world.project.join(".vsecure").exists());
}
