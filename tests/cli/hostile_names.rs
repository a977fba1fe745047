//! Names that want out of their place: on the command line, in the work tree, and in commits that no git would make. And texts that want to deceive a
//! terminal, from everywhere that something shown comes from.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::{CANARY, Run, World};

/// Characters that move a cursor, turn text around or hide it.
const UNSEEN: [char; 6] = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{feff}'];

fn names() -> Vec<String> {
    let fixed = [
        "../x",
        "../../x",
        "x/../../y",
        "./x",
        "x/./y",
        "/abs",
        "/etc/passwd",
        "//x",
        "x//y",
        "x/",
        ".",
        "..",
        ".git/config",
        ".git",
        "x/.git/config",
        ".vsecure/policy",
        ".hidden",
        "~/x",
        "$HOME",
        "a b",
        " a",
        "a ",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\u{1b}[31m",
        "a\u{7}",
        "a\u{7f}",
        "a\u{9b}31m",
        "a\u{202e}b",
        "a\u{200b}b",
        "\u{feff}a",
        "é",
        "ａ",
        "a\\b",
        "C:\\x",
        "a:b",
        "a*",
        "a?",
        "a|b",
        "a<b",
        "a\"b",
        "a'b",
        "a`b`",
        "a;b",
        "a&b",
        "NUL",
        "nul.txt",
        "CON",
        "x/aux",
        "COM1",
        "lpt9.x",
        "x.lock",
        "x.age",
        "x.YAML",
        "x.next",
        "x.lock/y",
        "x.",
        "x./y",
    ];
    let long = ["a".repeat(129), "a".repeat(5000), "a/".repeat(300) + "b", "../".repeat(1000)];
    fixed.into_iter().map(ToOwned::to_owned).chain(long).collect()
}

/// That nothing which was told moves a terminal.
fn assert_plain(run: &Run, what: &str) {
    let told = [run.out.as_str(), &run.err].concat();
    assert!(!told.contains(UNSEEN), "{what} shows {told:?}");
    assert!(!told.contains(CANARY), "{what} shows a value: {told:?}");
}

#[test]
fn no_command_takes_a_hostile_name() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let before = world.state();
    for name in names() {
        let path = format!("production/{name}");
        let lines: [&[&str]; 20] = [
            &["get", &name],
            &["get", &path],
            &["get", &name, "--at", "HEAD"],
            &["get", "A", "--env", &name],
            &["describe", &path],
            &["versions", &path],
            &["diff", &path],
            &["create", &name, CANARY],
            &["create", &path, CANARY],
            &["create", "B", CANARY, "--env", &name],
            &["update", &path, CANARY],
            &["set", &path, CANARY],
            &["edit", &path],
            &["delete", &path],
            &["restore", &path],
            &["rollback", &path],
            &["rename", &path, "production/B"],
            &["rename", "production/A", &path],
            &["copy", "production/A", &path],
            &["list", "--env", &name],
        ];
        for line in lines {
            let run = world.run(line);
            assert!(run.code == 2 || run.code == 3, "{line:?} ends with {}: {}{}", run.code, run.out, run.err);
            assert_eq!(run.out, "", "{line:?}");
            assert_plain(&run, &format!("{line:?}"));
        }
    }
    assert_eq!(world.state(), before, "a refused name left something behind");
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let before = world.state();
    for line in [
        &["get"][..],
        &["delete"],
        &["update", "A", "--add-tag"],
        &["list", "--env"],
        &["create", "B", CANARY, "--metadata"],
    ] {
        let mut command = world.command("vsecure");
        command.args(line).arg(OsStr::from_bytes(b"a\xff\x1b[2J"));
        let run = World::run_command(command, b"");
        assert_eq!(run.code, 2, "{line:?}: {}", run.err);
        assert_plain(&run, &format!("{line:?}"));
    }
    assert_eq!(world.state(), before);
}

#[test]
fn files_with_hostile_names_are_shown_safely_and_hide_nothing() {
    let world = World::with_secrets(&[("production/A", "one")]);
    let folder = world.file("secrets/production");
    let names: [&[u8]; 12] = [
        b"\x1b]0;pwned\x07.yaml",
        b"a\nb.yaml",
        b"NUL.yaml",
        b"a b.yaml",
        b"\xff\xfe.yaml",
        "\u{202e}lmay.yaml".as_bytes(),
        "a\u{9b}31m.age".as_bytes(),
        b"x.lock.yaml",
        b"-rf.yaml",
        b"..yaml.yaml",
        b"a\\b.yaml",
        b"x..age",
    ];
    for name in names {
        fs::write(folder.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    fs::create_dir(folder.join(OsStr::from_bytes(b"\x1b[2J"))).unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"\x1b[2J/B.yaml")), "x").unwrap();
    fs::write(folder.join("a".repeat(250) + ".yaml"), "x").unwrap();
    let run = world.run(&["list"]);
    assert_eq!((run.code, run.out.as_str()), (6, "production/A\n"), "{}", run.err);
    assert!(run.err.matches("warning: ").count() >= 12, "{}", run.err);
    assert_plain(&run, "list");
    for line in [
        &["status"][..],
        &["get", "production/A"],
        &["versions", "production/A"],
        &["get", "production/NONE"],
        &["list", "--json"],
        &["verify"],
        &["verify", "--sarif"],
        &["doctor"],
    ] {
        assert_plain(&world.run(line), &format!("{line:?}"));
    }
    assert_eq!(world.get("production/A"), "one");
    world.ok(&["update", "production/A", "two"]);
    assert_eq!(
        world.git(&["show", "--format=", "--name-only"]).lines().count(),
        2,
        "only what was asked for is committed"
    );
}

/// Writes a tree as its bytes say, which `git mktree` would refuse.
const RAW_TREE: &str = r#"
tree() { # mode name id, again and again
    while [ $# -gt 0 ]; do printf "$1 $2\0"; printf "$(echo $3 | sed 's/../\\x&/g')"; shift 3; done | git hash-object -t tree --literally -w --stdin
}
blob=$(echo x | git hash-object -w --stdin)
age=$(git rev-parse HEAD:.vsecure/secrets/production/A.age); yaml=$(git rev-parse HEAD:.vsecure/secrets/production/A.yaml)
policy=$(git rev-parse HEAD:.vsecure/policy); attributes=$(git rev-parse HEAD:.vsecure/.gitattributes); long=$(printf 'a%.0s' {1..5000})
commit() { # the folder production
    secrets=$(tree 40000 production $1); store=$(tree 100644 .gitattributes $attributes 40000 policy $policy 40000 secrets $secrets)
    git update-ref HEAD $(git commit-tree -p HEAD -m hostile $(tree 40000 .vsecure $store))
}
inner=$(tree 100644 config $blob)
"#;

#[test]
fn commits_with_hostile_names_lead_nothing_astray() {
    for (what, entries) in [
        ("climbing", r"100644 ../../../../evil.yaml $blob 100644 A.age $age 100644 A.yaml $yaml"),
        ("a folder that climbs", r"40000 .. $inner 100644 A.age $age 100644 A.yaml $yaml"),
        ("the folder itself", r"40000 . $inner 100644 A.age $age 100644 A.yaml $yaml"),
        ("a git directory", r"40000 .git $inner 100644 A.age $age 100644 A.yaml $yaml"),
        ("a git directory in other case", r"40000 .GiT $inner 100644 A.age $age 100644 A.yaml $yaml"),
        ("an absolute path", r"100644 /tmp/evil.yaml $blob 100644 A.age $age 100644 A.yaml $yaml"),
        ("escape sequences", r"100644 '\x1b[2J.yaml' $blob 100644 A.age $age 100644 A.yaml $yaml"),
        ("a line feed", r"100644 A.age $age 100644 A.yaml $yaml 100644 'a\nb.yaml' $blob"),
        ("5,000 bytes", r"100644 A.age $age 100644 A.yaml $yaml 100644 $long.yaml $blob"),
        ("a device", r"100644 A.age $age 100644 A.yaml $yaml 100644 NUL.yaml $blob"),
        ("twice the same name", r"100644 A.age $age 100644 A.yaml $yaml 100644 A.yaml $blob"),
        ("twins in case", r"100644 A.age $age 100644 A.yaml $yaml 100644 a.age $age 100644 a.yaml $yaml"),
    ] {
        let world = World::with_secrets(&[("production/A", "one")]);
        world.sh(&format!("{RAW_TREE}\ncommit $(tree {entries})"));
        let listed = world.git(&["ls-tree", "HEAD:.vsecure/secrets/production"]);
        assert!(listed.lines().count() > 2, "{what} is not in the commit: {listed}");
        assert_eq!(world.ok(&["get", "production/A"]), "one", "{what}");
        let outside = [
            world.project.parent().unwrap().join("evil.yaml"),
            world.project.join("evil.yaml"),
            "/tmp/evil.yaml".into(),
        ];
        for line in [
            &["get", "production/A", "--at", "HEAD"][..],
            &["versions", "production/A", "--all"],
            &["status"],
            &["list"],
            &["verify"],
            &["verify", "HEAD"],
            &["verify", "HEAD~1..HEAD"],
            &["verify", "--base", "HEAD~1", "HEAD"],
            &["update", "production/A", "two"],
            &["create", "production/NEW", "new"],
            &["get", "production/a", "--at", "HEAD"],
            &["delete", "production/A"],
        ] {
            let run = world.run(line);
            assert!(run.code != 70 && run.code != -1, "{what}: {line:?}: {}", run.err);
            assert_plain(&run, &format!("{what}: {line:?}"));
            assert!(outside.iter().all(|file| !file.exists()), "{what}: {line:?} wrote outside");
            assert!(
                !world.project.join(".git/config").metadata().is_ok_and(|file| file.len() < 10),
                "{what}: {line:?}"
            );
        }
    }
}

#[test]
fn twins_in_case_are_told_apart_where_a_file_system_folds_case() {
    let world = World::with_secrets(&[("production/A", "one")]);
    // Such a file system gives A's files for a's names: links between them do the same here.
    let folder = world.file("secrets/production");
    for ending in ["age", "yaml"] {
        fs::hard_link(folder.join(format!("A.{ending}")), folder.join(format!("a.{ending}"))).unwrap();
    }
    assert!(world.refused(6, &["get", "production/a"]).contains("belongs to `production/A`"));
    assert!(world.refused(6, &["update", "production/a", CANARY]).contains("belongs to `production/A`"));
    assert_eq!(world.get("production/A"), "one");
    world.refused(5, &["create", "production/a", CANARY]);
    let run = world.run(&["list"]);
    assert_eq!((run.code, run.out.as_str()), (6, "production/A\n"), "{}", run.err);
}

#[test]
fn nothing_shown_deceives_a_terminal() {
    let hostile = "x\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31m\u{202e}y\u{200b}";
    // A work tree, a home, a branch, an author and a message that would.
    let mut world = World::empty();
    let project = world.project.with_file_name(hostile);
    fs::rename(&world.project, &project).unwrap();
    world.project = project;
    let show = |line: &[&str]| {
        let mut command = world.command("vsecure");
        command.args(line).env("EDITOR", "true").env("XDG_CONFIG_HOME", world.home.join(hostile));
        let run = World::run_command(command, b"");
        assert_plain(&run, &format!("{line:?}"));
        run
    };
    for line in [&["status"][..], &["list"], &["get", "A"], &["trust"]] {
        show(line);
    }
    assert_eq!(show(&["init", "--email", "a\u{202e}b@example.com", "--name", "alice"]).code, 0);
    world.git(&["checkout", "-q", "-b", "branch\u{202e}\u{200b}"]);
    world.git(&["config", "user.name", "Alice \u{1b}[31m\u{202e}"]);
    let metadata = "note=one\nreader      mallory\tSHA256:x\u{202e}\u{200b}";
    assert_eq!(show(&["create", "production/A", "one", "--metadata", metadata, "-m", hostile]).code, 0);
    assert_eq!(show(&["update", "production/A", "two", "--metadata", "note=two\u{202e}"]).code, 0);
    for line in [
        &["status"][..],
        &["list"],
        &["describe", "production/A"],
        &["describe", "production/A", "--json"],
        &["list", "--json"],
        &["versions", "production/A", "--all", "--json"],
        &["diff", "production/A", "--json"],
        &["versions", "production/A"],
        &["versions", "production/A", "--all"],
        &["diff", "production/A"],
        &["verify"],
        &["doctor"],
        &["verify", hostile],
        &["trust"],
        &["keys:show"],
        &["config:list"],
        &["get", "production/A", "--at", hostile],
        &["get", "production/A", "--field", hostile],
        &["--identity", hostile, "get", "production/A"],
        &["--store", hostile, "list"],
        &["--store-id", hostile, "list"],
        &["config:set", hostile, hostile],
        &["create", "production/B", "x", "--tags", hostile],
        &["create", "production/B", "x", "--metadata", hostile],
        &["create", "production/B", "x", "--expires-in", hostile],
        &["create", "production/B", "--from-file", hostile],
        &[hostile],
        &["get", hostile, "--json"],
    ] {
        show(line);
    }
    // A metadata value of two lines is one line of a description.
    world.git(&["checkout", "-q", "HEAD~1", "--", ".vsecure"]);
    let described = show(&["describe", "production/A"]).out;
    assert!(described.contains("note=one\\u{a}reader"), "{described}");
    fs::write(world.file("secrets/production/A.yaml"), hostile).unwrap();
    show(&["get", "production/A"]);
    fs::write(world.project.join(".git/HEAD"), hostile).unwrap();
    show(&["status"]);
    show(&["update", "production/A", "x"]);
    // A lock that somebody left says who holds it.
    fs::write(world.project.join(".git/vsecure/lock"), hostile).unwrap();
    show(&["update", "production/A", "x"]);
}
