//! A hermetic world for one test: a home, a repository, and the program under test in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A value that must show up nowhere but where it was asked for.
pub const CANARY: &str = "canary-7f3a91-value";

/// A home directory with git's configuration, and a work tree `project` in it.
pub struct World {
    folder: tempfile::TempDir,
    pub home: PathBuf,
    pub project: PathBuf,
}

/// What a process printed, and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub bytes: Vec<u8>,
}

impl World {
    /// A home and an empty repository.
    pub fn empty() -> Self {
        Self::empty_below(&std::env::temp_dir())
    }

    /// As [`World::empty`], below a folder of one's choice.
    pub fn empty_below(base: &Path) -> Self {
        let world = Self::of_below("alice", base);
        world.git(&["init", "-q"]);
        world
    }

    /// The home of somebody, and a folder for their work tree.
    pub fn of(name: &str) -> Self {
        Self::of_below(name, &std::env::temp_dir())
    }

    fn of_below(name: &str, base: &Path) -> Self {
        let folder = tempfile::tempdir_in(base).unwrap();
        let home = folder.path().join("home");
        let project = folder.path().join("project");
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(&project).unwrap();
        let config = format!(
            "[user]\n\tname = {name}\n\temail = {name}@example.com\n[init]\n\tdefaultBranch = main\n[commit]\n\tgpgsign = false\n"
        );
        fs::write(home.join(".gitconfig"), config).unwrap();
        Self { folder, home, project }
    }

    /// The same world once more, beside this one.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir_in(self.folder.path().parent().unwrap()).unwrap();
        let (home, project) = (folder.path().join("home"), folder.path().join("project"));
        let copied =
            Command::new("cp").arg("-a").args([&self.home, &self.project]).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        Self { folder, home, project }
    }

    /// Where everything of this world lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A store freshly made, with a clean work tree.
    pub fn with_store() -> Self {
        let world = Self::empty();
        world.ok(&["init"]);
        world
    }

    /// A store with these secrets, by path and value.
    pub fn with_secrets(secrets: &[(&str, &str)]) -> Self {
        let world = Self::with_store();
        for (path, value) in secrets {
            world.ok(&["create", path, value]);
        }
        world
    }

    /// A command that knows nothing of the person who runs the tests.
    pub fn command(&self, program: &str) -> Command {
        let program = if program == "vsecure" { env!("CARGO_BIN_EXE_vsecure") } else { program };
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.project);
        let own = Path::new(env!("CARGO_BIN_EXE_vsecure")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", own.display())).env("HOME", &self.home);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("GIT_CONFIG_NOSYSTEM", "1").env("TMPDIR", &self.home);
        command
    }

    /// The folders in which `command` looks for programs.
    pub fn folders_of_programs(command: &Command) -> Vec<PathBuf> {
        let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
        std::env::split_paths(path).collect()
    }

    /// Runs `command` with `input`.
    pub fn run_command(mut command: Command, input: &[u8]) -> Run {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"));
        // A program that reads nothing closes its end.
        let _ = child.stdin.take().unwrap().write_all(input);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        Run {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&stdout).into_owned(),
            err: String::from_utf8_lossy(&stderr).into_owned(),
            bytes: stdout,
        }
    }

    /// Runs vsecure.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"")
    }

    /// Runs vsecure with something on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = self.command("vsecure");
        command.args(arguments);
        Self::run_command(command, input)
    }

    /// Runs vsecure, which must succeed; what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.ok_with(arguments, b"")
    }

    /// As [`World::ok`], with something on standard input.
    pub fn ok_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let run = self.run_with(arguments, input);
        assert_eq!(run.code, 0, "vsecure {arguments:?}: {}", run.err);
        run.out
    }

    /// Runs vsecure, which must print JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let value: serde_json::Value = serde_json::from_str(&self.ok(&all)).unwrap();
        assert_eq!(value["format"], 1, "{arguments:?}");
        value
    }

    /// Runs vsecure, which must refuse with `code`, change nothing, and show no canary; what it said.
    #[track_caller]
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        self.refused_with(code, arguments, b"")
    }

    /// As [`World::refused`], with something on standard input.
    #[track_caller]
    pub fn refused_with(&self, code: i32, arguments: &[&str], input: &[u8]) -> String {
        let before = self.state();
        let run = self.run_with(arguments, input);
        assert_eq!(run.code, code, "vsecure {arguments:?}: {}{}", run.out, run.err);
        let after = self.state();
        let differs = |name: &&String| before.get(*name) != after.get(*name);
        let changed: Vec<&String> = before.keys().chain(after.keys()).filter(differs).collect();
        assert!(changed.is_empty(), "vsecure {arguments:?} was refused and changed {changed:?}");
        assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{arguments:?} shows the value: {}", run.err);
        assert!(run.err.starts_with("error: ") || run.err.contains("\nerror: "), "{}", run.err);
        run.err
    }

    /// Runs git, which must succeed.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.project, arguments)
    }

    /// Runs git elsewhere.
    #[track_caller]
    pub fn git_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = self.command("git");
        command.args(arguments).current_dir(folder);
        let run = Self::run_command(command, b"");
        assert_eq!(run.code, 0, "git {arguments:?}: {}", run.err);
        run.out
    }

    /// Runs a shell script, which must succeed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let mut command = self.command("bash");
        command.args(["-euo", "pipefail", "-c", script]);
        let run = Self::run_command(command, b"");
        assert_eq!(run.code, 0, "{script}: {}{}", run.out, run.err);
        run.out
    }

    /// The private key's file.
    pub fn identity(&self) -> PathBuf {
        self.home.join(".config/vsecure/identity.txt")
    }

    /// A file of the store.
    pub fn file(&self, path: &str) -> PathBuf {
        self.project.join(".vsecure").join(path)
    }

    /// Work of the user's in every state there is; gives what git says of it.
    pub fn users_work(&self) -> String {
        for name in ["staged", "changed", "both", "deleted", "intent"] {
            fs::write(self.project.join(name), "committed").unwrap();
        }
        self.git(&["add", "staged", "changed", "both", "deleted"]);
        self.git(&["commit", "-q", "-m", "Work"]);
        fs::write(self.project.join("staged"), "staged now").unwrap();
        fs::write(self.project.join("both"), "staged").unwrap();
        self.git(&["add", "staged", "both"]);
        self.git(&["add", "-N", "intent"]);
        fs::write(self.project.join("both"), "and changed").unwrap();
        fs::write(self.project.join("changed"), "changed").unwrap();
        fs::remove_file(self.project.join("deleted")).unwrap();
        fs::write(self.project.join("untracked"), "untracked").unwrap();
        self.git(&["status", "--porcelain=v2"])
    }

    /// A secret's value.
    pub fn get(&self, name: &str) -> String {
        self.ok(&["get", name])
    }

    /// How many commits HEAD has behind it, itself included.
    pub fn commits(&self) -> usize {
        self.git(&["rev-list", "--count", "HEAD"]).trim().parse().unwrap()
    }

    /// Everything that a refused command must leave as it was: branch, index, work tree, keys, settings, pins.
    pub fn state(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = BTreeMap::new();
        collect(&self.project, &self.project, &mut state);
        collect(&self.home, &self.home, &mut state);
        // Made by looking: a lock file that stays, caches of history and of a verified policy, the access log, git's own refreshed index
        // and new loose objects that nothing names.
        state.retain(|name, _| {
            !name.contains(".git/vsecure/lock")
                && !name.contains(".git/vsecure/audit")
                && !name.contains(".git/vsecure/history")
                && !name.contains(".git/objects")
                && !name.ends_with(".chain.json")
        });
        state
    }
}

fn collect(root: &Path, folder: &Path, state: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root.parent().unwrap()).unwrap().display().to_string();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(root, &path, state);
        } else if kind.is_file() {
            state.insert(name, fs::read(&path).unwrap_or_default());
        } else {
            state.insert(name, b"special".to_vec());
        }
    }
}

/// Runs a script as root of a name space of its own, where it can mount what it likes.
pub fn with_mounts(world: &World, script: &str) -> String {
    let mut command = world.command("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-euo", "pipefail", "-c", script]);
    let run = World::run_command(command, b"");
    assert_eq!(run.code, 0, "{script}: {}{}", run.out, run.err);
    run.out + &run.err
}

/// Whether `needle` is anywhere below `folder`.
pub fn found_below(folder: &Path, needle: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            if let Some(found) = found_below(&path, needle) {
                return Some(found);
            }
        } else if fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
        {
            return Some(path);
        }
    }
    None
}
