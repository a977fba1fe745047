//! Hooks: steps in order, resumed; and programs that hang, die, print garbage or values, or are not what was trusted.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::{HOOK, PLACE, SECRET, calls, fail_at, fails, lay_hook, state, with_hook};
use crate::support::{CANARY, World, found_below};

#[test]
fn a_hook_is_called_for_four_steps_and_the_new_value_is_current() {
    let world = with_hook(HOOK);
    let before = world.commits();
    let run = world.run(&["rotation:run", SECRET]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    assert_eq!(calls(&world), (["create", "set", "test", "finish"].map(String::from).to_vec(), 1));
    let value = world.get(SECRET);
    assert_eq!(value, format!("{CANARY}-next"));
    assert_eq!(fs::read_to_string(world.project.join("target")).unwrap(), value);
    assert_eq!(fs::read_to_string(world.project.join("withdrawn")).unwrap(), CANARY);
    let log = world.git(&["log", "-2", "--format=%s"]);
    assert_eq!(log, format!("Rotate {SECRET} to v2\nBegin the rotation of {SECRET} to v2\n"));
    assert_eq!((world.commits(), state(&world).as_str()), (before + 2, "ok"));
    assert!(!world.file(&format!("secrets/{SECRET}.next.age")).exists());
    // What was pending is current as it was: the same bytes.
    let file = |rev: &str, name: &str| world.git(&["rev-parse", &format!("{rev}:.vsecure/secrets/{name}")]);
    assert_eq!(file("HEAD", "production/DB.age"), file("HEAD~1", "production/DB.next.age"));
    let newest = &world.json(&["versions", SECRET])["versions"][0];
    assert_eq!((&newest["version"], &newest["change"]), (&2.into(), &"rotate".into()));
    assert!(world.ok(&["audit:logs", "--action", "accessed"]).contains(&format!("{SECRET} v2")), "it went to a hook");
    assert!(!run.err.contains(CANARY), "{}", run.err);
}

#[test]
fn with_a_generator_the_hook_makes_no_value() {
    let world = with_hook(HOOK);
    world.ok(&["rotation:set", SECRET, "--period", "30d", "--generate=hex=16", "--hook", PLACE]);
    world.ok(&["rotation:run", SECRET]);
    assert_eq!(calls(&world), (["set", "test", "finish"].map(String::from).to_vec(), 1));
    assert_eq!(world.get(SECRET).len(), 32);
}

#[test]
fn bytes_that_are_no_text_arrive_in_base64() {
    let script = "#!/bin/sh\ninput=$(cat)\ncase $input in *'\"step\":\"create\"'*) echo '{\"value_base64\": \"/wA=\"}';;\n\
                  *) printf '%s\\n' \"$input\" >> seen;; esac\n";
    let world = with_hook(script);
    world.ok(&["rotation:run", SECRET]);
    assert_eq!(world.run(&["get", SECRET]).bytes, [255, 0]);
    let seen = fs::read_to_string(world.project.join("seen")).unwrap();
    assert!(seen.lines().all(|line| line.contains(r#""pending":{"value":null,"value_base64":"/wA="}"#)), "{seen}");
}

#[test]
fn what_failed_goes_on_where_it_stopped_with_the_same_token() {
    for step in ["set", "test"] {
        let world = with_hook(HOOK);
        fail_at(&world, step);
        let error = fails(&world, &["rotation:run", SECRET]);
        for part in [
            "hook: no connection",
            &format!("at the step {step}"),
            "exit code 3",
            &format!("rotation:run {SECRET}"),
            &format!("rotation:cancel {SECRET}"),
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!((world.get(SECRET).as_str(), state(&world).as_str()), (CANARY, "failed"));
        let entry = &world.json(&["rotation:status"])["rotations"][0];
        assert_eq!((&entry["failed_step"], &entry["pending_version"]), (&step.into(), &2.into()));
        assert_eq!(world.run(&["rotation:status", "--fail-on", "overdue"]).code, 8);
        assert_eq!(world.json(&["status"])["rotation"]["failed"], serde_json::json!([SECRET]));
        world.ok(&["update", SECRET, "--add-tag", "x"]);
        fs::remove_file(world.project.join("fail")).unwrap();
        let run = world.run(&["rotation:run", "--due"]);
        assert_eq!(run.code, 0, "{}", run.err);
        let (steps, tokens) = calls(&world);
        assert_eq!((steps.iter().filter(|it| *it == "create").count(), tokens), (1, 1), "{steps:?}");
        assert_eq!((world.get(SECRET), state(&world)), (format!("{CANARY}-next"), "ok".to_owned()));
    }
}

#[test]
fn a_failed_create_changes_nothing_and_is_asked_again_with_the_same_token() {
    let world = with_hook(HOOK);
    let (commits, files) = (world.commits(), world.git(&["status", "--porcelain", "--", ".vsecure"]));
    fail_at(&world, "create");
    assert!(fails(&world, &["rotation:run", SECRET]).contains("nothing was changed"));
    assert_eq!((world.commits(), world.git(&["status", "--porcelain", "--", ".vsecure"])), (commits, files));
    assert_eq!(state(&world), "failed");
    fs::remove_file(world.project.join("fail")).unwrap();
    world.ok(&["rotation:run", SECRET]);
    let steps = ["create", "create", "set", "test", "finish"].map(String::from).to_vec();
    assert_eq!(calls(&world), (steps, 1));
    // The next rotation is another one.
    world.ok(&["rotation:run", SECRET]);
    assert_eq!((calls(&world).1, world.get(SECRET)), (2, format!("{CANARY}-next-next")));
}

#[test]
fn a_last_step_that_failed_is_called_again_alone() {
    let world = with_hook(HOOK);
    fail_at(&world, "finish");
    assert!(fails(&world, &["rotation:run", SECRET]).contains("the new value is current"));
    assert_eq!((world.get(SECRET), state(&world)), (format!("{CANARY}-next"), "failed".to_owned()));
    let commits = world.commits();
    assert!(fails(&world, &["rotation:run", SECRET]).contains("at the step finish"));
    fs::remove_file(world.project.join("fail")).unwrap();
    let run = world.run(&["rotation:run", SECRET]);
    assert!(run.code == 0 && run.err.contains("the last step is done"), "{}", run.err);
    let steps = ["create", "set", "test", "finish", "finish", "finish"].map(String::from).to_vec();
    assert_eq!(calls(&world), (steps, 1));
    assert_eq!((world.commits(), state(&world).as_str()), (commits, "ok"));
    assert_eq!(fs::read_to_string(world.project.join("withdrawn")).unwrap(), CANARY);
}

#[test]
fn a_rotation_is_given_up_and_another_one_is_another() {
    let world = with_hook(HOOK);
    world.refused(3, &["rotation:cancel", SECRET]);
    fail_at(&world, "test");
    fails(&world, &["rotation:run", SECRET]);
    let commits = world.commits();
    world.ok(&["rotation:cancel", SECRET, "--dry-run"]);
    assert_eq!((world.commits(), state(&world).as_str()), (commits, "failed"));
    let run = world.run(&["rotation:cancel", SECRET]);
    assert!(run.code == 0 && run.err.contains("make sure that it takes v1"), "{}", run.err);
    assert_eq!((world.commits(), state(&world).as_str()), (commits + 1, "ok"));
    assert!(!world.file("secrets/production/DB.next.age").exists());
    assert_eq!(world.get(SECRET), CANARY);
    fs::remove_file(world.project.join("fail")).unwrap();
    world.ok(&["rotation:run", SECRET]);
    assert_eq!(calls(&world).1, 2);
    // A last step can be given up as well.
    fail_at(&world, "finish");
    fails(&world, &["rotation:run", SECRET]);
    world.ok(&["rotation:cancel", SECRET]);
    assert_eq!(state(&world), "ok");
}

/// What a bad hook does at which step, and what is to be said of it.
const BAD: [(&str, &str, &str); 14] = [
    ("create", "exit 1", "exit code 1"),
    ("create", "kill -9 $$", "killed by signal 9"),
    ("create", "sleep 60", "did not end within 1s"),
    ("create", "trap '' TERM; sleep 60 & wait", "did not end within 1s"),
    ("create", "echo CANARY-new", "its answer is not"),
    ("create", "printf ''", "its answer is not"),
    ("create", "echo '{\"value\": \"CANARY-new\"} {}'", "its answer is not"),
    ("create", "echo '{\"value\": \"\"}'", "the value is empty"),
    ("create", "echo '{\"value\": \"CANARY\"}'", "the present value"),
    ("create", "echo '{\"value_base64\": \"CANARY\"}'", "not base64"),
    ("create", "yes CANARY", "printed more than"),
    ("set", "echo CANARY-new >&2; exit 1", "it is not shown"),
    ("set", "echo CANARY-new | base64 >&2; exit 1", "it is not shown"),
    ("test", "exec sleep 60", "did not end within 1s"),
];

#[test]
fn a_hook_that_hangs_dies_or_prints_garbage_leaves_nothing_half_done() {
    for (step, deed, expected) in BAD {
        let deed = deed.replace("CANARY", CANARY);
        let script = format!(
            "#!/bin/sh\nread -r input\ncase $input in *'\"step\":\"{step}\"'*) {deed};;\n\
             *'\"step\":\"create\"'*) echo '{{\"value\": \"{CANARY}-new\"}}';; esac\n"
        );
        let world = with_hook(&script);
        let commits = world.commits();
        let start = Instant::now();
        let time = if expected == "printed more than" { "30s" } else { "1s" };
        let error = fails(&world, &["rotation:run", SECRET, "--timeout", time]);
        assert!(start.elapsed() < Duration::from_secs(30), "{deed} took {:?}", start.elapsed());
        assert!(error.contains(expected), "{deed}: {error}");
        assert_eq!(world.commits() - commits, usize::from(step != "create"), "{deed}");
        assert_eq!(world.git(&["status", "--porcelain", "--", ".vsecure"]), "", "{deed}");
        assert_eq!((world.get(SECRET).as_str(), state(&world).as_str()), (CANARY, "failed"), "{deed}");
        assert_eq!(world.run(&["verify", "--decrypt"]).code, 0, "{deed}");
        assert_eq!(found_below(&world.home, CANARY), None, "{deed}");
        assert_eq!(found_below(&world.project.join(".git"), CANARY), None, "{deed}");
    }
}

#[test]
fn what_a_hook_has_started_ends_with_it() {
    let script = "#!/bin/sh\nread -r input\n(sleep 3; touch still-there) &\necho '{\"value\": \"new\"}'\n";
    let world = with_hook(script);
    let start = Instant::now();
    world.ok(&["rotation:run", SECRET]);
    assert!(start.elapsed() < Duration::from_secs(3));
    thread::sleep(Duration::from_secs(4));
    assert!(!world.project.join("still-there").exists());
}

#[test]
fn a_hook_gets_values_by_its_input_alone_and_no_identity() {
    let script = "#!/bin/sh\ntr '\\0' '\\n' < /proc/$$/cmdline >> seen\ntr '\\0' '\\n' < /proc/$$/environ >> seen\npwd >> seen\n\
                  read -r input\ncase $input in *'\"step\":\"create\"'*) echo '{\"value\": \"new-canary-value\"}';; esac\n";
    let world = with_hook(script);
    let key = fs::read_to_string(world.identity()).unwrap();
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let mut command = world.command("vsecure");
    command.args(["rotation:run", SECRET]).env("VSECURE_IDENTITY_KEY", key).env("VSECURE_ENV", "production");
    command.env("VSECURE_IDENTITY", world.identity()).env("VSECURE_IDENTITY_COMMAND", "false").env("MINE", "passes");
    let run = World::run_command(command, b"");
    assert_eq!(run.code, 0, "{}", run.err);
    let seen = fs::read_to_string(world.project.join("seen")).unwrap();
    for hidden in ["AGE-SECRET-KEY", "VSECURE_IDENTITY", CANARY, "new-canary-value"] {
        assert!(!seen.contains(hidden), "{hidden}: {seen}");
    }
    assert!(seen.contains("MINE=passes") && seen.contains(&format!("\n{}\n", world.project.display())), "{seen}");
    let left = fs::read_dir(&world.home).unwrap().flatten().map(|it| it.file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.starts_with("vsecure-")).count(), 0, "the copy that ran is gone");
}

#[test]
fn only_what_was_trusted_runs_and_exactly_that() {
    let world = with_hook(HOOK);
    let place = world.project.join(PLACE);
    let run = ["rotation:run", SECRET];
    fs::write(&place, format!("{HOOK}# and more\n")).unwrap();
    let error = world.refused(6, &run);
    assert!(error.contains("was changed since") && error.contains("trust:hook ops/rotate.sh --sha256"), "{error}");
    let other = format!("{:064}", 0);
    assert!(world.refused(6, &["trust:hook", PLACE, "--sha256", &other]).contains(&other));
    let sha256 = world.sh("sha256sum ops/rotate.sh | cut -d' ' -f1");
    let told = world.json(&["trust:hook", PLACE, "--sha256", sha256.trim()]);
    assert_eq!((&told["program"], &told["sha256"]), (&PLACE.into(), &sha256.trim().into()));
    // What was trusted before is not any more.
    fs::write(&place, HOOK).unwrap();
    world.refused(6, &run);
    fs::remove_file(&place).unwrap();
    assert!(world.refused(3, &run).contains("no program"));
    world.refused(3, &["trust:hook", PLACE]);
    fs::write(world.home.join("rotate.sh"), HOOK).unwrap();
    symlink(world.home.join("rotate.sh"), &place).unwrap();
    world.refused(6, &run);
    world.refused(6, &["trust:hook", PLACE]);
    fs::remove_file(&place).unwrap();
    fs::create_dir(world.home.join("ops")).unwrap();
    fs::write(world.home.join("ops/rotate.sh"), HOOK).unwrap();
    fs::remove_dir(world.project.join("ops")).unwrap();
    symlink(world.home.join("ops"), world.project.join("ops")).unwrap();
    world.refused(6, &run);
    for bad in ["/bin/sh", "../x", "ops/../x", ".git/hooks/x", "", "-c", "a\nb"] {
        world.refused(2, &["trust:hook", "--", bad]);
    }
    assert_eq!(calls(&world).0, Vec::<String>::new(), "none of it ran");
}

#[test]
fn trust_in_a_hook_is_one_machines_and_one_stores() {
    let team = crate::team::Team::with_secrets(&[(SECRET, CANARY)]);
    let alice = &team.alice;
    lay_hook(alice, HOOK);
    alice.ok(&["rotation:set", SECRET, "--period", "30d", "--hook", PLACE]);
    alice.git(&["add", "ops"]);
    alice.git(&["commit", "-q", "-m", "A hook"]);
    alice.push();
    let bob = team.joins("bob", "admins");
    alice.push();
    bob.pull();
    assert!(bob.refused(6, &["rotation:run", SECRET]).contains("is not trusted on this machine"));
    // The same person's other store does not trust it either.
    alice.sh("mkdir other && cd other && vsecure init --here");
    alice.ok(&["--store", "other", "create", SECRET, "two"]);
    alice.ok(&["--store", "other", "rotation:set", SECRET, "--period", "30d", "--hook", PLACE]);
    alice.refused(6, &["--store", "other", "rotation:run", SECRET]);
    alice.ok(&["--store", "other", "trust:hook", PLACE]);
    alice.ok(&["--store", "other", "rotation:run", SECRET]);
    assert_eq!(
        alice.ok(&["--store", "other", "get", SECRET]),
        "two-next",
        "paths are the work tree's, not the store's"
    );
}

#[test]
fn a_swap_between_the_check_and_the_start_changes_nothing() {
    // The hook replaces itself at its first step; what runs afterwards is what was trusted when the command began.
    let script = format!("{HOOK}echo 'echo swapped >> calls' > ops/rotate.sh\n");
    let world = with_hook(&script);
    world.ok(&["rotation:run", SECRET]);
    assert_eq!(calls(&world).0, ["create", "set", "test", "finish"]);
    world.refused(6, &["rotation:run", SECRET]);
}

#[test]
fn a_rotation_that_was_killed_goes_on() {
    let script = HOOK.replace(
        "case $step in\n",
        "if [ \"$(cat hang 2>/dev/null || true)\" = \"$step\" ]; then sleep 20; fi\ncase $step in\n",
    );
    for step in ["create", "set", "test", "finish"] {
        let world = with_hook(&script);
        fs::write(world.project.join("hang"), step).unwrap();
        let mut child = world.command("vsecure").args(["rotation:run", SECRET]).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while calls(&world).0.last().is_none_or(|last| last != step) {
            assert!(start.elapsed() < Duration::from_secs(20), "{step} was never called");
            thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(world.project.join("hang")).unwrap();
        let (value, expected) = if step == "finish" {
            (format!("{CANARY}-next"), "in-progress")
        } else {
            (CANARY.to_owned(), "in-progress")
        };
        let expected = if step == "create" { "ok" } else { expected };
        assert_eq!((world.get(SECRET), state(&world).as_str()), (value, expected), "{step}");
        world.ok(&["rotation:run", SECRET]);
        let (steps, tokens) = calls(&world);
        assert_eq!((tokens, steps.last().unwrap().as_str()), (1, "finish"), "{steps:?}");
        assert_eq!((world.get(SECRET), state(&world)), (format!("{CANARY}-next"), "ok".to_owned()), "{step}");
    }
}

#[test]
fn an_interrupt_ends_the_hook_and_keeps_what_was_begun() {
    let world = with_hook(&HOOK.replace("set) value", "set) sleep 20; value"));
    let mut command = world.command("vsecure");
    command.args(["rotation:run", SECRET]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let start = Instant::now();
    while calls(&world).0.last().is_none_or(|last| last != "set") {
        assert!(start.elapsed() < Duration::from_secs(20), "set was never called");
        thread::sleep(Duration::from_millis(20));
    }
    world.sh(&format!("kill -INT {}", child.id()));
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(start.elapsed() < Duration::from_secs(15) && output.status.code() == Some(1), "{err}");
    assert!(err.contains("it was interrupted") && err.contains("kept as pending"), "{err}");
    assert_eq!((world.get(SECRET).as_str(), state(&world).as_str()), (CANARY, "failed"));
}

#[test]
fn what_is_not_committed_is_not_built_upon() {
    let world = with_hook(HOOK);
    world.ok(&["update", SECRET, "--add-tag", "x", "--no-commit"]);
    assert!(world.refused(5, &["rotation:run", SECRET]).contains("not committed"));
    world.git(&["commit", "-q", "-m", "Tag"]);
    // Each state of a rotation is a commit, whatever the settings say.
    world.ok(&["config:set", "commit", "false"]);
    let before = world.commits();
    world.ok(&["rotation:run", SECRET]);
    assert_eq!(world.commits(), before + 2);
    world.ok(&["config:set", "commit", "true"]);
    let dry = world.run(&["rotation:run", SECRET, "--dry-run"]);
    assert!(dry.code == 0 && dry.err.contains("v3: rotated (dry run"), "{}", dry.err);
    assert_eq!((world.commits(), calls(&world).0.len()), (before + 2, 4));
}

/// The hook of the documentation, from its first line to its last, on a real database.
#[test]
fn the_hook_of_the_chapter_rotates_a_password_in_a_database() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/programs.md")).unwrap();
    let hook = text.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let world = World::with_store();
    world.ok_with(&["create", SECRET, "-"], CANARY.as_bytes());
    lay_hook(&world, hook);
    world.ok(&["rotation:set", SECRET, "--period", "90d", "--generate", "--hook", PLACE]);
    let sql = |statement: &str| {
        let script = "import sqlite3, sys; d = sqlite3.connect('app.db'); r = d.execute(sys.argv[1]).fetchall(); d.commit(); print(r)";
        let mut command = world.command("python3");
        command.args(["-c", script, statement]);
        let run = World::run_command(command, b"");
        assert_eq!(run.code, 0, "{}", run.err);
        run.out
    };
    sql("CREATE TABLE users (name TEXT, password TEXT)");
    let error = fails(&world, &["rotation:run", SECRET]);
    assert!(error.contains("hook: the database does not take the new password"), "{error}");
    assert_eq!((world.get(SECRET).as_str(), state(&world).as_str()), (CANARY, "failed"));
    sql(&format!("INSERT INTO users VALUES ('app', '{CANARY}'), ('other', 'x')"));
    world.ok(&["rotation:run", SECRET]);
    let value = world.get(SECRET);
    assert_ne!(value, CANARY);
    assert_eq!(
        sql("SELECT name, password FROM users ORDER BY name"),
        format!("[('app', '{value}'), ('other', 'x')]\n")
    );
}
