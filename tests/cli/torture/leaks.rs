//! Every command of the program, made whole, killed, crashed and failed, with a value and a key that must be found nowhere afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use tempfile::TempDir;

use super::Extent;
use super::scenario::{base, let_time_pass};
use super::sweep::on_all_processors;
use super::tracer::{Act, Traced, trace};
use crate::moving::tool;
use crate::report::Row;
use crate::support::{CANARY, World};

/// One way to use a command.
struct Leak {
    command: &'static str,
    arguments: &'static [&'static str],
    /// Whether it is there to print the value.
    prints: bool,
    /// Whether it is there to put the value into a program's variables.
    hands_on: bool,
    /// Whether it starts without a store.
    bare: bool,
    /// What it ends with where nothing is done to it.
    code: i32,
}

const fn leak(command: &'static str, arguments: &'static [&'static str]) -> Leak {
    Leak { command, arguments, prints: false, hands_on: false, bare: false, code: 0 }
}

const fn refused(code: i32, command: &'static str, arguments: &'static [&'static str]) -> Leak {
    Leak { code, ..leak(command, arguments) }
}

const fn printing(command: &'static str, arguments: &'static [&'static str]) -> Leak {
    Leak { prints: true, ..leak(command, arguments) }
}

/// What somebody who wants to become a member has sent, and rules to apply.
const REQUEST: &str = "../home/request";
const ANOTHER_KEY: &str = "../home/another-key";
const RULES: &str = "../home/rules.json";
/// A text with the reference of a value.
const TEMPLATE: &str = "../home/template";
/// A store of passage that holds the value twice.
const PASSAGE: &str = "../home/passage";

/// A file that sops encrypted, and a store of pass.
const SOPS: &str = "../home/sops.yaml";
const PASS: &str = "../home/pass";

/// Every command has one or more; the value comes on standard input, where one is taken.
const LEAKS: [Leak; 95] = [
    Leak { bare: true, ..leak("init", &["init"]) },
    leak("demo", &["demo"]),
    leak("status", &["status", "--json"]),
    leak("trust", &["trust", "--export"]),
    leak("completions", &["completions", "bash"]),
    leak("man", &["man", "pages"]),
    leak("secrets:create", &["create", "production/NEW", "-", "--tags", "x", "-m", "Message"]),
    leak("secrets:create", &["create", "production/NEW", CANARY, "--no-commit"]),
    refused(2, "secrets:create", &["create", "production/../NEW", CANARY]),
    leak("secrets:update", &["update", "production/A", "-"]),
    leak("secrets:update", &["update", "production/A", "--tags", "x"]),
    leak("secrets:set", &["set", "production/B", "-"]),
    printing("secrets:get", &["get", "production/A"]),
    printing("secrets:get", &["get", "production/A", "--version", "1", "--json"]),
    refused(2, "secrets:get", &["get", "production/A", "--field", "none.such"]),
    leak("secrets:list", &["list"]),
    leak("secrets:describe", &["describe", "production/A", "--json"]),
    leak("secrets:versions", &["versions", "production/A", "--all"]),
    leak("secrets:diff", &["diff", "production/A"]),
    printing("secrets:diff", &["diff", "production/A", "--reveal"]),
    leak("secrets:rollback", &["rollback", "production/A"]),
    leak("secrets:delete", &["delete", "production/A"]),
    leak("secrets:restore", &["restore", "production/OLD"]),
    leak("secrets:rename", &["rename", "production/A", "staging/A"]),
    leak("secrets:copy", &["copy", "production/A", "staging/A"]),
    leak("secrets:edit", &["edit", "production/A"]),
    leak("keys:generate", &["keys:generate", "--output", "new-key"]),
    leak("keys:show", &["keys:show"]),
    leak("config:get", &["config:get", "commit"]),
    leak("config:set", &["config:set", "commit", "false"]),
    leak("config:list", &["config:list"]),
    leak("audit:logs", &["audit:logs"]),
    leak("audit:verify", &["audit:verify"]),
    leak("audit:push", &["audit:push"]),
    leak("audit:fetch", &["audit:fetch"]),
    leak("doctor", &["doctor"]),
    leak("report", &["report", "--html", "report.html"]),
    leak("report", &["report", "--json"]),
    leak("revert", &["revert", "HEAD"]),
    leak("verify", &["verify", "HEAD"]),
    leak("access:acknowledge", &["access:acknowledge", "production/B", "--reason", "x", "--until", "2099-01-01"]),
    refused(8, "access:check", &["access:check"]),
    leak("access:debt", &["access:debt"]),
    leak("access:expire", &["access:expire"]),
    leak("access:grant", &["access:grant", "production/A", "--user", "hand", "--duration", "1d"]),
    leak("access:grants", &["access:grants"]),
    leak("access:list", &["access:list"]),
    leak("access:who", &["access:who", "production/A"]),
    leak("access:why", &["access:why", "ci", "production/A"]),
    leak("env:add", &["env:add", "qa", "--yes"]),
    leak("env:list", &["env:list"]),
    leak("env:remove", &["env:remove", "development", "--yes"]),
    leak("keys:recovery", &["keys:recovery", "--yes"]),
    refused(2, "members:accept", &["members:accept", "production/A"]),
    leak("members:add", &["members:add", REQUEST, "--roles", "admins", "--yes"]),
    leak("members:add-key", &["members:add-key", "ci", ANOTHER_KEY, "--yes"]),
    leak("members:add-machine", &["members:add-machine", "more", "--roles", "admins", "--yes"]),
    leak("members:list", &["members:list"]),
    leak("members:remove", &["members:remove", "ci", "--yes"]),
    leak("members:replace-key", &["members:replace-key", "ci", ANOTHER_KEY, "--lost", "--yes"]),
    leak("members:request", &["members:request", "--name", "dave", "--email", "dave@example.com"]),
    leak("members:roles", &["members:roles", "ci", "devops", "--yes"]),
    leak("members:show", &["members:show", "ci"]),
    leak("policy:apply", &["policy:apply", RULES, "--yes"]),
    leak("policy:diff", &["policy:diff", "1", "2"]),
    refused(2, "policy:edit", &["policy:edit", "--yes"]),
    leak("policy:history", &["policy:history"]),
    refused(5, "policy:rebase", &["policy:rebase", "--yes"]),
    leak("policy:show", &["policy:show"]),
    leak("rekey", &["rekey"]),
    leak("rotation:set", &["rotation:set", "production/A", "--period", "30d", "--hook", "ops/hook"]),
    leak("rotation:status", &["rotation:status", "--json"]),
    leak("rotation:run", &["rotation:run", "production/GENERATED", "--json"]),
    leak("rotation:run", &["rotation:run", "production/HOOKED", "--json"]),
    leak("rotation:run", &["rotation:run", "--due", "--json"]),
    leak("rotation:cancel", &["rotation:cancel", "production/BEGUN"]),
    refused(5, "secrets:adopt", &["secrets:adopt", "production/A", "--yes"]),
    leak("secrets:grant-access", &["grant-access", "production/A", "--user", "hand", "--duration", "1h"]),
    leak("secrets:revoke-access", &["revoke-access", "production/B", "--user", "hand"]),
    leak("trust:hook", &["trust:hook", "ops/hook"]),
    leak("trust:branch", &["trust:branch", "main"]),
    refused(3, "trust:rewrite", &["trust:rewrite", "HEAD", "--yes"]),
    Leak { hands_on: true, ..leak("exec", &["exec", "--env", "production", "--", "true"]) },
    leak("exec", &["exec", "--env", "production", "--files", "--", "sh", "-c", "test -s \"$A\""]),
    printing("export", &["export", "--env", "production", "--format", "json"]),
    leak("import", &["import", "-", "--env", "staging", "--format", "dotenv"]),
    leak("import", &["import", PASSAGE, "--env", "staging", "--history", "--from-identity", "../home/other"]),
    leak("import", &["import", SOPS, "--env", "staging"]),
    leak("import", &["import", PASS, "--env", "staging"]),
    leak("import", &["import", ".", "--env", "staging", "--from-env", "production"]),
    printing("inject", &["inject", TEMPLATE]),
    leak("scan", &["scan"]),
    leak("scan", &["scan", "--history"]),
    leak("__complete", &["__complete", "2"]),
    leak("", &[]),
];

/// An editor as careless as any: it leaves copies beside the file and among temporary files.
const EDITOR: &str = "f() { cp \"$1\" \"$1~\"; cp \"$1\" \"$TMPDIR/.swp\"; printf ' edited' >> \"$1\"; }; f";

/// A hook as careless as any: it complains of all that it gets.
const HOOK: &str = r#"#!/bin/sh
read -r input
echo "cannot use $input" >&2
case $input in
*'"step":"create"'*)
    value=${input#*'"current":{"value":"'}
    echo "{\"value\": \"${value%%\"*} again\"}"
    ;;
*'"step":"set"'*) [ ! -e "$HOME/.fails" ] ;;
esac
"#;

/// Where every command starts, the private key that is known only by a variable, and the keys of gpg, whose agent outlives each command.
struct Start {
    world: World,
    key: String,
    gpg: TempDir,
}

impl Drop for Start {
    fn drop(&mut self) {
        self.world.sh(&format!("gpgconf --homedir '{}' --kill all", self.gpg.path().display()));
    }
}

impl Start {
    fn new(bare: bool) -> Self {
        let world = World::empty_below(&base());
        fs::create_dir(world.home.join("runtime")).unwrap();
        let made = world.home.join("key");
        world.ok(&["keys:generate", "--output", made.to_str().unwrap()]);
        let file = fs::read_to_string(&made).unwrap();
        fs::remove_file(&made).unwrap();
        let key = file.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap().to_owned();
        let start = Self { world, key, gpg: tempfile::tempdir_in(base()).unwrap() };
        if !bare {
            for arguments in [
                vec!["init"],
                vec!["create", "production/A", "-"],
                vec!["update", "production/A", "-"],
                vec!["create", "production/B", "-"],
                vec!["create", "production/OLD", "-"],
                vec!["delete", "production/OLD"],
            ] {
                start.run(&arguments, 0);
            }
            start.begin_rotations();
            for arguments in [
                vec!["members:add-machine", "ci", "--roles", "admins", "--yes"],
                vec!["members:add-machine", "gone", "--roles", "admins", "--yes"],
                vec!["members:remove", "gone", "--yes"],
                vec!["members:add-machine", "hand", "--roles", "helpers", "--yes"],
                vec!["grant-access", "production/B", "--user", "hand", "--duration", "1d"],
            ] {
                start.run(&arguments, 0);
            }
            start.world.sh(
                "git init -q --bare $HOME/remote.git && git remote add origin ../home/remote.git && git push -q -u origin HEAD:main",
            );
            start.run(&["copy", "production/A", "staging/COPY"], 0);
        }
        start.write_documents();
        start
    }

    fn run(&self, arguments: &[&str], code: i32) {
        let value = format!("{CANARY} {}", arguments[0]);
        let mut command = self.command(&self.world, arguments);
        assert_eq!(World::run_command(command_of(&mut command), value.as_bytes()).code, code, "{arguments:?}");
    }

    /// Secrets that a generator and a hook rotate, and one whose rotation has stopped midway.
    fn begin_rotations(&self) {
        fs::create_dir(self.world.project.join("ops")).unwrap();
        fs::write(self.world.project.join("ops/hook"), HOOK).unwrap();
        self.run(&["trust:hook", "ops/hook"], 0);
        for (name, way) in [("GENERATED", "--generate"), ("HOOKED", "--hook=ops/hook"), ("BEGUN", "--hook=ops/hook")] {
            self.run(&["create", &format!("production/{name}"), "-"], 0);
            self.run(&["rotation:set", name, "--period", "30d", "--notify-before", "30d", way], 0);
        }
        let fails = self.world.home.join(".fails");
        fs::write(&fails, "").unwrap();
        self.run(&["rotation:run", "BEGUN"], 1);
        fs::remove_file(&fails).unwrap();
    }

    fn write_documents(&self) {
        let home = &self.world.home;
        let other = self.world.json(&["keys:generate", "--output", home.join("other").to_str().unwrap()]);
        assert!(other.is_object());
        for (file, name) in [("request", "carol"), ("another-key", "ci")] {
            let email = format!("{name}@example.com");
            let request = ["--identity", "../home/other", "members:request", "--name", name, "--email", &email];
            fs::write(home.join(file), self.world.run(&request).out).unwrap();
        }
        let rules = r#"{"secrets": {"production/*": {"read": ["admins"], "write": ["admins"], "delete": ["admins"]}}}"#;
        fs::write(home.join("rules.json"), rules).unwrap();
        self.world.sh(&format!(
            "git init -q $HOME/passage && cd $HOME/passage
             for n in 1 2; do printf '{CANARY} %s' $n | age -r \"$(age-keygen -y $HOME/other)\" -o A.age; git add A.age; git commit -q -m A; done"
        ));
        let (sops, gpg) = (tool("python/bin/sops"), self.gpg.path());
        self.world.sh(&format!(
            "age-keygen -o $HOME/sops.key 2>/dev/null
             printf 'A: {CANARY}' | '{}' --encrypt --age \"$(age-keygen -y $HOME/sops.key)\" --input-type yaml --output-type yaml /dev/stdin > $HOME/sops.yaml
             export GNUPGHOME='{}'; mkdir $HOME/pass; echo alice@example.com > $HOME/pass/.gpg-id
             gpg --batch -q --passphrase '' --quick-gen-key alice@example.com default default never 2>/dev/null
             printf '{CANARY}' | gpg --batch -q -e -r alice@example.com -o $HOME/pass/A.gpg",
            sops.display(), gpg.display()
        ));
        fs::write(home.join("template"), r#"value: {{ vsecure "production/A" }}"#).unwrap();
    }

    fn command(&self, world: &World, arguments: &[&str]) -> Command {
        let mut command = world.command("vsecure");
        command.args(arguments).env("VSECURE_IDENTITY_KEY", &self.key);
        command.env("EDITOR", EDITOR).env("XDG_RUNTIME_DIR", world.home.join("runtime"));
        command.env("SOPS_AGE_KEY_FILE", world.home.join("sops.key")).env("GNUPGHOME", self.gpg.path());
        let folders = [tool("python/bin")].into_iter().chain(World::folders_of_programs(&command));
        command.env("PATH", std::env::join_paths(folders).unwrap());
        command
    }
}

fn command_of(command: &mut Command) -> Command {
    std::mem::replace(command, Command::new("true"))
}

/// The commands that the program has: those of its overview, the hidden one of completion scripts, and none.
fn commands() -> BTreeSet<String> {
    let overview = World::empty().ok(&[]);
    let listed = overview.lines().filter_map(|line| line.strip_prefix("  ")).filter_map(|line| line.split(' ').next());
    listed.chain(["__complete", ""]).map(ToOwned::to_owned).collect()
}

/// What is done to a command, and where: a tenth of its points, of ten.
const WAYS: [(usize, Act); 8] = [
    (0, Act::Watch),
    (3, Act::Kill),
    (5, Act::Tear),
    (8, Act::Kill),
    (10, Act::Kill),
    (5, Act::Crash),
    (4, Act::Fail(Errno::ENOSPC)),
    (9, Act::Fail(Errno::EIO)),
];

/// Looks for the value and the key after each command; in the long form also after a kill at every fifth point.
pub fn leaks(extent: &Extent) -> Row {
    let (bare, full) = (Start::new(true), Start::new(false));
    let start = |leak: &Leak| if leak.bare { &bare } else { &full };
    let with_cases: BTreeSet<String> = LEAKS.iter().map(|leak| leak.command.to_owned()).collect();
    let mut failures: Vec<String> = commands()
        .symmetric_difference(&with_cases)
        .map(|name| format!("`{name}` has no case, or is no command"))
        .collect();
    let counts = on_all_processors(&LEAKS, |leak| run(leak, start(leak), 0, Act::Watch).1);
    let mut cases = Vec::new();
    for (leak, points) in LEAKS.iter().zip(counts) {
        cases.extend(WAYS.map(|(tenth, act)| (leak, (points * tenth).div_ceil(10), act)));
        if *extent == Extent::Long {
            cases.extend((1..=points).step_by(5).map(|at| (leak, at, Act::Kill)));
        }
    }
    let results = on_all_processors(&cases, |(leak, at, act)| run(leak, start(leak), *at, *act).0);
    failures.extend(results.into_iter().flatten());
    Row { name: "canaries", count: cases.len(), failures }
}

/// What was found after a run, and how many points it had.
fn run(leak: &Leak, start: &Start, at: usize, act: Act) -> (Vec<String>, usize) {
    let world = start.world.copy();
    let words = b"vsecure\0get\0pro\0";
    let value = format!("{CANARY} new");
    let input: &[u8] = match leak.command {
        "__complete" => words,
        "import" => &[b"A=", value.as_bytes()].concat(),
        _ => value.as_bytes(),
    };
    let traced = trace(&start.command(&world, leak.arguments), input, at, act);
    if traced.run.code == -1 {
        // What a killed command left is gone after the next one.
        let_time_pass(&world);
        let mut next = start.command(&world, &["list"]);
        World::run_command(command_of(&mut next), b"");
    }
    let key = start.key.as_str();
    let folders = [world.folder(), start.gpg.path()];
    let mut found = search(&world, &folders, &traced, leak.prints, [CANARY, key]);
    if leak.hands_on {
        // The value belongs there, and the key does not.
        let keys = search(&world, &folders, &traced, leak.prints, [key, key]);
        found.retain(|what| !what.starts_with("in the variables of") || keys.contains(what));
    }
    if at == 0 && traced.run.code != leak.code {
        found.push(format!("it ended with {}: {}", traced.run.code, traced.run.err));
    }
    let name = format!("{:?}:{at} {act:?}", leak.arguments);
    (found.into_iter().map(|what| format!("{name}: {what}")).collect(), traced.points.len())
}

/// Everywhere that one of `needles` was found. Nothing is to be written but in `folders`.
fn search(world: &World, folders: &[&Path], traced: &Traced, prints: bool, needles: [&str; 2]) -> Vec<String> {
    let mut found = Vec::new();
    in_processes(traced, needles, &mut found);
    in_output(prints, traced, needles, &mut found);
    folders.iter().for_each(|folder| in_files(folder, needles, &mut found));
    in_objects(world, needles, &mut found);
    elsewhere(folders, traced, &mut found);
    found
}

fn holds(bytes: &[u8], needles: [&str; 2]) -> bool {
    needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
}

/// The arguments and variables of every program that was started, but for what we were given ourselves.
fn in_processes(traced: &Traced, needles: [&str; 2], found: &mut Vec<String>) {
    for program in traced.programs.iter().skip(1).filter(|program| holds(&program.arguments, needles)) {
        found.push(format!("in the arguments of {}", program.name()));
    }
    for program in traced.programs.iter().skip(1).filter(|program| holds(&program.variables, needles)) {
        found.push(format!("in the variables of {}", program.name()));
    }
}

fn in_output(prints: bool, traced: &Traced, needles: [&str; 2], found: &mut Vec<String>) {
    if holds(traced.run.err.as_bytes(), needles) {
        found.push(format!("in what it says: {}", traced.run.err));
    }
    if holds(&traced.run.bytes, needles) && !prints {
        found.push("in what it prints".to_owned());
    }
}

/// Work tree, `.git` as it lies on the disk, home, logs, temporary files, cores, editor's leftovers.
fn in_files(folder: &Path, needles: [&str; 2], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let core = entry.file_name().to_string_lossy().starts_with("core");
        if entry.file_type().unwrap().is_dir() {
            in_files(&path, needles, found);
        } else if core || holds(&fs::read(&path).unwrap_or_default(), needles) {
            found.push(format!("in the file {}", path.display()));
        }
    }
}

/// Git compresses what it keeps: all objects, loose or packed, named by anything or by nothing.
fn in_objects(world: &World, needles: [&str; 2], found: &mut Vec<String>) {
    let repositories = [world.project.clone(), world.home.join("remote.git")];
    for repository in repositories.iter().filter(|repository| repository.exists()) {
        let mut command = world.command("git");
        command.args(["cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch"]).current_dir(repository);
        if holds(&World::run_command(command, b"").bytes, needles) {
            found.push("in git's objects".to_owned());
        }
    }
}

/// Nothing is written where nobody looks.
fn elsewhere(folders: &[&Path], traced: &Traced, found: &mut Vec<String>) {
    for point in &traced.points {
        let path = Path::new(&point.about);
        let device = ["/dev/null", "/dev/tty"].iter().any(|device| path == Path::new(device));
        if path.is_absolute() && !folders.iter().any(|folder| path.starts_with(folder)) && !device {
            found.push(format!("it wrote elsewhere: {} {}", point.call, point.about));
        }
    }
}

/// Each way to leak, by a script that does, and what is to be said of it.
const LEAKY: [(&str, &str); 8] = [
    ("/bin/echo CANARY > /dev/null", "in the arguments of /bin/echo"),
    ("X=CANARY /bin/true", "in the variables of /bin/true"),
    ("echo CANARY >&2", "in what it says"),
    ("echo CANARY", "in what it prints"),
    ("echo CANARY > .git/vsecure-log", "in the file"),
    ("echo CANARY | git hash-object -w --stdin", "in git's objects"),
    ("d=$(dirname \"$(dirname \"$PWD\")\")/vsecure-elsewhere-$$; mkdir \"$d\"; rmdir \"$d\"", "it wrote elsewhere"),
    ("touch core.1", "in the file"),
];

/// Whether the search finds what it is to find.
pub fn the_search_finds() -> Vec<String> {
    let missed = |(script, expected): &(&str, &str)| {
        let world = World::empty_below(&base());
        let mut command = world.command("bash");
        command.args(["-c", &script.replace("CANARY", CANARY)]);
        let traced = trace(&command, b"", 0, Act::Watch);
        let found = search(&world, &[world.folder()], &traced, false, [CANARY, CANARY]);
        (!found.iter().any(|what| what.starts_with(expected))).then(|| format!("{script}: {found:?}"))
    };
    LEAKY.iter().filter_map(missed).collect()
}
