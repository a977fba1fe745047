//! The access log: what is written down, and who can see and check it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{CANARY, Run, World, found_below, with_mounts};

/// The files of the local log.
fn log_files(project: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(project.join(".git/vsecure/audit")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        folder.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    files.sort();
    files
}

/// The lines of the local log, parsed.
fn lines(project: &Path) -> Vec<Value> {
    let texts = log_files(project).into_iter().map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
fn a_read_is_written_down_before_it_is_released() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    assert!(lines(&world.project).is_empty(), "writing is in the signed history and needs no line");
    world.ok(&["update", "A", "two"]);
    world.get("A");
    world.ok(&["get", "A", "--version", "1"]);
    world.ok(&["get", "A", "--at", "HEAD"]);
    world.ok(&["diff", "A"]);
    world.ok(&["list"]);
    world.ok(&["describe", "A"]);
    let lines = lines(&world.project);
    let said = |key: &str| lines.iter().map(|line| line[key].to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(said("sequence"), "1 2 3 4 5");
    assert_eq!(said("command"), "\"secrets:get\" \"secrets:get\" \"secrets:get\" \"secrets:diff\" \"secrets:diff\"");
    assert_eq!(
        lines.iter().map(|line| line["resource"]["version"].as_u64().unwrap()).collect::<Vec<_>>(),
        [2, 1, 2, 2, 1]
    );
    let first = &lines[0];
    assert_eq!(first["action"], "accessed");
    assert_eq!(first["result"], "ok");
    assert_eq!(first["actor"]["member"], "alice");
    assert_eq!(first["resource"]["path"], "production/A");
    assert_eq!(first["resource"]["revision"], 2);
    assert_eq!(first["previous"], Value::Null);
    assert_eq!(first["ci"], Value::Null);
    assert!(first["client"].as_str().unwrap().starts_with("vsecure "));
    let device = fs::read_to_string(world.project.join(".git/vsecure/clone-id")).unwrap();
    assert_eq!(first["device"], device.trim());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&log_files(&world.project)[0]), 0o600);
    assert_eq!(mode(&world.project.join(".git/vsecure/audit")), 0o700);
    assert_eq!(found_below(&world.project.join(".git/vsecure"), CANARY), None, "no value is ever written down");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_refused_read_is_written_down_as_refused() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let age = world.file("secrets/production/A.age");
    let good = fs::read(&age).unwrap();
    fs::write(&age, "rubbish").unwrap();
    world.refused(6, &["get", "A"]);
    fs::write(&age, good).unwrap();
    world.refused(3, &["get", "B"]);
    let lines = lines(&world.project);
    assert_eq!(lines.len(), 1, "what is not there was not refused: {lines:?}");
    assert_eq!((lines[0]["result"].as_str(), lines[0]["reason"].as_str()), (Some("refused"), Some("value-replaced")));
    assert_eq!(lines[0]["resource"]["version"], Value::Null);
}

#[test]
fn a_run_of_ci_is_named_and_odd_variables_do_no_harm() {
    let world = World::with_secrets(&[("production/A", "one")]);
    for (number, run) in [("77", Some("77")), ("a\u{1b}[31m", None)] {
        let mut command = world.command("vsecure");
        command.args(["get", "A"]).env("GITHUB_ACTIONS", "true").env("GITHUB_RUN_ID", number);
        assert_eq!(World::run_command(command, b"").out, "one");
        let line = lines(&world.project).pop().unwrap();
        assert_eq!((line["ci"]["provider"].as_str(), line["ci"]["run"].as_str()), (Some("github-actions"), run));
    }
}

#[test]
fn reads_can_be_left_out_or_required() {
    let world = World::with_secrets(&[("production/A", CANARY)]);
    world.ok(&["config:set", "access_log", "off"]);
    world.get("A");
    assert!(lines(&world.project).is_empty());
    world.ok(&["config:set", "access_log", "required"]);
    assert_eq!(world.get("A"), CANARY);
    assert_eq!(lines(&world.project).len(), 1);
    // Where there can be no log, a value is released only if none is required.
    let log = log_files(&world.project).remove(0);
    fs::write(&log, format!("{}\n", "x".repeat(9000))).unwrap();
    assert!(world.refused(1, &["get", "A"]).contains("not released"));
    world.ok(&["config:set", "access_log", "local"]);
    let run = world.run(&["get", "A"]);
    assert!(run.out == CANARY && run.err.contains("could not be written down"), "{}", run.err);
    fs::remove_dir_all(world.project.join(".git")).unwrap();
    let run = world.run(&["get", "A"]);
    assert!(run.out == CANARY && run.err.is_empty(), "{}", run.err);
    world.ok(&["config:set", "access_log", "required"]);
    let run: Run = world.run(&["get", "A"]);
    assert!(run.code == 1 && run.out.is_empty() && run.err.contains("git work tree"), "{}", run.err);
}

#[test]
fn a_torn_line_is_cut_off_and_the_chain_goes_on() {
    let world = World::with_secrets(&[("production/A", "one")]);
    world.get("A");
    let log = log_files(&world.project).remove(0);
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{whole}{{\"format\":1,\"seq")).unwrap();
    world.get("A");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with(&whole));
    assert_eq!(lines(&world.project).iter().map(|line| line["sequence"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn many_readers_at_once_make_one_unbroken_log() {
    let world = World::with_secrets(&[("production/A", "one")]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(world.get("A"), "one")));
        }
    });
    let sequence: Vec<u64> = lines(&world.project).iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=20).collect::<Vec<_>>());
}

#[test]
fn on_a_full_disk_a_read_goes_on_and_a_required_line_is_missed() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let printed = with_mounts(
        &world,
        "mkdir $HOME/ram; mount -t tmpfs -o size=900k tmpfs $HOME/ram; cp -r . $HOME/ram/project; cd $HOME/ram/project
         vsecure get A >/dev/null; log=$(echo .git/vsecure/audit/*.jsonl)
         # Up to the end of the page that the file has.
         while test $(($(stat -c %s $log) % 4096)) -lt 3300; do vsecure get A >/dev/null; done
         head -c 1M /dev/zero > ../filler || true; before=$(stat -c %s $log)
         for n in 1 2 3; do test \"$(vsecure get A 2>>$HOME/warnings)\" = one || exit 9; done
         test $(grep -c 'could not be written down (disk-full)' $HOME/warnings) -ge 2
         vsecure config:set access_log required
         if vsecure get A > $HOME/out; then exit 7; else test $? = 1; fi; test ! -s $HOME/out
         tail -c 1 $log | od -c | grep -q '\\\\n'
         rm ../filler; test $(vsecure get A) = one
         echo lines $(wc -l < $log) last $(tail -1 $log | grep -o '\"sequence\":[0-9]*')",
    );
    let end = printed.split("lines ").nth(1).unwrap();
    let (lines, sequence) = end.split_once(" last \"sequence\":").unwrap();
    assert_eq!(lines, sequence.trim().lines().next().unwrap(), "{printed}");
}

#[test]
fn a_read_only_repository_has_no_log_unless_one_is_required() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let printed = with_mounts(
        &world,
        "vsecure config:set access_log local; mount --bind . .; mount -o remount,bind,ro .; cd $PWD
         test $(vsecure get A 2>$HOME/err) = one; test ! -s $HOME/err
         vsecure config:set access_log required
         if vsecure get A; then exit 9; else test $? = 1; fi",
    );
    assert!(printed.contains("not released") && printed.contains("can't be written"), "{printed}");
    assert!(lines(&world.project).is_empty());
}
