//! The commands that are killed and made to fail, each with the state that it starts from, and what is compared afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::{CANARY, Run, World};

/// One command, and the world that it runs in.
pub struct Scenario {
    /// What replays call it by.
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    /// Which store is meant, as an option; the one around by default, which what follows works with in any case.
    pub store: &'static [&'static str],
    /// The secrets that it may change.
    pub secrets: &'static [&'static str],
    /// Brings a repository with the user's work in it, and a store where there is one, to where the command starts.
    pub prepare: fn(&World),
    /// Whether there is no store yet.
    pub makes_store: bool,
    /// Whether it does much the same as another scenario.
    pub is_variant: bool,
    /// Brings the start to a state between the old and the new, for a command of several commits; what is begun goes on from there.
    pub between: Option<fn(&World)>,
}

const fn scenario(
    name: &'static str,
    arguments: &'static [&'static str],
    secrets: &'static [&'static str],
    prepare: fn(&World),
) -> Scenario {
    Scenario { name, arguments, store: &[], secrets, prepare, makes_store: false, is_variant: false, between: None }
}

const fn variant(
    name: &'static str,
    arguments: &'static [&'static str],
    secrets: &'static [&'static str],
    prepare: fn(&World),
) -> Scenario {
    Scenario { is_variant: true, ..scenario(name, arguments, secrets, prepare) }
}

/// Every scenario. A new command that writes gets its line here.
pub const SCENARIOS: [Scenario; 24] = [
    scenario("create", &["create", "production/NEW", "-"], &["production/NEW"], nothing),
    scenario("update", &["update", "production/A", "-"], &["production/A"], one_version),
    scenario("rename", &["rename", "production/A", "staging/deep/B"], &["production/A", "staging/deep/B"], one_version),
    scenario("delete", &["delete", "production/A"], &["production/A"], one_version),
    scenario("rollback", &["rollback", "production/A"], &["production/A"], two_versions),
    scenario("edit", &["edit", "production/A"], &["production/A"], one_version),
    Scenario { makes_store: true, ..scenario("init", &["init"], &[], nothing) },
    Scenario { makes_store: true, ..variant("init-unborn", &["init"], &[], no_commits) },
    Scenario {
        between: Some(begun),
        ..scenario("rotate-by-hook", &["rotation:run", "production/A"], &["production/A"], hooked)
    },
    variant("rotate-by-generator", &["rotation:run", "production/A"], &["production/A"], generated),
    variant("rotate-cancel", &["rotation:cancel", "production/A"], &["production/A"], under_way),
    variant("copy", &["copy", "production/A", "staging/C"], &["production/A", "staging/C"], one_version),
    variant("revert", &["revert", "HEAD"], &["production/A"], two_versions),
    variant("restore", &["restore", "production/A"], &["production/A"], deleted),
    variant("update-tags", &["update", "production/A", "--tags", "x"], &["production/A"], one_version),
    variant("update-staged", &["update", "production/A", "-", "--no-commit"], &["production/A"], one_version),
    variant("update-over-staged", &["update", "production/A", "-"], &["production/A"], staged_version),
    variant("update-signed", &["update", "production/A", "-"], &["production/A"], signing),
    variant("update-detached", &["update", "production/A", "-"], &["production/A"], detached),
    variant("update-packed", &["update", "production/A", "-"], &["production/A"], packed),
    Scenario {
        store: &["--store", "infra"],
        ..variant("update-elsewhere", &["update", "production/I", "-"], &["production/I"], second_store)
    },
    variant("versions", &["versions", "production/A"], &["production/A"], cold),
    variant(
        "members:add",
        &["members:add", "../home/bob.yaml", "--roles", "devops", "--yes"],
        &SOME_OF_MANY,
        with_many,
    ),
    variant("members:remove", &["members:remove", "bob", "--yes"], &SOME_OF_MANY, with_many_for_bob),
];

/// How many secrets are encrypted anew for one member who comes or goes.
const MANY: usize = 40;
const SOME_OF_MANY: [&str; 3] = ["production/S0", "production/S100", "production/S199"];

fn nothing(_: &World) {}

/// A hook that touches no file, and fails where `.fails` lies in the home.
const HOOK: &str = r#"#!/bin/sh
read -r input
case $input in
*'"step":"create"'*) echo '{"value": "made by a hook"}' ;;
*'"step":"set"'*) [ ! -e "$HOME/.fails" ] ;;
esac
"#;

fn hooked(world: &World) {
    one_version(world);
    fs::write(world.project.join("hook"), HOOK).unwrap();
    world.sh("git add hook; git commit -q -m 'A hook' -- hook");
    world.ok(&["trust:hook", "hook"]);
    world.ok(&["rotation:set", "production/A", "--period", "30d", "--hook", "hook"]);
}

fn begun(world: &World) {
    let fails = world.home.join(".fails");
    fs::write(&fails, "").unwrap();
    assert_eq!(world.run(&["rotation:run", "production/A"]).code, 1);
    fs::remove_file(&fails).unwrap();
}

fn under_way(world: &World) {
    hooked(world);
    begun(world);
}

fn generated(world: &World) {
    one_version(world);
    world.ok(&["rotation:set", "production/A", "--period", "30d", "--generate"]);
}

fn one_version(world: &World) {
    world.ok_with(&["create", "production/A", "-"], format!("{CANARY} one").as_bytes());
}

fn two_versions(world: &World) {
    one_version(world);
    world.ok_with(&["update", "production/A", "-"], format!("{CANARY} two").as_bytes());
}

fn staged_version(world: &World) {
    one_version(world);
    world.ok_with(&["update", "production/A", "-", "--no-commit"], format!("{CANARY} staged").as_bytes());
}

fn deleted(world: &World) {
    one_version(world);
    world.ok(&["delete", "production/A"]);
}

fn cold(world: &World) {
    two_versions(world);
    world.sh("rm -f .git/vsecure/history-*");
}

fn signing(world: &World) {
    one_version(world);
    world.sh("ssh-keygen -q -t ed25519 -N '' -f $HOME/sign; git config --global gpg.format ssh
         git config --global user.signingkey $HOME/sign.pub; git config --global commit.gpgsign true");
}

fn detached(world: &World) {
    one_version(world);
    world.git(&["checkout", "-q", "--detach"]);
}

fn packed(world: &World) {
    two_versions(world);
    world.git(&["gc", "-q"]);
}

fn second_store(world: &World) {
    world.sh("mkdir infra && cd infra && vsecure init --here");
    world.ok_with(&["--store", "infra", "create", "production/I", "-"], format!("{CANARY} one").as_bytes());
}

/// Many secrets that bob is going to read, and what he asks to be listed with.
fn with_many(world: &World) {
    let values: String = (0..MANY).map(|number| format!("S{number}={CANARY} {number}\n")).collect();
    world.ok_with(&["import", "-", "--format", "dotenv", "--env", "production"], values.as_bytes());
    let rules =
        r#"{"secrets": {"production/*": {"read": ["admins", "devops"], "write": ["admins"], "delete": ["admins"]}}}"#;
    world.ok_with(&["policy:apply", "-", "--yes"], rules.as_bytes());
    world.sh("store=$(vsecure status --json | grep -o '\"store_id\": \"[0-9a-f]*' | cut -d'\"' -f4); home=$HOME; mkdir $home/bob; export HOME=$home/bob
         vsecure keys:generate; vsecure --store-id $store members:request --name bob --email bob@example.com > $home/bob.yaml");
}

fn with_many_for_bob(world: &World) {
    with_many(world);
    world.ok(&["members:add", "../home/bob.yaml", "--roles", "devops", "--yes"]);
}

fn no_commits(world: &World) {
    world.git(&["update-ref", "-d", "HEAD"]);
}

impl Scenario {
    /// The world that the command starts in.
    pub fn start(&self) -> World {
        let world = World::empty_below(&base());
        fs::create_dir(runtime(&world)).unwrap();
        if !self.makes_store {
            world.ok(&["init"]);
            world.ok_with(&["create", "production/OTHER", "-"], b"other");
        }
        world.users_work();
        (self.prepare)(&world);
        // Whether a folder for an object is missing hangs on the object's name, which is never the same twice: the points would move.
        (0..256).for_each(|byte| fs::create_dir_all(world.project.join(format!(".git/objects/{byte:02x}"))).unwrap());
        world
    }

    /// The command, in `world`.
    pub fn command(&self, world: &World) -> Command {
        let mut command = world.command("vsecure");
        command.args(self.store).args(self.arguments).env("XDG_RUNTIME_DIR", runtime(world));
        command.env("EDITOR", format!("f() {{ printf '{CANARY} edited' > \"$1\"; }}; f"));
        command
    }

    /// What it gets on its standard input.
    pub fn input(&self) -> String {
        format!("{CANARY} new")
    }

    /// What must be as before or as after: values, versions, commits, and what git says of everything else.
    pub fn view(&self, world: &World) -> String {
        let said = |arguments: &[&str]| {
            let run = world.run(arguments);
            format!("{arguments:?}: {} {}\n", run.code, run.out)
        };
        let mut view = said(&["list"]);
        if self.makes_store && world.run(&["list"]).code == 0 {
            // A store without its maker's key would be lost.
            view += &format!("key: {}\n", world.run(&["create", "production/FIRST", "-n", "x"]).code);
        }
        if self.arguments.iter().any(|word| word.starts_with("members:")) {
            // Who is listed, and that keys and rights agree for every secret.
            view += &said(&["members:list"]);
            view += &said(&["verify"]);
        }
        for secret in self.secrets {
            // What was generated is never the same twice.
            let read = said(&[self.store, &["get", secret]].concat());
            let ours = read.contains(CANARY) || read.starts_with(&format!("{:?}: 3", ["get", secret]));
            view += if ours { &read } else { "another value\n" };
            let versions = world.run(&[self.store, &["versions", secret, "--json"]].concat()).out;
            let versions: serde_json::Value = serde_json::from_str(&versions).unwrap_or_default();
            let numbers = versions["versions"].as_array().into_iter().flatten();
            view +=
                &numbers.map(|version| format!("{} {}\n", version["version"], version["change"])).collect::<String>();
        }
        for arguments in [
            ["log", "--format=%s", "HEAD", "--"],
            ["ls-tree", "-r", "--name-only", "HEAD"],
            ["symbolic-ref", "-q", "--short", "HEAD"],
            ["status", "--porcelain=v2", "-uall", "--no-renames"],
        ] {
            let mut command = world.command("git");
            command.args(arguments);
            let run = World::run_command(command, b"");
            view +=
                &format!("git {arguments:?}: {}\n{}", run.code, run.out.lines().map(without_ids).collect::<String>());
        }
        view
    }
}

/// A line of git's, without the ids that a file of the store has: they are never the same twice.
fn without_ids(line: &str) -> String {
    match line.split_once(" .vsecure/") {
        Some((start, path)) => format!("{} .vsecure/{path}\n", start.split(' ').take(2).collect::<Vec<_>>().join(" ")),
        None => format!("{line}\n"),
    }
}

/// In memory where there is such a place: what is tried is the order of calls, not the speed of a disk.
pub fn base() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if tempfile::tempdir_in(&memory).is_ok() { memory } else { std::env::temp_dir() }
}

/// Where a value may lie while it is edited.
fn runtime(world: &World) -> PathBuf {
    world.home.join("runtime")
}

/// What happens next, after a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follow {
    /// A command of ours that only reads.
    Read,
    /// A command of ours that writes something else.
    Write,
    /// The user commits with git what is staged.
    Commit,
}

impl Follow {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Commit];

    /// Does it; what must not be is the error.
    pub fn happen(self, scenario: &Scenario, world: &World) -> Result<(), String> {
        // Where there may be no store, not to find one, or to find one made already, is an answer.
        let fine = |run: &Run| run.code == 0 || scenario.makes_store && (run.code == 3 || run.code == 5);
        let ours = |arguments: &[&str], input: &[u8]| {
            let run = world.run_with(arguments, input);
            if fine(&run) {
                Ok(())
            } else {
                Err(format!("then vsecure {arguments:?} failed: {} {}", run.code, run.err))
            }
        };
        let commit = || {
            let mut command = world.command("git");
            command.args(["commit", "-q", "-m", "Staged work"]);
            World::run_command(command, b"")
        };
        match self {
            Self::Read => ours(&["list"], b""),
            Self::Write if scenario.makes_store => ours(&["init"], b""),
            Self::Write => ours(&["update", "production/OTHER", "-"], b"changed"),
            Self::Commit => {
                let first = commit();
                if first.code != 0 && !first.err.contains(".lock") {
                    return Err(format!("then git commit failed: {}", first.err));
                }
                ours(&["list"], b"")?;
                if first.code != 0 {
                    let second = commit();
                    if second.code != 0 {
                        return Err(format!("after a command of ours git commit still fails: {}", second.err));
                    }
                }
                Ok(())
            }
        }
    }
}

/// The user's own files in the work tree.
pub fn users_files(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(&world.project).unwrap().flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .map(|(path, bytes)| (path.file_name().unwrap().into(), bytes))
        .collect()
}

/// Makes what a killed command left as old as it must be to be nobody's any more.
pub fn let_time_pass(world: &World) {
    let ago = |minutes: u64| SystemTime::now() - Duration::from_secs(60 * minutes);
    let make_old = |path: &Path, minutes| fs::File::open(path).unwrap().set_modified(ago(minutes)).unwrap();
    for path in leftovers(world) {
        let path = world.folder().join(path);
        let temporary =
            [".vsecure-", "tmp_"].iter().any(|start| path.file_name().unwrap().to_string_lossy().starts_with(start));
        if temporary {
            make_old(&path, 2);
        }
    }
    let lock = world.project.join(".git/vsecure/lock");
    if lock.exists() {
        make_old(&lock, 3);
    }
}

/// Whether this is a temporary file in a private folder, which the next command removes that writes there.
pub fn is_left_to_next_writer(path: &str) -> bool {
    let private = ["home/.config/vsecure/", "home/.local/state/vsecure/", "project/.git/vsecure/"];
    private.iter().any(|folder| path.starts_with(folder)) && path.contains("/.vsecure-")
}

/// Locks, temporary files and plaintext below the world's folder: what the next command of ours must not leave.
pub fn leftovers(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    collect(world.folder(), world.folder(), &mut found);
    found.sort();
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, found);
        }
        let known = ["clone-id", "lock", "audit"].contains(&name.as_str())
            || ["history-", "list-", "rotation-"].iter().any(|start| name.starts_with(start));
        let odd = [".lock", ".keep"].iter().any(|end| name.ends_with(end))
            || [".vsecure-", ".tmp", "tmp_", "streamed_"].iter().any(|start| name.starts_with(start))
            || folder.ends_with(".git/vsecure") && !known
            || folder.ends_with("home/runtime");
        let plain = path.is_file() && {
            let bytes = fs::read(&path).unwrap();
            bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
        };
        if odd {
            found.push(shown);
        } else if plain {
            found.push(format!("{shown} holds the value"));
        }
    }
}
