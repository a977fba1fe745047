//! Programs that get secrets as environment variables or files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{CANARY, Run, World};
use crate::team::Team;

/// Runs the world's `vsecure exec` with these words.
fn exec(world: &World, words: &[&str]) -> Run {
    world.run(&[&["exec"], words].concat())
}

#[test]
fn a_program_gets_the_secrets_of_an_environment_and_its_exit_code_is_ours() {
    let world = World::with_secrets(&[
        ("production/API_KEY", "one"),
        ("production/user-api/DATABASE_URL", "postgres://x"),
        ("staging/API_KEY", "two"),
    ]);
    let run = exec(&world, &["--env", "production", "--", "sh", "-c", "echo $API_KEY $DATABASE_URL; exit 7"]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (7, "one postgres://x\n", ""));
    let run = exec(&world, &["--", "true"]);
    assert_eq!(run.code, 125, "{}", run.err);
    assert!(run.err.contains("production, staging"), "{}", run.err);
    let mut command = world.command("vsecure");
    command.args(["exec", "--", "sh", "-c", "cat; echo $API_KEY"]).env("VSECURE_ENV", "staging");
    assert_eq!(World::run_command(command, b"from stdin ").out, "from stdin two\n");
    let run = exec(&world, &["-e", "production", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(run.code, -1, "the shell itself was killed, not a child of ours");
}

#[test]
fn any_bytes_but_nul_arrive() {
    let world = World::with_store();
    for (name, value) in [("A", &b"\xff\xfe\n'\"$(x)`\\ \x1b[31m"[..]), ("B", b"")] {
        let arguments = ["create", name, "--from-file", "-", "--allow-empty"];
        assert_eq!(world.run_with(&arguments, value).code, 0);
    }
    let run = exec(&world, &["--", "sh", "-c", "printf %s \"$A\"; printf '<%s>' \"${B-unset}\""]);
    assert_eq!(run.bytes, b"\xff\xfe\n'\"$(x)`\\ \x1b[31m<>");
    assert_eq!(world.run_with(&["create", "NUL1", "--from-file", "-"], b"a\0b").code, 0);
    let error = world.refused(125, &["exec", "--", "touch", "started"]);
    assert!(error.contains("default/NUL1") && error.contains("NUL byte"), "{error}");
    let run = exec(&world, &["--files", "--", "sh", "-c", "od -An -c \"$NUL1\""]);
    assert_eq!(run.out.split_whitespace().collect::<String>(), "a\\0b");
}

#[test]
fn which_secrets_and_what_they_are_called() {
    let world = World::with_secrets(&[("A", "1"), ("B", "2"), ("user-api/APP_C", "3"), ("user-api/APP_D", "4")]);
    world.ok(&["update", "A", "--add-tag", "x"]);
    let names = |words: &[&str]| {
        let run = exec(&world, &[words, &["--pristine", "--", "env"]].concat());
        assert_eq!(run.code, 0, "{words:?}: {}", run.err);
        let known = ["PATH", "HOME", "LC_ALL", "TZ", "TMPDIR", "PWD", "SHLVL", "_"];
        let variables = run.out.lines().filter(|line| !known.contains(&line.split('=').next().unwrap()));
        variables.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["A=1", "APP_C=3", "APP_D=4", "B=2"]);
    assert_eq!(names(&["--tags", "x"]), ["A=1"]);
    assert_eq!(names(&["--only", "B,user-api/*"]), ["APP_C=3", "APP_D=4", "B=2"]);
    assert_eq!(names(&["--except", "user-api/*", "--except", "B"]), ["A=1"]);
    assert_eq!(names(&["--under", "user-api", "--strip-prefix", "APP_", "--add-prefix", "P_"]), ["P_C=3", "P_D=4"]);
    assert_eq!(names(&["--map", "X=A,Y=user-api/APP_C", "--only", "A,user-api/APP_C"]), ["X=1", "Y=3"]);
    assert_eq!(
        world.ok(&["list", "--only", "A", "--only", "user-api/*", "--except", "user-api/APP_D"]),
        "default/A\ndefault/user-api/APP_C\n"
    );
    assert_eq!(world.ok(&["list", "--under", "user-api"]).lines().count(), 2);
    for (words, expected) in [
        (&["--only", "A,NOPE"][..], "NOPE"),
        (&["--tags", "nope"], "no secret is selected"),
        (&["--map", "X=NOPE"], "NOPE"),
        (&["--map", "B=A"], "would both be"),
        (&["--add-prefix", "1"], "1A"),
        (&["--env", "nowhere"], "nowhere"),
        (&["--map", "x"], "--map"),
        (&["--wrong"], "no such option"),
    ] {
        let all = [&["exec"], words, &["--", "touch", "started"]].concat();
        let error = world.refused(125, &all);
        assert!(error.contains(expected) && error.contains("nothing was started"), "{words:?}: {error}");
    }
}

#[test]
fn later_layers_win_and_are_explained() {
    let world = World::with_secrets(&[("default/A", "1"), ("default/B", "2"), ("staging/A", "3")]);
    let run = exec(&world, &["--env", "default,staging", "--", "sh", "-c", "echo $A $B"]);
    assert_eq!(run.out, "3 2\n");
    let run = exec(&world, &["--env", "staging,default", "--only", "B,A", "--", "sh", "-c", "echo $A $B"]);
    assert_eq!(run.out, "1 2\n");
    let table = world.ok(&["exec", "--env", "default,staging", "--explain"]);
    assert_eq!(table, "A\tstaging/A\tv1\tdefault/A\nB\tdefault/B\tv1\t\n");
    let json = world.json(&["exec", "--env", "default,staging", "--explain"]);
    assert_eq!(json["variables"][0]["over"], serde_json::json!(["default/A"]));
    // What is replaced is not read, and explaining reads nothing.
    let log = world.json(&["audit:logs", "--action", "accessed"]);
    assert_eq!(log.to_string().matches("default/A").count(), 1, "{log}");
}

#[test]
fn the_identity_and_a_pristine_environment() {
    let world = World::with_secrets(&[("A", "1")]);
    let run = |words: &[&str]| {
        let mut command = world.command("vsecure");
        command.args([&["exec"], words, &["--", "env"]].concat());
        command.env("VSECURE_IDENTITY", world.identity()).env("OTHER", "x").env("LC_TIME", "C");
        World::run_command(command, b"").out
    };
    let out = run(&[]);
    assert!(out.contains("\nOTHER=x\n") && !out.contains("VSECURE_IDENTITY"), "{out}");
    assert!(run(&["--keep-identity"]).contains("VSECURE_IDENTITY="));
    let out = run(&["--pristine"]);
    assert!(
        !out.contains("OTHER") && out.contains("LC_TIME=C") && out.contains("HOME=") && out.contains("A=1"),
        "{out}"
    );
}

#[test]
fn names_that_load_code_are_refused_unless_this_machine_allows_them() {
    let world = World::with_secrets(&[("LD_PRELOAD", CANARY), ("GIT_TOKEN", "x")]);
    let error = world.refused(125, &["exec", "--only", "LD_PRELOAD", "--", "touch", "started"]);
    assert!(error.contains("allowed_variables LD_PRELOAD"), "{error}");
    world.refused(125, &["exec", "--only", "GIT_TOKEN", "--", "touch", "started"]);
    world.refused(125, &["exec", "--only", "GIT_TOKEN", "--map", "PATH=GIT_TOKEN", "--", "touch", "started"]);
    world.ok(&["config:set", "allowed_variables", "GIT_TOKEN"]);
    assert_eq!(exec(&world, &["--only", "GIT_TOKEN", "--", "sh", "-c", "echo $GIT_TOKEN"]).out, "x\n");
    world.refused(125, &["exec", "--", "touch", "started"]);
    assert_eq!(
        exec(&world, &["--map", "TOKEN=LD_PRELOAD", "--", "sh", "-c", "echo $TOKEN"]).out,
        format!("{CANARY}\n")
    );
}

#[test]
fn one_bad_secret_and_nothing_starts() {
    let world = World::with_secrets(&[("A", CANARY), ("B", CANARY), ("C", CANARY)]);
    let (a, b) = (world.file("secrets/default/A.age"), world.file("secrets/default/B.age"));
    let good = fs::read(&b).unwrap();
    fs::copy(&a, &b).unwrap();
    world.refused(125, &["exec", "--", "touch", "started"]);
    world.refused(125, &["exec", "--readable", "--", "touch", "started"]);
    world.refused(125, &["exec", "--files", "--", "touch", "started"]);
    // Whoever names others does not depend on it.
    assert_eq!(exec(&world, &["--only", "A,C", "--", "true"]).code, 0);
    fs::write(&b, good).unwrap();
    let sidecar = world.file("secrets/default/C.yaml");
    let text = fs::read_to_string(&sidecar).unwrap();
    fs::write(&sidecar, text.replace("version: 1", "version: 2")).unwrap();
    world.refused(125, &["exec", "--", "touch", "started"]);
}

#[test]
fn what_a_member_cannot_read_stops_it_or_is_left_out_by_name() {
    let team = Team::with_secrets(&[("production/A", "1"), ("production/B", "2")]);
    let bob = team.joins("bob", "");
    let rules = r#"{"secrets": {"production/A": {"read": ["alice", "bob"], "write": ["alice"]}}}"#;
    team.alice.ok(&["policy:apply", &team.file("rules.json", rules), "--yes"]);
    team.alice.ok(&["rekey"]);
    team.alice.push();
    bob.pull();
    let error = bob.refused(125, &["exec", "--env", "production", "--", "touch", "started"]);
    assert!(error.contains("production/B"), "{error}");
    let run = exec(&bob, &["--env", "production", "--readable", "--", "sh", "-c", "echo $A ${B-none}"]);
    assert_eq!((run.code, run.out.as_str()), (0, "1 none\n"));
    assert!(run.err.contains("production/B is left out"), "{}", run.err);
    let log = bob.json(&["audit:logs", "--action", "accessed"]).to_string();
    assert_eq!((log.matches("production/A").count(), log.matches("production/B").count()), (1, 2), "{log}");
}

#[test]
fn a_program_that_is_not_there_or_is_none() {
    let world = World::with_secrets(&[("A", CANARY)]);
    fs::write(world.project.join("text"), "no program").unwrap();
    world.refused(127, &["exec", "--", "no-such-program"]);
    world.refused(127, &["exec", "--files", "--", "no-such-program"]);
    world.refused(126, &["exec", "--", "./text"]);
    world.refused(126, &["exec", "--files", "--", "./text"]);
    world.refused(126, &["exec", "--", "./"]);
    world.ok(&["config:set", "max_value_size", "4000000"]);
    assert_eq!(world.run_with(&["update", "A"], "x".repeat(3_000_000).as_bytes()).code, 0);
    let error = world.refused(126, &["exec", "--", "true"]);
    assert!(error.contains("--files"), "{error}");
    assert_eq!(exec(&world, &["--files", "--", "sh", "-c", "wc -c < $A"]).out.trim(), "3000000");
}

#[test]
fn values_in_files_are_private_and_gone_afterwards() {
    let world = World::with_secrets(&[("A", CANARY), ("sub/B", "two")]);
    let script = "stat -c '%a' $A $(dirname $A); cat $A $B; echo; echo $A; stat -f -c %T $A; exit 3";
    let run = exec(&world, &["--files", "--", "sh", "-c", script]);
    assert_eq!(run.code, 3, "{}", run.err);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines[..3], ["600", "700", &format!("{CANARY}two")]);
    assert!(!fs::exists(lines[3]).unwrap() && !fs::exists(lines[3].rsplit_once('/').unwrap().0).unwrap());
    assert!(lines[4] == "tmpfs" || run.err.contains("on a disk"), "{} {}", lines[4], run.err);
}

#[test]
fn signals_reach_the_program_and_its_files_go() {
    let world = World::with_secrets(&[("A", CANARY)]);
    for (script, signal, code) in [
        ("trap 'exit 5' TERM; echo $A > ready; while :; do sleep 0.05; done", "TERM", 5),
        ("trap 'exit 6' HUP; echo $A > ready; while :; do sleep 0.05; done", "HUP", 6),
        ("echo $A > ready; exec sleep 100", "INT", 130),
        ("trap '' TERM; echo $A > ready; sleep 0.5; exit 9", "TERM", 9),
    ] {
        let ready = world.project.join("ready");
        let _ = fs::remove_file(&ready);
        let mut command = world.command("vsecure");
        command.args(["exec", "--files", "--", "sh", "-c", script]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        while !fs::read_to_string(&ready).is_ok_and(|text| text.ends_with('\n')) {
            assert!(start.elapsed() < Duration::from_secs(20), "the program never started");
            std::thread::sleep(Duration::from_millis(5));
        }
        let file = fs::read_to_string(&ready).unwrap();
        assert_eq!(fs::metadata(file.trim()).unwrap().permissions().mode() & 0o777, 0o600);
        world.sh(&format!("kill -{signal} {}", child.id()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{script}");
        assert!(!fs::exists(file.trim()).unwrap(), "{file} was left after {signal}");
    }
}

#[test]
fn the_program_is_in_our_place_and_decides_for_itself() {
    let world = World::with_secrets(&[("A", CANARY)]);
    let mut command = world.command("vsecure");
    command
        .args(["exec", "--", "sh", "-c", "echo $$; grep -c SigIgn:.*1000$ /proc/self/status"])
        .stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(out, format!("{id}\n0\n"), "the same process, and a closed pipe ends it as usual");
    // We refuse core dumps and tracing of ourselves; the program is a fresh image and decides for itself.
    let dumpable = "import ctypes; print(ctypes.CDLL(None).prctl(3))";
    assert_eq!(exec(&world, &["--", "python3", "-c", dumpable]).out, "1\n");
}

#[test]
fn expired_values_are_said() {
    let world = World::with_store();
    world.ok(&["create", "A", "x", "--expires-at", "2020-01-01"]);
    let run = exec(&world, &["--", "true"]);
    assert!(run.code == 0 && run.err.contains("default/A expired"), "{}", run.err);
}

#[test]
fn a_node_and_a_python_program_see_their_configuration() {
    let world = World::with_secrets(&[
        ("production/user-api/DATABASE_URL", "postgres://u:p%40@h/é"),
        ("production/API_KEY", "k\n2"),
    ]);
    let node = "const { DATABASE_URL, API_KEY } = process.env; console.log(JSON.stringify([DATABASE_URL, API_KEY, process.env.VSECURE_IDENTITY]))";
    let python = "import json, os; print(json.dumps([os.environ['DATABASE_URL'], os.environ['API_KEY'], os.environ.get('VSECURE_IDENTITY')], ensure_ascii=False))";
    for command in [["node", "-e", node], ["python3", "-c", python]] {
        let run = exec(&world, &[&["--env", "production", "--"][..], &command].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        let found: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(found, serde_json::json!(["postgres://u:p%40@h/é", "k\n2", null]));
    }
}

#[test]
fn every_value_is_written_down_before_the_program_starts() {
    let world = World::with_secrets(&[("A", CANARY), ("B", CANARY)]);
    world.ok(&["config:set", "access_log", "required"]);
    assert_eq!(exec(&world, &["--", "true"]).code, 0);
    let log = world.json(&["audit:logs", "--action", "accessed"]).to_string();
    assert_eq!((log.matches("default/A").count(), log.matches("default/B").count()), (1, 1), "{log}");
    world.ok(&["audit:verify"]);
    let folder = world.project.join(".git/vsecure/audit");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    world.refused(125, &["exec", "--", "touch", "started"]);
    world.refused(1, &["export", "--format", "json"]);
    world.ok(&["config:set", "access_log", "off"]);
    assert_eq!(exec(&world, &["--", "true"]).code, 0);
}
